//! How close the boosting engine comes to the encodes it cannot do without:
//! CPU time, barriers, memory, kills, the plan. One command, a Markdown table:
//!
//! ```text
//! cargo run --release --example bench_engine -- CLIP [--quick] [--only NAME]
//! ```
//!
//! CLIP is a video file; NAME is `cpu`, `staged`, `memory`, `kills` or `plan`.
//! The program measured is this one: it starts itself again as
//! `progression-boost`. CPU seconds are those of all processes, encoders
//! included; memory is the peak of our process alone and needs Linux.

mod bare;
mod plan;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use progression_boost::analysis::LumaStats;
use progression_boost::settings::{self, Resolved, Typed, ZoneList};
use serde_json::Value;

/// Set for the processes that are to behave as `progression-boost`: where to
/// write the peak of their memory.
const AS_PROGRAM: &str = "BENCH_ENGINE_PEAK";

/// What every run has in common.
const PRESET: &str = "ssimu2-mean";
const USUAL: [&str; 10] =
    ["--preset", PRESET, "--target", "78", "--final-preset", "5", "--workers", "2", "--lp", "1"];

type Measure = fn(&Bench) -> Result<Vec<Row>>;

const MEASURES: [(&str, Measure); 4] =
    [("cpu", Bench::cpu), ("memory", Bench::memory), ("kills", Bench::kills), ("plan", Bench::plan)];

/// A line of the table.
struct Row {
    what: String,
    measured: String,
    goal: String,
}

struct Bench {
    clip: PathBuf,
    quick: bool,
    /// Compares with a staged run as well.
    staged: bool,
    folder: tempfile::TempDir,
}

