//! Trying parameters on blank frames: the only way to learn what an encoder takes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::run::{EncodeError, Encoded, Stream, encode_stream};
use super::y4m::Format;
use crate::options::Coder;
use crate::source::Picture;
use crate::support::cancel::Cancel;

/// The least size that all versions encode.
const SIDE: usize = 64;
const FRAMES: usize = 2;
/// A trial takes 0.01 to 0.2 s on an idle machine; one that hangs is ended.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What an encoder did with a parameter list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It encoded all frames; the bytes of its file.
    Accepted(Vec<u8>),
    /// It did not; why, in its own words.
    Refused(String),
    /// It made no progress for this long, which a busy machine can be the cause
    /// of: nothing is known.
    TimedOut(Duration),
}

/// An encoder, a place to write to, and blank frames of one bit depth.
#[derive(Debug)]
pub struct Trial<'a> {
    coder: Coder,
    program: PathBuf,
    blank: Arc<Picture>,
    folder: tempfile::TempDir,
    limit: Duration,
    cancel: &'a Cancel,
}

impl<'a> Trial<'a> {
    /// `bits` is 8 or 10.
    pub fn new(coder: Coder, program: PathBuf, bits: u8, cancel: &'a Cancel) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("progression-boost-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        // Limited-range black.
        let blank = Picture::filled(SIDE, SIDE, bits, 16 << (bits - 8), 128 << (bits - 8));
        Ok(Self { coder, program, blank: Arc::new(blank), folder, limit: LIMIT, cancel })
    }

    /// With `limit` instead of the usual one.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// A path in the folder of the trial, which is gone with it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Encodes blank frames with `params`, in the spelling of the encoder.
    pub fn attempt(&self, params: &[String]) -> Result<Encoded> {
        let stream = Stream {
            coder: self.coder,
            program: &self.program,
            words: params,
            full_range: false,
            format: Format { width: SIDE, height: SIDE, bits: self.blank.bits, fps: (24, 1) },
            output: &self.file("trial.ivf"),
            stall: Some(self.limit),
            nice: 0,
        };
        let frames = (0..FRAMES).map(|_| Ok(Arc::clone(&self.blank)));
        encode_stream(&stream, frames, self.cancel, |_| {})
    }

    /// What comes of [`Trial::attempt`]. Only what is not the encoder's fault is
    /// an error.
    pub fn run(&self, params: &[String]) -> Result<Verdict> {
        let error = match self.attempt(params) {
            Ok(encoded) => {
                let bytes = std::fs::read(&encoded.path).context("cannot read a trial encode")?;
                return Ok(Verdict::Accepted(bytes));
            }
            Err(error) => error.downcast::<EncodeError>()?,
        };
        Ok(match error {
            EncodeError::Stalled(_) => Verdict::TimedOut(self.limit),
            EncodeError::Refused { reason, .. } => Verdict::Refused(reason),
            other => Verdict::Refused(other.to_string()),
        })
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
