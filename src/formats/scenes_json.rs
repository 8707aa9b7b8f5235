//! av1an's `scenes.json` (spec 06): the one model of it, its reader and its writer.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::atomic;

/// One scene with the settings av1an encodes it with; `None`: av1an's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SceneEntry {
    pub start_frame: usize,
    /// Exclusive.
    pub end_frame: usize,
    pub zone_overrides: Option<ZoneOverrides>,
}

/// What av1an replaces for a scene. Av1an wants all of it, so all of it is
/// written; files by other versions may lack all but the encoder, and have more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneOverrides {
    /// av1an's name inside the file: `svt_av1`, `aom`, `x264`, …
    pub encoder: String,
    /// 1 where a file does not say.
    #[serde(default = "one", deserialize_with = "one_if_null")]
    pub passes: u8,
    #[serde(default, deserialize_with = "default_if_null")]
    pub video_params: Vec<String>,
    #[serde(default)]
    pub photon_noise: Option<u32>,
    #[serde(default)]
    pub photon_noise_height: Option<u32>,
    #[serde(default)]
    pub photon_noise_width: Option<u32>,
    #[serde(default)]
    pub chroma_noise: bool,
    #[serde(default)]
    pub extra_splits_len: Option<usize>,
    /// In frames; 0 where a file does not say.
    #[serde(default, deserialize_with = "default_if_null")]
    pub min_scene_len: usize,
}

fn one() -> u8 {
    1
}

fn one_if_null<'de, D: Deserializer<'de>>(value: D) -> Result<u8, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_else(one))
}

fn default_if_null<'de, D, T>(value: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

impl SceneEntry {
    /// A scene that av1an encodes with the parameters of its command line.
    pub fn plain(frames: Range<usize>) -> Self {
        Self { start_frame: frames.start, end_frame: frames.end, zone_overrides: None }
    }

    pub fn frames(&self) -> Range<usize> {
        self.start_frame..self.end_frame
    }
}

#[derive(Serialize)]
struct Written<'a> {
    frames: usize,
    scenes: &'a [SceneEntry],
    split_scenes: &'a [SceneEntry],
}

/// Writes `scenes` as a file for `av1an --scenes`, complete or not at all.
/// The scenes are continuous from 0 and end at the clip's last frame.
pub fn write(path: &Path, scenes: &[SceneEntry]) -> Result<()> {
    let frames = scenes.last().map_or(0, |s| s.end_frame);
    atomic::write_with(path, |out| {
        serde_json::to_writer_pretty(&mut *out, &Written { frames, scenes, split_scenes: scenes })?;
        Ok(writeln!(out)?)
    })
}

/// The scenes of `path` with their parameters: continuous, from the first to the
/// last frame of a clip of `frames` frames. Errors name the file and the scene.
pub fn read(path: &Path, frames: usize) -> Result<Vec<SceneEntry>> {
    parse(&text_of(path)?, frames).with_context(|| path.display().to_string())
}

/// [`read`] for the text of a file.
pub fn parse(text: &[u8], frames: usize) -> Result<Vec<SceneEntry>> {
    let list: List<Value> = list_of(text, Some(frames))?;
    let ranges: Vec<_> = list.scenes.iter().map(|(range, _)| range.clone()).collect();
    check_cover(&ranges, frames)?;
    list.with_overrides()
}

/// The scenes of `path` with their parameters, for a clip whose length is not known.
pub fn read_of_any_clip(path: &Path) -> Result<Vec<SceneEntry>> {
    parse_of_any_clip(&text_of(path)?).with_context(|| path.display().to_string())
}

/// [`read_of_any_clip`] for the text of a file.
pub fn parse_of_any_clip(text: &[u8]) -> Result<Vec<SceneEntry>> {
    list_of(text, None)?.with_overrides()
}

/// Where the scenes of `path` lie in a clip of `frames` frames: in order,
/// without gaps, none empty, none beyond the clip. They need not cover it, and
/// what they are encoded with is not looked at.
pub fn read_ranges(path: &Path, frames: usize) -> Result<Vec<Range<usize>>> {
    parse_ranges(&text_of(path)?, frames).with_context(|| path.display().to_string())
}

/// [`read_ranges`] for the text of a file.
pub fn parse_ranges(text: &[u8], frames: usize) -> Result<Vec<Range<usize>>> {
    let list: List<IgnoredAny> = list_of(text, Some(frames))?;
    Ok(list.scenes.into_iter().map(|(range, _)| range).collect())
}

