//! Whole runs on a simulated machine.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use progression_boost::cli;
use progression_boost::source::{self, Arg, OpenOptions, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::script::{self, Script};
use super::{encoder, metric};

/// Of the process that is the program: where to tell what it saw.
const REPORT: &str = "BENCH_MANY_REPORT";

/// What a run cost each stage.
#[derive(Serialize, Deserialize)]
struct Report {
    renders: i64,
    again: i64,
    measured: usize,
    peak: f64,
}

/// Milliseconds that a frame takes in each stage.
#[derive(Clone, Copy)]
struct Pace {
    source: f64,
    encoder: f64,
    metric: f64,
}

struct Case<'a> {
    folder: &'a Path,
    script: Script,
    pace: Pace,
    workers: usize,
    scene: usize,
    more: &'a [&'a str],
}

struct Ran {
    report: Report,
    analysis: f64,
    probing: f64,
    /// Frames that encoders took.
    encoded: usize,
}

impl Case<'_> {
    fn run(&self) -> Result<Ran> {
        let Self { folder, script, pace, workers, scene, more } = *self;
        let path = script.write(folder.join("slow.vpy"))?;
        let picture = {
            // A picture of the clip without the waiting, as the encoder gets it.
            let plain = Script { ms: 0.0, frames: 1, radius: 0, ..script }.write(folder.join("plain.vpy"))?;
            source::open(&plain, &OpenOptions::default())?.working(10)?.clip.frame(0)?.to_picture()
        };
        let encoders = tempfile::tempdir_in(folder)?;
        let program = encoder::install(encoders.path(), pace.encoder, &[picture])?;
        script::scenes(&folder.join("external.json"), script.frames, scene)?;
        let [report, events] = ["report", "events"].map(|name| folder.join(name));
        let output = Command::new(std::env::current_exe()?)
            .current_dir(folder)
            .env(super::PART, "program")
            .env(super::THREADS, script.threads.to_string())
            .env(metric::PACE, pace.metric.to_string())
            .env(REPORT, &report)
            .env("XDG_CACHE_HOME", encoders.path())
            .args(["--preset", "ssimu2-mean", "--target", "75", "--lp", "1", "--force", "-q"])
            .args(["--set", "model.calibrate=0", "--method", "external", "--input-scenes", "external.json"])
            // Encoders that give way to what else this machine does are no measure.
            .args(["--workers", &workers.to_string(), "--nice", "0"])
            .arg("--encoder-path")
            .arg(&program)
            .arg("--events")
            .arg(&events)
            .args(more)
            .arg(&path)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = serde_json::from_slice(&std::fs::read(report)?)?;
        let text = std::fs::read_to_string(events)?;
        let events = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let seconds = |stage: &str| {
            let ended = |event: &&Value| event["event"] == "stage_finished" && event["stage"] == stage;
            events
                .iter()
                .find(ended)
                .and_then(|event| event["seconds"].as_f64())
                .context("a stage is missing")
        };
        let frames = |event: &Value| {
            let start = event["scene"].as_u64().unwrap_or(0) as usize * scene;
            scene.min(script.frames - start)
        };
        let encoded = events.iter().filter(|event| event["event"] == "probe").map(frames).sum();
        Ok(Ran { report, analysis: seconds("Analysis")?, probing: seconds("Probing")?, encoded })
    }
}

pub fn table(folder: &Path, threads: &[usize]) -> Result<()> {
    println!(
        "| threads | slowest | wall | bound | wall / bound | source | encoders | metric | rendered again | memory |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    );
    for &threads in threads {
        let workers = (threads / 2).max(1);
        // Where one is slow the others take a fifth of it, for as many threads as there are.
        for (name, radius, pace) in [
            ("source", 0, Pace { source: 100.0, encoder: 10.0, metric: 20.0 }),
            ("source, temporal radius 3", 3, Pace { source: 100.0, encoder: 10.0, metric: 20.0 }),
            ("encoders", 0, Pace { source: 20.0, encoder: 50.0, metric: 20.0 }),
            ("metric", 0, Pace { source: 20.0, encoder: 10.0, metric: 300.0 }),
        ] {
            // Four scenes for each encoder.
            let (scene, frames) = (24, 24 * 4 * workers);
            let script =
                Script { size: (192, 108), frames, threads, stages: 1, ms: pace.source, radius, rgbs: false };
            let ran = Case { folder, script, pace, workers, scene, more: &[] }.run()?;
            let Ran { report, analysis, probing, encoded } = &ran;
            let wall = analysis + probing;
            let rendered = report.renders as f64 * pace.source / 1e3 / threads as f64;
            let encode = *encoded as f64 * pace.encoder / 1e3 / workers as f64;
            let measure = report.measured as f64 * pace.metric / 1e3 / threads as f64;
            let read_once = frames as f64 * pace.source / 1e3 / threads as f64;
            let probed = *encoded as f64 * pace.source / 1e3 / threads as f64;
            let bound = read_once + probed.max(encode).max(measure);
            let percent = |busy: f64| format!("{:.0} %", 100.0 * busy / wall);
            let more = report.renders as usize - (frames + encoded).min(report.renders as usize);
            println!(
                "| {threads} | {name} | {wall:.1} s | {bound:.1} s | {:.2} | {} | {} | {} | {more} | {:.0} MiB |",
                wall / bound,
                percent(rendered),
                percent(encode),
                percent(measure),
                report.peak
            );
        }
    }
    Ok(())
}

pub fn memory(folder: &Path) -> Result<()> {
    println!("| machine | clip | frames | --memory | peak |\n|---|---|---|---|---|");
    let script =
        Script { size: (1920, 1080), frames: 240, threads: 2, stages: 1, ms: 1.0, radius: 0, rgbs: false };
    let pace = Pace { source: 1.0, encoder: 1.0, metric: 1.0 };
    let large = Script { size: (3840, 2160), frames: 192, threads: 64, ms: 20.0, ..script };
    let chain = Script { rgbs: true, radius: 2, ..large };
    for (name, script, workers, more) in [
        ("1080p", script, 2, &[][..]),
        ("1080p", Script { frames: 720, ..script }, 2, &[]),
        ("2160p", large, 32, &["--memory", "2GiB"]),
        ("2160p", large, 32, &["--memory", "4GiB"]),
        ("2160p, RGBS, radius 2", chain, 32, &["--memory", "4GiB"]),
    ] {
        let ran = Case { folder, script, pace, workers, scene: 24, more }.run()?;
        println!(
            "| {} threads | {name} | {} | {} | {:.0} MiB |",
            script.threads,
            script.frames,
            more.last().unwrap_or(&"a quarter"),
            ran.report.peak
        );
    }
    Ok(())
}

/// The program with the metric that waits; tells what it saw afterwards.
pub fn as_program() -> ExitCode {
    let code = cli::main_with(metric::open);
    let told = || -> Result<()> {
        let path = PathBuf::from(std::env::var_os(REPORT).context("no report")?);
        let peak = super::peak();
        let options = OpenOptions { plugins: vec![super::filter()?], ..OpenOptions::default() };
        let seen = Session::empty(None, &options)?.call("slow", "Seen", &[("name", Arg::Text("0"))])?;
        let measured = metric::MEASURED.load(Ordering::Relaxed);
        let report =
            Report { renders: seen.get_int("renders")?, again: seen.get_int("again")?, measured, peak };
        Ok(std::fs::write(path, serde_json::to_vec(&report)?)?)
    };
    match told() {
        Ok(()) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
