//! How different a probe looks: metric back ends, which frames are measured,
//! and how their scores become one score of the scene (spec 03).
//!
//! Both sides of a comparison are planar 4:2:0 [`Picture`]s that are read with
//! one and the same [`ResolvedColor`], so that nothing an encoder writes about
//! the colour of its stream can change a score.

mod blur;
mod budget;
mod curve;
pub mod estimate;
mod feeder;
pub mod functional;
mod gamut;
mod identity;
mod linear;
mod native;
pub mod peaks;
mod plugin;
mod pool;
mod preview;
pub mod sample;
pub mod select;
mod ssimulacra2;
mod trimmed;
mod window;
mod xyb;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use anyhow::{Result, bail};

pub use functional::Pooled;
pub use identity::Identity;
pub use pool::{check_finite, pool};
pub use preview::srgb;

use self::budget::Budget;
use self::native::Native;
use self::plugin::{Pictures, Plugin};
use self::window::Window;
use crate::settings::{Crop, Metric, MetricBackend, MetricSettings, MixCoefficients};
use crate::source::{PackedPicture, Picture, ResolvedColor, Session};
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
        (Measurement::Butteraugli { norm3, inf }, Metric::ButteraugliMaxMix) => {
            norm3 + (mix.max_inf * inf - mix.max_n3 * norm3).max(0.0)
        }
        (Measurement::Ssimulacra2(score), Metric::Ssimu2) => score,
        (measurement, metric) => panic!("{measurement:?} is not of {metric:?}"),
    }
}

/// A metric that is ready to measure.
pub trait Backend: Send + Sync {
    /// What it is, for the keys of what it measures.
    fn identity(&self) -> &Identity;

    /// For people, one sentence: which back end, version, device and why.
    fn describe(&self) -> String;

    /// Prepares the reference side of the measured frames of a scene, used by every probe.
    fn scene(&self, references: &[Arc<PackedPicture>]) -> Result<Box<dyn SceneReference>>;
}

/// The reference side of a scene.
pub trait SceneReference: Send + Sync {
    /// Measures `distorted` against reference number `index`; may be called
    /// from several threads at once.
    fn measure(&self, index: usize, distorted: &Arc<Picture>) -> Result<Measurement>;
}

/// What all pictures that a back end gets have in common, on both sides.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Width and height.
    pub size: (usize, usize),
    /// Bits per sample.
    pub bits: u8,
    pub color: ResolvedColor,
    /// Frames per second as a fraction; only handed on to plugins.
    pub fps: Option<(u64, u64)>,
}

/// How a run comes by its back ends: [`open`], or what somebody has who measures
/// with something else.
pub type Opener = fn(&MetricSettings, Format, Session, u64, &Events) -> Result<Arc<dyn Backend>>;

/// Opens the back end that `settings` asks for and reports which one runs. Back ends that prepare references keep those that fit into
/// `memory` bytes.
///
/// # Errors
/// When the back end asked for is missing or fails (with its own message), the
/// crop does not fit or the colour cannot be measured.
pub fn open(
    settings: &MetricSettings,
    format: Format,
    session: Session,
    memory: u64,
    events: &Events,
) -> Result<Arc<dyn Backend>> {
    let Format { size, bits, color, fps } = format;
    let Crop::Sides(crop) = settings.crop else {
        bail!("metric.crop auto: the clip was not looked at for black bars");
    };
    let window = Window::new(size, bits, crop)?;
    let pictures = Pictures { window, color, fps, session };
    let budget = Budget::new(memory);
    let backend: Arc<dyn Backend> = match settings.backend {
        MetricBackend::Auto => automatic(settings, &pictures, budget, events)?,
        MetricBackend::Native => {
            Arc::new(Native::new(settings, color, window, budget, ASKED_FOR.to_owned())?)
        }
        MetricBackend::Vship | MetricBackend::Vszip => {
            Arc::new(Plugin::new(settings, settings.backend, &pictures, ASKED_FOR)?)
        }
        MetricBackend::Ffvship => bail!(
            "metric.backend ffvship: FFVship reads both sides from files and probes exist only in memory; \
             use auto (Vship's plugin where it works, else the CPU), vship, native or vszip"
        ),
    };
    events.note(format!("Metric: {}", backend.describe()));
    Ok(backend)
}

const ASKED_FOR: &str = "asked for by metric.backend";

/// Vship where it works, else the CPU, with what kept Vship from running.
fn automatic(
    settings: &MetricSettings,
    pictures: &Pictures,
    budget: Budget,
    events: &Events,
) -> Result<Arc<dyn Backend>> {
    let reason = if pictures.session.has_plugin("vship") {
        match Plugin::new(settings, MetricBackend::Vship, pictures, "it is there and works") {
            Ok(plugin) => return Ok(Arc::new(plugin)),
            Err(error) => {
                events.warn(format!("Vship is installed but cannot be used: {error:#}"));
                format!("Vship failed ({error:#})")
            }
        }
    } else {
        "Vship is not installed".to_owned()
    };
    Ok(Arc::new(Native::new(settings, pictures.color, pictures.window, budget, reason)?))
}
