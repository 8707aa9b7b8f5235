//! Scene lists made elsewhere: av1an's scenes.json (spec 06).

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::Scene;

/// What we need of the file; other keys are skipped without being kept.
#[derive(Deserialize)]
struct ScenesFile {
    frames: Option<Value>,
    scenes: Option<Vec<Entry>>,
    split_scenes: Option<Vec<Entry>>,
}

/// Values, so that a wrong one is reported with the number of its scene.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    start_frame: Value,
    #[serde(default)]
    end_frame: Value,
}

/// Reads the scenes of `path` for a clip of `frames` frames: in order, without
/// gaps, none empty, none beyond the clip; `split_scenes` where the file has
/// both lists. They need not cover the clip. Errors name the file and the scene.
pub fn read(path: &Path, frames: usize) -> Result<Vec<Scene>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parsed: ScenesFile = serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("{} is not an av1an scenes.json", path.display()))?;
    check(parsed, frames).with_context(|| path.display().to_string())
}

fn check(file: ScenesFile, frames: usize) -> Result<Vec<Scene>> {
    if let Some(given) = file.frames {
        ensure!(
            given.as_u64() == Some(frames as u64),
            "`frames` is {given}, but the clip has {frames}; the list was made for another clip"
        );
    }
    let (list, entries) = match (file.split_scenes, file.scenes) {
        (Some(entries), _) => ("split_scenes", entries),
        (None, Some(entries)) => ("scenes", entries),
        (None, None) => bail!("there is neither `split_scenes` nor `scenes` in it"),
    };
    ensure!(!entries.is_empty(), "`{list}` is empty; it must list at least one scene");
    let mut scenes: Vec<Scene> = Vec::with_capacity(entries.len());
    for (number, entry) in entries.iter().enumerate() {
        let scene = checked(entry, scenes.last().copied(), frames)
            .with_context(|| format!("scene {number} of `{list}`"))?;
        scenes.push(scene);
    }
    Ok(scenes)
}

fn checked(entry: &Entry, before: Option<Scene>, frames: usize) -> Result<Scene> {
    let (start, end) = (frame(&entry.start_frame, "start_frame")?, frame(&entry.end_frame, "end_frame")?);
    ensure!(start < end, "frames {start} to {end}: it is empty, `end_frame` must be above `start_frame`");
    ensure!(end <= frames, "it ends at {end}, but the clip has {frames} frames");
    if let Some(before) = before {
        let expected = before.end;
        ensure!(
            start <= expected,
            "it starts at {start}: frames {expected} to {start} are missing before it"
        );
        ensure!(start >= expected, "it starts at {start}, inside the scene before, which ends at {expected}");
    }
    Ok(Scene { start, end })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, frames: usize) -> Result<Vec<Scene>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        std::fs::write(&path, text).unwrap();
        read(&path, frames)
    }

    fn error_of(text: &str) -> String {
        let error = format!("{:#}", read_text(text, 100).unwrap_err());
        assert!(error.contains("list.json"), "{error}");
        error
    }

    #[test]
    fn the_split_list_counts_and_foreign_keys_do_not_matter() {
        let scenes = read_text(
            r#"{"frames": 100, "tool": {"name": "x", "nested": [[1], {"a": null}]},
                "scenes": [{"start_frame": 0, "end_frame": 100, "zone_overrides": null}],
                "split_scenes": [
                  {"start_frame": 0, "end_frame": 40, "target_quality": 1.5,
                   "zone_overrides": {"encoder": "svt_av1", "video_params": ["--crf", "27.50"]}},
                  {"start_frame": 40, "end_frame": 100}]}"#,
            100,
        )
        .unwrap();
        assert_eq!(scenes, [Scene { start: 0, end: 40 }, Scene { start: 40, end: 100 }]);
        let old = r#"{"scenes": [{"start_frame": 0, "end_frame": 100}], "split_scenes": null}"#;
        assert_eq!(read_text(old, 100).unwrap(), [Scene { start: 0, end: 100 }]);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_number_of_the_scene() {
        let scene = |start: &str, end: &str| format!(r#"{{"start_frame": {start}, "end_frame": {end}}}"#);
        let list = |frames: &str, scenes: &[String]| {
            format!(r#"{{"frames": {frames}, "scenes": [{}]}}"#, scenes.join(","))
        };
        let first = || scene("0", "40");
        for (text, says) in [
            (
                list("100", &[first(), scene("50", "100")]),
                "scene 1 of `scenes`: it starts at 50: frames 40 to 50",
            ),
            (list("100", &[first(), scene("30", "100")]), "scene 1 of `scenes`: it starts at 30, inside"),
            (list("100", &[first(), scene("40", "40")]), "scene 1 of `scenes`: frames 40 to 40: it is empty"),
            (list("100", &[first(), scene("40", "120")]), "scene 1 of `scenes`: it ends at 120"),
            (list("100", &[scene("-1", "40")]), "scene 0 of `scenes`: `start_frame` is -1"),
            (list("100", &[scene("0", "40.5")]), "`end_frame` is 40.5"),
            (list("100", &[scene("\"0\"", "40")]), "`start_frame` is \"0\""),
            (list("100", &["{}".to_owned()]), "scene 0 of `scenes`: `start_frame` is missing"),
            (list("720", &[first()]), "`frames` is 720, but the clip has 100"),
            (list("100", &[]), "`scenes` is empty"),
            ("{}".to_owned(), "neither"),
            ("[1, 2]".to_owned(), "not an av1an scenes.json"),
            ("0 40 svt-av1".to_owned(), "not an av1an scenes.json"),
            (String::new(), "not an av1an scenes.json"),
            ("[".repeat(100_000), "not an av1an scenes.json"),
        ] {
            let error = error_of(&text);
            assert!(error.contains(says), "{error}\nlacks: {says}");
        }
        assert!(format!("{:#}", read(Path::new("no/such.json"), 1).unwrap_err()).contains("no/such.json"));
    }

    #[test]
    fn a_hundred_megabytes_are_read_and_the_wrong_scene_in_them_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        let count = 800_000;
        let padding = "x".repeat(60);
        let mut text = String::from("{\"scenes\": [");
        for n in 0..count {
            let end = if n == 700_000 { 10 * n } else { 10 * n + 10 };
            let comma = if n + 1 < count { "," } else { "" };
            let (start, padded) = (10 * n, format!(r#""zone_overrides":{{"video_params":["{padding}"]}}"#));
            text += r#"{"start_frame":"#;
            text += &start.to_string();
            text += r#","end_frame":"#;
            text += &end.to_string();
            text.extend([",", &padded, "}", comma]);
        }
        text += "]}";
        assert!(text.len() > 100_000_000, "{}", text.len());
        std::fs::write(&path, &text).unwrap();
        let error = format!("{:#}", read(&path, 10 * count).unwrap_err());
        assert!(error.contains("scene 700000 of `scenes`"), "{error}");
        // Cut short: not JSON any more.
        std::fs::write(&path, &text[..text.len() - 1]).unwrap();
        let error = format!("{:#}", read(&path, 10 * count).unwrap_err());
        assert!(error.contains("not an av1an scenes.json") && error.contains("EOF"), "{error}");
    }
}
