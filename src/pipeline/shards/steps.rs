//! The steps of boosting by several machines.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow, bail};
use tempfile::TempDir;

use super::file::{PathMap, Plan};
use super::missing::{demand_all, missing};
use super::season::Title;
use super::share::work;
use crate::analysis::Analysis;
use crate::character::SceneMasks;
use crate::encoder::Purpose;
use crate::formats::ivf;
use crate::output::summary::{Clipped, Summary};
use crate::pipeline::boost::{scene_curves, writable};
use crate::pipeline::chains::{Chains, Part, Probings, Task};
use crate::pipeline::curves::{Curves, Taken};
use crate::pipeline::encoding::Encoding;
use crate::pipeline::plan::{PlannedScene, plan as place_scenes};
use crate::pipeline::ready::{Place, Probed, Ready};
use crate::pipeline::solving;
use crate::pipeline::store::{ANALYSIS, SceneRecord, Store};
use crate::pipeline::{OnSceneFailure, Request};
use crate::settings::Devices;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::{Fingerprint, PROGRAM};
use crate::support::lock::Earlier;
use crate::support::machine;
use crate::support::permits::Permits;
use crate::support::shard::Shard;

/// What a plan came to.
#[derive(Debug)]
pub struct Planned {
    pub folder: PathBuf,
    pub scenes: usize,
    /// Scenes that the others learn from, which are probed.
    pub probed: usize,
    /// Scenes that are left for the shares.
    pub left: usize,
    pub shards: usize,
    /// Sentences about what is worked with and what was learned.
    pub told: Vec<String>,
}

/// Does what must happen once for the input of `request`, whose folder becomes the
/// plan. `shards` is how many parts are expected, and binds nobody.
pub fn plan(request: &Request, shards: usize, events: &Events, cancel: &Cancel) -> Result<Planned> {
    writable(&request.output)?;
    let encodes = encodes(None)?;
    let mut ready = Ready::open(request, Place::NewPlan { encodes: encodes.path() }, events, cancel)?;
    ready.analyse(events, cancel)?;
    let planned = ready.planned()?;
    let luma = &ready.analysis()?.luma;
    ready.encoding.rehearse(&planned, luma, false)?;
    let mut plan = describe(request, &ready, &planned, shards, events)?;
    plan.id = plan.id_of();
    let task = Task { part: Part::First, plan: Some(&plan.id), slots: None };
    let chains = Chains { task, ..ready.chains(request, events) };
    let Probings { failed, learned, groups, scenes: probed, .. } = chains.run(&planned, luma, cancel)?;
    let advice = "plan again with --resume, which tries them once more";
    judge(&planned, &failed, request.on_scene_failure, advice, events)?;
    plan.groups = groups;
    plan.taught = learned;
    let forks = ready.encoding.probers(&planned, luma)?;
    let is_probed = |scene: &PlannedScene<'_>| probed.binary_search(&scene.index).is_ok();
    plan.work = planned.iter().map(|scene| work(scene, is_probed(scene), &forks[scene.index])).collect();
    plan.write(&request.folder)?;
    Ok(Planned {
        folder: request.folder.clone(),
        scenes: planned.len(),
        probed: probed.len(),
        left: plan.work.iter().filter(|work| **work > 0.0).count(),
        shards,
        told: [plan.used, plan.taught].concat(),
    })
}

