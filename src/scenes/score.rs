//! From statistics and verdicts to one score a frame (spec 01, spec 10).

use std::ops::Range;

use crate::analysis::LumaStats;
use crate::settings::SplitRules;

/// Brightest and darkest 8-bit code values between which a picture shows
/// something, for limited and full range.
const LIMITED: (f64, f64) = (19.875, 231.125);
const FULL: (f64, f64) = (3.875, 251.125);

/// How differences become scores by [`SplitRules::ExtraSplit`]: beside a flat
/// frame this is added, as good as a cut, whoever looks.
const FLAT_BONUS: f64 = 1.15;

/// The same by [`SplitRules::Progressive`]: weight of the jump, and what is added.
const FLAT_WEIGHT: f64 = 1.70;
const PROGRESSIVE_FLAT_BONUS: f64 = 1.24;
/// From each of these differences on a frame does not pass for a still one,
/// however little it differs from the difference before.
const MOVING: [f64; 2] = [0.0012, 0.0042];

/// The scores of the frames of one zone. `verdict` is what the detectors say of
/// a frame of the clip, 0 (no cut) to 1.5; `full_range` is the clip's own unless given.
pub fn scores(
    luma: &LumaStats,
    zone: Range<usize>,
    (rules, full_range): (SplitRules, Option<bool>),
    verdict: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let (dark, bright) = if full_range.unwrap_or(luma.full_range) { FULL } else { LIMITED };
    let scale = f64::from(1u32 << (luma.bits - 8));
    let flat = |n: usize| f64::from(luma.min[n]) > bright * scale || f64::from(luma.max[n]) < dark * scale;
    let by_flat = |n: usize| n == zone.start || flat(n - 1) || flat(n);
    let score = |n: usize| match rules {
        SplitRules::ExtraSplit => luma.diff[n] + if by_flat(n) { FLAT_BONUS } else { verdict(n) },
        SplitRules::Progressive => {
            let before = if n == zone.start { 0.0 } else { luma.diff[n - 1] };
            let jump = jump(luma.diff[n], before);
            if by_flat(n) { FLAT_WEIGHT * jump + PROGRESSIVE_FLAT_BONUS } else { jump + verdict(n) }
        }
    };
    zone.clone().map(score).collect()
}

/// By how much a frame differs more than the one `before` it: a cut keeps nearly
/// all of its difference, a fade, whose frames all differ, about half.
fn jump(difference: f64, before: f64) -> f64 {
    let rise = (difference - before).max(difference / 2.0);
    MOVING.into_iter().fold(rise, |rise, least| if difference >= least { rise.max(least) } else { rise })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        }
    }

    #[test]
    fn frames_at_and_after_a_flat_one_score_like_a_cut() {
        let luma = LumaStats {
            bits: 10,
            full_range: false,
            average: vec![0.5; 6],
            //        picture, black, picture, picture, white, almost white
            min: vec![100, 64, 100, 100, 925, 924],
            max: vec![900, 79, 900, 900, 940, 940],
            diff: vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.05],
        };
        // 19.875 · 4 = 79.5 and 231.125 · 4 = 924.5.
        let found = scores(&luma, 0..6, (SplitRules::ExtraSplit, None), |n| if n == 3 { 1.0 } else { 0.0 });
        close(&found, &[1.15, 1.25, 1.35, 1.3, 1.55, 1.2]);
        // In full range neither is flat: 3.875 · 4 = 15.5, 251.125 · 4 = 1004.5.
        let found = scores(&luma, 1..6, (SplitRules::ExtraSplit, Some(true)), |_| 0.5);
        close(&found, &[1.25, 0.7, 0.8, 0.9, 0.55]);
    }
}
