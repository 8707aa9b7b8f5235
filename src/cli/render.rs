//! Draws events: bars on a terminal, plain lines elsewhere, NDJSON on request.
//! Everything for people goes to stderr; stdout is for results.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::STDOUT;
use super::out::{Lines, tell};
use crate::support::events::{Event, Events};
use crate::support::pace::Pace;

/// Without a terminal a stage says how far it is at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Turns events into output. Shared with the threads that emit them.
#[derive(Clone)]
pub struct Renderer(Arc<Mutex<State>>);

struct State {
    verbose: u8,
    quiet: bool,
    bars: Option<MultiProgress>,
    stages: HashMap<&'static str, Shown>,
    pace: Pace,
    json: Option<Lines>,
    started: Instant,
}

struct Shown {
    bar: Option<ProgressBar>,
    total: u64,
    unit: &'static str,
    /// What the result will weigh, ready to be appended; empty when nobody said.
    estimate: String,
    started: Instant,
    last_line: Instant,
}

/// An event with its time in seconds since the start.
#[derive(Serialize)]
struct Timed<'a> {
    time: f64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Renderer {
    /// `json` receives NDJSON; `-` is standard output.
    pub fn new(verbose: u8, quiet: bool, json: Option<&Path>) -> Result<Self> {
        let json: Option<Box<dyn Write + Send>> = match json {
            None => None,
            Some(path) if path == Path::new(STDOUT) => Some(Box::new(io::stdout())),
            Some(path) => Some(Box::new(
                File::create(path).with_context(|| format!("--events: cannot write {}", path.display()))?,
            )),
        };
        let bars = (io::stderr().is_terminal() && !quiet).then(MultiProgress::new);
        Ok(Self(Arc::new(Mutex::new(State {
            verbose,
            quiet,
            bars,
            stages: HashMap::new(),
            pace: Pace::default(),
            json: json.map(Lines::new),
            started: Instant::now(),
        }))))
    }

    pub fn events(&self) -> Events {
        let state = Arc::clone(&self.0);
        Events::new(move |event| {
            // A listener that panicked elsewhere must not silence the rest.
            let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            state.show(event);
        })
    }

    /// Removes what bars are left.
    pub fn finish(&self) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (_, shown) in state.stages.drain() {
            if let Some(bar) = shown.bar {
                bar.finish_and_clear();
            }
        }
        if let Some(json) = &mut state.json {
            let _ = json.flush();
        }
    }
}

impl State {
    fn show(&mut self, event: &Event) {
        self.write_json(event);
        self.pace.hear(event);
        match event {
            Event::StageStarted { stage, total, unit } => self.open(stage, *total, unit),
            Event::StageProgress { stage, done } => self.progress(stage, *done),
            Event::StageFinished { stage, seconds } => self.close(stage, *seconds),
            Event::Probe { scene, probe, calibration, crf, bytes, seconds } => {
                let what = encode_name(*probe, *calibration);
                self.detail(
                    1,
                    &format!("scene {scene}: {what} at CRF {crf:.2} took {seconds:.1} s, {bytes} bytes"),
                );
            }
            Event::Score { scene, probe, calibration, crf, score, .. } => {
                let what = encode_name(*probe, *calibration);
                self.detail(1, &format!("scene {scene}: {what} at CRF {crf:.2} scores {score:.3}"));
            }
            Event::Scene { scene, start, end, crf } => {
                self.detail(1, &format!("scene {scene}: frames {start} to {end}, CRF {crf:.2}"));
            }
            Event::Verified { scene, score, target, error, .. } => {
                self.detail(1, &format!("scene {scene}: scores {score:.3}, {error:+.3} from {target:.3}"));
            }
            Event::ChunkStarted { worker, chunk, start, end, attempt } => {
                let again = if *attempt > 1 { ", once more" } else { "" };
                self.detail(1, &format!("worker {worker}: chunk {chunk}, frames {start} to {end}{again}"));
            }
            Event::ChunkFinished { worker, chunk, frames, bytes, seconds } => {
                let (fps, size) = (*frames as f64 / seconds.max(1e-9), HumanBytes(*bytes));
                self.detail(
                    1,
                    &format!(
                        "worker {worker}: chunk {chunk} is finished, {frames} frames at {fps:.1} fps, {size}"
                    ),
                );
            }
            Event::ChunkScore { chunk, again, crf, score, target, .. } => {
                let again = if *again { ", once more" } else { "" };
                let by = score - target;
                self.detail(
                    1,
                    &format!(
                        "chunk {chunk}{again} at CRF {crf:.2}: scores {score:.3}, {by:+.3} from {target:.3}"
                    ),
                );
            }
            Event::EstimatedSize { stage, bytes } => self.estimate(stage, *bytes),
            Event::EncoderLine { scene, line } => {
                self.detail(2, &format!("scene {scene}: encoder: {line}"));
            }
            Event::Note { text } => self.detail(0, text),
            Event::Detail { text } => self.detail(1, text),
            Event::Warning { text } => self.line(&format!("warning: {text}")),
            Event::Result { .. } | Event::StageWork { .. } => {}
        }
    }

