#!/usr/bin/env bash
# Set-up, then all checks: formatting, lints, tests. Tools that only the tests
# need go into a cache folder outside the clone, which later runs reuse.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh
. scripts/lib/rust.sh
. scripts/lib/test-tools.sh

scripts/setup.sh
check_rust
for tool in fmt clippy; do
    cargo "$tool" --version >/dev/null 2>&1 || quietly rustup component add rustfmt clippy ||
        die "\`cargo $tool\` is missing; run \`rustup component add rustfmt clippy\`"
done

cache=${PROGRESSION_BOOST_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/progression-boost-tests}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
prepare_av1an "$cache/av1an-$AV1AN_VERSION"
prepare_encoder 2.3 trixie "$cache/svt-av1-2.3.0"
prepare_encoder 4.2 sid "$cache/svt-av1-4.2.0"
export PROGRESSION_BOOST_TEST_CACHE=$cache
export PROGRESSION_BOOST_TEST_AV1AN=$av1an
export PROGRESSION_BOOST_TEST_SVT_2_3=$cache/svt-av1-2.3.0/SvtAv1EncApp
export PROGRESSION_BOOST_TEST_SVT_4_2=$cache/svt-av1-4.2.0/SvtAv1EncApp

# One profile throughout, so that dependencies are compiled once.
cargo fmt --check
cargo clippy --release --all-targets --locked -- -D warnings
cargo test --release --locked
