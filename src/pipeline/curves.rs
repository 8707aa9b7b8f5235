//! What a boost leaves in its work folder, so that scenes can be solved again for
//! another target without its source, its encoder or its metric: the raw
//! measurements and sizes of all encodes, and who learned from whom.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::candidate::Lesson;
use super::encoding::Recorded;
use super::forks::Fork;
use super::modelling;
use super::plan::PlannedScene;
use super::remembered::Remembered;
use super::selection::{FrameScores, Measured, Selection, weights};
use super::store::{self, CURVES, Store};
use crate::analysis::LumaStats;
use crate::encoder::Purpose;
use crate::model::predict::Damages;
use crate::model::size::{SizeCurve, SizeRatio, SizeSlope, Weighed};
use crate::model::{Learned, Model, Presets, Ratios, Scored};
use crate::scenes::Scene;
use crate::score::Measurement;
use crate::settings::{Metric, MetricSettings, Resolved};
use crate::support::fingerprint::{Fingerprint, PROGRAM};

/// All of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Curves {
    pub input: PathBuf,
    /// The scenes file that was written.
    pub output: PathBuf,
    /// Of the clip.
    pub frames: usize,
    pub settings: Resolved,
    pub encoding: Recorded,
    /// What the analysis beside it was made from.
    pub analysis: Fingerprint,
    pub scenes: Vec<SceneCurve>,
    pub groups: Vec<GroupRecord>,
}

/// A scene and its encodes, in the order they were made; none where nothing is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneCurve {
    pub scene: Scene,
    pub probes: Vec<Taken>,
    /// Encodes as the final one.
    pub finals: Vec<Taken>,
    /// Key of its masks, where characters are boosted.
    pub masks: Option<Fingerprint>,
    /// Its probes do not suffice, because one failed.
    pub failed: bool,
}

/// A measured encode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    pub crf: f64,
    /// Of its frames, without a container.
    pub bytes: u64,
    pub measured: Measured,
}

/// Scenes that learned from each other, by number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    pub members: Vec<usize>,
    /// Each with those of its encodes that taught.
    pub pilots: Vec<(usize, Lesson)>,
    /// What an earlier title taught.
    pub remembered: Option<Remembered>,
}

/// A scene as its model sees it.
#[derive(Debug)]
pub struct Known {
    pub model: Model,
    pub scored: Vec<Scored>,
    pub unreliable: bool,
    pub learned: Learned,
    pub damages: Damages,
    pub sizes: SizeCurve,
    pub ratio: SizeRatio,
    pub presets: Presets,
    /// Its frames that count.
    pub weight: f64,
}

impl Known {
    /// What the scene is to score: its zone's target, unless it pans.
    pub fn eased_target(&self) -> f64 {
        self.model.eased(&self.scored, self.learned.lessons.as_ref()).goal.target
    }
}

impl SceneCurve {
    /// A scene that did not fail and boosts no characters.
    pub fn new(scene: Scene, taken: Vec<(Purpose, Taken)>) -> Self {
        let (mut probes, mut finals) = (Vec::new(), Vec::new());
        for (purpose, taken) in taken {
            match purpose {
                Purpose::Probing => probes.push(taken),
                Purpose::Final => finals.push(taken),
            }
        }
        Self { scene, probes, finals, masks: None, failed: false }
    }
}

impl Curves {
    pub fn save(&self, store: &Store) -> Result<()> {
        store.save(CURVES, &Fingerprint::of(&PROGRAM), self)
    }

    /// Those of a work folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let advice = || {
            format!(
                "{} holds no finished boost of progression-boost {PROGRAM}: boost with --resume first",
                folder.display()
            )
        };
        let (key, curves) = store::read(folder, CURVES).with_context(advice)?;
        ensure!(key == Fingerprint::of(&PROGRAM), advice());
        Ok(curves)
    }

    /// The scenes by the settings that they are planned with and what made their probes; `None` for those without probes.
    ///
    /// # Errors
    /// When what was measured is not what these settings need.
    pub fn known(
        &self,
        planned: &[PlannedScene<'_>],
        forks: &[Arc<Fork>],
        luma: &LumaStats,
    ) -> Result<Vec<Option<Known>>> {
        let scores: Vec<(Scores, Scores)> = planned
            .iter()
            .zip(&self.scenes)
            .map(|(scene, curve)| {
                Ok((scored(scene, &curve.probes, luma)?, scored(scene, &curve.finals, luma)?))
            })
            .collect::<Result<_>>()?;
        let slope = SizeSlope::prior().learn(
            self.scenes
                .iter()
                .map(|scene| weighed(&scene.probes))
                .collect::<Vec<_>>()
                .iter()
                .map(Vec::as_slice),
        );
        let mut known: Vec<Option<Known>> = planned.iter().map(|_| None).collect();
        for group in &self.groups {
            let Some(&first) = group.members.first() else { continue };
            let (settings, fork) = (planned[first].settings, &forks[first]);
            let of =
                |index: usize| modelling::model(settings, fork, &luma.diff[planned[index].scene.range()]);
            let model = of(first);
            let model = group.remembered.map_or(model, |remembered| remembered.begin(model));
            let learned = learned(&model, group, &scores);
            let presets = fork.presets();
            let pairs: Vec<Vec<(f64, f64)>> =
                group.members.iter().map(|&index| sizes(&self.scenes[index], slope)).collect();
            let ratio =
                SizeRatio::prior(presets.probing, presets.final_).learn(pairs.iter().map(Vec::as_slice));
            for &index in group.members.iter().filter(|&&index| !self.scenes[index].failed) {
                let Scores { scored, unreliable } = scores[index].0.clone();
                let learned = Learned { finals: scores[index].1.scored.clone(), ..learned.clone() };
                let Some(damages) = model.damages(&scored, &learned, presets) else { continue };
                let curve = SizeCurve::through(&weighed(&self.scenes[index].probes), slope);
                let sizes = curve.context("a scene with scores has sizes")?;
                let scene = planned[index].scene;
                let repeats = planned[index].settings.metric.sample.repeats;
                let weight = weights(&luma.diff[scene.start..scene.end], repeats).iter().sum();
                let model = Model { ease: of(index).ease, ..model };
                known[index] = Some(Known {
                    model,
                    scored,
                    unreliable,
                    learned,
                    damages,
                    sizes,
                    ratio,
                    presets,
                    weight,
                });
            }
        }
        Ok(known)
    }
}

