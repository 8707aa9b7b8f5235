//! YUV4MPEG2 as SvtAv1EncApp 1.4 to 4.2 reads it from its standard input.

use std::io::{Result, Write};

use crate::source::Picture;

/// Frame rate for clips that have none of their own; with CRF it only scales
/// the time stamps.
const FALLBACK_FPS: (u32, u32) = (24, 1);
/// SVT-AV1 refuses more frames per second.
const MAX_FPS: u64 = 240;

/// The clip's frame rate as the encoder takes it: 1 to 240 fps, 32-bit terms.
pub fn frame_rate(fps: Option<(u64, u64)>) -> (u32, u32) {
    let accepted = fps.filter(|&(n, d)| d > 0 && (d..=d.saturating_mul(MAX_FPS)).contains(&n));
    let terms = accepted.and_then(|(n, d)| Some((u32::try_from(n).ok()?, u32::try_from(d).ok()?)));
    terms.unwrap_or(FALLBACK_FPS)
}

/// What all pictures of a stream share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub width: usize,
    pub height: usize,
    /// 8 or 10.
    pub bits: u8,
    /// Frames per second as a fraction, see [`frame_rate`].
    pub fps: (u32, u32),
}

impl Format {
    /// The stream header. `420mpeg2` (chroma left, as MPEG-2 on) says nothing
    /// to the encoder, which takes the position from its own option.
    pub fn header(&self) -> String {
        let chroma = if self.bits == 8 { "420mpeg2 XYSCSS=420MPEG2" } else { "420p10 XYSCSS=420P10" };
        let Self { width, height, fps: (numerator, denominator), .. } = self;
        format!("YUV4MPEG2 W{width} H{height} F{numerator}:{denominator} Ip A1:1 C{chroma}\n")
    }

    /// Whether `picture` fits this stream.
    pub fn fits(&self, picture: &Picture) -> bool {
        (self.width, self.height, self.bits) == (picture.width, picture.height, picture.bits)
    }
}

/// Turns pictures into the bytes of one frame each, in one reused buffer, so
/// that a frame goes through the pipe in as few writes as the system allows.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// `FRAME`, then the three planes; 16 bits little endian above 8 bits.
    pub fn bytes_of(&mut self, picture: &Picture) -> &[u8] {
        self.bytes.clear();
        self.bytes.extend_from_slice(b"FRAME\n");
        for plane in &picture.planes {
            if picture.bits == 8 {
                self.bytes.extend(plane.iter().map(|&sample| sample as u8));
            } else {
                let start = self.bytes.len();
                self.bytes.resize(start + plane.len() * 2, 0);
                // This shape is compiled to a plain copy.
                for (out, sample) in self.bytes[start..].chunks_exact_mut(2).zip(plane) {
                    out.copy_from_slice(&sample.to_le_bytes());
                }
            }
        }
        &self.bytes
    }
}

/// Writes a whole stream, header first; for files rather than for pipes.
pub fn write<'a>(
    out: &mut impl Write,
    format: Format,
    pictures: impl IntoIterator<Item = &'a Picture>,
) -> Result<()> {
    out.write_all(format.header().as_bytes())?;
    let mut frames = Frames::default();
    pictures.into_iter().try_for_each(|picture| out.write_all(frames.bytes_of(picture)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bits_are_little_endian_words() {
        let mut picture = Picture::filled(2, 2, 10, 0x0102, 0x0304);
        picture.planes[0][1] = 1023;
        let format = Format { width: 2, height: 2, bits: 10, fps: (24000, 1001) };
        let mut out = Vec::new();
        write(&mut out, format, [&picture]).unwrap();
        let header = b"YUV4MPEG2 W2 H2 F24000:1001 Ip A1:1 C420p10 XYSCSS=420P10\nFRAME\n".as_slice();
        let samples = b"\x02\x01\xff\x03\x02\x01\x02\x01\x04\x03\x04\x03";
        assert_eq!(out, [header, samples].concat());
    }

    #[test]
    fn eight_bits_are_bytes() {
        let picture = Picture::filled(3, 1, 8, 235, 128);
        let bytes = Frames::default().bytes_of(&picture).to_vec();
        assert_eq!(bytes, b"FRAME\n\xeb\xeb\xeb\x80\x80\x80\x80");
    }

    #[test]
    fn odd_frame_rates_fall_back() {
        assert_eq!(frame_rate(Some((30000, 1001))), (30000, 1001));
        assert_eq!(frame_rate(Some((240, 1))), (240, 1));
        for odd in
            [None, Some((0, 1)), Some((1000, 1)), Some((1, 2)), Some((24, 0)), Some((1 << 40, 1 << 36))]
        {
            assert_eq!(frame_rate(odd), (24, 1), "{odd:?}");
        }
    }
}
