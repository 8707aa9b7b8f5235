//! How much the maps of a scene move.

use std::collections::BTreeSet;

use ndarray::Array2;

use super::hierarchy;
use super::masks::SceneMasks;

/// Share of a map that must change for the map to *move much*.
const MUCH: f64 = 0.10;

fn sum(map: &Array2<f32>) -> f64 {
    map.iter().map(|&v| f64::from(v)).sum()
}

/// Sum of absolute changes between two maps and the mean of their sums.
fn change(a: &Array2<f32>, b: &Array2<f32>) -> (f64, f64) {
    let difference = a.iter().zip(b).map(|(&a, &b)| f64::from((a - b).abs())).sum();
    (difference, f64::midpoint(sum(a), sum(b)))
}

fn share(difference: f64, size: f64) -> f64 {
    if size > 0.0 { difference / size } else { 0.0 }
}

/// `Σ|Δv| / Σv̄` over the scene's held-forward maps; 0 where nothing is or moves.
pub fn of_scene(masks: &SceneMasks) -> f64 {
    let (difference, size) = masks
        .held_forward()
        .zip(masks.held_forward().skip(1))
        .map(|(a, b)| change(a, b))
        .fold((0.0, 0.0), |total, pair| (total.0 + pair.0, total.1 + pair.1));
    share(difference, size)
}

/// The offsets whose ROI values are those of motion.
pub fn moving_offsets(masks: &SceneMasks) -> BTreeSet<usize> {
    masks
        .maps()
        .zip(masks.maps().skip(1))
        .filter(|(a, b)| {
            let (difference, size) = change(a.1, b.1);
            share(difference, size) > MUCH
        })
        .flat_map(|(_, (offset, _))| hierarchy::touched_by_motion(offset))
        .collect()
}
