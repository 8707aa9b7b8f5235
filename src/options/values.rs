//! What values encoders take.

use anyhow::{Result, bail};

use super::EncoderOption;

/// `crf` in the steps that the encoder takes: quarters or integers; ties go up.
pub fn round_crf(crf: f64, quarter_steps: bool) -> f64 {
    let steps = if quarter_steps { 4.0 } else { 1.0 };
    (crf * steps).round() / steps
}

/// Options of SVT-AV1 whose value is a number. Version 1.4 silently reads
/// anything else as 0.
const NUMERIC: [&str; 30] = [
    "--ac-bias",
    "--aq-mode",
    "--chroma-qm-max",
    "--chroma-qm-min",
    "--complex-hvs",
    "--enable-cdef",
    "--enable-dlf",
    "--enable-overlays",
    "--enable-qm",
    "--enable-restoration",
    "--enable-tf",
    "--enable-variance-boost",
    "--film-grain",
    "--film-grain-denoise",
    "--hierarchical-levels",
    "--input-depth",
    "--irefresh-type",
    "--lookahead",
    "--luminance-qp-bias",
    "--noise-norm-strength",
    "--psy-rd",
    "--qm-max",
    "--qm-min",
    "--scd",
    "--scm",
    "--sharpness",
    "--spy-rd",
    "--tile-columns",
    "--tile-rows",
    "--tune",
];

/// An error when an option of SVT-AV1 that wants a number has none.
pub fn check_number(option: &EncoderOption) -> Result<()> {
    if !NUMERIC.contains(&option.name.as_str()) {
        return Ok(());
    }
    match &option.value {
        Some(value) if value.parse::<f64>().is_ok_and(f64::is_finite) => Ok(()),
        Some(value) => bail!("{} {value}: must be a number", option.name),
        None => bail!("{} needs a value", option.name),
    }
}
