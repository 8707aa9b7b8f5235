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

# version_at_least FOUND WANTED: compares the first two numbers.
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n | head -n 1)" = "$2" ]
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

# The folder outside the clone for what only the tests need; the same rule as in
# tests/common/programs.rs.
test_cache() {
    local cache=${PROGRESSION_BOOST_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/progression-boost-tests}
    mkdir -p "$cache"
    (cd "$cache" && pwd)
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
