//! Runs the programs and measures what they take.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use progression_boost::settings::{self, Metric, Resolved, Settings, Typed};
use progression_boost::support::machine::cpus;
use serde::Serialize;
use serde_json::{Value, json};

use super::allocations::Allocation;
use super::clip::Clip;
use super::judge::{Judged, Scene, Yardstick, judge};
use super::{Options, Variant};

/// The script that scores, kept out of the program's reach.
const INDEPENDENT: &str = include_str!("independent.py");

/// What a step took, of all its processes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cost {
    /// Seconds.
    pub wall: f64,
    /// Seconds; NaN where the system does not tell.
    pub cpu: f64,
}

/// A line of the table: a clip by a variant.
#[derive(Debug, Serialize)]
pub struct Row {
    pub clip: String,
    pub variant: String,
    /// Probe encodes a scene; `None` where they are not told.
    pub probes: Option<f64>,
    /// Final encodes made to learn the offset, or again because they missed, a scene.
    pub calibrations: f64,
    /// `None` where boosting and encoding are one step.
    pub boost: Option<Cost>,
    /// Two probe encodes of every scene and nothing else.
    pub bare: Cost,
    /// Boost and final encode.
    pub total: Cost,
    /// Of the finished file.
    pub bytes: u64,
    pub judged: Judged,
}

