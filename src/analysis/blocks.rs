//! Looks for the blocks of one picture in another.

use std::cell::LazyCell;

use super::luma::Reduced;

/// Side of a block in reduced samples, about 1/20 of a 16:9 picture's width.
const BLOCK: usize = 8;
const SAMPLES: u32 = (BLOCK * BLOCK) as u32;
/// Sum of the differences below which a block counts as unchanged and is not
/// searched for: a quarter of an 8-bit code value a sample.
const UNCHANGED: u32 = SAMPLES * 4;
/// Added to a block's own texture, so that grain in flat areas counts little:
/// six 8-bit code values a sample.
const NOISE: u32 = SAMPLES * 96;
/// The longest motion of the whole picture looked for is this part of its side.
const GLOBAL_REACH: usize = 4;
/// Steps of the descent from the best candidate.
const STEPS: [i32; 3] = [4, 2, 1];

/// A displacement in reduced samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Motion {
    x: i32,
    y: i32,
}

/// How much of `current` cannot be found in `reference`: 0 when it is all there,
/// towards 1 when nothing is. Motion, and a change of brightness and contrast
/// that the whole picture shares, are allowed for.
///
/// # Panics
/// When the two differ in size.
pub(super) fn unexplained(current: &Reduced, reference: &Reduced) -> f64 {
    assert_eq!((current.width, current.height), (reference.width, reference.height));
    let levelled = levelled(reference, current);
    let current = View { width: current.width, height: current.height, samples: &current.samples };
    let reference = View { samples: &levelled, ..current };
    let (columns, rows) = (current.width / BLOCK, current.height / BLOCK);
    if columns == 0 || rows == 0 {
        return whole(current, reference);
    }
    // Only needed once a block has changed.
    let global = LazyCell::new(|| global_motion(current, reference));
    let mut above = vec![Motion::default(); columns];
    let mut sum = 0.0;
    for row in 0..rows {
        let mut left = Motion::default();
        for (column, above) in above.iter_mut().enumerate() {
            let block = Block::of(current, column * BLOCK, row * BLOCK);
            let (difference, motion) = block.find(reference, || [*global, left, *above]);
            (left, *above) = (motion, motion);
            sum += f64::from(difference) / f64::from(difference + block.texture() + NOISE);
        }
    }
    sum / (columns * rows) as f64
}

/// Pictures smaller than a block are compared as they lie.
fn whole(current: View<'_>, reference: View<'_>) -> f64 {
    let sum: f64 =
        current.samples.iter().zip(reference.samples).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum();
    let difference = sum / current.samples.len().max(1) as f64;
    difference / (difference + f64::from(NOISE / SAMPLES))
}

#[derive(Clone, Copy)]
struct View<'a> {
    width: usize,
    height: usize,
    samples: &'a [i16],
}

/// A block of the current picture.
struct Block {
    x: usize,
    y: usize,
    rows: [[i16; BLOCK]; BLOCK],
}

impl Block {
    fn of(picture: View<'_>, x: usize, y: usize) -> Self {
        let mut rows = [[0; BLOCK]; BLOCK];
        for (into, row) in rows.iter_mut().zip(y..) {
            into.copy_from_slice(&picture.samples[row * picture.width + x..][..BLOCK]);
        }
        Self { x, y, rows }
    }

    /// The smallest difference found in `reference`, and the motion to it.
    fn find(&self, reference: View<'_>, candidates: impl Fn() -> [Motion; 3]) -> (u32, Motion) {
        let mut best = (self.difference(reference, Motion::default(), u32::MAX), Motion::default());
        if best.0 <= UNCHANGED {
            return best;
        }
        for motion in candidates() {
            self.consider(reference, motion, &mut best);
        }
        for step in STEPS {
            let mut before = best.1;
            loop {
                let from = best.1;
                for (x, y) in [(-step, 0), (step, 0), (0, -step), (0, step)] {
                    let motion = Motion { x: from.x + x, y: from.y + y };
                    // Where the descent comes from is known to be worse.
                    if motion != before {
                        self.consider(reference, motion, &mut best);
                    }
                }
                if best.1 == from {
                    break;
                }
                before = from;
            }
        }
        best
    }

    fn consider(&self, reference: View<'_>, motion: Motion, best: &mut (u32, Motion)) {
        if motion != best.1 && self.inside(reference, motion) {
            let difference = self.difference(reference, motion, best.0);
            if difference < best.0 {
                *best = (difference, motion);
            }
        }
    }

