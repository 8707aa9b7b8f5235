//! Which frames of a scene are worth looking at, and how much a region of
//! interest may weigh there: their place in the encoder's pyramid of references.

use std::collections::BTreeSet;

/// Only every fourth frame belongs to the upper layers of the pyramid.
pub const STEP: usize = 4;

/// A frame that differs less from the one before (mean luma difference, 0..1)
/// shows what was shown before.
const CHANGE: f64 = 0.0012;

/// A layer: the offsets that are multiples of `step`, and the strength of their
/// ROI values where the mask stands still and where it moves much.
struct Layer {
    step: usize,
    still: f64,
    moving: f64,
}

/// From the top of the pyramid; an offset belongs to the first that fits.
const LAYERS: [Layer; 4] = [
    Layer { step: 32, still: 0.90, moving: 0.90 },
    Layer { step: 16, still: 0.70, moving: 0.70 },
    Layer { step: 8, still: 0.50, moving: 0.60 },
    Layer { step: STEP, still: 0.45, moving: 0.40 },
];

/// Strength at the first frame of the scene, which everything refers to.
const FIRST: f64 = 1.00;

/// The multiples of `step` next to `frame` on both sides; twice `frame` itself
/// when it is one.
fn around(frame: usize, step: usize) -> [usize; 2] {
    [frame / step * step, frame.next_multiple_of(step)]
}

/// Offsets from the scene's start that are analysed, rising, 0 always among
/// them. `luma_diff` has one value for each frame of the scene.
pub fn analysed(luma_diff: &[f64]) -> Vec<usize> {
    let mut offsets = BTreeSet::from([0]);
    for (frame, _) in luma_diff.iter().enumerate().filter(|&(_, &diff)| diff >= CHANGE) {
        offsets.extend(LAYERS.iter().flat_map(|layer| around(frame, layer.step)));
    }
    offsets.into_iter().filter(|&offset| offset < luma_diff.len().max(1)).collect()
}

/// Offsets that a mask that moved much by `offset` marks as moving.
pub fn touched_by_motion(offset: usize) -> impl Iterator<Item = usize> {
    std::iter::once(offset).chain(LAYERS.iter().flat_map(move |layer| around(offset, layer.step)))
}

/// The factor m for the ROI values at `offset`.
pub fn strength(offset: usize, moving: bool) -> f64 {
    if offset == 0 {
        return FIRST;
    }
    let layer = LAYERS.iter().find(|layer| offset.is_multiple_of(layer.step));
    layer.map_or(0.0, |layer| if moving { layer.moving } else { layer.still })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(frames: usize, at: &[usize]) -> Vec<f64> {
        (0..frames).map(|f| if at.contains(&f) { 0.0012 } else { 0.001_199 }).collect()
    }

    #[test]
    fn a_still_scene_is_looked_at_once() {
        assert_eq!(analysed(&changes(40, &[])), [0]);
        assert_eq!(analysed(&changes(1, &[0])), [0]);
        assert_eq!(analysed(&[]), [0]);
    }

    #[test]
    fn a_change_calls_for_its_neighbours_in_every_layer() {
        // Around 21: 20 and 24, 16 and 24, 16 and 32, 0 and 32.
        assert_eq!(analysed(&changes(40, &[21])), [0, 16, 20, 24, 32]);
        // 32 lies beyond the scene.
        assert_eq!(analysed(&changes(32, &[21])), [0, 16, 20, 24]);
        // A multiple of 32 is its own neighbour.
        assert_eq!(analysed(&changes(80, &[64])), [0, 64]);
    }

    #[test]
    fn strength_falls_with_the_layer() {
        let still: Vec<f64> = [0, 32, 16, 8, 4].iter().map(|&o| strength(o, false)).collect();
        let moving: Vec<f64> = [0, 64, 48, 24, 12].iter().map(|&o| strength(o, true)).collect();
        assert_eq!(still, [1.0, 0.9, 0.7, 0.5, 0.45]);
        assert_eq!(moving, [1.0, 0.9, 0.7, 0.6, 0.4]);
    }

    #[test]
    fn motion_at_an_offset_marks_the_upper_layers_around_it() {
        let marked: BTreeSet<usize> = touched_by_motion(20).collect();
        assert_eq!(marked, BTreeSet::from([0, 16, 20, 24, 32]));
    }
}
