//! Which chunks are encoded once more: those that miss their target by too much,
//! the worst first, within a budget.

use crate::settings::{Metric, MetricSettings};

/// How far a chunk's score may be from what is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// In the metric's unit, above 0.
    Points(f64),
    /// A share of the target, above 0.
    OfTarget(f64),
}

impl Tolerance {
    /// Where the user says nothing: three times the usual error of a chunk's score
    /// (docs/accuracy.md). With 1.0 (4 %), chunks that just missed it kept the mean
    /// absolute error above half a point.
    pub fn usual(metric: Metric) -> Self {
        match metric {
            Metric::Ssimu2 => Self::Points(0.5),
            _ => Self::OfTarget(0.025),
        }
    }

    /// In the unit of the metric of `settings`.
    pub fn points(self, settings: &MetricSettings) -> f64 {
        match self {
            Self::Points(points) => points,
            Self::OfTarget(share) => share * settings.target,
        }
    }
}

/// A chunk that another encode would bring nearer to its target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Miss {
    /// Any number that tells chunks apart, rising in the clip.
    pub chunk: usize,
    /// What encoding it again costs.
    pub frames: usize,
    /// By how many tolerances it misses; of no sign.
    pub by: f64,
}

/// The chunks to encode again, in their order in the clip: the worst first,
/// while their frames fit into `budget`; one that does not fit leaves room for smaller ones.
/// Nothing but the misses decides, in whatever order they are given.
pub fn choose(misses: &[Miss], budget: usize) -> Vec<usize> {
    let mut worst: Vec<Miss> = misses.iter().copied().filter(|miss| miss.by > 1.0).collect();
    worst.sort_by(|a, b| b.by.total_cmp(&a.by).then(a.chunk.cmp(&b.chunk)));
    let mut left = budget;
    let mut chosen = Vec::new();
    for miss in worst {
        if miss.frames <= left {
            left -= miss.frames;
            chosen.push(miss.chunk);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// Frames that `share` of all `frames` allows.
pub fn budget(share: f64, frames: usize) -> usize {
    // Half a millionth of a frame for shares that are exactly whole frames.
    (share * frames as f64 + 5e-7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss(chunk: usize, frames: usize, by: f64) -> Miss {
        Miss { chunk, frames, by }
    }

    #[test]
    fn the_worst_come_first_until_the_budget_is_used_up() {
        let misses = [miss(0, 40, 1.5), miss(1, 60, 3.0), miss(2, 30, 2.0), miss(3, 10, 1.2)];
        // 60 + 30 are the worst two; 40 more do not fit into 10, chunk 3 does.
        assert_eq!(choose(&misses, 100), [1, 2, 3]);
        assert_eq!(choose(&misses, 99), [1, 2]);
        // The worst does not fit at all.
        assert_eq!(choose(&misses, 59), [2, 3]);
        assert_eq!(choose(&misses, 140), [0, 1, 2, 3]);
        assert_eq!(choose(&misses, 0), [0; 0]);
    }

    #[test]
    fn what_is_near_enough_is_left_alone_and_order_is_of_no_matter() {
        assert_eq!(choose(&[miss(0, 1, 1.0), miss(1, 1, 0.2)], 100), [0; 0]);
        let mut misses = [miss(4, 50, 2.0), miss(7, 50, 2.0), miss(1, 50, 2.0)];
        // Equal misses: the earlier ones.
        assert_eq!(choose(&misses, 100), [1, 4]);
        misses.reverse();
        assert_eq!(choose(&misses, 100), [1, 4]);
    }

    #[test]
    fn budgets_are_shares_of_the_clip() {
        assert_eq!((budget(0.15, 100), budget(0.15, 1439), budget(1.0, 7)), (15, 215, 7));
        // 0.07 · 100 is 7.000000000000001, 0.29 · 100 is 28.999999999999996.
        assert_eq!((budget(0.07, 100), budget(0.29, 100), budget(0.0, 50)), (7, 29, 0));
    }
}
