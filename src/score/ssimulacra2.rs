//! SSIMULACRA2 as Vship computes it, on the CPU.
//!
//! The crates that offer the metric follow libjxl's program, whose recursive
//! blur darkens the borders; Vship's does not, and its scores are what targets
//! were tuned with. On `tests/data/metric-parity` the two ways are up to eight
//! points apart. Formulas: J. Sneyers, SSIMULACRA 2 (Cloudinary, 2022).

use multiversion::multiversion;

use super::blur::{Blur, RADIUS, Stream};
use super::linear::Linear;
use super::xyb::Side;
use crate::source::Picture;

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

/// The reference side of a picture, kept for further comparisons: of every part
/// its samples, their blur and the blur of their squares.
pub(super) struct Reference {
    parts: Vec<[Vec<f32>; 3]>,
}

impl Reference {
    /// Bytes a reference takes per pixel: three planes of every part.
    pub const BYTES_PER_PIXEL: usize = 21;

    pub fn new(linear: &Linear, picture: &Picture) -> Self {
        let mut parts = vec![<[Vec<f32>; 3]>::default(); PARTS.len()];
        let mut side = Side::new(linear, picture, used(0));
        for scale in 0..SCALES {
            let blur = side.blur();
            let (width, height) = blur.size();
            let mut moments: Vec<_> = of_scale(scale).map(|index| (index, Moments::new(&blur))).collect();
            for (index, _) in &moments {
                parts[*index] = [(); 3].map(|()| Vec::with_capacity(width * height));
            }
            for y in 0..height + RADIUS {
                let row = (y < height).then(|| side.next());
                for (index, moments) in &mut moments {
                    moments.push(&blur, row.map(|xyb| &xyb[PARTS[*index].plane][..]));
                    if y >= RADIUS {
                        for (plane, row) in parts[*index].iter_mut().zip(moments.rows(&blur)) {
                            plane.extend_from_slice(row);
                        }
                    }
                }
            }
            if scale + 1 < SCALES {
                side = side.smaller(used(scale + 1));
            }
        }
        Self { parts }
    }
}

/// What a picture is compared with.
#[derive(Clone, Copy)]
pub(super) enum Against<'a> {
    Reference(&'a Reference),
    Picture(&'a Picture),
}

/// The score of a picture against another of the same size: 100 when identical.
///
/// Both sides pass by row by row, so that what is in work stays in the
/// processor's cache and memory holds no more than the halved pictures.
pub(super) fn compare(linear: &Linear, against: Against<'_>, distorted: &Picture) -> f64 {
    let mut reference = match against {
        Against::Reference(_) => None,
        Against::Picture(picture) => Some(Side::new(linear, picture, used(0))),
    };
    let mut distorted = Side::new(linear, distorted, used(0));
    let mut sum = 0.0;
    for scale in 0..SCALES {
        let blur = distorted.blur();
        let height = blur.size().1;
        let mut comparisons: Vec<_> = of_scale(scale)
            .map(|index| match against {
                Against::Reference(kept) => Comparison::new(index, &blur, Some(&kept.parts[index])),
                Against::Picture(_) => Comparison::new(index, &blur, None),
            })
            .collect();
        for y in 0..height + RADIUS {
            let [mut a, mut b] = [None, None];
            if y < height {
                a = reference.as_mut().map(Side::next);
                b = Some(distorted.next());
            }
            for comparison in &mut comparisons {
                comparison.push(&blur, y, a, b);
            }
        }
        sum += comparisons.iter().map(Comparison::weighted).sum::<f64>();
        if scale + 1 < SCALES {
            reference = reference.map(|side| side.smaller(used(scale + 1)));
            distorted = distorted.smaller(used(scale + 1));
        }
    }
    score(sum)
}

/// The parts of a scale, as indices.
fn of_scale(scale: usize) -> impl Iterator<Item = usize> {
    (0..PARTS.len()).filter(move |&index| PARTS[index].scale == scale)
}

/// Which of X, Y and B a scale needs.
fn used(scale: usize) -> [bool; 3] {
    [0, 1, 2].map(|plane| of_scale(scale).any(|index| PARTS[index].plane == plane))
}

/// The mapping of the weighted sum to 0 … 100 and below.
fn score(sum: f64) -> f64 {
    let s = sum * 0.956_238_261_683_484_4;
    let s = 2.326_765_642_916_932 * s - 0.020_884_521_182_843_837 * s.powi(2)
        + 6.248_496_625_763_138e-5 * s.powi(3);
    if s > 0.0 { 100.0 - 10.0 * s.powf(0.627_633_646_783_138_7) } else { 100.0 }
}

/// A plane and its blurs, which lag [`RADIUS`] rows behind.
struct Moments {
    /// The last rows; row y is number `y % (RADIUS + 1)`.
    recent: Vec<f32>,
    mean: Stream,
    square: Stream,
    pushed: usize,
}

impl Moments {
    fn new(blur: &Blur) -> Self {
        let recent = vec![0.0; (RADIUS + 1) * blur.size().0];
        Self { recent, mean: blur.stream(), square: blur.stream(), pushed: 0 }
    }

    /// The next row; `None` below the picture.
    fn push(&mut self, blur: &Blur, samples: Option<&[f32]>) {
        let samples = samples.unwrap_or_default();
        self.mean.push(blur, |row| row.copy_from_slice(samples));
        self.square.push(blur, |row| row.iter_mut().zip(samples).for_each(|(out, s)| *out = s * s));
        let width = blur.size().0;
        let at = self.pushed % (RADIUS + 1) * width;
        self.recent[at..at + samples.len()].copy_from_slice(samples);
        self.pushed += 1;
    }

    /// Samples, mean and mean square of the row [`RADIUS`] above the last one.
    fn rows(&mut self, blur: &Blur) -> [&[f32]; 3] {
        let width = blur.size().0;
        let at = self.pushed % (RADIUS + 1) * width;
        [&self.recent[at..at + width], self.mean.row(blur), self.square.row(blur)]
    }
}

/// A part in work.
struct Comparison<'a> {
    part: &'static Part,
    reference: ReferenceRows<'a>,
    distorted: Moments,
    product: Stream,
    sums: Sums,
    samples: usize,
}

