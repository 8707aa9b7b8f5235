//! Verification: the finished encode, measured with the preset's metric, frame
//! by frame against its source, and how far every scene is from its target
//! (spec 03).

mod color;
mod encoded;
mod look;
mod measure;
mod page;
mod report;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

use self::encoded::Encoded;
pub use self::look::{Look, Wanted, differing, pictures, worst};
use self::measure::Measuring;
pub use self::page::{comparison, incomparable, page};
pub use self::report::{
    Distribution, FrameScore, MetricSummary, SceneReport, Unclamped, Unit, Verification, Within,
};
use crate::analysis::{AnalysisOptions, analyse};
use crate::formats::scenes_json::{self, SceneEntry};
use crate::options::{Options, Origin};
use crate::pipeline::backends::Backends;
use crate::pipeline::plan::{PlannedScene, plan};
use crate::pipeline::{bars, input};
use crate::scenes::Scene;
use crate::score;
use crate::settings::{Pooling, Repeats, Resolved, Zone};
use crate::source::{self, Clip, OpenOptions};
use crate::support::cancel::Cancel;
use crate::support::events::{Event, Events};
use crate::support::machine;

/// Bits per sample at which both sides are compared (spec 03).
const BITS: u8 = 10;

/// What to verify, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The script or video that was boosted.
    pub source: PathBuf,
    pub open: OpenOptions,
    /// The finished encode.
    pub encoded: PathBuf,
    /// The av1an scenes.json that it was made with.
    pub scenes: PathBuf,
    pub settings: Resolved,
    pub metric: score::Opener,
    /// What `settings` are, a sentence.
    pub judged_by: String,
    /// By scene, the score that it was to have, where that is not its zone's target.
    pub targets: Option<Vec<f64>>,
    /// Measure every n-th frame of a scene, from its first one; ≥ 1.
    pub every: usize,
    /// Read the encode's samples as the source's, whatever colour it declares.
    pub ignore_color: bool,
}

/// Measures as `request` says.
///
/// # Errors
/// When one of the files cannot be read, the two clips differ in length, size
/// or declared colour, the scenes do not cover the clip, or the settings
/// measure nothing.
pub fn run(request: &Request, events: &Events, cancel: &Cancel) -> Result<Verification> {
    ensure!(request.every > 0, "every 0th frame: must be at least 1");
    let source = source::open_within(&request.source, &request.open, machine::memory(None) / 4)?;
    input::introduce(&request.source, &source, events);
    let frames = source.info().frames;
    let mut warnings = Vec::new();
    let mut zones = request.settings.zones(frames, &mut warnings)?;
    for warning in &warnings {
        events.warn(warning);
    }
    let listed = scenes_json::read(&request.scenes, frames)?;
    if let Some(targets) = &request.targets {
        let (found, wanted) = (targets.len(), listed.len());
        ensure!(found == wanted, "{found} targets for the {wanted} scenes of {}", request.scenes.display());
    }
    let encoded = Encoded::open(&request.encoded, &request.open, events)?;
    ensure!(
        encoded.frames == frames,
        "{} has {} frames, {} has {frames}: frame by frame only clips of the same length can be compared",
        request.encoded.display(),
        encoded.frames,
        request.source.display()
    );
    let working = input::working(&source, BITS, events)?;
    check_size(&source, &working, &encoded)?;
    color::check(working.color()?, &encoded.color, request.ignore_color, events)?;
    if bars::wanted(&zones) {
        let analysis = analyse(&source, &BTreeSet::new(), AnalysisOptions::default(), events, cancel)?;
        let crop = bars::found(&analysis, &source, &working, events);
        for zone in &mut zones {
            bars::settle(&mut zone.settings, crop);
        }
    }
    let backends = Backends::open(
        request.metric,
        &zones,
        (&working, BITS),
        &request.open,
        machine::memory(None) / 2,
        events,
    )?;

    let ranges: Vec<Scene> = listed.iter().map(|scene| scene.frames().into()).collect();
    let planned = plan(&ranges, &zones);
    warn_about_boundaries(&planned, &zones, events);
    tell_of_repeats(request.every, &zones, events);
    let run = Run { request, encoded: &encoded, listed: &listed, events };
    let scenes = run.measure(&working, &planned, &backends, cancel)?;
    let info = working.info();
    Ok(Verification {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        source: request.source.clone(),
        encoded: request.encoded.clone(),
        scenes_file: request.scenes.clone(),
        judged_by: request.judged_by.clone(),
        metrics: backends.describe(),
        every: request.every,
        frames,
        width: info.width,
        height: info.height,
        fps: info.fps,
        bytes: encoded.sizes.as_ref().ok().map(|sizes| sizes.iter().sum()),
        summary: report::summarise(&scenes),
        scenes,
    })
}

