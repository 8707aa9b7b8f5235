//! The closed loop: a scene's chain goes on after its probes with the chunk that
//! goes into the file, which is measured like a probe.
//!
//! What the chunks of a group's teachers show (`learning`) is waited for by all
//! others, so that neither the order in which scenes finish nor an interruption
//! changes what they are encoded with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Error, Result};

use super::candidate::{Candidate, Probed};
use super::finish::{Finisher, SceneOutcome, Settled};
use super::frames::{self, Keep};
use super::measuring::Measuring;
use super::plan::PlannedScene;
use super::probing::Probing;
use super::redo::{Miss, Tolerance};
use super::scheduler::{Chain, Step, Work};
use super::store::MeasuredRecord;
use crate::encode::{Order, Workshop};
use crate::encoder::{EncodeError, Encoded};
use crate::model::{Learned, Pair, Ratios, Scored};
use crate::support::cancel::Interrupted;
use crate::support::events::{Event, Events, Stage};
use crate::support::fingerprint::Fingerprint;

/// Chunks are takes from here on: beyond all probes of a scene, and taken before
/// others' second ones, the longest first.
const FIRST_CHUNK: usize = 1000;
const ATTEMPTS: u32 = 2;
pub const STAGE: &str = "Encoding";

/// A scene's chunk, decided, and perhaps encoded and measured.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub settled: Arc<Settled>,
    pub order: Arc<Order>,
    /// The score that it should have; `None` where nothing is measured.
    pub aim: Option<f64>,
    /// What a probe would score at its CRF; `None` where the two are not comparable.
    probe: Option<f64>,
    /// What its measurement is kept under.
    measured_key: Option<Fingerprint>,
    pub bytes: u64,
    pub seconds: f64,
    /// An earlier run encoded it.
    pub resumed: bool,
    pub score: Option<Scored>,
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
struct Slot {
    /// The chunk that is on its way.
    planned: Option<Chunk>,
    /// Those that are finished, the second one made again.
    made: Vec<Chunk>,
    failed: bool,
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
struct Sum {
    frames: usize,
    bytes: u64,
}

/// The chains of all scenes, probes and chunks.
pub struct Chunks<'a> {
    probing: Probing<'a>,
    /// Scenes of zones that measure nothing; their numbers follow the candidates'.
    plain: Vec<PlannedScene<'a>>,
    workshop: &'a Workshop,
    finisher: &'a Finisher<'a>,
    slots: Vec<Mutex<Slot>>,
    /// By number: ln of (damage / a probe's) that the first chunk showed, for those made again.
    again: HashMap<usize, f64>,
    frames: usize,
    sum: Mutex<Sum>,
    stage: Stage,
    /// Which workers are busy, by number.
    workers: Mutex<Vec<bool>>,
    events: &'a Events,
}

impl<'a> Chunks<'a> {
    /// `planned` are all scenes of the clip.
    pub fn new(
        probing: Probing<'a>,
        planned: &[PlannedScene<'a>],
        workshop: &'a Workshop,
        finisher: &'a Finisher<'a>,
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
            events,
        }
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

    fn candidate(&self, number: usize) -> Option<&Candidate<'a>> {
        self.probing.candidates.get(number)
    }

