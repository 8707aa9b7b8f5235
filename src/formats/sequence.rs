//! The colour an AV1 stream says it has: its sequence header (AV1 Bitstream &
//! Decoding Process Specification, section 5.5), read as far as that needs.

use std::io::{Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::ivf;

pub(super) const OBU_SEQUENCE_HEADER: u8 = 1;
const OBU_FRAME_HEADER: u8 = 3;
const OBU_FRAME: u8 = 6;

/// A part of a temporal unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Obu<'a> {
    /// `obu_type`.
    pub kind: u8,
    /// Whether it tells its size; else it is the unit's last one.
    pub sized: bool,
    pub payload: &'a [u8],
    /// Where in the unit it ends.
    pub end: usize,
}

/// The parts of a temporal unit; an error is the last thing that comes.
pub(super) fn obus(unit: &[u8]) -> impl Iterator<Item = Result<Obu<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = unit.get(at..).filter(|rest| !rest.is_empty())?;
        let obu = first_obu(rest).map(|obu| Obu { end: at + obu.end, ..obu });
        at = obu.as_ref().map_or(unit.len(), |obu| obu.end);
        Some(obu)
    })
}

fn first_obu(unit: &[u8]) -> Result<Obu<'_>> {
    let (&header, rest) = unit.split_first().context("an OBU is cut off")?;
    let (kind, extended, sized) = ((header >> 3) & 15, header & 4 != 0, header & 2 != 0);
    let rest = rest.get(usize::from(extended)..).context("an OBU is cut off")?;
    let (size, rest) = if sized { leb128(rest)? } else { (rest.len(), rest) };
    let payload = rest.get(..size).context("an OBU is cut off")?;
    Ok(Obu { kind, sized, payload, end: unit.len() - rest.len() + size })
}

/// What all frames of a stream share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    pub width: usize,
    pub height: usize,
    pub bits: u8,
    /// H.273 code points; 2 is "unspecified".
    pub primaries: i64,
    pub transfer: i64,
    pub matrix: i64,
    pub full_range: bool,
    /// Whether decoders add film grain.
    pub film_grain: bool,
}

impl Sequence {
    /// Of a temporal unit that begins a stream.
    pub fn of_unit(unit: &[u8]) -> Result<Self> {
        for obu in obus(unit) {
            let obu = obu?;
            if obu.kind == OBU_SEQUENCE_HEADER {
                return Self::parse(&mut Bits { bytes: obu.payload, at: 0 });
            }
        }
        bail!("the stream does not begin with a sequence header")
    }

    fn parse(bits: &mut Bits<'_>) -> Result<Self> {
        let profile = bits.take(3)?;
        bits.skip(1)?;
        let reduced = bits.flag()?;
        if reduced {
            bits.skip(5)?;
        } else {
            operating_points(bits)?;
        }
        let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
        let (width, height) = (bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
        if !reduced && bits.flag()? {
            bits.skip(7)?;
        }
        // Superblock size, filter-intra, intra edge filter.
        bits.skip(3)?;
        if !reduced {
            inter_tools(bits)?;
        }
        // Superres, CDEF, restoration.
        bits.skip(3)?;
        color_config(bits, profile, width as usize, height as usize)
    }
}

/// From `timing_info_present_flag` to the last operating point.
fn operating_points(bits: &mut Bits<'_>) -> Result<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.skip_uvlc()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let display_delay = bits.flag()?;
    let points = bits.take(5)? + 1;
    for _ in 0..points {
        bits.skip(12)?;
        let level = bits.take(5)?;
        // Levels above 3.3 carry a tier.
        bits.skip(u32::from(level > 7))?;
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Ok(())
}

/// From `enable_interintra_compound` to `order_hint_bits`.
fn inter_tools(bits: &mut Bits<'_>) -> Result<()> {
    bits.skip(4)?;
    let order_hint = bits.flag()?;
    if order_hint {
        bits.skip(2)?;
    }
    // Screen content tools: chosen per frame, or forced to 0 or 1.
    let screen_content = bits.flag()? || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.skip(1)?;
    }
    if order_hint {
        bits.skip(3)?;
    }
    Ok(())
}

fn color_config(bits: &mut Bits<'_>, profile: u32, width: usize, height: usize) -> Result<Sequence> {
    let high = bits.flag()?;
    let twelve = profile == 2 && high && bits.flag()?;
    let mono = profile != 1 && bits.flag()?;
    let (primaries, transfer, matrix) =
        if bits.flag()? { (bits.take(8)?, bits.take(8)?, bits.take(8)?) } else { (2, 2, 2) };
    // sRGB in RGB is full range 4:4:4 without saying so.
    let srgb = !mono && (primaries, transfer, matrix) == (1, 13, 0);
    let full_range = srgb || bits.flag()?;
    if !mono {
        if !srgb {
            let subsampled = match profile {
                0 => true,
                1 => false,
                _ if twelve => bits.flag()? && bits.flag()?,
                _ => false,
            };
            bits.skip(if subsampled { 2 } else { 0 })?;
        }
        bits.skip(1)?;
    }
    Ok(Sequence {
        width,
        height,
        bits: if twelve {
            12
        } else if high {
            10
        } else {
            8
        },
        primaries: i64::from(primaries),
        transfer: i64::from(transfer),
        matrix: i64::from(matrix),
        full_range,
        film_grain: bits.flag()?,
    })
}

/// Whether every frame of an IVF file is AV1 as far as its structure goes: that
/// of a program which writes something else, or of a disk that lost a part, is
/// not. What is coded inside is not decoded.
pub fn verify(path: &Path) -> Result<()> {
    verify_units(ivf::Reader::open(path)?)
}

/// [`verify`] for an open file.
pub fn verify_units(mut file: ivf::Reader<impl Read + Seek>) -> Result<()> {
    let mut frame = 0;
    while let Some(packet) = file.next_packet()? {
        let sound = if frame == 0 { Sequence::of_unit(&packet.data).map(drop) } else { Ok(()) };
        sound
            .and_then(|()| holds_a_picture(&packet.data))
            .with_context(|| format!("frame {frame} of {} is no AV1", file.path().display()))?;
        frame += 1;
    }
    Ok(())
}

fn holds_a_picture(unit: &[u8]) -> Result<()> {
    let mut found = false;
    for obu in obus(unit) {
        found |= [OBU_FRAME_HEADER, OBU_FRAME].contains(&obu?.kind);
    }
    ensure!(found, "it has no picture");
    Ok(())
}

/// A little-endian base-128 number and what follows it.
fn leb128(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0u64;
    for (n, &byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok((usize::try_from(value)?, &bytes[n + 1..]));
        }
    }
    bail!("an OBU size is cut off")
}

/// Bits of a byte string, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` ≤ 32 bits.
    fn take(&mut self, count: u32) -> Result<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).context("the sequence header is cut off")?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    fn flag(&mut self) -> Result<bool> {
        Ok(self.take(1)? == 1)
    }

    fn skip(&mut self, count: u32) -> Result<()> {
        self.at += count as usize;
        ensure!(self.at <= self.bytes.len() * 8, "the sequence header is cut off");
        Ok(())
    }

    fn skip_uvlc(&mut self) -> Result<()> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        self.skip(zeros)
    }
}

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod tests;
