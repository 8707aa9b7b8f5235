//! Another target, pooling or size for scenes that were boosted, from what the
//! boost left in its work folder: nothing is opened, encoded or measured.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

use super::OnSceneFailure;
use super::boost::{roi_folder, targets_of};
use super::changeable;
use super::curves::{Curves, Known};
use super::encoding::Encoding;
use super::finish::{Finisher, SceneOutcome};
use super::outlook::{Outlook, choices};
use super::plan::{PlannedScene, plan};
use super::store::{self, ANALYSIS};
use crate::analysis::Analysis;
use crate::character::SceneMasks;
use crate::formats::scenes_json;
use crate::model::allocate::{self, Allocation, OutOfReach};
use crate::model::{Goal, round_crf};
use crate::output::sidecar::{Made, Sidecar};
use crate::scenes::Scene;
use crate::settings::{Resolved, Typed};
use crate::support::events::{Event, Events};
use crate::support::units::show_bytes;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// The work folder of the boost.
    pub folder: PathBuf,
    /// The scenes file to write; `None`: the one that the boost wrote.
    pub output: Option<PathBuf>,
    /// Flags on top of the settings of the boost.
    pub typed: Vec<Typed>,
    /// Bytes of the video, instead of a target.
    pub size: Option<u64>,
    pub by: By,
    /// No scene may score worse, with [`By::Slope`].
    pub floor: Option<f64>,
}

/// Which scene gets how many bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumMessage, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum By {
    /// Every scene the same score.
    Even,
    /// The least damage for the bits: scenes that gain more from them get more.
    Slope,
}

/// What came of it.
#[derive(Debug)]
pub struct Retargeted {
    pub output: PathBuf,
    pub scenes: usize,
    pub frames: usize,
    /// What every scene is to score (`even`), or the whole (`slope`).
    pub target: f64,
    /// What either way would give, or why it cannot be.
    pub even: Result<Outlook>,
    pub slope: Result<Outlook>,
}

/// A predicted score this far below the target counts as missed, as a share of the
/// damage that is wanted.
const NEAR: f64 = 0.05;

/// Rewrites the scenes file as `request` says.
///
/// # Errors
/// When the work folder holds no finished boost, the settings need other
/// measurements, or no allocation has the wanted size.
pub fn run(request: &Request, events: &Events) -> Result<Retargeted> {
    let curves = Curves::read(&request.folder)?;
    let mut settings = curves.settings.clone();
    changeable::check(&request.typed)?;
    settings.revise(&request.typed)?;
    let output = request.output.clone().unwrap_or_else(|| curves.output.clone());
    let zones = settings.zones(curves.frames, &mut Vec::new())?;
    let encoding = Encoding::recorded(&curves.encoding, &zones)?;
    let (key, analysis): (_, Analysis) = store::read(&request.folder, ANALYSIS)?;
    ensure!(
        key == curves.analysis,
        "the analysis in {} was made anew since the boost: boost with --resume first",
        request.folder.display()
    );
    let ranges: Vec<Scene> = curves.scenes.iter().map(|scene| scene.scene).collect();
    let planned = plan(&ranges, &zones);
    let known = curves.known(&planned, &encoding.probers(&planned, &analysis.luma)?, &analysis.luma)?;
    let masks = masks(&curves, request)?;
    let roi_folder = roi_folder(&output)?;
    let finisher = Finisher::new(&encoding, &analysis.luma, &masks, &roi_folder);
    let title = Title {
        planned: &planned,
        known: &known,
        finisher: &finisher,
        quarter_steps: encoding.have_quarter_steps(),
    };

    let solved = title.solved()?;
    let even = title.even(&solved, request.size);
    let slope = title.slope(&solved, request);
    let looks = |way: &Result<Way>| match way {
        Ok(way) => Ok(Outlook::of(&known, &title.finals(&way.crfs)?)),
        Err(error) => Err(anyhow!("{error:#}")),
    };
    let (even_looks, slope_looks) = (looks(&even), looks(&slope));
    let way = match request.by {
        By::Even => even?,
        By::Slope => slope?,
    };
    title.tell_what_misses(&way, request, events);
    title.write(&way, request, &output, (&curves, settings), events)?;
    Ok(Retargeted {
        output,
        scenes: planned.len(),
        frames: curves.frames,
        target: way.target,
        even: even_looks,
        slope: slope_looks,
    })
}

fn masks(curves: &Curves, request: &Request) -> Result<Vec<Option<SceneMasks>>> {
    let load = |key| {
        let path = store::masks_path(&request.folder, key);
        SceneMasks::load(&path).with_context(|| format!("{}: boost with --resume first", path.display()))
    };
    curves.scenes.iter().map(|scene| scene.masks.as_ref().map(load).transpose()).collect()
}

