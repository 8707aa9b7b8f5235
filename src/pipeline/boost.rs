//! Boosting, from the input to the scenes file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Request;
use super::chains::Task;
use super::curves::{SceneCurve, Taken};
use super::plan::PlannedScene;
use super::ready::{Place, Probed, Ready};
use super::solving::Title;
use crate::encoder::Purpose;
use crate::output::summary::{SceneResult, Summary};
use crate::support::atomic;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// Boosts as `request` says and writes its output. On failure or interruption
/// everything finished is kept in the work folder.
///
/// On several machines the same is done in steps: `shards` probes in parts and
/// solves what they left with the same [`Title`].
pub fn run(request: &Request, events: &Events, cancel: &Cancel) -> Result<Summary> {
    writable(&request.output)?;
    let mut ready = Ready::open(request, Place::Own, events, cancel)?;
    ready.analyse(events, cancel)?;
    let planned = ready.planned()?;
    ready.encoding.rehearse(&planned, &ready.analysis()?.luma, false)?;
    let mut clock = Clock::default();
    let masks = ready.masks_keys(&planned, events)?;
    let Probed { probings, masks: found } =
        clock.time("probing", || ready.probe(request, &planned, Task::WHOLE, events, cancel))?;
    let failed: Vec<usize> = probings.failed.iter().map(|(scene, _)| *scene).collect();
    let scenes = scene_curves(&planned, probings.taken, masks, &failed);
    let curves = ready.curves(request, scenes, probings.groups)?;
    let title = Title {
        planned: &planned,
        curves: &curves,
        encoding: &ready.encoding,
        luma: &ready.analysis()?.luma,
        masks: &found,
        now: ready.now(),
        folder: &request.folder,
        learned: request.learned.as_deref(),
        policy: request.on_scene_failure,
    };
    let results = title.write(probings.failed, &ready.store, events)?;
    let mut learned = probings.learned;
    let (sentences, forecast) = title.hand_on(&results, ready.remembered())?;
    learned.extend(sentences);
    Ok(Summary { forecast, ..ready.summary(request, results, learned, clock) })
}

/// What is kept of every scene; all lists but `failed` are by scene.
pub(super) fn scene_curves(
    planned: &[PlannedScene<'_>],
    taken: Vec<Vec<(Purpose, Taken)>>,
    masks: Vec<Option<Fingerprint>>,
    failed: &[usize],
) -> Vec<SceneCurve> {
    let found = planned.iter().zip(taken).zip(masks);
    let curve = |((scene, taken), masks): ((&PlannedScene<'_>, _), _)| {
        let failed = failed.contains(&scene.index);
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
    pub(super) stages: Vec<(String, f64)>,
}

impl Clock {
    pub fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work();
        self.stages.push((stage.to_owned(), started.elapsed().as_secs_f64()));
        result
    }
}
