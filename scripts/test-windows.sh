#!/usr/bin/env bash
# test-windows.sh: the program for Windows under wine, as far as it goes without
# VapourSynth and encoders for Windows; stand-ins are compiled here. Run by
# `cross-windows.sh test` in its room. wine is not Windows: what passes here may
# still fail there.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$(basename "${CARGO_TARGET_DIR:-target}"/progression-boost-*-windows-x86_64)
bundle=${CARGO_TARGET_DIR:-target}/$name
work=$(mktemp -d)
trap 'wineserver -k 2>/dev/null; rm -rf "$work"' EXIT
export WINEPREFIX=$work/prefix WINEDEBUG=-all LC_ALL=C.UTF-8
export WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe='
cc=x86_64-w64-mingw32-gcc
wineboot -i >/dev/null 2>&1
wineserver -w
# A name with a space and an umlaut is what people have.
here="$work/my films ü"
mkdir -p "$here"
cp -R "$bundle/." "$work/program"
exe=$work/program/progression-boost.exe
cd "$here" || exit 1

passed=0 failed=0
# pb ARGUMENT…: runs the program; its output and exit code are in `said` and `code`.
pb() {
    said=$(timeout 120 wine "$exe" "$@" 2>&1 </dev/null | tr -d '\r')
    code=${PIPESTATUS[0]}
}
# result WHAT CONDITION…: counts whether the condition holds, and shows what was said when it does not.
result() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        printf '%s\n' "$said" | head -n 12 | sed 's/^/        /'
    fi
}
says() { case $said in *"$1"*) ;; *) return 1 ;; esac; }
never() { case $said in *"$1"*) return 1 ;; *) ;; esac; }
starts() { case $said in "$1"*) ;; *) return 1 ;; esac; }
# running PROGRAM: whether a process of this name is there.
running() { grep -lsa "$1" /proc/[0-9]*/cmdline | grep -qv "/proc/$$/"; }
# until_true SECONDS CONDITION…
until_true() {
    local left=$(($1 * 5))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.2
    done
}
gone() { ! running "$1"; }

pb --version
result "--version" starts "progression-boost 0."
for run in 1 2 3; do
    begun=$(date +%s%N)
    wine "$exe" --version >/dev/null 2>&1
    echo "        start-up $run: $((($(date +%s%N) - begun) / 1000000)) ms with wine's own"
done
pb presets list
result "presets list" says "ssimu2-mean"
pb presets show ssimu2-mean
result "presets show" says "[metric]"
pb presets export ssimu2-mean
result "presets export says where" says "ssimu2-mean.toml"
result "presets export writes it" test -s ssimu2-mean.toml
pb presets export ssimu2-mean
result "presets export does not write over it" says "ssimu2-mean.toml"
{ printf '\357\273\277'; sed 's/$/\r/' ssimu2-mean.toml; } >with-bom.toml
pb presets show with-bom.toml
result "a preset with a byte-order mark and CRLF" says "[metric]"
iconv -f UTF-8 -t UTF-16LE ssimu2-mean.toml | cat <(printf '\377\376') - >powershell.toml
pb presets show 'powershell.toml'
result "a preset as PowerShell's > writes it" says "[metric]"
pb presets show "Z:${here//\//\\}\\with-bom.toml"
result "a preset by its whole path" says "[metric]"
pb models
result "models" says "models"
for shell in powershell bash; do
    pb completions "$shell"
    result "completions $shell" says "progression-boost"
done
pb man man1
result "man writes pages" test -s man1/progression-boost.1
pb nothing.vpy
result "a missing file is named" says "nothing.vpy"
printf 'import vapoursynth as vs\n' >ep01.vpy
pb ep01.vpy
echo "        without anything: $(printf '%s' "$said" | head -n 1)"
result "without VapourSynth: said" says "VapourSynth"
result "without VapourSynth: winget" says "winget install"
result "without VapourSynth: no apt" never "apt "
result "without VapourSynth: no setup.sh" never "setup.sh"
pb ep01.vpy -o EP01.VPY
result "output = input in other case" says "EP01.VPY"
result "the input is still there" grep -q vapoursynth ep01.vpy
pb doctor
result "doctor: winget" says "winget install"
result "doctor: no apt" never "apt install"
printf '%s\n' "$said" | head -n 40 | sed 's/^/        doctor: /'
pb doctor --json
result "doctor --json" says '"item"'

# Libraries that are not VapourSynth's, too old, of another version, or do not start.
stand_in() { printf '%s\n' "$2" | $cc -shared -x c -o "$1" - || echo "no $1"; }
stand_in other.dll 'int nothing(void) { return 0; }'
stand_in silent.dll '__declspec(dllexport) const void *getVSScriptAPI(int version) { return 0; }'
stand_in future.dll 'static int version(void) { return 3 << 16 | 2; } static void *api[64] = {version};
__declspec(dllexport) const void *getVSScriptAPI(int v) { return api; }'
printf 'no library\n' >text.dll
for case in 'none.dll:is not a file' 'text.dll:VapourSynth was not found' 'other.dll:too old' \
    'silent.dll:did not start' 'future.dll:API 3.2'; do
    VSSCRIPT_PATH=${case%%:*} pb ep01.vpy
    result "VSSCRIPT_PATH ${case%%:*}: ${case#*:}" says "${case#*:}"
done

# The server reads CPU and GPU here, and goes on where it cannot.
wine "$exe" dispatch serve --port 38471 >serve.log 2>&1 </dev/null &
status() { pb dispatch status --port 38471; says "%"; }
result "dispatch serve stays" until_true 30 status
echo "        serve: $(tr -d '\r' <serve.log | head -n 3 | tr '\n' ' ')"
pb dispatch shutdown --port 38471
result "dispatch serve ends when asked" until_true 20 gone "dispatch.serve"

# A child that hangs ends with us, though we are killed.
printf '#include <windows.h>\nint main(void) { Sleep(300000); return 0; }\n' | $cc -x c -o SvtAv1EncApp.exe -
PATH=$here:$PATH WINEPATH="Z:${here//\//\\}" wine "$exe" -V >/dev/null 2>&1 </dev/null &
if until_true 30 running SvtAv1EncApp.exe; then
    for file in /proc/[0-9]*/cmdline; do
        if grep -qa 'progression-boost.exe.-V' "$file" 2>/dev/null; then
            pid=${file#/proc/}
            kill -9 "${pid%/cmdline}" 2>/dev/null
        fi
    done
    said="SvtAv1EncApp.exe still runs"
    result "killed, its children end with it" until_true 20 gone SvtAv1EncApp.exe
else
    said="the stand-in encoder did not start"
    result "killed, its children end with it" false
fi

echo "$passed passed, $failed failed, under $(wine --version)"
[ "$failed" -eq 0 ]
