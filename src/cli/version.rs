//! `-V`: this program's version with those of what it works with.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::doctor;
use crate::options::Coder;
use crate::support::cancel::Cancel;
use crate::support::process::capture;

/// The program's version, then the encoder's and VapourSynth's, a line each.
pub fn text(cancel: &Cancel) -> String {
    let ours = format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let program = Path::new(Coder::SvtAv1.program());
    let asked = capture(Command::new(program).arg("--version"), Duration::from_secs(10), cancel);
    let encoder = asked.ok().and_then(|answer| {
        let text = String::from_utf8_lossy(&answer).into_owned();
        text.lines().map(str::trim).find(|line| line.starts_with("SVT-AV1")).map(str::to_owned)
    });
    let request = doctor::Request { only: vec!["vapoursynth", "python"], ..doctor::Request::default() };
    let report = doctor::run(&request, cancel).ok();
    let version = |item: &str| {
        let checks = report.as_ref().map_or(&[][..], |report| &report.checks);
        checks.iter().find(|check| check.item == item).and_then(|check| check.version.clone())
    };
    let missing = |what: &str| format!("{what}: does not work here; `progression-boost doctor` says why");
    let vapoursynth = version("vapoursynth").map(|release| {
        let python = version("python").map_or_else(String::new, |python| format!(" with Python {python}"));
        format!("VapourSynth {release}{python}")
    });
    [
        ours,
        encoder.unwrap_or_else(|| missing("SvtAv1EncApp")),
        vapoursynth.unwrap_or_else(|| missing("VapourSynth")),
    ]
    .join("\n")
}
