//! Runs the probe chains of all scenes: encode → score → encode → score → done.
//!
//! Each scene is a chain of its own and there is no barrier between phases:
//! while one scene is scored, others encode. Encoder slots take second probes
//! before first ones, because they free the frames kept for their scene, and
//! longer scenes before shorter ones, so that no long one runs alone at the end.

use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Error, Result};

use crate::support::cancel::{Cancel, Interrupted};

/// So many scenes failing before a single one succeeds means that all will.
const HOPELESS: usize = 3;

/// A scene's place in the schedule.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Expected work; frames times pixels.
    pub weight: u64,
    /// Bytes kept in memory from the first probe on until the scene is done.
    pub bytes: u64,
}

/// What a scene needs next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Encode probe number `probe` (0, 1, …) at this CRF, then score it.
    Encode {
        probe: usize,
        crf: f64,
    },
    /// The probe is on disk already: score it.
    Score {
        probe: usize,
        crf: f64,
    },
    Done,
}

/// The work itself; called from many threads, never twice at once for a scene.
pub trait Work: Sync {
    /// Where the chain starts: anywhere, for a resumed run.
    fn first(&self, scene: usize) -> Result<Step>;
    /// Encodes a probe; runs on an encoder slot.
    fn encode(&self, scene: usize, probe: usize, crf: f64) -> Result<()>;
    /// Scores a probe and says what comes next; runs on a scoring thread.
    fn score(&self, scene: usize, probe: usize, crf: f64) -> Result<Step>;
    /// The scene is finished, or given up: what it kept can go.
    fn release(&self, scene: usize);
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Encoder processes at once.
    pub workers: usize,
    /// Scoring threads.
    pub scorers: usize,
    /// Bytes that the scenes in flight may keep; one scene is always let in.
    pub memory: u64,
    /// Barriers between the phases, for comparison: all first probes, then all
    /// scores, then all second probes.
    pub staged: bool,
}

impl Limits {
    /// One scene for every thread: with more, encoders that are faster than the
    /// scoring would only fill the memory.
    fn most_in_flight(&self) -> usize {
        self.workers.max(1) + self.scorers.max(1)
    }
}

/// Runs all chains to their end. Scenes that failed are returned with their
/// error, in order; the others are complete. An interruption ends everything.
pub fn run(
    chains: &[Chain],
    limits: &Limits,
    work: &impl Work,
    cancel: &Cancel,
) -> Result<Vec<(usize, Error)>> {
    let board = Board::new(chains, *limits, work)?;
    thread::scope(|scope| {
        for _ in 0..limits.workers.max(1) {
            scope.spawn(|| board.serve(Kind::Encode, work, cancel));
        }
        for _ in 0..limits.scorers.max(1) {
            scope.spawn(|| board.serve(Kind::Score, work, cancel));
        }
    });
    let state = board.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(fatal) = state.fatal {
        return Err(fatal);
    }
    cancel.check()?;
    let mut failed = state.failed;
    failed.sort_by_key(|(scene, _)| *scene);
    Ok(failed)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Encode,
    Score,
}

/// A task in a queue; the largest is taken first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Task {
    probe: usize,
    weight: u64,
    scene: usize,
    crf: f64,
}

impl Eq for Task {}

impl Ord for Task {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Later probes, then longer scenes, then earlier ones.
        (self.probe, self.weight, other.scene).cmp(&(other.probe, other.weight, self.scene))
    }
}

