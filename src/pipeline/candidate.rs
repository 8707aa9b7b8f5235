//! A scene on its way through probing: what is known of it, and what it needs next.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::frames::{Keep, Kept};
use super::plan::PlannedScene;
use super::scheduler::{self, Step};
use super::store::ScoreRecord;
use crate::analysis::LumaStats;
use crate::encoder::Purpose;
use crate::model::{Model, Next, Pair, Role, Scored, Slopes};
use crate::score::{self, Backend, Measurement, SceneReference, select};
use crate::support::fingerprint::Fingerprint;

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
    /// Luma statistics, settings, colour: all that scores depend on besides the probes.
    pub score_key: Fingerprint,
    pub keep: Keep,
    pub kept: Kept,
    progress: Mutex<Progress>,
}

#[derive(Default)]
pub struct Progress {
    /// Encodes decided so far; a step's `probe` is an index into it.
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
    /// No further encodes of these purposes are made: one failed, and the scene
    /// can do without.
    gone_without: Vec<Purpose>,
    /// The encode that failed and is gone without; there is nothing to be scored.
    skipped: Option<usize>,
    /// Encodes that could not be read and were made once more.
    redone: BTreeSet<usize>,
    /// Nothing more will be scored.
    over: bool,
    /// What the stage was told.
    reported: u64,
}

/// What a finished chain tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    pub scored: Vec<Scored>,
    pub unreliable: bool,
}

impl<'a> Candidate<'a> {
    /// `memory` bounds what the scene may keep, `picture` is the size of one
    /// picture, both in bytes. Which part it has is decided when all are known.
    pub fn new(
        planned: PlannedScene<'a>,
        model: Model,
        backend: Arc<dyn Backend>,
        luma: &'a LumaStats,
        score_key: Fingerprint,
        memory: u64,
        picture: usize,
    ) -> Result<Self> {
        let scene = planned.scene;
        let diff = &luma.diff[scene.start..scene.end];
        let selection = &planned.settings.metric.frames;
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
            score_key,
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
    pub fn take(&self, probe: usize) -> Result<Take> {
        let take = self.progress().takes.get(probe).copied();
        take.with_context(|| format!("scene {}: encode {} was never planned", self.planned.index, probe + 1))
    }

    /// The next step by what is scored and what the pilots taught.
    pub fn next(&self, slopes: Option<&Slopes>) -> Step {
        let mut progress = self.progress();
        let take = match self.wanted(&progress, slopes) {
            Wanted::Take(take) => take,
            Wanted::Slopes => return Step::Wait,
            Wanted::Nothing => {
                progress.over = true;
                return Step::Done;
            }
        };
        let probe = progress.scored.len() + progress.final_frames.len();
        progress.takes.truncate(probe);
        progress.takes.push(take);
        Step::Encode { probe, crf: take.crf }
    }

    /// Comparing comes before a third probe: it need not wait for the pilots.
    fn wanted(&self, progress: &Progress, slopes: Option<&Slopes>) -> Wanted {
        let goes_without = |purpose| progress.gone_without.contains(&purpose);
        let next = if goes_without(Purpose::Probing) {
            Next::Done
        } else {
            self.model.next(&progress.scored, self.role, slopes)
        };
        let calibrated = self.calibrated && !goes_without(Purpose::Final);
        let compared = progress.final_frames.len();
        let enough = next == Next::Done || progress.scored.len() >= COMPARED;
        if calibrated && enough && compared < progress.scored.len().min(COMPARED) {
            let crf = progress.scored[compared].crf;
            return Wanted::Take(Take { purpose: Purpose::Final, crf });
        }
        match next {
            Next::Probe(crf) => Wanted::Take(Take { purpose: Purpose::Probing, crf }),
            Next::Slopes => Wanted::Slopes,
            Next::Done => Wanted::Nothing,
        }
    }

    /// Enters a score that was just measured, or found from an earlier run.
    pub fn enter(&self, purpose: Purpose, record: &ScoreRecord) {
        let metric = &self.planned.settings.metric;
        let of_frame =
            |(_, measured): &(usize, Measurement)| score::frame_score(measured, metric.metric, &metric.mix);
        let frames: Vec<f64> = record.frames.iter().map(of_frame).collect();
        let mut progress = self.progress();
        match purpose {
            Purpose::Probing => {
                progress.scored.push(Scored { crf: record.crf, score: record.score });
                progress.probe_frames.push(frames);
            }
            Purpose::Final => progress.final_frames.push(frames),
        }
        progress.unreliable |= purpose == Purpose::Probing && record.unreliable;
        if progress.offsets.is_none() {
            progress.offsets = Some(record.frames.iter().map(|(offset, _)| *offset).collect());
        }
    }

    /// Whether the scene can be solved though `take` failed; then it is gone without.
    /// One probe suffices for models that learn from other scenes.
    pub fn does_without(&self, take: Take) -> bool {
        let mut progress = self.progress();
        let solvable = match take.purpose {
            Purpose::Final => true,
            Purpose::Probing => self.model.learns() && !progress.scored.is_empty(),
        };
        if solvable {
            progress.gone_without.push(take.purpose);
        }
        solvable
    }

    /// The encode was not made: its score is not to be waited for.
    pub fn skip(&self, probe: usize) {
        self.progress().skipped = Some(probe);
    }

    /// Whether the encode that is to be scored was not made.
    pub fn was_skipped(&self, probe: usize) -> bool {
        self.progress().skipped.take_if(|skipped| *skipped == probe).is_some()
    }

    /// Whether the encode may be made once more because it cannot be read.
    pub fn may_redo(&self, probe: usize) -> bool {
        self.progress().redone.insert(probe)
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
