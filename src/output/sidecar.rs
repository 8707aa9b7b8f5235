//! How the scenes of a scenes file were made, in a file beside it, so that they
//! can be judged and made anew by the same settings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::settings::Resolved;
use crate::support::atomic;
use crate::support::fingerprint::{Fingerprint, PROGRAM};

/// What lies beside a scenes file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sidecar {
    /// Version of the program that wrote it.
    pub program: String,
    /// What was boosted.
    pub input: PathBuf,
    /// The work folder.
    pub folder: PathBuf,
    /// Of the scenes file.
    pub hash: Fingerprint,
    pub scenes: usize,
    /// Of the clip.
    pub frames: usize,
    /// Complete: nothing of it needs a preset.
    pub settings: Resolved,
    /// By scene, the score that it is to have, where that is not its zone's target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<f64>>,
}

/// What a run knows of the scenes file that it wrote.
pub struct Made<'a> {
    pub input: &'a Path,
    pub folder: &'a Path,
    pub scenes: usize,
    pub frames: usize,
    pub settings: &'a Resolved,
    pub targets: Option<Vec<f64>>,
}

impl Sidecar {
    /// `ep01.scenes.json` has `ep01.scenes.settings.json` beside it.
    pub fn path(scenes: &Path) -> PathBuf {
        let name = scenes.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".json").unwrap_or(&name);
        scenes.with_file_name(format!("{stem}.settings.json"))
    }

    /// Writes it for a scenes file that is there.
    pub fn write(scenes: &Path, made: Made<'_>) -> Result<()> {
        let sidecar = Self {
            program: PROGRAM.to_owned(),
            input: std::path::absolute(made.input)?,
            folder: std::path::absolute(made.folder)?,
            hash: Fingerprint::of_file(scenes)?,
            scenes: made.scenes,
            frames: made.frames,
            settings: made.settings.clone(),
            targets: made.targets,
        };
        let path = Self::path(scenes);
        atomic::write_with(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, &sidecar)?;
            Ok(writeln!(out)?)
        })
    }

    /// That of a scenes file; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is of another scenes file.
    pub fn of(scenes: &Path) -> Result<Option<Self>> {
        let path = Self::path(scenes);
        if !path.is_file() {
            return Ok(None);
        }
        let context = || format!("cannot read {}", path.display());
        let bytes = std::fs::read(&path).with_context(context)?;
        let sidecar: Self = serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is not what progression-boost {PROGRAM} writes beside a scenes file", path.display())
        })?;
        if Fingerprint::of_file(scenes)? != sidecar.hash {
            bail!(
                "{} is of another scenes file than {}: that had {} scenes of {} frames and was made from {}, \
                 and this one was changed or made anew since",
                path.display(),
                scenes.display(),
                sidecar.scenes,
                sidecar.frames,
                sidecar.input.display()
            );
        }
        Ok(Some(sidecar))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Request};

    #[test]
    fn it_is_read_back_and_told_from_that_of_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let scenes = folder.path().join("ep01.scenes.json");
        std::fs::write(&scenes, "one").unwrap();
        assert_eq!(Sidecar::of(&scenes).unwrap(), None);
        let settings = settings::resolve(&Request::default()).unwrap();
        let made = Made {
            input: Path::new("ep01.vpy"),
            folder: folder.path(),
            scenes: 7,
            frames: 480,
            settings: &settings,
            targets: Some(vec![80.1, 79.3]),
        };
        Sidecar::write(&scenes, made).unwrap();
        assert!(folder.path().join("ep01.scenes.settings.json").is_file());
        let found = Sidecar::of(&scenes).unwrap().unwrap();
        assert_eq!((found.settings, found.targets), (settings, Some(vec![80.1, 79.3])));
        std::fs::write(&scenes, "two").unwrap();
        let error = Sidecar::of(&scenes).unwrap_err().to_string();
        assert!(error.contains("another scenes file") && error.contains("7 scenes of 480"), "{error}");
        std::fs::write(Sidecar::path(&scenes), "{}").unwrap();
        assert!(Sidecar::of(&scenes).is_err());
    }
}
