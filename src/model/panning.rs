//! Panning rejection (spec 10, section 5): where everything moves, the eye sees
//! less of a frame, and less is asked of it.

use super::{Goal, Lessons, Model, Scored, reference};
use crate::support::statistics::percentile;

/// Of the luma differences of a scene's frames: nearly all of them are as large.
const STILL_SHARE: f64 = 25.0;

/// How much a scene pans by that percentile; linear in between, constant beyond.
/// Faster than any pan is not panned at, but busy.
const WEIGHT: [(f64, f64); 4] = [(0.004, 0.0), (0.010, 1.0), (0.028, 1.0), (0.034, 0.4)];

/// Shares of what lies between the scores of two probes by which the target
/// moves, where the second is the coarser one, and where it is the finer one.
const COARSER_SHARE: f64 = 0.20;
const FINER_SHARE: f64 = 0.40;

/// How much a scene pans, 0 to 1. `diff` are the luma differences of all its
/// frames to the ones before, the first frame's among them.
pub fn weight(diff: &[f64]) -> f64 {
    let mut sorted = diff.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() {
        return 0.0;
    }
    let p = percentile(&sorted, STILL_SHARE);
    let after = WEIGHT.partition_point(|&(at, _)| at < p);
    match after {
        0 => WEIGHT[0].1,
        _ if after == WEIGHT.len() => WEIGHT[WEIGHT.len() - 1].1,
        _ => {
            let ((x0, y0), (x1, y1)) = (WEIGHT[after - 1], WEIGHT[after]);
            y0 + (y1 - y0) * (p - x0) / (x1 - x0)
        }
    }
}

impl Model {
    /// The model of a scene that is probed: its target as far from the zone's as
    /// [`Model::ease`] asks, by what lies between its scores at the CRFs that the
    /// reference probes it at. Without two such scores, or where they contradict
    /// each other, the target stays.
    #[must_use]
    pub fn eased(&self, scored: &[Scored], lessons: Option<&Lessons>) -> Self {
        let moved = if self.ease > 0.0 { self.moved(scored, lessons) } else { None };
        let target = moved.unwrap_or(self.goal.target);
        Self { goal: Goal { target, ..self.goal }, ease: 0.0, ..*self }
    }

    fn moved(&self, scored: &[Scored], lessons: Option<&Lessons>) -> Option<f64> {
        let goal = &self.goal;
        let (first, second) = match *scored {
            [first, second] if !self.learns() => (first, second),
            _ => {
                let at = |crf| Some(Scored::new(crf, self.expected(scored, lessons, crf)?));
                let first = at(reference::FIRST_CRF)?;
                (first, at(reference::second_crf(first.score, goal))?)
            }
        };
        let (share, coarser, finer) = if second.crf > first.crf {
            (COARSER_SHARE, second, first)
        } else {
            (FINER_SHARE, first, second)
        };
        let worse = coarser.score - finer.score;
        let in_order = goal.quality(coarser.score) < goal.quality(finer.score);
        in_order.then_some(goal.target + share * self.ease * worse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Adaptive, Kind, Slopes, qstep};

    const GOAL: Goal =
        Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

    #[test]
    fn scenes_pan_between_still_and_busy() {
        // A quarter of the way along five values is the second one.
        let of = |p: f64| weight(&[p / 2.0, p, 2.0 * p, 3.0 * p, 9.0 * p]);
        for (p, wanted) in [(0.001, 0.0), (0.007, 0.5), (0.02, 1.0), (0.031, 0.7), (0.2, 0.4)] {
            assert!((of(p) - wanted).abs() < 1e-9, "{p}: {}", of(p));
        }
        assert!(weight(&[]).abs() < 1e-12);
    }

    #[test]
    fn a_scene_with_one_probe_is_eased_by_its_curve_and_one_that_contradicts_itself_is_not() {
        let adaptive =
            Adaptive { first_crf: None, tolerance: 1.0, quarter_steps: true, expected_factor: 1.0 };
        let model = Model { goal: GOAL, kind: Kind::Adaptive(adaptive), ease: 1.5 };
        // One probe, at CRF 24: 15 of damage; along the prior slope it grows to CRF 40.
        let probe = [Scored::new(24.0, 85.0)];
        let steps = qstep::from_crf(40.0) / qstep::from_crf(24.0);
        let coarse = 100.0 - 15.0 * steps.powf(Slopes::prior().typical);
        let wanted = 80.0 + 0.20 * 1.5 * (coarse - 85.0);
        assert!((model.eased(&probe, None).goal.target - wanted).abs() < 1e-6);
        let backwards = [Scored::new(24.0, 85.0), Scored::new(40.0, 86.0)];
        let reference = Model { kind: Kind::Reference, ..model };
        assert!((reference.eased(&backwards, None).goal.target - 80.0).abs() < 1e-12);
        assert_eq!(model.eased(&[], None).goal, GOAL);
    }
}
