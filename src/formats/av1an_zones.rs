//! av1an's zones files (spec 06).

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use crate::support::atomic;

/// Writes a zones file, complete or not at all: one line a scene, `start end
/// encoder`, the end exclusive. `encoder` is av1an's name for its command line,
/// as `svt-av1`.
pub fn write(path: &Path, scenes: impl IntoIterator<Item = Range<usize>>, encoder: &str) -> Result<()> {
    atomic::write_with(path, |out| {
        for scene in scenes {
            writeln!(out, "{} {} {encoder}", scene.start, scene.end)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_one_line_a_scene() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zones.txt");
        write(&path, [0..24, 24..90], "svt-av1").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0 24 svt-av1\n24 90 svt-av1\n");
    }
}
