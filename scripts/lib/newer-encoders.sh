# shellcheck shell=bash
# SvtAv1EncApp of newer Debian suites, unpacked into the test cache and started
# through their own libc, so that quarter-step CRF and ROI maps are tested for
# real. Nothing is installed. Source it after common.sh.

# Where this machine gets Debian from, and for which architecture; nothing on other systems.
debian_repository() {
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

# apt-get or apt-cache that knows one suite and nothing of this machine.
suite_apt() {
    local state=$1 tool=$2
    shift 2
    "$tool" -qq \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$state/state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
        "$@"
}

# fetch_suite_encoder SUITE FOLDER: SvtAv1EncApp of SUITE as FOLDER/SvtAv1EncApp.
# 1 when it cannot be had; the reason is printed.
fetch_suite_encoder() (
    set -e
    suite=$1 folder=$2
    repository=$(debian_repository)
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ -z "$repository" ] || [ ! -r "$keyring" ] || ! have dpkg; then
        say "SvtAv1EncApp of Debian $suite can be fetched on Debian only; put a build of it at $folder/SvtAv1EncApp"
        exit 1
    fi
    mkdir -p "${folder%/*}"
    work=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    state=$work/apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/state" "$work/new/root"
    : >"$state/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$repository" "$suite" >"$state/sources.list"
    suite_apt "$state" apt-get update
    packages=$(suite_apt "$state" apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances svt-av1 | grep -E '^[a-z0-9][a-z0-9.+-]*$' | sort -u)
    # shellcheck disable=SC2086 # one word a package
    (cd "$work" && suite_apt "$state" apt-get download $packages)
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/new/root"
    done
    cat >"$work/new/SvtAv1EncApp" <<'WRAPPER'
#!/bin/sh
# SvtAv1EncApp of a newer Debian, with that Debian's loader and libraries.
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/root
libraries=
for folder in "$root"/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu; do
    [ -d "$folder" ] && libraries=$libraries${libraries:+:}$folder
done
for loader in "$root"/lib/*-linux-gnu/ld-linux*.so.* "$root"/usr/lib/*-linux-gnu/ld-linux*.so.*; do
    [ -e "$loader" ] && exec "$loader" --library-path "$libraries" "$root/usr/bin/SvtAv1EncApp" "$@"
done
echo "no loader under $root" >&2
exit 127
WRAPPER
    chmod 755 "$work/new" "$work/new/SvtAv1EncApp"
    "$work/new/SvtAv1EncApp" --version
    rm -rf "$folder"
    mv "$work/new" "$folder"
)
