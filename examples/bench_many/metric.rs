//! The stand-in for a metric: waits, then says how far the luma is off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use progression_boost::score::{self, Backend, Format, Identity, Measurement, SceneReference};
use progression_boost::settings::{MetricBackend, MetricSettings};
use progression_boost::source::{PackedPicture, Picture, Session};
use progression_boost::support::events::Events;

/// Milliseconds that a measurement takes.
pub const PACE: &str = "BENCH_MANY_METRIC";

/// Measurements made by this process.
pub static MEASURED: AtomicUsize = AtomicUsize::new(0);

/// A [`score::Opener`].
pub fn open(
    settings: &MetricSettings,
    format: Format,
    session: Session,
    memory: u64,
    events: &Events,
) -> Result<Arc<dyn Backend>> {
    let settings = MetricSettings { backend: MetricBackend::Native, ..settings.clone() };
    // For what it is taken for; it never measures.
    let native = score::open(&settings, format, session, memory, events)?;
    let wait = Duration::from_secs_f64(super::number(PACE).unwrap_or(0.0) / 1e3);
    Ok(Arc::new(Waiting { native, wait }))
}

struct Waiting {
    native: Arc<dyn Backend>,
    wait: Duration,
}

struct Scene {
    references: Vec<Arc<PackedPicture>>,
    wait: Duration,
}

impl Backend for Waiting {
    fn identity(&self) -> &Identity {
        self.native.identity()
    }

    fn describe(&self) -> String {
        "a stand-in that waits".to_owned()
    }

    fn scene(&self, references: &[Arc<PackedPicture>]) -> Result<Box<dyn SceneReference>> {
        Ok(Box::new(Scene { references: references.to_vec(), wait: self.wait }))
    }
}

impl SceneReference for Scene {
    fn measure(&self, index: usize, distorted: &Arc<Picture>) -> Result<Measurement> {
        MEASURED.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(self.wait);
        let reference = self.references.get(index).context("no such reference")?.unpack();
        // In code values of 8 bits; the noise of the script loses some of them.
        let off = reference.luma_difference(distorted)? * 255.0;
        Ok(Measurement::Ssimulacra2(100.0 - 12.0 * off))
    }
}
