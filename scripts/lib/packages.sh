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

# programs_for NEED…: the programs of scripts/programs.txt with one of these needs.
programs_for() {
    local need program
    while read -r need program _; do
        case " $* " in
        *" $need "*) printf '%s\n' "$program" ;;
        esac
    done < <(grep -v '^#' scripts/programs.txt)
}

# package_of MANAGER PROGRAM: the package that brings PROGRAM.
package_of() {
    local column
    case $1 in
    apt-get) column=3 ;;
    dnf) column=4 ;;
    pacman) column=5 ;;
    brew) column=6 ;;
    *) column=2 ;;
    esac
    awk -v column="$column" -v program="$2" '$2 == program && !/^#/ { print $column }' scripts/programs.txt
}

# The command with which a person installs packages, in a sentence.
install_command() {
    local manager=$1 sudo=
    shift
    if [ "$(id -u)" -ne 0 ] && [ "$manager" != brew ]; then
        if have sudo; then sudo='sudo '; else printf 'as root, '; fi
    fi
    case $manager in
    apt-get) echo "run: ${sudo}apt-get update && ${sudo}apt-get install $*" ;;
    dnf) echo "run: ${sudo}dnf install $*" ;;
    pacman) echo "run: ${sudo}pacman -S --needed $*" ;;
    brew) echo "run: brew install $*" ;;
    esac
}

# Where this machine gets Debian from; nothing on other systems.
debian_repository() {
    # shellcheck disable=SC2016 # apt-get expands these
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "Debian" && !found { print $3; found = 1 }' || true
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
        die "$purpose needs $*; $(install_command "$manager" "$@") and then this again"
    fi
    say "Installing $* with apt-get"
    # A fresh machine has no package lists, an old one has stale ones.
    if ! apt_as_root install -y --no-install-recommends "$@" >/dev/null 2>&1; then
        quietly apt_as_root update || die "\`apt-get update\` failed; see above"
        quietly apt_as_root install -y --no-install-recommends "$@" || die "apt-get could not install $*; see above"
    fi
}

# require_programs WHAT-FOR PROGRAM…: installs the packages of those that are
# missing, or ends the script with how to.
require_programs() {
    local purpose=$1 manager program package missing=()
    shift
    manager=$(package_manager)
    for program in "$@"; do
        have "$program" && continue
        package=$(package_of "$manager" "$program")
        case " ${missing[*]-} " in
        *" $package "*) ;;
        *) missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "$purpose" "${missing[@]}"
    for program in "$@"; do
        have "$program" || die "\`$program\` is still not on the PATH; install it and run this again"
    done
}

# want_programs WHAT-FOR PROGRAM…: as require_programs, but without them the
# script goes on; 1 when they are not there.
want_programs() {
    (require_programs "$@")
}
