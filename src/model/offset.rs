//! What the final encode does otherwise than the probes (spec 11).

use std::fmt;

use super::{Goal, Presets, Scored};
use crate::support::statistics::median;

/// What a scene scores at one CRF as a probe and as in the final encode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub crf: f64,
    /// Score of the probe.
    pub probe: f64,
    /// Score of the encode as the final one.
    pub final_: f64,
    /// How far this is from the nearest probe, ln of (quantiser step / the
    /// probe's); 0 where a probe was made at this very CRF.
    pub reach: f64,
}

/// Of calibrated scenes: ln of (damage of the final encode / damage of the probe).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ratios {
    measured: Vec<Ratio>,
    /// What an earlier title showed, in the place of what presets let expect.
    remembered: Option<Offset>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    ln: f64,
    /// See [`Pair`].
    reach: f64,
}

impl Ratio {
    /// Standard error, as that of the title's level where the title's slope is known.
    fn error(&self) -> f64 {
        SCENE.hypot(SLOPE * self.reach)
    }
}

/// ln of (damage of the final encode / damage of a probe), and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Offset {
    pub level: f64,
    /// Standard error of the level; scenes differ from it besides.
    pub error: f64,
}

/// A preset slower by one lessens the damage by this share at the same CRF, as a
/// rule that holds for nobody. Measured with SSIMULACRA2 from preset 7 to 5, two
/// steps: SVT-AV1-PSYEX 3.0.2-B -0.05 on Big Buck Bunny (-0.15 from 7 to 2 on live
/// action); SVT-AV1 4.2.0 -0.03 to +0.07, 1.4.1 -0.08 to +0.05 on drawn clips.
const BY_PRESET: f64 = -0.01;
/// How far an encoder and a title may be from that, a preset.
const UNSURE_BY_PRESET: f64 = 0.025;
/// How far a scene is from its title's level, its measurement included: those of
/// Big Buck Bunny differ by 0.02, shots of drawn clips by 0.05 and more.
pub(super) const SCENE: f64 = 0.06;
/// How far a scene's slope is from its title's, one standard deviation: what a
/// probe would score away from where it was made is known the less.
const SLOPE: f64 = 0.15;
/// How far the slope that is assumed for a title may be from the right one.
const OF_TITLE: f64 = 0.25;
/// A ratio further from the median than so many deviations is some accident's.
const ODD: f64 = 3.0;

impl Ratios {
    pub fn new(pairs: impl IntoIterator<Item = Pair>, goal: &Goal) -> Self {
        let ratio = |pair: Pair| Ratio { ln: pair.ratio(goal), reach: pair.reach };
        Self { measured: pairs.into_iter().map(ratio).collect(), remembered: None }
    }

    /// The same after an earlier title that showed `remembered`.
    #[must_use]
    pub fn after(self, remembered: Option<Offset>) -> Self {
        Self { remembered, ..self }
    }

    /// Whether an earlier title showed something.
    pub fn remembers(&self) -> bool {
        self.remembered.is_some()
    }

    /// Calibrated scenes.
    pub fn count(&self) -> usize {
        self.measured.len()
    }

    /// The level that they show with what was assumed before.
    ///
    /// Where a final encode is compared with a probe made elsewhere, a wrong slope
    /// of the title looks like an offset that grows with the distance. So
    /// ratio = level + slope error · reach is fitted, a regression with normal priors for both.
    pub fn with(&self, prior: Offset) -> Offset {
        let prior = self.remembered.unwrap_or(prior);
        let Some(middle) = median(self.measured.iter().map(|ratio| ratio.ln).collect()) else { return prior };
        // The normal equations: weights, their products with the reach, right-hand sides.
        let mut ones = prior.error.powi(-2);
        let (mut crossed, mut squares) = (0.0, OF_TITLE.powi(-2));
        let (mut level, mut slope) = (ones * prior.level, 0.0);
        for ratio in &self.measured {
            let (error, reach) = (ratio.error(), ratio.reach);
            // An odd scene counts as one at the edge of what is believed.
            let ln = ratio.ln.clamp(middle - ODD * error, middle + ODD * error);
            let weight = error.powi(-2);
            ones += weight;
            crossed += weight * reach;
            squares += weight * reach * reach;
            level += weight * ln;
            slope += weight * reach * ln;
        }
        let determinant = ones * squares - crossed * crossed;
        Offset {
            level: (level * squares - slope * crossed) / determinant,
            error: (squares / determinant).sqrt(),
        }
    }

    /// How far scenes are from that level, one standard deviation. What is usual counts
    /// as one scene, and what the slope's error can explain is none of it.
    pub fn spread(&self, prior: Offset) -> f64 {
        let level = self.with(prior).level;
        let excess = |ratio: &Ratio| ((ratio.ln - level).powi(2) - (SLOPE * ratio.reach).powi(2)).max(0.0);
        let squares: f64 = self.measured.iter().map(excess).sum();
        // The level is one of what they were fitted by.
        ((SCENE * SCENE + squares) / self.measured.len().max(1) as f64).sqrt()
    }

    /// The level that they show by themselves; `None` without any.
    pub fn alone(&self) -> Option<Offset> {
        (!self.measured.is_empty()).then(|| self.with(Offset { level: 0.0, error: 1e3 }))
    }
}

impl Pair {
    /// ln of (damage of the final encode / damage of the probe).
    pub(super) fn ratio(&self, goal: &Goal) -> f64 {
        (goal.distortion(self.final_) / goal.distortion(self.probe)).ln()
    }
}

impl Offset {
    /// What is to be expected of presets that differ so.
    pub fn prior(presets: Presets) -> Self {
        let steps = f64::from(presets.probing - presets.final_);
        Self { level: BY_PRESET * steps, error: 0.01 + UNSURE_BY_PRESET * steps.abs() }
    }

