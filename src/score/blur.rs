//! A Gaussian blur whose weights are renormalised where the picture ends, for
//! planes that come row by row.

use multiversion::multiversion;

/// Samples on each side that the kernel reaches: a blurred row is known so many
/// rows later.
pub(super) const RADIUS: usize = 8;
const TAPS: usize = 2 * RADIUS + 1;

/// Columns that are worked on at once, so that their sums stay in registers.
const LANES: usize = 16;

/// A blur for planes of one size.
pub(super) struct Blur {
    width: usize,
    height: usize,
    kernel: [f32; TAPS],
    /// One over the weights inside the picture, by column and by row.
    across: Vec<f32>,
    down: Vec<f32>,
}

/// A plane on its way through a [`Blur`].
pub(super) struct Stream {
    /// A row between zeros, which stand for what is outside the picture.
    source: Vec<f32>,
    /// The last rows, blurred across; row y is number `y % TAPS`.
    recent: Vec<f32>,
    /// The row that was asked for last.
    row: Vec<f32>,
    stride: usize,
    pushed: usize,
}

impl Blur {
    pub fn new(width: usize, height: usize, sigma: f64) -> Self {
        let kernel: [f64; TAPS] =
            std::array::from_fn(|i| (-(i as f64 - RADIUS as f64).powi(2) / (2.0 * sigma * sigma)).exp());
        let inverse = |length: usize| {
            let inside = |at: usize| {
                let taps = RADIUS.saturating_sub(at)..TAPS.min(length + RADIUS - at);
                kernel[taps].iter().sum::<f64>().recip() as f32
            };
            (0..length).map(inside).collect()
        };
        Self {
            width,
            height,
            kernel: kernel.map(|k| k as f32),
            across: inverse(width),
            down: inverse(height),
        }
    }

    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    pub fn stream(&self) -> Stream {
        let stride = self.width.next_multiple_of(LANES);
        Stream {
            source: vec![0.0; stride + 2 * RADIUS],
            recent: vec![0.0; TAPS * stride],
            row: vec![0.0; stride],
            stride,
            pushed: 0,
        }
    }
}

/// Blurs a row whose samples lie [`RADIUS`] into `source`; `inverse` is one over
/// the weights inside the picture.
#[multiversion(targets = "simd")]
fn blur_across(kernel: &[f32; TAPS], source: &[f32], inverse: &[f32], out: &mut [f32]) {
    for (x, out) in out.chunks_exact_mut(LANES).enumerate() {
        let mut sums = [0.0; LANES];
        for (tap, &weight) in kernel.iter().enumerate() {
            let samples = &source[x * LANES + tap..][..LANES];
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += weight * sample;
            }
        }
        out.copy_from_slice(&sums);
    }
    for (out, inverse) in out.iter_mut().zip(inverse) {
        *out *= inverse;
    }
}

/// The row in the middle of `rows`.
#[multiversion(targets = "simd")]
fn blur_down(kernel: &[f32; TAPS], rows: &[&[f32]; TAPS], inverse: f32, out: &mut [f32]) {
    for (x, out) in out.chunks_exact_mut(LANES).enumerate() {
        let mut sums = [0.0; LANES];
        for (row, &weight) in rows.iter().zip(kernel) {
            for (sum, sample) in sums.iter_mut().zip(&row[x * LANES..][..LANES]) {
                *sum += weight * sample;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum * inverse;
        }
    }
}

impl Stream {
    /// Takes the plane's next row, which `fill` writes. After the last row the
    /// stream takes [`RADIUS`] more without asking for them.
    pub fn push(&mut self, blur: &Blur, fill: impl FnOnce(&mut [f32])) {
        let slot = &mut self.recent[self.pushed % TAPS * self.stride..][..self.stride];
        if self.pushed < blur.height {
            fill(&mut self.source[RADIUS..][..blur.width]);
            blur_across(&blur.kernel, &self.source, &blur.across, slot);
        } else {
            slot.fill(0.0);
        }
        self.pushed += 1;
    }

    /// The blurred row [`RADIUS`] above the one pushed last.
    pub fn row(&mut self, blur: &Blur) -> &[f32] {
        let middle = self.pushed - 1 - RADIUS;
        let rows: [&[f32]; TAPS] = std::array::from_fn(|tap| {
            // Row `middle + tap − RADIUS`; those above the picture are zeros yet.
            &self.recent[(middle + tap + TAPS - RADIUS) % TAPS * self.stride..][..self.stride]
        });
        blur_down(&blur.kernel, &rows, blur.down[middle], &mut self.row);
        &self.row[..blur.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blurred(width: usize, height: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let blur = Blur::new(width, height, 1.5);
        let mut stream = blur.stream();
        let mut plane = Vec::new();
        for y in 0..height + RADIUS {
            stream.push(&blur, |row| row.iter_mut().enumerate().for_each(|(x, out)| *out = at(x, y)));
            if y >= RADIUS {
                plane.extend_from_slice(stream.row(&blur));
            }
        }
        plane
    }

    #[test]
    fn a_flat_plane_stays_flat_up_to_its_edges() {
        for (width, height) in [(8, 8), (33, 5), (100, 40)] {
            let blurred = blurred(width, height, |_, _| 0.7);
            assert_eq!(blurred.len(), width * height);
            assert!(blurred.iter().all(|v| (v - 0.7).abs() < 1e-6), "{width}x{height}");
        }
    }

    /// A single sample becomes the Gaussian itself: exp(−r²/2σ²) / 2πσ².
    #[test]
    fn a_point_becomes_a_gaussian() {
        let blurred = blurred(40, 30, |x, y| if (x, y) == (20, 15) { 1.0 } else { 0.0 });
        let at = |x: usize, y: usize| f64::from(blurred[y * 40 + x]);
        for (dx, dy) in [(0, 0), (1, 0), (0, 2), (3, 1), (8, 0)] {
            let squared = (dx * dx + dy * dy) as f64;
            let wanted = (-squared / 4.5).exp() / (4.5 * std::f64::consts::PI);
            assert!((at(20 + dx, 15 + dy) - wanted).abs() < 1e-5, "{dx} {dy}");
        }
        assert!(at(29, 15).abs() < 1e-12);
    }
}
