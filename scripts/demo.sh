#!/usr/bin/env bash
# Boosts the example film, which needs no media, and shows what came out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh

scripts/setup.sh
"$(program_path)" --preset butteraugli-mean examples/ep01.vpy

say
.venv/bin/python scripts/lib/show_scenes.py examples/ep01.scenes.json
say
say "To encode with av1an (VapourSynth's folder for its vspipe and libraries):"
say "  vs=$(vapoursynth_folder)"
say "  PATH=\$vs:\$PATH LD_LIBRARY_PATH=\$vs av1an -i examples/ep01.vpy -o ep01.mkv --scenes examples/ep01.scenes.json \\"
say "    --encoder svt-av1 --pix-format yuv420p10le --concat mkvmerge"
