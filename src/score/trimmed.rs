//! The trimmed, interpolated, deviation-penalised mean (spec 10, section 4).
//!
//! Frames far better than the others are left out, because a still frame hides
//! what the moving ones look like; between the others lies a curve, because frames
//! are picked where much happens and a mean over them would count that twice.

use crate::support::statistics::{deviation_percentile, percentile};

/// Frames better than the median by more MADs than this are left out.
const TRIM_MADS: f64 = 1.5;
/// Exponent of the mean deviation: the worst stretches count most.
const DEVIATION: i32 = 8;

/// The score of a scene by its `frames`, of which there is at least one, each a
/// number and a score; the result can be worse than all of them.
pub(super) fn mean(frames: &[(usize, f64)], higher_is_better: bool) -> f64 {
    let mut frames = frames.to_vec();
    frames.sort_by_key(|(frame, _)| *frame);
    if let [(_, only)] = frames[..] {
        return only;
    }
    let worse = if higher_is_better { -1.0 } else { 1.0 };
    let mut sorted: Vec<f64> = frames.iter().map(|(_, score)| *score).collect();
    sorted.sort_by(f64::total_cmp);
    let median = percentile(&sorted, 50.0);
    let least = median - worse * TRIM_MADS * deviation_percentile(&sorted, 50.0);
    frames.retain(|(_, score)| worse * score >= worse * least);
    let curve = interpolated(&frames);
    let count = curve.len() as f64;
    let mean = curve.iter().sum::<f64>() / count;
    let powers = curve.iter().map(|score| (score - mean).powi(DEVIATION)).sum::<f64>() / count;
    mean + worse * powers.powf(1.0 / f64::from(DEVIATION))
}

/// The monotone cubic curve through `points` (Fritsch and Carlson, slopes as in
/// PCHIP) at every whole number from the first point to the last.
fn interpolated(points: &[(usize, f64)]) -> Vec<f64> {
    let width: Vec<f64> = points.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64).collect();
    let secant: Vec<f64> =
        points.windows(2).zip(&width).map(|(pair, width)| (pair[1].1 - pair[0].1) / width).collect();
    let slopes = slopes(&width, &secant);
    let mut curve = Vec::new();
    for (i, pair) in points.windows(2).enumerate() {
        let (h, y0, y1) = (width[i], pair[0].1, pair[1].1);
        for frame in pair[0].0..pair[1].0 {
            let t = (frame - pair[0].0) as f64 / h;
            let (t2, t3) = (t * t, t * t * t);
            let ends = (2.0 * t3 - 3.0 * t2 + 1.0) * y0 + (3.0 * t2 - 2.0 * t3) * y1;
            curve.push(ends + h * ((t3 - 2.0 * t2 + t) * slopes[i] + (t3 - t2) * slopes[i + 1]));
        }
    }
    curve.extend(points.last().map(|(_, score)| *score));
    curve
}

/// The curve's slope at every point.
fn slopes(width: &[f64], secant: &[f64]) -> Vec<f64> {
    let inner = secant.len().saturating_sub(1);
    if inner == 0 {
        // Two points make a line; one has no slope, and needs none.
        return vec![secant.first().copied().unwrap_or(0.0); secant.len() + 1];
    }
    let mut slopes = vec![at_end((width[0], width[1]), (secant[0], secant[1]))];
    for i in 0..inner {
        let (before, after) = (secant[i], secant[i + 1]);
        slopes.push(if before * after <= 0.0 {
            0.0
        } else {
            let (w1, w2) = (2.0 * width[i + 1] + width[i], width[i + 1] + 2.0 * width[i]);
            (w1 + w2) / (w1 / before + w2 / after)
        });
    }
    slopes.push(at_end((width[inner], width[inner - 1]), (secant[inner], secant[inner - 1])));
    slopes
}

/// The slope at an end, by the two pieces there, the outer one first.
fn at_end((h0, h1): (f64, f64), (d0, d1): (f64, f64)) -> f64 {
    let slope = ((2.0 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
    if slope * d0 <= 0.0 {
        0.0
    } else if d0 * d1 < 0.0 && slope.abs() > 3.0 * d0.abs() {
        3.0 * d0
    } else {
        slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_frames_are_joined_by_a_line_and_the_deviation_makes_it_worse() {
        // 0, 1, 2: mean 1; deviations 1, 0, 1, so (2/3)^(1/8).
        let deviation = (2.0f64 / 3.0).powf(0.125);
        let frames = [(12, 2.0), (10, 0.0)];
        assert!((mean(&frames, false) - (1.0 + deviation)).abs() < 1e-12);
        assert!((mean(&frames, true) - (1.0 - deviation)).abs() < 1e-12);
    }

    #[test]
    fn the_curve_stays_between_its_points() {
        // Fritsch and Carlson's point: no overshoot beside a step.
        let curve = interpolated(&[(0, 0.0), (10, 0.0), (12, 5.0), (30, 5.0)]);
        assert_eq!(curve.len(), 31);
        assert!(curve.iter().all(|y| (-1e-12..=5.0 + 1e-12).contains(y)), "{curve:?}");
        assert!(curve[..=10].iter().all(|y| y.abs() < 1e-12) && curve[12..].iter().all(|y| *y > 5.0 - 1e-12));
    }
}