enum ReferenceRows<'a> {
    Kept(&'a [Vec<f32>; 3]),
    Live(Moments),
}

impl<'a> Comparison<'a> {
    fn new(index: usize, blur: &Blur, kept: Option<&'a [Vec<f32>; 3]>) -> Self {
        let (width, height) = blur.size();
        Self {
            part: &PARTS[index],
            reference: kept.map_or_else(|| ReferenceRows::Live(Moments::new(blur)), ReferenceRows::Kept),
            distorted: Moments::new(blur),
            product: blur.stream(),
            sums: Sums::default(),
            samples: width * height,
        }
    }

    /// Row `y` of the XYB of both sides; a kept reference is not read again.
    fn push(&mut self, blur: &Blur, y: usize, a: Option<&[Vec<f32>; 3]>, b: Option<&[Vec<f32>; 3]>) {
        let width = blur.size().0;
        let plane = self.part.plane;
        let row = |y: usize| y * width..(y + 1) * width;
        let b = b.map(|xyb| &xyb[plane][..]);
        let a = match &mut self.reference {
            ReferenceRows::Kept(planes) => b.is_some().then(|| &planes[0][row(y)]),
            ReferenceRows::Live(moments) => {
                let a = a.map(|xyb| &xyb[plane][..]);
                moments.push(blur, a);
                a
            }
        };
        self.distorted.push(blur, b);
        self.product.push(blur, |row| {
            let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
            for (out, (a, b)) in row.iter_mut().zip(a.iter().zip(b)) {
                *out = a * b;
            }
        });
        let Some(middle) = y.checked_sub(RADIUS) else { return };
        let reference = match &mut self.reference {
            ReferenceRows::Kept(planes) => planes.each_ref().map(|plane| &plane[row(middle)]),
            ReferenceRows::Live(moments) => moments.rows(blur),
        };
        add(&mut self.sums, reference, self.distorted.rows(blur), self.product.row(blur));
    }

    /// The weighted norms of the part's three maps.
    fn weighted(&self) -> f64 {
        let per_sample = (self.samples as f64).recip();
        let total = |lanes: &[f64; LANES]| lanes.iter().sum::<f64>() * per_sample;
        (0..3)
            .map(|map| {
                self.part.mean[map] * total(&self.sums.errors[map])
                    + self.part.norm4[map] * total(&self.sums.fourths[map]).sqrt().sqrt()
            })
            .sum()
    }
}

/// Columns that are summed side by side.
const LANES: usize = 8;

/// Sums of the three maps' errors and of their fourth powers.
#[derive(Default)]
struct Sums {
    errors: [[f64; LANES]; 3],
    fourths: [[f64; LANES]; 3],
}

/// Adds a row of samples, means and mean squares of both sides, and mean products.
#[multiversion(targets = "simd")]
fn add(sums: &mut Sums, reference: [&[f32]; 3], distorted: [&[f32]; 3], product: &[f32]) {
    let count = product.len();
    let [s1, m1, q1] = reference.map(|row| &row[..count]);
    let [s2, m2, q2] = distorted.map(|row| &row[..count]);
    for start in (0..count).step_by(LANES) {
        for lane in 0..LANES.min(count - start) {
            let i = start + lane;
            let luminance = 1.0 - (m1[i] - m2[i]).powi(2);
            let structure = 2.0 * (product[i] - m1[i] * m2[i]) + 0.0009;
            let energy = q1[i] - m1[i] * m1[i] + (q2[i] - m2[i] * m2[i]) + 0.0009;
            let edge = (1.0 + (s2[i] - m2[i]).abs()) / (1.0 + (s1[i] - m1[i]).abs()) - 1.0;
            let errors = [(1.0 - luminance * structure / energy).max(0.0), edge.max(0.0), (-edge).max(0.0)];
            for (map, error) in errors.into_iter().enumerate() {
                let error = f64::from(error);
                sums.errors[map][lane] += error;
                sums.fourths[map][lane] += (error * error) * (error * error);
            }
        }
    }
}
