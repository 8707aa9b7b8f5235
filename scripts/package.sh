#!/bin/sh
# Makes, in dist/: a tarball and, where dpkg-deb is, a .deb. Both have the program,
# presets, manual pages, completions, documentation and the licences of all that is
# built in. --no-build takes the program that is in target/release (or $PROGRAM).
set -eu
cd "$(dirname "$0")/.."

[ "${1-}" = --no-build ] || cargo build --release --locked
program=${PROGRAM:-target/release/progression-boost}
[ -x "$program" ] || { echo "package.sh: $program is missing; leave --no-build out" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
machine=$(uname -m)
name=progression-boost-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$machine
root=dist/$name
rm -rf "$root"
mkdir -p "$root/bin" "$root/share/progression-boost" "$root/share/doc/progression-boost"

install -m 755 "$program" "$root/bin/progression-boost"
strip "$root/bin/progression-boost" 2>/dev/null || true
cp -R presets "$root/share/progression-boost/"
"$program" man "$root/share/man/man1" > /dev/null
completions() {
    mkdir -p "$root/$2"
    "$program" completions "$1" > "$root/$2/$3"
}
completions bash share/bash-completion/completions progression-boost
completions zsh share/zsh/site-functions _progression-boost
completions fish share/fish/vendor_completions.d progression-boost.fish
completions powershell share/progression-boost/completions progression-boost.ps1
cp -R README.md CHANGELOG.md LICENSE docs "$root/share/doc/progression-boost/"
python3 scripts/lib/licences.py "$root/share/doc/progression-boost/licences"

tar -C dist -czf "dist/$name.tar.gz" "$name"
echo "dist/$name.tar.gz"

command -v dpkg-deb > /dev/null || exit 0
architecture=$(dpkg --print-architecture)
tree=dist/deb
rm -rf "$tree"
mkdir -p "$tree/DEBIAN" "$tree/usr"
cp -R "$root/." "$tree/usr/"
# Debian's own places for zsh.
mkdir -p "$tree/usr/share/zsh/vendor-completions"
mv "$tree/usr/share/zsh/site-functions/_progression-boost" "$tree/usr/share/zsh/vendor-completions/"
rmdir "$tree/usr/share/zsh/site-functions"
find "$tree/usr/share/man" -type f -exec gzip -9n {} +
cp LICENSE "$tree/usr/share/doc/progression-boost/copyright"
# The glibc that it was linked against; nothing else is not found at run time.
libc=$(dpkg-query -W -f '${Version}' libc6 2>/dev/null | sed 's/-.*//')
cat > "$tree/DEBIAN/control" << CONTROL
Package: progression-boost
Version: $version
Architecture: $architecture
Maintainer: the progression-boost developers <noreply@localhost>
Installed-Size: $(du -sk "$tree/usr" | cut -f 1)
Depends: libc6 (>= ${libc:-2.36}), libgcc-s1
Recommends: svt-av1, mkvtoolnix, python3-venv, libpython3-dev
Suggests: ffmpeg, aom-tools
Section: video
Priority: optional
Description: per-scene quality boosting for AV1 encodes
 Finds the scenes of a VapourSynth script or a video, encodes each one as a probe,
 measures the probes, and writes the CRF that hits the target for every scene, for
 av1an or for its own encoder in chunks. VapourSynth comes from Python's wheels;
 progression-boost doctor says what is missing.
CONTROL
dpkg-deb --root-owner-group --build "$tree" "dist/progression-boost_${version}_$architecture.deb" > /dev/null
rm -rf "$tree"
echo "dist/progression-boost_${version}_$architecture.deb"
