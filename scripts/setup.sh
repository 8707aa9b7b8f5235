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
. scripts/lib/encoder.sh

check_rust
announce_environment
# shellcheck disable=SC2046 # one word a program
require_programs "progression-boost" $(programs_for build boost)
check_encoder
# shellcheck disable=SC2046
want_programs "\`progression-boost encode\` and scene detection \`progressive\`" $(programs_for scenes encode) ||
    say "Going on: boosting does not need them"
make_environment
configure_vapoursynth
quietly .venv/bin/vspipe --info examples/ep01.vpy || die "VapourSynth in .venv does not run; see above"
say "Building the release binary"
cargo build --release --locked || die "the build failed; see above"
say "Ready: $(program_path)"
