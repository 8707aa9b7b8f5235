//! Whether the finished file is what was asked for.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::formats::matroska::{self, Contents, Kind};
use crate::formats::sequence::Sequence;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::matroska::Track;

    /// First unit of aomenc 3.6.0: 320x180, 10 bit, nothing specified.
    const HEAD: [u8; 15] = [0x12, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0x40, 0x40];

    fn error_of(color: &ColorInfo, change: impl FnOnce(&mut Track, &mut Expected<'_>)) -> Option<String> {
        let mut track = Track {
            number: 1,
            kind: Kind::Video,
            codec: "V_AV1".to_owned(),
            blocks: 240,
            first: 0.0,
            last: 9.958,
            head: HEAD.to_vec(),
            ..Track::default()
        };
        let (fps, bits) = ((24, 1), 10);
        let mut expected = Expected { frames: 240, fps, width: 320, height: 180, bits, color };
        change(&mut track, &mut expected);
        let contents = Contents { tracks: vec![track], ..Contents::default() };
        judge(&contents, &expected).err().map(|error| error.to_string())
    }

    #[test]
    fn a_right_file_passes_and_every_fault_is_named() {
        let open = ColorInfo::default();
        assert_eq!(error_of(&open, |_, _| {}), None);
        let bt709 = ColorInfo { matrix: 1, ..ColorInfo::default() };
        let full = ColorInfo { full_range: Some(true), ..ColorInfo::default() };
        for (error, wanted) in [
            (error_of(&open, |track, _| track.blocks = 239), "it has 239 of 240 frames"),
            (error_of(&open, |track, _| track.last = 9.5), "9.500 s after its first instead of 9.958 s"),
            (error_of(&open, |track, _| track.codec = "V_VP9".to_owned()), "its video is V_VP9"),
            (error_of(&open, |track, _| track.kind = Kind::Audio), "it has 0 video tracks"),
            (error_of(&open, |track, _| track.head.truncate(5)), "its first frame cannot be read"),
            (
                error_of(&open, |_, expected| expected.bits = 8),
                "320x180 of 10 bits instead of 320x180 of 8 bits",
            ),
            (error_of(&bt709, |_, _| {}), "its matrix are 2, the clip's are 1"),
            (error_of(&full, |_, _| {}), "its range is limited, the clip's full"),
        ] {
            assert!(error.as_ref().is_some_and(|error| error.contains(wanted)), "{error:?}: {wanted}");
        }
    }
}
