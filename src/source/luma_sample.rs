//! A sample of a picture's luma, small enough to be kept of every frame of a
//! scene: what a probe did to each of them can then be told without rendering
//! the source again.

use anyhow::{Result, ensure};

use super::picture::Picture;

/// Side of a tile in samples: a transform block's, so that a tile sees the
/// damage within blocks and at their edges as often as the picture does.
const TILE: usize = 8;

/// One tile of `STEP × STEP` is kept: a sixteenth of the picture …
const STEP: usize = 4;

/// … but not more tiles than this, 128 KiB of 8 bits: beyond that the mean over
/// the tiles hardly gets surer.
const MOST_TILES: usize = 2048;

/// Squared differences below this, of the code range squared, are rounding: half
/// an 8-bit step everywhere. They count as this, so that all have a logarithm.
const LEAST_ERROR: f64 = (0.5 / 255.0) * (0.5 / 255.0) / 100.0;

/// Which tiles of a picture of a certain size are kept: one of each square of
/// `STEP × STEP` tiles, at a place that differs from square to square so that no
/// regular pattern of the picture hides between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LumaGrid {
    width: usize,
    height: usize,
    /// Left and upper sample of every tile, in raster order of the squares.
    tiles: Vec<(usize, usize)>,
}

/// The luma of one frame at a [`LumaGrid`]'s tiles.
#[derive(Debug, Clone)]
pub struct LumaSample {
    bits: u8,
    samples: Samples,
}

#[derive(Debug, Clone)]
enum Samples {
    /// The upper 8 of the picture's bits; the others are 0.
    Narrow(Box<[u8]>),
    Wide(Box<[u16]>),
}

impl LumaGrid {
    /// For luma planes of `width × height` samples, both at least 1.
    pub fn new(width: usize, height: usize) -> Self {
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let (across, down) = (columns.div_ceil(STEP), rows.div_ceil(STEP));
        let mut tiles = Vec::with_capacity(across * down);
        // Every so many squares, where there are more than enough.
        let every = (across * down).div_ceil(MOST_TILES);
        for square in (0..across * down).step_by(every) {
            let (x, y) = (square % across, square / across);
            // Multiplicative hashing (Knuth, TAOCP 6.4): the upper bits are well mixed.
            let place = (square as u32).wrapping_mul(2_654_435_769) >> 28;
            let column = (x * STEP + place as usize % STEP).min(columns - 1);
            let row = (y * STEP + place as usize / STEP).min(rows - 1);
            tiles.push((column * TILE, row * TILE));
        }
        Self { width, height, tiles }
    }

    /// Samples of the tiles, row by row; `row(y)` is row `y` of the luma plane.
    fn each<'a, T: 'a>(&self, row: impl Fn(usize) -> &'a [T], mut take: impl FnMut(&'a [T])) {
        for &(left, top) in &self.tiles {
            for y in top..(top + TILE).min(self.height) {
                take(&row(y)[left..(left + TILE).min(self.width)]);
            }
        }
    }

    /// Bytes of the sample of one frame, at most.
    pub fn bytes(&self) -> usize {
        2 * TILE * TILE * self.tiles.len()
    }

    /// The sample of `picture`.
    pub fn sample(&self, picture: &Picture) -> Result<LumaSample> {
        let found = (picture.width, picture.height);
        ensure!(
            found == (self.width, self.height),
            "a picture is {}x{} in a clip of {}x{}; an encoder keeps the size unless it is told not to, for \
             instance with --resize-mode",
            found.0,
            found.1,
            self.width,
            self.height
        );
        let plane = &picture.planes[0];
        let row = |y: usize| &plane[y * self.width..(y + 1) * self.width];
        let mut all = 0;
        self.each(row, |part| all = part.iter().fold(all, |all, sample| all | sample));
        let shift = picture.bits - 8;
        let samples = if all & ((1 << shift) - 1) == 0 {
            let mut narrow = Vec::with_capacity(self.bytes() / 2);
            self.each(row, |part| narrow.extend(part.iter().map(|sample| (sample >> shift) as u8)));
            Samples::Narrow(narrow.into())
        } else {
            let mut wide = Vec::with_capacity(self.bytes() / 2);
            self.each(row, |part| wide.extend_from_slice(part));
            Samples::Wide(wide.into())
        };
        Ok(LumaSample { bits: picture.bits, samples })
    }
}

