//! Where the scenes come from: a scenes.json, a QP file, or detection.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::detect;
use super::plan::check_cover;
use super::qpfile;
use super::work::WorkFolder;
use crate::scenes::external;
use crate::settings::{Resolved, SceneMethod};
use crate::source::Clip;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// What decides the scenes.
#[derive(Debug, Clone)]
pub enum SceneSource {
    /// An av1an scenes.json; the parameters in it are kept.
    ScenesFile(PathBuf),
    QpFile(PathBuf),
    Detect(DetectBy),
}

#[derive(Debug, Clone)]
pub enum DetectBy {
    /// The settings' method of spec 01.
    Settings(Box<Resolved>),
    /// ffmpeg's scene filter; `threshold` is of 0..1, `half` detects on half the size.
    Ffmpeg { threshold: f64, half: bool },
}

/// A scene and what it is to be encoded with, where the file says so.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedScene {
    pub frames: Range<usize>,
    pub overrides: Option<Overrides>,
}

/// The part of av1an's `zone_overrides` that concerns an encode. Files by other
/// versions may lack keys and have more.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Overrides {
    pub encoder: String,
    #[serde(default)]
    pub passes: Option<u8>,
    #[serde(default)]
    pub video_params: Option<Vec<String>>,
    #[serde(default)]
    pub photon_noise: Option<u32>,
    #[serde(default)]
    pub photon_noise_height: Option<u32>,
    #[serde(default)]
    pub photon_noise_width: Option<u32>,
    #[serde(default)]
    pub chroma_noise: bool,
}

/// The scenes of `clip`: continuous, from its first to its last frame.
pub fn find(
    source: &SceneSource,
    clip: &Clip,
    identity: &Fingerprint,
    work: &WorkFolder,
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<ListedScene>> {
    let frames = clip.info().frames;
    match source {
        SceneSource::ScenesFile(path) => read(path, frames),
        SceneSource::QpFile(path) => Ok(plain(qpfile::read(path, frames)?)),
        SceneSource::Detect(by) => {
            let starts = detected(by, clip, identity, work, events, cancel)?;
            let ends = starts.iter().skip(1).copied().chain([frames]);
            Ok(plain(starts.iter().copied().zip(ends).map(|(start, end)| start..end)))
        }
    }
}

fn plain(scenes: impl IntoIterator<Item = Range<usize>>) -> Vec<ListedScene> {
    scenes.into_iter().map(|frames| ListedScene { frames, overrides: None }).collect()
}

#[derive(Deserialize)]
struct ScenesFile {
    scenes: Option<Vec<Entry>>,
    split_scenes: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    zone_overrides: Option<Overrides>,
}

/// A scenes.json that fits a clip of `frames` frames, with its parameters.
pub fn read(path: &Path, frames: usize) -> Result<Vec<ListedScene>> {
    let scenes = external::read(path, frames)?;
    let ranges: Vec<_> = scenes.iter().map(|scene| scene.start..scene.end).collect();
    check_cover(&ranges, frames).with_context(|| path.display().to_string())?;
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: ScenesFile = serde_json::from_slice(&text)
        .with_context(|| format!("{}: `zone_overrides` cannot be read", path.display()))?;
    // The reader above has checked that one of them is there, and chose alike.
    let entries = file.split_scenes.or(file.scenes).unwrap_or_default();
    let overrides = entries.into_iter().map(|entry| entry.zone_overrides);
    Ok(ranges
        .into_iter()
        .zip(overrides)
        .map(|(frames, overrides)| ListedScene { frames, overrides })
        .collect())
}

/// Detected scene starts, from the work folder when an earlier run found them.
fn detected(
    by: &DetectBy,
    clip: &Clip,
    identity: &Fingerprint,
    work: &WorkFolder,
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    let key = match by {
        DetectBy::Settings(settings) => Fingerprint::of(&(identity, &settings.base.scenes)),
        DetectBy::Ffmpeg { threshold, half } => Fingerprint::of(&(identity, threshold, half)),
    };
    if let Some(starts) = work.detected(&key) {
        events.note(format!("{} scenes were detected by an earlier run", starts.len()));
        return Ok(starts);
    }
    let starts = match by {
        DetectBy::Settings(settings) => detect::by_settings(clip, settings, events, cancel)?,
        DetectBy::Ffmpeg { threshold, half } => detect::by_ffmpeg(clip, *threshold, *half, events, cancel)?,
    };
    work.store_detected(&key, starts.clone())?;
    Ok(starts)
}

impl SceneSource {
    /// For messages.
    pub fn describe(&self) -> String {
        match self {
            Self::ScenesFile(path) => format!("scenes from {}", path.display()),
            Self::QpFile(path) => format!("scenes from the QP file {}", path.display()),
            Self::Detect(DetectBy::Settings(settings)) => match settings.base.scenes.method {
                SceneMethod::External => "scenes from a list".to_owned(),
                method => format!("scenes found by `{}`", crate::scenes::name(method)),
            },
            Self::Detect(DetectBy::Ffmpeg { threshold, .. }) => {
                format!("scenes found by ffmpeg at threshold {threshold}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, frames: usize) -> Result<Vec<ListedScene>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), frames)
    }

    /// The file of spec 06, shortened, with keys of newer and older versions.
    #[test]
    fn the_parameters_of_a_scenes_file_are_read() {
        let scenes = read_text(
            r#"{"frames": 720, "scenes": [{"start_frame": 0, "end_frame": 720, "zone_overrides": null}],
                "split_scenes": [
                 {"start_frame": 0, "end_frame": 50, "zone_overrides": {
                  "encoder": "svt_av1", "passes": 1, "video_params": ["--crf", "27.50", "--preset", "2"],
                  "photon_noise": 4, "photon_noise_height": null, "photon_noise_width": null,
                  "chroma_noise": true, "extra_splits_len": 264, "min_scene_len": 12, "target_quality": null}},
                 {"start_frame": 50, "end_frame": 60, "zone_overrides": {"encoder": "aom"}},
                 {"start_frame": 60, "end_frame": 720}]}"#,
            720,
        )
        .unwrap();
        let first = scenes[0].overrides.as_ref().unwrap();
        assert_eq!(first.video_params.as_ref().unwrap()[..2], ["--crf", "27.50"]);
        assert_eq!((first.photon_noise, first.chroma_noise), (Some(4), true));
        assert_eq!(scenes[1].overrides.as_ref().unwrap().encoder, "aom");
        assert_eq!(scenes[2], ListedScene { frames: 60..720, overrides: None });
    }

    #[test]
    fn a_file_of_another_clip_is_refused() {
        let text = r#"{"frames": 720, "scenes": [{"start_frame": 0, "end_frame": 720}]}"#;
        let error = format!("{:#}", read_text(text, 700).unwrap_err());
        assert!(error.contains("720") && error.contains("700"), "{error}");
        let text = r#"{"scenes": [{"start_frame": 0, "end_frame": 600}]}"#;
        let error = format!("{:#}", read_text(text, 700).unwrap_err());
        assert!(error.contains("end at frame 600, the clip has 700"), "{error}");
        let text = r#"{"scenes": [{"start_frame": 0, "end_frame": 700, "zone_overrides": 5}]}"#;
        let error = format!("{:#}", read_text(text, 700).unwrap_err());
        assert!(error.contains("zone_overrides"), "{error}");
    }
}
