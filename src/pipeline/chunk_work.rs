//! The closed loop at work: chunks are encoded and measured beside the probes.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Error, Result};

use super::chunks::{self, Chunks, FIRST_CHUNK, STAGE, scored};
use super::frames::{self, Keep};
use super::measuring::Measuring;
use super::plan::PlannedScene;
use super::scheduler::{Step, Work};
use super::store::MeasuredRecord;
use crate::encode::Order;
use crate::encoder::{EncodeError, Encoded, Purpose};
use crate::model::Scored;
use crate::support::cancel::Interrupted;
use crate::support::events::Event;

const ATTEMPTS: u32 = 2;

impl Chunks<'_> {
    /// Adds a finished chunk to what the file will weigh.
    pub fn count(&self, number: usize, bytes: u64) {
        if !self.again.is_empty() {
            return;
        }
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
        let (reader, cancel) = (self.readers().take(), self.probing.cancel);
        let nothing = frames::Kept::default();
        // What a scene kept for its probes is gone if it had to wait.
        let (keep, grid, kept) = match self.candidate(number) {
            Some(c) => (c.keep(Purpose::Final), c.luma_grid(), &c.kept),
            None => (Keep::Nothing, None, &nothing),
        };
        let mut sent = 0;
        let frames = frames::pass_by(&reader.clip, scene, &keep, grid, kept, cancel).inspect(|_| {
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
            let store = self.probing.store;
            let measuring = Measuring { readers: self.readers(), ..self.probing.measuring() };
            let measured = measuring.measure(candidate, chunk.order.file(), Purpose::Final)?;
            let key = chunk.measured_key.clone().context("a measured chunk has a key")?;
            let record = MeasuredRecord { key, crf: chunk.crf(), measured };
            let score = scored(candidate, &record, chunk.crf())?;
            chunk.frames = chunks::frames(candidate, &record)?;
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

    /// For messages.
    pub fn place(&self, number: usize, crf: f64) -> String {
        let PlannedScene { index, scene, .. } = self.planned(number);
        format!("scene {index} (frames {} to {}), its chunk at CRF {crf}", scene.start, scene.end)
    }
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
