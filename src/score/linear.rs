//! From a picture to the linear BT.709 RGB that both metrics work in, with
//! Vship's conventions: chroma up-sampled by Catmull-Rom splines at its siting,
//! BT.709 decoded by a pure 2.4 power.

use anyhow::{Result, bail};
use multiversion::multiversion;

use super::curve::{Curve, HLG, hlg_display};
use super::gamut::{Matrix, YuvToRgb, to_bt709};
use super::window::Window;
use crate::source::{Picture, ResolvedColor};

/// Four weights and the offset of the first of the four samples.
#[derive(Debug, Clone, Copy)]
struct Taps {
    first: isize,
    weights: [f32; 4],
}

/// Samples that repeat the ends of a chroma row, for taps that reach beyond it.
const EDGE: usize = 2;

/// Converts pictures of one size, depth and colour; shared by all threads.
#[derive(Debug)]
pub(super) struct Linear {
    window: Window,
    luma: Scale,
    chroma: Scale,
    matrix: YuvToRgb,
    curve: Curve,
    hlg: bool,
    gamut: Option<Matrix>,
    /// For even and odd columns.
    across: [Taps; 2],
    /// For even and odd rows.
    down: [Taps; 2],
}

/// `coded · factor + offset`.
#[derive(Debug, Clone, Copy)]
struct Scale {
    factor: f32,
    offset: f32,
}

/// One row of linear light, where 1.0 is the display's white.
#[derive(Debug, Clone, Copy)]
pub(super) struct RgbRow<'a> {
    pub r: &'a [f32],
    pub g: &'a [f32],
    pub b: &'a [f32],
}

/// A picture on its way to linear light.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    linear: &'a Linear,
    picture: &'a Picture,
    y: usize,
    rgb: [Vec<f32>; 3],
    /// A chroma row before it is at full width, between [`EDGE`]s.
    half: Vec<f32>,
    /// Chroma at full width, of an even number of samples.
    chroma: [Vec<f32>; 2],
}

impl Linear {
    pub fn new(color: ResolvedColor, window: Window) -> Result<Self> {
        let (left, top) = siting(color.chroma_location)?;
        let (luma, chroma) = scales(color.full_range, window.bits());
        Ok(Self {
            window,
            luma,
            chroma,
            matrix: YuvToRgb::new(color.matrix)?,
            curve: Curve::new(color.transfer)?,
            hlg: color.transfer == HLG,
            gamut: to_bt709(color.primaries)?,
            across: [0, 1].map(|parity| taps(parity, left)),
            down: [0, 1].map(|parity| taps(parity, top)),
        })
    }

    pub fn window(&self) -> Window {
        self.window
    }

    /// The window of `picture`, which passed [`Window::check`], row by row.
    pub fn read<'a>(&'a self, picture: &'a Picture) -> Rows<'a> {
        let half = self.window.width.div_ceil(2);
        Rows {
            linear: self,
            picture,
            y: 0,
            rgb: [(); 3].map(|()| vec![0.0; self.window.width]),
            half: vec![0.0; half + 2 * EDGE],
            chroma: [(); 2].map(|()| vec![0.0; 2 * half]),
        }
    }

    /// Row `y` of a chroma plane at full height and half width, −½..½.
    fn chroma_down(&self, picture: &Picture, plane: usize, y: usize, out: &mut [f32]) {
        let taps = self.down[y % 2];
        let last = self.window.height.div_ceil(2) - 1;
        let row = |k: usize| {
            let wanted = (y / 2) as isize + taps.first + k as isize;
            self.window.row(picture, plane, wanted.clamp(0, last as isize) as usize)
        };
        let weights = taps.weights.map(|w| w * self.chroma.factor);
        combine([row(0), row(1), row(2), row(3)], weights, self.chroma.offset, out);
    }
}

impl Rows<'_> {
    /// The next row from the top; `None` below the window.
    pub fn next(&mut self) -> Option<RgbRow<'_>> {
        let Self { linear, picture, y, .. } = *self;
        let Window { width, height, .. } = linear.window;
        if y == height {
            return None;
        }
        self.y += 1;
        for (plane, full) in self.chroma.iter_mut().enumerate() {
            let samples = EDGE..self.half.len() - EDGE;
            linear.chroma_down(picture, plane + 1, y, &mut self.half[samples.clone()]);
            let (first, last) = (self.half[samples.start], self.half[samples.end - 1]);
            self.half[..samples.start].fill(first);
            self.half[samples.end..].fill(last);
            interpolate(&self.half, &linear.across, full);
        }
        let chroma = self.chroma.each_ref().map(|row| &row[..width]);
        to_rgb(linear.window.row(picture, 0, y), chroma, linear.luma, linear.matrix, &mut self.rgb);
        let [r, g, b] = &mut self.rgb;
        for row in [&mut *r, &mut *g, &mut *b] {
            linear.curve.apply(row);
        }
        if linear.hlg {
            hlg_display([r, g, b]);
        }
        if let Some(gamut) = &linear.gamut {
            convert_gamut(gamut, [r, g, b]);
        }
        Some(RgbRow { r, g, b })
    }
}

