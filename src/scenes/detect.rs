//! Which method each zone uses, and from its verdicts to scenes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::score::scores;
use super::{ProgressiveParams, Scene, SplitParams, av1an, split, split_progressively};
use crate::analysis::{Analysis, Av1anFrame, Detector, FirstPass, Plugin, unavailable};
use crate::formats::{scene_changes, scenes_json};
use crate::settings::{SceneMethod, SceneSettings, SplitRules, Zone};
use crate::source::Session;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;

/// A piece of an external scene at a zone boundary that is shorter is reported
/// where nothing else would show it.
const SHORT_PIECE: usize = 5;

/// What the detectors of `progressive` weigh; together no more than 1 (spec 10).
const X264_WEIGHT: f64 = 0.94;
const OTHER_WEIGHT: f64 = 0.88;

/// How the scenes of every zone are found, settled before anything is analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One entry a zone, in their order.
    pub zones: Vec<ZoneMethod>,
    /// What [`crate::analysis::analyse`] must run.
    pub detectors: BTreeSet<Detector>,
    /// The x264 for [`Detector::X264`].
    pub first_pass: Option<FirstPass>,
}

/// The method a zone uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneMethod {
    pub frames: Range<usize>,
    pub method: SceneMethod,
    pub rules: SplitRules,
    /// Why it is not the method of the settings: a whole sentence.
    pub fallback: Option<String>,
}

/// The scenes of a clip and how they came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// In order, covering the clip.
    pub scenes: Vec<Scene>,
    /// One score a frame; see [`super::scores`].
    pub scores: Vec<f64>,
    pub zones: Vec<ZoneMethod>,
}

/// Resolves the method of every zone against the plugins of `session` and the
/// x264 of the settings. A method that cannot run is an error if the user asked
/// for it by name (`strict`), else what can takes its place;
/// [`ZoneMethod::fallback`], also emitted as a note, says why.
pub fn plan(zones: &[Zone], session: Session, events: &Events, cancel: &Cancel) -> Result<Plan> {
    let x264 = |program: &Path| FirstPass::open(program, cancel);
    let plan = plan_with(zones, |plugin| unavailable(plugin, session), x264)?;
    let sentences: BTreeSet<&String> = plan.zones.iter().filter_map(|z| z.fallback.as_ref()).collect();
    for sentence in sentences {
        events.note(sentence);
    }
    Ok(plan)
}

fn plan_with(
    zones: &[Zone],
    missing: impl Fn(Plugin) -> Option<String>,
    x264: impl Fn(&Path) -> Result<FirstPass>,
) -> Result<Plan> {
    let mut plan = Plan { zones: Vec::new(), detectors: BTreeSet::new(), first_pass: None };
    let wants = |zone: &Zone| zone.settings.scenes.method == SceneMethod::Progressive;
    // It is the same program for the whole clip, and looked at once.
    let opened = match zones.iter().find(|zone| wants(zone)).map(|zone| x264(&zone.settings.scenes.x264)) {
        Some(Err(error)) if error.is::<Interrupted>() => return Err(error),
        opened => opened.transpose().map_err(|error| format!("{error:#}")),
    };
    for zone in zones {
        let settings = &zone.settings.scenes;
        Splitter::new(settings)?;
        let wanted = settings.method;
        let no_x264 = opened.as_ref().err().filter(|_| wants(zone)).cloned();
        let reason = no_x264.or_else(|| plugins(wanted).iter().find_map(|&plugin| missing(plugin)));
        let no_wwxd = if wants(zone) { missing(Plugin::Wwxd) } else { None };
        let (method, fallback) = match reason {
            None => (wanted, no_wwxd.as_ref().map(|reason| stand_in(reason))),
            Some(reason) if settings.strict => bail!(
                "scene detection `{}` cannot run: {reason}; `--method builtin` needs no plugin",
                wanted.name()
            ),
            Some(reason) => {
                let wwxd = wants(zone) && no_wwxd.is_none();
                let method = if wwxd { SceneMethod::Wwxd } else { SceneMethod::Builtin };
                (method, Some(instead(method, wanted, &reason)))
            }
        };
        plan.detectors.extend(detectors(method));
        if method == SceneMethod::Progressive {
            let second = if no_wwxd.is_none() { Detector::Wwxd } else { Detector::Builtin };
            plan.detectors.insert(second);
            let first_pass = plan.first_pass.take().or_else(|| opened.clone().ok().flatten());
            plan.first_pass = first_pass.map(|pass| pass.with(zone.frames.clone()));
        }
        let rules = settings.split_rules();
        plan.zones.push(ZoneMethod { frames: zone.frames.clone(), method, rules, fallback });
    }
    Ok(plan)
}

