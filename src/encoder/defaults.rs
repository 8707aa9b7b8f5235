//! The parameter lists that the shipped presets begin with, by encoder family.

use super::params::Purpose;
use crate::settings::EncoderFamily;

/// How much a list favours sharpness over what metrics count on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// For presets that aim at the mean of the frames.
    Mean,
    /// For presets that aim at the worst frame.
    Max,
}

/// One option of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Default {
    pub option: &'static str,
    pub value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Always(&'static str),
    ByPurpose { probing: &'static str, final_: &'static str },
    ByLook { mean: &'static str, max: &'static str },
}

const fn always(option: &'static str, value: &'static str) -> Default {
    Default { option, value: Value::Always(value) }
}

const KEYINT: Default = always("--keyint", "-1");
const DEPTH: Default = always("--input-depth", "10");
const NO_SCREEN: Default = always("--scm", "0");
const LUMA_BIAS: Default = always("--luminance-qp-bias", "12");
const QM_MIN: Default = always("--qm-min", "8");
const CHROMA_QM_MIN: Default = always("--chroma-qm-min", "10");
/// Slow, so the probes go without.
const COMPLEX_HVS: Default =
    Default { option: "--complex-hvs", value: Value::ByPurpose { probing: "0", final_: "1" } };
const AC_BIAS: Default = Default { option: "--ac-bias", value: Value::ByLook { mean: "1.0", max: "2.0" } };

/// PSY and PSYEX: the lists the Python original ships (spec 05).
const PSYEX: &[Default] = &[
    KEYINT,
    DEPTH,
    NO_SCREEN,
    // "Subjective SSIM" in these forks.
    always("--tune", "3"),
    LUMA_BIAS,
    QM_MIN,
    CHROMA_QM_MIN,
    Default { option: "--psy-rd", value: Value::ByLook { mean: "1.0", max: "2.0" } },
    always("--spy-rd", "0"),
    COMPLEX_HVS,
];

/// HDR and Essential have `--ac-bias` for `--psy-rd`, `--tx-bias` for
/// `--spy-rd`, and their tune 3 is for still pictures (their Docs/Parameters.md).
const AC_BIAS_FORKS: &[Default] = &[
    KEYINT,
    DEPTH,
    NO_SCREEN,
    always("--tune", "0"),
    LUMA_BIAS,
    QM_MIN,
    CHROMA_QM_MIN,
    AC_BIAS,
    always("--tx-bias", "0"),
    COMPLEX_HVS,
];

/// What the forks do unasked has to be asked for: quantisation matrices and
/// variance boost. 1.4 and 2.3 have only some of these.
const MAINLINE: &[Default] = &[
    KEYINT,
    DEPTH,
    NO_SCREEN,
    always("--tune", "0"),
    LUMA_BIAS,
    always("--enable-qm", "1"),
    QM_MIN,
    CHROMA_QM_MIN,
    always("--enable-variance-boost", "1"),
    AC_BIAS,
];

/// Nothing whose meaning an unknown fork may have changed.
const OTHER: &[Default] = &[KEYINT, DEPTH, NO_SCREEN, LUMA_BIAS, QM_MIN, CHROMA_QM_MIN];

/// The list of a family. Options that a version of it lacks are left out when a
/// [`super::ParameterList`] is made.
pub const fn list(family: EncoderFamily) -> &'static [Default] {
    match family {
        EncoderFamily::Mainline => MAINLINE,
        EncoderFamily::Psyex => PSYEX,
        EncoderFamily::Hdr | EncoderFamily::Essential => AC_BIAS_FORKS,
        EncoderFamily::Other => OTHER,
    }
}

/// [`list`] as command-line words.
pub fn words(family: EncoderFamily, look: Look, purpose: Purpose) -> Vec<String> {
    let value = |value: Value| match (value, purpose, look) {
        (Value::Always(value), ..)
        | (Value::ByPurpose { probing: value, .. }, Purpose::Probing, _)
        | (Value::ByPurpose { final_: value, .. }, Purpose::Final, _)
        | (Value::ByLook { mean: value, .. }, _, Look::Mean)
        | (Value::ByLook { max: value, .. }, _, Look::Max) => value,
    };
    list(family).iter().flat_map(|d| [d.option.to_owned(), value(d.value).to_owned()]).collect()
}
