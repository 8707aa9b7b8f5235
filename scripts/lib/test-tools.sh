# shellcheck shell=bash
# Tools that only the tests need, kept in the test cache: av1an, and newer
# encoders than the distribution's. Source it after packages.sh.

AV1AN_VERSION=0.5.2

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
        die "the tests need av1an $AV1AN_VERSION on the PATH"
    fi
    build_av1an "$1" || die "av1an $AV1AN_VERSION could not be built; see above"
    av1an_works "$av1an" || die "$av1an does not start; remove $1 and run this again"
}

# prepare_encoder VERSION SUITE FOLDER: leaves FOLDER/SvtAv1EncApp of VERSION, the
# one that SUITE has. Where it cannot be had, the tests that need it will say so.
prepare_encoder() {
    local version=$1 suite=$2 folder=$3
    if ! "$folder/SvtAv1EncApp" --version >/dev/null 2>&1; then
        say "Fetching SvtAv1EncApp $version of Debian $suite into $folder"
        quietly scripts/lib/fetch-svt-av1.sh "$suite" "$folder" ||
            say "It cannot be fetched; put a build of SVT-AV1 $version at $folder/SvtAv1EncApp"
    fi
    case $("$folder/SvtAv1EncApp" --version 2>/dev/null) in
    *" v$version."* | '') ;;
    *) say "$folder/SvtAv1EncApp is not $version; tests that depend on the version may fail" ;;
    esac
}
