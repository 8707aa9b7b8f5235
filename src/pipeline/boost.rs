//! Boosting, from the input to the scenes file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use super::Request;
use super::backends::Backends;
use super::bars;
use super::chains::{Chains, Probings};
use super::curves::{Curves, SceneCurve, Taken};
use super::encoding::Encoding;
use super::finish::{Finisher, SceneOutcome};
use super::input::{Input, working};
use super::memory::{Memory, Now};
use super::outlook::Outlook;
use super::plan::{PlannedScene, plan};
use super::segmentation::{self, Segmentation};
use super::store::{ANALYSIS, Manifest, Store};
use crate::analysis::{Analysis, AnalysisOptions, LumaStats, analyse};
use crate::character::SceneMasks;
use crate::encoder::Purpose;
use crate::formats::scenes_json;
use crate::output::sidecar::{Made, Sidecar};
use crate::output::summary::{SceneResult, Summary};
use crate::scenes;
use crate::settings::{Resolved, Zone};
use crate::source::Clip;
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::support::fingerprint::{Fingerprint, PROGRAM};
use crate::support::machine;

/// Boosts as `request` says and writes its output. On failure or interruption
/// everything finished is kept in the work folder.
pub fn run(request: &Request, events: &Events, cancel: &Cancel) -> Result<Summary> {
    writable(&request.output)?;
    let mut ready = Ready::open(request, events, cancel)?;
    ready.analyse(events, cancel)?;
    let planned = ready.planned()?;
    let luma = &ready.analysis()?.luma;
    let chains = ready.chains(request, events);
    let looked_at = ready.looked_at(events)?;
    let beside = ready.beside(looked_at.as_ref())?;
    let mut clock = Clock::default();
    let masks_keys = masks_keys(&planned, beside.as_ref());
    let (Probings { outcomes, learned, taken, groups }, masks) =
        clock.time("probing", || probe_and_segment(&chains, beside, &planned, luma, cancel))?;
    let scenes = scene_curves(&planned, taken, masks_keys, &outcomes);
    let curves = Curves {
        input: std::path::absolute(&request.input)?,
        output: std::path::absolute(&request.output)?,
        frames: ready.input.clip.info().frames,
        settings: ready.settings.clone(),
        encoding: ready.encoding.record(),
        analysis: analysis_key(&ready.input, &ready.scene_plan),
        scenes,
        groups,
    };
    let roi_folder = roi_folder(&request.output)?;
    let finisher = Finisher::new(&ready.encoding, luma, &masks, &roi_folder);
    let (entries, results) = finisher.finish(&planned, outcomes, request.on_scene_failure, events)?;

    scenes_json::write(&request.output, &entries)?;
    curves.save(&ready.store)?;
    record(request, &ready.settings, &planned, &results, curves.frames)?;
    events.emit(&Event::Result { path: request.output.display().to_string() });
    let crfs: Vec<f64> = results.iter().map(|result| result.crf).collect();
    let mut learned = learned;
    learned.extend(hand_on(request, &ready, &curves, &planned, &crfs)?);
    Ok(ready.summary(request.output.clone(), results, learned, clock))
}

/// Under which the masks of every scene are kept; `None` where no characters are boosted.
fn masks_keys(planned: &[PlannedScene<'_>], beside: Option<&Beside<'_>>) -> Vec<Option<Fingerprint>> {
    let key = |scene: &PlannedScene<'_>| {
        let Beside { segmentation, source } = beside.filter(|_| scene.settings.character.enable)?;
        Some(segmentation.key_of(scene, source))
    };
    planned.iter().map(key).collect()
}