    /// The factor by which the final encode's damage differs from a probe's.
    pub fn factor(&self) -> f64 {
        self.level.exp()
    }

    /// What the final encode would score where a probe scored this.
    pub fn corrected(&self, probe: Scored, goal: &Goal) -> Scored {
        Scored { score: goal.score(goal.distortion(probe.score) * self.factor()), ..probe }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = ((self.level - self.error).exp(), (self.level + self.error).exp());
        write!(
            f,
            "the final encode has {:.3} times the damage of a probe ({low:.3} to {high:.3})",
            self.factor()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal =
        Goal { target: 1.0, higher_is_better: false, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

    fn ratios(factors: &[f64]) -> Ratios {
        Ratios::new(
            factors.iter().map(|factor| Pair { crf: 24.0, probe: 1.2, final_: 1.2 * factor, reach: 0.0 }),
            &GOAL,
        )
    }

    #[test]
    fn scenes_are_as_far_apart_as_they_show_and_a_wrong_slope_is_none_of_it() {
        let prior = Offset { level: 0.0, error: 1e3 };
        let of = |pairs: &[(f64, f64)]| {
            let measured = pairs.iter().map(|&(ln, reach)| Ratio { ln, reach }).collect();
            Ratios { measured, remembered: None }.spread(prior)
        };
        // Nothing shown, or by one, which is its own level: what is usual.
        assert!((of(&[]) - 0.06).abs() < 1e-6 && (of(&[(0.3, 0.0)]) - 0.06).abs() < 1e-6);
        // Four of one level: 0.06 / 2.
        assert!((of(&[(0.1, 0.0); 4]) - 0.03).abs() < 1e-6);
        // ±0.1: √((0.0036 + 4 · 0.01) / 4).
        let found = of(&[(0.1, 0.0), (-0.1, 0.0), (0.1, 0.0), (-0.1, 0.0)]);
        assert!((found - 0.0109_f64.sqrt()).abs() < 1e-6, "{found}");
        // The same a whole ln away from their probes: less than 0.15 · 1.
        let found = of(&[(0.1, 1.0), (-0.1, 1.0), (0.1, -1.0), (-0.1, -1.0)]);
        assert!((found - 0.03).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_same_factor_everywhere_is_found_and_applied_to_either_scale() {
        let offset = ratios(&[0.9, 0.9, 0.9]).alone().unwrap();
        assert!((offset.factor() - 0.9).abs() < 1e-9, "{offset}");
        assert!((offset.corrected(Scored::new(30.0, 2.0), &GOAL).score - 1.8).abs() < 1e-8);
        // 20 below the perfect 100 becomes 18 below.
        let ssimu2 = Goal { higher_is_better: true, target: 80.0, ..GOAL };
        assert!((offset.corrected(Scored::new(24.0, 80.0), &ssimu2).score - 82.0).abs() < 1e-7);
        assert_eq!(Ratios::default().alone(), None);
    }

    #[test]
    fn a_wrong_slope_is_not_taken_for_an_offset() {
        // Final encodes at, below and above their probes: the ratio is 0.05 + 0.2 · reach, as if
        // the slope of the title were 0.2 more than was assumed.
        let pair = |reach: f64| {
            let final_ = 1.2 * (0.05 + 0.2 * reach).exp();
            Pair { crf: 24.0, probe: 1.2, final_, reach }
        };
        let pairs: Vec<Pair> = [0.0, 0.5, 0.7, -0.5, 0.6].map(pair).to_vec();
        let offset = Ratios::new(pairs.clone(), &GOAL).alone().unwrap();
        let mean = pairs.iter().map(|pair| pair.ratio(&GOAL)).sum::<f64>() / 5.0;
        assert!((mean - 0.102).abs() < 1e-9);
        // The prior of the slope, 0 ± 0.25, keeps a little of it.
        assert!((offset.level - 0.05).abs() < 0.01, "{offset:?}");
        // Of one comparison far away, little is known.
        let far = Ratios::new([pair(0.7)], &GOAL).alone().unwrap();
        let expected = (SCENE.powi(2) + (0.15_f64.powi(2) + 0.25_f64.powi(2)) * 0.49).sqrt();
        assert!((far.error - expected).abs() < 1e-3, "{far:?} {expected}");
    }

    #[test]
    fn what_is_measured_is_weighed_against_what_was_assumed() {
        let prior = Offset { level: -0.1, error: SCENE };
        assert_eq!(Ratios::default().with(prior).level.to_bits(), (-0.1_f64).to_bits());
        // One scene weighs as much as this prior; three weigh three times as much.
        let one = ratios(&[1.0]).with(prior);
        assert!((one.level + 0.05).abs() < 1e-12 && (one.error - SCENE / 2.0_f64.sqrt()).abs() < 1e-12);
        assert!((ratios(&[1.0, 1.0, 1.0]).with(prior).level + 0.025).abs() < 1e-12);
    }

    #[test]
    fn one_odd_scene_among_several_moves_the_offset_a_little() {
        let offset = ratios(&[0.95, 0.95, 1.6, 0.95]).alone().unwrap();
        // The odd one counts as 3 · 0.06 above the median: a quarter of that.
        assert!((offset.level - (0.95_f64.ln() + 0.045)).abs() < 1e-6, "{offset}");
    }

    #[test]
    fn slower_presets_are_expected_to_be_better() {
        let expected = Offset::prior(Presets { probing: 7, final_: 2 });
        assert!((expected.level + 0.05).abs() < 1e-12 && (expected.error - 0.135).abs() < 1e-12);
        let same = Offset::prior(Presets { probing: 7, final_: 7 });
        assert_eq!(same.factor().to_bits(), 1.0_f64.to_bits());
    }
}