/// `Σ weight · row + offset` of coded samples.
#[multiversion(targets = "simd")]
fn combine(rows: [&[u16]; 4], weights: [f32; 4], offset: f32, out: &mut [f32]) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (x, out) in out.iter_mut().enumerate() {
        *out = f32::from(rows[0][x]) * weights[0]
            + f32::from(rows[1][x]) * weights[1]
            + f32::from(rows[2][x]) * weights[2]
            + f32::from(rows[3][x]) * weights[3]
            + offset;
    }
}

/// A chroma row at full width, from samples between [`EDGE`]s.
#[multiversion(targets = "simd")]
fn interpolate(half: &[f32], across: &[Taps; 2], full: &mut [f32]) {
    let count = full.len() / 2;
    let [even, odd] = across.map(|taps| &half[(EDGE as isize + taps.first) as usize..][..count + 3]);
    let [we, wo] = across.map(|taps| taps.weights);
    for (i, pair) in full.chunks_exact_mut(2).enumerate() {
        pair[0] = even[i] * we[0] + even[i + 1] * we[1] + even[i + 2] * we[2] + even[i + 3] * we[3];
        pair[1] = odd[i] * wo[0] + odd[i + 1] * wo[1] + odd[i + 2] * wo[2] + odd[i + 3] * wo[3];
    }
}

#[multiversion(targets = "simd")]
fn to_rgb(luma: &[u16], [u, v]: [&[f32]; 2], scale: Scale, m: YuvToRgb, [r, g, b]: &mut [Vec<f32>; 3]) {
    let width = luma.len();
    let (u, v) = (&u[..width], &v[..width]);
    let (r, g, b) = (&mut r[..width], &mut g[..width], &mut b[..width]);
    for x in 0..width {
        let y = f32::from(luma[x]) * scale.factor + scale.offset;
        r[x] = y + m.rv * v[x];
        g[x] = y + m.gu * u[x] + m.gv * v[x];
        b[x] = y + m.bu * u[x];
    }
}

/// Coded values to Y 0..1 and U, V −½..½ (H.273, equations 20 to 30).
fn scales(full_range: bool, bits: u8) -> (Scale, Scale) {
    let scale = |zero: f64, span: f64| Scale { factor: span.recip() as f32, offset: (-zero / span) as f32 };
    let middle = f64::from(1_u32 << (bits - 1));
    if full_range {
        let span = f64::from((1_u32 << bits) - 1);
        (scale(0.0, span), scale(middle, span))
    } else {
        let unit = f64::from(1_u32 << (bits - 8));
        (scale(16.0 * unit, 219.0 * unit), scale(middle, 224.0 * unit))
    }
}

/// Distance of the first chroma sample from the first luma sample, in luma
/// samples: across and down. The codes are those of `_ChromaLocation`.
fn siting(location: i64) -> Result<(f32, f32)> {
    const SITINGS: [(f32, f32); 6] = [(0.0, 0.5), (0.5, 0.5), (0.0, 0.0), (0.5, 0.0), (0.0, 1.0), (0.5, 1.0)];
    match usize::try_from(location).ok().and_then(|code| SITINGS.get(code)) {
        Some(siting) => Ok(*siting),
        None => bail!("chroma location {location}: must be 0 (left) to 5 (bottom)"),
    }
}

/// Catmull-Rom weights for luma samples of one parity, relative to the chroma
/// sample of the same pair, whose own distance is `siting`.
fn taps(parity: usize, siting: f32) -> Taps {
    let position = (parity as f32 - siting) / 2.0;
    let below = position.floor();
    let t = position - below;
    let (t2, t3) = (t * t, t * t * t);
    Taps {
        first: below as isize - 1,
        weights: [
            -0.5 * t3 + t2 - 0.5 * t,
            1.5 * t3 - 2.5 * t2 + 1.0,
            -1.5 * t3 + 2.0 * t2 + 0.5 * t,
            0.5 * t3 - 0.5 * t2,
        ],
    }
}

