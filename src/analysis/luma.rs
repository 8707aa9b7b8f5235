//! What one look at the luma plane of a frame yields.

use crate::source::{Frame, Row};

/// Longer sides of the reduced picture; see [`Reduced`].
const REDUCED_HEIGHT: usize = 90;

/// How a frame of one clip is reduced, and the size it has then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reduction {
    factor: usize,
    pub width: usize,
    pub height: usize,
    bits: u8,
}

impl Reduction {
    /// Averages squares of samples so that the shorter side has 90 to 179 of
    /// them, or all where the picture is smaller; what remains at the right and
    /// bottom edge is left out.
    pub fn of(width: usize, height: usize, bits: u8) -> Self {
        let factor = (width.min(height) / REDUCED_HEIGHT).max(1);
        Self { factor, width: width / factor, height: height / factor, bits }
    }
}

/// A small luma picture in 1/16 of 8-bit code values, so 0 to 4095 whatever the
/// source's depth. Grain and coding noise average out in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reduced {
    pub width: usize,
    pub height: usize,
    pub samples: Vec<i16>,
}

/// The statistics of one frame, in code values of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameLuma {
    pub sum: u64,
    pub min: u16,
    pub max: u16,
    /// Sum of the absolute differences to the frame before.
    pub difference: u64,
}

trait Sample: Copy + Ord {
    const LOWEST: Self;
    const HIGHEST: Self;
    fn wide(self) -> u32;
    fn distance(self, other: Self) -> u32;
}

impl Sample for u8 {
    const LOWEST: Self = Self::MIN;
    const HIGHEST: Self = Self::MAX;
    fn wide(self) -> u32 {
        u32::from(self)
    }
    fn distance(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }
}

impl Sample for u16 {
    const LOWEST: Self = Self::MIN;
    const HIGHEST: Self = Self::MAX;
    fn wide(self) -> u32 {
        u32::from(self)
    }
    fn distance(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }
}

/// Statistics of `frame` and its reduced picture. `previous` is the frame
/// before, or `frame` itself for the first one.
pub(super) fn measure(frame: &Frame, previous: &Frame, reduction: Reduction) -> (FrameLuma, Reduced) {
    let (width, height) = (frame.width(0), frame.height(0));
    let mut luma = FrameLuma { sum: 0, min: u16::MAX, max: 0, difference: 0 };
    let mut reduced = Reduced {
        width: reduction.width,
        height: reduction.height,
        samples: Vec::with_capacity(reduction.width * reduction.height),
    };
    let mut columns = vec![0u32; width];
    for top in (0..height).step_by(reduction.factor) {
        columns.fill(0);
        let bottom = (top + reduction.factor).min(height);
        for y in top..bottom {
            match (frame.row(0, y), previous.row(0, y)) {
                (Row::Bytes(row), Row::Bytes(before)) => luma.add(row, before, &mut columns),
                (Row::Words(row), Row::Words(before)) => luma.add(row, before, &mut columns),
                _ => unreachable!("all frames of a clip have one format"),
            }
        }
        // At most 2^16 rows of 16-bit samples would fit: far more than one band has.
        luma.sum += columns.iter().map(|&c| u64::from(c)).sum::<u64>();
        if bottom - top == reduction.factor {
            reduced.push_band(&columns, reduction);
        }
    }
    (luma, reduced)
}

impl FrameLuma {
    fn add<S: Sample>(&mut self, row: &[S], before: &[S], columns: &mut [u32])
    where
        u16: From<S>,
    {
        let (mut min, mut max) = (S::HIGHEST, S::LOWEST);
        for &sample in row {
            min = min.min(sample);
            max = max.max(sample);
        }
        self.min = self.min.min(min.into());
        self.max = self.max.max(max.into());
        for (column, &sample) in columns.iter_mut().zip(row) {
            *column += sample.wide();
        }
        // 2^16 differences below 2^16 fit 32 bits, which vectorises best.
        for (row, before) in row.chunks(1 << 16).zip(before.chunks(1 << 16)) {
            self.difference += u64::from(row.iter().zip(before).map(|(&a, &b)| a.distance(b)).sum::<u32>());
        }
    }
}

impl Reduced {
    fn push_band(&mut self, columns: &[u32], reduction: Reduction) {
        let samples = (reduction.factor * reduction.factor) as u64;
        let scale = samples << (reduction.bits - 8);
        for square in columns.chunks_exact(reduction.factor).take(self.width) {
            let sum: u64 = square.iter().map(|&c| u64::from(c)).sum();
            self.samples.push(((sum << 4) / scale) as i16);
        }
    }
}
