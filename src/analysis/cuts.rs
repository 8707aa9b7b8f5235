//! From contrasts to cuts.

/// Contrast below which no boundary is a cut.
const LEAST: f64 = 0.2;
/// How many times the contrast of a cut exceeds that of the motion around it.
const RATIO: f64 = 1.6;
/// Boundaries on either side that tell how much the shots move.
const AROUND: usize = 8;
/// Of two boundaries closer than this only the stronger can be a cut.
const NEAREST: usize = 3;

/// Which frames begin a new shot, given the contrast before every frame.
pub(super) fn decide(contrast: &[f64]) -> Vec<bool> {
    (0..contrast.len()).map(|n| is_cut(contrast, n)).collect()
}

fn is_cut(contrast: &[f64], n: usize) -> bool {
    let own = contrast[n];
    if n == 0 || own < LEAST {
        return false;
    }
    let before = &contrast[n.saturating_sub(AROUND).max(1)..n];
    let after = &contrast[n + 1..contrast.len().min(n + 1 + AROUND)];
    let near_before = &before[before.len().saturating_sub(NEAREST)..];
    let near_after = &after[..after.len().min(NEAREST)];
    // The later of equals, as everywhere.
    if near_before.iter().any(|&c| c > own) || near_after.iter().any(|&c| c >= own) {
        return false;
    }
    own >= RATIO * motion(before).max(motion(after))
}

/// The contrast that the moving shot on one side makes: the second highest, so
/// that another cut nearby does not count as motion.
fn motion(side: &[f64]) -> f64 {
    let (mut highest, mut second) = (0.0f64, 0.0f64);
    for &c in side {
        if c > highest {
            (highest, second) = (c, highest);
        } else {
            second = second.max(c);
        }
    }
    second
}