/// One way to choose the CRFs.
struct Way {
    target: f64,
    /// By scene, before rules and boosts; `None`: as its settings say.
    crfs: Vec<Option<f64>>,
    /// All scenes have their zone's target, and are solved by their model.
    by_model: bool,
}

struct Title<'a> {
    planned: &'a [PlannedScene<'a>],
    known: &'a [Option<Known>],
    finisher: &'a Finisher<'a>,
    quarter_steps: bool,
}

impl Title<'_> {
    /// The CRFs of the models.
    fn solved(&self) -> Result<Vec<Option<f64>>> {
        let solve = |(scene, known): (&PlannedScene<'_>, &Option<Known>)| {
            let Some(known) = known else { return Ok(None) };
            let answer = known.model.solve(&known.scored, &known.learned, known.presets);
            let answer = answer.with_context(|| format!("scene {}: too few probes", scene.index))?;
            Ok(Some(answer.crf))
        };
        self.planned.iter().zip(self.known).map(solve).collect()
    }

    /// The CRFs that are written; those of scenes without probes as their zone says.
    fn finals(&self, crfs: &[Option<f64>]) -> Result<Vec<f64>> {
        let last = |(scene, crf): (&PlannedScene<'_>, &Option<f64>)| {
            self.finisher.final_crf(scene, crf.unwrap_or(scene.settings.metric.base_crf))
        };
        self.planned.iter().zip(crfs).map(last).collect()
    }

    fn even(&self, solved: &[Option<f64>], size: Option<u64>) -> Result<Way> {
        let Some(size) = size else {
            let target = self.known.iter().flatten().next().map_or(0.0, |known| known.model.goal.target);
            return Ok(Way { target, crfs: solved.to_vec(), by_model: true });
        };
        let goal = self.goal("--size")?;
        let scenes = self.choices(solved)?;
        let found = allocate::even_of_size(&scenes, &goal, size as f64).map_err(out_of_reach)?;
        Ok(self.way(&found))
    }

    fn slope(&self, solved: &[Option<f64>], request: &Request) -> Result<Way> {
        let goal = self.goal("--allocation slope")?;
        let scenes = self.choices(solved)?;
        let found = match request.size {
            Some(size) => {
                allocate::slope_of_size(&scenes, &goal, request.floor, size as f64).map_err(out_of_reach)?
            }
            None => allocate::slope(&scenes, &goal, request.floor),
        };
        Ok(self.way(&found))
    }

    /// What all scenes aim at.
    fn goal(&self, option: &str) -> Result<Goal> {
        let mut goals = self.known.iter().flatten().map(|known| known.model.goal);
        let goal = goals.next().with_context(|| format!("{option}: no scene has probes"))?;
        let alike = |other: Goal| {
            other.higher_is_better == goal.higher_is_better && (other.target - goal.target).abs() < 1e-9
        };
        ensure!(
            goals.all(alike),
            "{option}: zones have targets of their own, which leave nothing to be shared out; give all the \
             same with --target and --set zones.NAME.metric.target=…"
        );
        Ok(goal)
    }

    /// What may be chosen for the scenes with probes.
    fn choices(&self, solved: &[Option<f64>]) -> Result<Vec<allocate::Scene>> {
        let step = if self.quarter_steps { 0.25 } else { 1.0 };
        let round = |crf: f64| round_crf(crf, self.quarter_steps);
        let mut scenes = Vec::new();
        for ((scene, known), solved) in self.planned.iter().zip(self.known).zip(solved) {
            let (Some(known), Some(solved)) = (known, solved) else { continue };
            // What rules and boosts do at the model's CRF, they do nearly so about it.
            let moved = self.finisher.final_crf(scene, *solved)? - round(*solved);
            let lowest = scene.settings.output.min_crf;
            let goal = &known.model.goal;
            let crfs = allocate::grid(goal.min_crf, goal.max_crf, step);
            scenes.extend(choices(known, &crfs, |crf| round((crf + moved).max(lowest))));
        }
        Ok(scenes)
    }

    fn way(&self, found: &Allocation) -> Way {
        let mut shares = found.scenes.iter().map(|share| share.crf);
        let crfs = self.known.iter().map(|known| known.as_ref().and_then(|_| shares.next())).collect();
        Way { target: found.target, crfs, by_model: false }
    }

    /// Scenes that stay below their target, or the floor, at the finest CRF that they may
    /// have, and how near they come; scenes that stay above it at the coarsest.
    fn tell_what_misses(&self, way: &Way, request: &Request, events: &Events) {
        let wanted = match (request.by, request.floor) {
            (By::Even, _) => None,
            (By::Slope, Some(floor)) => Some(floor),
            (By::Slope, None) => return,
        };
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for ((scene, known), crf) in self.planned.iter().zip(self.known).zip(&way.crfs) {
            let (Some(known), Some(crf)) = (known, crf) else { continue };
            let goal = Goal { target: wanted.unwrap_or(way.target_of(known)), ..known.model.goal };
            let predicted = known.damages.at(*crf).value;
            let score = goal.score_of(predicted);
            let damage = goal.damage();
            if *crf <= goal.min_crf && predicted > damage * (1.0 + NEAR) {
                below.push((scene.index, score));
            } else if *crf >= goal.max_crf && predicted < damage * (1.0 - NEAR) {
                above.push((scene.index, score));
            }
        }
        let all = self.known.iter().flatten().count();
        let what = if wanted.is_some() { "the floor" } else { "the target" };
        if !below.is_empty() {
            events.warn(format!(
                "{what} is out of reach for {} of {all} scenes: at metric.min_crf they are predicted to score {}",
                below.len(),
                listed(&below)
            ));
        }
        if !above.is_empty() && wanted.is_none() {
            events.note(format!(
                "{} of {all} scenes stay better than {what} at metric.max_crf: {}",
                above.len(),
                listed(&above)
            ));
        }
    }

    fn write(
        &self,
        way: &Way,
        request: &Request,
        output: &std::path::Path,
        (curves, mut settings): (&Curves, Resolved),
        events: &Events,
    ) -> Result<()> {
        let outcome = |(index, crf): (usize, &Option<f64>)| match (&self.known[index], crf) {
            (Some(known), Some(crf)) => {
                let (scored, unreliable) = (known.scored.clone(), known.unreliable);
                if way.by_model {
                    let (model, learned) = (known.model, known.learned.clone());
                    SceneOutcome::Probed { model, scored, unreliable, learned }
                } else {
                    SceneOutcome::Chosen { crf: *crf, scored, unreliable }
                }
            }
            _ if self.planned[index].settings.metric.enable => {
                SceneOutcome::Failed(anyhow!("scene {index}: its probes failed"))
            }
            _ => SceneOutcome::Unmeasured,
        };
        let outcomes = way.crfs.iter().enumerate().map(outcome).collect();
        let (entries, results) =
            self.finisher.finish(self.planned, outcomes, OnSceneFailure::Fallback, events)?;
        let mut targets = None;
        if !way.by_model {
            aim(&mut settings, way.target);
        }
        if request.by == By::Slope {
            let score = |(known, crf): (&Option<Known>, f64)| {
                known
                    .as_ref()
                    .map_or(way.target, |known| known.model.goal.score_of(known.damages.at(crf).value))
            };
            targets =
                Some(self.known.iter().zip(results.iter().map(|result| result.crf)).map(score).collect());
        }
        if way.by_model {
            targets = targets_of(self.planned, &results);
        }
        scenes_json::write(output, &entries)?;
        let made = Made {
            input: &curves.input,
            folder: &request.folder,
            scenes: entries.len(),
            frames: curves.frames,
            settings: &settings,
            targets,
        };
        Sidecar::write(output, made)?;
        events.emit(&Event::Result { path: output.display().to_string() });
        Ok(())
    }
}