fn instead(method: SceneMethod, wanted: SceneMethod, reason: &str) -> String {
    format!("Scenes are found by `{}` instead of `{}`: {reason}.", method.name(), wanted.name())
}

/// Beside x264 the built-in detector does as well.
fn stand_in(reason: &str) -> String {
    format!("Beside x264, `builtin` takes the place of `wwxd`: {reason}.")
}

fn plugins(method: SceneMethod) -> &'static [Plugin] {
    match method {
        SceneMethod::Wwxd => &[Plugin::Wwxd],
        SceneMethod::Scxvid => &[Plugin::Scxvid],
        SceneMethod::WwxdScxvid => &[Plugin::Wwxd, Plugin::Scxvid],
        _ => &[],
    }
}

fn detectors(method: SceneMethod) -> &'static [Detector] {
    match method {
        SceneMethod::Wwxd => &[Detector::Wwxd],
        SceneMethod::Scxvid => &[Detector::Scxvid],
        SceneMethod::WwxdScxvid => &[Detector::Wwxd, Detector::Scxvid],
        SceneMethod::Builtin => &[Detector::Builtin],
        SceneMethod::Av1an => &[Detector::Av1an],
        SceneMethod::Av1anFast => &[Detector::Av1anFast],
        SceneMethod::External => &[],
        SceneMethod::Props => &[Detector::Props],
        // The second one is chosen by what loads.
        SceneMethod::Progressive => &[Detector::X264],
    }
}

/// The scenes of the clip that `analysis` describes. `zones` cover it in order
/// and `plan` was made for them. Fails on an external list that does not fit and
/// on an analysis that lacks a detector of the plan.
pub fn detect(zones: &[Zone], plan: &Plan, analysis: &Analysis, events: &Events) -> Result<Detection> {
    let mut detection = Detection { scenes: Vec::new(), scores: Vec::new(), zones: plan.zones.clone() };
    let mut lists = BTreeMap::new();
    for (zone, chosen) in zones.iter().zip(&plan.zones) {
        let settings = &zone.settings.scenes;
        let frames = zone.frames.clone();
        let (scenes, zone_scores) = match verdicts(chosen.method, analysis)? {
            Verdicts::Frames(verdict) => {
                let how = (settings.split_rules(), settings.full_range);
                let zone_scores = scores(&analysis.luma, frames.clone(), how, verdict);
                let scenes = Splitter::new(settings)?
                    .split(&zone_scores)
                    .iter()
                    .map(|s| Scene { start: s.start + frames.start, end: s.end + frames.start })
                    .collect();
                (scenes, zone_scores)
            }
            Verdicts::Av1an(list) => {
                let scenes =
                    av1an::scenes(list, frames.clone(), settings.min_scene_len, settings.extra_split);
                listed(analysis, zone, scenes)
            }
            Verdicts::External => {
                let path = settings.input_scenes.as_deref().context(
                    "scene method `external` needs a scene list; name it with --input-scenes FILE",
                )?;
                let list = list_of(&mut lists, path, analysis.luma.diff.len())?;
                let scenes = external_scenes(list, zone, path, events)?;
                listed(analysis, zone, scenes)
            }
        };
        detection.scenes.extend(scenes);
        detection.scores.extend(zone_scores);
    }
    Ok(detection)
}

/// The rules of a zone with their lengths.
enum Splitter {
    ExtraSplit(SplitParams),
    Progressive(ProgressiveParams),
}

impl Splitter {
    fn new(settings: &SceneSettings) -> Result<Self> {
        let SceneSettings { extra_split, min_scene_len, target_split, .. } = *settings;
        Ok(match settings.split_rules() {
            SplitRules::ExtraSplit => {
                Self::ExtraSplit(SplitParams::new(extra_split, min_scene_len, target_split)?)
            }
            SplitRules::Progressive => Self::Progressive(ProgressiveParams::new(settings)?),
        })
    }

    fn split(&self, scores: &[f64]) -> Vec<Scene> {
        match *self {
            Self::ExtraSplit(params) => split(scores, params),
            Self::Progressive(params) => split_progressively(scores, params),
        }
    }
}

