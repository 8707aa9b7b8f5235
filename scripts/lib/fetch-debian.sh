#!/usr/bin/env bash
# fetch-debian.sh SUITE PACKAGE VERSION PROGRAM FOLDER: PROGRAM of another Debian
# suite as FOLDER/PROGRAM, started through that suite's own libc. VERSION is the
# upstream part of the package's version; a suite that has moved on from it is
# refused. Nothing is installed.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/lib/packages.sh
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

suite=$1 package=$2 version=$3 program=$4 folder=$5

repository=$(debian_repository)
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
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State="$work/state" -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
        "$@"
}

suite_apt apt-get update
found=$(suite_apt apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p')
upstream=${found##*:}
upstream=${upstream%-*}
upstream=${upstream%%+*}
if [ "$upstream" != "$version" ]; then
    echo "Debian $suite has $package ${found:-not at all} now, not $version" >&2
    exit 1
fi
packages=$(suite_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$package" | grep -E '^[a-z0-9][a-z0-9.+-]*$' | sort -u)
cd "$work"
# shellcheck disable=SC2086 # one word a package
suite_apt apt-get download $packages
for archive in *.deb; do
    dpkg -x "$archive" new/root
done

cat >"new/$program" <<WRAPPER
#!/bin/sh
# $program $version of Debian $suite, with that Debian's loader and libraries.
program=$program
WRAPPER
cat >>"new/$program" <<'WRAPPER'
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/root
libraries=
for folder in "$root"/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu; do
    [ -d "$folder" ] && libraries=$libraries${libraries:+:}$folder
done
for loader in "$root"/lib/*-linux-gnu/ld-linux*.so.* "$root"/usr/lib/*-linux-gnu/ld-linux*.so.*; do
    [ -e "$loader" ] && exec "$loader" --library-path "$libraries" "$root/usr/bin/$program" "$@"
done
echo "no loader under $root" >&2
exit 127
WRAPPER
chmod 755 new "new/$program"
rm -rf "$folder"
mv new "$folder"
