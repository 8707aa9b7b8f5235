//! SSIMULACRA2 as Vship computes it, on the CPU.
//!
//! The crates that offer the metric follow libjxl's program, whose recursive
//! blur darkens the borders; Vship's does not, and its scores are what targets
//! were tuned with. On `tests/data/metric-parity` the two ways are up to eight
//! points apart. Formulas: J. Sneyers, SSIMULACRA 2 (Cloudinary, 2022).

use super::blur::Blur;

/// What one plane of one scale adds to the sum that becomes the score.
struct Part {
    /// X, Y or B of XYB.
    plane: usize,
    /// Halvings of the picture's sides.
    scale: usize,
    /// Weights of the three maps' means: structure, artifact, lost detail.
    mean: [f64; 3],
    /// Weights of their 4-norms.
    norm4: [f64; 3],
}

/// The metric's weights above 0.01. The other 83 are below 0.002 and move no
/// score by more than 0.01; Vship leaves them out too.
const PARTS: [Part; 11] = [
    Part { plane: 0, scale: 1, mean: [0.0; 3], norm4: [1.104_172_642_665_734_6, 0.0, 0.0] },
    Part {
        plane: 0,
        scale: 2,
        mean: [0.0; 3],
        norm4: [1.842_245_552_053_929_8, 11.441_172_603_757_666, 0.0],
    },
    Part { plane: 0, scale: 3, mean: [0.0; 3], norm4: [1.878_759_497_954_638_7, 10.949_069_906_051_42, 0.0] },
    Part {
        plane: 0,
        scale: 4,
        mean: [0.0, 0.967_793_708_062_683_3, 0.0],
        norm4: [0.0, 0.998_176_697_785_496_7, 0.0],
    },
    Part { plane: 1, scale: 0, mean: [0.0; 3], norm4: [7.466_890_328_078_848, 0.0, 17.445_833_984_131_262] },
    Part { plane: 1, scale: 1, mean: [0.0; 3], norm4: [6.683_678_146_179_332, 0.0, 1.027_889_937_768_264] },
    Part {
        plane: 1,
        scale: 2,
        mean: [225.205_153_008_492_74, 0.0, 0.0],
        norm4: [19.213_238_186_143_016, 0.0, 0.0],
    },
    Part {
        plane: 1,
        scale: 3,
        mean: [176.393_175_984_506_94, 0.0, 0.0],
        norm4: [24.433_009_998_704_76, 0.285_208_026_121_177_57, 0.0],
    },
    Part { plane: 1, scale: 4, mean: [0.0; 3], norm4: [34.779_063_444_837_72, 44.835_625_328_877_896, 0.0] },
    Part { plane: 2, scale: 3, mean: [0.0; 3], norm4: [8.826_982_764_996_862, 23.192_433_439_989_26, 0.0] },
    Part {
        plane: 2,
        scale: 4,
        mean: [95.108_049_881_108_6, 0.986_397_803_440_068_2, 0.983_438_279_246_535_3],
        norm4: [0.0, 171.266_725_589_730_7, 0.980_785_887_243_537_9],
    },
];

const SCALES: usize = 5;

/// Standard deviation of the blur, in samples.
const SIGMA: f64 = 1.5;

/// The reference side of a picture: of every part its samples, their blur and
/// the blur of their squares.
pub(super) struct Reference {
    width: usize,
    height: usize,
    parts: Vec<[Vec<f32>; 3]>,
}

/// Linear BT.709 RGB in three planes of `width · height`.
pub(super) struct Rgb {
    pub width: usize,
    pub height: usize,
    pub planes: [Vec<f32>; 3],
}

impl Reference {
    /// Bytes a reference takes per pixel: three planes of every part.
    pub const BYTES_PER_PIXEL: usize = 21;

    pub fn new(picture: Rgb) -> Self {
        let (width, height) = (picture.width, picture.height);
        let mut parts: Vec<[Vec<f32>; 3]> = (0..PARTS.len()).map(|_| Default::default()).collect();
        for_each_part(picture, |index, blur, samples| {
            let mean = blur.plane(|row, out| out.copy_from_slice(&samples[row]));
            let square = blur.plane(|row, out| {
                for (out, s) in out.iter_mut().zip(&samples[row]) {
                    *out = s * s;
                }
            });
            parts[index] = [samples.to_vec(), mean, square];
        });
        Self { width, height, parts }
    }

    /// The score of a picture of the same size: 100 when identical.
    pub fn compare(&self, distorted: Rgb) -> f64 {
        debug_assert_eq!((self.width, self.height), (distorted.width, distorted.height));
        let mut sum = 0.0;
        for_each_part(distorted, |index, blur, samples| {
            let reference = &self.parts[index];
            let mean = blur.plane(|row, out| out.copy_from_slice(&samples[row]));
            let square = blur.plane(|row, out| {
                for (out, s) in out.iter_mut().zip(&samples[row]) {
                    *out = s * s;
                }
            });
            let product = blur.plane(|row, out| {
                for ((out, a), b) in out.iter_mut().zip(&reference[0][row.clone()]).zip(&samples[row]) {
                    *out = a * b;
                }
            });
            let maps = Maps { reference, samples, mean: &mean, square: &square, product: &product };
            sum += PARTS[index].weigh(&maps);
        });
        score(sum)
    }
}

