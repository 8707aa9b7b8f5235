//! How far a run is: a file in its work folder that is kept up to date, and
//! `status`, which reads it from outside.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, HumanDuration};
use serde::{Deserialize, Serialize};

use super::say;
use crate::support::atomic;
use crate::support::events::{Event, Events};
use crate::support::lock::{STATUS_FILE, is_held};
use crate::support::pace::Pace;

/// The file is written at most this often.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::STATUS)]
pub struct StatusArgs {
    /// Work folder of the run: INPUT's name with .boost, with .chunks for `encode`, or its --temp
    #[arg(long, value_name = "DIR")]
    temp: PathBuf,

    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub state: State,
    /// Seconds since 1970.
    pub started: f64,
    pub updated: f64,
    /// Those that run, in the order in which they began.
    pub stages: Vec<StageStatus>,
    /// How many stages are over.
    pub stages_finished: usize,
    /// What the result will weigh when the rest is like what is finished, in bytes.
    pub predicted_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Done,
    Failed,
    /// It says that it runs and does not: killed, or the machine went down.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageStatus {
    pub stage: String,
    pub done: u64,
    /// 0 when it is not known.
    pub total: u64,
    pub unit: String,
    pub seconds: f64,
    /// Seconds left at the rate so far.
    pub left: Option<f64>,
}

/// Prints how far the run in a work folder is.
pub fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<()> {
    let path = args.temp.join(STATUS_FILE);
    if !path.is_file() {
        bail!(
            "{} has no {STATUS_FILE}: no run of `boost` or `encode` worked there; name its work folder",
            args.temp.display()
        );
    }
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut status: Status = serde_json::from_slice(&text)
        .with_context(|| format!("{} was not written by this version", path.display()))?;
    if status.state == State::Running && !is_held(&args.temp) {
        status.state = State::Gone;
    }
    if args.json {
        return say(out, &serde_json::to_string(&status)?);
    }
    say(out, &text_of(&status))
}

fn text_of(status: &Status) -> String {
    let lasted = HumanDuration(Duration::from_secs_f64((status.updated - status.started).max(0.0)));
    let mut lines = vec![match status.state {
        State::Running => format!("running for {lasted}"),
        State::Done => format!("done after {lasted}"),
        State::Failed => format!("failed after {lasted}; what was finished is kept, --resume continues"),
        State::Gone => format!("not running; it was ended after {lasted}, --resume continues"),
    }];
    for StageStatus { stage, done, total, unit, seconds, left } in &status.stages {
        let rate = *done as f64 / seconds.max(1e-9);
        let of = if *total == 0 { String::new() } else { format!("/{total}") };
        let left = left.map_or_else(String::new, |left| {
            format!(", {} left", HumanDuration(Duration::from_secs_f64(left)))
        });
        lines.push(format!("{stage}: {done}{of} {unit}, {rate:.1} a second{left}"));
    }
    lines.extend(status.predicted_bytes.map(|bytes| format!("about {} in all", HumanBytes(bytes))));
    lines.join("\n")
}

/// Keeps the file of a run up to date while it listens.
pub struct StatusFile {
    heard: Arc<Mutex<Heard>>,
}

struct Heard {
    path: PathBuf,
    started: SystemTime,
    open: BTreeMap<usize, (StageStatus, Instant)>,
    begun: usize,
    finished: usize,
    bytes: Option<u64>,
    pace: Pace,
    written: Option<Instant>,
}

impl StatusFile {
    /// For the run that works in `folder`, once that is there. Events go on to `events`.
    pub fn new(folder: &Path, events: &Events) -> (Self, Events) {
        let heard = Arc::new(Mutex::new(Heard {
            path: folder.join(STATUS_FILE),
            started: SystemTime::now(),
            open: BTreeMap::new(),
            begun: 0,
            finished: 0,
            bytes: None,
            pace: Pace::default(),
            written: None,
        }));
        let listening = {
            let (heard, events) = (Arc::clone(&heard), events.clone());
            Events::new(move |event| {
                heard.lock().unwrap_or_else(PoisonError::into_inner).hear(event);
                events.emit(event);
            })
        };
        (Self { heard }, listening)
    }

