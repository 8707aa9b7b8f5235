//! A scene on its way through probing: what is known of it, and what it needs next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::frames::{Keep, Kept};
use super::plan::PlannedScene;
use super::scheduler::{self, Step};
use crate::analysis::LumaStats;
use crate::encoder::Purpose;
use crate::model::{Model, Next, Pair, Role, Scored, Slopes};
use crate::score::{self, Backend, Measurement, Pooled, SceneReference, select};
use crate::support::fingerprint::{Fingerprint, PROGRAM};

/// Probes of a calibrated scene that are compared with the final encode, at most.
const COMPARED: usize = 2;

/// Probes that a scene is expected to need.
const EXPECTED: u64 = 2;

/// An encode of a scene that is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Take {
    /// A probe, or as the final encode will be.
    pub purpose: Purpose,
    pub crf: f64,
}

/// A scene and what its probes need; made before probing starts.
pub struct Candidate<'a> {
    pub planned: PlannedScene<'a>,
    pub model: Model,
    pub role: Role,
    /// It is also encoded as in the final encode.
    pub calibrated: bool,
    pub backend: Arc<dyn Backend>,
    /// Luma differences of the scene's frames, one entry a frame.
    pub diff: &'a [f64],
    /// What measurements depend on besides the encodes.
    measured_by: Fingerprint,
    pub keep: Keep,
    pub kept: Kept,
    progress: Mutex<Progress>,
}

#[derive(Default)]
pub struct Progress {
    /// Encodes decided so far; a step's `take` is an index into it.
    takes: Vec<Take>,
    /// Offsets that are measured, rising; known once the selection could be made.
    pub offsets: Option<Vec<usize>>,
    pub reference: Option<Arc<dyn SceneReference>>,
    /// Probes in the order they were made.
    scored: Vec<Scored>,
    /// The scores of the measured frames of each probe, and of each encode as the
    /// final one.
    probe_frames: Vec<Vec<f64>>,
    final_frames: Vec<Vec<f64>>,
    unreliable: bool,
    /// Nothing more will be scored.
    over: bool,
    /// What the stage was told.
    reported: u64,
}

/// The scores of an encode.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Of the measured frames, in their order.
    pub frames: Vec<f64>,
    /// Of the scene.
    pub pooled: Pooled,
}

/// What a finished chain tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    pub scored: Vec<Scored>,
    pub unreliable: bool,
}

impl<'a> Candidate<'a> {
    /// A scene of the clip with these statistics, measured by `backend`.
    /// `memory` bounds what the scene may keep, `picture` is the size of one
    /// picture, both in bytes. Which part it has is decided when all are known.
    pub fn new(
        planned: PlannedScene<'a>,
        model: Model,
        backend: Arc<dyn Backend>,
        luma: &'a LumaStats,
        memory: u64,
        picture: usize,
    ) -> Result<Self> {
        let scene = planned.scene;
        let diff = &luma.diff[scene.start..scene.end];
        let selection = &planned.settings.metric.frames;
        let measured_by = Fingerprint::of(&(PROGRAM, backend.identity(), selection, diff));
        let mut progress = Progress::default();
        let mut keep = Keep::All;
        if !select::needs_probe(selection) {
            let known = select::SceneDiffs { start: scene.start, diff, probe_diff: None };
            let offsets = select::frames(&known, selection)?;
            keep = Keep::Offsets(offsets.clone());
            progress.offsets = Some(offsets);
        }
        if keep.bytes(scene.frames(), picture) > memory {
            keep = Keep::Nothing;
        }
        Ok(Self {
            planned,
            model,
            role: Role::Other,
            calibrated: false,
            backend,
            diff,
            measured_by,
            keep,
            kept: Kept::default(),
            progress: Mutex::new(progress),
        })
    }

    /// The scene's weight and memory for the scheduler.
    pub fn chain(&self, picture: usize) -> scheduler::Chain {
        let frames = self.planned.scene.frames();
        scheduler::Chain {
            weight: frames as u64,
            bytes: self.keep.bytes(frames, picture),
            urgent: self.role == Role::Pilot || self.calibrated,
        }
    }

    /// Encodes that the stage expects of it.
    pub fn expected(&self) -> u64 {
        EXPECTED + if self.calibrated { COMPARED as u64 } else { 0 }
    }

    pub fn probed(&self) -> Probed {
        let progress = self.progress();
        Probed { scored: progress.scored.clone(), unreliable: progress.unreliable }
    }

    /// Probes beside the encodes as the final one at the same CRFs.
    pub fn pairs(&self) -> Vec<Pair> {
        let progress = self.progress();
        let both = progress.probe_frames.iter().zip(&progress.final_frames);
        let frames = both.map(|(probe, final_)| probe.iter().copied().zip(final_.iter().copied()).collect());
        progress.scored.iter().zip(frames).map(|(probe, frames)| Pair { crf: probe.crf, frames }).collect()
    }

