# shellcheck shell=bash
# VapourSynth in .venv. Source it after packages.sh.

# python_lacks PYTHON: prints nothing when VapourSynth can live in PYTHON, else
# the Debian packages it lacks; 1 when PYTHON is too old or does not run.
python_lacks() {
    "$1" - 2>/dev/null <<'PYTHON'
import os, sys, sysconfig
get = sysconfig.get_config_var
# Free-threaded builds cannot load VapourSynth's module.
if sys.version_info < (3, 12) or get("Py_GIL_DISABLED"):
    sys.exit(1)
version = "%d.%d" % sys.version_info[:2]
lacks = []
try:
    import ensurepip, venv
except ImportError:
    lacks.append("python%s-venv" % version)
# VSScript loads Python as a library, which static builds and bare Debian lack.
name = get("INSTSONAME") or ""
folders = [get("LIBDIR"), get("LIBPL")]
if sys.platform != "darwin" and not (
    ".so" in name and any(f and os.path.isfile(os.path.join(f, name)) for f in folders)
):
    lacks.append("libpython%s" % version)
print(" ".join(lacks))
PYTHON
}

# Pythons worth asking, newest first: those on the PATH, then pyenv's, then what
# uv finds or has installed.
python_candidates() {
    local name root
    for name in python3.14 python3.13 python3.12 python3; do
        command -v "$name" || true
    done
    root=${PYENV_ROOT:-$HOME/.pyenv}
    if [ -d "$root/versions" ]; then
        find "$root/versions" -mindepth 1 -maxdepth 1 -name '3.*' -exec basename {} \; |
            sort -t. -k2,2nr -k3,3nr |
            while read -r name; do printf '%s/versions/%s/bin/python3\n' "$root" "$name"; done
    fi
    if have uv; then
        uv python find --no-project --system '>=3.12' 2>/dev/null || true
    fi
}

# The version of Debian's python3 when it is new enough and may be installed; else nothing.
installable_python() {
    local version
    may_install || return 0
    version=$(apt-cache show --no-all-versions python3 2>/dev/null | sed -n 's/^Version: //p')
    if [ -n "$version" ] && dpkg --compare-versions "$version" ge 3.12; then
        printf '%s\n' "$version"
    fi
}

# Sets `python` to one that VapourSynth can use, or ends the script.
find_python() {
    python=
    local candidate lacks incomplete='' packages=''
    while read -r candidate; do
        lacks=$(python_lacks "$candidate") || continue
        if [ -z "$lacks" ]; then
            python=$candidate
            return 0
        fi
        if [ -z "$incomplete" ]; then
            incomplete=$candidate
            packages=$lacks
        fi
    done < <(python_candidates)
    if [ -z "$incomplete" ] && [ -n "$(installable_python)" ]; then
        install_packages "VapourSynth" python3
        incomplete=/usr/bin/python3
        packages=$(python_lacks "$incomplete") || die "$incomplete does not start"
    fi
    # What the distribution's own lacks is a package; others are as they were built.
    case $incomplete in
    /usr/bin/*)
        if may_install || ! have uv; then
            # shellcheck disable=SC2086 # one word a package
            [ -z "$packages" ] || install_packages "$incomplete" $packages
            [ -z "$(python_lacks "$incomplete")" ] ||
                die "$incomplete still lacks $packages; use another Python 3.12 or newer"
            python=$incomplete
            return 0
        fi
        ;;
    esac
    ! have uv || uv_python || die "uv could not install Python $UV_PYTHON; see above"
    [ -n "$python" ] || die "$(no_python "$incomplete" "$packages")"
}

# The version that uv is asked for where no other is found.
UV_PYTHON=3.13

# Sets `python` to one that uv installs for this user.
uv_python() {
    say "Installing Python $UV_PYTHON with uv"
    quietly uv python install "$UV_PYTHON" || return 1
    python=$(uv python find --no-project --system "$UV_PYTHON") || return 1
    [ -z "$(python_lacks "$python")" ]
}

# no_python INCOMPLETE LACKS: why there is none, and what to do.
no_python() {
    if [ -n "$1" ]; then
        printf '%s lacks %s, and there is no other Python 3.12 or newer on the PATH or under pyenv; ' "$1" "$2"
    else
        printf 'no Python 3.12 or newer is on the PATH or under pyenv; '
    fi
    printf '%s\n' "install one and run this again: \`pip install uv\` (or \`pipx install uv\`) is enough, the rest this does; or \`pyenv install $UV_PYTHON\`"
}

# The pins and where they live: a change of either makes .venv anew.
environment_stamp() {
    printf '%s %s\n' "$PWD" "$(cksum <scripts/vapoursynth.txt)"
}

# Whether .venv is this script's and up to date.
environment_is_ready() {
    [ -e .venv/.progression-boost ] && [ "$(cat .venv/.progression-boost)" = "$(environment_stamp)" ] &&
        .venv/bin/python -c 'import vapoursynth' 2>/dev/null
}

# Says beforehand what make_environment and configure_vapoursynth will change.
announce_environment() {
    environment_is_ready && [ "$(.venv/bin/python scripts/lib/vsscript_state.py)" = present ] && return 0
    say "This makes .venv here, and adds one key for it to VapourSynth's configuration,"
    say "  ${XDG_CONFIG_HOME:-$HOME/.config}/vapoursynth/vapoursynth.toml; other keys there stay as they are."
}

# Makes .venv with what scripts/vapoursynth.txt pins, unless it is there already.
make_environment() {
    local marker=.venv/.progression-boost python
    if [ -e .venv ] && [ ! -e "$marker" ]; then
        die ".venv was not made by this script; move it away and run this again"
    fi
    environment_is_ready && return 0
    find_python
    say "Installing VapourSynth and its plugins into .venv with $python"
    rm -rf .venv
    mkdir .venv
    # Ours even if this is interrupted, so that the next run may start over.
    : >"$marker"
    quietly "$python" -m venv .venv || die "$python could not make .venv; see above"
    quietly .venv/bin/python -m pip install --disable-pip-version-check -r scripts/vapoursynth.txt ||
        die "pip could not install scripts/vapoursynth.txt into .venv; see above"
    environment_stamp >"$marker"
}

# Tells VSScript which Python .venv has: `vapoursynth config` adds one key for
# this environment to the user's vapoursynth.toml.
configure_vapoursynth() {
    local state
    state=$(.venv/bin/python scripts/lib/vsscript_state.py) || die "$state"
    if [ "$state" = missing ]; then
        say "Registering .venv with VSScript (vapoursynth config)"
        quietly .venv/bin/vapoursynth config || die "\`vapoursynth config\` failed; see above"
        state=$(.venv/bin/python scripts/lib/vsscript_state.py) || die "$state"
        [ "$state" = present ] || die "\`vapoursynth config\` did not register .venv; run it by hand to see why"
    fi
}
