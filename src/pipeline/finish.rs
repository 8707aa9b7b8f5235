//! From the probes of every scene to the scenes file: model, dynamic rules,
//! boosts, rounding, final parameters.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Error, Result, anyhow, bail};

use super::OnSceneFailure;
use super::encoding::{Coded, Encoding};
use super::forks::Fork;
use super::plan::PlannedScene;
use crate::analysis::LumaStats;
use crate::character::{self, SceneMasks};
use crate::formats::roi_map::RoiMap;
use crate::formats::scenes_json::{SceneEntry, ZoneOverrides};
use crate::model::{Learned, Model, Presets, Scored, qstep};
use crate::options::PROGRAM_MARK;
use crate::output::summary::SceneResult;
use crate::settings::dynamic::OURS;
use crate::support::events::{Event, Events};

/// How a scene's probing ended.
#[derive(Debug)]
pub enum SceneOutcome {
    /// Its zone measures nothing.
    Unmeasured,
    Probed {
        model: Model,
        scored: Vec<Scored>,
        unreliable: bool,
        learned: Learned,
    },
    /// Its CRF was chosen among those of all scenes.
    Chosen {
        crf: f64,
        scored: Vec<Scored>,
        unreliable: bool,
    },
    Failed(Error),
}

/// A scene between its probes and its entry.
struct Solved {
    crf: f64,
    /// The CRF that the rule for the final preset sees.
    first: f64,
    probes: Vec<(f64, f64)>,
    doubtful: bool,
    /// The target that panning rejection gave it instead of its zone's.
    eased: Option<f64>,
}

/// A scene with the entry that it is encoded by.
#[derive(Debug)]
pub struct Settled {
    pub entry: SceneEntry,
    pub result: SceneResult,
    /// The model's CRF.
    pub solved: f64,
    /// After rules and Character Boost, before it is rounded to what the encoder has.
    pub asked: f64,
    /// Parts of its pictures are encoded at other qualities.
    pub has_map: bool,
    /// Another encoder makes it than made its probes.
    pub unlike_probes: bool,
}

/// A scene's CRF after Character Boost, and its ROI map.
struct Boosted {
    crf: f64,
    map: Option<RoiMap>,
}

/// What a scene's final encode is made with.
struct Placed {
    coded: Coded,
    /// Before it is rounded to what the encoder has.
    asked: f64,
    crf: f64,
    map: Option<RoiMap>,
}

pub struct Finisher<'a> {
    encoding: &'a Encoding,
    luma: &'a LumaStats,
    /// By scene; `None` where no characters are boosted.
    masks: &'a [Option<SceneMasks>],
    /// Where ROI maps are written; the folder is made when there is one.
    roi_folder: &'a Path,
}

impl<'a> Finisher<'a> {
    pub fn new(
        encoding: &'a Encoding,
        luma: &'a LumaStats,
        masks: &'a [Option<SceneMasks>],
        roi_folder: &'a Path,
    ) -> Self {
        Self { encoding, luma, masks, roi_folder }
    }