impl Way {
    /// What a scene is to score: its own zone's target, where models solved.
    fn target_of(&self, known: &Known) -> f64 {
        if self.by_model { known.eased_target() } else { self.target }
    }
}

/// All scenes have one target, which a size has shown.
fn aim(settings: &mut Resolved, target: f64) {
    settings.each(|settings| settings.metric.target = target);
}

fn out_of_reach(error: OutOfReach) -> anyhow::Error {
    let show = |bytes: f64| show_bytes(bytes.round() as u64);
    let OutOfReach { wanted, smallest, largest } = error;
    let way_out = if wanted < smallest {
        "allow coarser scenes with --set metric.max_crf=… or a lower --floor"
    } else {
        "allow finer scenes with --set metric.min_crf=…"
    };
    anyhow!("--size {}: must be {} to {}; {way_out}", show(wanted), show(smallest), show(largest))
}

/// Scores from the lowest to the highest and the scenes' numbers.
fn listed(scenes: &[(usize, f64)]) -> String {
    let scores = || scenes.iter().map(|(_, score)| *score);
    let (low, high) = (scores().fold(f64::MAX, f64::min), scores().fold(f64::MIN, f64::max));
    let names: Vec<String> = scenes.iter().map(|(index, _)| index.to_string()).collect();
    format!("{low:.2} to {high:.2} (scenes {})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_out_of_reach_are_told_as_people_write_them() {
        let wanted = OutOfReach { wanted: 1e6, smallest: 4.0 * 1024.0 * 1024.0, largest: 9e6 };
        let error = out_of_reach(wanted).to_string();
        assert!(error.contains("must be 4 MiB to 8.6 MiB") && error.contains("max_crf"), "{error}");
    }
}