    fn inside(&self, reference: View<'_>, motion: Motion) -> bool {
        let (x, y) = (self.x as i32 + motion.x, self.y as i32 + motion.y);
        let within = |at: i32, side: usize| at >= 0 && at as usize + BLOCK <= side;
        within(x, reference.width) && within(y, reference.height)
    }

    /// Sum of absolute differences; anything from `enough` on may be cut short.
    fn difference(&self, reference: View<'_>, motion: Motion, enough: u32) -> u32 {
        let (x, y) = ((self.x as i32 + motion.x) as usize, (self.y as i32 + motion.y) as usize);
        let area = &reference.samples[y * reference.width + x..][..(BLOCK - 1) * reference.width + BLOCK];
        let mut sum = 0;
        for half in [0..BLOCK / 2, BLOCK / 2..BLOCK] {
            // Four differences below 2^12 fit 16 bits: a register takes all columns.
            let mut columns = [0u16; BLOCK];
            for row in half {
                let other = &area[row * reference.width..][..BLOCK];
                for i in 0..BLOCK {
                    columns[i] += (self.rows[row][i] - other[i]).unsigned_abs();
                }
            }
            sum += columns.iter().map(|&c| u32::from(c)).sum::<u32>();
            if sum >= enough {
                break;
            }
        }
        sum
    }

    /// Sum of absolute differences to the block's own mean.
    fn texture(&self) -> u32 {
        let samples = self.rows.as_flattened();
        let sum: i32 = samples.iter().map(|&s| i32::from(s)).sum();
        let mean = (sum / SAMPLES as i32) as i16;
        samples.iter().map(|&s| u32::from((s - mean).unsigned_abs())).sum()
    }
}

/// The motion of the picture as a whole, from its column and row means.
fn global_motion(current: View<'_>, reference: View<'_>) -> Motion {
    let (ours, theirs) = (Profiles::of(current), Profiles::of(reference));
    Motion { x: shift(&ours.columns, &theirs.columns), y: shift(&ours.rows, &theirs.rows) }
}

struct Profiles {
    columns: Vec<i16>,
    rows: Vec<i16>,
}

impl Profiles {
    fn of(picture: View<'_>) -> Self {
        let mut columns = vec![0i32; picture.width];
        let mut rows = Vec::with_capacity(picture.height);
        for row in picture.samples.chunks_exact(picture.width) {
            rows.push((row.iter().map(|&s| i32::from(s)).sum::<i32>() / picture.width as i32) as i16);
            for (column, &sample) in columns.iter_mut().zip(row) {
                *column += i32::from(sample);
            }
        }
        let columns = columns.into_iter().map(|column| (column / picture.height as i32) as i16).collect();
        Self { columns, rows }
    }
}

/// The offset into `reference` at which it matches `current` best where they overlap.
fn shift(current: &[i16], reference: &[i16]) -> i32 {
    let length = current.len() as i32;
    let reach = length / GLOBAL_REACH as i32;
    let difference = |offset: i32| {
        let (from, to) = ((-offset).max(0), (length - offset).min(length));
        let own = &current[from as usize..to as usize];
        let other = &reference[(from + offset) as usize..(to + offset) as usize];
        let sum: u32 = own.iter().zip(other).map(|(&a, &b)| u32::from((a - b).unsigned_abs())).sum();
        // A mean, in sixteenths to tell close ones apart.
        u64::from(sum) * 16 / (to - from) as u64
    };
    (-reach..=reach).min_by_key(|&offset| (difference(offset), offset.abs())).unwrap_or(0)
}

/// The samples of `from`, fitted linearly to the mean and spread of `to`. A fade
/// changes contrast by less than a factor of two from one frame to the next;
/// more is no fade and stays unexplained.
fn levelled(from: &Reduced, to: &Reduced) -> Vec<i16> {
    // In 1/1024.
    let gain = (i32::from(to.spread) * 1024 / i32::from(from.spread.max(1))).clamp(512, 2048) as i16;
    let fitted = |&s: &i16| {
        // Both factors, 8-fold, still fit 16 bits: the upper half of the product is
        // theirs over 1024, and a register multiplies eight.
        let scaled = (i32::from((s - from.mean) << 3) * i32::from(gain << 3)) >> 16;
        (scaled as i16 + to.mean).clamp(0, 4095)
    };
    from.samples.iter().map(fitted).collect()
}
