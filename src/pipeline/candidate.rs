//! A scene on its way through probing: what is known of it, and what it needs next.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::frames::{Keep, Kept};
use super::plan::PlannedScene;
use super::scheduler::{self, Step};
use super::selection::{FrameScores, Measured, Scores, Selection};
use crate::analysis::LumaStats;
use crate::encoder::Purpose;
use crate::model::{Lessons, Model, Next, Pair, Role, Scored};
use crate::score::{Backend, SceneReference, select};
use crate::settings::Pooling;
use crate::source::LumaGrid;
use crate::support::fingerprint::{Fingerprint, PROGRAM};

/// Probes that a scene is expected to need: one that learns from others, one of the
/// others or is also encoded as the final encode, and one whose second probe is its chunk.
const EXPECTED: [f64; 3] = [1.4, 2.0, 1.1];

/// An encode of a scene that is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Take {
    /// A probe, or as the final encode will be.
    pub purpose: Purpose,
    pub crf: f64,
}

/// What all pictures of the clip have in common.
pub struct PictureFacts {
    /// Of one picture in the encoder's layout.
    pub bytes: usize,
    pub grid: Arc<LumaGrid>,
}

/// What follows a first probe that missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Second {
    /// Another one.
    #[default]
    Probe,
    /// Encodes as in the final encode, which show what that will score.
    AsFinal,
    /// In the closed loop, where other scenes teach: the chunk itself, which is
    /// measured too.
    Chunk,
}

/// A scene and what its probes need; made before probing starts.
pub struct Candidate<'a> {
    pub planned: PlannedScene<'a>,
    pub model: Model,
    pub role: Role,
    /// It is also encoded as in the final encode.
    pub calibrated: bool,
    pub second: Second,
    /// In the closed loop: others wait for what its chunk shows.
    pub teaches: bool,
    pub backend: Arc<dyn Backend>,
    /// Luma differences of the scene's frames, one entry a frame.
    pub diff: &'a [f64],
    pub selection: Selection,
    /// Where every frame's luma is compared with the source's.
    pub grid: Arc<LumaGrid>,
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
    /// Offsets that are picked, rising; known once they could be.
    pub picked: Option<Vec<usize>>,
    /// By how many frames of the sample the last encode was measured, and how
    /// unsure that left its score.
    precise: Option<(usize, f64)>,
    pub references: References,
    /// Probes in the order they were made.
    scored: Vec<Scored>,
    /// Encodes as the final one, in the order they were made.
    finals: Vec<Scored>,
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

/// Prepared sources of a scene's frames.
#[derive(Default)]
pub struct References(Vec<(Vec<usize>, Arc<dyn SceneReference>)>);

impl References {
    /// Whether nothing is prepared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of `offsets` that are not prepared.
    pub fn missing(&self, offsets: &[usize]) -> Vec<usize> {
        offsets.iter().copied().filter(|offset| self.find(*offset).is_none()).collect()
    }

    /// Prepared sources of the frames at `offsets`.
    pub fn add(&mut self, offsets: Vec<usize>, prepared: Arc<dyn SceneReference>) {
        self.0.push((offsets, prepared));
    }

    /// The prepared source of each of `offsets` and its index there; `None` when one is missing.
    pub fn of(&self, offsets: &[usize]) -> Option<Vec<(Arc<dyn SceneReference>, usize)>> {
        offsets.iter().map(|offset| self.find(*offset)).collect()
    }

    fn find(&self, offset: usize) -> Option<(Arc<dyn SceneReference>, usize)> {
        self.0.iter().find_map(|(offsets, prepared)| {
            let at = offsets.iter().position(|known| *known == offset)?;
            Some((Arc::clone(prepared), at))
        })
    }
}

/// How many of a pilot's encodes teach others, the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lesson {
    pub probes: usize,
    pub finals: usize,
}