impl LumaSample {
    /// Mean squared difference to another picture of the same grid, as a share
    /// of the code range squared (0 to 1); not below a tiny value, so that it has
    /// a logarithm.
    pub fn mean_squared_error(&self, other: &Self) -> Result<f64> {
        ensure!(self.bits == other.bits, "pictures of {} and {} bits are compared", self.bits, other.bits);
        ensure!(self.len() == other.len(), "pictures of different sizes are compared");
        let shift = self.bits - 8;
        let wide = |narrow: &u8| u16::from(*narrow) << shift;
        let sum = match (&self.samples, &other.samples) {
            (Samples::Narrow(a), Samples::Narrow(b)) => squares(a.iter().map(wide), b.iter().map(wide)),
            (Samples::Narrow(a), Samples::Wide(b)) | (Samples::Wide(b), Samples::Narrow(a)) => {
                squares(a.iter().map(wide), b.iter().copied())
            }
            (Samples::Wide(a), Samples::Wide(b)) => squares(a.iter().copied(), b.iter().copied()),
        };
        let range = f64::from((1u32 << self.bits) - 1);
        Ok((sum as f64 / self.len() as f64 / (range * range)).max(LEAST_ERROR))
    }

    fn len(&self) -> usize {
        match &self.samples {
            Samples::Narrow(samples) => samples.len(),
            Samples::Wide(samples) => samples.len(),
        }
    }
}

fn squares(a: impl Iterator<Item = u16>, b: impl Iterator<Item = u16>) -> u64 {
    a.zip(b).map(|(a, b)| u64::from(u32::from(a.abs_diff(b)).pow(2))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random luma of 10 bits by a linear congruence (Numerical Recipes' constants).
    fn noise(width: usize, height: usize, seed: u32, most: u16) -> Picture {
        let mut picture = Picture::filled(width, height, 10, 0, 512);
        let mut state = seed;
        for sample in &mut picture.planes[0] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (state >> 16) as u16 % most;
        }
        picture
    }

    fn error(grid: &LumaGrid, a: &Picture, b: &Picture) -> f64 {
        grid.sample(a).unwrap().mean_squared_error(&grid.sample(b).unwrap()).unwrap()
    }

    #[test]
    fn a_constant_difference_is_its_square() {
        for (width, height) in [(854, 480), (1920, 1080), (3840, 2160), (64, 64), (5, 3), (1, 1)] {
            let grid = LumaGrid::new(width, height);
            let (a, b) =
                (Picture::filled(width, height, 10, 100, 0), Picture::filled(width, height, 10, 151, 0));
            let wanted = (51.0_f64 / 1023.0).powi(2);
            assert!((error(&grid, &a, &b) - wanted).abs() < 1e-12, "{width}x{height}");
            assert!(grid.bytes() <= 2 * 64 * MOST_TILES, "{width}x{height}: {} bytes", grid.bytes());
        }
    }

    #[test]
    fn the_sample_tells_the_error_of_the_whole_picture() {
        let (a, mut b) = (noise(854, 480, 1, 1024), noise(854, 480, 2, 1024));
        // The right half is the same in both.
        for y in 0..480 {
            for x in 427..854 {
                b.planes[0][y * 854 + x] = a.planes[0][y * 854 + x];
            }
        }
        let pairs = || a.planes[0].iter().zip(&b.planes[0]);
        let sum: f64 = pairs().map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        let whole = sum / pairs().count() as f64 / 1023.0_f64.powi(2);
        let sampled = error(&LumaGrid::new(854, 480), &a, &b);
        // A sixteenth of the tiles, half of which differ: within some per cent.
        assert!((sampled / whole - 1.0).abs() < 0.08, "{sampled} is not {whole}");
    }

    #[test]
    fn narrow_and_wide_samples_compare_alike() {
        let grid = LumaGrid::new(40, 24);
        let mut eight = noise(40, 24, 3, 256);
        eight.planes[0].iter_mut().for_each(|sample| *sample <<= 2);
        let ten = noise(40, 24, 4, 1024);
        assert!(matches!(grid.sample(&eight).unwrap().samples, Samples::Narrow(_)));
        assert!(matches!(grid.sample(&ten).unwrap().samples, Samples::Wide(_)));
        assert_eq!(error(&grid, &eight, &ten).to_bits(), error(&grid, &ten, &eight).to_bits());
        assert!(error(&grid, &eight, &eight) > 0.0, "it must have a logarithm");
    }

    #[test]
    fn other_sizes_and_depths_are_errors() {
        let grid = LumaGrid::new(40, 24);
        let error = grid.sample(&Picture::filled(40, 22, 10, 0, 0)).unwrap_err().to_string();
        assert!(error.contains("40x22") && error.contains("40x24"), "{error}");
        let (ten, eight) = (Picture::filled(40, 24, 10, 0, 0), Picture::filled(40, 24, 8, 0, 0));
        assert!(grid.sample(&ten).unwrap().mean_squared_error(&grid.sample(&eight).unwrap()).is_err());
    }
}
