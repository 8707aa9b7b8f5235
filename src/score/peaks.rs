//! Peaks of the smoothed luma difference (spec 10, section 2, step 1).
//!
//! On twos and threes, and in grain, single differences tell little: where the
//! slow part of their course has its peaks, most moves.

use std::f64::consts::PI;

/// At least so many coefficients are kept, and one of five of them.
const LEAST_KEPT: usize = 7;
const KEPT_OF: usize = 5;
/// Less prominence than this is rounding noise.
const NOISE: f64 = 1e-9;

/// The peaks of the smoothed course of `diff`: index and prominence, by falling
/// prominence, of equals the later first. The first and the last entry are none.
pub fn peaks(diff: &[f64]) -> Vec<(usize, f64)> {
    let smooth = smoothed(diff);
    let mut peaks: Vec<(usize, f64)> = maxima(&smooth)
        .into_iter()
        .map(|at| (at, prominence(&smooth, at)))
        .filter(|(_, prominence)| *prominence >= NOISE)
        .collect();
    peaks.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    peaks
}

/// `values` without the quick part of their course: the first coefficients of
/// their discrete cosine transform (DCT-II), transformed back.
pub fn smoothed(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let kept = n.div_ceil(KEPT_OF).max(LEAST_KEPT).min(n);
    // cos(π·k·(2j + 1)/(2n)) repeats after 4n; k·(2j + 1) is below 2n².
    let cosines: Vec<f64> = (0..4 * n).map(|i| (PI * i as f64 / (2 * n) as f64).cos()).collect();
    let cosine = |k: usize, j: usize| cosines[k * (2 * j + 1) % (4 * n)];
    let coefficients: Vec<f64> =
        (0..kept).map(|k| values.iter().enumerate().map(|(j, x)| x * cosine(k, j)).sum()).collect();
    let back = |j: usize| {
        let terms = coefficients.iter().enumerate().skip(1).map(|(k, c)| 2.0 * c * cosine(k, j));
        (coefficients[0] + terms.sum::<f64>()) / n as f64
    };
    (0..n).map(back).collect()
}

/// Points above both neighbours; a plateau that falls off on both sides counts at its middle.
fn maxima(values: &[f64]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut start = 1;
    while start + 1 < values.len() {
        let mut end = start;
        while end + 1 < values.len() && values[end + 1].total_cmp(&values[start]).is_eq() {
            end += 1;
        }
        let falls_off = end + 1 < values.len() && values[end + 1] < values[start];
        if values[start - 1] < values[start] && falls_off {
            found.push(usize::midpoint(start, end));
        }
        start = end + 1;
    }
    found
}

/// The height above the higher of the two lowest points on the ways to something
/// higher, or to the end, on both sides.
fn prominence(values: &[f64], at: usize) -> f64 {
    let height = values[at];
    let lowest = |way: &mut dyn Iterator<Item = &f64>| {
        way.take_while(|value| **value <= height).fold(height, |low, value| low.min(*value))
    };
    let left = lowest(&mut values[..at].iter().rev());
    let right = lowest(&mut values[at + 1..].iter());
    height - left.max(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prominences_worked_by_hand() {
        // Up to seven values are all kept, so that they come back as they were.
        let values = [0.0, 3.0, 1.0, 5.0, 2.0, 2.5, 0.5];
        for (back, value) in smoothed(&values).iter().zip(values) {
            assert!((back - value).abs() < 1e-12);
        }
        // 5 above both ends; 3 above the 1 between; 2.5 above the 2.
        let found = peaks(&values);
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 1, 5]);
        for ((_, prominence), wanted) in found.iter().zip([4.5, 2.0, 0.5]) {
            assert!((prominence - wanted).abs() < 1e-12, "{found:?}");
        }
    }

    #[test]
    fn plateaus_count_once_and_ends_and_noise_never() {
        assert_eq!(maxima(&[0.0, 2.0, 2.0, 2.0, 1.0, 3.0, 3.0]), [2]);
        assert_eq!(maxima(&[5.0, 1.0, 5.0]), [0; 0]);
        assert_eq!(peaks(&[0.25; 50]), []);
        assert_eq!(peaks(&[]), []);
    }
}
