//! The parent's part: starts the child, reads what it tells, and starts another
//! one without the item that ended it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::inside::Line;
use super::items::{ITEMS, of};
use super::{Check, Request, State, Verdict};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::process::{Process, Stop};

/// CUDA takes a while to start, TensorRT longer; a child that takes this long hangs.
const LIMIT: Duration = Duration::from_mins(3);

/// The command that starts the child's part; not for people.
pub const INSIDE: &str = "--inside";
/// Leaves an item out; may be repeated.
pub const SKIP: &str = "--skip";
/// A folder to look for VapourSynth near.
pub const NEAR: &str = "--near";
/// Leaves out all items but those whose names begin so; may be repeated.
pub const ONLY: &str = "--only";

/// What the children found.
#[derive(Debug, Default)]
pub struct Found {
    pub checks: Vec<Check>,
    pub python: Option<PathBuf>,
    pub verdict: Option<Verdict>,
}

/// Runs children until one comes to its end.
pub fn checks(request: &Request, cancel: &Cancel) -> Result<Found> {
    let mut found = Found::default();
    if !request.only.is_empty() && !request.only.iter().any(|only| is_inner(only)) {
        return Ok(found);
    }
    let mut skip: Vec<String> = Vec::new();
    // Every child but the last one loses an item, so there are no more than items.
    for _ in 0..=ITEMS.len() {
        let (lines, how) = child(request, &skip, cancel)?;
        let mut trying = None;
        found.checks.retain(|check| skip.contains(&check.item));
        for line in lines {
            match line {
                Line::Trying(item) => trying = Some(item),
                Line::Check(check) => found.checks.push(check),
                Line::Python(path) => found.python = (!path.as_os_str().is_empty()).then_some(path),
                Line::Preset(verdict) => found.verdict = Some(verdict),
            }
        }
        let Some(how) = how else { break };
        let Some(item) = trying else {
            // It ended before it tried anything: VapourSynth was not reached.
            found.checks.push(Check::of("vapoursynth", State::Broken, how));
            break;
        };
        if item == "preset" {
            let problems = vec![format!("trying it ended a process: {how}")];
            let preset = request.preset.clone().unwrap_or_default();
            found.verdict = Some(Verdict { preset, ready: false, uses: Vec::new(), problems });
            break;
        }
        found.checks.push(Check::of(&item, State::Broken, format!("trying it ended a process: {how}")));
        if item == "vapoursynth" {
            break;
        }
        skip.push(item);
    }
    untried(&mut found, request);
    Ok(found)
}

fn is_inner(item: &str) -> bool {
    matches!(item, "vapoursynth" | "python" | "model" | "source") || item.starts_with("plugin")
}

/// What was not reached, because VapourSynth does not work.
fn untried(found: &mut Found, request: &Request) {
    let broken = |check: &&Check| check.item == "vapoursynth" && check.state != State::Works;
    let Some(vapoursynth) = found.checks.iter().find(broken).map(|check| check.name.clone()) else { return };
    let why = format!("needs {vapoursynth}");
    for row in ITEMS.iter().filter(|row| is_inner(row.item) && row.item != "source") {
        if !found.checks.iter().any(|check| check.item == row.item) {
            found.checks.push(Check::of(row.item, State::Untried, why.clone()));
        }
    }
    if let Some(preset) = &request.preset
        && found.verdict.is_none()
    {
        let problems = vec![format!("{} does not work", of("vapoursynth").name)];
        found.verdict = Some(Verdict { preset: preset.clone(), ready: false, uses: Vec::new(), problems });
    }
}

/// What a child told, and how it ended where it did not end well.
fn child(request: &Request, skip: &[String], cancel: &Cancel) -> Result<(Vec<Line>, Option<String>)> {
    let program = std::env::current_exe().context("this program does not know its own file")?;
    let mut command = Command::new(program);
    command.args(["doctor", INSIDE]).stdin(Stdio::null()).stdout(Stdio::piped());
    if let Some(preset) = &request.preset {
        command.args(["--preset", preset]);
    }
    for item in skip {
        command.args([SKIP, item]);
    }
    for item in &request.only {
        command.args([ONLY, item]);
    }
    if let Some(near) = &request.near {
        command.arg(NEAR).arg(near);
    }
    for plugin in &request.plugins {
        command.arg("--load-plugin").arg(plugin);
    }
    let mut process = Process::spawn(&mut command, |_| {})?;
    process.watch(cancel, Some(LIMIT), || Some(0))?;
    let ended = process.wait()?;
    let lines = lines(&ended.stdout);
    let how = match ended.stopped {
        Some(Stop::Interrupted) => return Err(Interrupted.into()),
        Some(Stop::Stalled(limit)) => Some(format!("no answer within {} s", limit.as_secs())),
        None if ended.status.success() => None,
        None => {
            let failure = process.failure(&ended);
            let last = failure.lines.last().map_or_else(String::new, |line| format!(": {line}"));
            Some(format!("it {}{last}", failure.ended))
        }
    };
    Ok((lines, how))
}

/// Plugins write to standard output, too; what is no line of ours is theirs.
fn lines(stdout: &[u8]) -> Vec<Line> {
    let lines = stdout.split(|&byte| byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plugins_print_is_not_taken_for_an_answer() {
        let check = serde_json::to_string(&Line::Check(Check::of("python", State::Works, "fine"))).unwrap();
        let text = format!("GPU 0: a card\n{{\"trying\":\"plugin.bs\"}}\n{{}}\n3 threads {check}\n{check}\n");
        let found = lines(text.as_bytes());
        assert!(matches!(&found[0], Line::Trying(item) if item == "plugin.bs"), "{found:?}");
        assert!(matches!(&found[1], Line::Check(check) if check.detail == "fine"), "{found:?}");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn without_vapoursynth_its_plugins_are_untried_and_a_preset_cannot_run() {
        let mut found =
            Found { checks: vec![Check::of("vapoursynth", State::Missing, "not found")], ..Found::default() };
        let request = Request { preset: Some("ssimu2-mean".to_owned()), ..Request::default() };
        untried(&mut found, &request);
        let bs = found.checks.iter().find(|check| check.item == "plugin.bs").unwrap();
        assert_eq!((bs.state, bs.detail.as_str()), (State::Untried, "needs VapourSynth"));
        assert!(!found.verdict.unwrap().ready);
        assert!(found.checks.iter().all(|check| check.item != "ffmpeg"));
    }
}