    fn write_json(&mut self, event: &Event) {
        let time = self.started.elapsed().as_secs_f64();
        if let Some(json) = &mut self.json {
            let urgent = !matches!(event, Event::StageProgress { .. });
            let written = serde_json::to_vec(&Timed { time, event })
                .map_err(io::Error::from)
                .and_then(|line| json.write(&[&line[..], b"\n"].concat(), urgent));
            if let Err(error) = written {
                self.json = None;
                self.line(&format!("warning: --events ends here: {error}"));
            }
        }
    }

    fn detail(&self, level: u8, text: &str) {
        if !self.quiet && self.verbose >= level {
            self.line(text);
        }
    }

    /// A line on stderr, above the bars.
    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                let _ = bars.println(text);
            }
            None => tell(text),
        }
    }

    fn open(&mut self, stage: &'static str, total: u64, unit: &'static str) {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(total));
            bar.set_style(style(total));
            bar.set_prefix(stage);
            bar.set_message(unit);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        if bar.is_none() && !self.quiet {
            match total {
                0 => tell(&format!("{stage} …")),
                _ => tell(&format!("{stage}: {total} {unit} …")),
            }
        }
        let now = Instant::now();
        self.stages
            .insert(stage, Shown { bar, total, unit, estimate: String::new(), started: now, last_line: now });
    }

    fn progress(&mut self, stage: &str, done: u64) {
        let quiet = self.quiet;
        let left = self.pace.left(stage);
        let Some(shown) = self.stages.get_mut(stage) else { return };
        if let Some(bar) = &shown.bar {
            bar.set_message(shown.message(left));
            bar.set_position(done);
        } else if !quiet && shown.last_line.elapsed() >= LINE_EVERY {
            shown.last_line = Instant::now();
            tell(&format!("{stage}: {}", how_far(done, shown, left)));
        }
    }

    fn estimate(&mut self, stage: &str, bytes: u64) {
        let left = self.pace.left(stage);
        let Some(shown) = self.stages.get_mut(stage) else { return };
        shown.estimate = format!(", about {} in all", HumanBytes(bytes));
        if let Some(bar) = &shown.bar {
            bar.set_message(shown.message(left));
        }
    }

    fn close(&mut self, stage: &str, seconds: f64) {
        let Some(shown) = self.stages.remove(stage) else { return };
        if let Some(bar) = shown.bar {
            bar.finish_and_clear();
        }
        self.detail(0, &format!("{stage}: {seconds:.1} s"));
    }
}

impl Shown {
    /// What stands beside a bar.
    fn message(&self, left: Option<f64>) -> String {
        let left = left.filter(|_| self.total > 0).map_or_else(String::new, |left| {
            format!(", {} left", HumanDuration(Duration::from_secs_f64(left)))
        });
        format!("{}{}{left}", self.unit, self.estimate)
    }
}

/// An encode that is measured, in words.
fn encode_name(probe: usize, calibration: bool) -> String {
    if calibration { "calibration".to_owned() } else { format!("probe {}", probe + 1) }
}

fn style(total: u64) -> ProgressStyle {
    let template = if total == 0 {
        "{prefix:>16} {spinner} {pos} {msg}, {per_sec}, {elapsed}"
    } else {
        "{prefix:>16} [{bar:30}] {pos}/{len} {msg}, {per_sec}"
    };
    ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("=> ")
}

/// Done, rate and time left in words, for logs without bars.
fn how_far(done: u64, shown: &Shown, left: Option<f64>) -> String {
    let elapsed = shown.started.elapsed().as_secs_f64();
    let rate = done as f64 / elapsed.max(1e-9);
    if shown.total == 0 {
        return format!("{done} {}, {rate:.1} a second", shown.unit);
    }
    let left = left.map_or_else(String::new, |left| format!(", {left:.0} s left"));
    let Shown { total, unit, estimate, .. } = shown;
    format!("{done}/{total} {unit}, {rate:.1} a second{left}{estimate}")
}