pub struct Bench {
    pub options: Options,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(options: Options) -> Result<Self> {
        let program = options.program.clone().map_or_else(beside, Ok)?;
        ensure!(program.is_file(), "{}: no such program; cargo build --release makes it", program.display());
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("independent.py"), INDEPENDENT)?;
        Ok(Self { options, program, folder })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What independent.py writes for `args`.
    pub fn python<'a>(&self, args: impl IntoIterator<Item = &'a OsStr>) -> Result<Vec<u8>> {
        run(Command::new(&self.options.python).arg(self.path("independent.py")).args(args))
    }

    /// The settings of a run; only for what the bench itself has to know of them.
    pub fn resolved(&self, args: &[String]) -> Result<Resolved> {
        let mut typed = vec![Typed::set("encoder.lp=1")];
        typed.push(Typed::set(&format!("encoder.probing_preset={}", self.options.probing)));
        typed.push(Typed::set(&format!("encoder.final_preset={}", self.options.last)));
        typed.push(Typed::set(&format!("metric.target={}", self.options.target)));
        typed.extend(
            self.options.tail_weight.map(|weight| Typed::set(&format!("metric.tail_weight={weight}"))),
        );
        let sets = args.iter().zip(args.iter().skip(1)).filter(|(flag, _)| *flag == "--set");
        typed.extend(sets.map(|(_, set)| Typed::set(set)));
        settings::resolve(&settings::Request {
            preset: Some(self.options.preset.clone()),
            typed,
            zones: None,
            ..settings::Request::default()
        })
    }

    fn settings(&self, args: &[String]) -> Result<Settings> {
        Ok(self.resolved(args)?.base)
    }

    pub fn metric(&self) -> Result<Metric> {
        Ok(self.settings(&[])?.metric.metric)
    }

    /// What every variant is judged by: what the preset aims at.
    pub fn yardstick(&self) -> Result<Yardstick> {
        Yardstick::of(&self.settings(&[])?.metric)
    }

    /// Boosts and encodes `clip`, and scores all of it. `bare` is filled by the
    /// first variant of a clip.
    pub fn row(&self, clip: &Clip, variant: &Variant, bare: &mut Option<Cost>) -> Result<Row> {
        let (scenes_file, output) = (self.path("scenes.json"), self.path("boosted.mkv"));
        let (boost, encode) = match variant.closed() {
            None => {
                let (boost, _) = measured(|| self.boost(clip, &variant.args, &scenes_file))?;
                let (encode, _) = measured(|| self.encode(clip, &scenes_file, &output))?;
                (Some(boost), encode)
            }
            Some(args) => {
                let (both, _) = measured(|| self.closed(clip, args, &output))?;
                std::fs::rename(self.path("boosted.scenes.json"), &scenes_file)?;
                (None, both)
            }
        };
        let events: Vec<Value> = std::fs::read_to_string(self.path("events"))?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
        let mut scenes: Vec<Scene> = of("scene").map(Scene::of_event).collect();
        scenes.sort_unstable_by_key(|scene| scene.start);
        ensure!(!scenes.is_empty(), "no event tells a scene");
        let calibrations = of("probe").filter(|event| event["calibration"] == true).count();
        let probes = of("probe").count() - calibrations;
        let again = of("chunk_score").filter(|event| event["again"] == true).count();
        let bare = match *bare {
            Some(cost) => cost,
            None => *bare.insert(self.bare(clip, &scenes)?),
        };
        let settings = self.settings(&variant.args)?;
        let bounds = (settings.metric.min_crf.max(settings.output.min_crf), settings.metric.max_crf);
        let scores = self.scores(clip, &output, &scenes_file)?;
        Ok(Row {
            clip: clip.name.clone(),
            variant: variant.name.clone(),
            probes: Some(probes as f64 / scenes.len() as f64),
            calibrations: (calibrations + again) as f64 / scenes.len() as f64,
            boost,
            bare,
            total: boost
                .map_or(encode, |boost| Cost { wall: boost.wall + encode.wall, cpu: boost.cpu + encode.cpu }),
            bytes: output.metadata()?.len(),
            judged: judge(self.yardstick()?, self.options.target, bounds, scenes, scores)?,
        })
    }

    fn boost(&self, clip: &Clip, args: &[String], scenes: &Path) -> Result<Vec<u8>> {
        let mut command = self.command();
        command.args(["--preset", &self.options.preset, "--lp", "1"]);
        command.args(["--workers", &self.options.workers.to_string()]);
        command.arg("--temp").arg(self.fresh("boost")?).arg("-o").arg(scenes);
        self.boosting(&mut command)?;
        run(command.args(args).arg(&clip.script))
    }

    /// Boosts and encodes in one run.
    fn closed(&self, clip: &Clip, args: &[String], output: &Path) -> Result<Vec<u8>> {
        let mut command = self.command();
        command.args(["encode", "--boost", &self.options.preset, "--threads", "1", "--force"]);
        command.args(["--max-parallel-encodes", &self.options.workers.to_string()]);
        command.arg("--temp").arg(self.fresh("boost")?).arg("-o").arg(output);
        self.boosting(&mut command)?;
        run(command.args(args).arg(&clip.script))
    }

    /// What all runs that boost are told.
    fn boosting(&self, command: &mut Command) -> Result<()> {
        let Options { target, probing, last, .. } = &self.options;
        let backend = if self.metric()? == Metric::Ssimu2 { "vszip" } else { "native" };
        command.args(["--target", &target.to_string(), "--quiet"]);
        command.args(["--probing-preset", &probing.to_string(), "--final-preset", &last.to_string()]);
        command.args(["--set", &format!("metric.backend={backend}")]);
        if let Some(weight) = self.options.tail_weight {
            command.args(["--set", &format!("metric.tail_weight={weight}")]);
        }
        command.arg("--events").arg(self.path("events"));
        self.with_encoder(command);
        Ok(())
    }

    /// The final encode of `scenes` to `output`.
    pub fn encode(&self, clip: &Clip, scenes: &Path, output: &Path) -> Result<Vec<u8>> {
        let mut command = self.command();
        command.arg("encode").arg("--scenes").arg(scenes).arg("-o").arg(output);
        command.args(["--force", "--quiet", "--min-chunk-length", "1"]);
        command.args(["--max-parallel-encodes", &self.options.workers.to_string()]);
        command.arg("--temp").arg(self.fresh("chunks")?);
        self.with_encoder(&mut command);
        run(command.arg(&clip.script))
    }

    /// Scores of all frames of `encoded`, in order.
    pub fn scores(&self, clip: &Clip, encoded: &Path, scenes: &Path) -> Result<Vec<f64>> {
        if self.metric()? == Metric::Ssimu2 {
            let written = self.python(["score".as_ref(), clip.script.as_os_str(), encoded.as_os_str()])?;
            return Ok(serde_json::from_slice(&written)?);
        }
        let report = self.path("verified.json");
        let mut command = self.command();
        command.arg("verify").arg("--scenes").arg(scenes).arg("--json").arg(&report);
        command.args(["--preset", &self.options.preset, "--set", "metric.backend=native", "--quiet"]);
        run(command.arg(&clip.script).arg(encoded))?;
        let report: Value = serde_json::from_slice(&std::fs::read(report)?)?;
        let scenes = report["scenes"].as_array().context("the report has no scenes")?;
        let frames = scenes.iter().filter_map(|scene| scene["frames"].as_array()).flatten();
        frames.map(|frame| frame["score"].as_f64().context("a frame without score")).collect()
    }

    /// The path of a work folder that does not exist yet.
    pub fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if path.is_dir() {
            std::fs::remove_dir_all(&path)?;
        }
        Ok(path)
    }

    fn command(&self) -> Command {
        Command::new(&self.program)
    }

    fn with_encoder(&self, command: &mut Command) {
        if let Some(encoder) = &self.options.encoder {
            command.arg("--encoder-path").arg(encoder);
        }
    }

    pub fn write_json(&self, rows: &[Row], allocations: &[Allocation]) -> Result<()> {
        let Some(path) = &self.options.json else { return Ok(()) };
        let text = serde_json::to_string(&json!({
            "run": self.described(), "rows": rows, "allocations": allocations,
        }))?;
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// A sentence on what was run where.
    pub fn described(&self) -> String {
        let Options { preset, target, probing, last, tail_weight, encoder, workers, .. } = &self.options;
        let encoder =
            encoder.as_ref().map_or("SvtAv1EncApp of the PATH".into(), |path| path.display().to_string());
        let tail = tail_weight.map_or(String::new(), |weight| format!(", tail weight {weight}"));
        format!(
            "{preset}, target {target}{tail}; probing preset {probing}, final preset {last}, lp 1, {workers} \
             workers, {encoder}; {} CPUs",
            cpus()
        )
    }
}

/// The program that was built with this example.
fn beside() -> Result<PathBuf> {
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(Path::parent).context("the example lies in no target folder")?;
    Ok(folder.join(format!("progression-boost{}", std::env::consts::EXE_SUFFIX)))
}

/// Runs `command` to its end and gives what it wrote.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// What `work` takes, with what it gives.
pub fn measured<T>(work: impl FnOnce() -> Result<T>) -> Result<(Cost, T)> {
    let (started, before) = (Instant::now(), children_cpu());
    let given = work()?;
    Ok((Cost { wall: started.elapsed().as_secs_f64(), cpu: children_cpu() - before }, given))
}

/// CPU seconds of all descendants that were waited for.
#[cfg(unix)]
#[allow(unsafe_code)]
fn children_cpu() -> f64 {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a place for one rusage, which may be all zeros and is
    // what it stays should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[cfg(not(unix))]
fn children_cpu() -> f64 {
    f64::NAN
}
