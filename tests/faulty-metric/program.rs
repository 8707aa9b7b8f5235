//! The program with a metric that panics at some pictures; tests/faults runs it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use progression_boost::cli;
use progression_boost::score::{self, Backend, Format, Identity, Measurement, SceneReference};
use progression_boost::settings::MetricSettings;
use progression_boost::source::{PackedPicture, Picture, Session};
use progression_boost::support::events::Events;

fn main() -> ExitCode {
    cli::main_with(open)
}

fn open(
    settings: &MetricSettings,
    format: Format,
    session: Session,
    memory: u64,
    events: &Events,
) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(Faulty(score::open(settings, format, session, memory, events)?)))
}

/// As good as what it wraps, but for pictures brighter than the middle of the range.
struct Faulty(Arc<dyn Backend>);

struct FaultyReference {
    inner: Box<dyn SceneReference>,
    bright: Vec<bool>,
}

impl Backend for Faulty {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn scene(&self, references: &[Arc<PackedPicture>]) -> Result<Box<dyn SceneReference>> {
        let bright = references.iter().map(|picture| is_bright(&picture.unpack())).collect();
        Ok(Box::new(FaultyReference { inner: self.0.scene(references)?, bright }))
    }
}

impl SceneReference for FaultyReference {
    fn measure(&self, index: usize, distorted: &Arc<Picture>) -> Result<Measurement> {
        assert!(!self.bright[index], "too bright for this metric");
        self.inner.measure(index, distorted)
    }
}

fn is_bright(picture: &Picture) -> bool {
    let luma = &picture.planes[0];
    let sum: u64 = luma.iter().map(|&sample| u64::from(sample)).sum();
    sum / luma.len() as u64 > (1 << picture.bits) * 150 / 256
}
