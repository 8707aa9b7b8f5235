//! Encodes chunks side by side, retries what fails, keeps what is finished.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Error, Result, bail};

use super::plan::Chunk;
use super::recipe::Recipe;
use super::tools::Tools;
use super::work::{Finished, WorkFolder};
use crate::dispatch::crew::Crew;
use crate::encoder::{EncodeError, Encoded, Stream, encode_stream, y4m};
use crate::source::{Clip, Frames};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events, Stage};
use crate::support::fingerprint::Fingerprint;
use crate::support::panics::caught;
use crate::support::space::NoRoom;

const ATTEMPTS: u32 = 2;
/// So many chunks failing before a single one succeeds, in this run or in the
/// one that it continues, means that all will.
const HOPELESS: usize = 3;
pub const STAGE: &str = "Encoding";

/// A chunk to encode.
#[derive(Debug)]
pub struct Job {
    /// Its place in the clip.
    pub number: usize,
    pub chunk: Chunk,
    pub key: Fingerprint,
    /// Where the finished chunk lies.
    pub file: PathBuf,
}

/// What all jobs share.
pub struct Shop<'a> {
    pub recipes: &'a [Recipe],
    pub tools: &'a Tools,
    pub work: &'a WorkFolder,
    pub format: y4m::Format,
    pub full_range: bool,
    /// Frame rate for the times in grain tables.
    pub fps: (u32, u32),
    /// An encoder that neither reads nor writes for so long is ended.
    pub stall: Option<Duration>,
    pub nice: u8,
    /// How many encoders work now, where that depends on the machine.
    pub crew: Option<Arc<Crew>>,
    /// Opens the clip once more: source plugins are good at reading on from
    /// where they are, so every worker has its own.
    pub open: &'a (dyn Fn() -> Result<Clip> + Sync),
    pub events: &'a Events,
    pub cancel: &'a Cancel,
}

/// What is finished of the whole clip; frames and bytes are for the estimate of
/// the size.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub chunks: usize,
    pub frames: usize,
    pub bytes: u64,
    pub of_frames: usize,
}

struct Board<'a> {
    shop: &'a Shop<'a>,
    jobs: &'a [Job],
    stage: Stage,
    next: AtomicUsize,
    done: Mutex<Done>,
    failed: Mutex<Vec<(usize, Error)>>,
    fatal: Mutex<Option<Error>>,
    /// Set by a fatal error besides the user's.
    stop: Cancel,
}

/// Encodes `jobs` in their order, `parallel` at once. `first` is the clip that
/// is open already. An error names every chunk that failed, after all others
/// are finished; an interruption ends everything at once.
pub fn run(jobs: &[Job], parallel: usize, first: Clip, done: Done, shop: &Shop<'_>) -> Result<()> {
    let frames: usize = jobs.iter().map(|job| job.chunk.frames.len()).sum();
    let board = Board {
        shop,
        jobs,
        stage: shop.events.stage(STAGE, frames as u64, "frames"),
        next: AtomicUsize::new(0),
        done: Mutex::new(done),
        failed: Mutex::new(Vec::new()),
        fatal: Mutex::new(None),
        stop: Cancel::new(),
    };
    thread::scope(|scope| {
        let mut first = Some(first);
        for worker in 0..parallel.min(jobs.len()) {
            let (board, clip) = (&board, first.take());
            scope.spawn(move || board.serve(worker, clip));
        }
    });
    if let Some(fatal) = board.fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(fatal);
    }
    shop.cancel.check()?;
    report(jobs, board.failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn report(jobs: &[Job], mut failed: Vec<(usize, Error)>) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    failed.sort_by_key(|(job, _)| jobs[*job].number);
    let lines: Vec<String> = failed
        .iter()
        .map(|(job, error)| {
            let Job { number, chunk, .. } = &jobs[*job];
            format!("chunk {number}, frames {} to {}: {error:#}", chunk.frames.start, chunk.frames.end)
        })
        .collect();
    bail!(
        "{} of {} chunks failed twice; the others are kept, continue with --resume\n{}",
        failed.len(),
        jobs.len(),
        lines.join("\n")
    )
}

