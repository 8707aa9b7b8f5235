//! What a run works with: the encoder, the metric back ends, the machine.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::plan::PlannedScene;
use crate::analysis::LumaStats;
use crate::encoder::{Encoder, y4m};
use crate::model::Goal;
use crate::score::{self, Backend};
use crate::settings::dynamic::{Rules, SceneFacts};
use crate::settings::{MetricSettings, Resolved, Zone};
use crate::source::{Clip, ResolvedColor};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// VapourSynth's cache beyond this helps no sequential reader.
pub const LARGEST_CACHE: u64 = 512 << 20;

/// Checked and ready before any work is done.
pub struct Tools {
    pub encoder: Encoder,
    pub format: y4m::Format,
    pub color: ResolvedColor,
    pub rules: Vec<Rules>,
    backends: Vec<Option<Arc<dyn Backend>>>,
    clip: Clip,
}

/// Logical CPUs that this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes for frames that wait to be scored: as asked, else a quarter of the RAM.
pub fn memory(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| {
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        (system.total_memory() / 4).max(256 << 20)
    })
}

/// What the model aims at, from the settings.
pub fn goal(metric: &MetricSettings) -> Goal {
    Goal {
        target: metric.target,
        higher_is_better: metric.metric.higher_is_better(),
        min_crf: metric.min_crf,
        max_crf: metric.max_crf,
        unreliable_crf: metric.unreliable_crf.unwrap_or(metric.min_crf + 3.0),
    }
}
