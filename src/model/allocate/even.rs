//! Every scene the same score.

use super::super::{Goal, qstep};
use super::{Allocation, Held, OutOfReach, Scene};

/// Halvings of the range of ln(damage), to less than one part in 10¹².
const HALVINGS: usize = 48;

/// Every scene as near to the goal's target as its choices allow.
pub fn even(scenes: &[Scene], goal: &Goal) -> Allocation {
    let damage = goal.distortion(goal.target);
    let chosen = chosen(scenes, damage);
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
    Allocation::new(scenes, goal, goal.target, &chosen, held)
}

/// The best score that all scenes may have in at most this many bytes, and what it
/// gives them. The goal's target does not count.
pub fn even_of_size(scenes: &[Scene], goal: &Goal, bytes: f64) -> Result<Allocation, OutOfReach> {
    let of = |pick: fn(&Scene) -> usize| scenes.iter().map(|s| s.choices[pick(s)].bytes.value).sum::<f64>();
    OutOfReach::check(bytes, of(Scene::coarsest), of(|_| 0))?;
    let damages = || scenes.iter().flat_map(|scene| &scene.choices).map(|choice| choice.damage.value.ln());
    let (mut low, mut high) = (damages().fold(f64::MAX, f64::min), damages().fold(f64::MIN, f64::max));
    let fits = |ln: f64| {
        let total: f64 =
            scenes.iter().zip(chosen(scenes, ln.exp())).map(|(s, i)| s.choices[i].bytes.value).sum();
        total <= bytes * (1.0 + OutOfReach::SLACK)
    };
    // At its coarsest it fits, as was checked; the rounding of exp must not undo that.
    high += f64::EPSILON * high.abs().max(1.0);
    if fits(low) {
        high = low;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(even(scenes, &Goal { target: goal.score(high.exp()), ..*goal }))
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
