//! The report for people.

use std::fmt::Write;

use super::{Check, Report, State, Verdict};
use crate::support::units::show_bytes;

/// Columns of an item's name.
const NAME: usize = 29;

/// Lines, the last one ended.
pub fn text(report: &Report) -> String {
    let Report { program, system, checks, .. } = report;
    let mut text = format!(
        "progression-boost {program} on {}, {} CPUs, {}\n",
        system.name,
        system.cpus,
        show_bytes(system.memory)
    );
    for (title, required) in [("needed", true), ("good to have, each for what it says", false)] {
        let _ = writeln!(text, "\n{title}");
        let (untried, tried): (Vec<_>, Vec<_>) = checks
            .iter()
            .filter(|check| check.required == required)
            .partition(|check| check.state == State::Untried);
        for check in tried {
            text.push_str(&line(check));
        }
        if let Some(first) = untried.first() {
            let names: Vec<&str> = untried.iter().map(|check| check.name.as_str()).collect();
            let _ = writeln!(text, "  untried  {}: {}", names.join(", "), first.detail);
        }
    }
    let todo: Vec<&Check> = checks.iter().filter(|check| !check.fix.is_empty()).collect();
    if !todo.is_empty() {
        text.push_str("\nwhat to do, $ before what to type\n");
        for check in todo {
            text.push_str(&advice(check));
        }
    }
    if let Some(verdict) = &report.preset {
        text.push_str(&preset(verdict));
    }
    text.push_str(if report.ready { "\nready\n" } else { "\nNOT READY: see what is needed above\n" });
    text
}

/// The state in a word; capitals are the ones to look at.
fn word(state: State) -> &'static str {
    match state {
        State::Works => "works",
        State::Missing => "MISSING",
        State::Broken => "BROKEN",
        State::Notice => "note",
        State::Untried => "untried",
    }
}

fn line(check: &Check) -> String {
    let Check { name, state, version, path, detail, purpose, required, .. } = check;
    // Nobody misses what is optional until it is wanted.
    let word = if *state == State::Missing && !required { "absent" } else { word(*state) };
    let mut parts: Vec<String> = version.iter().cloned().collect();
    if !detail.is_empty() {
        parts.push(detail.replace('\n', "\n                                          "));
    }
    if let Some(path) = path {
        parts.push(path.display().to_string());
    }
    if parts.is_empty() || *state == State::Missing {
        parts.push(format!("for {purpose}"));
    }
    format!("  {word:<8} {name:<NAME$}  {}\n", parts.join(", "))
}

fn advice(check: &Check) -> String {
    let mut text = format!("  {} (for {})\n", check.name, check.purpose);
    for line in &check.fix {
        let _ = writeln!(text, "    {line}");
    }
    text
}

fn preset(verdict: &Verdict) -> String {
    let Verdict { preset, ready, uses, problems } = verdict;
    let answer = if *ready { "yes, with" } else { "NO" };
    let mut text = format!("\npreset {preset}: {answer}\n");
    for problem in problems {
        let _ = writeln!(text, "  problem: {}", problem.replace('\n', "\n    "));
    }
    for sentence in uses {
        let _ = writeln!(text, "  {sentence}");
    }
    text
}

pub fn troubles(report: &Report, said: &str) -> Vec<String> {
    let troubled = report.checks.iter().filter(|check| check.state.is_trouble());
    troubled
        .flat_map(|check| {
            let detail = if said.contains(&check.detail) { String::new() } else { check.detail.clone() };
            let mut lines = vec![line(&Check { detail, ..check.clone() }).trim_end().to_owned()];
            lines.extend(check.fix.iter().map(|fix| format!("    {fix}")));
            lines
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::system::{Packages, System};
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_to_type() {
        let system =
            System { name: "Debian".into(), packages: Packages::Apt, sudo: true, cpus: 2, memory: 8 << 30 };
        let mut svt = Check::of("encoder.svt-av1", State::Missing, "");
        svt.fix = vec!["$ sudo apt install svt-av1".to_owned()];
        let checks = vec![
            Check::of("vapoursynth", State::Works, "").version("R81").path("/v/libvsscript.so"),
            svt,
            Check::of("plugin.vship", State::Missing, ""),
        ];
        let report = Report { format: 1, program: "0.1".into(), system, ready: false, checks, preset: None };
        let text = report.text();
        for line in [
            "progression-boost 0.1 on Debian, 2 CPUs, 8 GiB",
            "  works    VapourSynth                    R81, /v/libvsscript.so",
            "  MISSING  SvtAv1EncApp                   for boosting and encoding",
            "  absent   Vship                          for metrics on a GPU; the CPU does it otherwise",
            "    $ sudo apt install svt-av1",
            "NOT READY: see what is needed above",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line:?} in\n{text}");
        }
        assert_eq!(report.troubles("").len(), 3);
    }
}
