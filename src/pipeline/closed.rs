//! `encode --boost`: one run from the input to the checked file. Scenes are
//! probed, encoded and measured side by side; what misses its target is encoded
//! again, within a budget.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Error, Result, bail};

use super::Request;
use super::boost::{Clock, roi_folder, scene_curves, writable};
use super::chains::{Chains, Loop};
use super::chunks::{Chunk, Chunks};
use super::curves::{GroupRecord, Taken};
use super::finish::Finisher;
use super::plan::PlannedScene;
use super::readers::Readers;
use super::ready::{Place, Ready};
use super::redo::{self, Miss, Tolerance};
use super::scheduler;
use super::solving::record;
use crate::analysis::LumaStats;
use crate::encode::{self, Order, Outcome, Workshop};
use crate::encoder::Purpose;
use crate::formats::scenes_json::{self, SceneEntry};
use crate::model::Scored;
use crate::output::closed::{ChunkResult, ClosedSummary, Redone};
use crate::output::summary::SceneResult;
use crate::source::Clip;
use crate::support::cancel::Cancel;
use crate::support::events::{Event, Events};

/// A run from the input to the finished file.
#[derive(Debug, Clone)]
pub struct EncodeRequest {
    /// How scenes are found, probed and solved; its output is the scenes file beside the result.
    pub boost: Request,
    /// How chunks are encoded and the file is made; its depth is that of the parameters.
    pub encode: encode::Request,
    /// `None`: what is usual for the metric.
    pub tolerance: Option<Tolerance>,
    /// Share of the clip's frames that may be encoded once more, 0 to 1.
    pub max_redo: f64,
}

/// Boosts and encodes as `request` says. On failure or interruption everything
/// finished is kept in the work folders.
pub fn run(request: &EncodeRequest, events: &Events, cancel: &Cancel) -> Result<(ClosedSummary, Outcome)> {
    let boost = &request.boost;
    writable(&boost.output)?;
    let mut ready = Ready::open(boost, Place::Own, events, cancel)?;
    ready.encoding.check_all_final_bits()?;
    let encode = encode::Request { bits: ready.encoding.bits, ..request.encode.clone() };
    let programs = ready.encoding.programs();
    let mut workshop = Workshop::open(encode, &ready.encoded, &ready.input.key, programs, events, cancel)?;
    ready.analyse(events, cancel)?;
    let planned = ready.planned()?;
    let luma = &ready.analysis()?.luma;
    ready.encoding.rehearse(&planned, luma, true)?;
    ready.encoding.check_all_final_bits()?;
    workshop.begin(events)?;
    let mut clock = Clock::default();
    // Chunks need them; there is no order in which both could wait for each other.
    let masks = clock.time("segmentation", || ready.masks(&planned, events, cancel))?;
    let roi_folder = roi_folder(&boost.output)?;
    let finisher = Finisher::new(&ready.encoding, luma, &masks, &roi_folder);
    let chains = ready.chains(boost, events);
    let parts = Parts { request, workshop: &workshop, finisher: &finisher, clip: &ready.encoded, events };
    let made = clock.time("probing and encoding", || parts.chunks(&chains, &planned, luma, cancel))?;

    let entries: Vec<SceneEntry> = made.kept.iter().map(|chunk| chunk.settled.entry.clone()).collect();
    for (scene, chunk) in planned.iter().zip(&made.kept) {
        let (start, end) = (scene.scene.start, scene.scene.end);
        events.emit(&Event::Scene { scene: scene.index, start, end, crf: chunk.crf() });
    }
    scenes_json::write(&boost.output, &entries)?;
    let results: Vec<SceneResult> = made.kept.iter().map(|chunk| chunk.settled.result.clone()).collect();
    let masks_keys = ready.masks_keys(&planned, &Events::silent())?;
    let curves = ready.curves(boost, scene_curves(&planned, made.taken, masks_keys, &[]), made.groups)?;
    curves.save(&ready.store)?;
    record(&curves, &boost.folder, &planned, &results)?;
    let mut learned = made.learned;
    if let Some(path) = &boost.learned {
        let forks = ready.encoding.probers(&planned, luma)?;
        ready.now().write(path, &curves, &planned, &curves.known(&planned, &forks, luma)?)?;
        learned.extend(ready.remembered().describe(path));
    }
    events.emit(&Event::Result { path: boost.output.display().to_string() });
    let orders: Vec<Arc<Order>> = made.kept.iter().map(|chunk| Arc::clone(&chunk.order)).collect();
    let resumed = made.kept.iter().filter(|chunk| chunk.resumed).count();
    let outcome = clock
        .time("making the file", || workshop.bind(&entries, &orders, &made.spare, resumed, events, cancel))?;
    let boosted = ready.summary(boost, results, learned, clock);
    let summary = ClosedSummary { boosted, chunks: made.results, redone: made.redone };
    if request.encode.clean {
        ready.store.remove()?;
        // Empty by now, unless other files of the user's are in it.
        let _ = std::fs::remove_dir(&request.encode.work);
    }
    Ok((summary, outcome))
}

struct Parts<'a> {
    request: &'a EncodeRequest,
    workshop: &'a Workshop,
    finisher: &'a Finisher<'a>,
    /// What is encoded.
    clip: &'a Clip,
    events: &'a Events,
}

