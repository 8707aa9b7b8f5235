//! Boosting, from the input to the scenes file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use super::Request;
use super::candidate::{Candidate, Probed, Take};
use super::finish::{Finisher, SceneOutcome};
use super::input::{Input, picture_bytes, working};
use super::learning::Learning;
use super::plan::{PlannedScene, plan};
use super::probing::Probing;
use super::scheduler::{self, Limits};
use super::segmentation::{self, Segmentation};
use super::store::{ANALYSIS, Manifest, Store};
use super::tools::{self, Backends, Encoding};
use crate::analysis::{Analysis, AnalysisOptions, analyse};
use crate::character::SceneMasks;
use crate::encoder::{Purpose, y4m};
use crate::output::av1an;
use crate::output::summary::Summary;
use crate::scenes;
use crate::settings::{MetricSettings, Zone};
use crate::source::Clip;
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::support::fingerprint::Fingerprint;

/// Boosts as `request` says and writes its output. On failure or interruption
/// everything finished is kept in the work folder.
pub fn run(request: &Request, events: &Events, cancel: &Cancel) -> Result<Summary> {
    let mut clock = Clock::default();
    writable(&request.output)?;
    let memory = tools::memory(request.memory);
    let input = clock.time("opening", || Input::open(request, memory, events))?;
    let mut warnings = Vec::new();
    let zones = request.settings.zones(input.clip.info().frames, &mut warnings)?;
    for warning in &warnings {
        events.warn(warning);
    }
    let encoding =
        clock.time("checking the encoder", || Encoding::open(&zones, input.clip.info(), events, cancel))?;
    let working = working(&input.clip, encoding.bits, events)?;
    let backends = clock
        .time("opening the metric", || Backends::open(&zones, &working, encoding.bits, memory / 2, events))?;
    let has_roi = encoding.encoder.capabilities.roi_map;
    let segmentation = Segmentation::find(&zones, &input.analysed, has_roi, &request.segmentation, events)?;
    let store = Store::open(&request.folder, request.resume, events)?;
    let mut manifest = manifest(&input, &encoding, &backends, &zones);
    if let Some(segmentation) = &segmentation {
        manifest.insert("the segmentation network".to_owned(), segmentation.key().clone());
    }
    store.update_manifest(&manifest, events)?;

    let scene_plan = scenes::plan(&zones, input.analysed.session(), events)?;
    let analysis = clock.time("analysis", || analysed(&store, &input, &scene_plan, events, cancel))?;
    let detection = clock.time("scenes", || scenes::detect(&zones, &scene_plan, &analysis, events))?;
    let planned = plan(&detection.scenes, &zones);

    let run = Run {
        request,
        input: &input,
        working: &working,
        encoding: &encoding,
        backends: &backends,
        segmentation: segmentation.as_ref(),
        store: &store,
        memory,
        events,
        cancel,
    };
    let ((outcomes, learned), masks) =
        clock.time("probing", || run.probe_and_segment(&planned, &analysis))?;
    let roi_folder = roi_folder(&request.output)?;
    let finisher = Finisher::new(&encoding, &analysis.luma, &masks, &roi_folder);
    let (entries, results) = finisher.finish(&planned, outcomes, request.on_scene_failure, events)?;

    av1an::write_scenes(&request.output, &entries)?;
    events.emit(&Event::Result { path: request.output.display().to_string() });
    let mut used = detectors(&detection.zones);
    used.extend(backends.describe());
    used.extend(segmentation.as_ref().map(Segmentation::describe));
    used.push(encoding.describe());
    used.extend(learned);
    Ok(Summary { output: request.output.clone(), scenes: results, used, stages: clock.stages })
}