    /// Whether a pilot has shown its slope, or will not.
    pub fn has_taught(&self) -> bool {
        let progress = self.progress();
        progress.over || progress.scored.len() >= 2
    }

    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scene's first encode, whose frames are kept and may decide what is measured.
    pub fn first_take(&self) -> Take {
        Take { purpose: Purpose::Probing, crf: self.model.first_crf() }
    }

    /// The take that a step of the scheduler is about.
    pub fn take(&self, take: usize) -> Result<Take> {
        let planned = self.progress().takes.get(take).copied();
        planned
            .with_context(|| format!("scene {}: encode {} was never planned", self.planned.index, take + 1))
    }

    /// The next step by what is scored and what the pilots taught.
    pub fn next(&self, slopes: Option<&Slopes>) -> Step {
        let mut progress = self.progress();
        let wanted = match self.wanted(&progress, slopes) {
            Wanted::Take(wanted) => wanted,
            Wanted::Slopes => return Step::Wait,
            Wanted::Nothing => {
                progress.over = true;
                return Step::Done;
            }
        };
        let take = progress.scored.len() + progress.final_frames.len();
        progress.takes.truncate(take);
        progress.takes.push(wanted);
        Step::Encode { take, crf: wanted.crf }
    }

    /// Comparing comes before a third probe: it need not wait for the pilots.
    fn wanted(&self, progress: &Progress, slopes: Option<&Slopes>) -> Wanted {
        let next = self.model.next(&progress.scored, self.role, slopes);
        let compared = progress.final_frames.len();
        let enough = next == Next::Done || progress.scored.len() >= COMPARED;
        if self.calibrated && enough && compared < progress.scored.len().min(COMPARED) {
            let crf = progress.scored[compared].crf;
            return Wanted::Take(Take { purpose: Purpose::Final, crf });
        }
        match next {
            Next::Probe(crf) => Wanted::Take(Take { purpose: Purpose::Probing, crf }),
            Next::Slopes => Wanted::Slopes,
            Next::Done => Wanted::Nothing,
        }
    }

    /// Key of what an encode measures: `first` is the key of the scene's first
    /// one, on which it can depend which frames are measured.
    pub fn measured_key(&self, encode: &Fingerprint, first: &Fingerprint) -> Fingerprint {
        let selected_by = select::needs_probe(&self.planned.settings.metric.frames).then_some(first);
        Fingerprint::of(&(&self.measured_by, encode, selected_by))
    }

    /// The scores of an encode by the metric and the pooling of the scene's settings.
    ///
    /// # Errors
    /// When one is not a number.
    pub fn scores(&self, measured: &[(usize, Measurement)]) -> Result<Scores> {
        let metric = &self.planned.settings.metric;
        let first = self.planned.scene.start;
        let of_frame = |(offset, measurement): &(usize, Measurement)| {
            let score = score::frame_score(measurement, metric.metric, &metric.mix);
            score::check_finite(score, self.planned.index, first + offset, || self.backend.describe())
        };
        let frames = measured.iter().map(of_frame).collect::<Result<Vec<f64>>>()?;
        let pooled = score::pool(&frames, metric.metric, metric.pooling)?;
        Ok(Scores { frames, pooled })
    }

    /// Enters what was just measured, or found from an earlier run, and returns
    /// the scene's score.
    pub fn enter(&self, take: Take, measured: &[(usize, Measurement)]) -> Result<f64> {
        let Scores { frames, pooled } = self.scores(measured)?;
        let mut progress = self.progress();
        match take.purpose {
            Purpose::Probing => {
                progress.scored.push(Scored { crf: take.crf, score: pooled.score });
                progress.probe_frames.push(frames);
                progress.unreliable |= pooled.unreliable;
            }
            Purpose::Final => progress.final_frames.push(frames),
        }
        if progress.offsets.is_none() {
            progress.offsets = Some(measured.iter().map(|(offset, _)| *offset).collect());
        }
        Ok(pooled.score)
    }

    /// Nothing more comes: it failed.
    pub fn give_up(&self) {
        self.progress().over = true;
    }

    /// How many encodes the stage has not been told of: what is finished, and at
    /// the end what turned out not to be needed. A third probe was not expected.
    pub fn unreported(&self) -> u64 {
        let mut progress = self.progress();
        let finished = (progress.scored.len() + progress.final_frames.len()) as u64;
        let done = if progress.over { self.expected() } else { finished.min(self.expected()) };
        let news = done - progress.reported;
        progress.reported = done;
        news
    }
}

enum Wanted {
    Take(Take),
    Slopes,
    Nothing,
}
