//! A picture as screens show it, by the same reading that the metrics use.

use anyhow::Result;

use super::linear::Linear;
use super::window::Window;
use crate::source::{Picture, ResolvedColor};

/// Steps of linear light in the table; fine enough for the darkest 8-bit values.
const STEPS: usize = 1 << 14;

/// Red, green and blue in sRGB, 8 bits, row by row. Light beyond white, as HDR
/// has it, is cut.
pub fn srgb(picture: &Picture, color: ResolvedColor) -> Result<Vec<u8>> {
    let window = Window::new((picture.width, picture.height), picture.bits, [0; 4])?;
    let linear = Linear::new(color, window)?;
    // IEC 61966-2-1.
    let table: Vec<u8> = (0..=STEPS)
        .map(|step| {
            let light = step as f64 / STEPS as f64;
            let code =
                if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            (255.0 * code).round() as u8
        })
        .collect();
    let code = |light: f32| table[(light.clamp(0.0, 1.0) * STEPS as f32).round() as usize];
    let mut pixels = Vec::with_capacity(picture.width * picture.height * 3);
    let mut rows = linear.read(picture);
    while let Some(row) = rows.next() {
        for ((r, g), b) in row.r.iter().zip(row.g).zip(row.b) {
            pixels.extend([code(*r), code(*g), code(*b)]);
        }
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT.709 limited: white 940, black 64; red 250, 409, 960 in 10 bits.
    #[test]
    fn the_corners_of_the_cube_are_where_they_belong() {
        let bt709 =
            ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
        for (yuv, rgb) in
            [([940, 512, 512], [255; 3]), ([64, 512, 512], [0; 3]), ([250, 409, 960], [255, 0, 0])]
        {
            let mut picture = Picture::filled(8, 8, 10, yuv[0], 512);
            picture.planes[1].fill(yuv[1]);
            picture.planes[2].fill(yuv[2]);
            let pixels = srgb(&picture, bt709).unwrap();
            assert_eq!(pixels.len(), 8 * 8 * 3);
            for (got, wanted) in pixels[..3].iter().zip(rgb) {
                assert!(got.abs_diff(wanted) <= 2, "{yuv:?}: {:?}, not {rgb:?}", &pixels[..3]);
            }
        }
    }
}
