//! The closed loop: a scene's chain goes on after its probes with the chunk that
//! goes into the file, which is measured like a probe.
//!
//! What the chunks of a group's teachers show (`learning`) is waited for by all
//! others, so that neither the order in which scenes finish nor an interruption
//! changes what they are encoded with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::candidate::{Candidate, Probed};
use super::curves::Taken;
use super::finish::{Finisher, SceneOutcome, Settled};
use super::forks::Fork;
use super::plan::PlannedScene;
use super::probing::Probing;
use super::readers::Readers;
use super::redo::{Miss, Tolerance};
use super::scheduler::{Chain, Step, Work};
use super::store::MeasuredRecord;
use crate::encode::{Order, Workshop};
use crate::encoder::Purpose;
use crate::formats::ivf;
use crate::model::{self, Learned, Pair, Ratios, Scored};
use crate::settings::Settings;
use crate::support::events::{Events, Stage};
use crate::support::fingerprint::Fingerprint;

/// Chunks are takes from here on: beyond all probes of a scene, and taken before
/// others' second ones, the longest first.
pub const FIRST_CHUNK: usize = 1000;
pub const STAGE: &str = "Encoding";

/// A scene's chunk, decided, and perhaps encoded and measured.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub settled: Arc<Settled>,
    pub order: Arc<Order>,
    /// The score that it should have; `None` where nothing is measured.
    pub aim: Option<f64>,
    /// What a probe would score at its CRF, and how far the nearest one is; `None`
    /// where the two are not comparable.
    probe: Option<(f64, f64)>,
    /// What its measurement is kept under.
    pub measured_key: Option<Fingerprint>,
    pub bytes: u64,
    pub seconds: f64,
    /// An earlier run encoded it.
    pub resumed: bool,
    pub score: Option<Scored>,
    /// The frames that were measured, with their scores.
    pub frames: Vec<(usize, f64)>,
}

impl Chunk {
    pub fn crf(&self) -> f64 {
        self.settled.result.crf
    }

    /// Score − aim, when there are both.
    pub fn error(&self) -> Option<f64> {
        Some(self.score?.score - self.aim?)
    }
}

/// What a scene has come to.
#[derive(Debug, Default)]
pub struct Slot {
    /// The chunk that is on its way.
    pub planned: Option<Chunk>,
    /// Those that are finished, the second one made again.
    pub made: Vec<Chunk>,
    pub failed: bool,
}

/// What a scene can learn from the chunks of others.
enum Taught {
    Now(Learned),
    Later,
    /// A teacher failed, so the run will.
    Never,
}

/// How far the encoding is.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sum {
    pub frames: usize,
    pub bytes: u64,
}

/// The chains of all scenes, probes and chunks.
pub struct Chunks<'a> {
    pub probing: Probing<'a>,
    /// Scenes of zones that measure nothing; their numbers follow the candidates'.
    plain: Vec<PlannedScene<'a>>,
    pub workshop: &'a Workshop,
    finisher: &'a Finisher<'a>,
    /// What chunks are made from and measured against, where probes are made from
    /// another clip; what was kept of that is no use for chunks.
    pub apart: Option<Readers<'a>>,
    slots: Vec<Mutex<Slot>>,
    /// By number: what the first chunk scored, for those made again.
    pub again: HashMap<usize, Scored>,
    pub frames: usize,
    pub sum: Mutex<Sum>,
    pub stage: Stage,
    /// Which workers are busy, by number.
    pub workers: Mutex<Vec<bool>>,
    pub events: &'a Events,
}

