//! HDR10 metadata inside an AV1 stream (AV1 Bitstream & Decoding Process
//! Specification, sections 5.8 and 6.7), for encoders that do not write it.

use std::borrow::Cow;

use anyhow::{Result, ensure};

use super::sequence::{OBU_SEQUENCE_HEADER, obus};

const OBU_METADATA: u8 = 5;
const METADATA_TYPE_HDR_CLL: u8 = 1;
const METADATA_TYPE_HDR_MDCV: u8 = 2;

/// A metadata OBU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    kind: u8,
    bytes: Vec<u8>,
}

impl Metadata {
    /// Largest luminance of a pixel and of a frame's mean, in cd/m².
    pub fn content_light(max: u16, average: u16) -> Self {
        Self::new(METADATA_TYPE_HDR_CLL, &[max.to_be_bytes(), average.to_be_bytes()].concat())
    }

    /// The mastering display: x and y of red, green, blue and white (CIE 1931),
    /// largest and least luminance in cd/m².
    pub fn mastering_display(points: [(f64, f64); 4], luminance: (f64, f64)) -> Self {
        let chromaticities = points.into_iter().flat_map(|(x, y)| [x, y]);
        // 0.16 bits each; then 24.8 and 18.14.
        let mut bytes: Vec<u8> =
            chromaticities.flat_map(|value| ((value * 65536.0).round() as u16).to_be_bytes()).collect();
        bytes.extend(((luminance.0 * 256.0).round() as u32).to_be_bytes());
        bytes.extend(((luminance.1 * 16384.0).round() as u32).to_be_bytes());
        Self::new(METADATA_TYPE_HDR_MDCV, &bytes)
    }

    fn new(kind: u8, value: &[u8]) -> Self {
        const HAS_SIZE: u8 = 2;
        const TRAILING_BITS: u8 = 0x80;
        // Kind and trailing bits; all of it is less than 128 bytes, so each number is one byte.
        let size = value.len() as u8 + 2;
        let mut bytes = vec![OBU_METADATA << 3 | HAS_SIZE, size, kind];
        bytes.extend_from_slice(value);
        bytes.push(TRAILING_BITS);
        Self { kind, bytes }
    }
}

/// The temporal unit with `metadata` where a decoder may start, which is behind
/// a sequence header; of a kind that the unit has already, it keeps its own.
pub fn insert<'a>(unit: &'a [u8], metadata: &[Metadata]) -> Result<Cow<'a, [u8]>> {
    let mut place = None;
    let mut present = Vec::new();
    if !metadata.is_empty() {
        for obu in obus(unit) {
            let obu = obu?;
            if obu.kind == OBU_SEQUENCE_HEADER && place.is_none() {
                ensure!(obu.sized, "a sequence header does not tell its size");
                place = Some(obu.end);
            } else if obu.kind == OBU_METADATA {
                // Kinds up to 127 are one byte; there are five.
                present.extend(obu.payload.first().copied());
            }
        }
    }
    let missing = metadata.iter().filter(|metadata| !present.contains(&metadata.kind));
    let missing: Vec<u8> = missing.flat_map(|metadata| metadata.bytes.iter().copied()).collect();
    Ok(match place {
        Some(place) if !missing.is_empty() => {
            let (before, after) = unit.split_at(place);
            Cow::Owned([before, &missing, after].concat())
        }
        _ => Cow::Borrowed(unit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand from the specification: 1000 = 0x03e8, 400 = 0x0190.
    #[test]
    fn content_light_is_two_words() {
        let light = Metadata::content_light(1000, 400);
        assert_eq!(light.bytes, [0x2a, 6, 1, 0x03, 0xe8, 0x01, 0x90, 0x80]);
    }

    /// 0.5 = 0x8000 of 0x10000; 1000 × 256 = 0x0003e800; 0.5 × 16384 = 0x2000.
    #[test]
    fn a_mastering_display_is_in_fixed_point() {
        let half = (0.5, 0.25);
        let display = Metadata::mastering_display([half; 4], (1000.0, 0.5));
        assert_eq!(display.bytes[..3], [0x2a, 26, 2]);
        assert_eq!(display.bytes[3..19], [0x80, 0, 0x40, 0].repeat(4));
        assert_eq!(display.bytes[19..], [0, 3, 0xe8, 0, 0, 0, 0x20, 0, 0x80]);
    }

    #[test]
    fn it_goes_behind_the_sequence_header_once() {
        // A delimiter, a sequence header of one byte, a frame of two.
        let unit = [0x12, 0, 0x0a, 1, 7, 0x32, 2, 8, 9];
        let light = Metadata::content_light(1, 2);
        let with = insert(&unit, std::slice::from_ref(&light)).unwrap();
        assert_eq!(*with, [&unit[..5], &light.bytes, &unit[5..]].concat());
        let other = Metadata::content_light(3, 4);
        assert_eq!(insert(&with, &[other]).unwrap(), with);
        // No decoder starts here.
        assert_eq!(*insert(&unit[5..], &[light]).unwrap(), unit[5..]);
    }
}
