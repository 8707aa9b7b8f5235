//! Where the scenes come from: a scenes.json, a QP file, or detection.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::Result;

use super::detect;
use super::work::WorkFolder;
use crate::formats::scenes_json::{self, SceneEntry};
use crate::formats::{qpfile, scene_changes};
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

/// The scenes of `clip`: continuous, from its first to its last frame.
pub fn find(
    source: &SceneSource,
    clip: &Clip,
    identity: &Fingerprint,
    work: &WorkFolder,
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<SceneEntry>> {
    let frames = clip.info().frames;
    match source {
        SceneSource::ScenesFile(path) => match scene_changes::read(path, frames)? {
            Some(scenes) => Ok(plain(scenes)),
            None => scenes_json::read(path, frames),
        },
        SceneSource::QpFile(path) => Ok(plain(qpfile::read(path, frames)?)),
        SceneSource::Detect(by) => {
            let starts = detected(by, clip, identity, work, events, cancel)?;
            let ends = starts.iter().skip(1).copied().chain([frames]);
            Ok(plain(starts.iter().copied().zip(ends).map(|(start, end)| start..end)))
        }
    }
}

fn plain(scenes: impl IntoIterator<Item = Range<usize>>) -> Vec<SceneEntry> {
    scenes.into_iter().map(SceneEntry::plain).collect()
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
                method => format!("scenes found by `{}`", method.name()),
            },
            Self::Detect(DetectBy::Ffmpeg { threshold, .. }) => {
                format!("scenes found by ffmpeg at threshold {threshold}")
            }
        }
    }
}