    /// The entries of the scenes file and the results for the summary, in the
    /// order of the scenes. Failed scenes are an error that names them all, or
    /// get a CRF from their neighbours.
    pub fn finish(
        &self,
        planned: &[PlannedScene<'_>],
        outcomes: Vec<SceneOutcome>,
        policy: OnSceneFailure,
        events: &Events,
    ) -> Result<(Vec<SceneEntry>, Vec<SceneResult>)> {
        let mut solved = Vec::with_capacity(planned.len());
        let mut failed = Vec::new();
        for (scene, outcome) in planned.iter().zip(outcomes) {
            match self.solve(scene, outcome)? {
                Ok(done) => solved.push(Some(done)),
                Err(error) => {
                    solved.push(None);
                    failed.push((scene, error));
                }
            }
        }
        if !failed.is_empty() {
            report(&failed, policy, events)?;
            fall_back(planned, &mut solved)?;
        }
        let mut entries = Vec::with_capacity(planned.len());
        let mut results = Vec::with_capacity(planned.len());
        let mut unlike: Vec<usize> = Vec::new();
        for (scene, solved) in planned.iter().zip(solved.into_iter().flatten()) {
            let Settled { entry, result, unlike_probes, .. } = self.entry(scene, solved, events)?;
            unlike.extend((scene.settings.metric.enable && unlike_probes).then_some(scene.index));
            let (start, end) = (scene.scene.start, scene.scene.end);
            events.emit(&Event::Scene { scene: scene.index, start, end, crf: result.crf });
            entries.push(entry);
            results.push(result);
        }
        tell_encoders(&entries, &unlike, events);
        Ok((entries, results))
    }

    /// The model's CRF; the inner error is a failed scene's.
    fn solve(&self, scene: &PlannedScene<'_>, outcome: SceneOutcome) -> Result<Result<Solved, Error>> {
        let settings = scene.settings;
        let fork = self.encoding.prober(scene, self.luma)?;
        let (model, scored, unreliable, learned) = match outcome {
            SceneOutcome::Failed(error) => return Ok(Err(error)),
            SceneOutcome::Unmeasured => {
                let crf = settings.metric.base_crf;
                let probes = Vec::new();
                return Ok(Ok(Solved { crf, first: crf, probes, doubtful: false, eased: None }));
            }
            SceneOutcome::Chosen { crf, scored, unreliable } => {
                let probes = scored.iter().map(|s| (s.crf, s.score)).collect();
                return Ok(Ok(Solved { crf, first: crf, probes, doubtful: unreliable, eased: None }));
            }
            SceneOutcome::Probed { model, scored, unreliable, learned } => {
                (model, scored, unreliable, learned)
            }
        };
        let too_few = || {
            format!("scene {}: {} probes are too few for model {:?}", scene.index, scored.len(), model.kind)
        };
        let plain = model.uncorrected(&scored, learned.lessons.as_ref()).with_context(too_few)?;
        let presets = Presets {
            probing: fork.settings.probing_preset,
            final_: self.final_preset(scene, &fork, plain.crf)?,
        };
        let answer = model.solve(&scored, &learned, presets).with_context(too_few)?;
        let eased = model.eased(&scored, learned.lessons.as_ref()).goal.target;
        Ok(Ok(Solved {
            crf: answer.crf,
            first: plain.crf,
            probes: scored.iter().map(|s| (s.crf, s.score)).collect(),
            doubtful: unreliable || answer.contradicts(),
            eased: ((eased - model.goal.target).abs() > 0.0).then_some(eased),
        }))
    }

    /// The preset that `fork` encodes the scene with, whose model first says `crf`.
    fn final_preset(&self, scene: &PlannedScene<'_>, fork: &Fork, crf: f64) -> Result<i32> {
        let facts = scene.facts(self.luma);
        self.encoding.rules[scene.zone].final_preset(&facts, crf, fork.settings.final_preset)
    }

    /// Character Boost. Where the scene's encoder takes no ROI map, its strength
    /// goes into the CRF.
    fn boost(&self, scene: &PlannedScene<'_>, crf: f64, has_roi: bool, events: &Events) -> Result<Boosted> {
        let Some(masks) = &self.masks[scene.index] else { return Ok(Boosted { crf, map: None }) };
        let diff = &self.luma.diff[scene.scene.start..scene.scene.end];
        let boost = character::boost(masks, diff, &scene.settings.character, crf, has_roi)?;
        for note in &boost.notes {
            events.detail(format!("scene {}: {note}", scene.index));
        }
        Ok(Boosted { crf: boost.crf, map: boost.roi })
    }

    /// The CRF that is written for a scene whose model or allocation says `crf`.
    pub fn final_crf(&self, scene: &PlannedScene<'_>, crf: f64) -> Result<f64> {
        Ok(self.place(scene, crf, &Events::silent())?.crf)
    }

    /// Rules, Character Boost and rounding, and who encodes the scene: a rule may choose
    /// that by the CRF as the zone's own encoder would get it.
    fn place(&self, scene: &PlannedScene<'_>, crf: f64, events: &Events) -> Result<Placed> {
        let facts = scene.facts(self.luma);
        let crf = self.encoding.rules[scene.zone].crf(&facts, crf)?;
        let own = self.encoding.own(scene.zone);
        let placed = |fork: &Fork, has_roi: bool, coded: Coded, events: &Events| -> Result<Placed> {
            let Boosted { crf, map } = self.boost(scene, crf, has_roi, events)?;
            let asked = crf.max(scene.settings.output.min_crf);
            Ok(Placed { coded, asked, crf: fork.encoder.round_crf(asked), map })
        };
        let has_roi = |fork: &Fork| fork.encoder.capabilities.roi_map;
        let first = placed(own, has_roi(own), Coded::Svt(Arc::clone(own)), events)?;
        match self.encoding.coded(scene, &facts, first.crf)? {
            Coded::Svt(fork) if Arc::ptr_eq(&fork, own) => Ok(first),
            Coded::Svt(fork) => {
                placed(&fork, has_roi(&fork), Coded::Svt(Arc::clone(&fork)), &Events::silent())
            }
            // Only SVT-AV1 takes maps.
            other @ Coded::Other(_) => placed(own, false, other, &Events::silent()),
        }
    }

    /// Writes a scene's ROI map and returns its path.
    fn write_map(&self, scene: &PlannedScene<'_>, map: &RoiMap) -> Result<String> {
        let folder = self.roi_folder;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(RoiMap::file_name(scene.index));
        map.write(&path)?;
        let path = path.to_str().with_context(|| {
            format!("{}: scenes.json is text, so this path must be valid Unicode", path.display())
        })?;
        Ok(path.to_owned())
    }

    /// One scene by itself.
    ///
    /// # Errors
    /// Those of the scene's probes among them.
    pub fn settle(
        &self,
        scene: &PlannedScene<'_>,
        outcome: SceneOutcome,
        events: &Events,
    ) -> Result<Settled> {
        let solved = self.solve(scene, outcome)??;
        self.entry(scene, solved, events)
    }

    fn entry(&self, scene: &PlannedScene<'_>, solved: Solved, events: &Events) -> Result<Settled> {
        let settings = scene.settings;
        let rules = &self.encoding.rules[scene.zone];
        let facts = scene.facts(self.luma);
        let Placed { coded, asked, crf, map } = self.place(scene, solved.crf, events)?;
        let prober = self.encoding.prober(scene, self.luma)?;
        let unlike_probes = !matches!(&coded, Coded::Svt(fork) if fork.identity() == prober.identity());
        let (encoder, preset) = match &coded {
            Coded::Svt(fork) => (OURS, self.final_preset(scene, fork, solved.first)?),
            Coded::Other(name) => (*name, settings.encoder.final_preset),
        };
        let mut video_params = self.encoding.final_words(scene, &coded, crf, preset, &facts)?;
        let has_map = map.is_some();
        if let Some(map) = &map {
            video_params.extend(["--roi-map-file".to_owned(), self.write_map(scene, map)?]);
        }
        let overrides = ZoneOverrides {
            encoder: encoder.to_owned(),
            passes: 1,
            video_params,
            photon_noise: rules.photon_noise(&facts, crf, settings.output.photon_noise)?,
            photon_noise_height: settings.output.photon_noise_height,
            photon_noise_width: settings.output.photon_noise_width,
            chroma_noise: settings.output.chroma_noise,
            extra_splits_len: Some(settings.scenes.extra_split),
            min_scene_len: settings.scenes.min_scene_len,
        };
        let entry = SceneEntry {
            start_frame: scene.scene.start,
            end_frame: scene.scene.end,
            zone_overrides: Some(overrides),
        };
        let zone = scene.zone_name.map(str::to_owned);
        let Solved { probes, doubtful, eased, crf: solved, .. } = solved;
        let result = SceneResult { scene: scene.scene, zone, crf, probes, doubtful, eased };
        Ok(Settled { entry, result, solved, asked, has_map, unlike_probes })
    }
}

/// Gives failed scenes the mean quantiser step of the nearest solved scenes
/// before and after, those of their own zone first.
fn fall_back(planned: &[PlannedScene<'_>], solved: &mut [Option<Solved>]) -> Result<()> {
    let known: Vec<Option<(usize, f64)>> = solved
        .iter()
        .zip(planned)
        .map(|(done, scene)| done.as_ref().map(|done| (scene.zone, done.crf)))
        .collect();
    for (index, scene) in planned.iter().enumerate().filter(|(i, _)| known[*i].is_none()) {
        let nearest = |mine: bool| {
            let fits = |k: &Option<(usize, f64)>| k.filter(|(zone, _)| !mine || *zone == scene.zone);
            let before = known[..index].iter().rev().find_map(fits);
            let after = known[index + 1..].iter().find_map(fits);
            let crfs: Vec<f64> = before.into_iter().chain(after).map(|(_, crf)| crf).collect();
            (!crfs.is_empty()).then_some(crfs)
        };
        let crfs = nearest(true)
            .or_else(|| nearest(false))
            .ok_or_else(|| anyhow!("no scene succeeded, so none can lend its CRF to the failed ones"))?;
        let mean = crfs.iter().map(|&crf| qstep::from_crf(crf)).sum::<f64>() / crfs.len() as f64;
        let crf = qstep::to_crf(mean);
        let probes = Vec::new();
        solved[index] = Some(Solved { crf, first: crf, probes, doubtful: true, eased: None });
    }
    Ok(())
}

/// Says what encodes by several programs need.
fn tell_encoders(entries: &[SceneEntry], unlike: &[usize], events: &Events) {
    if let Some(first) = unlike.first() {
        events.warn(format!(
            "{} scenes, the first of them {first}, were probed with another encoder than will encode them: \
             let dynamic.probing_encoder say what dynamic.encoder says",
            unlike.len()
        ));
    }
    let overrides = entries.iter().filter_map(|entry| entry.zone_overrides.as_ref());
    let marked = overrides.filter(|scene| scene.video_params.iter().any(|word| word == PROGRAM_MARK)).count();
    if marked > 0 {
        events.note(format!(
            "{marked} scenes are for another SvtAv1EncApp than the others: `encode` runs it; av1an does with \
             the one that `progression-boost svt-shim` makes"
        ));
    }
}

/// Says which scenes failed; an error unless they may fall back.
fn report(failed: &[(&PlannedScene<'_>, Error)], policy: OnSceneFailure, events: &Events) -> Result<()> {
    for (_, error) in failed {
        events.warn(format!("{error:#}"));
    }
    let names: Vec<String> = failed
        .iter()
        .map(|(s, _)| format!("{} (frames {} to {})", s.index, s.scene.start, s.scene.end))
        .collect();
    let names = names.join(", ");
    match policy {
        OnSceneFailure::Fallback => {
            events.warn(format!("these scenes get a CRF between their neighbours': {names}"));
            Ok(())
        }
        OnSceneFailure::Fail => bail!(
            "probing failed for {} of the scenes: {names}. The others are kept: continue with --resume, or \
             let --on-scene-failure fallback give these a CRF between their neighbours'",
            failed.len()
        ),
    }
}
