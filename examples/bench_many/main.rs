//! A large machine, simulated on a small one: filters, encoder and metric wait
//! instead of computing, so that two cores can stand for 64 threads. What is
//! measured is whether the program keeps such a machine busy.
//!
//! ```text
//! cargo build --release --example stand_in_filter --example bench_many
//! bench_many stages [THREADS …]     source-, encoder- and metric-bound runs: use of each against its bound
//! bench_many analysis               1080p, two stages of 40 ms, 16 threads: plain, RGBS, temporal
//! bench_many memory                 peak memory: 1080p on two cores, 4K on 64 threads with --memory
//! bench_many readers VIDEO [NAMESPACE …]
//!                                   frames that source plugins decode for each one they deliver,
//!                                   by their CPU time, with 1 to 16 readers
//! ```
//!
//! Each prints a Markdown table. It starts itself again as the program with a
//! metric that waits, and as the encoder; the real SvtAv1EncApp is needed once,
//! for the packets that the stand-in writes. Memory needs Linux.

mod analysis;
mod encoder;
mod metric;
mod readers;
mod script;
mod stages;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

/// Set for the processes that play a part: which one.
const PART: &str = "BENCH_MANY_PART";
/// Threads that the machine is to have.
const THREADS: &str = "BENCH_MANY_THREADS";

fn main() -> ExitCode {
    if encoder::is_meant() {
        return done(encoder::run());
    }
    if let Some(threads) = number(THREADS) {
        progression_boost::support::machine::pretend(threads as usize);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize);
        pool.build_global().expect("nothing runs yet");
    }
    match std::env::var(PART).as_deref() {
        Ok("program") => stages::as_program(),
        Ok("analysis") => done(analysis::as_part()),
        Ok("readers") => done(readers::as_part()),
        _ => done(bench()),
    }
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = tempfile::tempdir()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stages", ref threads @ ..] => {
            let threads = threads.iter().map(|text| Ok(text.parse()?)).collect::<Result<Vec<usize>>>()?;
            stages::table(folder.path(), if threads.is_empty() { &[2, 8, 16, 32, 64] } else { &threads })
        }
        ["memory"] => stages::memory(folder.path()),
        ["analysis"] => analysis::table(folder.path()),
        ["readers", video, ref plugins @ ..] => readers::table(Path::new(video), plugins),
        _ => bail!("usage: bench_many stages [THREADS …] | analysis | memory | readers VIDEO [NAMESPACE …]"),
    }
}

/// The stand-in for a filter, which lies beside this program.
fn filter() -> Result<PathBuf> {
    let name = format!("{}stand_in_filter{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = std::env::current_exe()?.with_file_name(name);
    path.is_file().then_some(path).context("build the example stand_in_filter, too")
}

/// A number in the environment.
fn number(variable: &str) -> Option<f64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// CPU seconds of this process.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms; the name may hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    ticks as f64 / 100.0
}

/// The peak of this process's memory in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
