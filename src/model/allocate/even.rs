//! Every scene the same score.

use super::super::{Goal, qstep};
use super::{Allocation, Held, OutOfReach, Scene};

/// Halvings of the range of ln(damage), to less than one part in 10¹².
const HALVINGS: usize = 48;

/// Every scene as near to the goal's target as its choices allow.
pub fn even(scenes: &[Scene], goal: &Goal) -> Allocation {
    allocate(scenes, goal, goal.target, goal.distortion(goal.target))
}

/// The best score that all scenes may have in at most this many bytes, and what it
/// gives them. The goal's target does not count.
pub fn even_of_size(scenes: &[Scene], goal: &Goal, bytes: f64) -> Result<Allocation, OutOfReach> {
    let damage = damage_of_size(scenes, bytes)?;
    Ok(allocate(scenes, goal, goal.score(damage), damage))
}

/// `damage` is that of `target`: given apart, because the way to a score and back may
/// end on the other side of a rounding.
fn allocate(scenes: &[Scene], goal: &Goal, target: f64, damage: f64) -> Allocation {
    let held = |scene: usize, _| {
        let choices = &scenes[scene].choices;
        if choices[0].damage.value > damage {
            Some(Held::Finest)
        } else if choices[choices.len() - 1].damage.value < damage {
            Some(Held::Coarsest)
        } else {
            None
        }
    };
    Allocation::new(scenes, goal, target, &chosen(scenes, damage), held)
}

/// The least damage that all scenes may have in at most this many bytes.
pub(super) fn damage_of_size(scenes: &[Scene], bytes: f64) -> Result<f64, OutOfReach> {
    let total = |chosen: &[usize]| -> f64 {
        scenes.iter().zip(chosen).map(|(scene, &choice)| scene.choices[choice].bytes.value).sum()
    };
    let coarsest: Vec<usize> = scenes.iter().map(Scene::coarsest).collect();
    OutOfReach::check(bytes, total(&coarsest), total(&vec![0; scenes.len()]))?;
    let fits = |ln: f64| total(&chosen(scenes, ln.exp())) <= bytes * (1.0 + OutOfReach::SLACK);
    let damages = || scenes.iter().flat_map(|scene| &scene.choices).map(|choice| choice.damage.value.ln());
    // A little beyond either end, where rounding cannot keep a scene from its outermost choice.
    let mut low = damages().fold(f64::MAX, f64::min) - OutOfReach::SLACK;
    let mut high = damages().fold(f64::MIN, f64::max) + OutOfReach::SLACK;
    if fits(low) {
        return Ok(low.exp());
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high.exp())
}

/// The choice of each scene that is nearest to this damage.
pub(super) fn chosen(scenes: &[Scene], damage: f64) -> Vec<usize> {
    scenes.iter().map(|scene| nearest(scene, damage)).collect()
}

/// ln(damage) is a line over ln(qstep) between two choices; the CRF at which it is
/// `damage` is rounded to the nearer of the two, ties to the coarser.
fn nearest(scene: &Scene, damage: f64) -> usize {
    let choices = &scene.choices;
    let next = choices.partition_point(|choice| choice.damage.value < damage);
    if next == 0 || next == choices.len() {
        return next.min(scene.coarsest());
    }
    let (finer, coarser) = (&choices[next - 1], &choices[next]);
    let part = (damage / finer.damage.value).ln() / (coarser.damage.value / finer.damage.value).ln();
    let (a, b) = (qstep::from_crf(finer.crf).ln(), qstep::from_crf(coarser.crf).ln());
    let crf = qstep::to_crf((a + part * (b - a)).exp());
    if crf < f64::midpoint(finer.crf, coarser.crf) { next - 1 } else { next }
}