    /// The run is over.
    pub fn end<T>(self, result: &Result<T>) {
        let state = if result.is_ok() { State::Done } else { State::Failed };
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).write(state);
    }
}

impl Heard {
    fn hear(&mut self, event: &Event) {
        self.pace.hear(event);
        match event {
            Event::StageStarted { stage, total, unit } => {
                let status = StageStatus {
                    stage: (*stage).to_owned(),
                    done: 0,
                    total: *total,
                    unit: (*unit).to_owned(),
                    seconds: 0.0,
                    left: None,
                };
                self.open.insert(self.begun, (status, Instant::now()));
                self.begun += 1;
            }
            Event::StageProgress { stage, done } => {
                if let Some((status, _)) = self.open.values_mut().find(|(status, _)| status.stage == *stage) {
                    status.done = *done;
                }
            }
            Event::StageFinished { stage, .. } => {
                let key =
                    self.open.iter().find(|(_, (status, _))| status.stage == *stage).map(|(key, _)| *key);
                if let Some(key) = key {
                    self.open.remove(&key);
                    self.finished += 1;
                }
            }
            Event::EstimatedSize { bytes, .. } => self.bytes = Some(*bytes),
            _ => return,
        }
        if self.written.is_none_or(|written| written.elapsed() >= EVERY) {
            self.write(State::Running);
        }
    }

    /// A file that cannot be written is not worth the run. The folder is the run's to make.
    fn write(&mut self, state: State) {
        if !self.path.parent().is_some_and(Path::is_dir) {
            return;
        }
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
        let now = |(status, began): &(StageStatus, Instant)| {
            let seconds = began.elapsed().as_secs_f64();
            StageStatus { seconds, left: self.pace.left(&status.stage), ..status.clone() }
        };
        let status = Status {
            state,
            started: since(self.started),
            updated: since(SystemTime::now()),
            stages: if state == State::Done { Vec::new() } else { self.open.values().map(now).collect() },
            stages_finished: self.finished,
            predicted_bytes: self.bytes,
        };
        if let Ok(text) = serde_json::to_vec(&status) {
            let _ = atomic::write(&self.path, &text);
        }
        self.written = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_how_far_it_is_and_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let read = || -> Status {
            serde_json::from_slice(&std::fs::read(folder.path().join(STATUS_FILE)).unwrap()).unwrap()
        };
        let (file, events) = StatusFile::new(folder.path(), &Events::silent());
        let stage = events.stage("Probing", 40, "probes");
        assert_eq!((read().state, read().stages[0].total), (State::Running, 40));
        stage.advance(10);
        // The next event that is not too soon tells of it.
        std::thread::sleep(EVERY + Duration::from_millis(50));
        events.emit(&Event::EstimatedSize { stage: "Probing", bytes: 3_000_000 });
        let status = read();
        assert_eq!((status.stages[0].done, status.predicted_bytes), (10, Some(3_000_000)));
        let StageStatus { seconds, left, .. } = status.stages[0].clone();
        // A quarter is done, so three times as long is left.
        assert!((left.unwrap() - 3.0 * seconds).abs() < 0.05, "{left:?} {seconds}");
        let text = text_of(&status);
        assert!(text.contains("Probing: 10/40 probes") && text.contains("about 2.86 MiB in all"), "{text}");
        drop(stage);
        file.end(&Ok(()));
        assert_eq!((read().state, read().stages.len(), read().stages_finished), (State::Done, 0, 1));
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("work");
        let (file, events) = StatusFile::new(&missing, &Events::silent());
        drop(events.stage("Analysis", 1, "frames"));
        file.end::<()>(&Ok(()));
        assert!(!missing.exists());
    }
}