/// The encode has the source's size, or the even one that encoders are fed with.
fn check_size(source: &Clip, working: &Clip, encoded: &Encoded) -> Result<()> {
    let size = |clip: &Clip| (clip.info().width, clip.info().height);
    let found = encoded.size;
    if ![size(source), size(working)].contains(&found) {
        let (width, height) = size(source);
        bail!(
            "{} is {}x{}, the source {width}x{height}: both must have the same size; crop or scale in the script",
            encoded.path.display(),
            found.0,
            found.1
        );
    }
    Ok(())
}

/// A scene that crosses a zone boundary was not made with these zones.
fn warn_about_boundaries(planned: &[PlannedScene<'_>], zones: &[Zone], events: &Events) {
    for scene in planned.iter().filter(|s| s.scene.end > zones[s.zone].frames.end) {
        events.warn(format!(
            "scene {} (frames {} to {}) reaches beyond its zone's end at frame {}; its first frame's zone \
             counts. Verify with the zones that the scenes were made with",
            scene.index, scene.scene.start, scene.scene.end, zones[scene.zone].frames.end
        ));
    }
}

/// Whether a frame repeats the one before is seen only where both are read.
fn tell_of_repeats(every: usize, zones: &[Zone], events: &Events) {
    let skips = |zone: &&Zone| {
        let metric = &zone.settings.metric;
        metric.enable && metric.pooling == Pooling::Mean && metric.sample.repeats == Repeats::Skip
    };
    if every > 1 && zones.iter().any(|zone| skips(&zone)) {
        events.note(format!(
            "--every {every}: frames that repeat the one before count like all others, because not all frames \
             are read (metric.repeats is skip)"
        ));
    }
}

struct Run<'a> {
    request: &'a Request,
    encoded: &'a Encoded,
    listed: &'a [SceneEntry],
    events: &'a Events,
}

impl Run<'_> {
    /// The report of every scene, in order.
    fn measure(
        &self,
        working: &Clip,
        planned: &[PlannedScene<'_>],
        backends: &Backends,
        cancel: &Cancel,
    ) -> Result<Vec<SceneReport>> {
        let reports: Mutex<Vec<SceneReport>> =
            Mutex::new(planned.iter().map(|scene| self.unmeasured(scene)).collect());
        let finished = |index: usize, scores: Vec<FrameScore>| {
            let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
            let report = &mut reports[index];
            let settings = &planned[index].settings.metric;
            let target = self.request.targets.as_ref().map_or(settings.target, |targets| targets[index]);
            report.measured(scores, settings, target)?;
            self.tell(report);
            Ok(())
        };
        let measuring = Measuring {
            source: working,
            encoded: self.encoded,
            color: backends.color,
            scenes: planned,
            backends,
            every: self.request.every,
            finished: &finished,
        };
        measuring.run(self.events, cancel)?;
        Ok(reports.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn unmeasured(&self, scene: &PlannedScene<'_>) -> SceneReport {
        let bytes = self.encoded.sizes.as_ref().ok().map(|sizes| {
            let Scene { start, end } = scene.scene;
            sizes[start..end].iter().sum()
        });
        SceneReport::unmeasured(scene, crf(&self.listed[scene.index]), bytes)
    }

    fn tell(&self, report: &SceneReport) {
        let (Some(score), Some(target), Some(error)) = (report.score, report.target, report.error) else {
            return;
        };
        self.events.emit(&Event::Verified {
            scene: report.scene,
            start: report.start,
            end: report.end,
            score,
            target,
            error,
            crf: report.crf,
            bytes: report.bytes,
        });
    }
}

/// The scene's `--crf`; encoders with another quality option have none.
fn crf(scene: &SceneEntry) -> Option<f64> {
    let words = &scene.zone_overrides.as_ref()?.video_params;
    let options = Options::parse(words, Origin::User).ok()?;
    options.get("--crf")?.value.as_ref()?.parse().ok()
}

impl Verification {
    /// Writes the report as JSON; times, scores and sizes as they are.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let text = self.json()?;
        crate::support::atomic::write(path, text.as_bytes())
    }

    pub fn json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).context("the report cannot be written as JSON")?;
        text.push('\n');
        Ok(text)
    }

    /// The report for people.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// The largest mean absolute error of the metrics in use; `None` when
    /// nothing was measured.
    pub fn worst_mean_absolute_error(&self) -> Option<f64> {
        self.summary.iter().map(|summary| summary.mean_absolute_error).max_by(f64::total_cmp)
    }
}
