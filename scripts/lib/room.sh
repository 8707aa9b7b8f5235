# shellcheck shell=bash
# Rooms: a Debian of their own, with mounts and processes that end with them.
# Source it after packages.sh.

# shellcheck disable=SC2034 # for those who source this
cargo_home=${CARGO_HOME:-$HOME/.cargo}

# check_room WHAT-FOR: sets `mirror`, or ends the script when no room can be made here.
check_room() {
    case $(uname -s):$(id -u) in
    Linux:0) ;;
    *) die "$1 takes mounts and chroot, so it needs root on Linux; run it as root" ;;
    esac
    mirror=$(debian_repository)
    [ -n "$mirror" ] || die "this machine has no Debian repository to make $1 from"
    have debootstrap || install_packages "$1" debootstrap
}

# run_in_room ROOM TOOLCHAIN: the commands of ROOM/commands in ROOM/root.
run_in_room() {
    unshare --mount --pid --fork --kill-child --propagation private \
        scripts/lib/in-room.sh "$1" "$2" "$cargo_home/registry"
}

# base_system SUITE FILE: makes FILE, a tar of a minimal SUITE, unless it is there.
base_system() {
    [ ! -s "$2" ] || return 0
    local suite=$1 folder
    say "Making a minimal Debian $suite (kept as $2)"
    folder=$(mktemp -d "$2.XXXXXX")
    if ! quietly debootstrap --variant=minbase "$suite" "$folder/root" "$mirror"; then
        rm -rf --one-file-system "$folder"
        die "debootstrap could not make Debian $suite from $mirror; see above"
    fi
    tar -C "$folder/root" --one-file-system --exclude='./var/cache/apt/archives/*.deb' -cf "$folder/tar" .
    mv "$folder/tar" "$2"
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