impl PartialOrd for Task {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct State {
    encode: BinaryHeap<Task>,
    score: BinaryHeap<Task>,
    /// Tasks being worked on, by their phase.
    running: Vec<(Kind, usize)>,
    /// Whether a scene's memory is counted.
    admitted: Vec<bool>,
    memory: u64,
    /// Scenes that are counted.
    in_flight: usize,
    remaining: usize,
    succeeded: usize,
    failed: Vec<(usize, Error)>,
    fatal: Option<Error>,
}

struct Board<'a> {
    chains: &'a [Chain],
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

impl<'a> Board<'a> {
    fn new(chains: &'a [Chain], limits: Limits, work: &impl Work) -> Result<Self> {
        let mut state = State {
            encode: BinaryHeap::new(),
            score: BinaryHeap::new(),
            running: Vec::new(),
            admitted: vec![false; chains.len()],
            memory: 0,
            in_flight: 0,
            remaining: chains.len(),
            succeeded: 0,
            failed: Vec::new(),
            fatal: None,
        };
        for (scene, chain) in chains.iter().enumerate() {
            state.enqueue(scene, chain.weight, work.first(scene)?);
        }
        Ok(Self { chains, limits, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: takes tasks of its kind until nothing is left.
    fn serve(&self, kind: Kind, work: &impl Work, cancel: &Cancel) {
        while let Some(task) = self.next(kind, cancel) {
            let result = match kind {
                Kind::Encode => work
                    .encode(task.scene, task.probe, task.crf)
                    .map(|()| Step::Score { probe: task.probe, crf: task.crf }),
                Kind::Score => work.score(task.scene, task.probe, task.crf),
            };
            if !matches!(result, Ok(Step::Encode { .. } | Step::Score { .. })) {
                work.release(task.scene);
            }
            self.finish(kind, task, result);
        }
    }

    fn next(&self, kind: Kind, cancel: &Cancel) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if cancel.is_cancelled() || state.fatal.is_some() || state.remaining == 0 {
                self.changed.notify_all();
                return None;
            }
            if let Some(task) = state.take(kind, &self.limits, self.chains) {
                return Some(task);
            }
            // Woken by finished tasks; the time-out notices the stop flag.
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(200))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn finish(&self, kind: Kind, task: Task, result: Result<Step>) {
        let mut state = self.lock();
        if let Some(at) = state.running.iter().position(|r| *r == (kind, task.probe)) {
            state.running.swap_remove(at);
        }
        match result {
            Ok(Step::Done) => state.succeeded += 1,
            Ok(step) => {
                state.enqueue(task.scene, task.weight, step);
                self.changed.notify_all();
                return;
            }
            Err(error) if error.is::<Interrupted>() => state.fatal = Some(error),
            Err(error) => state.fail(task.scene, error),
        }
        state.remaining -= 1;
        if state.admitted[task.scene] {
            state.memory -= self.chains[task.scene].bytes;
            state.in_flight -= 1;
        }
        self.changed.notify_all();
    }
}

impl State {
    fn enqueue(&mut self, scene: usize, weight: u64, step: Step) {
        match step {
            Step::Encode { probe, crf } => self.encode.push(Task { probe, weight, scene, crf }),
            Step::Score { probe, crf } => self.score.push(Task { probe, weight, scene, crf }),
            Step::Done => {
                self.remaining -= 1;
                self.succeeded += 1;
            }
        }
    }

    fn take(&mut self, kind: Kind, limits: &Limits, chains: &[Chain]) -> Option<Task> {
        if limits.staged && self.phase() < self.first_of(kind)? {
            return None;
        }
        let queue = match kind {
            Kind::Encode => &mut self.encode,
            Kind::Score => &mut self.score,
        };
        let task = *queue.peek()?;
        let admitted = self.admitted[task.scene] || limits.staged;
        let bytes = chains[task.scene].bytes;
        // Only first encodes wait to be let in. A resumed scene further on must
        // not: it may stand before the very scenes whose end it would wait for.
        let waits = !admitted && kind == Kind::Encode && task.probe == 0;
        let too_much = self.memory > 0 && self.memory + bytes > limits.memory;
        if waits && (too_much || self.in_flight >= limits.most_in_flight()) {
            return None;
        }
        queue.pop();
        if !admitted {
            self.admitted[task.scene] = true;
            self.memory += bytes;
            self.in_flight += 1;
        }
        self.running.push((kind, task.probe));
        Some(task)
    }

    /// Staged: the phase of the next task of `kind`.
    fn first_of(&self, kind: Kind) -> Option<(usize, Kind)> {
        let queue = match kind {
            Kind::Encode => &self.encode,
            Kind::Score => &self.score,
        };
        // All tasks of one kind are of one probe when phases have barriers.
        Some((queue.peek()?.probe, kind))
    }

    /// Staged: the earliest phase that still has work.
    fn phase(&self) -> (usize, Kind) {
        let queued = [Kind::Encode, Kind::Score].into_iter().filter_map(|kind| self.first_of(kind));
        let running = self.running.iter().map(|&(kind, probe)| (probe, kind));
        queued.chain(running).min().unwrap_or((usize::MAX, Kind::Score))
    }

    fn fail(&mut self, scene: usize, error: Error) {
        self.failed.push((scene, error));
        if self.failed.len() >= HOPELESS && self.succeeded == 0 && self.fatal.is_none() {
            self.fatal = Some(self.hopeless());
        }
    }

    fn hopeless(&mut self) -> Error {
        let failed = std::mem::take(&mut self.failed);
        let scenes: Vec<String> = failed.iter().map(|(scene, _)| scene.to_string()).collect();
        let (_, last) = failed.into_iter().next_back().expect("called after a failure");
        last.context(format!("the first scenes all failed ({}), so the run stops here", scenes.join(", ")))
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