/// All of a plan that is known before its first probe.
fn describe(
    request: &Request,
    ready: &Ready,
    planned: &[PlannedScene<'_>],
    shards: usize,
    events: &Events,
) -> Result<Plan> {
    let absolute = |path: &PathBuf| std::path::absolute(path);
    let mut open = request.open.clone();
    for plugin in &mut open.plugins {
        *plugin = absolute(plugin)?;
    }
    Ok(Plan {
        program: PROGRAM.to_owned(),
        id: Fingerprint::of_bytes(b""),
        input: absolute(&request.input)?,
        analysis_input: request.analysis_input.as_ref().map(absolute).transpose()?,
        probe_input: request.probe_input.as_ref().map(absolute).transpose()?,
        open,
        output: absolute(&request.output)?,
        settings: ready.settings.clone(),
        segmentation: request.segmentation.clone(),
        on_scene_failure: request.on_scene_failure,
        stall: request.stall,
        learned: request.learned.as_ref().map(absolute).transpose()?,
        memory: ready.remembered().clone(),
        now: ready.now().clone(),
        keys: (ready.input.key.clone(), ready.input.analysed_key.clone(), ready.input.probed_key.clone()),
        analysis: ready.analysis_key(),
        frames: ready.input.clip.info().frames,
        fps: ready.input.clip.info().fps,
        scenes: planned.iter().map(|scene| scene.scene).collect(),
        masks: ready.masks_keys(planned, events)?,
        work: Vec::new(),
        encoding: ready.encoding.record(),
        groups: Vec::new(),
        origin: ready.origin().clone(),
        used: ready.used(),
        taught: Vec::new(),
        shards,
    })
}

/// What a machine that takes a share has of its own.
#[derive(Debug, Default)]
pub struct Here {
    pub path_map: Vec<PathMap>,
    /// Encoders at once; `None`: as the plan says.
    pub workers: Option<usize>,
    /// Bytes for frames that wait to be scored.
    pub memory: Option<u64>,
    /// How far encoders give way to other programs, 0 to 19.
    pub nice: u8,
    pub devices: Devices,
    /// Where the plan's encoder lies.
    pub encoder: Option<PathBuf>,
    /// For encodes until they are measured; `None`: the system's.
    pub temp: Option<PathBuf>,
}

/// What a share came to.
#[derive(Debug)]
pub struct Shared {
    pub scenes: usize,
    /// Scenes that were finished before.
    pub known: usize,
    pub seconds: f64,
}

/// What a title's share is: its scenes, by number, and what others at work leave to it.
#[derive(Clone, Copy)]
pub struct Mine<'a> {
    pub shard: Shard,
    pub scenes: &'a [bool],
    pub slots: Option<&'a Permits>,
}

/// Does a share of one title.
pub fn run_title(
    title: &Title,
    mine: Mine<'_>,
    here: &Here,
    events: &Events,
    cancel: &Cancel,
) -> Result<Shared> {
    let Title { folder, plan } = title;
    let started = Instant::now();
    let scenes = mine.scenes.iter().filter(|mine| **mine).count();
    let left = {
        let store = Store::shared(folder, "", folder, Earlier::Resume)?;
        let zones = plan.settings.zones(plan.frames, &mut Vec::new())?;
        let missing = missing(plan, &place_scenes(&plan.scenes, &zones), &store);
        missing.iter().filter(|(scene, _)| mine.scenes[*scene]).count()
    };
    if left > 0 {
        probe(title, mine, here, events, cancel)?;
    }
    Ok(Shared { scenes, known: scenes - left, seconds: started.elapsed().as_secs_f64() })
}

fn probe(title: &Title, mine: Mine<'_>, here: &Here, events: &Events, cancel: &Cancel) -> Result<()> {
    let Title { folder, plan } = title;
    let mut request = plan.request(folder, &here.path_map);
    // Beside another title half of it.
    request.memory = match mine.slots {
        Some(_) => Some(machine::memory(here.memory) / 2),
        None => here.memory,
    };
    request.nice = here.nice;
    let usual = request.settings.base.encoder.program.clone();
    request.settings.each(|settings| {
        settings.metric.devices = here.devices.clone();
        for known in settings.every_encoder().filter(|known| known.program == usual) {
            known.program = here.encoder.clone().unwrap_or_else(|| usual.clone());
        }
        settings.encoder.workers = here.workers.or(settings.encoder.workers);
    });
    if plan.masks.iter().all(Option::is_none) {
        // Analysis is done, and nobody looks for characters.
        request.analysis_input = None;
    }
    let encodes = encodes(here.temp.as_deref())?;
    let name = mine.shard.journal();
    let place = Place::Plan { plan, name: &name, encodes: encodes.path() };
    let mut ready = Ready::open(&request, place, events, cancel)?;
    ready.take_scenes(&plan.scenes)?;
    let planned = ready.planned()?;
    let task = Task { part: Part::Share(mine.scenes), plan: Some(&plan.id), slots: mine.slots };
    let Probed { probings, .. } = ready.probe(&request, &planned, task, events, cancel)?;
    judge(&planned, &probings.failed, plan.on_scene_failure, "run this shard again", events)
}

/// A folder for encodes, gone in the end.
fn encodes(temp: Option<&Path>) -> Result<TempDir> {
    let folder = temp.map_or_else(std::env::temp_dir, Path::to_path_buf);
    tempfile::Builder::new()
        .prefix("progression-boost-")
        .tempdir_in(&folder)
        .with_context(|| format!("cannot write into {}", folder.display()))
}

