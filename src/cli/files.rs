//! What a command reads and what it writes: the one must never destroy the
//! other, nor what somebody else wrote.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{STDOUT, Usage};
use crate::source::{self, OpenOptions};
use crate::support::atomic;

/// The files of a command, each with the option that named it.
#[derive(Debug, Default)]
pub struct Files {
    read: Vec<(String, PathBuf)>,
    written: Vec<Output>,
    /// Whether files of others may be replaced, too.
    force: bool,
}

#[derive(Debug)]
struct Output {
    option: &'static str,
    path: PathBuf,
    kind: Kind,
}

/// What is written to a file, to know an older one of its kind by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Scenes,
    /// The record of settings beside a scenes file.
    Record,
    Zones,
    Statistics,
    Plot,
    Report,
    Page,
    Events,
    Picture,
    /// The command looks after what is there itself.
    Guarded,
}

impl Files {
    pub fn new(force: bool) -> Self {
        Self { force, ..Self::default() }
    }

    pub fn reads<'a>(&mut self, option: &str, paths: impl IntoIterator<Item = &'a PathBuf>) {
        self.read.extend(paths.into_iter().map(|path| (option.to_owned(), path.clone())));
    }

    /// The input, and what it is made of.
    pub fn reads_clip(&mut self, option: &str, path: &Path, options: &OpenOptions) {
        // One that cannot be read is reported when it is opened.
        let files = source::files(path, options).unwrap_or_else(|_| vec![path.to_owned()]);
        self.read.extend(files.into_iter().map(|file| {
            let named = if file == path { option.to_owned() } else { format!("a file of {option}") };
            (named, file)
        }));
    }

    pub fn writes<'a>(
        &mut self,
        option: &'static str,
        paths: impl IntoIterator<Item = &'a PathBuf>,
        kind: Kind,
    ) {
        let files = paths.into_iter().filter(|path| *path != Path::new(STDOUT));
        self.written.extend(files.map(|path| Output { option, path: path.clone(), kind }));
    }

    /// # Errors
    /// [`Usage`] when something is to be written over what is read or written by
    /// the same command, or over a file that this program did not write.
    pub fn check(&self) -> Result<()> {
        for (index, Output { option, path, kind }) in self.written.iter().enumerate() {
            if let Some((other, read)) = self.read.iter().find(|(_, read)| is_same(read, path)) {
                bail!(Usage(format!(
                    "{option} {}: this is {other}, {}, which would be lost; choose another name",
                    path.display(),
                    read.display()
                )));
            }
            if let Some(other) = self.written[..index].iter().find(|other| is_same(&other.path, path)) {
                bail!(Usage(format!(
                    "{option} {}: {} writes there, too; choose another name for one of them",
                    path.display(),
                    other.option
                )));
            }
            if !self.force && !kind.may_replace(path) {
                let way_out = if *kind == Kind::Events { "" } else { "--force replaces it; or " };
                bail!(Usage(format!(
                    "{option} {}: exists and was not written by this option; {way_out}choose another name",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// Whether two names lead to one file: by what they resolve to, and for files
/// that exist by what the system knows them as (hard links).
fn is_same(a: &Path, b: &Path) -> bool {
    if same_file::is_same_file(a, b).unwrap_or(false) {
        // Devices are no files that could be lost.
        return a.is_file();
    }
    // Nothing is kept there, which is what Windows' NUL is asked for.
    if atomic::is_device(a) {
        return false;
    }
    matches!((place(a), place(b)), (Some(a), Some(b)) if a == b)
}

/// Where a name leads, also when there is no file yet.
fn place(path: &Path) -> Option<PathBuf> {
    let target = atomic::followed(path);
    let folder = atomic::folder_of(&target).canonicalize().ok()?;
    let name = target.file_name()?;
    Some(if cfg!(any(windows, target_os = "macos")) {
        folder.join(caseless(name))
    } else {
        folder.join(name)
    })
}

/// As systems compare names that take `EP01.json` for `ep01.json`.
fn caseless(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

impl Kind {
    /// Nothing is lost: there is no file, an empty one, or one like those that
    /// the option writes.
    fn may_replace(self, path: &Path) -> bool {
        let Ok(metadata) = std::fs::metadata(path) else { return true };
        self == Self::Guarded || !metadata.is_file() || metadata.len() == 0 || self.is_ours(path)
    }

    fn is_ours(self, path: &Path) -> bool {
        let begins = |mark: &str| head(path).starts_with(mark.as_bytes());
        let contains = |mark: &str| head(path).windows(mark.len()).any(|bytes| bytes == mark.as_bytes());
        match self {
            Self::Scenes => parses::<ScenesFile>(path),
            Self::Record => parses::<RecordFile>(path),
            Self::Report => parses::<ReportFile>(path),
            Self::Zones => std::fs::read_to_string(path).is_ok_and(|text| text.lines().all(is_zone_of_ours)),
            Self::Statistics => begins("frame,average,min,max,diff,score,scene_start"),
            Self::Plot => begins("<svg") && contains("score of every frame"),
            Self::Page => begins("<!DOCTYPE html>") && contains("made by progression-boost"),
            Self::Events => is_event(&head(path)),
            Self::Picture => contains(crate::character::SOFTWARE),
            Self::Guarded => true,
        }
    }
}

/// Enough of a file for every mark.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut bytes));
    bytes
}

fn parses<T: for<'a> Deserialize<'a>>(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    serde_json::from_reader::<_, T>(std::io::BufReader::new(file)).is_ok()
}

#[derive(Deserialize)]
struct ScenesFile {
    #[serde(rename = "frames")]
    _frames: usize,
    #[serde(rename = "split_scenes")]
    _scenes: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct RecordFile {
    #[serde(rename = "program")]
    _program: IgnoredAny,
    #[serde(rename = "hash")]
    _hash: IgnoredAny,
    #[serde(rename = "settings")]
    _settings: IgnoredAny,
}

#[derive(Deserialize)]
struct ReportFile {
    #[serde(rename = "program")]
    _program: IgnoredAny,
    #[serde(rename = "scenes_file")]
    _scenes_file: IgnoredAny,
    #[serde(rename = "summary")]
    _summary: IgnoredAny,
}

/// As `scenes --zones-out` writes it. A list for --zones has other names.
fn is_zone_of_ours(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    matches!(words[..], [start, end, "svt-av1"] if start.parse::<usize>().is_ok() && end.parse::<usize>().is_ok())
}

fn is_event(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice::<Value>(line)
        .is_ok_and(|event| event["time"].is_number() && event["event"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_alone_are_one_where_systems_say_so() {
        assert_eq!(caseless(OsStr::new("Ep01 ÜBER.Json")), caseless(OsStr::new("EP01 über.JSON")));
        assert_ne!(caseless(OsStr::new("ep01.json")), caseless(OsStr::new("ep02.json")));
        let folder = tempfile::tempdir().unwrap();
        let new = |name: &str| folder.path().join(name);
        assert!(is_same(&new("a.json"), &new("a.json")));
        let one = cfg!(any(windows, target_os = "macos"));
        assert_eq!(is_same(&new("a.json"), &new("A.json")), one);
    }
}
