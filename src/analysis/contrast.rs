//! How little one picture can be predicted from another.
//!
//! Every 8×8 block of the one is looked for in the other, allowing for motion
//! and for a common change of brightness and contrast. What stays unexplained,
//! against what the block holds, says whether both show the same shot: pans,
//! zooms, fades and grain leave little, a cut leaves most of the picture.

use std::sync::Arc;

use super::luma::Reduced;

/// Below this, two pictures are the same shot without further looking.
const ALIKE: f64 = 0.1;

/// Side of a block in reduced samples, about 1/20 of a 16:9 picture's width.
const BLOCK: usize = 8;
/// Sum of the differences below which a block counts as unchanged and is not
/// searched for: a quarter of an 8-bit code value a sample.
const UNCHANGED: u32 = (BLOCK * BLOCK) as u32 * 4;
/// Added to a block's own texture, so that grain in flat areas counts little:
/// four 8-bit code values a sample.
const NOISE: u32 = (BLOCK * BLOCK) as u32 * 64;
/// Longest motion that the profiles look for, as a share of the side.
const GLOBAL_REACH: usize = 4;
/// Steps of the descent from the best candidate.
const STEPS: [i32; 3] = [4, 2, 1];

/// A displacement in reduced samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Motion {
    x: i32,
    y: i32,
}

/// The contrast between the frames before a boundary and those from it on, up
/// to three each, flashes aside: of all pairs across the boundary that leave out
/// at most two frames the most alike count. A flash of one or two frames, or a
/// picture broken for as long, so makes no contrast. 0 at the clip's start.
pub(super) fn boundary(before: &[Arc<Reduced>], after: &[Arc<Reduced>]) -> f64 {
    let mut least = f64::INFINITY;
    for skipped in 0..=2 {
        for skipped_after in 0..=skipped {
            let skipped_before = skipped - skipped_after;
            if skipped_before >= before.len() || skipped_after >= after.len() {
                continue;
            }
            let (a, b) = (&before[before.len() - 1 - skipped_before], &after[skipped_after]);
            least = least.min(either_way(a, b));
            if least < ALIKE {
                return least;
            }
        }
    }
    if least.is_finite() { least } else { 0.0 }
}

/// What appears is not in the picture before, what is hidden not in the one
/// after; only of different shots is neither in the other.
fn either_way(a: &Reduced, b: &Reduced) -> f64 {
    let forward = contrast(b, a);
    if forward < ALIKE { forward } else { forward.min(contrast(a, b)) }
}

/// 0 when `current` is all in `reference`, towards 1 when nothing is.
///
/// # Panics
/// When the two differ in size.
fn contrast(current: &Reduced, reference: &Reduced) -> f64 {
    assert_eq!((current.width, current.height), (reference.width, reference.height));
    let levelled = Levels::between(reference, current).apply(reference);
    let global = global_motion(current, &levelled);
    let (columns, rows) = (current.width / BLOCK, current.height / BLOCK);
    if columns == 0 || rows == 0 {
        return whole(current, &levelled);
    }
    let mut above = vec![Motion::default(); columns];
    let mut sum = 0.0;
    for row in 0..rows {
        let mut left = Motion::default();
        for column in 0..columns {
            let block = Block { picture: current, x: column * BLOCK, y: row * BLOCK };
            let (difference, motion) = block.find(&levelled, &[global, left, above[column]]);
            (left, above[column]) = (motion, motion);
            sum += share(difference, block.texture());
        }
    }
    sum / (columns * rows) as f64
}

fn share(difference: u32, texture: u32) -> f64 {
    f64::from(difference) / f64::from(difference + texture + NOISE)
}

/// Pictures smaller than a block are compared as they lie.
fn whole(current: &Reduced, reference: &Reduced) -> f64 {
    let samples = current.samples.len().max(1) as f64;
    let sum: f64 =
        current.samples.iter().zip(&reference.samples).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum();
    let per_sample = sum / samples;
    per_sample / (per_sample + f64::from(NOISE) / (BLOCK * BLOCK) as f64)
}

struct Block<'a> {
    picture: &'a Reduced,
    x: usize,
    y: usize,
}