/// Says which scenes failed; an error unless they may fall back.
fn judge(
    planned: &[PlannedScene<'_>],
    failed: &[(usize, Error)],
    policy: OnSceneFailure,
    advice: &str,
    events: &Events,
) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let name = |index: usize| {
        let scene = planned[index].scene;
        format!("{index} (frames {} to {})", scene.start, scene.end)
    };
    for (_, error) in failed {
        events.warn(format!("{error:#}"));
    }
    let names: Vec<String> = failed.iter().map(|(scene, _)| name(*scene)).collect();
    match policy {
        OnSceneFailure::Fallback => {
            events.warn(format!("these scenes get a CRF between their neighbours': {}", names.join(", ")));
            Ok(())
        }
        OnSceneFailure::Fail => bail!(
            "probing failed for {} of the scenes: {}. The others are kept: {advice}, or plan with \
             --on-scene-failure fallback to give these a CRF between their neighbours'",
            names.len(),
            names.join(", ")
        ),
    }
}

/// A scenes file that was put together.
pub type Merged = Summary;

/// Writes the scenes file of a title, or `output` instead of it. Neither the clip nor the
/// encoder nor the metric is needed. `parts` says which scene is in which of so many parts,
/// `named` how people call the plan.
pub fn merge_title(
    title: Title,
    output: Option<&Path>,
    map: &[PathMap],
    (named, parts): (&Path, &dyn Fn(usize) -> Vec<Option<usize>>),
    events: &Events,
) -> Result<Merged> {
    let started = Instant::now();
    let Title { folder, plan } = title;
    let folder = folder.as_path();
    let store = Store::shared(folder, "merge", folder, Earlier::Resume)?;
    let zones = plan.settings.zones(plan.frames, &mut Vec::new())?;
    let planned = place_scenes(&plan.scenes, &zones);
    demand_all(&plan, &planned, &store, named, parts)?;
    let lacks = || format!("{} lacks the analysis of its clip: plan again", folder.display());
    let analysis: Analysis = store.load(ANALYSIS, &plan.analysis).with_context(lacks)?;
    let request = plan.request(folder, map);
    let output = output.map_or(request.output, Path::to_path_buf);
    writable(&output)?;
    let records: Vec<Option<SceneRecord>> =
        planned.iter().map(|scene| store.scene(&plan.id, scene.index)).collect();
    let failed: Vec<(usize, Error)> = records
        .iter()
        .flatten()
        .filter_map(|record| Some((record.scene, anyhow!("{}", record.failed.as_ref()?))))
        .collect();
    let indices: Vec<usize> = failed.iter().map(|(scene, _)| *scene).collect();
    let taken = planned.iter().zip(&records).map(|(scene, record)| taken(scene, record.as_ref(), &store));
    let curves = Curves {
        input: request.input,
        output: std::path::absolute(&output)?,
        frames: plan.frames,
        settings: plan.settings.clone(),
        encoding: plan.encoding.clone(),
        analysis: plan.analysis.clone(),
        scenes: scene_curves(&planned, taken.collect::<Result<_>>()?, plan.masks.clone(), &indices),
        groups: plan.groups.clone(),
    };
    let load = |key: &Fingerprint| SceneMasks::load(&store.masks_path(key));
    let masks: Vec<Option<SceneMasks>> =
        plan.masks.iter().map(|key| key.as_ref().map(load).transpose()).collect::<Result<_>>()?;
    let title = solving::Title {
        planned: &planned,
        curves: &curves,
        encoding: &Encoding::recorded(&plan.encoding, &zones)?,
        luma: &analysis.luma,
        masks: &masks,
        now: &plan.now,
        folder,
        learned: request.learned.as_deref(),
        policy: plan.on_scene_failure,
    };
    let scenes = title.write(failed, &store, events)?;
    let mut used = [plan.used, plan.taught].concat();
    let (sentences, forecast) = title.hand_on(&scenes, &plan.memory)?;
    used.extend(sentences);
    let stages = vec![("merging".to_owned(), started.elapsed().as_secs_f64())];
    let about = Clipped::new(&plan.input, &plan.settings, (plan.frames, plan.fps));
    Ok(Summary { output, scenes, used, stages, forecast, about })
}

/// What was measured of a scene, as its machine recorded it.
fn taken(
    scene: &PlannedScene<'_>,
    record: Option<&SceneRecord>,
    store: &Store,
) -> Result<Vec<(Purpose, Taken)>> {
    let takes = record.map_or(&[][..], |record| &record.takes);
    let found = takes.iter().map(|take| {
        let lost = || format!("scene {}: what was measured at CRF {} is lost", scene.index, take.crf);
        let probe = store.probe(&take.encode).with_context(lost)?;
        let measured = store.measured(&take.measured).with_context(lost)?.measured;
        let bytes = ivf::bare(probe.bytes, scene.scene.frames());
        Ok((take.purpose, Taken { crf: take.crf, bytes, measured }))
    });
    found.collect()
}