impl Lesson {
    /// What they scored, as probes would have.
    pub fn of(self, model: &Model, scored: &[Scored], finals: &[Scored]) -> Vec<Scored> {
        let probes = scored.iter().take(self.probes).copied();
        probes.chain(finals.iter().take(self.finals).map(|last| model.as_probe(*last))).collect()
    }
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
        picture: &PictureFacts,
    ) -> Result<Self> {
        let scene = planned.scene;
        let diff = &luma.diff[scene.start..scene.end];
        let metric = &planned.settings.metric;
        let selection = Selection::new(scene, diff, metric);
        // How many frames of the sample are measured is no part of the key: what
        // an earlier run measured is enough, or it is not and done again.
        let chosen_by = (metric.pooling == Pooling::Mean, &metric.frames, metric.sample.repeats);
        let measured_by = Fingerprint::of(&(PROGRAM, backend.identity(), chosen_by, diff));
        let mut progress = Progress::default();
        let mut keep = Keep::All;
        if let Some(offsets) = selection.known(scene, diff)? {
            keep = Keep::Offsets(offsets.clone());
            progress.picked = Some(offsets);
        }
        if keep.bytes(scene.frames(), picture.bytes) > memory {
            keep = Keep::Nothing;
        }
        Ok(Self {
            planned,
            model,
            role: Role::Other,
            calibrated: false,
            second: Second::Probe,
            teaches: false,
            backend,
            diff,
            selection,
            grid: Arc::clone(&picture.grid),
            measured_by,
            keep,
            kept: Kept::default(),
            progress: Mutex::new(progress),
        })
    }

    /// The scene's weight and memory for the scheduler.
    pub fn chain(&self, picture: &PictureFacts) -> scheduler::Chain {
        let frames = self.planned.scene.frames();
        let bytes = match &self.selection {
            Selection::Picked(_) => self.keep.bytes(frames, picture.bytes),
            Selection::Sampled(sample) => {
                let luma = (frames * self.grid.bytes()) as u64;
                let most = Keep::Offsets(sample.all(Purpose::Final)).bytes(frames, picture.bytes);
                luma + if self.keep == Keep::Nothing { 0 } else { most }
            }
        };
        scheduler::Chain {
            weight: frames as u64,
            bytes,
            urgent: self.role == Role::Pilot || self.calibrated || self.teaches,
        }
    }

    /// Encodes that the stage expects of it.
    pub fn expected(&self) -> u64 {
        let probes = match (self.model.learns(), self.role, self.second) {
            (false, ..) | (_, Role::Pilot, _) | (_, _, Second::AsFinal) => EXPECTED[1],
            (_, _, Second::Chunk) => EXPECTED[2],
            _ => EXPECTED[0],
        };
        let encodes = probes + f64::from(u8::from(self.calibrated));
        (encodes * self.planned.scene.frames() as f64).round() as u64
    }

    pub fn probed(&self) -> Probed {
        let progress = self.progress();
        Probed { scored: progress.scored.clone(), unreliable: progress.unreliable }
    }

    /// Whether other scenes, or their solution, depend on what is found of it.
    pub fn teaches_others(&self) -> bool {
        self.role == Role::Pilot || self.calibrated
    }

    /// The encodes that were entered, in the order they were made.
    pub fn entered(&self) -> Vec<Take> {
        let progress = self.progress();
        progress.takes[..progress.scored.len() + progress.finals.len()].to_vec()
    }

    /// What the scene's encodes as the final one show beside its probes; `None`
    /// where there is none.
    pub fn pair(&self, lessons: Option<&Lessons>) -> Option<Pair> {
        let progress = self.progress();
        self.model.pair(&progress.scored, &progress.finals, lessons)
    }

    /// The scene's encodes as the final one, in the order they were made.
    pub fn finals(&self) -> Vec<Scored> {
        self.progress().finals.clone()
    }

    /// The same where others can learn from it.
    pub fn exemplary_pair(&self, lessons: Option<&Lessons>) -> Option<Pair> {
        let exemplary = self.model.goal.exemplary(&self.progress().finals).is_some();
        self.pair(lessons).filter(|_| exemplary)
    }

    /// Where the source's luma is wanted as it passes by.
    pub fn luma_grid(&self) -> Option<&LumaGrid> {
        matches!(self.selection, Selection::Sampled(_)).then_some(&*self.grid)
    }

    /// Frames of the sample that the next encode is measured by, at first: it will
    /// not be much easier to measure than the last one.
    pub fn count(&self, purpose: Purpose) -> usize {
        let Selection::Sampled(sample) = &self.selection else { return 0 };
        let last = self.progress().precise;
        last.map_or(sample.first(), |(count, error)| sample.enough(count, error, purpose))
    }

    /// What to keep of the source as it passes by on its way to an encode: what
    /// that will be compared with and is not there yet.
    pub fn keep(&self, purpose: Purpose) -> Keep {
        let progress = self.progress();
        match &self.selection {
            Selection::Picked(_) if progress.references.is_empty() => self.keep.clone(),
            Selection::Picked(_) => Keep::Nothing,
            Selection::Sampled(_) if self.keep == Keep::Nothing => Keep::Nothing,
            Selection::Sampled(sample) => {
                let mut missing = progress.references.missing(&sample.all(purpose));
                missing.retain(|offset| self.kept.get(*offset).is_none());
                Keep::Offsets(missing)
            }
        }
    }

    /// Whether a pilot has made the encodes that it makes alone, or will not.
    pub fn has_taught(&self) -> bool {
        let Progress { scored, finals, gone_without, over, .. } = &*self.progress();
        let shows_offset = self.second == Second::AsFinal && !gone_without.contains(&Purpose::Final);
        let more = || matches!(self.model.next(scored, self.role, None), Next::Probe(_));
        *over || !finals.is_empty() || gone_without.contains(&Purpose::Probing) || (!shows_offset && !more())
    }

    /// The offset that a pilot shows alone; `None` where it shows none.
    pub fn alone(&self, lessons: &Lessons) -> Option<Pair> {
        let Progress { scored, finals, .. } = &*self.progress();
        let first = |encodes: &[Scored]| encodes.iter().take(1).copied().collect::<Vec<_>>();
        let (probe, last) = (first(scored), first(finals));
        self.model.goal.exemplary(&last)?;
        self.model.pair(&probe, &last, Some(lessons))
    }

    /// The encodes that a pilot makes alone: what it finds out with the help of the
    /// others' must not depend on who is done first.
    pub fn lesson(&self) -> Lesson {
        let progress = self.progress();
        let Progress { scored, finals, .. } = &*progress;
        let alone =
            |count: &usize| !matches!(self.model.next(&scored[..*count], self.role, None), Next::Probe(_));
        let enough = (0..scored.len()).find(alone);
        // A pilot that is calibrated besides needs no help from that, nor has one a slope to show
        // whose final encode is near its probe.
        let needed = matches!(self.model.next(scored, self.role, None), Next::Probe(_));
        let closes = enough.is_none() && needed && self.closes();
        let finals = if closes { finals.len().min(1) } else { 0 };
        // Probes that were made in the place of a final encode came later.
        let probes = enough.unwrap_or(if finals > 0 { 1 } else { scored.len() });
        Lesson { probes, finals }
    }

    /// What these encodes scored, as probes would have.
    pub fn taught(&self, lesson: Lesson) -> Vec<Scored> {
        let progress = self.progress();
        lesson.of(&self.model, &progress.scored, &progress.finals)
    }

    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scene's first encode, which may decide what is measured; `None` before it is planned.
    pub fn first_take(&self) -> Option<Take> {
        self.progress().takes.first().copied()
    }

    /// The take that a step of the scheduler is about.
    pub fn take(&self, take: usize) -> Result<Take> {
        let planned = self.progress().takes.get(take).copied();
        planned
            .with_context(|| format!("scene {}: encode {} was never planned", self.planned.index, take + 1))
    }

    /// The next step by what is scored and what the pilots taught.
    pub fn next(&self, lessons: Option<&Lessons>) -> Step {
        let mut progress = self.progress();
        let wanted = match self.wanted(&progress, lessons) {
            Wanted::Take(wanted) => wanted,
            Wanted::Lessons => return Step::Wait,
            Wanted::Nothing => {
                progress.over = true;
                return Step::Done;
            }
        };
        let take = progress.scored.len() + progress.finals.len();
        progress.takes.truncate(take);
        progress.takes.push(wanted);
        Step::Encode { take, crf: wanted.crf }
    }

    /// The encode as the final one comes last: in the place of a second probe, also
    /// where none is needed unless the title's scenes are alike; or, with pilots that
    /// are calibrated alone, at the CRF of the probe that is nearest to the target.
    fn wanted(&self, progress: &Progress, lessons: Option<&Lessons>) -> Wanted {
        let Progress { scored, finals, gone_without, .. } = progress;
        let as_final = !gone_without.contains(&Purpose::Final);
        let closes = as_final && self.closes() && !scored.is_empty();
        let purpose = if closes { Purpose::Final } else { Purpose::Probing };
        let chunk_is_next = self.second == Second::Chunk && self.role == Role::Other && !scored.is_empty();
        let next = if gone_without.contains(&Purpose::Probing) || chunk_is_next {
            Next::Done
        } else if closes && !finals.is_empty() {
            self.model.next_final(scored, finals, lessons)
        } else {
            self.model.next(scored, self.role, lessons)
        };
        match next {
            Next::Probe(crf) => Wanted::Take(Take { purpose, crf }),
            Next::Lessons => Wanted::Lessons,
            Next::Done if self.second == Second::AsFinal && closes && finals.is_empty() => {
                match (self.model.own_final(scored, lessons), self.role, lessons) {
                    (Some(_), Role::Other, None) => Wanted::Lessons,
                    (Some(crf), ..) => Wanted::Take(Take { purpose: Purpose::Final, crf }),
                    (None, ..) => Wanted::Nothing,
                }
            }
            Next::Done if self.calibrated && as_final && finals.is_empty() => {
                let nearest = self.model.goal.exemplary(scored);
                nearest.map_or(Wanted::Nothing, |crf| Wanted::Take(Take { purpose: Purpose::Final, crf }))
            }
            Next::Done => Wanted::Nothing,
        }
    }

    /// Whether its second probe is made as in the final encode.
    fn closes(&self) -> bool {
        let calibrated = self.calibrated && self.role == Role::Other;
        self.model.learns() && (self.second == Second::AsFinal || calibrated)
    }

    /// Whether its chunk took the place of a second probe.
    pub fn was_spared(&self, lessons: Option<&Lessons>) -> bool {
        let Progress { scored, gone_without, .. } = &*self.progress();
        let missed = || matches!(self.model.next(scored, self.role, lessons), Next::Probe(_));
        self.second == Second::Chunk && self.role == Role::Other && gone_without.is_empty() && missed()
    }

    /// Key of what an encode measures: `first` is the key of the scene's first
    /// one, on which it can depend which frames are measured.
    pub fn measured_key(&self, encode: &Fingerprint, first: &Fingerprint) -> Fingerprint {
        let depends = match &self.selection {
            Selection::Picked(selection) => select::needs_probe(selection),
            Selection::Sampled(_) => false,
        };
        Fingerprint::of(&(&self.measured_by, encode, depends.then_some(first)))
    }

    /// The scores of measured frames by the metric of the scene's settings.
    pub fn frame_scores(&self, measured: &Measured) -> Result<FrameScores> {
        let metric = &self.planned.settings.metric;
        let place = (self.planned.index, self.planned.scene.start);
        FrameScores::of(measured, metric, place, || self.backend.describe())
    }

    /// The score of an encode by the scene's settings.
    ///
    /// # Errors
    /// When the score of a frame is not a number.
    pub fn scores(&self, measured: &Measured) -> Result<Scores> {
        let scores = self.frame_scores(measured)?;
        self.selection.score(&scores, &measured.errors, &self.planned.settings.metric)
    }

    /// Whether what an earlier run measured is as much as this one would.
    pub fn is_enough(&self, measured: &Measured, purpose: Purpose) -> Result<bool> {
        let Selection::Sampled(sample) = &self.selection else { return Ok(true) };
        let expected = sample.beginning(measured.frames.len());
        let same = measured.frames.iter().map(|(offset, _)| offset).eq(expected);
        let whole = measured.errors.len() == self.planned.scene.frames();
        let counted = measured.frames.len() >= sample.first();
        Ok(same
            && whole
            && counted
            && sample.more(&self.frame_scores(measured)?, &measured.errors, purpose).is_empty())
    }

    /// Enters what was just measured, or found from an earlier run, and returns
    /// the scene's score.
    pub fn enter(&self, take: Take, measured: &Measured) -> Result<Scores> {
        let scores = self.scores(measured)?;
        let scored = Scored { crf: take.crf, score: scores.pooled.score, error: scores.error };
        let mut progress = self.progress();
        match take.purpose {
            Purpose::Probing => {
                progress.scored.push(scored);
                progress.unreliable |= scores.pooled.unreliable;
            }
            Purpose::Final => progress.finals.push(scored),
        }
        match &self.selection {
            Selection::Picked(_) if progress.picked.is_none() => {
                progress.picked = Some(measured.frames.iter().map(|(offset, _)| *offset).collect());
            }
            Selection::Picked(_) => {}
            Selection::Sampled(_) => progress.precise = Some((measured.frames.len(), scores.error)),
        }
        Ok(scores)
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
        let finished = ((progress.scored.len() + progress.finals.len()) * self.planned.scene.frames()) as u64;
        let done = if progress.over { self.expected() } else { finished.min(self.expected()) };
        let news = done - progress.reported;
        progress.reported = done;
        news
    }
}

enum Wanted {
    Take(Take),
    Lessons,
    Nothing,
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;
