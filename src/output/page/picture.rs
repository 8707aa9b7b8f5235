//! Two pictures of a frame for the page, small enough for two dozen of them.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use serde::Serialize;

/// A frame of both sides; both have the same size and compression.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    pub frame: usize,
    pub scene: usize,
    /// Such as its score.
    pub words: String,
    pub left_name: String,
    pub right_name: String,
    /// `data:` addresses.
    pub left: String,
    pub right: String,
}

/// sRGB pixels, `width * height * 3` bytes.
#[derive(Debug, Clone)]
pub struct Side {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

/// Bytes that a JPEG of a page may take: two dozen of them are 4.8 MB in base64.
const LIMIT: usize = 150_000;
/// From hardly visible to visible; below it a smaller picture shows more.
const QUALITIES: [u8; 5] = [93, 88, 82, 75, 68];

/// Both sides at the best quality at which each fits; at half the size when none does.
pub fn pair(mut left: Side, mut right: Side) -> Result<(String, String)> {
    loop {
        for quality in QUALITIES {
            let (a, b) = (jpeg(&left, quality)?, jpeg(&right, quality)?);
            if a.len() <= LIMIT && b.len() <= LIMIT {
                let address = |bytes: &[u8]| format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes));
                return Ok((address(&a), address(&b)));
            }
        }
        (left, right) = (left.halved(), right.halved());
    }
}

fn jpeg(side: &Side, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    // Colour at full size: damage in it is what is looked for.
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    let size = (u16::try_from(side.width), u16::try_from(side.height));
    let (Ok(width), Ok(height)) = size else {
        anyhow::bail!("a picture of {}x{} is too large for JPEG", side.width, side.height)
    };
    encoder.encode(&side.pixels, width, height, ColorType::Rgb).context("a picture cannot be compressed")?;
    Ok(bytes)
}

impl Side {
    /// Means of two by two pixels; an odd last row or column is left out.
    fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(1), (self.height / 2).max(1));
        let at = |x: usize, y: usize, c: usize| {
            let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
            u16::from(self.pixels[(y * self.width + x) * 3 + c])
        };
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                for c in 0..3 {
                    let sum = at(2 * x, 2 * y, c)
                        + at(2 * x + 1, 2 * y, c)
                        + at(2 * x, 2 * y + 1, c)
                        + at(2 * x + 1, 2 * y + 1, c);
                    pixels.push(((sum + 2) / 4) as u8);
                }
            }
        }
        Self { width, height, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_cannot_be_small_get_smaller() {
        // Noise, from a well-known generator: no quality makes 1280x720 of it fit.
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let side = Side { width: 1280, height: 720, pixels: (0..1280 * 720 * 3).map(|_| noise()).collect() };
        let flat = Side { pixels: vec![90; 1280 * 720 * 3], ..side.clone() };
        let (left, right) = pair(side, flat).unwrap();
        let size = |address: &str| {
            let bytes = STANDARD.decode(address.strip_prefix("data:image/jpeg;base64,").unwrap()).unwrap();
            assert!(bytes.starts_with(&[0xff, 0xd8]) && bytes.len() <= LIMIT, "{}", bytes.len());
            // The frame header (SOF0) has height and width.
            let at = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
            (
                u16::from_be_bytes([bytes[at + 7], bytes[at + 8]]),
                u16::from_be_bytes([bytes[at + 5], bytes[at + 6]]),
            )
        };
        assert_eq!(size(&left), size(&right));
        assert!(size(&left).0 < 1280);
    }

    #[test]
    fn halves_are_means_of_four() {
        let pixels: Vec<u8> = [[0, 10], [20, 32]].iter().flatten().flat_map(|&v| [v, v, v]).collect();
        let half = Side { width: 2, height: 2, pixels }.halved();
        // (0 + 10 + 20 + 32) / 4 = 15.5
        assert_eq!((half.width, half.height, half.pixels), (1, 1, vec![16, 16, 16]));
    }
}
