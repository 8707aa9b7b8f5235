# shellcheck shell=bash
# The Rust tool chain. Source it after common.sh.

# Must match rust-version in Cargo.toml.
RUST_WANTED=1.95

check_rust() {
    local found
    have cargo || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    if ! have cargo || ! have rustc; then
        die "Rust is not installed; get $RUST_WANTED or newer from https://rustup.rs and run this again"
    fi
    found=$(rustc --version | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$found" ] || die "\`rustc --version\` failed; reinstall Rust from https://rustup.rs"
    version_at_least "$found" "$RUST_WANTED" ||
        die "Rust $found is too old, $RUST_WANTED or newer is needed; run \`rustup update stable\` and this again"
}
