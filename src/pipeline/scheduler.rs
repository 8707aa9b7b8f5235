//! Runs the probe chains of all scenes: encode → score → encode → score → done.
//!
//! Each scene is a chain of its own and there is no barrier between phases:
//! while one scene is scored, others encode. Encoder slots take second probes
//! before first ones, because they free the frames kept for their scene. Scenes are
//! taken in the order of the clip, so that those at work lie beside each other and a
//! source plugin reads on where it is, and the last ones the longest first, so that
//! no long one runs alone at the end.
//!
//! A scene may have to wait for what others find out. It then holds neither a
//! thread nor memory, so that it stands in nobody's way, and is asked again
//! whenever another one has got further.

use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};

use crate::dispatch::crew::Crew;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::panics::caught;
use crate::support::space::NoRoom;

/// So many scenes failing before a single one succeeds means that all will.
const HOPELESS: usize = 3;

/// A scene's place in the schedule.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Expected work; frames times pixels.
    pub weight: u64,
    /// Bytes kept in memory from the first probe on until the scene is done.
    pub bytes: u64,
    /// Others will wait for this scene: it is started before them.
    pub urgent: bool,
}

/// What a scene needs next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Make encode number `take` of the scene (0, 1, …) at this CRF, then score it.
    Encode {
        take: usize,
        crf: f64,
    },
    /// The encode is on disk already: score it.
    Score {
        take: usize,
        crf: f64,
    },
    /// What comes next depends on other scenes that are not as far yet.
    Wait,
    Done,
}

/// The work itself; called from many threads, never twice at once for a scene.
pub trait Work: Sync {
    /// Where the chain goes on: at its start, for a resumed run anywhere, and
    /// again after [`Step::Wait`]. It must not wait for other scenes itself.
    fn proceed(&self, scene: usize) -> Result<Step>;
    /// Makes an encode; runs on an encoder slot.
    fn encode(&self, scene: usize, take: usize, crf: f64) -> Result<()>;
    /// Scores an encode and says what comes next; runs on a scoring thread.
    fn score(&self, scene: usize, take: usize, crf: f64) -> Result<Step>;
    /// The scene is finished, given up, or has to wait: what it kept can go.
    fn release(&self, scene: usize);
    /// The scene failed: no more will come from it.
    fn give_up(&self, scene: usize);
}

#[derive(Debug, Clone)]
pub struct Limits {
    /// Encoder processes at once.
    pub workers: usize,
    /// How many of them work now, where that depends on the machine.
    pub crew: Option<Arc<Crew>>,
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
    let board = Board::new(chains, limits.clone(), work)?;
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
    take: usize,
    urgent: bool,
    /// The place among first encodes, the highest first.
    rank: u64,
    scene: usize,
    crf: f64,
}

impl Eq for Task {}

