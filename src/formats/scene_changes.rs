//! The JSON of the program `av-scenechange`: the frames at which scenes begin.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What is read of it; scores and speed are not needed.
#[derive(Deserialize)]
struct Found {
    scene_changes: Vec<usize>,
    /// Older versions do not say.
    frame_count: Option<usize>,
}

/// The scenes of `path` in a clip of `frames` frames, covering it; `None` when the
/// file is none of this format.
///
/// # Errors
/// When the file cannot be read, or is of another clip.
pub fn read(path: &Path, frames: usize) -> Result<Option<Vec<Range<usize>>>> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    parse(&text, frames).with_context(|| path.display().to_string())
}

/// [`read`] for the text of a file.
pub fn parse(text: &[u8], frames: usize) -> Result<Option<Vec<Range<usize>>>> {
    let Ok(found) = serde_json::from_slice(text) else { return Ok(None) };
    scenes(&found, frames).map(Some)
}

fn scenes(found: &Found, frames: usize) -> Result<Vec<Range<usize>>> {
    if let Some(count) = found.frame_count {
        ensure!(
            count == frames,
            "frame_count {count}: the clip has {frames} frames; take the list of this clip"
        );
    }
    let mut starts = vec![0];
    // The first frame begins a scene whether it is listed or not.
    let listed = found.scene_changes.strip_prefix(&[0]).unwrap_or(&found.scene_changes);
    for &start in listed {
        let last = starts[starts.len() - 1];
        ensure!(start > last, "scene_changes: {start} comes after {last}; they must rise");
        ensure!(start < frames, "scene_changes: {start} is beyond the clip's last frame {}", frames - 1);
        starts.push(start);
    }
    let ends = starts.iter().skip(1).copied().chain([frames]);
    Ok(starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields that av-scenechange 0.20 writes, with one score.
    const PRINTED: &str = r#"{"scene_changes":[0,36,66],"scores":{"1":{"inter_cost":12.5,"imp_block_cost":0.25,
        "backward_adjusted_cost":0.0,"forward_adjusted_cost":0.0,"threshold":18.6}},"frame_count":96,"speed":412.7}"#;

    fn read_text(text: &str, frames: usize) -> Result<Option<Vec<Range<usize>>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cuts.json");
        std::fs::write(&path, text).unwrap();
        read(&path, frames)
    }

    #[test]
    fn the_scenes_lie_between_the_changes() {
        assert_eq!(read_text(PRINTED, 96).unwrap().unwrap(), [0..36, 36..66, 66..96]);
        // Frame 0 need not be said, nor how many frames there are.
        assert_eq!(read_text(r#"{"scene_changes":[36]}"#, 96).unwrap().unwrap(), [0..36, 36..96]);
        assert_eq!(read_text(r#"{"scene_changes":[]}"#, 5).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn other_files_are_left_to_others() {
        for text in [r#"{"frames":96,"scenes":[]}"#, "", "[0, 36]", r#"{"scene_changes":[-1]}"#] {
            assert_eq!(read_text(text, 96).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn lists_of_another_clip_are_refused() {
        for (text, says) in [
            (PRINTED, "frame_count 96: the clip has 90 frames"),
            (r#"{"scene_changes":[0,50,50]}"#, "50 comes after 50"),
            (r#"{"scene_changes":[0,50,20]}"#, "20 comes after 50"),
            (r#"{"scene_changes":[0,90]}"#, "90 is beyond the clip's last frame 89"),
        ] {
            let error = format!("{:#}", read_text(text, 90).unwrap_err());
            assert!(error.contains(says) && error.contains("cuts.json"), "{error}");
        }
    }
}
