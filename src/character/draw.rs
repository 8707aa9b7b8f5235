//! A ROI map drawn over its frame, to look at.

use std::io::Write;

use anyhow::{Context, Result, ensure};

use crate::formats::blocks::{BLOCK, Blocks};
use crate::source::{Arg, Clip, Family, Row, format};

/// An RGB picture of 8 bits a channel, and the values of its blocks.
#[derive(Debug, Clone)]
pub struct Overlay<'a> {
    pub width: usize,
    pub height: usize,
    /// `width · height` pixels of red, green, blue.
    pub pixels: Vec<u8>,
    /// In raster order; negative is better.
    pub values: &'a [i16],
}

/// Colour of blocks that get better, and of those that get worse.
const BETTER: [f32; 3] = [255.0, 120.0, 0.0];
const WORSE: [f32; 3] = [40.0, 90.0, 255.0];

/// How much of a pixel the colour of the strongest block covers.
const OPACITY: f32 = 0.6;

/// Digits 0 to 9 and a minus sign, five rows of three pixels, the highest bit
/// at the left.
const GLYPHS: [[u8; 5]; 11] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [0, 0, 7, 0, 0],
];

/// Pixels a glyph's pixel is drawn with.
const GLYPH_SCALE: usize = 2;

impl<'a> Overlay<'a> {
    /// Frame `n` of `clip` as RGB under `values`, one for each of its blocks.
    pub fn of_frame(clip: &Clip, n: usize, values: &'a [i16]) -> Result<Self> {
        let info = clip.info();
        ensure!(n < info.frames, "frame {n}: the clip has frames 0 to {}", info.frames - 1);
        let mut args = vec![("format", Arg::Int(format::RGB24))];
        if info.family != Family::Rgb {
            args.push(("matrix_in", Arg::Int(clip.color()?.yuv_matrix())));
        }
        let rgb = clip.filtered("resize", "Bicubic", &args)?.frame(n)?;
        let (width, height) = (info.width, info.height);
        let mut pixels = vec![0; width * height * 3];
        for (y, line) in pixels.chunks_exact_mut(width * 3).enumerate() {
            for plane in 0..3 {
                let Row::Bytes(row) = rgb.row(plane, y) else { continue };
                line[plane..].iter_mut().step_by(3).zip(row).for_each(|(to, &from)| *to = from);
            }
        }
        Self::new(width, height, pixels, values)
    }

    /// An error when the sizes do not fit each other.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>, values: &'a [i16]) -> Result<Self> {
        let blocks = Blocks::over(width, height).count();
        ensure!(values.len() == blocks, "{} values for {blocks} blocks", values.len());
        ensure!(pixels.len() == width * height * 3, "{} bytes for {width} x {height} pixels", pixels.len());
        Ok(Self { width, height, pixels, values })
    }

    /// Tints every block by its value, frames it and writes the value into it.
    fn draw(&mut self) {
        let strongest = self.values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0).max(1);
        let columns = Blocks::over(self.width, self.height).columns;
        for (block, &value) in self.values.iter().enumerate() {
            let (left, top) = (block % columns * BLOCK, block / columns * BLOCK);
            let share = OPACITY * f32::from(value.unsigned_abs()) / f32::from(strongest);
            let colour = if value < 0 { BETTER } else { WORSE };
            for y in top..(top + BLOCK).min(self.height) {
                for x in left..(left + BLOCK).min(self.width) {
                    let border = x == left || y == top;
                    self.mix(x, y, colour, if border { share.max(0.35) } else { share });
                }
            }
            self.write(left + 4, top + 4, &value.to_string());
        }
    }

    fn mix(&mut self, x: usize, y: usize, colour: [f32; 3], share: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        for (channel, paint) in self.pixels[at..at + 3].iter_mut().zip(colour) {
            *channel = (f32::from(*channel) * (1.0 - share) + paint * share).round() as u8;
        }
    }

    fn write(&mut self, left: usize, top: usize, text: &str) {
        // A dark shadow first keeps white digits readable on white.
        for (shift, ink) in [(1, 0.0), (0, 255.0)] {
            for (place, character) in text.chars().enumerate() {
                let glyph = character.to_digit(10).map_or(10, |digit| digit as usize);
                self.glyph(glyph, left + place * 4 * GLYPH_SCALE + shift, top + shift, ink);
            }
        }
    }

    fn glyph(&mut self, glyph: usize, left: usize, top: usize, ink: f32) {
        for (y, bits) in GLYPHS[glyph].iter().enumerate() {
            for x in (0..3).filter(|x| bits >> (2 - x) & 1 == 1) {
                for dot in 0..GLYPH_SCALE * GLYPH_SCALE {
                    let (dx, dy) = (dot % GLYPH_SCALE, dot / GLYPH_SCALE);
                    self.mix(left + x * GLYPH_SCALE + dx, top + y * GLYPH_SCALE + dy, [ink; 3], 1.0);
                }
            }
        }
    }
}

/// What a picture says it was made by.
pub const SOFTWARE: &str = "progression-boost";

/// Draws the values over the picture and writes it as PNG.
pub fn draw_png(mut overlay: Overlay<'_>, out: &mut dyn Write) -> Result<()> {
    overlay.draw();
    let mut encoder = png::Encoder::new(out, overlay.width as u32, overlay.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.add_text_chunk("Software".to_owned(), SOFTWARE.to_owned()).context("cannot write the picture")?;
    let mut writer = encoder.write_header().context("cannot write the picture")?;
    writer.write_image_data(&overlay.pixels).context("cannot write the picture")?;
    writer.finish().context("cannot write the picture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_blocks_become_orange_and_worse_ones_blue() {
        let values = [-8, 4];
        let mut overlay = Overlay::new(128, 64, vec![100; 128 * 64 * 3], &values).unwrap();
        overlay.draw();
        let pixel = |x: usize, y: usize| overlay.pixels[(y * 128 + x) * 3..][..3].to_vec();
        // By hand: 0.4 · 100 + 0.6 · colour, and half of that for the weaker block.
        assert_eq!(pixel(40, 40), [193, 112, 40]);
        assert_eq!(pixel(104, 40), [82, 97, 147]);
    }

    #[test]
    fn the_picture_is_a_png_of_its_size() {
        let values = [-255, 0, 255, 3];
        let overlay = Overlay::new(100, 70, vec![9; 100 * 70 * 3], &values).unwrap();
        let mut bytes = Vec::new();
        draw_png(overlay, &mut bytes).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (100, 70, png::ColorType::Rgb));
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        assert!(Overlay::new(64, 64, vec![0; 64 * 64 * 3], &[0, 0]).is_err());
        assert!(Overlay::new(64, 64, vec![0; 64], &[0]).is_err());
    }
}
