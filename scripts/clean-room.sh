#!/usr/bin/env bash
# clean-room.sh [trixie|bookworm]: the README's two commands as a stranger would
# meet them. A minimal Debian, in which nothing was installed by hand, gets the
# last commit of this clone, the Rust tool chain and cargo's registry, and a home
# of its own. Needs root, for mounts in a namespace of their own; what the run
# writes stays in one folder, which is removed afterwards.
#
# Kept between runs is only the untouched minimal system, in the test cache.
# Nothing compiled is: it could hide that a compiler, a library or a package for
# building is missing. av1an is built anew for the same reason, and because one
# built here would not find this system's FFmpeg libraries there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh
. scripts/lib/python.sh
. scripts/lib/rust.sh
. scripts/lib/room.sh

suite=${1:-trixie}
case $suite in
trixie | bookworm) ;;
*) die "\`$suite\`: give trixie (Debian 13) or bookworm (Debian 12)" ;;
esac
check_room "a clean room"
check_rust

# The commands of the README's first block, without what they are for.
commands() {
    # shellcheck disable=SC2016 # backticks of Markdown
    sed -n '/^## Two commands/,/^## [^T]/p' README.md | sed -n '/^```sh/,/^```/p' | grep -v '^```' | sed 's/ *#.*//'
}

[ "$(commands | wc -l)" -eq 2 ] || die "the README's part \"Two commands\" has not two commands"
[ -z "$(git status --porcelain)" ] || say "What is not committed here is not in the room"
folder=$(test_cache)/clean-room
mkdir -p "$folder"
base_system "$suite" "$folder/$suite.tar"

room=$(mktemp -d "$folder/room.XXXXXX")
# The mounts end with their namespace, so that this meets none of them.
trap 'rm -rf --one-file-system "$room"' EXIT
mkdir -p "$room/root" "$room/upper" "$room/work"
tar -C "$room/root" -xf "$folder/$suite.tar"
carry "$room/root"
carried_environment >"$room/environment"
commands >"$room/commands"
git clone -q --no-hardlinks . "$room/root/root/progression-boost"

# Debian 12 has no Python that is new enough; there one has to be before, as the
# README says. It is looked for here, not made.
if [ "$suite" = bookworm ]; then
    while read -r python; do
        if lacks=$(python_lacks "$python") && [ -z "$lacks" ]; then
            "$python" -c 'import sys; print(sys.base_prefix, sys.base_prefix, "ro")' >"$room/mounts"
            break
        fi
    done < <(python_candidates)
fi
tools=$(rustc --print sysroot)
say "In a clean Debian $suite:"
run_in_room "$room" "$tools"
