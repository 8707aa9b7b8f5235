//! How different a probe looks: metric back ends, which frames are measured,
//! and how their scores become one score of the scene (spec 03).
//!
//! Both sides of a comparison are planar 4:2:0 [`Picture`]s that are read with
//! one and the same [`ResolvedColor`], so that nothing an encoder writes about
//! the colour of its stream can change a score.

mod blur;
mod curve;
mod gamut;
mod linear;
mod native;
mod pool;
pub mod select;
mod ssimulacra2;
mod window;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use anyhow::{Result, bail};

pub use pool::{Pooled, check_finite, pool};

use crate::settings::{Metric, MetricBackend, MetricSettings, MixCoefficients};
use crate::source::{Picture, ResolvedColor, Session};
use crate::support::events::Events;

/// What a back end says about one frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// Pure 3-norm and maximum of the distortion map; 0 is identical.
    Butteraugli { norm3: f64, inf: f64 },
    /// 100 is identical, below 0 is beyond description.
    Ssimulacra2(f64),
}

/// The score of a frame by `metric` (spec 03).
///
/// # Panics
/// When the measurement is one of another metric; a back end opened for
/// `metric` returns none.
pub fn frame_score(measurement: &Measurement, metric: Metric, mix: &MixCoefficients) -> f64 {
    match (*measurement, metric) {
        (Measurement::Butteraugli { norm3, .. }, Metric::Butteraugli3Norm) => norm3,
        (Measurement::Butteraugli { norm3, inf }, Metric::ButteraugliMeanMix) => {
            norm3 + (mix.mean_inf * inf - mix.mean_n3 * norm3).max(0.0)
        }
        (Measurement::Butteraugli { norm3, inf }, Metric::ButteraugliMaxMix) => norm3 + mix.max_inf * inf,
        (Measurement::Ssimulacra2(score), Metric::Ssimu2) => score,
        (measurement, metric) => panic!("{measurement:?} is not of {metric:?}"),
    }
}

/// A metric that is ready to measure.
pub trait Backend: Send + Sync {
    /// One sentence: which back end, version, device and why.
    fn describe(&self) -> String;

    /// Prepares the reference side of the measured frames of a scene, used by every probe.
    fn scene(&self, references: &[Arc<Picture>]) -> Result<Box<dyn SceneReference>>;
}

/// The reference side of a scene.
pub trait SceneReference: Send + Sync {
    /// Measures `distorted` against reference number `index`; may be called
    /// from several threads at once. `probe` counts the probes of the scene from 0.
    fn measure(&self, probe: usize, index: usize, distorted: &Arc<Picture>) -> Result<Measurement>;
}

pub fn open(
    settings: &MetricSettings,
    color: ResolvedColor,
    size: (usize, usize),
    bits: u8,
    fps: Option<(u64, u64)>,
    session: Session,
    events: &Events,
) -> Result<Arc<dyn Backend>> {
    let _ = (fps, session, events);
    let window = window::Window::new(size, bits, settings.crop)?;
    match settings.backend {
        MetricBackend::Native | MetricBackend::Auto => {
            Ok(Arc::new(native::Native::new(settings, color, window, bits, "asked for".into())?))
        }
        _ => bail!("no"),
    }
}
