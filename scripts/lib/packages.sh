# shellcheck shell=bash
# The distribution's packages: which are needed, and how they get there.
# Source it after common.sh.

# The package manager of this system, or nothing.
package_manager() {
    local name
    for name in apt-get dnf pacman brew; do
        if have "$name"; then
            printf '%s\n' "$name"
            return 0
        fi
    done
}

# package_of MANAGER PROGRAM: the package that brings PROGRAM.
package_of() {
    case $1:$2 in
    *:SvtAv1EncApp) echo svt-av1 ;;
    dnf:ffmpeg) echo ffmpeg-free ;;
    pacman:mkvmerge) echo mkvtoolnix-cli ;;
    *:mkvmerge) echo mkvtoolnix ;;
    apt-get:cc) echo build-essential ;;
    *:cc) echo gcc ;;
    *) echo "$2" ;;
    esac
}

# The command with which a person installs packages.
install_command() {
    local manager=$1
    shift
    case $manager in
    apt-get) echo "sudo apt-get update && sudo apt-get install $*" ;;
    dnf) echo "sudo dnf install $*" ;;
    pacman) echo "sudo pacman -S --needed $*" ;;
    brew) echo "brew install $*" ;;
    esac
}

# Runs apt-get as root when that takes no password; 1 when it may not.
apt_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"
    fi
}

may_install() {
    [ "$(package_manager)" = apt-get ] || return 1
    [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# install_packages WHAT-FOR PACKAGE…: installs when it may, else ends the script
# with the command to run.
install_packages() {
    local purpose=$1 manager
    shift
    manager=$(package_manager)
    if ! may_install; then
        [ -n "$manager" ] || die "$purpose needs $*, and no known package manager is here; install them and run this again"
        die "$purpose needs $*; install with: $(install_command "$manager" "$@")"
    fi
    say "Installing $* with apt-get"
    # A fresh machine has no package lists, an old one has stale ones.
    if ! apt_as_root install -y --no-install-recommends "$@" >/dev/null 2>&1; then
        quietly apt_as_root update || die "\`apt-get update\` failed; see above"
        quietly apt_as_root install -y --no-install-recommends "$@" || die "apt-get could not install $*; see above"
    fi
}

# require_programs WHAT-FOR PROGRAM…: installs the packages of those that are missing.
require_programs() {
    local purpose=$1 manager program missing=()
    shift
    manager=$(package_manager)
    for program in "$@"; do
        have "$program" || missing+=("$(package_of "$manager" "$program")")
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "$purpose" "${missing[@]}"
    for program in "$@"; do
        have "$program" || die "\`$program\` is still not on the PATH; install it and run this again"
    done
}