impl Ord for Task {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Those of scenes in flight before first ones, which may have to wait for
        // them; then those that others wait for, later probes, and the order above.
        let rank = |task: &Self| (task.take > 0, task.urgent, task.take, task.rank);
        rank(self).cmp(&rank(other)).then(other.scene.cmp(&self.scene))
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
    /// By scene.
    ranks: Vec<u64>,
    /// Tasks being worked on, by their phase.
    running: Vec<(Kind, usize)>,
    /// Whether a scene's memory is counted.
    admitted: Vec<bool>,
    memory: u64,
    /// Scenes that are counted.
    in_flight: usize,
    /// Scenes that wait for others.
    waiting: Vec<usize>,
    remaining: usize,
    /// Encodes that were scored, and scenes that needed none: proof that it can work.
    /// Waiting is none, because scenes wait before their first probe too.
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
            ranks: ranks(chains, limits.workers),
            running: Vec::new(),
            admitted: vec![false; chains.len()],
            memory: 0,
            in_flight: 0,
            waiting: Vec::new(),
            remaining: chains.len(),
            succeeded: 0,
            failed: Vec::new(),
            fatal: None,
        };
        for scene in 0..chains.len() {
            state.enqueue(scene, chains, work.proceed(scene)?);
        }
        state.wake(chains, work);
        Ok(Self { chains, limits, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: takes tasks of its kind until nothing is left.
    fn serve(&self, kind: Kind, work: &impl Work, cancel: &Cancel) {
        while let Some(task) = self.next(kind, cancel) {
            // A thread that ended here would let the others wait for ever.
            let result = caught(|| match kind {
                Kind::Encode => work
                    .encode(task.scene, task.take, task.crf)
                    .map(|()| Step::Score { take: task.take, crf: task.crf }),
                Kind::Score => work.score(task.scene, task.take, task.crf),
            });
            if !matches!(result, Ok(Step::Encode { .. } | Step::Score { .. })) {
                work.release(task.scene);
            }
            if result.is_err() {
                work.give_up(task.scene);
            }
            self.finish(kind, task, result, work);
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

    fn finish(&self, kind: Kind, task: Task, result: Result<Step>, work: &impl Work) {
        let mut state = self.lock();
        if let Some(at) = state.running.iter().position(|r| *r == (kind, task.take)) {
            state.running.swap_remove(at);
        }
        if !matches!(result, Ok(Step::Encode { .. } | Step::Score { .. })) && state.admitted[task.scene] {
            state.admitted[task.scene] = false;
            state.memory -= self.chains[task.scene].bytes;
            state.in_flight -= 1;
        }
        match result {
            Ok(step) => {
                state.succeeded += usize::from(kind == Kind::Score);
                state.enqueue(task.scene, self.chains, step);
            }
            Err(error) => state.give_up(task.scene, error),
        }
        // Under the lock: a scene that begins to wait just as the last one that
        // it waits for gets there is asked after both.
        state.wake(self.chains, work);
        self.changed.notify_all();
    }
}

impl State {
    fn enqueue(&mut self, scene: usize, chains: &[Chain], step: Step) {
        let (urgent, rank) = (chains[scene].urgent, self.ranks[scene]);
        let task = |take, crf| Task { take, urgent, rank, scene, crf };
        match step {
            Step::Encode { take, crf } => self.encode.push(task(take, crf)),
            Step::Score { take, crf } => self.score.push(task(take, crf)),
            Step::Wait => self.waiting.push(scene),
            Step::Done => {
                self.remaining -= 1;
                self.succeeded += 1;
            }
        }
    }

    /// Asks those that wait whether they can go on, until none can.
    fn wake(&mut self, chains: &[Chain], work: &impl Work) {
        loop {
            let waiting = std::mem::take(&mut self.waiting);
            let before = waiting.len();
            for scene in waiting {
                match caught(|| work.proceed(scene)) {
                    Ok(Step::Wait) => self.waiting.push(scene),
                    Ok(step) => self.enqueue(scene, chains, step),
                    Err(error) => {
                        work.give_up(scene);
                        self.give_up(scene, error);
                    }
                }
            }
            if self.waiting.is_empty() || self.waiting.len() == before {
                break;
            }
        }
        let idle = self.encode.is_empty() && self.score.is_empty() && self.running.is_empty();
        if idle && !self.waiting.is_empty() && self.fatal.is_none() {
            let scenes: Vec<String> = self.waiting.iter().map(usize::to_string).collect();
            let scenes = scenes.join(", ");
            self.fatal = Some(anyhow!("scenes {scenes} wait for others, and nothing is left to be done"));
        }
    }

    fn give_up(&mut self, scene: usize, error: Error) {
        self.remaining -= 1;
        // Neither is a failure of this scene alone.
        if error.is::<Interrupted>() || error.is::<NoRoom>() {
            self.fatal = Some(error);
        } else {
            self.fail(scene, error);
        }
    }

    fn take(&mut self, kind: Kind, limits: &Limits, chains: &[Chain]) -> Option<Task> {
        if limits.staged && self.phase() < self.first_of(kind)? {
            return None;
        }
        let encoding = self.running.iter().filter(|(kind, _)| *kind == Kind::Encode).count();
        if let Some(crew) = limits.crew.as_ref().filter(|_| kind == Kind::Encode) {
            crew.tell(encoding);
            if encoding >= crew.allowed() {
                return None;
            }
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
        let waits = !admitted && kind == Kind::Encode && task.take == 0;
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
        self.running.push((kind, task.take));
        Some(task)
    }

    /// Staged: the phase of the next task of `kind`.
    fn first_of(&self, kind: Kind) -> Option<(usize, Kind)> {
        let queue = match kind {
            Kind::Encode => &self.encode,
            Kind::Score => &self.score,
        };
        // All tasks of one kind are of one probe when phases have barriers.
        Some((queue.peek()?.take, kind))
    }

    /// Staged: the earliest phase that still has work.
    fn phase(&self) -> (usize, Kind) {
        let queued = [Kind::Encode, Kind::Score].into_iter().filter_map(|kind| self.first_of(kind));
        let running = self.running.iter().map(|&(kind, take)| (take, kind));
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

/// The order of scenes, the highest first: that of the clip until a quarter of the
/// work is left, or what keeps all workers busy for three scenes, then the longest.
fn ranks(chains: &[Chain], workers: usize) -> Vec<u64> {
    let quarter = chains.iter().map(|chain| chain.weight).sum::<u64>() / 4;
    let (mut left, mut tail) = (0, 0);
    for chain in chains.iter().rev() {
        if left >= quarter && tail >= 3 * workers.max(1) {
            break;
        }
        left += chain.weight;
        tail += 1;
    }
    let first = chains.len() - tail;
    let mut last: Vec<usize> = (first..chains.len()).collect();
    last.sort_by_key(|&scene| (std::cmp::Reverse(chains[scene].weight), scene));
    let mut ranks = vec![0; chains.len()];
    for (place, scene) in (0..first).chain(last).enumerate() {
        ranks[scene] = (chains.len() - place) as u64;
    }
    ranks
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
