//! From contrasts to cuts.
//!
//! A cut is a boundary whose contrast stands out from what motion, fades and
//! grain make of the boundaries around it, on both sides.

/// Contrast below which no boundary is a cut.
pub(super) const LEAST: f64 = 0.2;
/// Of two boundaries at most this far apart only the stronger can be a cut.
const APART: usize = 3;
/// Boundaries that tell how much the shots beside a cut move.
const NEAR: usize = 4;
/// How many times the contrast of a cut exceeds that of all near boundaries.
const OVER_NEAR: f64 = 1.4;
/// And by how much, so that a jolt in a slow shot is none.
const ABOVE_NEAR: f64 = 0.12;
/// Boundaries further off, which may have slowed down or sped up since.
const FAR: usize = 10;
/// How many times it exceeds that of the far ones, but for one on each side.
const OVER_FAR: f64 = 1.15;
/// A boundary this like another one within two frames, which stands out itself,
/// is one end of a flash…
const LIKE: f64 = 0.65;
/// …so that the pictures on both sides of the flash are three frames apart,
/// and so is the motion that has to be exceeded.
const FLASH_FRAMES: usize = 2;
const OVER_NEAR_FLASH: f64 = 2.5;

/// Which frames begin a new shot, given the contrast before every frame.
pub(super) fn decide(contrast: &[f64]) -> Vec<bool> {
    (0..contrast.len()).map(|n| n > 0 && is_cut(contrast, n)).collect()
}

fn is_cut(contrast: &[f64], n: usize) -> bool {
    let own = contrast[n];
    // The later of equals, as everywhere.
    let strongest = || around(contrast, n, APART).all(|(m, c)| if m < n { c <= own } else { c < own });
    if own < LEAST || !strongest() {
        return false;
    }
    let beyond = |m: usize| contrast.get(if m < n { m - 1 } else { m + 1 }).copied().unwrap_or(0.0);
    let other_end = around(contrast, n, FLASH_FRAMES)
        .find(|&(m, c)| c >= LIKE * own && c >= OVER_NEAR * beyond(m))
        .map(|(m, _)| m);
    let in_flash = |m: usize| other_end.is_some_and(|end| (n.min(end)..=n.max(end)).contains(&m));
    let over = if other_end.is_some() { OVER_NEAR_FLASH } else { OVER_NEAR };
    let near = around(contrast, n, NEAR).filter(|&(m, _)| !in_flash(m)).map(|(_, c)| c).fold(0.0, f64::max);
    if own < over * near || own < near + ABOVE_NEAR {
        return false;
    }
    let before = &contrast[n.saturating_sub(FAR).max(1)..n.saturating_sub(NEAR).max(1)];
    let after = &contrast[contrast.len().min(n + 1 + NEAR)..contrast.len().min(n + 1 + FAR)];
    own >= OVER_FAR * second_highest(before).max(second_highest(after))
}

/// The boundaries within `reach` of `n`, but for `n` itself and the clip's start.
fn around(contrast: &[f64], n: usize, reach: usize) -> impl Iterator<Item = (usize, f64)> {
    let range = n.saturating_sub(reach).max(1)..contrast.len().min(n + 1 + reach);
    range.filter(move |&m| m != n).map(|m| (m, contrast[m]))
}

/// So that another cut does not count as motion.
fn second_highest(contrast: &[f64]) -> f64 {
    let (mut highest, mut second) = (0.0f64, 0.0f64);
    for &c in contrast {
        if c > highest {
            (highest, second) = (c, highest);
        } else {
            second = second.max(c);
        }
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(contrast: &[f64]) -> Vec<usize> {
        let flags = decide(contrast);
        (0..flags.len()).filter(|&n| flags[n]).collect()
    }

    fn with(base: f64, changes: &[(usize, f64)]) -> Vec<f64> {
        let mut contrast = vec![base; 60];
        for &(n, c) in changes {
            contrast[n] = c;
        }
        contrast
    }

    #[test]
    fn a_boundary_that_stands_out_is_a_cut_and_motion_is_not() {
        assert_eq!(cuts(&with(0.03, &[(0, 0.0), (20, 0.5), (40, 0.25)])), [20, 40]);
        assert_eq!(cuts(&with(0.20, &[(20, 0.45), (40, 0.28)])), [20]);
        assert_eq!(cuts(&with(0.03, &[(20, 0.18)])), [0; 0]);
        // A shot that speeds up and slows down again.
        assert_eq!(cuts(&with(0.1, &[(19, 0.2), (20, 0.3), (21, 0.32), (22, 0.2)])), [0; 0]);
    }

    #[test]
    fn both_ends_of_a_flash_amid_motion_are_no_cuts() {
        assert_eq!(cuts(&with(0.2, &[(20, 0.42), (21, 0.05), (22, 0.4)])), [0; 0]);
        assert_eq!(cuts(&with(0.2, &[(20, 0.42), (21, 0.4)])), [0; 0]);
    }

    #[test]
    fn a_cut_into_grain_is_no_flash() {
        let mut contrast = with(0.1, &[(20, 0.55)]);
        contrast[21..].fill(0.38);
        assert_eq!(cuts(&contrast), [20]);
    }

    #[test]
    fn of_two_cuts_a_frame_apart_the_stronger_or_later_counts_and_the_first_frame_never() {
        assert_eq!(cuts(&with(0.02, &[(20, 0.5), (21, 0.5)])), [21]);
        assert_eq!(cuts(&with(0.02, &[(20, 0.6), (21, 0.4)])), [20]);
        assert_eq!(cuts(&with(0.02, &[(0, 0.9)])), [0; 0]);
        assert_eq!(cuts(&with(0.02, &[(59, 0.5)])), [59]);
        assert_eq!(cuts(&[]), [0; 0]);
    }
}
