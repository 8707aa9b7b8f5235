//! What the score of a scene is: a property of the scene, whichever of its
//! frames were measured (spec 11).
//!
//! Over all frames, each with its weight: M is their mean (harmonic for
//! SSIMULACRA2, root mean cube for Butteraugli), T the mean of the worst share,
//! and the score is `(1 − τ)·M + τ·T`.

use crate::settings::{Metric, Tail};

/// SSIMULACRA2 scores below this say only "bad"; a mean raises them to it.
pub(super) const SSIMU2_FLOOR: f64 = 15.0;

/// The score of a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// In the unit of the metric.
    pub score: f64,
    /// A frame scored too low for the mean to be trusted (SSIMULACRA2 only).
    pub unreliable: bool,
}

/// How the frames of a scene become its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Functional {
    higher_is_better: bool,
    tail: Tail,
}

/// The score of a scene and what it is made of, in the unit of the metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// M.
    pub mean: f64,
    /// T.
    pub tail: f64,
    pub pooled: Pooled,
}

/// A frame, or a part of one: its weight and its score.
pub type Weighted = (f64, f64);

impl Functional {
    pub fn new(metric: Metric, tail: Tail) -> Self {
        Self { higher_is_better: metric.higher_is_better(), tail }
    }

    pub fn higher_is_better(&self) -> bool {
        self.higher_is_better
    }

    /// τ.
    pub fn tail_weight(&self) -> f64 {
        self.tail.weight
    }

    /// The scene of these frames, of which at least one has a weight above 0.
    /// They are sorted, the worst first.
    pub fn over(&self, frames: &mut [Weighted]) -> Parts {
        let worst_first = |a: &Weighted, b: &Weighted| a.1.total_cmp(&b.1);
        frames.sort_by(|a, b| if self.higher_is_better { worst_first(a, b) } else { worst_first(b, a) });
        let total: f64 = frames.iter().map(|(weight, _)| weight).sum();
        let mean = if self.higher_is_better {
            total / frames.iter().map(|(weight, score)| weight / score.max(SSIMU2_FLOOR)).sum::<f64>()
        } else {
            (frames.iter().map(|(weight, score)| weight * score.powi(3)).sum::<f64>() / total).cbrt()
        };
        let tail = worst_share(frames, self.tail.share * total);
        let (m, t) = (1.0 - self.tail.weight, self.tail.weight);
        let unreliable = self.higher_is_better
            && frames.iter().any(|&(weight, score)| weight > 0.0 && score < SSIMU2_FLOOR);
        Parts { mean, tail, pooled: Pooled { score: m * mean + t * tail, unreliable } }
    }
}

/// Mean of the first frames that weigh `wanted` together, the last of them in
/// part; of one whole frame at least.
fn worst_share(worst_first: &[Weighted], wanted: f64) -> f64 {
    let wanted = wanted.max(1.0);
    let (mut taken, mut sum) = (0.0, 0.0);
    for &(weight, score) in worst_first {
        let part = weight.min(wanted - taken);
        taken += part;
        sum += part * score;
        if taken >= wanted {
            break;
        }
    }
    sum / taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(metric: Metric, weight: f64, share: f64, frames: &[Weighted]) -> Parts {
        Functional::new(metric, Tail { weight, share }).over(&mut frames.to_vec())
    }

    #[track_caller]
    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
    }

    #[test]
    fn ssimulacra2_by_hand() {
        // Harmonic mean of 40, 60, 60, 60: 4 / (1/40 + 3/60) = 53⅓. The worst
        // 30 % of four frames: 40 and a fifth of a 60.
        let frames = [(1.0, 60.0), (1.0, 40.0), (1.0, 60.0), (1.0, 60.0)];
        let found = parts(Metric::Ssimu2, 0.25, 0.3, &frames);
        close(found.mean, 160.0 / 3.0);
        close(found.tail, (40.0 + 0.2 * 60.0) / 1.2);
        close(found.pooled.score, 0.75 * 160.0 / 3.0 + 0.25 * 52.0 / 1.2);
        assert!(!found.pooled.unreliable);
    }

    #[test]
    fn butteraugli_by_hand() {
        // ∛((1 + 8 + 27) / 3) = ∛12; the worst tenth of three frames is one frame.
        let found = parts(Metric::Butteraugli3Norm, 1.0, 0.1, &[(1.0, 1.0), (1.0, 3.0), (1.0, 2.0)]);
        close(found.mean, 12.0_f64.cbrt());
        close(found.tail, 3.0);
        close(found.pooled.score, 3.0);
    }

    #[test]
    fn a_frame_without_weight_is_not_there() {
        let with = parts(Metric::Ssimu2, 0.5, 0.5, &[(1.0, 80.0), (0.0, 3.0), (1.0, 70.0)]);
        assert_eq!(with, parts(Metric::Ssimu2, 0.5, 0.5, &[(1.0, 80.0), (1.0, 70.0)]));
    }

    #[test]
    fn a_frame_in_pieces_is_the_whole_frame() {
        let whole = parts(Metric::Butteraugli3Norm, 0.3, 0.4, &[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]);
        let pieces =
            parts(Metric::Butteraugli3Norm, 0.3, 0.4, &[(0.5, 2.0), (1.0, 3.0), (0.5, 2.0), (1.0, 1.0)]);
        close(pieces.mean, whole.mean);
        close(pieces.tail, whole.tail);
    }

    #[test]
    fn scores_below_the_floor_are_raised_and_told() {
        let found = parts(Metric::Ssimu2, 0.0, 0.1, &[(1.0, -30.0), (1.0, 15.0)]);
        close(found.mean, 15.0);
        assert!(found.pooled.unreliable);
    }
}
