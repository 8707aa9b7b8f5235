//! From what was measured of a title's scenes to its scenes file, wherever and by
//! however many machines it was measured.

use std::path::Path;

use anyhow::{Error, Result, anyhow};

use super::OnSceneFailure;
use super::boost::{roi_folder, targets_of};
use super::curves::{Curves, Known};
use super::encoding::Encoding;
use super::finish::{Finisher, SceneOutcome};
use super::forecast;
use super::memory::{Memory, Now};
use super::outlook::Outlook;
use super::plan::PlannedScene;
use super::store::Store;
use crate::analysis::LumaStats;
use crate::character::SceneMasks;
use crate::formats::scenes_json;
use crate::output::page::SceneRow;
use crate::output::sidecar::{Made, Sidecar};
use crate::output::summary::SceneResult;
use crate::support::events::{Event, Events};

/// Leaves the settings beside the scenes file.
pub fn record(
    curves: &Curves,
    folder: &Path,
    planned: &[PlannedScene<'_>],
    results: &[SceneResult],
) -> Result<()> {
    let made = Made {
        input: &curves.input,
        folder,
        scenes: results.len(),
        frames: curves.frames,
        settings: &curves.settings,
        targets: targets_of(planned, results),
    };
    Sidecar::write(&curves.output, made)
}

/// A title whose scenes were probed.
pub struct Title<'a> {
    pub planned: &'a [PlannedScene<'a>],
    pub curves: &'a Curves,
    pub encoding: &'a Encoding,
    pub luma: &'a LumaStats,
    /// By scene; `None` where no characters are boosted.
    pub masks: &'a [Option<SceneMasks>],
    pub now: &'a Now,
    /// The work folder.
    pub folder: &'a Path,
    /// The file of lessons.
    pub learned: Option<&'a Path>,
    pub policy: OnSceneFailure,
}

impl Title<'_> {
    /// Solves all scenes and writes the scenes file, what lies beside it and what
    /// `retarget` needs. `failed` are scenes and why, in order.
    pub fn write(
        &self,
        failed: Vec<(usize, Error)>,
        store: &Store,
        events: &Events,
    ) -> Result<Vec<SceneResult>> {
        let Self { planned, curves, .. } = self;
        let outcomes = self.outcomes(failed)?;
        let roi_folder = roi_folder(&curves.output)?;
        let finisher = Finisher::new(self.encoding, self.luma, self.masks, &roi_folder);
        let (entries, results) = finisher.finish(planned, outcomes, self.policy, events)?;
        scenes_json::write(&curves.output, &entries)?;
        curves.save(store)?;
        record(curves, self.folder, planned, &results)?;
        events.emit(&Event::Result { path: curves.output.display().to_string() });
        Ok(results)
    }

    fn known(&self) -> Result<Vec<Option<Known>>> {
        let forks = self.encoding.probers(self.planned, self.luma)?;
        self.curves.known(self.planned, &forks, self.luma)
    }

    fn outcomes(&self, failed: Vec<(usize, Error)>) -> Result<Vec<SceneOutcome>> {
        let known = self.known()?;
        let outcome = |(scene, known): (&PlannedScene<'_>, Option<Known>)| match known {
            Some(Known { model, scored, unreliable, learned, .. }) => {
                SceneOutcome::Probed { model, scored, unreliable, learned }
            }
            None if scene.settings.metric.enable => {
                SceneOutcome::Failed(anyhow!("scene {}: its probes are too few to solve it", scene.index))
            }
            None => SceneOutcome::Unmeasured,
        };
        let mut outcomes: Vec<SceneOutcome> = self.planned.iter().zip(known).map(outcome).collect();
        for (scene, error) in failed {
            outcomes[scene] = SceneOutcome::Failed(error);
        }
        Ok(outcomes)
    }

    /// Adds what this title taught to the file of lessons. Returns sentences for the
    /// summary (what it began with, and how large the final encode will be), and what
    /// every scene is expected to be.
    pub fn hand_on(
        &self,
        results: &[SceneResult],
        remembered: &Memory,
    ) -> Result<(Vec<String>, Vec<SceneRow>)> {
        let known = self.known()?;
        let mut sentences = Vec::new();
        if let Some(path) = self.learned {
            self.now.write(path, self.curves, self.planned, &known)?;
            sentences.extend(remembered.describe(path));
        }
        let crfs: Vec<f64> = results.iter().map(|result| result.crf).collect();
        let outlook = Outlook::of(&known, &crfs);
        sentences.extend(outlook.of_something().then(|| format!("predicted size: {outlook}")));
        Ok((sentences, forecast::rows(self.planned, &known, &self.curves.scenes, results)))
    }
}