impl<'a> Chunks<'a> {
    /// `planned` are all scenes of the clip.
    pub fn new(
        probing: Probing<'a>,
        planned: &[PlannedScene<'a>],
        workshop: &'a Workshop,
        finisher: &'a Finisher<'a>,
        apart: Option<Readers<'a>>,
    ) -> Self {
        let measured: Vec<usize> = probing.candidates.iter().map(|c| c.planned.index).collect();
        let plain: Vec<_> =
            planned.iter().filter(|scene| !measured.contains(&scene.index)).copied().collect();
        let frames = planned.iter().map(|scene| scene.scene.frames()).sum();
        let events = probing.events;
        Self {
            slots: planned.iter().map(|_| Mutex::default()).collect(),
            again: HashMap::new(),
            sum: Mutex::default(),
            stage: events.stage(STAGE, frames as u64, "frames"),
            workers: Mutex::default(),
            frames,
            probing,
            plain,
            workshop,
            finisher,
            apart,
            events,
        }
    }

    /// What chunks are made from and measured against.
    pub fn readers(&self) -> &Readers<'a> {
        self.apart.as_ref().unwrap_or(self.probing.readers)
    }

    /// The chains of all scenes by number, after those of the measured ones.
    pub fn chains(&self, measured: &[Chain]) -> Vec<Chain> {
        let plain =
            |scene: &PlannedScene<'_>| Chain { weight: scene.scene.frames() as u64, bytes: 0, urgent: false };
        measured.iter().copied().chain(self.plain.iter().map(plain)).collect()
    }