impl Block<'_> {
    /// The smallest difference found in `reference`, and the motion to it.
    fn find(&self, reference: &Reduced, candidates: &[Motion]) -> (u32, Motion) {
        let mut best = (self.difference(reference, Motion::default(), u32::MAX), Motion::default());
        if best.0 <= UNCHANGED {
            return best;
        }
        let consider = |best: &mut (u32, Motion), motion: Motion| {
            if self.inside(reference, motion) {
                let difference = self.difference(reference, motion, best.0);
                if difference < best.0 {
                    *best = (difference, motion);
                }
            }
        };
        for &motion in candidates {
            consider(&mut best, motion);
        }
        for step in STEPS {
            loop {
                let from = best.1;
                for (x, y) in [(-step, 0), (step, 0), (0, -step), (0, step)] {
                    consider(&mut best, Motion { x: from.x + x, y: from.y + y });
                }
                if best.1 == from {
                    break;
                }
            }
        }
        best
    }

    fn inside(&self, reference: &Reduced, motion: Motion) -> bool {
        let (x, y) = (self.x as i32 + motion.x, self.y as i32 + motion.y);
        x >= 0 && y >= 0 && x as usize + BLOCK <= reference.width && y as usize + BLOCK <= reference.height
    }

    /// Sum of absolute differences; anything from `enough` on may be cut short.
    fn difference(&self, reference: &Reduced, motion: Motion, enough: u32) -> u32 {
        let (x, y) = ((self.x as i32 + motion.x) as usize, (self.y as i32 + motion.y) as usize);
        let mut sum = 0;
        for row in 0..BLOCK {
            let own = self.row(row);
            let other = &reference.samples[(y + row) * reference.width + x..][..BLOCK];
            let mut row_sum = 0u16;
            for i in 0..BLOCK {
                // Eight differences below 2^12 fit 16 bits.
                row_sum += (own[i] - other[i]).unsigned_abs();
            }
            sum += u32::from(row_sum);
            if sum >= enough {
                break;
            }
        }
        sum
    }

    /// Sum of absolute differences to the block's own mean.
    fn texture(&self) -> u32 {
        let rows = || (0..BLOCK).map(|row| self.row(row));
        let sum: i32 = rows().flatten().map(|&s| i32::from(s)).sum();
        let mean = (sum / (BLOCK * BLOCK) as i32) as i16;
        rows().flatten().map(|&s| u32::from((s - mean).unsigned_abs())).sum()
    }

    fn row(&self, row: usize) -> &[i16] {
        &self.picture.samples[(self.y + row) * self.picture.width + self.x..][..BLOCK]
    }
}

/// The motion of the picture as a whole, from its column and row means.
fn global_motion(current: &Reduced, reference: &Reduced) -> Motion {
    let (ours, theirs) = (Profiles::of(current), Profiles::of(reference));
    Motion { x: shift(&ours.columns, &theirs.columns), y: shift(&ours.rows, &theirs.rows) }
}

struct Profiles {
    columns: Vec<i32>,
    rows: Vec<i32>,
}

impl Profiles {
    fn of(picture: &Reduced) -> Self {
        let mut columns = vec![0i32; picture.width];
        let mut rows = Vec::with_capacity(picture.height);
        for row in picture.samples.chunks_exact(picture.width) {
            rows.push(row.iter().map(|&s| i32::from(s)).sum::<i32>() / picture.width as i32);
            for (column, &sample) in columns.iter_mut().zip(row) {
                *column += i32::from(sample);
            }
        }
        for column in &mut columns {
            *column /= picture.height as i32;
        }
        Self { columns, rows }
    }
}

/// The offset into `reference` at which it matches `current` best where they overlap.
fn shift(current: &[i32], reference: &[i32]) -> i32 {
    let length = current.len() as i32;
    let reach = length / GLOBAL_REACH as i32;
    let mean_difference = |offset: i32| {
        let (from, to) = ((-offset).max(0), (length - offset).min(length));
        let own = &current[from as usize..to as usize];
        let other = &reference[(from + offset) as usize..(to + offset) as usize];
        let sum: i64 = own.iter().zip(other).map(|(&a, &b)| i64::from(a.abs_diff(b))).sum();
        // Sixteenths keep differences of the mean apart.
        sum * 16 / i64::from(to - from)
    };
    (-reach..=reach).min_by_key(|&offset| (mean_difference(offset), offset.abs())).unwrap_or(0)
}

/// A linear change of brightness that fits one picture's mean and spread to another's.
struct Levels {
    /// In 1/1024.
    gain: i32,
    from_mean: i32,
    to_mean: i32,
}

impl Levels {
    /// From `from` to `to`. A fade changes contrast by less than a factor of two
    /// from one frame to the next; more is no fade and stays unexplained.
    fn between(from: &Reduced, to: &Reduced) -> Self {
        let ((from_mean, from_spread), (to_mean, to_spread)) = (spread(from), spread(to));
        let gain = (i64::from(to_spread) * 1024 / i64::from(from_spread.max(1))).clamp(512, 2048);
        Self { gain: gain as i32, from_mean, to_mean }
    }

    fn apply(&self, picture: &Reduced) -> Reduced {
        let level = |&s: &i16| {
            let fitted = ((i32::from(s) - self.from_mean) * self.gain >> 10) + self.to_mean;
            fitted.clamp(0, 4095) as i16
        };
        Reduced { samples: picture.samples.iter().map(level).collect(), ..*picture }
    }
}

/// Mean, and mean absolute difference to it.
fn spread(picture: &Reduced) -> (i32, i32) {
    let count = picture.samples.len().max(1) as i64;
    let mean = (picture.samples.iter().map(|&s| i64::from(s)).sum::<i64>() / count) as i32;
    let sum: i64 = picture.samples.iter().map(|&s| i64::from((i32::from(s) - mean).abs())).sum();
    (mean, (sum / count) as i32)
}
