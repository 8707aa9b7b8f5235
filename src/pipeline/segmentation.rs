//! Character masks of all scenes that want them, made beside the probes.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::chains::Part;
use super::plan::PlannedScene;
use super::store::Store;
use crate::analysis::LumaStats;
use crate::character::{self, Options, SceneMasks, Segmenter, find_model, masks_key};
use crate::settings::{CharacterSettings, Zone};
use crate::source::Clip;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::{Fingerprint, PROGRAM};

/// What segmentation needs, found before any work is done.
pub struct Segmentation {
    model: PathBuf,
    key: Fingerprint,
    settings: CharacterSettings,
    options: Options,
}

/// The clip that is looked at, what it depends on, and its statistics.
pub struct Source<'a> {
    pub clip: &'a Clip,
    pub key: &'a Fingerprint,
    pub luma: &'a LumaStats,
}

impl Segmentation {
    /// `None` when no zone boosts characters. Back end and model hold for the
    /// whole clip, so the first such zone's settings serve all.
    pub fn find(
        zones: &[Zone],
        clip: &Clip,
        encoder_has_roi: bool,
        options: &Options,
        events: &Events,
    ) -> Result<Option<Self>> {
        let Some(zone) = zones.iter().find(|z| z.settings.character.enable) else { return Ok(None) };
        let settings = zone.settings.character.clone();
        let model = find_model(&settings, clip.session())?;
        let key = masks_key(&model)?;
        let warning =
            zones.iter().find_map(|z| character::roi_warning(&z.settings.character, encoder_has_roi));
        if let Some(warning) = warning {
            events.warn(warning);
        }
        Ok(Some(Self { model, key, settings, options: options.clone() }))
    }

    /// For the manifest: changes with the network.
    pub fn key(&self) -> &Fingerprint {
        &self.key
    }

    /// Under which a scene's masks are kept.
    pub fn key_of(&self, scene: &PlannedScene<'_>, source: &Source<'_>) -> Fingerprint {
        let diff = &source.luma.diff[scene.scene.start..scene.scene.end];
        Fingerprint::of(&(PROGRAM, source.key, &self.key, scene.scene, diff))
    }

    /// One sentence for the summary.
    pub fn describe(&self) -> String {
        format!("characters: {}", self.model.display())
    }

    /// The masks by scene; `None` where the zone boosts no characters, and for scenes
    /// that are no part of a share. Those an earlier run made from the same frames are read back.
    pub fn run(
        &self,
        planned: &[PlannedScene<'_>],
        part: Part<'_>,
        source: &Source<'_>,
        store: &Store,
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Vec<Option<SceneMasks>>> {
        let here = |scene: &&PlannedScene<'_>| match part {
            Part::Whole => true,
            Part::First => false,
            Part::Share(mine) => mine[scene.index],
        };
        let wanted: Vec<_> = planned.iter().filter(here).filter(|s| s.settings.character.enable).collect();
        let stage = events.stage("Segmentation", wanted.len() as u64, "scenes");
        let mut masks: Vec<Option<SceneMasks>> = planned.iter().map(|_| None).collect();
        let mut segmenter = None;
        for scene in wanted {
            let frames = scene.scene.start..scene.scene.end;
            let diff = &source.luma.diff[frames];
            let key = self.key_of(scene, source);
            let path = store.masks_path(&key);
            let known = path.is_file().then(|| SceneMasks::load(&path).ok()).flatten();
            let made = if let Some(known) = known {
                known
            } else {
                let segmenter = match &segmenter {
                    Some(segmenter) => segmenter,
                    None => segmenter.insert(self.open(source.clip, events, cancel)?),
                };
                let made = segmenter
                    .scene(scene.scene, diff, cancel)
                    .with_context(|| format!("segmentation of scene {}", scene.index))?;
                made.store(&path)?;
                made
            };
            masks[scene.index] = Some(made);
            stage.advance(1);
        }
        Ok(masks)
    }

    fn open(&self, clip: &Clip, events: &Events, cancel: &Cancel) -> Result<Segmenter> {
        Segmenter::open(&self.settings, clip, self.options.clone(), events, cancel)
    }
}
