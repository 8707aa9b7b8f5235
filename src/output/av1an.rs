//! av1an's `scenes.json` and zones files (spec 06).

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::scenes::Scene;
use crate::support::atomic;

/// One scene with the settings av1an encodes it with; `None`: av1an's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneEntry {
    pub start_frame: usize,
    /// Exclusive.
    pub end_frame: usize,
    pub zone_overrides: Option<ZoneOverrides>,
}

/// What av1an replaces for a scene; all of it has to be there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneOverrides {
    /// av1an's name inside the file: `svt_av1`, `aom`, `x264`, …
    pub encoder: String,
    pub passes: u8,
    pub video_params: Vec<String>,
    pub photon_noise: Option<u32>,
    pub photon_noise_height: Option<u32>,
    pub photon_noise_width: Option<u32>,
    pub chroma_noise: bool,
    pub extra_splits_len: Option<usize>,
    pub min_scene_len: usize,
}

impl SceneEntry {
    /// A scene that av1an encodes with the parameters of its command line.
    pub fn plain(scene: Scene) -> Self {
        Self { start_frame: scene.start, end_frame: scene.end, zone_overrides: None }
    }
}

#[derive(Serialize)]
struct ScenesFile<'a> {
    frames: usize,
    scenes: &'a [SceneEntry],
    split_scenes: &'a [SceneEntry],
}

/// Writes `scenes` as a file for `av1an --scenes`, complete or not at all.
/// The scenes are continuous from 0 and end at the clip's last frame.
pub fn write_scenes(path: &Path, scenes: &[SceneEntry]) -> Result<()> {
    let frames = scenes.last().map_or(0, |s| s.end_frame);
    atomic::write_with(path, |out| {
        serde_json::to_writer_pretty(&mut *out, &ScenesFile { frames, scenes, split_scenes: scenes })?;
        Ok(writeln!(out)?)
    })
}

/// Writes an av1an zones file: one line a scene, `start end encoder`.
pub fn write_zones(path: &Path, scenes: &[Scene], encoder: &str) -> Result<()> {
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

    /// The file of spec 06, key for key.
    #[test]
    fn the_file_has_av1an_s_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ep01.scenes.json");
        let overrides = ZoneOverrides {
            encoder: "svt_av1".into(),
            passes: 1,
            video_params: ["--crf", "27.50", "--preset", "2"].map(String::from).to_vec(),
            photon_noise: None,
            photon_noise_height: None,
            photon_noise_width: None,
            chroma_noise: false,
            extra_splits_len: Some(264),
            min_scene_len: 12,
        };
        let scenes = [
            SceneEntry { start_frame: 0, end_frame: 50, zone_overrides: Some(overrides) },
            SceneEntry::plain(Scene { start: 50, end: 720 }),
        ];
        write_scenes(&path, &scenes).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected_scenes = serde_json::json!([
            {"start_frame": 0, "end_frame": 50, "zone_overrides": {
                "encoder": "svt_av1", "passes": 1,
                "video_params": ["--crf", "27.50", "--preset", "2"],
                "photon_noise": null, "photon_noise_height": null, "photon_noise_width": null,
                "chroma_noise": false, "extra_splits_len": 264, "min_scene_len": 12}},
            {"start_frame": 50, "end_frame": 720, "zone_overrides": null}
        ]);
        let expected =
            serde_json::json!({"frames": 720, "scenes": expected_scenes, "split_scenes": expected_scenes});
        assert_eq!(read, expected);
    }

    #[test]
    fn zones_are_one_line_a_scene() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zones.txt");
        let scenes = [Scene { start: 0, end: 24 }, Scene { start: 24, end: 90 }];
        write_zones(&path, &scenes, "svt-av1").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0 24 svt-av1\n24 90 svt-av1\n");
    }
}
