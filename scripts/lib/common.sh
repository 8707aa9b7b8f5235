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
    local log status
    log=$(mktemp "${TMPDIR:-/tmp}/progression-boost.XXXXXX")
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
        return 0
    else
        status=$?
    fi
    tail -n 20 "$log" >&2
    rm -f "$log"
    return "$status"
}

# The name of the package manager of this system, or nothing.
package_manager() {
    local name
    for name in apt-get dnf pacman brew; do
        if have "$name"; then
            printf '%s\n' "$name"
            return 0
        fi
    done
}

# Installs packages when that needs no password; 1 when it may not.
apt_install() {
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo && sudo -n true 2>/dev/null || return 1
        sudo=(sudo -n)
    fi
    say "installing with apt-get: $*"
    if ! quietly ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@" 2>/dev/null; then
        # A fresh machine has no package lists yet, an old one has stale ones.
        quietly ${sudo[@]+"${sudo[@]}"} apt-get update -q || return 1
        quietly ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "$@" || return 1
    fi
}