/// The mapping of the weighted sum to 0 … 100 and below.
fn score(sum: f64) -> f64 {
    let s = sum * 0.956_238_261_683_484_4;
    let s = 2.326_765_642_916_932 * s - 0.020_884_521_182_843_837 * s.powi(2)
        + 6.248_496_625_763_138e-5 * s.powi(3);
    if s > 0.0 { 100.0 - 10.0 * s.powf(0.627_633_646_783_138_7) } else { 100.0 }
}

/// Calls `visit(index into PARTS, blur of that size, samples)` for every part.
fn for_each_part(mut picture: Rgb, mut visit: impl FnMut(usize, &Blur, &[f32])) {
    for scale in 0..SCALES {
        let blur = Blur::new(picture.width, picture.height, SIGMA);
        let used = |plane| PARTS.iter().any(|p| p.scale == scale && p.plane == plane);
        let xyb = picture.positive_xyb(used(0), used(2));
        // Before the visits, so that the larger one is gone while they need memory.
        if scale + 1 < SCALES {
            picture = picture.halved();
        }
        for (index, part) in PARTS.iter().enumerate().filter(|(_, p)| p.scale == scale) {
            visit(index, &blur, &xyb[part.plane]);
        }
    }
}

impl Rgb {
    /// Means of 2×2 samples; an odd last column or row counts twice.
    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let planes = self.planes.each_ref().map(|plane| {
            let mut out = Vec::with_capacity(width * height);
            for y in 0..height {
                let row = |y: usize| &plane[y.min(self.height - 1) * self.width..][..self.width];
                let (above, below) = (row(2 * y), row(2 * y + 1));
                let pairs = above.chunks(2).zip(below.chunks(2));
                out.extend(pairs.map(|(a, b)| 0.25 * (a[0] + b[0] + a[a.len() - 1] + b[b.len() - 1])));
            }
            out
        });
        Self { width, height, planes }
    }

    /// XYB shifted and scaled so that its planes are positive and comparable;
    /// the first and the last plane stay empty unless they are asked for.
    fn positive_xyb(&self, red_green: bool, blue: bool) -> [Vec<f32>; 3] {
        let count = self.width * self.height;
        let mut xs = vec![0.0; if red_green { count } else { 0 }];
        let mut ys = vec![0.0; count];
        let [r, g, b] = self.planes.each_ref().map(|p| &p[..count]);
        for i in 0..count {
            let long = receptor(0.30 * r[i] + 0.622 * g[i] + 0.078 * b[i]);
            let medium = receptor(0.23 * r[i] + 0.692 * g[i] + 0.078 * b[i]);
            ys[i] = 0.5 * (long + medium) + 0.01;
            if let Some(x) = xs.get_mut(i) {
                *x = 14.0 * 0.5 * (long - medium) + 0.42;
            }
        }
        let mut bs = Vec::new();
        if blue {
            bs.extend((0..count).map(|i| {
                let short = receptor(0.243_422_69 * r[i] + 0.204_767_45 * g[i] + 0.551_809_86 * b[i]);
                short - (ys[i] - 0.01) + 0.55
            }));
        }
        [xs, ys, bs]
    }
}

/// A receptor's answer to light.
fn receptor(light: f32) -> f32 {
    const BIAS: f32 = 0.003_793_073_4;
    const BIAS_ROOT: f32 = 0.155_954_2;
    cube_root((light + BIAS).max(0.0)) - BIAS_ROOT
}

/// Cube root of a value that is not negative, to the precision of `f32`; unlike
/// the library's it vectorises. A third of the exponent is the first guess
/// (good to 4 %), Halley's rule triples the digits each time.
fn cube_root(v: f32) -> f32 {
    let mut root = f32::from_bits(v.to_bits() / 3 + 0x2a51_1cd0);
    for _ in 0..2 {
        let cube = root * root * root;
        root *= (cube + 2.0 * v) / (2.0 * cube + v);
    }
    root
}

/// Reference and distorted side of a part, sample by sample.
struct Maps<'a> {
    reference: &'a [Vec<f32>; 3],
    samples: &'a [f32],
    mean: &'a [f32],
    square: &'a [f32],
    product: &'a [f32],
}

impl Part {
    /// The weighted norms of the part's three maps.
    fn weigh(&self, maps: &Maps<'_>) -> f64 {
        let count = maps.samples.len();
        let [samples, mean, square] = cut(maps.reference, count);
        let (mut sums, mut fourths) = ([0.0_f64; 3], [0.0_f64; 3]);
        for i in 0..count {
            let (m1, m2) = (mean[i], maps.mean[i]);
            let luminance = 1.0 - (m1 - m2).powi(2);
            let structure = 2.0 * (maps.product[i] - m1 * m2) + 0.0009;
            let energy = square[i] - m1 * m1 + (maps.square[i] - m2 * m2) + 0.0009;
            let edge = (1.0 + (maps.samples[i] - m2).abs()) / (1.0 + (samples[i] - m1).abs()) - 1.0;
            let errors = [(1.0 - luminance * structure / energy).max(0.0), edge.max(0.0), (-edge).max(0.0)];
            for (map, error) in errors.into_iter().enumerate() {
                let error = f64::from(error);
                sums[map] += error;
                fourths[map] += (error * error) * (error * error);
            }
        }
        let per_sample = (count as f64).recip();
        (0..3)
            .map(|map| {
                self.mean[map] * sums[map] * per_sample
                    + self.norm4[map] * (fourths[map] * per_sample).sqrt().sqrt()
            })
            .sum()
    }
}

/// The planes cut to `count`, so that the compiler sees their common length.
fn cut(planes: &[Vec<f32>; 3], count: usize) -> [&[f32]; 3] {
    planes.each_ref().map(|p| &p[..count])
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
}
