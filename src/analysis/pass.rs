//! The one pass over the source.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use anyhow::Result;
use rayon::prelude::*;

use super::contrast::boundary;
use super::luma::{FrameLuma, Reduced, Reduction, measure};
use super::{Analysis, Builtin, Detector, LumaStats, av1an, cuts};
use crate::source::{Clip, ClipInfo, Family, Frame};
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// Memory that frames may take while they wait or are looked at, in bytes. That
/// is 20 frames of 1080p; more would only wait.
const FRAME_BUDGET: usize = 64 << 20;
/// Most frames looked at together; more would only wait.
const LONGEST_BATCH: usize = 48;
/// Frames on either side of a boundary that tell a flash from a cut.
pub(super) const REACH: usize = 3;

/// Luma statistics, and what `wanted` asks for of the detectors that read frames.
pub(super) fn run(
    clip: &Clip,
    wanted: &BTreeSet<Detector>,
    events: &Events,
    cancel: &Cancel,
) -> Result<Analysis> {
    let info = clip.info();
    let batch = batch_length(info, rayon::current_num_threads());
    let stage = events.stage("Analysis", info.frames as u64, "frames");
    let mut collector = Collector::new(info, wanted);
    // While one batch is looked at, the next two are rendered.
    let mut frames = clip.frames(0..info.frames, 2 * batch, cancel);
    loop {
        let taken = frames.by_ref().take(batch).collect::<Result<Vec<Frame>>>()?;
        cancel.check()?;
        if taken.is_empty() {
            break;
        }
        stage.advance(taken.len() as u64);
        collector.look_at(taken)?;
    }
    Ok(collector.finish())
}

/// Frames looked at together: enough for `threads`, and three times as many fit the budget.
fn batch_length(info: &ClipInfo, threads: usize) -> usize {
    let sample = if info.bits > 8 { 2 } else { 1 };
    let (across, down) = info.subsampling;
    let luma = info.width * info.height;
    let chroma = if info.family == Family::Gray { 0 } else { 2 * (luma >> (across + down)) };
    let frame = sample * (luma + chroma);
    (FRAME_BUDGET / 3 / frame).min(LONGEST_BATCH).max(threads).max(1)
}

/// Takes the frames in order, batch by batch. Nothing it computes depends on
/// where a batch ends.
struct Collector {
    reduction: Reduction,
    samples: f64,
    stats: LumaStats,
    last: Option<Frame>,
    builtin: Option<Boundaries>,
    av1an: Option<av1an::Runner>,
    av1an_fast: Option<av1an::Runner>,
}

impl Collector {
    fn new(info: &ClipInfo, wanted: &BTreeSet<Detector>) -> Self {
        let runner = |detector, speed| wanted.contains(&detector).then(|| av1an::Runner::new(info, speed));
        Self {
            reduction: Reduction::of(info.width, info.height, info.bits),
            samples: info.width as f64 * info.height as f64,
            stats: LumaStats {
                bits: info.bits,
                full_range: info.color.is_full_range(),
                ..LumaStats::default()
            },
            last: None,
            builtin: wanted.contains(&Detector::Builtin).then(Boundaries::default),
            av1an: runner(Detector::Av1an, av1an::Speed::Standard),
            av1an_fast: runner(Detector::Av1anFast, av1an::Speed::Fast),
        }
    }

    fn look_at(&mut self, frames: Vec<Frame>) -> Result<()> {
        let first = self.last.clone().unwrap_or_else(|| frames[0].clone());
        let measured: Vec<(FrameLuma, Reduced)> = (0..frames.len())
            .into_par_iter()
            .map(|i| measure(&frames[i], if i == 0 { &first } else { &frames[i - 1] }, self.reduction))
            .collect();
        let range = f64::from((1u32 << self.stats.bits) - 1);
        for (luma, _) in &measured {
            self.stats.average.push(luma.sum as f64 / self.samples / range);
            self.stats.min.push(luma.min);
            self.stats.max.push(luma.max);
            self.stats.diff.push(luma.difference as f64 / self.samples / range);
        }
        if let Some(boundaries) = &mut self.builtin {
            boundaries.extend(measured.into_iter().map(|(_, reduced)| reduced));
        }
        for runner in self.av1an.iter_mut().chain(&mut self.av1an_fast) {
            runner.extend(&frames)?;
        }
        self.last = frames.into_iter().last();
        Ok(())
    }

    fn finish(self) -> Analysis {
        let builtin = self.builtin.map(|boundaries| {
            let contrast = boundaries.finish();
            Builtin { cuts: cuts::decide(&contrast), contrast }
        });
        Analysis {
            luma: self.stats,
            builtin,
            av1an: self.av1an.map(av1an::Runner::finish),
            av1an_fast: self.av1an_fast.map(av1an::Runner::finish),
            ..Analysis::default()
        }
    }
}

/// The contrast at every boundary between two frames, as far as the frames
/// around it are there.
#[derive(Default)]
struct Boundaries {
    /// The newest reduced frames; the first is frame `offset`.
    window: VecDeque<Arc<Reduced>>,
    offset: usize,
    contrast: Vec<f64>,
}

impl Boundaries {
    fn extend(&mut self, frames: impl Iterator<Item = Reduced>) {
        self.window.extend(frames.map(Arc::new));
        let known = (self.offset + self.window.len()).saturating_sub(REACH - 1);
        self.compute(known);
    }

    fn finish(mut self) -> Vec<f64> {
        self.compute(self.offset + self.window.len());
        self.contrast
    }

    /// Computes the boundaries before frames `..until` and drops the frames no longer needed.
    fn compute(&mut self, until: usize) {
        let from = self.contrast.len();
        if until <= from {
            return;
        }
        let frames: &[Arc<Reduced>] = self.window.make_contiguous();
        let offset = self.offset;
        let found: Vec<f64> = (from..until)
            .into_par_iter()
            .map(|n| {
                let at = n - offset;
                boundary(&frames[at.saturating_sub(REACH)..at], &frames[at..frames.len().min(at + REACH)])
            })
            .collect();
        self.contrast.extend(found);
        let keep_from = until.saturating_sub(REACH);
        self.window.drain(..keep_from - self.offset);
        self.offset = keep_from;
    }
}