fn text_of(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Checks that `scenes` follow each other without a gap and cover `[0, frames)` exactly.
pub fn check_cover(scenes: &[Range<usize>], frames: usize) -> Result<()> {
    let mut expected = 0;
    for (number, scene) in scenes.iter().enumerate() {
        ensure!(
            scene.start == expected,
            "scene {number} starts at frame {} where the one before ends at {expected}",
            scene.start
        );
        ensure!(
            scene.end > scene.start,
            "scene {number} is empty: it starts at {} and ends at {}",
            scene.start,
            scene.end
        );
        expected = scene.end;
    }
    if expected != frames {
        bail!("the scenes end at frame {expected}, the clip has {frames} frames");
    }
    Ok(())
}

/// The file as it is read; other keys are skipped without being kept. `Z` is
/// what is kept of the overrides.
#[derive(Deserialize)]
struct Read<Z> {
    frames: Option<Value>,
    scenes: Option<Vec<Entry<Z>>>,
    split_scenes: Option<Vec<Entry<Z>>>,
}

/// Values, so that a wrong one is reported with the number of its scene.
#[derive(Deserialize)]
struct Entry<Z> {
    #[serde(default)]
    start_frame: Value,
    #[serde(default)]
    end_frame: Value,
    zone_overrides: Option<Z>,
}

/// The list of a file that counts, its ranges checked.
struct List<Z> {
    name: &'static str,
    scenes: Vec<(Range<usize>, Option<Z>)>,
}

/// Reads the text of a file; `split_scenes` counts where it has both lists.
fn list_of<Z: DeserializeOwned>(text: &[u8], frames: Option<usize>) -> Result<List<Z>> {
    let read: Read<Z> = serde_json::from_slice(text).context("it is not an av1an scenes.json")?;
    check(read, frames)
}

fn check<Z>(file: Read<Z>, frames: Option<usize>) -> Result<List<Z>> {
    let frames = match (frames, file.frames) {
        (Some(frames), Some(given)) => {
            ensure!(
                given.as_u64() == Some(frames as u64),
                "`frames` is {given}, but the clip has {frames}; the list was made for another clip"
            );
            frames
        }
        (Some(frames), None) => frames,
        (None, Some(given)) => frame(&given, "frames")?,
        (None, None) => usize::MAX,
    };
    let (name, entries) = match (file.split_scenes, file.scenes) {
        (Some(entries), _) => ("split_scenes", entries),
        (None, Some(entries)) => ("scenes", entries),
        (None, None) => bail!("there is neither `split_scenes` nor `scenes` in it"),
    };
    ensure!(!entries.is_empty(), "`{name}` is empty; it must list at least one scene");
    let mut scenes: Vec<(Range<usize>, Option<Z>)> = Vec::with_capacity(entries.len());
    for (number, entry) in entries.into_iter().enumerate() {
        let before = scenes.last().map(|(range, _)| range.end);
        let range = checked(&entry, before, frames).with_context(|| format!("scene {number} of `{name}`"))?;
        scenes.push((range, entry.zone_overrides));
    }
    Ok(List { name, scenes })
}

/// The frames of `entry`; `expected` is where the scene before ends.
fn checked<Z>(entry: &Entry<Z>, expected: Option<usize>, frames: usize) -> Result<Range<usize>> {
    let (start, end) = (frame(&entry.start_frame, "start_frame")?, frame(&entry.end_frame, "end_frame")?);
    ensure!(start < end, "frames {start} to {end}: it is empty, `end_frame` must be above `start_frame`");
    ensure!(end <= frames, "it ends at {end}, but the clip has {frames} frames");
    if let Some(expected) = expected {
        ensure!(
            start <= expected,
            "it starts at {start}: frames {expected} to {start} are missing before it"
        );
        ensure!(start >= expected, "it starts at {start}, inside the scene before, which ends at {expected}");
    }
    Ok(start..end)
}

fn frame(value: &Value, key: &str) -> Result<usize> {
    match value {
        Value::Null => bail!("`{key}` is missing"),
        value => value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .with_context(|| format!("`{key}` is {value}: must be a frame number of 0 or more")),
    }
}

impl List<Value> {
    fn with_overrides(self) -> Result<Vec<SceneEntry>> {
        let name = self.name;
        let entry = |(number, (range, overrides)): (usize, (Range<usize>, Option<Value>))| {
            let zone_overrides = overrides
                .map(serde_json::from_value)
                .transpose()
                .with_context(|| format!("scene {number} of `{name}`: `zone_overrides` cannot be read"))?;
            Ok(SceneEntry { zone_overrides, ..SceneEntry::plain(range) })
        };
        self.scenes.into_iter().enumerate().map(entry).collect()
    }
}

#[cfg(test)]
#[path = "scenes_json_tests.rs"]
mod tests;