/// What is kept of every scene; all lists are by scene.
fn scene_curves(
    planned: &[PlannedScene<'_>],
    taken: Vec<Vec<(Purpose, Taken)>>,
    masks: Vec<Option<Fingerprint>>,
    outcomes: &[SceneOutcome],
) -> Vec<SceneCurve> {
    let found = planned.iter().zip(taken).zip(masks).zip(outcomes);
    let curve = |(((scene, taken), masks), outcome): (((&PlannedScene<'_>, _), _), &SceneOutcome)| {
        let failed = matches!(outcome, SceneOutcome::Failed(_));
        SceneCurve { masks, failed, ..SceneCurve::new(scene.scene, taken) }
    };
    found.map(curve).collect()
}

/// What every scene was to score, where panning rejection moved the target of any.
pub(super) fn targets_of(planned: &[PlannedScene<'_>], results: &[SceneResult]) -> Option<Vec<f64>> {
    let of = |(scene, result): (&PlannedScene<'_>, &SceneResult)| {
        result.eased.unwrap_or(scene.settings.metric.target)
    };
    let any = results.iter().any(|result| result.eased.is_some());
    any.then(|| planned.iter().zip(results).map(of).collect())
}

/// Leaves the settings beside the scenes file.
pub(super) fn record(
    request: &Request,
    settings: &Resolved,
    planned: &[PlannedScene<'_>],
    results: &[SceneResult],
    frames: usize,
) -> Result<()> {
    let made = Made {
        input: &request.input,
        folder: &request.folder,
        scenes: results.len(),
        frames,
        settings,
        targets: targets_of(planned, results),
    };
    Sidecar::write(&request.output, made)
}

/// Adds what this title taught to the file of lessons. Returns sentences for the
/// summary: what it began with, and how large the final encode will be.
fn hand_on(
    request: &Request,
    ready: &Ready,
    curves: &Curves,
    planned: &[PlannedScene<'_>],
    crfs: &[f64],
) -> Result<Vec<String>> {
    let known = curves.known(planned, &ready.analysis()?.luma)?;
    let mut sentences = Vec::new();
    if let Some(path) = &request.learned {
        let zones: Vec<usize> = planned.iter().map(|scene| scene.zone).collect();
        ready.now().write(path, curves, &zones, &known)?;
        sentences.extend(ready.remembered.describe(path));
    }
    let outlook = Outlook::of(&known, crfs);
    sentences.extend(outlook.of_something().then(|| format!("predicted size: {outlook}")));
    Ok(sentences)
}

/// Everything that a run settles before its first probe.
pub struct Ready {
    clock: Clock,
    memory: u64,
    pub input: Input,
    /// Those of the request, with what only the clip could tell.
    pub settings: Resolved,
    zones: Vec<Zone>,
    pub encoding: Encoding,
    pub working: Clip,
    backends: Backends,
    segmentation: Option<Segmentation>,
    /// How scenes will be looked for.
    scene_plan: scenes::Plan,
    /// What an earlier title taught.
    remembered: Memory,
    pub store: Store,
    found: Option<(Analysis, scenes::Detection)>,
}

impl Ready {
    /// Opens and checks what `request` names.
    pub fn open(request: &Request, events: &Events, cancel: &Cancel) -> Result<Self> {
        let mut clock = Clock::default();
        let memory = machine::memory(request.memory);
        let input = clock.time("opening", || Input::open(request, memory, events))?;
        let mut warnings = Vec::new();
        let mut zones = request.settings.zones(input.clip.info().frames, &mut warnings)?;
        for warning in &warnings {
            events.warn(warning);
        }
        let encoding =
            clock.time("checking the encoder", || Encoding::open(&zones, &input.clip, events, cancel))?;
        let working = working(&input.probed, encoding.bits, events)?;
        let scene_plan = scenes::plan(&zones, input.analysed.session(), events, cancel)?;
        let store = Store::open(&request.folder, request.earlier)?;
        let mut settings = request.settings.clone();
        if bars::wanted(&zones) {
            let look = || analysed(&store, &input, &scene_plan, events, cancel);
            let crop = bars::found(&clock.time("analysis", look)?, &input.analysed, &working, events);
            zones.iter_mut().for_each(|zone| bars::settle(&mut zone.settings, crop));
            settings.each(|settings| bars::settle(settings, crop));
        }
        let open_backends = || Backends::open(&zones, &working, encoding.bits, memory / 2, events);
        let backends = clock.time("opening the metric", open_backends)?;
        let has_roi = encoding.encoder.capabilities.roi_map;
        let segmentation =
            Segmentation::find(&zones, &input.analysed, has_roi, &request.segmentation, events)?;
        let remembered = match &request.learned {
            Some(path) => {
                let now = Now { title: &input.key, zones: &zones, encoding: &encoding, backends: &backends };
                Memory::read(path, &now, events)?
            }
            None => Memory::default(),
        };
        let mut manifest = manifest(&input, &encoding, &backends, &zones);
        if let Some(segmentation) = &segmentation {
            manifest.insert("the segmentation network".to_owned(), segmentation.key().clone());
        }
        store.update_manifest(&manifest, events)?;
        Ok(Self {
            clock,
            memory,
            input,
            settings,
            zones,
            encoding,
            working,
            backends,
            segmentation,
            scene_plan,
            remembered,
            store,
            found: None,
        })
    }

    /// Reads the clip and finds its scenes.
    pub fn analyse(&mut self, events: &Events, cancel: &Cancel) -> Result<()> {
        let Self { clock, store, input, zones, scene_plan, .. } = self;
        let analysis = clock.time("analysis", || analysed(store, input, scene_plan, events, cancel))?;
        let detection = clock.time("scenes", || scenes::detect(zones, scene_plan, &analysis, events))?;
        store.begin(events)?;
        self.found = Some((analysis, detection));
        Ok(())
    }

    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// What [`Self::analyse`] found.
    pub fn analysis(&self) -> Result<&Analysis> {
        self.found.as_ref().map(|(analysis, _)| analysis).context("the clip was not analysed")
    }

    /// The scenes that [`Self::analyse`] found.
    pub fn planned(&self) -> Result<Vec<PlannedScene<'_>>> {
        let (_, detection) = self.found.as_ref().context("the clip was not analysed")?;
        Ok(plan(&detection.scenes, &self.zones))
    }

    /// What memories of other titles are held against.
    fn now(&self) -> Now<'_> {
        let Self { zones, encoding, backends, input, .. } = self;
        Now { title: &input.key, zones, encoding, backends }
    }

    pub fn chains<'a>(&'a self, request: &'a Request, events: &'a Events) -> Chains<'a> {
        Chains {
            request,
            working: &self.working,
            source_key: &self.input.probed_key,
            encoding: &self.encoding,
            backends: &self.backends,
            store: &self.store,
            memory: self.memory,
            memory_of_others: &self.remembered,
            events,
        }
    }

    /// Where characters are looked for, if anywhere.
    fn looked_at(&self, events: &Events) -> Result<Option<(&Clip, Fingerprint)>> {
        self.segmentation.as_ref().map(|_| looked_at(&self.input, &self.working, events)).transpose()
    }

    fn beside<'a>(&'a self, looked_at: Option<&'a (&'a Clip, Fingerprint)>) -> Result<Option<Beside<'a>>> {
        let Some((segmentation, (clip, key))) = self.segmentation.as_ref().zip(looked_at) else {
            return Ok(None);
        };
        let source = segmentation::Source { clip, key, luma: &self.analysis()?.luma };
        Ok(Some(Beside { segmentation, source }))
    }

    /// Character masks by scene, made now.
    pub fn masks(
        &self,
        planned: &[PlannedScene<'_>],
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Vec<Option<SceneMasks>>> {
        match self.beside(self.looked_at(events)?.as_ref())? {
            None => Ok(planned.iter().map(|_| None).collect()),
            Some(Beside { segmentation, source }) => {
                segmentation.run(planned, &source, &self.store, events, cancel)
            }
        }
    }

    /// What was found and used; `later` is the time of what came after this.
    pub fn summary(
        &self,
        output: PathBuf,
        scenes: Vec<SceneResult>,
        learned: Vec<String>,
        later: Clock,
    ) -> Summary {
        let mut used = self.found.as_ref().map_or_else(Vec::new, |(_, found)| detectors(&found.zones));
        used.extend(self.backends.describe());
        used.extend(self.segmentation.as_ref().map(Segmentation::describe));
        used.push(self.encoding.describe());
        used.extend(learned);
        let stages = self.clock.stages.iter().cloned().chain(later.stages).collect();
        Summary { output, scenes, used, stages }
    }
}

/// A sentence for each scene detection method in use.
fn detectors(zones: &[scenes::ZoneMethod]) -> Vec<String> {
    let mut lines: Vec<String> = zones
        .iter()
        .map(|zone| match &zone.fallback {
            None => format!("scenes: {}", zone.method.name()),
            Some(why) => format!("scenes: {} ({why})", zone.method.name()),
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn manifest(input: &Input, encoding: &Encoding, backends: &Backends, zones: &[Zone]) -> Manifest {
    let mut manifest = BTreeMap::from([
        ("the input".to_owned(), input.key.clone()),
        ("the probe input".to_owned(), input.probed_key.clone()),
        ("the analysis input".to_owned(), input.analysed_key.clone()),
        ("the program".to_owned(), Fingerprint::of(&PROGRAM)),
        ("the encoder".to_owned(), encoding.identity()),
        ("the metric back end".to_owned(), backends.identity()),
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
    let key = analysis_key(input, plan);
    if let Some(kept) = store.load(ANALYSIS, &key) {
        return Ok(kept);
    }
    let options = AnalysisOptions { first_pass: plan.first_pass.as_ref(), ..AnalysisOptions::default() };
    let analysis = analyse(&input.analysed, &plan.detectors, options, events, cancel)?;
    store.save(ANALYSIS, &key, &analysis)?;
    Ok(analysis)
}

fn analysis_key(input: &Input, plan: &scenes::Plan) -> Fingerprint {
    Fingerprint::of(&(&input.analysed_key, &plan.detectors, &plan.first_pass, PROGRAM))
}

/// What is done beside the probing.
struct Beside<'a> {
    segmentation: &'a Segmentation,
    source: segmentation::Source<'a>,
}

/// Where characters are looked for, and what it depends on: in the analysis
/// input, unless its pictures are not of the size that is encoded. A map of
/// another picture, cropped or scaled, would mark the wrong blocks.
fn looked_at<'a>(input: &'a Input, working: &'a Clip, events: &Events) -> Result<(&'a Clip, Fingerprint)> {
    let (cheap, encoded) = (input.analysed.info(), working.info());
    if (cheap.width, cheap.height) == (encoded.width, encoded.height) {
        return Ok((&input.analysed, input.analysed_key.clone()));
    }
    events.note(format!(
        "characters are looked for in the pictures as they are encoded, {}x{}, and not in those of the \
         analysis, {}x{}",
        encoded.width, encoded.height, cheap.width, cheap.height
    ));
    Ok((working, Fingerprint::of(&(&input.probed_key, working.facts()?))))
}

/// Segmentation runs on a thread of its own while probes encode; when one of
/// the two fails, the other stops as well.
fn probe_and_segment(
    chains: &Chains<'_>,
    beside: Option<Beside<'_>>,
    planned: &[PlannedScene<'_>],
    luma: &LumaStats,
    cancel: &Cancel,
) -> Result<(Probings, Vec<Option<SceneMasks>>)> {
    let Some(Beside { segmentation, source }) = beside else {
        return Ok((chains.run(planned, luma, cancel)?, planned.iter().map(|_| None).collect()));
    };
    let either = cancel.child();
    std::thread::scope(|scope| {
        let masks = scope.spawn(|| {
            let masks = segmentation.run(planned, &source, chains.store, chains.events, &either);
            either.cancel_on_error(masks)
        });
        let probings = either.cancel_on_error(chains.run(planned, luma, &either));
        let masks = masks.join().map_err(|_| anyhow!("the segmentation thread panicked"))?;
        match (probings, masks) {
            (Ok(probings), Ok(masks)) => Ok((probings, masks)),
            // The one that was merely told to stop is not the reason.
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(a), Err(b)) => Err(if a.is::<Interrupted>() { b } else { a }),
        }
    })
}

/// Where the ROI maps of `ep01.scenes.json` go: `ep01.roi` beside it. The path
/// is absolute because the encoder runs in av1an's folders.
pub fn roi_folder(output: &Path) -> Result<PathBuf> {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".json").unwrap_or(&name);
    let stem = stem.strip_suffix(".scenes").unwrap_or(stem);
    Ok(std::path::absolute(output.with_file_name(format!("{stem}.roi")))?)
}

/// Fails now, and not after hours of work, when `output` cannot be written.
pub fn writable(output: &Path) -> Result<()> {
    if output.is_dir() {
        bail!("cannot write {}: it is a folder; name a file with -o", output.display());
    }
    tempfile::tempfile_in(atomic::folder_of(output))
        .map(drop)
        .with_context(|| format!("cannot write {}", output.display()))
}

/// Time by stage for the summary.
#[derive(Default)]
pub struct Clock {
    stages: Vec<(String, f64)>,
}

impl Clock {
    pub fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work();
        self.stages.push((stage.to_owned(), started.elapsed().as_secs_f64()));
        result
    }
}
