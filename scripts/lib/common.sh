# shellcheck shell=bash
# What all scripts share. Source it; it needs nothing but bash 3.2.

say() {
    printf '%s\n' "$*"
}

# Ends the script with one sentence.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Runs a command whose output matters only when it fails; then its end is shown.
quietly() {
    local log status=0
    log=$(mktemp "${TMPDIR:-/tmp}/progression-boost.XXXXXX")
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || tail -n 20 "$log" >&2
    rm -f "$log"
    return "$status"
}

# Where the release build puts the program.
program_path() {
    printf '%s/release/progression-boost\n' "${CARGO_TARGET_DIR:-target}"
}

# The folder of VapourSynth's libraries and plugins in .venv.
vapoursynth_folder() {
    local library
    library=$(.venv/bin/vapoursynth get-vsscript)
    printf '%s\n' "${library%/*}"
}
