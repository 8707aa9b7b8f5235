//! Boosting, from the input to the scenes file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::Request;
use super::chains::{Chains, Probings};
use super::curves::{Curves, SceneCurve};
use super::finish::{Finisher, SceneOutcome};
use super::outlook::Outlook;
use super::plan::PlannedScene;
use super::ready::{Beside, Clock, Ready};
use super::remembered::Memory;
use crate::analysis::LumaStats;
use crate::character::SceneMasks;
use crate::formats::scenes_json;
use crate::output::sidecar::{Made, Sidecar};
use crate::output::summary::Summary;
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};

/// Boosts as `request` says and writes its output. On failure or interruption
/// everything finished is kept in the work folder.
pub fn run(request: &Request, events: &Events, cancel: &Cancel) -> Result<Summary> {
    writable(&request.output)?;
    let mut ready = Ready::open(request, events, cancel)?;
    ready.analyse(events, cancel)?;
    let planned = ready.planned()?;
    let luma = &ready.analysis()?.luma;
    let now = ready.now();
    let remembered = match &request.learned {
        Some(path) => Memory::read(path, &now, events)?,
        None => Memory::default(),
    };
    let chains = ready.chains(request, &remembered, events);
    let looked_at = ready.looked_at(events);
    let beside = ready.beside(looked_at.as_ref())?;
    let masks_of = |scene: &PlannedScene<'_>| {
        let beside = beside.as_ref().filter(|_| scene.settings.character.enable)?;
        Some(beside.segmentation.key_of(scene, &beside.source))
    };
    let masks_keys: Vec<_> = planned.iter().map(masks_of).collect();
    let mut clock = Clock::default();
    let (Probings { outcomes, learned, taken, groups }, masks) =
        clock.time("probing", || probe_and_segment(&chains, beside, &planned, luma, cancel))?;
    let scenes =
        planned.iter().zip(taken).zip(masks_keys).zip(&outcomes).map(|(((scene, taken), masks), outcome)| {
            SceneCurve {
                masks,
                failed: matches!(outcome, SceneOutcome::Failed(_)),
                ..SceneCurve::new(scene.scene, taken)
            }
        });
    let curves = Curves {
        input: std::path::absolute(&request.input)?,
        output: std::path::absolute(&request.output)?,
        frames: ready.input.clip.info().frames,
        settings: request.settings.clone(),
        encoding: ready.encoding.record(),
        analysis: ready.analysis_key(),
        scenes: scenes.collect(),
        groups,
    };
    let roi_folder = roi_folder(&request.output)?;
    let finisher = Finisher::new(&ready.encoding, luma, &masks, &roi_folder);
    let (entries, results) = finisher.finish(&planned, outcomes, request.on_scene_failure, events)?;

    scenes_json::write(&request.output, &entries)?;
    curves.save(&ready.store)?;
    write_record(request, &ready, entries.len())?;
    events.emit(&Event::Result { path: request.output.display().to_string() });
    let mut used = learned;
    let crfs: Vec<f64> = results.iter().map(|result| result.crf).collect();
    let known = curves.known(&planned, luma)?;
    let outlook = Outlook::of(&known, &crfs);
    if let Some(path) = &request.learned {
        let zones: Vec<usize> = planned.iter().map(|scene| scene.zone).collect();
        now.write(path, &curves, &zones, &known)?;
        used.extend(remembered.describe(path));
    }
    used.extend(outlook.of_something().then(|| format!("predicted size: {outlook}")));
    Ok(ready.summary(request.output.clone(), results, used, clock))
}

/// Writes how the scenes file was made, for those who read it.
pub fn write_record(request: &Request, ready: &Ready, scenes: usize) -> Result<()> {
    let made = Made {
        input: &request.input,
        folder: &request.folder,
        scenes,
        frames: ready.input.clip.info().frames,
        settings: &request.settings,
        targets: None,
    };
    Sidecar::write(&request.output, made)
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
