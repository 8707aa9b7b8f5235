#!/usr/bin/env bash
# Prepares everything progression-boost needs: the distribution's tools,
# VapourSynth with its plugins in .venv, and the release build. Run it again at
# any time; what is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh
. scripts/lib/python.sh
. scripts/lib/rust.sh

check_rust
require_programs "progression-boost" SvtAv1EncApp ffmpeg mkvmerge nasm cc
make_environment
configure_vapoursynth
quietly .venv/bin/vspipe --info examples/ep01.vpy || die "VapourSynth in .venv does not run; see above"
say "Building the release binary"
cargo build --release --locked || die "the build failed; see above"
say "Ready: $(program_path)"