/// The scores of a scene's encodes.
#[derive(Clone)]
struct Scores {
    scored: Vec<Scored>,
    unreliable: bool,
}

fn scored(scene: &PlannedScene<'_>, taken: &[Taken], luma: &LumaStats) -> Result<Scores> {
    let metric = &scene.settings.metric;
    let selection = Selection::new(scene.scene, &luma.diff[scene.scene.start..scene.scene.end], metric);
    let mut scores = Scores { scored: Vec::new(), unreliable: false };
    for Taken { crf, measured, .. } in taken {
        fits(measured, &selection, metric)?;
        let place = (scene.index, scene.scene.start);
        let frames = FrameScores::of(measured, metric, place, || "kept in the work folder".to_owned())?;
        let found = selection.score(&frames, &measured.errors, metric)?;
        scores.scored.push(Scored { crf: *crf, score: found.pooled.score, error: found.error });
        scores.unreliable |= found.pooled.unreliable;
    }
    Ok(scores)
}

/// Whether settings can make a score of what was measured by others.
fn fits(measured: &Measured, selection: &Selection, metric: &MetricSettings) -> Result<()> {
    let ssimu2 = measured.frames.iter().all(|(_, frame)| matches!(frame, Measurement::Ssimulacra2(_)));
    ensure!(
        ssimu2 == (metric.metric == Metric::Ssimu2),
        "metric.metric {}: the probes were measured by {}; boost with --resume",
        metric.metric.name(),
        if ssimu2 { "ssimu2" } else { "Butteraugli" }
    );
    let sampled = matches!(selection, Selection::Sampled(_));
    ensure!(
        sampled != measured.errors.is_empty(),
        "metric.pooling: {}; boost with --resume",
        if sampled {
            "mean needs a representative sample of frames, and the probes were measured at picked ones"
        } else {
            "all but mean need picked frames, and the probes were measured at a representative sample"
        }
    );
    Ok(())
}

fn learned(model: &Model, group: &GroupRecord, scores: &[(Scores, Scores)]) -> Learned {
    let lesson = |&(scene, lesson): &(usize, Lesson)| {
        let (probes, finals) = &scores[scene];
        lesson.of(model, &probes.scored, &finals.scored)
    };
    let mut pilots: Vec<_> = group.pilots.iter().map(lesson).collect();
    pilots.extend(group.remembered.map(|remembered| remembered.pilot(&model.goal)));
    let lessons = model.learn(&pilots);
    let offset = group.remembered.and_then(|remembered| remembered.offset);
    let exemplary = |scene: &&usize| model.goal.exemplary(&scores[**scene].1.scored).is_some();
    let of = |&scene: &usize| {
        let (probes, finals) = &scores[scene];
        model.pair(&probes.scored, &finals.scored, lessons.as_ref())
    };
    let pairs = group.members.iter().filter(exemplary).filter_map(of);
    let ratios = Ratios::new(pairs, &model.goal).after(offset);
    Learned { lessons, ratios, finals: Vec::new() }
}

fn weighed(probes: &[Taken]) -> Vec<Weighed> {
    probes.iter().map(|probe| Weighed { crf: probe.crf, bytes: probe.bytes }).collect()
}

/// Sizes of a probe and of the final encode at the same CRFs.
fn sizes(scene: &SceneCurve, slope: SizeSlope) -> Vec<(f64, f64)> {
    let Some(curve) = SizeCurve::through(&weighed(&scene.probes), slope) else { return Vec::new() };
    scene.finals.iter().map(|last| (curve.probe(last.crf).value, last.bytes as f64)).collect()
}
