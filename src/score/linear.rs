//! From a picture to the linear BT.709 RGB that both metrics work in, with
//! Vship's conventions: chroma up-sampled by Catmull-Rom splines at its siting,
//! BT.709 decoded by a pure 2.4 power.

use anyhow::{Result, bail};

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

impl Linear {
    pub fn new(color: ResolvedColor, window: Window, bits: u8) -> Result<Self> {
        let (left, top) = siting(color.chroma_location)?;
        let (luma, chroma) = scales(color.full_range, bits);
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

    /// Hands the rows of the window to `sink`, from the top.
    pub fn rows(&self, picture: &Picture, mut sink: impl FnMut(usize, RgbRow<'_>)) {
        let (width, height) = (self.window.width, self.window.height);
        let mut rgb = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
        let mut chroma = [vec![0.0; width.div_ceil(2)], vec![0.0; width.div_ceil(2)]];
        let [mut u, mut v] = [vec![0.0; width], vec![0.0; width]];
        for y in 0..height {
            for (plane, (half, full)) in chroma.iter_mut().zip([&mut u, &mut v]).enumerate() {
                self.chroma_down(picture, plane + 1, y, half);
                self.chroma_across(half, full);
            }
            self.to_rgb(self.window.row(picture, 0, y), &u, &v, &mut rgb);
            let [r, g, b] = &mut rgb;
            for row in [&mut *r, &mut *g, &mut *b] {
                self.curve.apply(row);
            }
            if self.hlg {
                hlg_display([r, g, b]);
            }
            if let Some(gamut) = &self.gamut {
                convert_gamut(gamut, [r, g, b]);
            }
            sink(y, RgbRow { r, g, b });
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
        let rows = [row(0), row(1), row(2), row(3)];
        let weights = taps.weights.map(|w| w * self.chroma.factor);
        for (x, out) in out.iter_mut().enumerate() {
            *out = rows[0][x] as f32 * weights[0]
                + rows[1][x] as f32 * weights[1]
                + rows[2][x] as f32 * weights[2]
                + rows[3][x] as f32 * weights[3]
                + self.chroma.offset;
        }
    }

    /// A chroma row at full width.
    fn chroma_across(&self, half: &[f32], full: &mut [f32]) {
        let last = half.len() as isize - 1;
        for (parity, taps) in self.across.iter().enumerate() {
            let weigh = |s: [f32; 4]| s.iter().zip(taps.weights).map(|(s, w)| s * w).sum::<f32>();
            let count = (full.len() + 1 - parity) / 2;
            // Where all four samples exist there is nothing to clamp.
            let start = taps.first.min(0).unsigned_abs();
            let end = (last - 2 - taps.first).clamp(start as isize, count as isize) as usize;
            for i in (0..start).chain(end..count) {
                let at = |k: isize| half[(i as isize + taps.first + k).clamp(0, last) as usize];
                full[2 * i + parity] = weigh([at(0), at(1), at(2), at(3)]);
            }
            let first = (start as isize + taps.first) as usize;
            for (i, s) in (start..end).zip(half[first..].windows(4)) {
                full[2 * i + parity] = weigh([s[0], s[1], s[2], s[3]]);
            }
        }
    }

    fn to_rgb(&self, luma: &[u16], u: &[f32], v: &[f32], rgb: &mut [Vec<f32>; 3]) {
        let [r, g, b] = rgb;
        let m = self.matrix;
        let width = luma.len();
        let (u, v) = (&u[..width], &v[..width]);
        let (r, g, b) = (&mut r[..width], &mut g[..width], &mut b[..width]);
        for x in 0..width {
            let y = luma[x] as f32 * self.luma.factor + self.luma.offset;
            r[x] = y + m.rv * v[x];
            g[x] = y + m.gu * u[x] + m.gv * v[x];
            b[x] = y + m.bu * u[x];
        }
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
