//! XYB, the colour space of SSIMULACRA2, of a picture scale by scale: one row at
//! a time, while the next smaller scale is made.

use multiversion::multiversion;

use super::blur::Blur;
use super::linear::{self, Linear};
use crate::source::Picture;

/// Standard deviation of the metric's blur, in samples.
const SIGMA: f64 = 1.5;

/// One side of a comparison at one scale.
pub(super) struct Side<'a> {
    rows: Rows<'a>,
    width: usize,
    height: usize,
    /// X and B are made only where they are used.
    red_green: bool,
    blue: bool,
    xyb: [Vec<f32>; 3],
    halved: Halved,
}

/// Linear BT.709 RGB, from the top.
enum Rows<'a> {
    Picture(linear::Rows<'a>),
    Planes { planes: [Vec<f32>; 3], next: usize },
}

/// The next scale: means of 2×2 samples; an odd last column or row counts twice.
struct Halved {
    planes: [Vec<f32>; 3],
    /// The upper row of a pair that is not complete.
    above: [Vec<f32>; 3],
    rows: usize,
}

impl<'a> Side<'a> {
    /// The picture itself. `used` says of X, Y and B whether they are wanted.
    pub fn new(linear: &'a Linear, picture: &'a Picture, used: [bool; 3]) -> Self {
        let window = linear.window();
        Self::of(Rows::Picture(linear.read(picture)), (window.width, window.height), used)
    }

    fn of(rows: Rows<'a>, (width, height): (usize, usize), [red_green, _, blue]: [bool; 3]) -> Self {
        let xyb = [red_green, true, blue].map(|used| vec![0.0; if used { width } else { 0 }]);
        let count = width.div_ceil(2) * height.div_ceil(2);
        let halved = Halved {
            planes: [(); 3].map(|()| Vec::with_capacity(count)),
            above: [(); 3].map(|()| vec![0.0; width]),
            rows: 0,
        };
        Self { rows, width, height, red_green, blue, xyb, halved }
    }

    /// The same picture at half the size, once all rows are read.
    pub fn smaller(mut self, used: [bool; 3]) -> Self {
        self.halved.finish();
        let size = (self.width.div_ceil(2), self.height.div_ceil(2));
        Self::of(Rows::Planes { planes: self.halved.planes, next: 0 }, size, used)
    }

    /// The blur of this scale's planes.
    pub fn blur(&self) -> Blur {
        Blur::new(self.width, self.height, SIGMA)
    }

    /// The next row of X, Y and B, shifted and scaled so that the planes are
    /// positive and comparable; unused ones are empty.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn next(&mut self) -> &[Vec<f32>; 3] {
        let width = self.width;
        let rgb = match &mut self.rows {
            Rows::Picture(rows) => {
                let row = rows.next().expect("a row is read once");
                [row.r, row.g, row.b]
            }
            Rows::Planes { planes, next } => {
                let start = *next * width;
                *next += 1;
                planes.each_ref().map(|plane| &plane[start..start + width])
            }
        };
        self.halved.take(rgb);
        positive_xyb(rgb, &mut self.xyb, self.red_green, self.blue);
        &self.xyb
    }
}

impl Halved {
    fn take(&mut self, rgb: [&[f32]; 3]) {
        if self.rows.is_multiple_of(2) {
            for (above, row) in self.above.iter_mut().zip(rgb) {
                above.copy_from_slice(row);
            }
        } else {
            for ((plane, above), below) in self.planes.iter_mut().zip(&self.above).zip(rgb) {
                extend_by_means(plane, above, below);
            }
        }
        self.rows += 1;
    }

    fn finish(&mut self) {
        if self.rows % 2 == 1 {
            for (plane, last) in self.planes.iter_mut().zip(&self.above) {
                extend_by_means(plane, last, last);
            }
        }
    }
}

fn extend_by_means(plane: &mut Vec<f32>, above: &[f32], below: &[f32]) {
    let pairs = above.chunks_exact(2).zip(below.chunks_exact(2));
    plane.extend(pairs.map(|(a, b)| 0.25 * (a[0] + b[0] + a[1] + b[1])));
    if let ([a], [b]) = (above.chunks_exact(2).remainder(), below.chunks_exact(2).remainder()) {
        plane.push(0.25 * (a + b + a + b));
    }
}

/// XYB (as in JPEG XL), shifted and scaled as SSIMULACRA2 does.
#[multiversion(targets = "simd")]
fn positive_xyb(rgb: [&[f32]; 3], xyb: &mut [Vec<f32>; 3], red_green: bool, blue: bool) {
    let count = rgb[0].len();
    let [r, g, b] = rgb.map(|p| &p[..count]);
    let [xs, ys, bs] = xyb;
    let ys = &mut ys[..count];
    if red_green {
        let xs = &mut xs[..count];
        for i in 0..count {
            let (long, medium) = receptors(r[i], g[i], b[i]);
            ys[i] = 0.5 * (long + medium) + 0.01;
            xs[i] = 14.0 * 0.5 * (long - medium) + 0.42;
        }
    } else {
        for i in 0..count {
            let (long, medium) = receptors(r[i], g[i], b[i]);
            ys[i] = 0.5 * (long + medium) + 0.01;
        }
    }
    if blue {
        for (i, out) in bs.iter_mut().enumerate() {
            let short = receptor(0.243_422_69 * r[i] + 0.204_767_45 * g[i] + 0.551_809_86 * b[i]);
            *out = short - (ys[i] - 0.01) + 0.55;
        }
    }
}

/// Answers of the receptors for long and medium waves.
#[inline]
fn receptors(r: f32, g: f32, b: f32) -> (f32, f32) {
    (receptor(0.30 * r + 0.622 * g + 0.078 * b), receptor(0.23 * r + 0.692 * g + 0.078 * b))
}

/// A receptor's answer to light.
#[inline]
fn receptor(light: f32) -> f32 {
    const BIAS: f32 = 0.003_793_073_4;
    const BIAS_ROOT: f32 = 0.155_954_2;
    cube_root((light + BIAS).max(0.0)) - BIAS_ROOT
}

/// Cube root of a value that is not negative, to the precision of `f32`; unlike
/// the library's it vectorises. A third of the exponent is the first guess
/// (good to 4 %), Halley's rule triples the digits each time.
#[inline]
fn cube_root(v: f32) -> f32 {
    let mut root = f32::from_bits(v.to_bits() / 3 + 0x2a51_1cd0);
    for _ in 0..2 {
        let cube = root * root * root;
        root *= (cube + 2.0 * v) / (2.0 * cube + v);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_cube_root_is_a_cube_root() {
        for i in 0..40_000 {
            let v = 1.000_5_f32.powi(i - 28_000);
            let wanted = v.cbrt();
            assert!((cube_root(v) - wanted).abs() <= 4e-7 * wanted, "{v}");
        }
        assert!(cube_root(0.0).abs() < 1e-12);
    }

    #[test]
    fn halving_takes_means_and_counts_odd_edges_twice() {
        let mut halved =
            Halved { planes: Default::default(), above: [(); 3].map(|()| vec![0.0; 3]), rows: 0 };
        for row in [[1.0, 3.0, 10.0], [5.0, 7.0, 20.0], [2.0, 4.0, 30.0]] {
            halved.take([&row; 3]);
        }
        halved.finish();
        assert_eq!(halved.planes[2], [4.0, 15.0, 3.0, 30.0]);
    }
}
