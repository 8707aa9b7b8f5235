#!/usr/bin/env bash
# package-windows.sh: a folder and a zip of what a user of Windows needs, in
# $CARGO_TARGET_DIR. Run by cross-windows.sh in its room, when the program is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh

triple=x86_64-pc-windows-gnu
out=${CARGO_TARGET_DIR:-target}
program=$out/$triple/release/progression-boost.exe
[ -s "$program" ] || die "$program is missing; run scripts/cross-windows.sh"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=progression-boost-$version-windows-x86_64
root=$out/$name
rm -rf "$root" "$root.zip"
mkdir -p "$root/models"
cp "$program" "$root/"
x86_64-w64-mingw32-strip "$root/progression-boost.exe"
cp -R presets docs README.md CHANGELOG.md LICENSE "$root/"
cp models/README.md "$root/models/"
cp scripts/setup.ps1 scripts/vapoursynth.txt "$root/"
python3 scripts/lib/licences.py "$root/licences" "$triple"
# It must need no library that Windows has not.
foreign=$(x86_64-w64-mingw32-objdump -p "$root/progression-boost.exe" | sed -n 's/.*DLL Name: //p' |
    grep -iE '^lib|pthread|gcc|stdc' || true)
[ -z "$foreign" ] || die "the program needs $foreign, which Windows has not"
(cd "$out" && zip -qr "$name.zip" "$name")
say "$(stat -c '%s bytes' "$root/progression-boost.exe") progression-boost.exe, $(stat -c '%s bytes' "$root.zip") $name.zip"
