//! How long the analysis of a slow script takes against what its filters need.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use progression_boost::analysis::{AnalysisOptions, Detector, analyse};
use progression_boost::source::{self, OpenOptions};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;
use progression_boost::support::machine;

use super::script::Script;

/// Of the process that analyses: the script.
const SCRIPT: &str = "BENCH_MANY_SCRIPT";

const THREADS: usize = 16;

pub fn table(folder: &Path) -> Result<()> {
    println!(
        "| 1080p, two stages of 40 ms, 480 frames, {THREADS} threads | ideal | analysis | at once, most | made again | memory |"
    );
    println!("|---|---|---|---|---|---|");
    let plain = Script {
        size: (1920, 1080),
        frames: 480,
        threads: THREADS,
        stages: 2,
        ms: 40.0,
        radius: 0,
        rgbs: false,
    };
    for (name, script) in [
        ("YUV420P10", plain),
        ("YUV420P10, temporal radius 3", Script { radius: 3, ..plain }),
        ("RGBS", Script { rgbs: true, ..plain }),
        ("RGBS, temporal radius 3", Script { rgbs: true, radius: 3, ..plain }),
    ] {
        let path = script.write(folder.join("slow.vpy"))?;
        let output = Command::new(std::env::current_exe()?)
            .env(super::PART, "analysis")
            .env(SCRIPT, &path)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ideal = script.frames as f64 * script.ms * script.stages as f64 / 1e3 / THREADS as f64;
        println!("| {name} | {ideal:.1} s | {} |", String::from_utf8(output.stdout)?.trim());
    }
    Ok(())
}

pub fn as_part() -> Result<()> {
    let path = std::env::var_os(SCRIPT).context("no script")?;
    let memory = machine::memory(None);
    let clip = source::open_within(Path::new(&path), &OpenOptions::default(), memory / 4)?;
    clip.color()?;
    let session = clip.session();
    session.call("slow", "Forget", &[])?;
    let started = Instant::now();
    let wanted = [Detector::Builtin].into();
    analyse(&clip, &wanted, AnalysisOptions::default(), &Events::silent(), &Cancel::new())?;
    let seconds = started.elapsed().as_secs_f64();
    // Both stages at once, and the first one's frames that were made again.
    let (mut most, mut again) = (0, 0);
    for name in ["0", "1"] {
        let seen = session.call("slow", "Seen", &[("name", progression_boost::source::Arg::Text(name))])?;
        most += seen.get_int("most")?;
        again += seen.get_int("again")?;
    }
    println!("{seconds:.1} s | {most} | {again} | {:.0} MiB", super::peak());
    Ok(())
}
