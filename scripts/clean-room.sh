#!/usr/bin/env bash
# clean-room.sh [trixie|bookworm]: the README's two commands as a stranger would
# meet them. A minimal Debian, in which nothing was installed by hand, gets the
# last commit of this clone, the Rust tool chain and cargo's registry, and a home
# of its own. Needs root, for mounts in a namespace of their own; what the run
# writes stays in one folder, which is removed afterwards.
#
# Kept between runs is only the untouched minimal system, in the test cache.
# Nothing compiled is: it could hide that a compiler, a library or a package for
# building is missing. av1an is built anew for the same reason, and because one
# built here would not find this system's FFmpeg libraries there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh
. scripts/lib/python.sh
. scripts/lib/rust.sh

suite=${1:-trixie}
case $suite in
trixie | bookworm) ;;
*) die "\`$suite\`: give trixie (Debian 13) or bookworm (Debian 12)" ;;
esac
case $(uname -s):$(id -u) in
Linux:0) ;;
*) die "a clean room takes mounts and chroot, so it needs root on Linux; run it as root" ;;
esac
mirror=$(debian_repository)
[ -n "$mirror" ] || die "this machine has no Debian repository to make a clean Debian from"
check_rust
have debootstrap || install_packages "a clean room" debootstrap

# base_system FILE: makes FILE, a tar of a minimal SUITE, unless it is there.
base_system() {
    [ ! -s "$1" ] || return 0
    say "Making a minimal Debian $suite (kept as $1)"
    local folder
    folder=$(mktemp -d "$1.XXXXXX")
    if ! quietly debootstrap --variant=minbase "$suite" "$folder/root" "$mirror"; then
        rm -rf --one-file-system "$folder"
        die "debootstrap could not make Debian $suite from $mirror; see above"
    fi
    tar -C "$folder/root" --one-file-system --exclude='./var/cache/apt/archives/*.deb' -cf "$folder/tar" .
    mv "$folder/tar" "$1"
    rm -rf --one-file-system "$folder"
}

# What this machine trusts, and where that goes in the room.
bundle=/etc/ssl/certs/ca-certificates.crt
host_bundle=/etc/host-ca-certificates.crt

# carry ROOT: what this machine needs to reach its package registries.
carry() {
    local root=$1 file
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    # Of apt only how it reaches the mirror; what it installs is the room's affair.
    apt-config dump | grep -iE '^Acquire::(https?|retries|check-|forceipv)' >"$root/etc/apt/apt.conf.d/90host" || true
    # Under a name of its own: the package ca-certificates, which others bring
    # along, writes the usual one anew.
    [ ! -r "$bundle" ] || cp -L "$bundle" "$root$host_bundle"
    for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/pip.conf; do
        if [ -n "$file" ] && [ -r "$file" ]; then
            cp -L "$file" "$root/etc/pip.conf"
            break
        fi
    done
    mkdir -p "$root/root/.cargo/registry"
    for file in config.toml config; do
        [ ! -r "$cargo_home/$file" ] || cp -L "$cargo_home/$file" "$root/root/.cargo/"
    done
}

# carried_environment: the variables of this machine that say how to reach registries.
carried_environment() {
    env | grep -iE '^(https?|all|no|ftp)_proxy=|^PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT|RETRIES)=|^CARGO_(NET|HTTP)_' || true
    if [ -r "$bundle" ]; then
        printf '%s='"$host_bundle"'\n' SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO
    fi
}

# The commands of the README's first block, without what they are for.
commands() {
    # shellcheck disable=SC2016 # backticks of Markdown
    sed -n '/^## Two commands/,/^## [^T]/p' README.md | sed -n '/^```sh/,/^```/p' | grep -v '^```' | sed 's/ *#.*//'
}

cargo_home=${CARGO_HOME:-$HOME/.cargo}
[ "$(commands | wc -l)" -eq 2 ] || die "the README's part \"Two commands\" has not two commands"
[ -z "$(git status --porcelain)" ] || say "What is not committed here is not in the room"
folder=$(test_cache)/clean-room
mkdir -p "$folder"
base_system "$folder/$suite.tar"

room=$(mktemp -d "$folder/room.XXXXXX")
# The mounts end with their namespace, so that this meets none of them.
trap 'rm -rf --one-file-system "$room"' EXIT
mkdir -p "$room/root" "$room/upper" "$room/work"
tar -C "$room/root" -xf "$folder/$suite.tar"
carry "$room/root"
carried_environment >"$room/environment"
commands >"$room/commands"
git clone -q --no-hardlinks . "$room/root/root/progression-boost"

# Debian 12 has no Python that is new enough; there one has to be before, as the
# README says. It is looked for here, not made.
if [ "$suite" = bookworm ]; then
    while read -r python; do
        if lacks=$(python_lacks "$python") && [ -z "$lacks" ]; then
            "$python" -c 'import sys; print(sys.base_prefix)' >"$room/python"
            break
        fi
    done < <(python_candidates)
fi
tools=$(rustc --print sysroot)
say "In a clean Debian $suite:"
unshare --mount --pid --fork --kill-child --propagation private \
    scripts/lib/in-room.sh "$room" "$tools" "$cargo_home/registry"