    fn slot(&self, number: usize) -> MutexGuard<'_, Slot> {
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
        let teachers = learning.teachers(number);
        let mut pairs = Vec::new();
        // A teacher's own chunk comes before anything is known.
        for &teacher in teachers.iter().filter(|_| !teachers.contains(&number)) {
            let slot = self.slot(teacher);
            match slot.made.first() {
                Some(chunk) => pairs.extend(chunk.pair()),
                None if slot.failed => return Taught::Never,
                None => return Taught::Later,
            }
        }
        let ratios = Ratios::new(pairs, &candidates[number].model.goal);
        Taught::Now(Learned { lessons, ratios, own: None })
    }

    /// What all but the teachers of a candidate's group learned.
    fn learned(&self, number: usize) -> Option<Learned> {
        let (candidates, learning) = (&self.probing.candidates, &self.probing.learning);
        let pairs: Vec<Pair> = learning
            .teachers(number)
            .iter()
            .filter_map(|&teacher| self.slot(teacher).made.first()?.pair())
            .collect();
        let ratios = Ratios::new(pairs, &candidates[number].model.goal);
        Some(Learned { lessons: learning.lessons(candidates, number), ratios, own: None })
    }

    /// Sentences about what scenes taught each other.
    pub fn describe(&self) -> Vec<String> {
        self.probing.learning.describe_closed(&self.probing.candidates, |number| self.learned(number))
    }

    /// The next step of a scene whose probes are done.
    fn chunk_step(&self, number: usize) -> Result<Step> {
        loop {
            let made = self.slot(number).made.len();
            let learned = match (made, self.candidate(number), self.again.get(&number)) {
                (0, None, _) => Learned::default(),
                (0, Some(_), _) => match self.taught(number) {
                    Taught::Now(learned) => learned,
                    Taught::Later => return Ok(Step::Wait),
                    Taught::Never => return Ok(Step::Done),
                },
                (1, Some(_), Some(&level)) => self.own(number, level),
                _ => return Ok(Step::Done),
            };
            let mut chunk = self.chunk(number, self.settle(number, learned)?)?;
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
                let Some(record) = record.filter(|r| candidate.is_enough(&r.measured).unwrap_or(false))
                else {
                    self.slot(number).planned = Some(chunk);
                    return Ok(Step::Score { take, crf });
                };
                chunk.score = Some(scored(candidate, &record, crf)?);
            }
            self.slot(number).made.push(chunk);
        }
    }

    fn own(&self, number: usize, level: f64) -> Learned {
        let lessons = self.probing.learning.lessons(&self.probing.candidates, number);
        Learned { lessons, ratios: Ratios::default(), own: Some(level) }
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
            let at = |crf| candidate.model.expected(&scored, lessons.as_ref(), crf);
            aim = match (at(settled.solved), at(settled.asked)) {
                // Rules and Character Boost want another quality than the target.
                (Some(from), Some(to)) => Some(candidate.model.moved_target(from, to)),
                _ => Some(candidate.model.goal.target),
            };
            probe = at(settled.result.crf).filter(|_| !settled.has_map);
            let first = candidate.first_take().context("a solved scene has a probe")?;
            let first = self.probing.encode_key(candidate, first)?;
            measured_key = Some(candidate.measured_key(&order.key, &first));
        }
        let settled = Arc::new(settled);
        let (bytes, seconds, resumed, score) = (0, 0.0, false, None);
        Ok(Chunk { settled, order, aim, probe, measured_key, bytes, seconds, resumed, score })
    }

    fn count(&self, number: usize, bytes: u64) {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.frames += self.planned(number).scene.frames();
        sum.bytes += bytes;
        let whole = sum.bytes as f64 / sum.frames as f64 * self.frames as f64;
        self.events.emit(&Event::EstimatedSize { stage: STAGE, bytes: whole as u64 });
    }

    fn encode_chunk(&self, number: usize) -> Result<()> {
        let planned = self.slot(number).planned.clone().context("a chunk that was never planned")?;
        let worker = Worker::new(&self.workers);
        let encoded = self.encode_once_more(number, &planned.order, worker.number)?;
        let &Encoded { frames, bytes, seconds, .. } = &encoded;
        let chunk = self.planned(number).index;
        self.events.emit(&Event::ChunkFinished { worker: worker.number, chunk, frames, bytes, seconds });
        self.count(number, bytes);
        if let Some(planned) = &mut self.slot(number).planned {
            (planned.bytes, planned.seconds) = (bytes, seconds);
        }
        Ok(())
    }

    /// Tried again once when that can help.
    fn encode_once_more(&self, number: usize, order: &Order, worker: usize) -> Result<Encoded> {
        let PlannedScene { index, scene, .. } = *self.planned(number);
        let (mut attempt, mut counted) = (1, 0);
        loop {
            let (start, end) = (scene.start, scene.end);
            self.events.emit(&Event::ChunkStarted { worker, chunk: index, start, end, attempt });
            match self.encode(number, order, &mut counted) {
                Err(error) if attempt < ATTEMPTS && may_succeed(&error) => {
                    self.workshop.check_space()?;
                    self.events.warn(format!("scene {index}: trying its chunk once more: {error:#}"));
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// `counted` are the frames that the stage knows of.
    fn encode(&self, number: usize, order: &Order, counted: &mut usize) -> Result<Encoded> {
        let PlannedScene { index, scene, .. } = *self.planned(number);
        let Probing { clip, cancel, .. } = self.probing;
        let nothing = frames::Kept::default();
        let (keep, grid, kept) = match self.candidate(number) {
            // What it kept for its probes is gone if it had to wait.
            Some(c) if c.progress().references.is_empty() => (&c.keep, c.luma_grid(), &c.kept),
            _ => (&Keep::Nothing, None, &nothing),
        };
        let mut sent = 0;
        let frames = frames::pass_by(clip, scene, keep, grid, kept, cancel).inspect(|_| {
            sent += 1;
            if sent > *counted {
                *counted = sent;
                self.stage.advance(1);
            }
        });
        let events = self.events.clone();
        self.workshop.encode(order, frames, cancel, move |line| {
            events.emit(&Event::EncoderLine { scene: index, line: line.to_owned() });
        })
    }

    /// Measures the chunk on its way and enters it.
    fn measure_chunk(&self, number: usize, take: usize) -> Result<()> {
        let mut chunk = self.slot(number).planned.clone().context("a chunk that was never planned")?;
        if let Some(candidate) = self.candidate(number) {
            let Probing { clip, pool, cancel, store, .. } = self.probing;
            let measured = Measuring { clip, pool, cancel }.measure(candidate, chunk.order.file(), take)?;
            let key = chunk.measured_key.clone().context("a measured chunk has a key")?;
            let record = MeasuredRecord { key, crf: chunk.crf(), measured };
            let score = scored(candidate, &record, chunk.crf())?;
            store.add_measured(record)?;
            let (crf, target) = (chunk.crf(), chunk.aim.unwrap_or(candidate.model.goal.target));
            let again = take > FIRST_CHUNK;
            let Scored { score: value, error, .. } = score;
            let chunk_number = candidate.planned.index;
            self.events.emit(&Event::ChunkScore {
                chunk: chunk_number,
                again,
                crf,
                score: value,
                error,
                target,
            });
            chunk.score = Some(score);
        }
        let mut slot = self.slot(number);
        slot.planned = None;
        slot.made.push(chunk);
        Ok(())
    }

    /// The chunks that would come nearer to their target when encoded again, each
    /// with the level that its first encode showed.
    pub fn misses(&self, tolerance: Option<Tolerance>) -> Result<Vec<(Miss, f64)>> {
        let mut misses = Vec::new();
        for (number, candidate) in self.probing.candidates.iter().enumerate() {
            let Some(chunk) = self.made(number).into_iter().next() else { continue };
            let (Some(pair), Some(error)) = (chunk.pair(), chunk.error()) else { continue };
            let metric = &candidate.planned.settings.metric;
            let points = tolerance.unwrap_or(Tolerance::usual(metric.metric)).points(metric);
            let by = error.abs() / points;
            if by <= 1.0 {
                continue;
            }
            let level = candidate.model.ratio(pair);
            let corrected = self.settle(number, self.own(number, level))?;
            // At a limit, or nearer than the encoder's steps are.
            if (corrected.result.crf - chunk.crf()).abs() > 1e-9 {
                let frames = candidate.planned.scene.frames();
                misses.push((Miss { chunk: number, frames, by }, level));
            }
        }
        Ok(misses)
    }

    /// Lets the next run of the chains encode these again.
    pub fn again(&mut self, chosen: HashMap<usize, f64>) {
        let frames = chosen.keys().map(|&number| self.planned(number).scene.frames() as u64).sum();
        self.stage = self.events.stage("Encoding again", frames, "frames");
        self.again = chosen;
    }

    /// Whether the scene's CRF lies on a limit of what it may have.
    pub fn is_clamped(&self, number: usize) -> bool {
        let Some(candidate) = self.candidate(number) else { return false };
        let goal = &candidate.model.goal;
        let at_limit = |chunk: &Chunk| {
            let (solved, crf) = (chunk.settled.solved, chunk.crf());
            solved <= goal.min_crf
                || solved >= goal.max_crf
                || crf <= candidate.planned.settings.output.min_crf
        };
        self.slot(number).made.last().is_some_and(at_limit)
    }
}

impl Chunk {
    /// The chunk beside a probe at its CRF, once it is measured.
    fn pair(&self) -> Option<Pair> {
        Some(Pair { crf: self.crf(), probe: self.probe?, final_: self.score?.score })
    }
}

fn scored(candidate: &Candidate<'_>, record: &MeasuredRecord, crf: f64) -> Result<Scored> {
    let scores = candidate.scores(&record.measured)?;
    Ok(Scored { crf, score: scores.pooled.score, error: scores.error })
}

fn may_succeed(error: &Error) -> bool {
    !error.is::<Interrupted>() && error.downcast_ref::<EncodeError>().is_none_or(EncodeError::is_retryable)
}

/// A number for whoever encodes, for the events; free again when dropped.
struct Worker<'a> {
    number: usize,
    busy: &'a Mutex<Vec<bool>>,
}

impl<'a> Worker<'a> {
    fn new(busy: &'a Mutex<Vec<bool>>) -> Self {
        let mut numbers = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.iter().position(|busy| !busy).unwrap_or(numbers.len());
        let known = numbers.len().max(number + 1);
        numbers.resize(known, false);
        numbers[number] = true;
        Self { number, busy }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)[self.number] = false;
    }
}

impl Work for Chunks<'_> {
    fn proceed(&self, number: usize) -> Result<Step> {
        match self.candidate(number) {
            Some(_) => match self.probing.proceed(number)? {
                Step::Done => self.chunk_step(number),
                step => Ok(step),
            },
            None => self.chunk_step(number),
        }
    }

    fn encode(&self, number: usize, take: usize, crf: f64) -> Result<()> {
        if take < FIRST_CHUNK {
            return self.probing.encode(number, take, crf);
        }
        self.encode_chunk(number).with_context(|| self.place(number, crf))
    }

    fn score(&self, number: usize, take: usize, crf: f64) -> Result<Step> {
        if take < FIRST_CHUNK {
            return match self.probing.score(number, take, crf)? {
                Step::Done => self.chunk_step(number),
                step => Ok(step),
            };
        }
        self.measure_chunk(number, take).with_context(|| self.place(number, crf))?;
        self.chunk_step(number)
    }

    fn release(&self, number: usize) {
        if self.candidate(number).is_some() {
            self.probing.release(number);
        }
    }

    fn give_up(&self, number: usize) {
        self.slot(number).failed = true;
        if self.candidate(number).is_some() {
            self.probing.give_up(number);
        }
    }
}

impl Chunks<'_> {
    /// For messages.
    fn place(&self, number: usize, crf: f64) -> String {
        let PlannedScene { index, scene, .. } = self.planned(number);
        format!("scene {index} (frames {} to {}), its chunk at CRF {crf}", scene.start, scene.end)
    }
}
