//! Programs of the PATH: what they are and, of encoders, what they can do.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Check, State};
use crate::encoder::{Encoder, Program};
use crate::options::Coder;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::process::capture;

/// A version takes milliseconds; a slow disk some more.
const LIMIT: Duration = Duration::from_secs(20);

/// Item, program, and the word that prints its version.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("encoder.x264", "x264", "--version"),
    ("av1an", "av1an", "--version"),
    ("mkvmerge", "mkvmerge", "--version"),
    ("ffmpeg", "ffmpeg", "-version"),
];

/// All of them that are wanted.
///
/// # Errors
/// On interruption.
pub fn checks(wants: &dyn Fn(&str) -> bool, cancel: &Cancel) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    if wants("encoder.svt-av1") {
        checks.push(svt_av1(cancel)?);
    }
    if wants("encoder.aom") {
        checks.push(aom(cancel)?);
    }
    for (item, program, question) in PROGRAMS.iter().filter(|(item, ..)| wants(item)) {
        checks.push(plain(item, program, question, cancel)?);
    }
    Ok(checks)
}

/// Encodes frames, so that a library that is missing shows.
fn svt_av1(cancel: &Cancel) -> Result<Check> {
    const ITEM: &str = "encoder.svt-av1";
    let program = Path::new(Coder::SvtAv1.program());
    match Encoder::open(program, None, cancel) {
        Ok(Encoder { identity, capabilities }) => {
            let (lowest, highest) = capabilities.presets;
            let steps = if capabilities.quarter_steps { "quarter steps" } else { "whole steps" };
            let maps = if capabilities.roi_map { "ROI maps" } else { "no ROI maps" };
            let family: &str = identity.family.into();
            let max = capabilities.max_crf;
            let detail =
                format!("{family}, presets {lowest} to {highest}, CRF 0 to {max} in {steps}, {maps}");
            Ok(Check::of(ITEM, State::Works, detail).version(identity.version).path(identity.path))
        }
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => Ok(failed(ITEM, program, &error)),
    }
}

fn aom(cancel: &Cancel) -> Result<Check> {
    const ITEM: &str = "encoder.aom";
    let program = Path::new(Coder::Aom.program());
    // It is not remembered, so the folder does not matter.
    match Program::open(Coder::Aom, None, Path::new("."), cancel) {
        Ok(found) => Ok(Check::of(ITEM, State::Works, "").version(found.version()).path(found.path())),
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => Ok(failed(ITEM, program, &error)),
    }
}

fn failed(item: &str, program: &Path, error: &anyhow::Error) -> Check {
    match which::which(program) {
        Ok(path) => Check::of(item, State::Broken, format!("{error:#}")).path(path),
        Err(_) => Check::of(item, State::Missing, ""),
    }
}

fn plain(item: &str, program: &str, question: &str, cancel: &Cancel) -> Result<Check> {
    let Ok(path) = which::which(program) else { return Ok(Check::of(item, State::Missing, "")) };
    match capture(Command::new(&path).arg(question), LIMIT, cancel) {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            let line = text.lines().next().unwrap_or_default().trim();
            let line = line.split(" Copyright").next().unwrap_or(line);
            Ok(Check::of(item, State::Works, "").version(line).path(path))
        }
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => Ok(Check::of(item, State::Broken, format!("{error:#}")).path(path)),
    }
}