fn convert_gamut(matrix: &Matrix, rows: [&mut [f32]; 3]) {
    let m = matrix.map(|row| row.map(|v| v as f32));
    let [red, green, blue] = rows;
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let rgb = [*r, *g, *b];
        [*r, *g, *b] = m.map(|row| row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::score::feeder::Feeder;
    use crate::source::{Arg, OpenOptions, Session};

    const SIZE: (usize, usize) = (64, 48);

    /// Waves in all planes, inside the gamut.
    fn picture(bits: u8) -> Picture {
        let mut picture = Picture::filled(SIZE.0, SIZE.1, bits, 0, 0);
        let unit = f64::from(1_u32 << (bits - 8));
        for plane in 0..3 {
            let (width, _) = picture.plane_size(plane);
            let (middle, swing) = if plane == 0 { (120.0, 60.0) } else { (128.0, 14.0) };
            for (i, sample) in picture.planes[plane].iter_mut().enumerate() {
                let (x, y) = ((i % width) as f64, (i / width) as f64);
                let wave = (0.3 * x + plane as f64).sin() * (0.2 * y).cos();
                *sample = ((middle + swing * wave) * unit).round() as u16;
            }
        }
        picture
    }

    /// zimg's conversion of the same picture to linear BT.709 RGB.
    fn by_zimg(session: Session, picture: &Picture, color: ResolvedColor) -> [Vec<Vec<f32>>; 3] {
        let window = Window::new(SIZE, picture.bits, [0; 4]).unwrap();
        let feeder = Feeder::new(session, window, color, None).unwrap();
        let arguments = [
            ("clip", Arg::Node(feeder.node())),
            ("format", Arg::Int(crate::source::format::RGBS)),
            ("matrix", Arg::Int(0)),
            ("transfer", Arg::Int(8)),
            ("primaries", Arg::Int(1)),
            // Without it HLG's display curve is applied to each channel alone.
            ("approximate_gamma", Arg::Int(0)),
        ];
        let node = session.invoke("resize", "Bicubic", &arguments).unwrap();
        let _out = feeder.lay_out(1, &Arc::new(picture.clone()));
        let frame = node.get_frame(1).unwrap();
        [0, 1, 2].map(|p| (0..SIZE.1).map(|y| frame.plane_row::<f32>(p, y).to_vec()).collect())
    }

    /// Largest difference, as a share of the value, away from the edges (where
    /// zimg mirrors and Vship repeats).
    fn worst(session: Session, bits: u8, color: ResolvedColor) -> f32 {
        let picture = picture(bits);
        let truth = by_zimg(session, &picture, color);
        let window = Window::new(SIZE, bits, [0; 4]).unwrap();
        let mut worst = 0.0_f32;
        let linear = Linear::new(color, window).unwrap();
        let mut rows = linear.read(&picture);
        for y in 0..SIZE.1 {
            let row = rows.next().unwrap();
            if !(6..SIZE.1 - 6).contains(&y) {
                continue;
            }
            for (plane, row) in truth.iter().zip([row.r, row.g, row.b]) {
                for x in 6..SIZE.0 - 6 {
                    worst = worst.max((row[x] - plane[y][x]).abs() / plane[y][x].abs().max(0.02));
                }
            }
        }
        worst
    }

    #[test]
    fn every_colour_agrees_with_zimg() {
        let session = Session::empty(None, &OpenOptions::default()).unwrap();
        let usual =
            ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
        let cases = [
            ("BT.709", usual),
            ("SMPTE 170M", ResolvedColor { primaries: 6, transfer: 6, matrix: 6, ..usual }),
            ("BT.470 BG", ResolvedColor { primaries: 5, transfer: 5, matrix: 5, ..usual }),
            ("BT.470 M", ResolvedColor { primaries: 4, transfer: 4, matrix: 4, ..usual }),
            ("sRGB", ResolvedColor { transfer: 13, ..usual }),
            ("linear", ResolvedColor { transfer: 8, ..usual }),
            ("BT.2020", ResolvedColor { primaries: 9, transfer: 14, matrix: 9, ..usual }),
            ("PQ", ResolvedColor { primaries: 9, transfer: 16, matrix: 9, ..usual }),
            ("HLG", ResolvedColor { primaries: 9, transfer: 18, matrix: 9, ..usual }),
            ("film", ResolvedColor { primaries: 8, ..usual }),
            ("DCI P3", ResolvedColor { primaries: 11, transfer: 17, ..usual }),
            ("Display P3", ResolvedColor { primaries: 12, ..usual }),
            ("logarithmic", ResolvedColor { transfer: 9, ..usual }),
            ("logarithmic, wider", ResolvedColor { transfer: 10, ..usual }),
            ("XYZ", ResolvedColor { primaries: 10, ..usual }),
            ("EBU 3213", ResolvedColor { primaries: 22, ..usual }),
            ("SMPTE 240M", ResolvedColor { primaries: 7, transfer: 7, matrix: 7, ..usual }),
            ("full range", ResolvedColor { full_range: true, ..usual }),
            ("chroma centre", ResolvedColor { chroma_location: 1, ..usual }),
            ("chroma top left", ResolvedColor { chroma_location: 2, ..usual }),
            ("chroma top", ResolvedColor { chroma_location: 3, ..usual }),
            ("chroma bottom left", ResolvedColor { chroma_location: 4, ..usual }),
            ("chroma bottom", ResolvedColor { chroma_location: 5, ..usual }),
        ];
        for (name, color) in cases {
            for bits in [8, 10] {
                let error = worst(session, bits, color);
                assert!(error < 2e-3, "{name} at {bits} bits is off by {error}");
            }
        }
    }
}
