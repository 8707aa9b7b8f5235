# shellcheck shell=bash
# Tools that only the tests need, kept in the test cache: av1an, and encoders of
# three generations, whichever the distribution has. Source it after packages.sh.

AV1AN_VERSION=0.5.2

# Sentences about what could not be prepared. The tests that need it fail and say
# so; all others run.
unprepared=()

# not_prepared SENTENCE: says it now and at the end.
not_prepared() {
    say "$1"
    unprepared+=("$1")
}

# av1an_works PROGRAM: whether it starts and is the wanted version.
av1an_works() {
    case $(LD_LIBRARY_PATH=$(vapoursynth_folder) "$1" --version 2>/dev/null) in
    *"$AV1AN_VERSION"*) ;;
    *) return 1 ;;
    esac
}

# Folder $1 with VapourSynth's libraries under the names that av1an links by,
# which the wheel lacks.
link_vapoursynth() {
    local vapoursynth
    vapoursynth=$(vapoursynth_folder)
    ln -sf "$vapoursynth/libvapoursynth.so.4" "$1/libvapoursynth.so"
    ln -sf "$vapoursynth/libvsscript.so" "$1/libvapoursynth-script.so"
}

# build_av1an ROOT: builds ROOT/bin/av1an.
build_av1an() {
    local root=$1 libraries status=0
    if [ "$(package_manager)" = apt-get ]; then
        local package missing=()
        for package in clang nasm pkg-config libavformat-dev libavcodec-dev libavutil-dev libavfilter-dev \
            libavdevice-dev libswscale-dev libswresample-dev libpostproc-dev; do
            dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
        done
        [ ${#missing[@]} -eq 0 ] || install_packages "the build of av1an for the tests" "${missing[@]}"
    fi
    libraries=$(mktemp -d "${TMPDIR:-/tmp}/progression-boost.XXXXXX") || return 1
    link_vapoursynth "$libraries"
    say "Building av1an $AV1AN_VERSION into $root (once, several minutes)"
    RUSTFLAGS="-L $libraries" LIBRARY_PATH=$libraries \
        cargo install av1an --version "$AV1AN_VERSION" --locked --quiet --root "$root" || status=$?
    rm -rf "$libraries"
    return "$status"
}

# prepare_av1an ROOT: sets `av1an` to a working one, building it when needed.
prepare_av1an() {
    av1an=$1/bin/av1an
    av1an_works "$av1an" && return 0
    # Where the wheel's libraries have other names, a packaged av1an has to do.
    if [ "$(uname -s)" != Linux ]; then
        av1an=$(command -v av1an) && av1an_works "$av1an" && return 0
        not_prepared "av1an $AV1AN_VERSION is not on the PATH, and only on Linux can it be built here"
        return 0
    fi
    # In a shell of its own, as the build ends the script when packages are missing.
    if ! (build_av1an "$1"); then
        not_prepared "av1an $AV1AN_VERSION could not be built; see above"
    elif ! av1an_works "$av1an"; then
        not_prepared "$av1an does not start; remove $1 and run this again"
    fi
}

# prepare_encoder VERSION FOLDER SUITE…: leaves FOLDER/SvtAv1EncApp of just this
# VERSION, from the first of these Debian suites that has it.
prepare_encoder() {
    local version=$1 folder=$2 suite
    shift 2
    encoder_is "$version" "$folder" && return 0
    for suite in "$@"; do
        say "Fetching SvtAv1EncApp $version of Debian $suite into $folder"
        if quietly scripts/lib/fetch-debian.sh "$suite" svt-av1 "$version" SvtAv1EncApp "$folder" &&
            encoder_is "$version" "$folder"; then
            return 0
        fi
    done
    not_prepared "SvtAv1EncApp $version cannot be had from Debian; put a build of SVT-AV1 $version at $folder/SvtAv1EncApp"
}

# encoder_is VERSION FOLDER: whether FOLDER/SvtAv1EncApp starts and is of VERSION.
encoder_is() {
    case $("$2/SvtAv1EncApp" --version 2>/dev/null) in
    *" v$1 "* | *" v$1") ;;
    *) return 1 ;;
    esac
}
