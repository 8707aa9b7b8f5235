#!/usr/bin/env bash
# fetch-svt-av1.sh SUITE FOLDER: the SvtAv1EncApp of a newer Debian suite as
# FOLDER/SvtAv1EncApp, started through that suite's own libc. Nothing is installed.
set -euo pipefail

suite=$1 folder=$2

# Where this machine gets Debian from; nothing on other systems.
# shellcheck disable=SC2016 # apt-get expands these
repository=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" && !found { print $3; found = 1 }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -z "$repository" ] || [ ! -r "$keyring" ]; then
    echo "this machine has no Debian repository to fetch from" >&2
    exit 1
fi

mkdir -p "${folder%/*}"
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/state" "$work/new/root"
# An empty status file: the packages are to fit each other, not this machine.
: >"$work/status"
printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$repository" "$suite" >"$work/sources.list"

# apt-get or apt-cache that knows the suite and nothing of this machine.
suite_apt() {
    local tool=$1
    shift
    "$tool" -qq \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$work/state" -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
        "$@"
}

suite_apt apt-get update
packages=$(suite_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances svt-av1 | grep -E '^[a-z0-9][a-z0-9.+-]*$' | sort -u)
cd "$work"
# shellcheck disable=SC2086 # one word a package
suite_apt apt-get download $packages
for package in *.deb; do
    dpkg -x "$package" new/root
done

cat >new/SvtAv1EncApp <<'WRAPPER'
#!/bin/sh
# SvtAv1EncApp of a newer Debian, with that Debian's loader and libraries.
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/root
libraries=
for folder in "$root"/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu; do
    [ -d "$folder" ] && libraries=$libraries${libraries:+:}$folder
done
for loader in "$root"/lib/*-linux-gnu/ld-linux*.so.* "$root"/usr/lib/*-linux-gnu/ld-linux*.so.*; do
    [ -e "$loader" ] && exec "$loader" --library-path "$libraries" "$root/usr/bin/SvtAv1EncApp" "$@"
done
echo "no loader under $root" >&2
exit 127
WRAPPER
chmod 755 new new/SvtAv1EncApp
new/SvtAv1EncApp --version
rm -rf "$folder"
mv new "$folder"
