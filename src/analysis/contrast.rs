//! How unlike the pictures on both sides of a boundary between frames are.
//!
//! Every block of the one picture is looked for in the other, allowing for motion
//! and for a common change of brightness. What stays unexplained, against what
//! the blocks hold, says whether both show the same shot: pans, zooms, fades and
//! grain leave little, a cut leaves most of the picture.

use std::collections::{HashMap, VecDeque};

use rayon::prelude::*;

use super::blocks::unexplained;
use super::luma::Reduced;

/// Below this, two pictures are of the same shot without further looking: no
/// boundary with less contrast is taken for a cut.
const ALIKE: f64 = super::cuts::LEAST;
/// Share of the direct contrast that the most alike pair keeps at a cut.
const STEADY: f64 = 0.8;
/// Weight of a change of the luma distribution, where the structure is the same.
const LEVEL_SHARE: f64 = 0.5;
/// Code values (8 bits) of such a change that count half.
const LEVEL_HALF: f64 = 32.0;
/// Frames left out before and after a boundary, to tell a flash from a cut.
const SKIPS: [(usize, usize); 5] = [(0, 1), (1, 0), (0, 2), (1, 1), (2, 0)];
/// Frames on either side of a boundary that are looked at: the longest skip and one.
const REACH: usize = 3;

/// The contrast at every boundary between two frames, as far as the frames
/// around it are there; 0 at the clip's start.
///
/// Of all pairs across a boundary that leave out at most two frames the most
/// alike count: after a flash, or a stray picture, of one or two frames the old
/// picture is back. Motion may have changed it meanwhile; but where a cut is, no
/// pair is much more alike than the frames at the boundary itself, so a contrast
/// that skipping lowers is lowered further.
///
/// The result does not depend on how many frames come at once.
#[derive(Default)]
pub(super) struct Boundaries {
    /// The newest reduced frames; the first is frame `offset`.
    window: VecDeque<Reduced>,
    offset: usize,
    /// Pairs of frames that are no neighbours. Up to three boundaries share one.
    apart: HashMap<(usize, usize), f64>,
    contrast: Vec<f64>,
}

impl Boundaries {
    pub fn extend(&mut self, frames: impl Iterator<Item = Reduced>) {
        self.window.extend(frames);
        let known = (self.offset + self.window.len()).saturating_sub(REACH - 1);
        self.compute(known);
    }

    pub fn finish(mut self) -> Vec<f64> {
        self.compute(self.offset + self.window.len());
        self.contrast
    }

    /// Computes the boundaries before frames `..until` and drops the frames no longer needed.
    fn compute(&mut self, until: usize) {
        let from = self.contrast.len();
        if until <= from {
            return;
        }
        let direct = self.compare((from..until).map(|n| (n.saturating_sub(1), n)).collect());
        let mut least = direct.clone();
        for (before, after) in SKIPS {
            let end = self.offset + self.window.len();
            let wanted: Vec<usize> = (from..until)
                .filter(|&n| least[n - from] >= ALIKE && n > before && n + after < end)
                .collect();
            let pair = |n: usize| (n - 1 - before, n + after);
            let new: Vec<_> =
                wanted.iter().map(|&n| pair(n)).filter(|p| !self.apart.contains_key(p)).collect();
            let found = self.compare(new.clone());
            self.apart.extend(new.into_iter().zip(found));
            for n in wanted {
                least[n - from] = least[n - from].min(self.apart[&pair(n)]);
            }
        }
        self.contrast.extend(direct.into_iter().zip(least).map(|(d, l)| l * (l / (STEADY * d)).min(1.0)));
        let keep_from = until.saturating_sub(REACH);
        self.window.drain(..keep_from - self.offset);
        self.apart.retain(|&(first, _), _| first >= keep_from);
        self.offset = keep_from;
    }

    /// How unlike the frames of each pair are; a frame is like itself.
    fn compare(&self, pairs: Vec<(usize, usize)>) -> Vec<f64> {
        let frame = |n: usize| &self.window[n - self.offset];
        pairs
            .into_par_iter()
            .map(|(a, b)| if a == b { 0.0 } else { either_way(frame(a), frame(b)) })
            .collect()
    }
}

/// How unlike two pictures are: 0 for the same shot, towards 1 for different ones.
///
/// What appears is not in the picture before, what is hidden not in the one
/// after; only of different shots is neither in the other.
fn either_way(a: &Reduced, b: &Reduced) -> f64 {
    let forward = unexplained(b, a);
    let structure = if forward < ALIKE { forward } else { forward.min(unexplained(a, b)) };
    structure + (1.0 - structure) * LEVEL_SHARE * level_change(a, b)
}

/// By how much the distribution of luma moved, 0 to 1, whatever moved in the
/// picture: the earth mover's distance in 8-bit code values, against [`LEVEL_HALF`].
fn level_change(a: &Reduced, b: &Reduced) -> f64 {
    let apart: u64 = a.cumulative.iter().zip(&b.cumulative).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
    let levels = apart as f64 / a.samples.len().max(1) as f64;
    let squared = levels * levels;
    squared / (squared + LEVEL_HALF * LEVEL_HALF)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random pictures: every one is far from the others, so that all pairs are asked for.
    fn pictures(count: usize) -> Vec<Reduced> {
        let mut state = 7u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as i16
        };
        (0..count).map(|_| Reduced::new(40, 24, (0..40 * 24).map(|_| next()).collect())).collect()
    }

    fn in_batches(pictures: &[Reduced], length: usize) -> Vec<f64> {
        let mut boundaries = Boundaries::default();
        for batch in pictures.chunks(length) {
            boundaries.extend(batch.iter().cloned());
        }
        boundaries.finish()
    }

    #[test]
    fn the_length_of_batches_is_of_no_influence() {
        let pictures = pictures(40);
        let at_once = in_batches(&pictures, 40);
        assert_eq!(at_once.len(), 40);
        assert!(at_once[0] == 0.0 && at_once[1..].iter().all(|&c| c > ALIKE), "{at_once:?}");
        for length in [1, 2, 3, 7, 39] {
            assert_eq!(in_batches(&pictures, length), at_once, "{length}");
        }
    }

    #[test]
    fn a_stray_picture_of_one_or_two_frames_leaves_no_contrast() {
        let three = pictures(3);
        for length in [1, 2] {
            let mut film = vec![three[0].clone(); 12];
            film[5..5 + length].fill(three[1].clone());
            assert_eq!(in_batches(&film, 4), [0.0; 12], "{length}");
        }
        let mut film = vec![three[0].clone(); 12];
        film[5..].fill(three[1].clone());
        let contrast = in_batches(&film, 4);
        assert!(contrast[5] > 0.3 && contrast.iter().filter(|&&c| c > 0.0).count() == 1, "{contrast:?}");
    }
}