/// The chunks of all scenes, in order.
struct MadeChunks {
    kept: Vec<Chunk>,
    /// Those that another encode of the scene is better than; a run that resumes
    /// would make them again to find that out.
    spare: Vec<Arc<Order>>,
    results: Vec<ChunkResult>,
    redone: Redone,
    learned: Vec<String>,
    /// By scene, what was measured of it.
    taken: Vec<Vec<(Purpose, Taken)>>,
    groups: Vec<GroupRecord>,
}

impl Parts<'_> {
    /// Probes and encodes all scenes, then again those that miss by too much.
    fn chunks(
        &self,
        chains: &Chains<'_>,
        planned: &[PlannedScene<'_>],
        luma: &LumaStats,
        cancel: &Cancel,
    ) -> Result<MadeChunks> {
        let ends = Loop::Closed { redoes: self.request.max_redo > 0.0 };
        chains.with_probing(planned, luma, ends, cancel, |probing, measured, limits| {
            let one_session = || Readers::one(self.clip.clone(), self.events);
            let apart = self.request.boost.probe_input.as_ref().map(|_| one_session());
            let mut chunks = Chunks::new(probing, planned, self.workshop, self.finisher, apart);
            chunks.probing.stage.weigh(1.0);
            chunks.stage.weigh(chains.encoding.usual_work());
            let all = chunks.chains(measured);
            complete(&chunks, &scheduler::run(&all, limits, &chunks, cancel)?)?;
            let frames = planned.iter().map(|scene| scene.scene.frames()).sum();
            let misses = chunks.misses(self.request.tolerance)?;
            let spared = chunks.spared(|settings, fork| chains.encoding.work_ratio(settings, fork));
            let budget = redo::budget(self.request.max_redo, frames) + spared;
            let chosen = chosen(&misses, budget);
            let left = misses.len() - chosen.len();
            if !chosen.is_empty() {
                self.events.note(format!("{} chunks miss their target and are encoded again", chosen.len()));
                chunks.again(chosen);
                complete(&chunks, &scheduler::run(&all, limits, &chunks, cancel)?)?;
            }
            collect(&chunks, planned.len(), left)
        })
    }
}

fn chosen(misses: &[(Miss, Scored)], budget: usize) -> HashMap<usize, Scored> {
    let only: Vec<Miss> = misses.iter().map(|(miss, _)| *miss).collect();
    let chosen = redo::choose(&only, budget);
    misses
        .iter()
        .filter(|(miss, _)| chosen.contains(&miss.chunk))
        .map(|(miss, first)| (miss.chunk, *first))
        .collect()
}

/// An error that names every scene that failed.
fn complete(chunks: &Chunks<'_>, failed: &[(usize, Error)]) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed
        .iter()
        .map(|(number, error)| {
            let PlannedScene { index, scene, .. } = chunks.planned(*number);
            format!("scene {index}, frames {} to {}: {error:#}", scene.start, scene.end)
        })
        .collect();
    bail!(
        "{} of the scenes failed; the others are kept, continue with --resume\n{}",
        failed.len(),
        lines.join("\n")
    )
}

/// Of every scene the chunk that is nearest to its target; of equal ones the first.
fn collect(chunks: &Chunks<'_>, scenes: usize, left: usize) -> Result<MadeChunks> {
    let mut kept: Vec<(usize, Chunk, ChunkResult)> = Vec::with_capacity(scenes);
    let mut taken = vec![Vec::new(); scenes];
    let mut redone = Redone { left, ..Redone::default() };
    let mut spare = Vec::new();
    for number in 0..scenes {
        let made = chunks.made(number);
        let planned = chunks.planned(number);
        taken[planned.index] = chunks.taken(number)?;
        let miss = |chunk: &Chunk| chunk.error().map_or(f64::INFINITY, f64::abs);
        if let [first, second] = &made[..] {
            redone.chunks += 1;
            redone.frames += planned.scene.frames();
            redone.seconds += second.seconds;
            redone.before += miss(first);
            redone.after += miss(first).min(miss(second));
        }
        let Some(best) = made.iter().min_by(|a, b| miss(a).total_cmp(&miss(b))) else { continue };
        let result = ChunkResult {
            scene: planned.scene,
            crf: best.crf(),
            score: best.score.map(|scored| scored.score),
            target: best.aim,
            metric: planned.settings.metric.enable.then_some(planned.settings.metric.metric),
            wanted: planned.settings.metric.target,
            bytes: best.bytes,
            clamped: chunks.is_clamped(number, best),
            standard_error: best.score.map_or(0.0, |scored| scored.error),
            frames: best.frames.clone(),
        };
        kept.push((planned.index, best.clone(), result));
        let worse = made.iter().filter(|chunk| chunk.order.key != best.order.key);
        spare.extend(worse.map(|chunk| Arc::clone(&chunk.order)));
    }
    kept.sort_by_key(|(index, ..)| *index);
    let (kept, results) = kept.into_iter().map(|(_, chunk, result)| (chunk, result)).unzip();
    let (learned, groups) = (chunks.describe(), chunks.probing.learning.record(&chunks.probing.candidates));
    Ok(MadeChunks { kept, spare, results, redone, learned, taken, groups })
}

/// Where the scenes file of a result lies: `ep01.mkv` has `ep01.scenes.json` beside it.
pub fn scenes_file(output: &std::path::Path) -> PathBuf {
    output.with_extension("scenes.json")
}