/// A sentence for each scene detection method in use.
fn detectors(zones: &[scenes::ZoneMethod]) -> Vec<String> {
    let mut lines: Vec<String> = zones
        .iter()
        .map(|zone| match &zone.fallback {
            None => format!("scenes: {}", scenes::name(zone.method)),
            Some(why) => format!("scenes: {} ({why})", scenes::name(zone.method)),
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn manifest(input: &Input, encoding: &Encoding, backends: &Backends, zones: &[Zone]) -> Manifest {
    let mut manifest = BTreeMap::from([
        ("the input".to_owned(), input.key.clone()),
        ("the analysis input".to_owned(), input.analysed_key.clone()),
        ("the program".to_owned(), Fingerprint::of(&env!("CARGO_PKG_VERSION"))),
        ("the encoder".to_owned(), encoding.key()),
        ("the metric back end".to_owned(), backends.key()),
    ]);
    let mut section = |name: &str, key: fn(&Zone) -> Fingerprint| {
        let keys: Vec<Fingerprint> = zones.iter().map(key).collect();
        manifest.insert(name.to_owned(), Fingerprint::of(&keys));
    };
    section("settings of [scenes]", |z| Fingerprint::of(&z.settings.scenes));
    section("settings of [encoder]", |z| Fingerprint::of(&z.settings.encoder));
    section("settings of [metric]", |z| Fingerprint::of(&z.settings.metric));
    section("settings of [model]", |z| Fingerprint::of(&z.settings.model));
    section("settings of [character]", |z| Fingerprint::of(&z.settings.character));
    section("dynamic rules", |z| Fingerprint::of(&z.settings.dynamic));
    manifest
}

/// The analysis of an earlier run when nothing it depends on changed, else a new one.
fn analysed(
    store: &Store,
    input: &Input,
    plan: &scenes::Plan,
    events: &Events,
    cancel: &Cancel,
) -> Result<Analysis> {
    let key = Fingerprint::of(&(&input.analysed_key, &plan.detectors, env!("CARGO_PKG_VERSION")));
    if let Some(kept) = store.load(ANALYSIS, &key) {
        return Ok(kept);
    }
    let analysis = analyse(&input.analysed, &plan.detectors, AnalysisOptions::default(), events, cancel)?;
    store.save(ANALYSIS, &key, &analysis)?;
    Ok(analysis)
}

/// How each scene's probing ended, and sentences about what was learned from them.
type Outcomes = (Vec<SceneOutcome>, Vec<String>);

struct Run<'a> {
    request: &'a Request,
    input: &'a Input,
    working: &'a Clip,
    encoding: &'a Encoding,
    backends: &'a Backends,
    segmentation: Option<&'a Segmentation>,
    store: &'a Store,
    memory: u64,
    events: &'a Events,
    cancel: &'a Cancel,
}

impl Run<'_> {
    /// Segmentation runs on a thread of its own while probes encode; when one
    /// of the two fails, the other stops as well.
    fn probe_and_segment(
        &self,
        planned: &[PlannedScene<'_>],
        analysis: &Analysis,
    ) -> Result<(Outcomes, Vec<Option<SceneMasks>>)> {
        let Some(segmentation) = self.segmentation else {
            return Ok((self.probe(planned, analysis, self.cancel)?, planned.iter().map(|_| None).collect()));
        };
        let either = self.cancel.child();
        std::thread::scope(|scope| {
            let masks = scope.spawn(|| {
                let (clip, key) = self.looked_at();
                let source = segmentation::Source { clip, key: &key, luma: &analysis.luma };
                either.cancel_on_error(segmentation.run(planned, &source, self.store, self.events, &either))
            });
            let outcomes = either.cancel_on_error(self.probe(planned, analysis, &either));
            let masks = masks.join().map_err(|_| anyhow!("the segmentation thread panicked"))?;
            match (outcomes, masks) {
                (Ok(outcomes), Ok(masks)) => Ok((outcomes, masks)),
                // The one that was merely told to stop is not the reason.
                (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
                (Err(a), Err(b)) => Err(if a.is::<Interrupted>() { b } else { a }),
            }
        })
    }

    /// Where characters are looked for, and what it depends on: in the analysis
    /// input, unless its pictures are not of the size that is encoded. A map of
    /// another picture, cropped or scaled, would mark the wrong blocks.
    fn looked_at(&self) -> (&Clip, Fingerprint) {
        let (cheap, encoded) = (self.input.analysed.info(), self.working.info());
        if (cheap.width, cheap.height) == (encoded.width, encoded.height) {
            return (&self.input.analysed, self.input.analysed_key.clone());
        }
        self.events.note(format!(
            "characters are looked for in the pictures as they are encoded, {}x{}, and not in those of the \
             analysis, {}x{}",
            encoded.width, encoded.height, cheap.width, cheap.height
        ));
        (self.working, Fingerprint::of(&(&self.input.key, encoded)))
    }

    /// Probes every scene whose zone measures; the others need none. With
    /// sentences about what was learned.
    fn probe(&self, planned: &[PlannedScene<'_>], analysis: &Analysis, cancel: &Cancel) -> Result<Outcomes> {
        let picture = picture_bytes(self.working);
        let mut candidates = Vec::new();
        for scene in planned {
            let Some(backend) = self.backends.of_zone(scene.zone) else { continue };
            let key = Fingerprint::of(&(
                &self.input.analysed_key,
                measured_by(&scene.settings.metric),
                backend.describe(),
                self.backends.color,
                &analysis.luma.diff[scene.scene.start..scene.scene.end],
            ));
            candidates.push(Candidate::new(
                *scene,
                tools::model(scene.settings, self.encoding.encoder.capabilities.quarter_steps),
                Arc::clone(backend),
                &analysis.luma,
                key,
                self.memory / 2,
                picture,
            )?);
        }
        let mut outcomes: Vec<SceneOutcome> = planned.iter().map(|_| SceneOutcome::Unmeasured).collect();
        if candidates.is_empty() {
            return Ok((outcomes, Vec::new()));
        }
        let learning = Learning::plan(&mut candidates);
        let limits = self.limits();
        let pool = tools::scoring_pool()?;
        let expected = candidates.iter().map(Candidate::expected).sum();
        let stage = self.events.stage("Probing", expected, "probes");
        let chains: Vec<_> = candidates.iter().map(|c| c.chain(picture)).collect();
        let params = |scene: &PlannedScene<'_>, take: Take| match take.purpose {
            Purpose::Probing => self.encoding.probe_words(scene, take.crf, &analysis.luma),
            Purpose::Final => self.encoding.calibration_words(scene, take.crf, &analysis.luma),
        };
        let probing = Probing {
            clip: self.working,
            format: format(self.working, self.encoding.bits),
            program: &self.encoding.encoder.identity.path,
            params: &params,
            candidates,
            learning,
            store: self.store,
            probe_key: Fingerprint::of(&(&self.input.key, self.encoding.key())),
            pool: &pool,
            keep_probes: self.request.keep_probes,
            stall: self.request.stall,
            events: self.events,
            stage: &stage,
            cancel,
        };
        let failed = scheduler::run(&chains, &limits, &probing, cancel)?;
        let (candidates, learning) = (&probing.candidates, &probing.learning);
        for (number, candidate) in candidates.iter().enumerate() {
            let Probed { scored, unreliable } = candidate.probed();
            let (model, learned) = (candidate.model, learning.learned(candidates, number));
            outcomes[candidate.planned.index] = SceneOutcome::Probed { model, scored, unreliable, learned };
        }
        for (number, error) in failed {
            outcomes[candidates[number].planned.index] = SceneOutcome::Failed(error);
        }
        Ok((outcomes, learning.describe(candidates)))
    }

    fn limits(&self) -> Limits {
        let encoder = &self.request.settings.base.encoder;
        let workers = encoder.workers.unwrap_or((tools::cpus() / encoder.lp.max(1)).max(1));
        Limits {
            workers,
            // Scorers decode and wait; the measuring itself runs in the pool.
            scorers: (tools::cpus() / 2).max(1),
            // The other half is for prepared references.
            memory: self.memory / 2,
            staged: self.request.staged,
        }
    }
}

fn format(clip: &Clip, bits: u8) -> y4m::Format {
    let info = clip.info();
    y4m::Format { width: info.width, height: info.height, bits, fps: y4m::frame_rate(info.fps) }
}

/// Where the ROI maps of `ep01.scenes.json` go: `ep01.roi` beside it. The path
/// is absolute because the encoder runs in av1an's folders.
fn roi_folder(output: &Path) -> Result<PathBuf> {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".json").unwrap_or(&name);
    let stem = stem.strip_suffix(".scenes").unwrap_or(stem);
    Ok(std::path::absolute(output.with_file_name(format!("{stem}.roi")))?)
}

/// Fails now, and not after hours of work, when `output` cannot be written.
fn writable(output: &Path) -> Result<()> {
    if output.is_dir() {
        bail!("cannot write {}: it is a folder; name a file with -o", output.display());
    }
    tempfile::tempfile_in(atomic::folder_of(output))
        .map(drop)
        .with_context(|| format!("cannot write {}", output.display()))
}

/// What scores depend on of the settings. Not the target: a run with another
/// one finds the scores of this one.
fn measured_by(metric: &MetricSettings) -> impl Serialize {
    let MetricSettings { metric, pooling, intensity, crop, mix, frames, .. } = *metric;
    (metric, pooling, intensity, crop, mix, frames)
}

/// Time by stage for the summary.
#[derive(Default)]
struct Clock {
    stages: Vec<(String, f64)>,
}

impl Clock {
    fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work();
        self.stages.push((stage.to_owned(), started.elapsed().as_secs_f64()));
        result
    }
}
