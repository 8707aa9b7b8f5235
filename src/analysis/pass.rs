//! The one pass over the source.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::bars::Bars;
use super::contrast::Boundaries;
use super::first_pass::{FirstPass, Watcher};
use super::luma::{FrameLuma, Reduced, Reduction, measure};
use super::{Analysis, Builtin, Detector, LumaStats, av1an, cuts};
use crate::source::{Clip, ClipInfo, ColorInfo, Frame};
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// Memory that frames may take while they wait or are looked at, in bytes: 20
/// frames of 1080p in 8 bits each.
const FRAME_BUDGET: usize = 64 << 20;
/// Fewest and most frames looked at together, whatever their size; more would only wait.
const BATCH: RangeInclusive<usize> = 2..=48;

/// Luma statistics, and what `wanted` asks for of the detectors that read frames.
pub(super) fn run(
    clip: &Clip,
    wanted: &BTreeSet<Detector>,
    first_pass: Option<&FirstPass>,
    events: &Events,
    cancel: &Cancel,
) -> Result<Analysis> {
    let info = clip.info();
    let batch = batch_length(info);
    let stage = events.stage("Analysis", info.frames as u64, "frames");
    let mut collector = Collector::new(info, clip.color()?, wanted);
    if wanted.contains(&Detector::X264) {
        let first_pass = first_pass.context("the detector x264 needs an x264")?;
        collector.x264 = Some(Watcher::start(first_pass, info.frames, cancel)?);
    }
    // While one batch is looked at, the next one is rendered: a slow script needs a
    // frame in flight for every thread that VapourSynth has, as the script may have set it.
    let mut frames = clip.frames(0..info.frames, clip.ahead(batch), cancel);
    loop {
        let taken = frames.by_ref().take(batch).collect::<Result<Vec<Frame>>>()?;
        cancel.check()?;
        if taken.is_empty() {
            break;
        }
        stage.advance(taken.len() as u64);
        collector.look_at(taken)?;
    }
    collector.finish()
}

/// Frames looked at together: twice as many fit the budget.
fn batch_length(info: &ClipInfo) -> usize {
    (FRAME_BUDGET / 2 / info.frame_bytes().max(1)).clamp(*BATCH.start(), *BATCH.end())
}

/// Takes the frames in order, batch by batch. Nothing it computes depends on
/// where a batch ends.
struct Collector {
    reduction: Reduction,
    bars: Bars,
    samples: f64,
    stats: LumaStats,
    last: Option<Frame>,
    builtin: Option<Boundaries>,
    av1an: Option<av1an::Runner>,
    av1an_fast: Option<av1an::Runner>,
    x264: Option<Watcher>,
    props: Option<Props>,
}

impl Collector {
    fn new(info: &ClipInfo, color: &ColorInfo, wanted: &BTreeSet<Detector>) -> Self {
        let runner = |detector, speed| wanted.contains(&detector).then(|| av1an::Runner::new(info, speed));
        Self {
            reduction: Reduction::of(info.width, info.height, info.bits),
            bars: Bars::new(info.bits, color.is_full_range()),
            samples: info.width as f64 * info.height as f64,
            stats: LumaStats { bits: info.bits, full_range: color.is_full_range(), ..LumaStats::default() },
            last: None,
            builtin: wanted.contains(&Detector::Builtin).then(Boundaries::default),
            av1an: runner(Detector::Av1an, av1an::Speed::Standard),
            av1an_fast: runner(Detector::Av1anFast, av1an::Speed::Fast),
            x264: None,
            props: wanted.contains(&Detector::Props).then(Props::default),
        }
    }

    fn look_at(&mut self, frames: Vec<Frame>) -> Result<()> {
        if let Some(x264) = &self.x264 {
            for frame in &frames {
                x264.see(frame);
            }
        }
        if let Some(props) = &mut self.props {
            for frame in &frames {
                props.read(frame);
            }
        }
        let first = self.last.clone().unwrap_or_else(|| frames[0].clone());
        let measured: Vec<(FrameLuma, Reduced)> = (0..frames.len())
            .into_par_iter()
            .map(|i| measure(&frames[i], if i == 0 { &first } else { &frames[i - 1] }, self.reduction))
            .collect();
        let range = f64::from((1u32 << self.stats.bits) - 1);
        for (frame, (luma, _)) in frames.iter().zip(&measured) {
            self.bars.see(frame, luma.max);
            self.stats.average.push(luma.sum as f64 / self.samples / range);
            self.stats.min.push(luma.min);
            self.stats.max.push(luma.max);
            self.stats.diff.push(luma.difference as f64 / self.samples / range);
        }
        for runner in self.av1an.iter_mut().chain(&mut self.av1an_fast) {
            runner.extend(&frames)?;
        }
        self.last = frames.into_iter().last();
        if let Some(boundaries) = &mut self.builtin {
            boundaries.extend(measured.into_iter().map(|(_, reduced)| reduced));
        }
        Ok(())
    }

    fn finish(self) -> Result<Analysis> {
        let builtin = self.builtin.map(|boundaries| {
            let contrast = boundaries.finish();
            Builtin { cuts: cuts::decide(&contrast), contrast }
        });
        Ok(Analysis {
            luma: self.stats,
            bars: self.bars.finish(),
            builtin,
            av1an: self.av1an.map(av1an::Runner::finish),
            av1an_fast: self.av1an_fast.map(av1an::Runner::finish),
            x264: self.x264.map(Watcher::finish).transpose()?,
            props: self.props.and_then(Props::finish),
            ..Analysis::default()
        })
    }
}

/// Cuts that a filter of the script has marked.
#[derive(Default)]
struct Props {
    cuts: Vec<bool>,
    /// The frame before is the last one of its scene.
    next: bool,
    /// A frame has one of the properties.
    seen: bool,
}

impl Props {
    fn read(&mut self, frame: &Frame) {
        let [before, after] = ["_SceneChangePrev", "_SceneChangeNext"].map(|key| frame.int_property(key));
        self.seen |= before.is_some() || after.is_some();
        self.cuts.push(self.next || before == Some(1));
        self.next = after == Some(1);
    }

    fn finish(self) -> Option<Vec<bool>> {
        self.seen.then_some(self.cuts)
    }
}
