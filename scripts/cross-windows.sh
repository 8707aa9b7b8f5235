#!/usr/bin/env bash
# cross-windows.sh [build|check|test|room]: the program for Windows, made on Linux.
#
#   build   the release program and a zip of what a user needs, under target/windows
#   check   only whether everything compiles for Windows
#   test    build, then scripts/test-windows.sh with the program under wine
#   room    only the room, which the others make as well
#
# It happens in a room of Debian unstable, whose Rust is new enough and comes with
# the sources of the standard library, which is built for Windows with the program;
# its wine is new enough, too (that of Debian 12 starts no program of ours). The room is made once and
# kept in the test cache, with a list of its packages beside it, so that unstable
# moving on changes nothing here; remove both to have a new one. `check` makes
# none: without one it says so and ends well. Needs root, for mounts in a
# namespace of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh
. scripts/lib/room.sh

packages='rustc cargo rust-src mingw-w64 nasm wine wine64 zip python3 ca-certificates'
triple=x86_64-pc-windows-gnu

step=${1:-build}
case $step in
build | check | test | room) ;;
*) die "\`$step\`: give build, check, test or room" ;;
esac
folder=$(test_cache)/cross-windows
if [ "$step" = check ] && [ ! -s "$folder/sid.tar" ]; then
    say "Not checked for Windows: $folder/sid.tar is not there; scripts/cross-windows.sh makes it"
    exit 0
fi
check_room "a room for Windows builds"
mkdir -p "$folder"

# new_room TAR: sets `room` to a new one with the system of TAR.
new_room() {
    room=$(mktemp -d "$folder/room.XXXXXX")
    mkdir -p "$room/root/root/progression-boost" "$room/upper" "$room/work"
    tar -C "$room/root" -xf "$1"
    carry "$room/root"
    carried_environment >"$room/environment"
}

# The mounts end with their namespace, so that this meets none of them.
room=
trap '[ -z "$room" ] || rm -rf --one-file-system "$room"' EXIT
# in-room.sh wants a tool chain to mount; the room has its own, which comes first.
tools=$(rustc --print sysroot)

if [ ! -s "$folder/sid.tar" ]; then
    base_system sid "$folder/base.tar"
    new_room "$folder/base.tar"
    # Kept until the room is there, so that an interrupted download goes on.
    mkdir -p "$folder/debs/partial"
    printf '%s /var/cache/apt/archives rw\n' "$folder/debs" >"$room/mounts"
    # shellcheck disable=SC2016 # dpkg-query expands these
    printf '%s\n' 'apt-get -q update' \
        "DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $packages" \
        "dpkg-query -W -f '\${Package} \${Version}\n' >/root/packages" >"$room/commands"
    say "Adding $packages to Debian unstable (kept as $folder/sid.tar)"
    quietly run_in_room "$room" "$tools" || die "the room could not be made; see above"
    cp "$room/root/root/packages" "$folder/sid.packages"
    rm -rf "$room/root/var/lib/apt/lists" "$room/root/root/.cargo"
    tar -C "$room/root" --one-file-system -cf "$folder/sid.tar.new" .
    mv "$folder/sid.tar.new" "$folder/sid.tar"
    rm -rf --one-file-system "$folder/base.tar" "$folder/debs" "$room"
    room=
fi

if [ "$step" = room ]; then
    ls -l "$folder/sid.tar"
    exit 0
fi
[ -z "$(git status --porcelain)" ] || say "What is not committed here is not in the room"
new_room "$folder/sid.tar"
rm -rf "$room/root/root/progression-boost"
git clone -q --no-hardlinks . "$room/root/root/progression-boost"
out=$(mkdir -p "${CARGO_TARGET_DIR:-target}/windows" && cd "${CARGO_TARGET_DIR:-target}/windows" && pwd)
printf '%s /root/target rw\n' "$out" >"$room/mounts"
{
    echo CARGO_TARGET_DIR=/root/target
    # -Zbuild-std is not stable.
    echo RUSTC_BOOTSTRAP=1
    echo CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
} >>"$room/environment"
# Without --locked: the lists of the standard library's own crates are Debian's affair.
cargo="--release --target $triple -Zbuild-std=std,panic_unwind"
case $step in
check) echo "cargo check $cargo" ;;
build) printf '%s\n' "cargo build $cargo" 'scripts/package-windows.sh' ;;
test) printf '%s\n' "cargo build $cargo" 'scripts/package-windows.sh' 'scripts/test-windows.sh' ;;
esac >"$room/commands"
say "In a room of Debian unstable:"
run_in_room "$room" "$tools"
[ "$step" = check ] || ls -l "$out"/*.zip
