//! What the stages tell the outside while they work.
//!
//! A stage never prints: it emits [`Event`]s through [`Events`], and whoever
//! listens (`cli::render`, an NDJSON writer, a test) decides what to show.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

/// The things a run reports. Serialised as one JSON object a line by `--events`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage begins; `total` counts `unit`s, 0 when it is not known.
    StageStarted { stage: &'static str, total: u64, unit: &'static str },
    /// What a unit of the stage takes, compared with those of others that run beside it.
    StageWork { stage: &'static str, work: f64 },
    /// `done` units of the stage are finished.
    StageProgress { stage: &'static str, done: u64 },
    /// The stage ended after `seconds`, successfully or not.
    StageFinished { stage: &'static str, seconds: f64 },
    /// A probe encode ended; a `calibration` is encoded as in the final encode.
    Probe { scene: usize, probe: usize, calibration: bool, crf: f64, bytes: u64, seconds: f64 },
    /// A probe was scored.
    /// `error` is the score's standard error, 0 where it is not known.
    Score { scene: usize, probe: usize, calibration: bool, crf: f64, score: f64, error: f64 },
    /// A scene's final CRF is known.
    Scene { scene: usize, start: usize, end: usize, crf: f64 },
    /// A scene of a finished encode was measured; `error` is `score - target`.
    Verified {
        scene: usize,
        start: usize,
        end: usize,
        score: f64,
        target: f64,
        error: f64,
        crf: Option<f64>,
        bytes: Option<u64>,
    },
    /// A worker of the chunk encoder begins with frames `start..end`; `attempt`
    /// is 1, or 2 after a failure.
    ChunkStarted { worker: usize, chunk: usize, start: usize, end: usize, attempt: u32 },
    /// A chunk is finished.
    ChunkFinished { worker: usize, chunk: usize, frames: usize, bytes: u64, seconds: f64 },
    /// A chunk was measured; `error` is the standard error of its score, `target` what
    /// it should be. `again`: it was encoded once more because it missed.
    ChunkScore { chunk: usize, again: bool, crf: f64, score: f64, error: f64, target: f64 },
    /// What the stage's result will weigh when the rest is like what is finished.
    EstimatedSize { stage: &'static str, bytes: u64 },
    /// A line that an encoder wrote, shown at high verbosity.
    EncoderLine { scene: usize, line: String },
    /// Something worth knowing: which back end runs, what was converted and why.
    Note { text: String },
    /// What was decided for a part of the clip and why, shown on request.
    Detail { text: String },
    /// Something the user should look at, though the run goes on.
    Warning { text: String },
    /// The run produced its result at `path`.
    Result { path: String },
}

/// A cloneable handle to the listener.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(&Event) + Send + Sync>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Calls `listener` for every event, from whichever thread emits it.
    pub fn new(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody listens.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    pub fn emit(&self, event: &Event) {
        (self.0)(event);
    }

    pub fn note(&self, text: impl Into<String>) {
        self.emit(&Event::Note { text: text.into() });
    }

    pub fn detail(&self, text: impl Into<String>) {
        self.emit(&Event::Detail { text: text.into() });
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.emit(&Event::Warning { text: text.into() });
    }

    /// Opens a stage of `total` units (0: unknown); it closes when the handle drops.
    pub fn stage(&self, stage: &'static str, total: u64, unit: &'static str) -> Stage {
        self.emit(&Event::StageStarted { stage, total, unit });
        Stage { events: self.clone(), name: stage, done: AtomicU64::new(0), started: Instant::now() }
    }
}

/// A running stage; shared by reference between the threads that work on it.
#[derive(Debug)]
pub struct Stage {
    events: Events,
    name: &'static str,
    done: AtomicU64,
    started: Instant,
}

impl Stage {
    /// Adds `units` to what is done.
    pub fn advance(&self, units: u64) {
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        self.events.emit(&Event::StageProgress { stage: self.name, done });
    }

    /// Says what a unit takes, compared with those of stages beside this one.
    pub fn weigh(&self, work: f64) {
        self.events.emit(&Event::StageWork { stage: self.name, work });
    }

    /// Seconds since the stage was opened.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.events
            .emit(&Event::StageFinished { stage: self.name, seconds: self.started.elapsed().as_secs_f64() });
    }
}

/// Events whose warnings a test can look at.
#[cfg(test)]
pub(crate) fn hearing_warnings() -> (Events, Arc<std::sync::Mutex<Vec<String>>>) {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let events = Events::new({
        let heard = Arc::clone(&heard);
        move |event| {
            if let Event::Warning { text } = event {
                heard.lock().unwrap().push(text.clone());
            }
        }
    });
    (events, heard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_stage_reports_its_start_its_progress_and_its_end() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let events = Events::new({
            let seen = Arc::clone(&seen);
            move |event| seen.lock().unwrap().push(event.clone())
        });
        let stage = events.stage("Analysis", 10, "frames");
        stage.advance(4);
        stage.advance(6);
        drop(stage);
        let seen = seen.lock().unwrap();
        assert_eq!(
            seen[..3],
            [
                Event::StageStarted { stage: "Analysis", total: 10, unit: "frames" },
                Event::StageProgress { stage: "Analysis", done: 4 },
                Event::StageProgress { stage: "Analysis", done: 10 },
            ]
        );
        assert!(matches!(seen[3], Event::StageFinished { stage: "Analysis", seconds } if seconds >= 0.0));
    }
}
