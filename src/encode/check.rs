//! Whether the finished file is what was asked for.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::matroska::{self, Contents, Kind};
use super::sequence::Sequence;
use crate::source::{ColorInfo, UNSPECIFIED};

/// What the result must be.
pub struct Expected<'a> {
    pub frames: usize,
    pub fps: (u32, u32),
    pub width: usize,
    pub height: usize,
    pub bits: u8,
    /// Of the clip; what it leaves open, the user's parameters may have set.
    pub color: &'a ColorInfo,
}

/// Matroska stores times in whole milliseconds; two of them are rounded here.
const ROUNDING: f64 = 0.002;

/// Reads `path` back: one AV1 track with every frame at its time, and the
/// clip's size, depth and colour. Returns what else the file holds.
pub fn check(path: &Path, expected: &Expected<'_>) -> Result<Contents> {
    let contents = matroska::read(path)?;
    judge(&contents, expected).with_context(|| format!("{} is not what was encoded", path.display()))?;
    Ok(contents)
}

fn judge(contents: &Contents, expected: &Expected<'_>) -> Result<()> {
    let video: Vec<_> = contents.tracks.iter().filter(|track| track.kind == Kind::Video).collect();
    ensure!(video.len() == 1, "it has {} video tracks", video.len());
    let track = video[0];
    ensure!(track.codec == "V_AV1", "its video is {}", track.codec);
    ensure!(track.blocks == expected.frames, "it has {} of {} frames", track.blocks, expected.frames);
    let (numerator, denominator) = expected.fps;
    let frame = f64::from(denominator) / f64::from(numerator);
    let last = (expected.frames - 1) as f64 * frame;
    let shown = track.last - track.first;
    ensure!(
        (shown - last).abs() <= ROUNDING + frame / 2.0,
        "its last frame is shown {shown:.3} s after its first instead of {last:.3} s"
    );
    let found = Sequence::of_unit(&track.head).context("its first frame cannot be read")?;
    ensure!(
        (found.width, found.height, found.bits) == (expected.width, expected.height, expected.bits),
        "it is {}x{} of {} bits instead of {}x{} of {} bits",
        found.width,
        found.height,
        found.bits,
        expected.width,
        expected.height,
        expected.bits
    );
    let color = expected.color;
    for (name, is, wanted) in [
        ("primaries", found.primaries, color.primaries),
        ("transfer", found.transfer, color.transfer),
        ("matrix", found.matrix, color.matrix),
    ] {
        ensure!(wanted == UNSPECIFIED || is == wanted, "its {name} are {is}, the clip's are {wanted}");
    }
    if let Some(full) = color.full_range {
        let name = |full: bool| if full { "full" } else { "limited" };
        ensure!(
            found.full_range == full,
            "its range is {}, the clip's {}",
            name(found.full_range),
            name(full)
        );
    }
    Ok(())
}
