//! From statistics and verdicts to one score a frame (spec 01).

use std::ops::Range;

use crate::analysis::LumaStats;

/// Added to the difference beside a flat frame: as good as a cut, whoever looks.
const FLAT_BONUS: f64 = 1.15;

/// Brightest and darkest 8-bit code values between which a picture shows
/// something, for limited and full range.
const LIMITED: (f64, f64) = (19.875, 231.125);
const FULL: (f64, f64) = (3.875, 251.125);

/// The scores of the frames of one zone. `verdict` is what the detectors say of
/// a frame of the clip, 0 (no cut) to 1.5; `full_range` is the clip's own unless given.
pub fn scores(
    luma: &LumaStats,
    zone: Range<usize>,
    full_range: Option<bool>,
    verdict: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let (dark, bright) = if full_range.unwrap_or(luma.full_range) { FULL } else { LIMITED };
    let scale = f64::from(1u32 << (luma.bits - 8));
    let flat = |n: usize| f64::from(luma.min[n]) > bright * scale || f64::from(luma.max[n]) < dark * scale;
    zone.clone()
        .map(|n| {
            let after_flat = n == zone.start || flat(n - 1);
            luma.diff[n] + if after_flat || flat(n) { FLAT_BONUS } else { verdict(n) }
        })
        .collect()
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
        let found = scores(&luma, 0..6, None, |n| if n == 3 { 1.0 } else { 0.0 });
        close(&found, &[1.15, 1.25, 1.35, 1.3, 1.55, 1.2]);
        // In full range neither is flat: 3.875 · 4 = 15.5, 251.125 · 4 = 1004.5.
        let found = scores(&luma, 1..6, Some(true), |_| 0.5);
        close(&found, &[1.25, 0.7, 0.8, 0.9, 0.55]);
    }
}
