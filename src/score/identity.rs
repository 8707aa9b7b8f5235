//! What a back end is, for the keys of what it measured.

use serde::Serialize;

use crate::settings::{Crop, MetricSettings};
use crate::source::ResolvedColor;
use crate::support::fingerprint::Fingerprint;

/// All that a measurement depends on besides its two pictures. Why this back
/// end was chosen, where it lies and on which device it runs is for people, and
/// in [`super::Backend::describe`]; so is nothing that is worked out from the
/// measurements: mix, pooling, target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Identity {
    metric: Measured,
    by: By,
    color: ResolvedColor,
    bits: u8,
    /// What the settings say, bars that were found included.
    crop: Crop,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
enum Measured {
    /// At this intensity, in cd/m².
    Butteraugli(f64),
    Ssimulacra2,
}

/// The implementation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) enum By {
    /// Ours, and the number that every change to its figures raises.
    Native(u32),
    /// A function of a VapourSynth plugin. The hash of its file stands for its
    /// version, which plugins do not tell.
    Plugin { function: &'static str, file: Fingerprint },
}

impl Identity {
    pub(super) fn new(settings: &MetricSettings, by: By, color: ResolvedColor, bits: u8) -> Self {
        let metric = if settings.metric.higher_is_better() {
            Measured::Ssimulacra2
        } else {
            Measured::Butteraugli(settings.intensity)
        };
        Self { metric, by, color, bits, crop: settings.crop }
    }
}
