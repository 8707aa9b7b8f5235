//! A scene's damage over the quantiser step, both as logarithms.

use super::{Goal, Scored, Slopes, qstep};

/// Broken line of rising points.
#[derive(Debug)]
pub struct Curve {
    /// (ln qstep, ln distortion), both rising; at least one.
    points: Vec<(f64, f64)>,
    /// Slopes before the first and after the last point.
    before: f64,
    after: f64,
    /// Probes contradicted each other and are one point here.
    pub contradicted: bool,
}

impl Curve {
    /// Through the probes, and beyond them as steep as they are within what
    /// `slopes` allow. `None` without probes.
    ///
    /// Damage rises with the quantiser step. Where probes say otherwise they are
    /// replaced by their mean, as in isotonic regression by pooling of adjacent
    /// violators: neither of them is more credible than the other.
    pub fn through(probes: &[Scored], goal: &Goal, slopes: &Slopes) -> Option<Self> {
        let mut all: Vec<(f64, f64)> = probes
            .iter()
            .map(|probe| (qstep::from_crf(probe.crf).ln(), goal.distortion(probe.score).ln()))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        // Sums of the points that were merged, and their number.
        let mut sums: Vec<(f64, f64, f64)> = Vec::with_capacity(all.len());
        for &(x, y) in &all {
            let mut last = (x, y, 1.0);
            // Equal ones are merged too, so that the line rises everywhere.
            while let Some((px, py, n)) = sums.pop_if(|(_, y, n)| *y / *n >= last.1 / last.2) {
                last = (last.0 + px, last.1 + py, last.2 + n);
            }
            sums.push(last);
        }
        let contradicted = all.windows(2).any(|pair| pair[0].1 > pair[1].1);
        let points: Vec<(f64, f64)> = sums.iter().map(|(x, y, n)| (x / n, y / n)).collect();
        let end = |pair: &[(f64, f64)]| match pair {
            [a, b] => ((b.1 - a.1) / (b.0 - a.0)).clamp(slopes.low, slopes.high),
            _ => slopes.typical,
        };
        let count = points.len();
        (count > 0).then(|| Self {
            before: end(&points[..count.min(2)]),
            after: end(&points[count.saturating_sub(2)..]),
            contradicted,
            points,
        })
    }

    /// ln distortion at `x`, the ln of a quantiser step.
    pub fn at(&self, x: f64) -> f64 {
        let next = self.points.partition_point(|point| point.0 < x);
        match (next.checked_sub(1).map(|i| self.points[i]), self.points.get(next)) {
            (Some((ax, ay)), Some((bx, by))) => ay + (by - ay) * (x - ax) / (bx - ax),
            (Some((ax, ay)), None) => ay + self.after * (x - ax),
            (None, Some((bx, by))) => by - self.before * (bx - x),
            (None, None) => unreachable!("a curve has points"),
        }
    }
}

/// Halvings of the interval: from the whole table of quantiser steps to less
/// than a billionth of a CRF.
const HALVINGS: usize = 48;

/// The x in `low..=high` at which the rising `f` reaches `wanted`; the nearer end
/// when it does not. Never falls when `wanted` rises, even where `f` is not rising.
pub fn reaches(wanted: f64, (mut low, mut high): (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
    if f(high) <= wanted {
        return high;
    }
    if f(low) >= wanted {
        return low;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if f(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}