enum Verdicts<'a> {
    Frames(Box<dyn Fn(usize) -> f64 + 'a>),
    Av1an(&'a [Av1anFrame]),
    External,
}

fn verdicts(method: SceneMethod, analysis: &Analysis) -> Result<Verdicts<'_>> {
    let missing = || format!("the analysis holds no verdicts for `{}`; run it again", method.name());
    let flag = |flags: &[bool], n: usize| f64::from(u8::from(flags[n]));
    Ok(match method {
        SceneMethod::Builtin => {
            let cuts = &analysis.builtin.as_ref().with_context(missing)?.cuts;
            Verdicts::Frames(Box::new(move |n| flag(cuts, n)))
        }
        SceneMethod::Wwxd => {
            let cuts = analysis.wwxd.as_ref().with_context(missing)?;
            Verdicts::Frames(Box::new(move |n| flag(cuts, n)))
        }
        SceneMethod::Scxvid => {
            let cuts = analysis.scxvid.as_ref().with_context(missing)?;
            Verdicts::Frames(Box::new(move |n| flag(cuts, n)))
        }
        SceneMethod::WwxdScxvid => {
            let wwxd = analysis.wwxd.as_ref().with_context(missing)?;
            let scxvid = analysis.scxvid.as_ref().with_context(missing)?;
            Verdicts::Frames(Box::new(move |n| flag(wwxd, n) + flag(scxvid, n) / 2.0))
        }
        SceneMethod::Props => {
            let cuts = analysis.props.as_ref().context(
                "scene method `props`: no frame has the property _SceneChangePrev or _SceneChangeNext; let the \
                 script set them with a detector, for instance core.scxvid.Scxvid(clip)",
            )?;
            Verdicts::Frames(Box::new(move |n| flag(cuts, n)))
        }
        SceneMethod::Progressive => {
            let x264 = analysis.x264.as_ref().with_context(missing)?;
            let builtin = analysis.builtin.as_ref().map(|builtin| &builtin.cuts);
            let other = analysis.wwxd.as_ref().or(builtin).with_context(missing)?;
            Verdicts::Frames(Box::new(move |n| {
                (OTHER_WEIGHT * flag(other, n) + X264_WEIGHT * flag(x264, n)).min(1.0)
            }))
        }
        SceneMethod::Av1an => Verdicts::Av1an(analysis.av1an.as_ref().with_context(missing)?),
        SceneMethod::Av1anFast => Verdicts::Av1an(analysis.av1an_fast.as_ref().with_context(missing)?),
        SceneMethod::External => Verdicts::External,
    })
}

/// A finished list with scores that show its starts as cuts.
fn listed(analysis: &Analysis, zone: &Zone, scenes: Vec<Scene>) -> (Vec<Scene>, Vec<f64>) {
    let starts: BTreeSet<usize> = scenes.iter().map(|s| s.start).collect();
    let verdict = |n: usize| if starts.contains(&n) { 1.0 } else { 0.0 };
    let how = (zone.settings.scenes.split_rules(), zone.settings.scenes.full_range);
    let scores = scores(&analysis.luma, zone.frames.clone(), how, verdict);
    (scenes, scores)
}

fn list_of<'a>(
    lists: &'a mut BTreeMap<PathBuf, Vec<Scene>>,
    path: &Path,
    frames: usize,
) -> Result<&'a [Scene]> {
    if !lists.contains_key(path) {
        let ranges = match scene_changes::read(path, frames)? {
            Some(ranges) => ranges,
            None => scenes_json::read_ranges(path, frames)?,
        };
        let scenes = ranges.into_iter().map(Scene::from).collect();
        lists.insert(path.to_path_buf(), scenes);
    }
    Ok(&lists[path])
}

/// The part of an external list that lies in `zone`, cut at its boundaries.
fn external_scenes(list: &[Scene], zone: &Zone, path: &Path, events: &Events) -> Result<Vec<Scene>> {
    let (start, end) = (zone.frames.start, zone.frames.end);
    let covered = list.first().zip(list.last()).is_some_and(|(a, b)| a.start <= start && b.end >= end);
    if !covered {
        bail!("{}: its scenes do not cover frames {start} to {end}", path.display());
    }
    let mut scenes = Vec::new();
    for (number, whole) in list.iter().enumerate() {
        let piece = Scene { start: whole.start.max(start), end: whole.end.min(end) };
        if piece.start >= piece.end {
            continue;
        }
        if piece != *whole && piece.frames() < SHORT_PIECE && !zone.settings.metric.enable {
            events.warn(format!(
                "scene {number} of {} is cut at the zone boundary, which leaves a scene of {} frames \
                 ({} to {}); move the zone or the scene",
                path.display(),
                piece.frames(),
                piece.start,
                piece.end
            ));
        }
        scenes.push(piece);
    }
    Ok(scenes)
}

#[cfg(test)]
#[path = "detect_tests.rs"]
mod tests;