    pub fn planned(&self, number: usize) -> &PlannedScene<'a> {
        match self.candidate(number) {
            Some(candidate) => &candidate.planned,
            None => &self.plain[number - self.probing.candidates.len()],
        }
    }

    pub fn candidate(&self, number: usize) -> Option<&Candidate<'a>> {
        self.probing.candidates.get(number)
    }

    pub fn slot(&self, number: usize) -> MutexGuard<'_, Slot> {
        self.slots[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The finished chunks of a scene, in the order they were made.
    pub fn made(&self, number: usize) -> Vec<Chunk> {
        self.slot(number).made.clone()
    }

    /// What a scene is solved with.
    fn taught(&self, number: usize) -> Taught {
        let (candidates, learning) = (&self.probing.candidates, &self.probing.learning);
        let lessons = learning.lessons(candidates, number);
        // A pilot whose first probe was near enough is done before the others have taught.
        if lessons.is_none() && candidates[number].model.learns() {
            return Taught::Later;
        }
        let mut pairs = Vec::new();
        for &teacher in learning.teachers_of(number) {
            let slot = self.slot(teacher);
            match slot.made.first() {
                Some(chunk) => pairs.extend(self.lesson(teacher, chunk)),
                None if slot.failed => return Taught::Never,
                None => return Taught::Later,
            }
        }
        Taught::Now(learning.learned_from(candidates, number, pairs))
    }

    /// What a teacher's chunk shows. One at a limit is far from its target, and
    /// there the final encode may differ from the probes otherwise than at it.
    fn lesson(&self, teacher: usize, chunk: &Chunk) -> Option<Pair> {
        chunk.pair().filter(|_| !self.is_clamped(teacher, chunk))
    }

    /// What all but the teachers of a candidate's group learned.
    fn learned(&self, number: usize) -> Learned {
        let learning = &self.probing.learning;
        let pairs = learning
            .teachers(number)
            .iter()
            .filter_map(|&teacher| self.lesson(teacher, self.slot(teacher).made.first()?));
        learning.learned_from(&self.probing.candidates, number, pairs)
    }

    /// Sentences about what scenes taught each other.
    pub fn describe(&self) -> Vec<String> {
        self.probing.learning.describe_closed(&self.probing.candidates, |number| self.learned(number))
    }

    /// The next step of a scene whose probes are done.
    pub fn chunk_step(&self, number: usize) -> Result<Step> {
        loop {
            let made = self.slot(number).made.len();
            let learned = match (made, self.candidate(number), self.again.get(&number)) {
                (0, None, _) => Learned::default(),
                (0, Some(_), _) => match self.taught(number) {
                    Taught::Now(learned) => learned,
                    Taught::Later => return Ok(Step::Wait),
                    Taught::Never => return Ok(Step::Done),
                },
                (1, Some(_), Some(&first)) => self.own(number, first),
                _ => return Ok(Step::Done),
            };
            let mut chunk = self.chunk(number, self.settle(number, learned)?)?;
            if self.apart.is_some() && made == 0 && self.candidate(number).is_some() {
                self.probing.release(number);
            }
            let (take, crf) = (FIRST_CHUNK + made, chunk.crf());
            let Some((bytes, seconds)) = self.workshop.finished(&chunk.order) else {
                self.slot(number).planned = Some(chunk);
                return Ok(Step::Encode { take, crf });
            };
            (chunk.bytes, chunk.seconds, chunk.resumed) = (bytes, seconds, true);
            self.stage.advance(self.planned(number).scene.frames() as u64);
            self.count(number, bytes);
            if let Some(candidate) = self.candidate(number) {
                let key = chunk.measured_key.as_ref().context("a measured chunk has a key")?;
                let record = self.probing.store.measured(key);
                let Some(record) =
                    record.filter(|r| candidate.is_enough(&r.measured, Purpose::Final).unwrap_or(false))
                else {
                    self.slot(number).planned = Some(chunk);
                    return Ok(Step::Score { take, crf });
                };
                chunk.score = Some(scored(candidate, &record, crf)?);
                chunk.frames = frames(candidate, &record)?;
            }
            self.slot(number).made.push(chunk);
        }
    }

    fn own(&self, number: usize, first: Scored) -> Learned {
        let lessons = self.probing.learning.lessons(&self.probing.candidates, number);
        Learned { lessons, ratios: Ratios::default(), finals: vec![first] }
    }

    fn settle(&self, number: usize, learned: Learned) -> Result<Settled> {
        let outcome = match self.candidate(number) {
            None => SceneOutcome::Unmeasured,
            Some(candidate) => {
                let Probed { scored, unreliable } = candidate.probed();
                SceneOutcome::Probed { model: candidate.model, scored, unreliable, learned }
            }
        };
        self.finisher.settle(self.planned(number), outcome, self.events)
    }

    fn chunk(&self, number: usize, settled: Settled) -> Result<Chunk> {
        let order = Arc::new(self.workshop.order(&settled.entry)?);
        let (mut aim, mut probe, mut measured_key) = (None, None, None);
        if let Some(candidate) = self.candidate(number) {
            let lessons = self.probing.learning.lessons(&self.probing.candidates, number);
            let scored = candidate.probed().scored;
            let model = candidate.model.eased(&scored, lessons.as_ref());
            let at = |crf| model.expected(&scored, lessons.as_ref(), crf);
            aim = match (at(settled.solved), at(settled.asked)) {
                // Rules and Character Boost want another quality than the target.
                (Some(from), Some(to)) => Some(model.moved_target(from, to)),
                _ => Some(model.goal.target),
            };
            let crf = settled.result.crf;
            probe = at(crf).zip(model::reach(&scored, crf)).filter(|_| !settled.has_map);
            let first = candidate.first_take().context("a solved scene has a probe")?;
            let first = self.probing.encode_key(candidate, first)?;
            measured_key = Some(candidate.measured_key(&order.key, &first));
        }
        let settled = Arc::new(settled);
        let (bytes, seconds, resumed, score, frames) = (0, 0.0, false, None, Vec::new());
        Ok(Chunk { settled, order, aim, probe, measured_key, bytes, seconds, resumed, score, frames })
    }

    /// The chunks that would come nearer to their target when encoded again, each
    /// with what its first encode scored.
    pub fn misses(&self, tolerance: Option<Tolerance>) -> Result<Vec<(Miss, Scored)>> {
        let mut misses = Vec::new();
        for (number, candidate) in self.probing.candidates.iter().enumerate() {
            let Some(chunk) = self.made(number).into_iter().next() else { continue };
            // One with a map, or without a probe, is compared with nothing.
            let (Some(_), Some(first), Some(error)) = (chunk.probe, chunk.score, chunk.error()) else {
                continue;
            };
            let metric = &candidate.planned.settings.metric;
            let points = tolerance.unwrap_or(Tolerance::usual(metric.metric)).points(metric);
            let by = error.abs() / points;
            if by <= 1.0 {
                continue;
            }
            let corrected = self.settle(number, self.own(number, first))?;
            // At a limit, or nearer than the encoder's steps are.
            if (corrected.result.crf - chunk.crf()).abs() > 1e-9 {
                let frames = candidate.planned.scene.frames();
                misses.push((Miss { chunk: number, frames, by }, first));
            }
        }
        Ok(misses)
    }

    /// What was measured of a scene: its probes and its chunks.
    pub fn taken(&self, number: usize) -> Result<Vec<(Purpose, Taken)>> {
        if self.candidate(number).is_none() {
            return Ok(Vec::new());
        }
        let mut taken = self.probing.taken(number)?;
        let frames = self.planned(number).scene.frames();
        for chunk in self.made(number) {
            let record = chunk.measured_key.as_ref().and_then(|key| self.probing.store.measured(key));
            let record = record.with_context(|| self.place(number, chunk.crf()))?;
            let (crf, bytes) = (chunk.crf(), ivf::bare(chunk.bytes, frames));
            taken.push((Purpose::Final, Taken { crf, bytes, measured: record.measured }));
        }
        Ok(taken)
    }

    /// Frames that can be encoded once more for what second probes would have taken
    /// that chunks took the place of; `work_ratio` is the final encode's work by that of a probe.
    pub fn spared(&self, work_ratio: impl Fn(&Settings, &Fork) -> Option<f64>) -> usize {
        let candidates = &self.probing.candidates;
        let frames = candidates.iter().enumerate().map(|(number, candidate)| {
            let lessons = self.probing.learning.lessons(candidates, number);
            if !candidate.was_spared(lessons.as_ref()) {
                return 0.0;
            }
            let fork = &self.probing.forks[candidate.planned.index];
            let ratio = work_ratio(candidate.planned.settings, fork).unwrap_or(1.0);
            candidate.planned.scene.frames() as f64 / ratio.max(1.0)
        });
        frames.sum::<f64>() as usize
    }

    /// Lets the next run of the chains encode these again.
    pub fn again(&mut self, chosen: HashMap<usize, Scored>) {
        let frames = chosen.keys().map(|&number| self.planned(number).scene.frames() as u64).sum();
        self.stage = self.events.stage("Encoding again", frames, "frames");
        self.again = chosen;
    }

    /// Whether the CRF of a scene's chunk lies on a limit of what it may have.
    pub fn is_clamped(&self, number: usize, chunk: &Chunk) -> bool {
        let Some(candidate) = self.candidate(number) else { return false };
        let goal = &candidate.model.goal;
        let (solved, crf) = (chunk.settled.solved, chunk.crf());
        solved <= goal.min_crf || solved >= goal.max_crf || crf <= candidate.planned.settings.output.min_crf
    }
}

impl Chunk {
    /// The chunk beside a probe at its CRF, once it is measured.
    fn pair(&self) -> Option<Pair> {
        let (probe, reach) = self.probe?;
        Some(Pair { crf: self.crf(), probe, final_: self.score?.score, reach })
    }
}

/// The measured frames of a chunk, with their scores.
pub fn frames(candidate: &Candidate<'_>, record: &MeasuredRecord) -> Result<Vec<(usize, f64)>> {
    let scores = candidate.frame_scores(&record.measured)?;
    let all = scores.frames.iter().chain(&scores.suspects);
    Ok(all.map(|(offset, score)| (candidate.planned.scene.start + offset, *score)).collect())
}

pub fn scored(candidate: &Candidate<'_>, record: &MeasuredRecord, crf: f64) -> Result<Scored> {
    let scores = candidate.scores(&record.measured)?;
    Ok(Scored { crf, score: scores.pooled.score, error: scores.error })
}