impl Board<'_> {
    fn serve(&self, worker: usize, mut clip: Option<Clip>) {
        loop {
            self.wait_for_place(worker);
            let index = self.next.fetch_add(1, Ordering::SeqCst);
            let Some(job) = self.jobs.get(index) else { return };
            if self.shop.cancel.is_cancelled() || self.stop.is_cancelled() {
                return;
            }
            let opened = match clip.take() {
                Some(clip) => Ok(clip),
                None => (self.shop.open)(),
            };
            let result = opened.and_then(|opened| {
                let source = clip.insert(opened);
                caught(|| self.work_on(worker, job, source))
            });
            if let Err(error) = result {
                self.fail(index, error);
            }
        }
    }

    /// Waits while fewer encoders than this worker's number are to be at work, and there
    /// is work left.
    fn wait_for_place(&self, worker: usize) {
        let Some(crew) = &self.shop.crew else { return };
        while worker >= crew.allowed()
            && self.next.load(Ordering::SeqCst) < self.jobs.len()
            && !self.shop.cancel.is_cancelled()
            && !self.stop.is_cancelled()
        {
            // All that are allowed have work.
            crew.tell(crew.allowed());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// One chunk, tried twice.
    fn work_on(&self, worker: usize, job: &Job, clip: &Clip) -> Result<()> {
        let Job { number, chunk, .. } = job;
        let sent = AtomicUsize::new(0);
        let mut attempt = 1;
        loop {
            let (start, end) = (chunk.frames.start, chunk.frames.end);
            self.shop.events.emit(&Event::ChunkStarted { worker, chunk: *number, start, end, attempt });
            match self.encode(job, clip, &sent) {
                Ok(encoded) => return self.finish(worker, job, &encoded),
                Err(error) if attempt < ATTEMPTS && may_succeed(&error) => {
                    self.shop.work.check_space()?;
                    self.shop.events.warn(format!("chunk {number} failed and is tried once more: {error:#}"));
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn encode(&self, job: &Job, clip: &Clip, counted: &AtomicUsize) -> Result<Encoded> {
        let shop = self.shop;
        let recipe = &shop.recipes[job.chunk.recipe];
        let tool = shop.tools.of(recipe)?;
        let words = words(recipe, &job.chunk, shop.work, shop.fps)?;
        let output = shop.work.encode_to(&job.file);
        let plain = tool.stream(&words, shop.format, &output);
        let stream = Stream { full_range: shop.full_range, stall: shop.stall, nice: shop.nice, ..plain };
        let frames = Counted {
            frames: clip.frames_of(job.chunk.frames.clone(), shop.cancel),
            sent: 0,
            high_water: counted,
            stage: &self.stage,
            stop: &self.stop,
        };
        let (events, scene) = (shop.events.clone(), job.number);
        let encoded = encode_stream(&stream, frames, shop.cancel, move |line| {
            events.emit(&Event::EncoderLine { scene, line: line.to_owned() });
        })?;
        WorkFolder::publish(&output, &job.file)?;
        Ok(Encoded { path: job.file.clone(), ..encoded })
    }

    fn finish(&self, worker: usize, job: &Job, encoded: &Encoded) -> Result<()> {
        let &Encoded { frames, bytes, seconds, .. } = encoded;
        let (start, end) = (job.chunk.frames.start, job.chunk.frames.end);
        self.shop.work.record(&Finished { key: job.key.clone(), start, end, bytes, seconds })?;
        self.shop.events.emit(&Event::ChunkFinished { worker, chunk: job.number, frames, bytes, seconds });
        let mut done = self.done();
        done.chunks += 1;
        done.frames += frames;
        done.bytes += bytes;
        let bytes = (done.bytes as f64 / done.frames as f64 * done.of_frames as f64) as u64;
        self.shop.events.emit(&Event::EstimatedSize { stage: STAGE, bytes });
        Ok(())
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, index: usize, error: Error) {
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were stopped because of another's fatal error are no failures.
        if fatal.is_some() || error.is::<Interrupted>() {
            return;
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if error.is::<NoRoom>() {
            *fatal = Some(error);
        } else if let Err(full) = self.shop.work.check_space() {
            *fatal = Some(full.into());
        } else if failed.len() + 1 >= HOPELESS && self.done().chunks == 0 {
            *fatal = Some(error.context("the first chunks all failed, so the run stops here"));
        } else {
            failed.push((index, error));
            return;
        }
        self.stop.cancel();
    }
}

/// The words of a chunk's encode; its grain table is written.
pub fn words(recipe: &Recipe, chunk: &Chunk, work: &WorkFolder, fps: (u32, u32)) -> Result<Vec<String>> {
    let mut options = recipe.options.clone();
    if let Some(grain) = &recipe.grain {
        let table = work.grain_file(chunk);
        if grain.write(&table, &chunk.frames, fps)? {
            options.set_ours(recipe.coder.table_option(), table.display().to_string());
        }
    }
    Ok(options.words(recipe.coder))
}

fn may_succeed(error: &Error) -> bool {
    !error.is::<Interrupted>() && error.downcast_ref::<EncodeError>().is_none_or(EncodeError::is_retryable)
}

/// The frames of an attempt; a second attempt counts only what the first did not.
struct Counted<'a> {
    frames: Frames,
    sent: usize,
    /// Frames of the chunk that the stage has counted.
    high_water: &'a AtomicUsize,
    stage: &'a Stage,
    stop: &'a Cancel,
}

impl Iterator for Counted<'_> {
    type Item = Result<Arc<crate::source::Picture>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(stopped) = self.stop.check() {
            return Some(Err(stopped.into()));
        }
        let frame = self.frames.next()?;
        self.sent += 1;
        if self.high_water.fetch_max(self.sent, Ordering::Relaxed) < self.sent {
            self.stage.advance(1);
        }
        Some(frame.map(|frame| Arc::new(frame.to_picture())))
    }
}
