//! What a run needs of the machine: what is there, whether it works, and what
//! to do about the rest.
//!
//! VapourSynth and its plugins are tried in a child process ([`inside`], started
//! by [`outside`]), so that one that crashes takes nothing down but its own check.

mod advice;
pub mod inside;
mod items;
mod machine;
mod outside;
mod preset;
mod programs;
mod system;
mod text;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub use self::items::Item;
pub use self::system::System;
use crate::support::cancel::Cancel;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Say whether a boost with this preset can run.
    pub preset: Option<String>,
    /// Only items whose stable name begins so; empty: all.
    pub only: Vec<&'static str>,
    /// A folder to look for VapourSynth near, as a script's is.
    pub near: Option<PathBuf>,
    /// Plugins that are not auto-loaded.
    pub plugins: Vec<PathBuf>,
}

/// How an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was tried and works.
    Works,
    /// It is not there.
    Missing,
    /// It is there and does not work.
    Broken,
    /// Worth a thought, and in nobody's way.
    Notice,
    /// It could not be tried, because something else does not work.
    Untried,
}

/// An item with what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable, for programs: `vapoursynth`, `plugin.bs`, `encoder.svt-av1`.
    pub item: String,
    /// For people.
    pub name: String,
    pub state: State,
    /// Whether nothing goes without it.
    pub required: bool,
    /// What it is for, in a few words.
    pub purpose: String,
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What was found, or what is wrong; may be empty.
    pub detail: String,
    /// What to do, each a line; commands to paste begin with `$ `.
    #[serde(default)]
    pub fix: Vec<String>,
}

/// Whether boosting with a preset would run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub preset: String,
    pub ready: bool,
    /// What would be used and why, a sentence each; also where it is not the preset's first wish.
    pub uses: Vec<String>,
    /// Why it would not run.
    pub problems: Vec<String>,
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Of this report's fields; they are only added to.
    pub format: u32,
    /// Version of this program.
    pub program: String,
    pub system: System,
    /// Everything required works, and the preset that was asked about can run.
    pub ready: bool,
    pub checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Verdict>,
}

/// Looks at everything that `request` names.
///
/// # Errors
/// When this program cannot be started once more, or on interruption; a machine
/// that lacks everything is no error.
pub fn run(request: &Request, cancel: &Cancel) -> Result<Report> {
    let system = System::detect();
    let wants =
        |item: &str| request.only.is_empty() || request.only.iter().any(|only| item.starts_with(only));
    let inner = outside::checks(request, cancel)?;
    let mut checks = inner.checks;
    checks.extend(programs::checks(&wants, cancel)?);
    checks.extend(machine::checks(&wants));
    checks.retain(|check| wants(&check.item));
    items::settle(&mut checks, request.only.is_empty());
    let python = inner.python.as_deref();
    for check in checks.iter_mut().filter(|check| check.fix.is_empty()) {
        check.fix = advice::fix(check, &system, python);
    }
    let preset = inner.verdict;
    let ready = checks.iter().all(|check| !check.required || check.state == State::Works)
        && preset.as_ref().is_none_or(|verdict| verdict.ready);
    Ok(Report { format: 1, program: env!("CARGO_PKG_VERSION").to_owned(), system, ready, checks, preset })
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// The lines about what does not work, without a heading and without what was
    /// `said` already; empty when all works.
    pub fn troubles(&self, said: &str) -> Vec<String> {
        text::troubles(self, said)
    }
}

impl State {
    /// Whether a person should do something about it.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Missing | Self::Broken)
    }
}
