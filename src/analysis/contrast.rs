//! How unlike the pictures on both sides of a boundary between frames are.
//!
//! Every block of the one picture is looked for in the other, allowing for motion
//! and for a common change of brightness. What stays unexplained, against what
//! the blocks hold, says whether both show the same shot: pans, zooms, fades and
//! grain leave little, a cut leaves most of the picture.

use std::sync::Arc;

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

/// The contrast between the frames before a boundary and those from it on, up to
/// three each. 0 at the clip's start.
///
/// Of all pairs across the boundary that leave out at most two frames the most
/// alike count: after a flash, or a stray picture, of one or two frames the old
/// picture is back. Motion may have changed it meanwhile; but where a cut is, no
/// pair is much more alike than the frames at the boundary itself, so a contrast
/// that skipping lowers is lowered further.
pub(super) fn boundary(before: &[Arc<Reduced>], after: &[Arc<Reduced>]) -> f64 {
    let (Some(last), Some(first)) = (before.last(), after.first()) else { return 0.0 };
    let direct = either_way(last, first);
    let mut least = direct;
    for (skip_before, skip_after) in [(0, 1), (1, 0), (0, 2), (1, 1), (2, 0)] {
        if least < ALIKE {
            break;
        }
        if skip_before < before.len() && skip_after < after.len() {
            least = least.min(either_way(&before[before.len() - 1 - skip_before], &after[skip_after]));
        }
    }
    least * (least / (STEADY * direct)).min(1.0)
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
