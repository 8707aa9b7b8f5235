//! Which settings may be otherwise than when probes were measured.

use anyhow::{Result, bail};

use crate::settings::Typed;

/// Keys that say what becomes of measurements, and not how they were made.
const CHANGEABLE: [&str; 18] = [
    "metric.metric",
    "metric.mix.",
    "metric.pooling",
    "metric.percentile",
    "metric.tail_weight",
    "metric.tail_share",
    "metric.target",
    "metric.panning_rejection",
    "metric.min_crf",
    "metric.max_crf",
    "metric.unreliable_crf",
    "metric.base_crf",
    "final.",
    "dynamic.crf",
    "dynamic.photon_noise",
    "character.crf_boost_max",
    "character.crf_curve",
    "character.motion_boost_max",
];

/// # Errors
/// Names the first flag that sets another key.
pub fn check(typed: &[Typed]) -> Result<()> {
    for Typed { flag, key, .. } in typed {
        let path =
            key.strip_prefix("zones.").and_then(|rest| rest.split_once('.')).map_or(&**key, |(_, path)| path);
        let may = |known: &&str| path == *known || (known.ends_with('.') && path.starts_with(known));
        if !CHANGEABLE.iter().any(may) {
            bail!(
                "{flag}: only what becomes of the measurements can be changed without new ones ({}); \
                 boost with --resume",
                CHANGEABLE.map(|key| key.trim_end_matches('.')).join(", ")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_new_measurements_is_refused() {
        let ok =
            ["metric.target=70", "metric.mix.max_inf=0.1", "zones.dark.metric.target=60", "final.min_crf=9"];
        check(&ok.map(Typed::set)).unwrap();
        for wrong in ["encoder.final_preset=3", "metric.intensity=90", "zones.dark.scenes.method=av1an"] {
            let error = check(&[Typed::set(wrong)]).unwrap_err().to_string();
            assert!(error.contains("--set") && error.contains("boost with --resume"), "{error}");
        }
    }
}