/// A finished run of the program.
struct Ran {
    wall: f64,
    cpu: f64,
    /// Peak memory of the process itself in MiB.
    peak: f64,
    /// The scenes file.
    scenes: Vec<u8>,
    events: Vec<Value>,
}

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os(AS_PROGRAM) {
        let code = progression_boost::cli::main();
        return match std::fs::write(path, own_peak().to_string()) {
            Ok(()) => code,
            Err(_) => ExitCode::FAILURE,
        };
    }
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    const USAGE: &str = "usage: bench_engine CLIP [--quick] [--only cpu|staged|memory|kills|plan]";
    let (mut clip, mut quick, mut only) = (None, false, None);
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--quick") => quick = true,
            Some("--only") => {
                only = Some(args.next().and_then(|name| name.into_string().ok()).context(USAGE)?);
            }
            _ => clip = Some(PathBuf::from(arg)),
        }
    }
    let clip = std::path::absolute(clip.context(USAGE)?)?;
    let staged = only.as_deref().is_none_or(|name| name == "staged");
    let wanted = only.map(|name| if name == "staged" { "cpu".to_owned() } else { name });
    let bench = Bench { clip, quick, staged, folder: tempfile::tempdir()? };
    let started = Instant::now();
    let mut rows = Vec::new();
    for (name, measure) in MEASURES {
        if wanted.as_ref().is_none_or(|wanted| wanted == name) {
            eprintln!("{name} …");
            rows.extend(measure(&bench).with_context(|| name.to_owned())?);
        }
    }
    ensure!(!rows.is_empty(), USAGE);
    println!("| what | measured | goal |\n|---|---|---|");
    for Row { what, measured, goal } in rows {
        println!("| {what} | {measured} | {goal} |");
    }
    println!(
        "\n{} CPUs, {:.0} s in all",
        progression_boost::support::machine::cpus(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Bench {
    fn row(what: impl Into<String>, measured: String, goal: &str) -> Row {
        Row { what: what.into(), measured, goal: goal.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A script in the bench's folder; `body` makes `clip` of the clip. BestSource
    /// is told to keep few frames, as our own opening of a video tells it.
    fn script(&self, name: &str, body: &str) -> Result<PathBuf> {
        let path = self.path(&format!("{name}.vpy"));
        let text = format!(
            "import vapoursynth as vs\ncore = vs.core\nclip = core.bs.VideoSource({:?}, cachesize=16)\n{body}\nclip.set_output()\n",
            self.clip.to_str().context("the clip's path is not Unicode")?
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The program on `input`, its results under `name`; not waited for.
    fn start(&self, name: &str, input: &Path, args: &[&str]) -> Result<Child> {
        let mut options: Vec<OsString> = USUAL.iter().chain(args).map(Into::into).collect();
        for (flag, suffix) in [("--temp", "boost"), ("-o", "scenes.json"), ("--events", "events")] {
            options.extend([flag.into(), self.path(&format!("{name}.{suffix}")).into()]);
        }
        Command::new(std::env::current_exe()?)
            .env(AS_PROGRAM, self.path(&format!("{name}.peak")))
            .args(options)
            .arg(input)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.path(&format!("{name}.log")))?)
            .spawn()
            .context("cannot start this program again")
    }

    fn run(&self, name: &str, input: &Path, args: &[&str]) -> Result<Ran> {
        let (before, started) = (cpu_seconds(), Instant::now());
        let status = self.start(name, input, args)?.wait()?;
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - before);
        let text = |suffix: &str| std::fs::read_to_string(self.path(&format!("{name}.{suffix}")));
        ensure!(status.success(), "the run `{name}` failed:\n{}", text("log")?);
        Ok(Ran {
            wall,
            cpu,
            peak: text("peak")?.parse()?,
            scenes: std::fs::read(self.path(&format!("{name}.scenes.json")))?,
            events: text("events")?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
        })
    }

    /// The probing preset of the runs whose encodes are compared.
    fn probing_preset(&self) -> &'static str {
        if self.quick { "11" } else { "7" }
    }

    /// A whole run against its probe encodes alone, and against a staged run.
    fn cpu(&self) -> Result<Vec<Row>> {
        let args = ["--probing-preset", self.probing_preset()];
        let ran = self.run("whole", &self.clip, &args)?;
        let (bare_cpu, bare_wall) = self.bare(&ran)?;
        let mut rows = vec![
            Self::row(
                "CPU: whole run / its probe encodes alone",
                format!("{:.1} s / {bare_cpu:.1} s = {:.2}", ran.cpu, ran.cpu / bare_cpu),
                "≤ 1.25",
            ),
            Self::row(
                "wall / CPU of the whole run",
                format!("{:.1} s / {:.1} s = {:.2}", ran.wall, ran.cpu, ran.wall / ran.cpu),
                "≤ 0.65 on two cores",
            ),
            Self::row(
                "wall: whole run / its probe encodes alone",
                format!("{:.1} s / {bare_wall:.1} s = {:.2}", ran.wall, ran.wall / bare_wall),
                "",
            ),
            Self::row("peak memory, the clip as it is", format!("{:.0} MiB", ran.peak), ""),
        ];
        if self.staged {
            let staged = self.run("staged", &self.clip, &[&args[..], &["--staged"]].concat())?;
            ensure!(staged.scenes == ran.scenes, "the staged run ended in another scenes.json");
            rows.push(Self::row(
                "wall: pipelined / staged",
                format!("{:.1} s / {:.1} s = {:.2}", ran.wall, staged.wall, ran.wall / staged.wall),
                "< 1",
            ));
            rows.push(Self::row(
                "CPU: pipelined / staged",
                format!("{:.1} s / {:.1} s = {:.2}", ran.cpu, staged.cpu, ran.cpu / staged.cpu),
                "",
            ));
        }
        Ok(rows)
    }

    /// Peaks at two sizes and two lengths.
    fn memory(&self) -> Result<Vec<Row>> {
        let (step, long) = if self.quick { (12, 2880) } else { (4, 14_400) };
        let mut rows = Vec::new();
        // All of the clip's shots, so that several scenes are in flight.
        let body = format!("clip = clip.std.SelectEvery({step}, 0).resize.Bicubic(1920, 1080)");
        let scaled = self.script("1080p", &body)?;
        for (what, input, goal) in [
            ("the clip".to_owned(), &self.clip, ""),
            (format!("1920x1080, every {step}th frame"), &scaled, "≤ 700 MiB"),
        ] {
            let ran = self.run("size", input, &["--probing-preset", "12"])?;
            rows.push(Self::row(format!("peak memory, {what}"), format!("{:.0} MiB", ran.peak), goal));
        }
        let mut peaks = Vec::new();
        for length in [720, long] {
            // The small clip is kept, so that it is decoded once whatever the length.
            let body = format!(
                "clip = clip.resize.Bicubic(128, 72)[:720]\n\
                 clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=720)\n\
                 clip = clip.std.Loop({length} // clip.num_frames + 1)[:{length}]"
            );
            let script = self.script(&format!("{length}frames"), &body)?;
            // A peak is the highest of many moments, of which a short run has few.
            let runs = if length == 720 { 5 } else { 1 };
            let peak_of = |_| Ok(self.run("length", &script, &["--probing-preset", "13"])?.peak);
            let of_runs = (0..runs).map(peak_of).collect::<Result<Vec<f64>>>()?;
            peaks.push(of_runs.into_iter().fold(0.0, f64::max));
        }
        rows.push(Self::row(
            format!("peak memory, {long} frames / 720 frames (highest of 5 runs) of 128x72"),
            format!("{:.0} MiB / {:.0} MiB = {:.2}", peaks[1], peaks[0], peaks[1] / peaks[0]),
            "≤ 1.15",
        ));
        Ok(rows)
    }

    /// Runs killed at random moments and resumed, against one that was left alone.
    fn kills(&self) -> Result<Vec<Row>> {
        let rounds = if self.quick { 5 } else { 30 };
        let script = self.script("short", "clip = clip.resize.Bicubic(160, 90)[:96]")?;
        let args = ["--probing-preset", "10", "--set", "scenes.target_split=20"];
        let left_alone = self.run("alone", &script, &args)?;
        let mut random = Random::new();
        let (mut same, mut killed) = (0, 0);
        while killed < rounds {
            let delay = random.share() * left_alone.wall;
            let mut child = self.start("killed", &script, &args)?;
            std::thread::sleep(Duration::from_secs_f64(delay));
            let ended = child.try_wait()?.is_some();
            if !ended {
                child.kill()?;
            }
            child.wait()?;
            // Encoders that lost their source end by themselves, as they would.
            let resumed = self.run("killed", &script, &[&args[..], &["--resume"]].concat())?;
            // One that was quicker than expected ended before its kill.
            if !ended {
                killed += 1;
                same += usize::from(resumed.scenes == left_alone.scenes);
            }
            for file in ["killed.boost", "killed.scenes.json"] {
                let path = self.path(file);
                if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
            }
        }
        Ok(vec![Self::row(
            "killed at a random moment, resumed: same scenes.json",
            format!("{same} of {killed}"),
            "all",
        )])
    }
}

impl Ran {
    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or(f64::NAN)
}

/// The settings of the runs that [`USUAL`] describes.
fn resolved(sets: &[&str], zones: Option<&str>) -> Result<Resolved> {
    let mut typed = vec![Typed::set("encoder.lp=1")];
    typed.extend(sets.iter().map(|set| Typed::set(set)));
    settings::resolve(&settings::Request {
        preset: Some(PRESET.to_owned()),
        typed,
        zones: zones.map(|text| ZoneList::Text(text.to_owned())),
        ..settings::Request::default()
    })
}

/// Made-up statistics, for what only passes them on or chooses frames by them.
fn some_luma(frames: usize) -> LumaStats {
    let wave = |n: usize| 0.01 + 0.005 * (n as f64 * 0.7).sin();
    LumaStats {
        bits: 8,
        full_range: false,
        average: vec![0.4; frames],
        min: vec![16; frames],
        max: vec![235; frames],
        diff: (0..frames).map(wave).collect(),
    }
}

/// Numbers that differ from run to run (xorshift, seeded by the clock).
struct Random(u64);

impl Random {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_nanos() as u64 | 1)
    }

    /// 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Highest resident memory of this process so far in MiB; 0 where Linux's
/// `/proc` is not there.
fn own_peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) / 1024.0
}

/// CPU seconds of this process and of all its descendants that were waited for.
#[cfg(unix)]
#[allow(unsafe_code)]
fn cpu_seconds() -> f64 {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .map(|who| {
            let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
            // SAFETY: `usage` is a place for one rusage, which may be all zeros
            // and is what it stays should the call fail.
            let usage = unsafe {
                libc::getrusage(who, usage.as_mut_ptr());
                usage.assume_init()
            };
            seconds(usage.ru_utime) + seconds(usage.ru_stime)
        })
        .iter()
        .sum()
}

#[cfg(not(unix))]
fn cpu_seconds() -> f64 {
    f64::NAN
}
