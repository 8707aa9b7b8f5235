//! What one look at the luma plane of a frame yields.

use std::ops::AddAssign;

use crate::source::{Frame, Row};

/// The reduced picture's shorter side has at least as many samples; see [`Reduction`].
const REDUCED_SIDE: usize = 90;
/// Rows of 8-bit samples whose sum fits 16 bits.
const LARGEST_FACTOR: usize = 256;
/// As many differences, or sums of a band's columns, fit 32 bits, which vectorises best.
const FIT_32_BITS: usize = 1 << 16;
const COLUMNS_FIT_32_BITS: usize = FIT_32_BITS / LARGEST_FACTOR;

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
        let factor = (width.min(height) / REDUCED_SIDE).clamp(1, LARGEST_FACTOR);
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
    pub mean: i16,
    /// Mean absolute difference to the mean.
    pub spread: i16,
    /// How many samples are below each 8-bit code value plus one.
    pub cumulative: Vec<u32>,
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

/// A sample of the source.
trait Sample: Copy + Ord + Into<u16> {
    const LOWEST: Self;
    const HIGHEST: Self;
    /// Holds the sum of [`LARGEST_FACTOR`] samples.
    type Column: Copy + Default + AddAssign + From<Self> + Into<u32>;
    fn distance(self, other: Self) -> u32;
    fn of(row: Row<'_>) -> &[Self];
}

impl Sample for u8 {
    const LOWEST: Self = Self::MIN;
    const HIGHEST: Self = Self::MAX;
    type Column = u16;
    fn distance(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }
    fn of(row: Row<'_>) -> &[Self] {
        let Row::Bytes(row) = row else { unreachable!("all frames of a clip have one format") };
        row
    }
}

impl Sample for u16 {
    const LOWEST: Self = Self::MIN;
    const HIGHEST: Self = Self::MAX;
    type Column = u32;
    fn distance(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }
    fn of(row: Row<'_>) -> &[Self] {
        let Row::Words(row) = row else { unreachable!("all frames of a clip have one format") };
        row
    }
}

/// Statistics of `frame` and its reduced picture. `previous` is the frame
/// before, or `frame` itself for the first one.
pub(super) fn measure(frame: &Frame, previous: &Frame, reduction: Reduction) -> (FrameLuma, Reduced) {
    match frame.bits() {
        8 => look_at::<u8>(frame, previous, reduction),
        _ => look_at::<u16>(frame, previous, reduction),
    }
}

fn look_at<S: Sample>(frame: &Frame, previous: &Frame, reduction: Reduction) -> (FrameLuma, Reduced) {
    let (width, height) = (frame.width(0), frame.height(0));
    let mut luma = FrameLuma { sum: 0, min: u16::MAX, max: 0, difference: 0 };
    let mut samples = Vec::with_capacity(reduction.width * reduction.height);
    let mut columns = vec![S::Column::default(); width];
    for top in (0..height).step_by(reduction.factor) {
        columns.fill(S::Column::default());
        let bottom = (top + reduction.factor).min(height);
        for y in top..bottom {
            luma.add(S::of(frame.row(0, y)), S::of(previous.row(0, y)), &mut columns);
        }
        let sums = columns.chunks(COLUMNS_FIT_32_BITS);
        luma.sum += sums.map(|c| u64::from(c.iter().map(|&c| c.into()).sum::<u32>())).sum::<u64>();
        if bottom - top == reduction.factor {
            reduction.push_band(&columns, &mut samples);
        }
    }
    (luma, Reduced::new(reduction.width, reduction.height, samples))
}

impl FrameLuma {
    fn add<S: Sample>(&mut self, row: &[S], before: &[S], columns: &mut [S::Column]) {
        let (mut min, mut max) = (S::HIGHEST, S::LOWEST);
        for &sample in row {
            min = min.min(sample);
            max = max.max(sample);
        }
        self.min = self.min.min(min.into());
        self.max = self.max.max(max.into());
        for (column, &sample) in columns.iter_mut().zip(row) {
            *column += S::Column::from(sample);
        }
        for (row, before) in row.chunks(FIT_32_BITS).zip(before.chunks(FIT_32_BITS)) {
            self.difference += u64::from(difference(row, before));
        }
    }
}

impl Reduction {
    /// Adds a row of the reduced picture, given the sums of as many rows as make one.
    fn push_band<C: Copy + Into<u32>>(self, columns: &[C], samples: &mut Vec<i16>) {
        // The usual factors, of 360, 480, 720 and 1080 rows, as constants: the sums unroll.
        match self.factor {
            1 => self.push_squares(columns.iter().map(|&c| c.into()), samples),
            4 => self.push_squares(columns.as_chunks::<4>().0.iter().map(|c| sum(c)), samples),
            5 => self.push_squares(columns.as_chunks::<5>().0.iter().map(|c| sum(c)), samples),
            8 => self.push_squares(columns.as_chunks::<8>().0.iter().map(|c| sum(c)), samples),
            12 => self.push_squares(columns.as_chunks::<12>().0.iter().map(|c| sum(c)), samples),
            factor => self.push_squares(columns.chunks_exact(factor).map(sum), samples),
        }
    }

    fn push_squares(self, sums: impl Iterator<Item = u32>, samples: &mut Vec<i16>) {
        let scale = ((self.factor * self.factor) as u64) << (self.bits - 8);
        // Multiplying is faster than dividing, and the half makes it exact: the
        // quotient of a whole number and a half stays at least half of 1/2^24
        // away from whole numbers, of which there are 4096, so 2^-40 of error is harmless.
        let inverse = 1.0 / scale as f64;
        samples.extend(sums.take(self.width).map(|sum| ((f64::from(sum) * 16.0 + 0.5) * inverse) as i16));
    }
}

/// Sum of the absolute differences of at most 2^16 samples. In blocks of constant
/// length, which the compiler turns into whole registers.
fn difference<S: Sample>(row: &[S], before: &[S]) -> u32 {
    let (blocks, rest) = row.as_chunks::<16>();
    let (blocks_before, rest_before) = before.as_chunks::<16>();
    let apart = |a: &[S], b: &[S]| -> u32 { a.iter().zip(b).map(|(&a, &b)| a.distance(b)).sum() };
    let whole: u32 = blocks.iter().zip(blocks_before).map(|(a, b)| apart(a, b)).sum();
    whole + apart(rest, rest_before)
}

/// Sum of the squares' columns; 256 × 256 samples of 16 bits fit.
fn sum<C: Copy + Into<u32>>(columns: &[C]) -> u32 {
    columns.iter().map(|&c| c.into()).sum()
}

impl Reduced {
    pub fn new(width: usize, height: usize, samples: Vec<i16>) -> Self {
        let total = |of: &dyn Fn(&[i16]) -> u32| -> u64 {
            samples.chunks(FIT_32_BITS).map(|chunk| u64::from(of(chunk))).sum()
        };
        let count = samples.len().max(1) as u64;
        let mean = (total(&|chunk| chunk.iter().map(|&s| s as u32).sum()) / count) as i16;
        let spread =
            total(&|chunk| chunk.iter().map(|&s| u32::from((s - mean).unsigned_abs())).sum()) / count;
        let cumulative = cumulative(&samples);
        Self { width, height, samples, mean, spread: spread as i16, cumulative }
    }
}

fn cumulative(samples: &[i16]) -> Vec<u32> {
    let mut counts = vec![0; 256];
    for &sample in samples {
        counts[usize::from(sample as u16 >> 4) & 255] += 1;
    }
    let mut below = 0;
    for count in &mut counts {
        below += *count;
        *count = below;
    }
    counts
}
