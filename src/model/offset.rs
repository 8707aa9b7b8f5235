//! What the final encode does otherwise than the probes, measured (spec 02,
//! *Calibration*).

use std::fmt;

use super::{Goal, Scored, qstep};
use crate::support::statistics::median;

/// The same frames of a scene, encoded at the same CRF as a probe and as in the
/// final encode.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub crf: f64,
    /// Scores of each frame in the probe and in the encode as the final one.
    pub frames: Vec<(f64, f64)>,
}

impl Pair {
    /// ln of the ratio of the distortions: the median over the frames. Pooled
    /// scores punish the worst frames, and these differ from encode to encode by
    /// more than presets do.
    fn ratio(&self, goal: &Goal) -> Option<f64> {
        let of_frame =
            |&(probe, final_): &(f64, f64)| (goal.distortion(final_) / goal.distortion(probe)).ln();
        median(self.frames.iter().map(of_frame).collect())
    }
}

/// ln of (distortion of the final encode / distortion of a probe), a straight
/// line over ln qstep, level beyond the steps that were measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offset {
    /// At `centre`.
    level: f64,
    slope: f64,
    centre: f64,
    /// ln qstep of the finest and the coarsest pair.
    low: f64,
    high: f64,
}

/// The slope of the offset comes from differences within scenes, which are small
/// and noisy (standard deviation about 0.06 on Big Buck Bunny, where slopes of
/// more than 0.1 would surprise): it is drawn towards 0 as if this much had been
/// seen to be level. The ratio of the two variances; unit: (ln qstep)².
const SHRINKAGE: f64 = 0.36;

/// A damage that rises more slowly than the slowest scene's would make the sum of
/// curve and offset fall.
const STEEPEST: f64 = 0.1;

impl Offset {
    /// From the pairs of each calibrated scene; `None` without any.
    pub fn measure<'a>(scenes: impl IntoIterator<Item = &'a [Pair]>, goal: &Goal) -> Option<Self> {
        let points = |pairs: &[Pair]| -> Vec<(f64, f64)> {
            pairs.iter().filter_map(|p| Some((qstep::from_crf(p.crf).ln(), p.ratio(goal)?))).collect()
        };
        let scenes: Vec<_> = scenes.into_iter().map(points).filter(|points| !points.is_empty()).collect();
        let xs = || scenes.iter().flatten().map(|(x, _)| *x);
        let centre = mean(xs())?;
        let (mut xx, mut xy) = (0.0, 0.0);
        let mut means = Vec::with_capacity(scenes.len());
        for points in &scenes {
            let (mx, my) = (mean(points.iter().map(|p| p.0))?, mean(points.iter().map(|p| p.1))?);
            xx += points.iter().map(|(x, _)| (x - mx).powi(2)).sum::<f64>();
            xy += points.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
            means.push((mx, my));
        }
        let slope = (xy / (xx + SHRINKAGE)).clamp(-STEEPEST, STEEPEST);
        let level = median(means.iter().map(|(mx, my)| my - slope * (mx - centre)).collect())?;
        let (low, high) = xs().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        Some(Self { level, slope, centre, low, high })
    }

    /// The offset at `x`, the ln of a quantiser step.
    pub(super) fn at(&self, x: f64) -> f64 {
        self.level + self.slope * (x.clamp(self.low, self.high) - self.centre)
    }

    /// The factor by which the final encode's distortion differs from a probe's.
    pub fn factor(&self, crf: f64) -> f64 {
        self.at(qstep::from_crf(crf).ln()).exp()
    }

    /// What the final encode would score where a probe scored this.
    pub fn corrected(&self, probe: Scored, goal: &Goal) -> Scored {
        let distortion = goal.distortion(probe.score) * self.factor(probe.crf);
        Scored { score: goal.score(distortion), ..probe }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |x: f64| (qstep::to_crf(x.exp()), self.at(x).exp());
        let ((fine, first), (coarse, last)) = (at(self.low), at(self.high));
        write!(f, "the final encode has {first:.2} times the damage of a probe at CRF {fine:.0}, ")?;
        write!(f, "{last:.2} times at CRF {coarse:.0}")
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal =
        Goal { target: 1.0, higher_is_better: false, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

    fn pair(crf: f64, probe: f64, factor: f64) -> Pair {
        Pair { crf, frames: vec![(probe, probe * factor); 3] }
    }

    #[test]
    fn one_odd_frame_of_a_pair_does_not_move_it() {
        let frames = vec![(1.0, 0.9), (2.0, 1.8), (1.5, 4.5)];
        let offset = Offset::measure([&[Pair { crf: 24.0, frames }][..]], &GOAL).unwrap();
        assert!((offset.factor(24.0) - 0.9).abs() < 1e-12);
        assert_eq!(Offset::measure([&[Pair { crf: 24.0, frames: Vec::new() }][..]], &GOAL), None);
    }

    #[test]
    fn one_factor_everywhere_is_found_and_applied_to_either_scale() {
        let scenes =
            [[pair(24.0, 1.0, 0.9), pair(40.0, 1.4, 0.9)], [pair(24.0, 0.8, 0.9), pair(11.0, 0.5, 0.9)]];
        let offset = Offset::measure(scenes.iter().map(|s| &s[..]), &GOAL).unwrap();
        for crf in [8.0, 11.0, 30.0, 40.0, 50.0] {
            assert!((offset.factor(crf) - 0.9).abs() < 1e-12, "{crf}");
            let corrected = offset.corrected(Scored { crf, score: 2.0 }, &GOAL);
            assert!((corrected.score - 1.8).abs() < 1e-12);
        }
        // 20 below the perfect 100 becomes 18 below.
        let ssimu2 = Goal { higher_is_better: true, target: 80.0, ..GOAL };
        assert!((offset.corrected(Scored { crf: 24.0, score: 80.0 }, &ssimu2).score - 82.0).abs() < 1e-12);
    }

    #[test]
    fn a_trend_within_a_scene_is_followed_in_part_and_not_beyond_its_ends() {
        // From CRF 24 to 40 is ln(891 / 343) = 0.9546; a trend of 0.1 over it.
        let (run, rise) = ((891.0_f64 / 343.0).ln(), 0.1_f64);
        let scene = [pair(24.0, 1.0, 1.0), pair(40.0, 1.4, rise.exp())];
        let offset = Offset::measure([&scene[..]], &GOAL).unwrap();
        // Σ(x−x̄)² = run²/2 = 0.4556, so 0.4556 / (0.4556 + 0.36) = 0.5587 of it.
        let slope = 0.5587 * rise / run;
        assert!((offset.factor(40.0).ln() - offset.factor(24.0).ln() - slope * run).abs() < 1e-4);
        assert!((offset.factor(40.0).ln() + offset.factor(24.0).ln() - rise).abs() < 1e-12);
        assert!((offset.factor(50.0) - offset.factor(40.0)).abs() < 1e-15);
        assert!((offset.factor(8.0) - offset.factor(24.0)).abs() < 1e-15);
    }

    #[test]
    fn one_odd_scene_among_several_does_not_move_the_offset() {
        let usual = [pair(24.0, 1.0, 0.95), pair(30.0, 1.1, 0.95)];
        let odd = [pair(24.0, 1.0, 1.6), pair(30.0, 1.1, 1.6)];
        let offset = Offset::measure([&usual[..], &odd[..], &usual[..]], &GOAL).unwrap();
        assert!((offset.factor(27.0) - 0.95).abs() < 1e-12);
        assert_eq!(Offset::measure([&[][..]], &GOAL), None);
    }
}
