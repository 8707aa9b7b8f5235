//! Trying parameters on blank frames: the only way to learn what an encoder takes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::run::{EncodeError, EncodeJob, encode};
use super::y4m::Format;
use crate::source::Picture;
use crate::support::cancel::Cancel;

/// The least size that all versions encode.
const SIDE: usize = 64;
const FRAMES: usize = 2;
/// A trial takes 0.01 to 0.2 s; one that hangs is ended.
const LIMIT: Duration = Duration::from_secs(20);

/// What an encoder did with a parameter list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It encoded all frames; the bytes of its file.
    Accepted(Vec<u8>),
    /// It did not; why, in its own words.
    Refused(String),
}

/// An encoder, a place to write to, and blank frames of one bit depth.
#[derive(Debug)]
pub struct Trial<'a> {
    program: PathBuf,
    blank: Arc<Picture>,
    folder: tempfile::TempDir,
    cancel: &'a Cancel,
}

impl<'a> Trial<'a> {
    /// `bits` is 8 or 10.
    pub fn new(program: PathBuf, bits: u8, cancel: &'a Cancel) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("progression-boost-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        // Limited-range black.
        let blank = Picture::filled(SIDE, SIDE, bits, 16 << (bits - 8), 128 << (bits - 8));
        Ok(Self { program, blank: Arc::new(blank), folder, cancel })
    }

    /// A path in the folder of the trial, which is gone with it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Encodes blank frames with `params`. Only what is not the encoder's fault
    /// is an error.
    pub fn run(&self, params: &[String]) -> Result<Verdict> {
        let job = EncodeJob {
            program: self.program.clone(),
            params: params.to_vec(),
            output: self.file("trial.ivf"),
            format: Format { width: SIDE, height: SIDE, bits: self.blank.bits, fps: (24, 1) },
            stall: Some(LIMIT),
        };
        let frames = (0..FRAMES).map(|_| Ok(Arc::clone(&self.blank)));
        match encode(&job, frames, self.cancel, |_| {}) {
            Ok(encoded) => {
                let bytes = std::fs::read(&encoded.path).context("cannot read a trial encode")?;
                Ok(Verdict::Accepted(bytes))
            }
            Err(error) => match error.downcast::<EncodeError>()? {
                EncodeError::Refused { reason, .. } => Ok(Verdict::Refused(reason)),
                other => Ok(Verdict::Refused(other.to_string())),
            },
        }
    }

    /// Whether [`Trial::run`] is accepted.
    pub fn accepts(&self, params: &[String]) -> Result<bool> {
        Ok(matches!(self.run(params)?, Verdict::Accepted(_)))
    }
}

/// The words of `line`, split at white space.
pub fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
