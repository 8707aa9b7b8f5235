//! Film grain by table: photon noise as av1an makes it, and grain tables of a
//! whole film cut to the chunk they are given to.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use av1_grain::{
    GrainTableSegment, NoiseGenArgs, TransferFunction, generate_photon_noise_params, parse_grain_table,
    write_grain_table,
};
use serde::Serialize;

use crate::formats::scenes_json::ZoneOverrides;
use crate::source::{ClipInfo, ColorInfo};

/// Units of a grain table's times in a second.
const TICKS: f64 = 1e7;
/// H.273: SMPTE ST 2084, the transfer function of HDR10.
const PQ: i64 = 16;
/// av1an's strength 1 is ISO 100, 64 its highest.
const ISO: u32 = 100;
const MAX_STRENGTH: u32 = 64;

/// Grain that the encoder gets as a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Grain {
    /// The noise of a photograph at this ISO in a picture of this size.
    Photon { iso: u32, width: u32, height: u32, chroma: bool, pq: bool },
    /// The text of a table for the whole clip.
    Table(String),
}

impl Grain {
    /// What a scene's overrides ask for.
    pub fn photon(overrides: &ZoneOverrides, info: &ClipInfo, color: &ColorInfo) -> Result<Option<Self>> {
        let Some(strength) = overrides.photon_noise.filter(|&strength| strength > 0) else { return Ok(None) };
        ensure!(strength <= MAX_STRENGTH, "photon_noise {strength}: must be 0 to {MAX_STRENGTH}");
        Ok(Some(Self::Photon {
            iso: strength * ISO,
            width: overrides.photon_noise_width.unwrap_or(info.width as u32),
            height: overrides.photon_noise_height.unwrap_or(info.height as u32),
            chroma: overrides.chroma_noise,
            pq: color.transfer == PQ,
        }))
    }

    /// A table from a file, as grav1synth and aomenc's noise_model write them.
    pub fn read(path: &Path) -> Result<Self> {
        let text = crate::support::text::read(path)
            .with_context(|| format!("cannot read the grain table {}", path.display()))?;
        Self::table(text).with_context(|| format!("grain table {}", path.display()))
    }

    /// [`Grain::read`] for the text of a file.
    pub fn table(text: String) -> Result<Self> {
        parse(&text)?;
        Ok(Self::Table(text))
    }

    /// Writes the table for a chunk of `frames` at `fps`; `false`: it has no grain.
    ///
    /// An encoder counts time from its first frame, so the segments of a whole
    /// clip's table are moved, and those that end before or begin after are left out.
    pub fn write(&self, path: &Path, frames: &Range<usize>, fps: (u32, u32)) -> Result<bool> {
        let segments = self.segments(frames, fps)?;
        if segments.is_empty() {
            return Ok(false);
        }
        write_grain_table(path, &segments)
            .with_context(|| format!("cannot write the grain table {}", path.display()))?;
        Ok(true)
    }

    /// The parts of a table for a chunk of `frames` at `fps`.
    pub fn segments(&self, frames: &Range<usize>, fps: (u32, u32)) -> Result<Vec<GrainTableSegment>> {
        Ok(match self {
            Self::Photon { iso, width, height, chroma, pq } => {
                let transfer_function =
                    if *pq { TransferFunction::SMPTE2084 } else { TransferFunction::BT1886 };
                vec![generate_photon_noise_params(
                    0,
                    // The largest time that every reader of tables takes.
                    i64::MAX as u64,
                    NoiseGenArgs {
                        iso_setting: *iso,
                        width: *width,
                        height: *height,
                        transfer_function,
                        chroma_grain: *chroma,
                        random_seed: None,
                    },
                )]
            }
            Self::Table(text) => cut(parse(text)?, frames, fps),
        })
    }
}

fn parse(text: &str) -> Result<Vec<GrainTableSegment>> {
    let segments = parse_grain_table(text).context("it is no `filmgrn1` table")?;
    ensure!(!segments.is_empty(), "it has no segment with grain");
    Ok(segments)
}

fn cut(segments: Vec<GrainTableSegment>, frames: &Range<usize>, fps: (u32, u32)) -> Vec<GrainTableSegment> {
    let ticks = |frame: usize| (frame as f64 * TICKS * f64::from(fps.1) / f64::from(fps.0)).round() as u64;
    let (start, end) = (ticks(frames.start), ticks(frames.end));
    let inside = segments.into_iter().filter(|s| s.start_time < end && s.end_time > start);
    let moved = inside.map(|mut segment| {
        segment.start_time = segment.start_time.saturating_sub(start);
        segment.end_time = segment.end_time.saturating_sub(start).min(i64::MAX as u64);
        segment
    });
    moved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two segments: frames 0 to 48 and 48 to 120 at 24 fps.
    const TABLE: &str = "filmgrn1
E 0 20000000 1 7391 1
\tp 0 6 0 8 0 1 128 192 256 128 192 256
\tsY 2  0 20 255 20
\tsCb 0
\tsCr 0
\tcY
\tcCb 0
\tcCr 0
E 20000000 50000000 1 1234 1
\tp 0 6 0 8 0 1 128 192 256 128 192 256
\tsY 2  0 60 255 60
\tsCb 0
\tsCr 0
\tcY
\tcCb 0
\tcCr 0
";

    fn times(frames: Range<usize>) -> Vec<(u64, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grain.tbl");
        if !Grain::Table(TABLE.to_owned()).write(&path, &frames, (24, 1)).unwrap() {
            return Vec::new();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        parse_grain_table(&text).unwrap().iter().map(|s| (s.start_time, s.end_time)).collect()
    }

    /// 24 frames are 10,000,000 ticks.
    #[test]
    fn a_table_moves_with_the_chunk() {
        assert_eq!(times(0..48), [(0, 20_000_000)]);
        assert_eq!(times(24..72), [(0, 10_000_000), (10_000_000, 40_000_000)]);
        assert_eq!(times(96..120), [(0, 10_000_000)]);
        assert_eq!(times(120..240), []);
    }

    #[test]
    fn what_is_no_table_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0 I\n").unwrap();
        let error = format!("{:#}", Grain::read(file.path()).unwrap_err());
        assert!(error.contains("no `filmgrn1` table"), "{error}");
    }
}
