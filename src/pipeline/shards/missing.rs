//! Which scenes of a plan nobody has done yet, and how they are done.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use super::file::Plan;
use crate::pipeline::OnSceneFailure;
use crate::pipeline::plan::PlannedScene;
use crate::pipeline::store::Store;
use crate::support::shard::Shard;

/// So many scenes are named one by one.
const NAMED: usize = 20;

/// The scenes that a merge cannot do without, in order, and why each failed if it did.
pub fn missing(plan: &Plan, planned: &[PlannedScene<'_>], store: &Store) -> Vec<(usize, Option<String>)> {
    let lacks = |scene: &PlannedScene<'_>| {
        let masks = &plan.masks[scene.index];
        let mut done = masks.as_ref().is_none_or(|key| store.masks_path(key).is_file());
        let mut why = None;
        if scene.settings.metric.enable {
            let record = store.scene(&plan.id, scene.index);
            let whole = |record: &crate::pipeline::store::SceneRecord| {
                record.takes.iter().all(|take| store.measured(&take.measured).is_some())
            };
            done &= record.as_ref().is_some_and(whole);
            why = record.and_then(|record| record.failed);
            done &= why.is_none() || plan.on_scene_failure == OnSceneFailure::Fallback;
        }
        (!done).then_some((scene.index, why))
    };
    planned.iter().filter_map(lacks).collect()
}

/// # Errors
/// When scenes are missing, naming them with the commands that make them. `parts` says
/// which scene is in which of so many parts.
pub fn demand_all(
    plan: &Plan,
    planned: &[PlannedScene<'_>],
    store: &Store,
    folder: &Path,
    parts: &dyn Fn(usize) -> Vec<Option<usize>>,
) -> Result<()> {
    let missing = missing(plan, planned, store);
    if missing.is_empty() {
        return Ok(());
    }
    let of = store.journals().iter().filter_map(|name| Shard::of_journal(name)).max().unwrap_or(plan.shards);
    let parts = parts(of);
    let mut by_part: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (scene, _) in &missing {
        by_part.entry(parts[*scene]).or_default().push(*scene);
    }
    let folder = shell_words::quote(&folder.to_string_lossy()).into_owned();
    let mut text = format!("{} of {} scenes are missing:", missing.len(), planned.len());
    for (part, scenes) in by_part {
        let command = match part {
            Some(part) => format!("progression-boost run {folder} --shard {part}/{of}"),
            None => "plan again with --resume".to_owned(),
        };
        let _ = write!(text, "\n  {}: {command}", named(&scenes, planned));
    }
    for (scene, why) in missing.iter().filter_map(|(scene, why)| Some((scene, why.as_ref()?))) {
        let _ = write!(text, "\n  scene {scene} failed: {why}");
    }
    bail!("{text}\n`progression-boost run {folder} --shard 1/1` makes all that is missing on this machine");
}

fn named(scenes: &[usize], planned: &[PlannedScene<'_>]) -> String {
    if let [scene] = scenes {
        let frames = planned[*scene].scene;
        return format!("scene {scene} (frames {} to {})", frames.start, frames.end);
    }
    let numbers: Vec<String> = scenes.iter().take(NAMED).map(usize::to_string).collect();
    let rest = scenes.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("scenes {}{more}", numbers.join(", "))
}
