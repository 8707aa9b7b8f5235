#!/usr/bin/env bash
# Set-up, then all checks: formatting, lints, tests. Tools that only the tests
# need go into a cache folder outside the clone, which later runs reuse.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh
. scripts/lib/rust.sh
. scripts/lib/test-tools.sh

check_rust
for tool in fmt clippy; do
    cargo "$tool" --version >/dev/null 2>&1 || quietly rustup component add rustfmt clippy ||
        die "\`cargo $tool\` is missing; run \`rustup component add rustfmt clippy\`"
done
# Before anything is built: every program that a test may start, by the tests' own list.
# shellcheck disable=SC2046 # one word a program
if [ "$(package_manager)" = apt-get ]; then
    require_programs "the tests" $(programs_for build boost scenes encode test)
else
    want_programs "the tests" $(programs_for scenes encode test) ||
        not_prepared "some programs that the tests start are missing; see above"
fi
scripts/setup.sh

cache=$(test_cache)
prepare_av1an "$cache/av1an-$AV1AN_VERSION"
prepare_encoder 1.4.1 "$cache/svt-av1-1.4.1" bookworm
prepare_encoder 2.3.0 "$cache/svt-av1-2.3.0" trixie
prepare_encoder 4.2.0 "$cache/svt-av1-4.2.0" sid testing
export PROGRESSION_BOOST_TEST_CACHE=$cache
export PROGRESSION_BOOST_TEST_AV1AN=$av1an

# One profile throughout, so that dependencies are compiled once.
cargo fmt --check
cargo clippy --release --all-targets --locked -- -D warnings
status=0
cargo test --release --locked --no-fail-fast || status=$?
if [ ${#unprepared[@]} -gt 0 ]; then
    say "Tests that need these could not pass:"
    printf '  %s\n' "${unprepared[@]}"
fi
exit "$status"
