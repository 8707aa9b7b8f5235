# shellcheck shell=bash
# The encoder on the PATH. Source it after common.sh.

# The oldest SVT-AV1 that the program drives.
ENCODER_WANTED=1.4

# Ends the script when the encoder says that it is too old. One that says no
# version is judged by the program, which tries what it can do.
check_encoder() {
    local found
    found=$(SvtAv1EncApp --version 2>&1 | sed -n 's/.*SVT-AV1.* v\([0-9]*\.[0-9]*\).*/\1/p' | head -n 1) || true
    if [ -n "$found" ] && ! version_at_least "$found" "$ENCODER_WANTED"; then
        die "$(command -v SvtAv1EncApp) is SVT-AV1 $found, $ENCODER_WANTED or newer is needed; put a newer one first on the PATH and run this again"
    fi
}
