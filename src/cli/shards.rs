//! `plan`, `run` and `merge`: boosting by several machines.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::boost::{PresetArgs, beside, parse_memory};
use super::files::{Files, Kind};
use super::input::InputArgs;
use super::machine::{DeviceArgs, NiceArgs};
use super::words::words;
use super::{Usage, say};
use crate::character::Options;
use crate::output::sidecar::Sidecar;
use crate::pipeline::shards::{self, Here, PathMap, Planned, Shared, Titles};
use crate::pipeline::{OnSceneFailure, Request};
use crate::score;
use crate::settings::Resolved;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::lock::Earlier;
use crate::support::priority::USUAL_NICENESS;
use crate::support::shard::Shard;

/// Parts that commands are printed for when nobody says how many.
const SHARDS: usize = 8;

/// Do what must happen once before several machines boost a clip
///
/// Analysis, scenes, pilots, calibration.
/// Writes a folder that every machine must see. `run` takes a share of it, `merge` writes the scenes file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::PLAN)]
pub struct PlanArgs {
    /// VapourSynth scripts (.vpy) or video files; several are a season
    #[arg(required = true)]
    inputs: Vec<PathBuf>,

    /// The folder to make [default: the first INPUT's name with .plan, beside it]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,

    /// The scenes file that `merge` writes for a single input [default: INPUT's name with .scenes.json, beside it]
    #[arg(long, value_name = "FILE")]
    scenes: Option<PathBuf>,

    /// How many shards to print commands for; any other number may be run
    #[arg(long, value_name = "N", default_value_t = SHARDS, value_parser = parse_count)]
    shards: usize,

    #[command(flatten)]
    preset: PresetArgs,

    #[command(flatten)]
    script: InputArgs,

    /// Cheap, unfiltered source of the same frames for statistics, scene detection and segmentation
    #[arg(long, value_name = "FILE")]
    analysis_input: Option<PathBuf>,

    /// Fast stand-in for the input, with like frames: probes are encoded from it and measured against it
    #[arg(long, value_name = "FILE")]
    probe_input: Option<PathBuf>,

    /// Make a plan anew, perhaps with other settings, and keep what fits it of what is finished
    #[arg(long)]
    resume: bool,

    /// Replace a plan and what is finished of it, and a scenes file that another program wrote
    #[arg(long)]
    force: bool,

    /// Memory for frames that wait to be scored, such as 4GiB [default: a quarter of the RAM]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,

    /// GPU that runs the segmentation network, on all machines
    #[arg(long, value_name = "N", default_value_t = 0)]
    character_device: u32,

    /// Begin with what earlier titles taught, as in this file, and let `merge` add to it
    #[arg(long, value_name = "FILE")]
    learned: Option<PathBuf>,

    /// What to do when a scene's probes fail twice
    #[arg(long, default_value = "fail", value_parser = words::<OnSceneFailure>())]
    on_scene_failure: OnSceneFailure,

    /// Seconds after which an encoder that neither reads nor writes is ended; 0 = never
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    encoder_timeout: u64,
}

/// Probe and solve one share of a plan
///
/// May be run again at any time: it goes on where it ended. Several may run at once, on one machine or many.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::RUN)]
pub struct RunArgs {
    /// The folder that `plan` made
    plan: PathBuf,

    #[command(flatten)]
    shard: ShardArgs,

    #[command(flatten)]
    paths: PathArgs,

    /// Encoder processes at once [default: as planned, else logical CPUs / lp]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    workers: Option<usize>,

    /// Memory for frames that wait to be scored, such as 4GiB [default: a quarter of the RAM]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,

    /// The plan's encoder, where it lies here [default: as planned]
    #[arg(long, value_name = "FILE")]
    encoder_path: Option<PathBuf>,

    #[command(flatten)]
    nice: NiceArgs,

    #[command(flatten)]
    devices: DeviceArgs,

    /// Folder of this machine for probes until they are measured [default: the system's]
    #[arg(long, value_name = "DIR")]
    temp: Option<PathBuf>,
}

/// Write the scenes file of a plan whose shards are done
///
/// Byte for byte what one machine would have written. Needs neither the clip nor an encoder.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::MERGE)]
pub struct MergeArgs {
    /// The folder that `plan` made
    plan: PathBuf,

    /// The scenes file to write [default: as planned]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    paths: PathArgs,

    /// Replace a scenes file that another program wrote
    #[arg(long)]
    force: bool,
}

/// Which share is meant.
#[derive(Debug, Default, clap::Args)]
pub struct ShardArgs {
    /// Share I of N, such as 2/8 [default: what Slurm says, or --shards with the index that GNU parallel
    /// or Kubernetes says]
    #[arg(long, value_name = "I/N", conflicts_with = "shards")]
    shard: Option<Shard>,

    /// N, where SLURM_ARRAY_TASK_ID, PARALLEL_SEQ or JOB_COMPLETION_INDEX is in the environment
    #[arg(long, value_name = "N", value_parser = parse_count, hide_short_help = true)]
    shards: Option<usize>,
}

/// Where things lie.
#[derive(Debug, Default, clap::Args)]
pub struct PathArgs {
    /// This machine sees the plan's folder FROM as TO; repeatable
    #[arg(long, value_name = "FROM=TO", hide_short_help = true)]
    path_map: Vec<PathMap>,
}

impl PathArgs {
    pub fn list(&self) -> &[PathMap] {
        &self.path_map
    }
}

impl ShardArgs {
    pub fn is_given(&self) -> bool {
        self.shard.is_some() || self.shards.is_some()
    }

    /// The share that was named, or that an engine assigns by `variable`s.
    pub fn find(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        if let Some(shard) = self.shard {
            return Ok(shard);
        }
        let number = |name: &str| -> Result<Option<usize>> {
            let Some(text) = variable(name).filter(|text| !text.is_empty()) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| Usage(format!("{name}={text}: must be a number")).into())
        };
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(1);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let of = self.shards.map_or_else(|| number("SLURM_ARRAY_TASK_COUNT"), |of| Ok(Some(of)))?;
            // A task that is run again alone is number 5 of an array of one.
            let place = if self.shards.is_some() { id } else { id.saturating_sub(first) / step + 1 };
            return named("SLURM_ARRAY_TASK_ID", place, of);
        }
        if let Some(sequence) = number("PARALLEL_SEQ")? {
            return named("PARALLEL_SEQ", sequence, self.shards);
        }
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            return named("JOB_COMPLETION_INDEX", index + 1, self.shards);
        }
        bail!(Usage("say which share is meant with --shard I/N, such as 2/8; 1/1 is all of it".to_owned()))
    }
}

fn named(variable: &str, number: usize, of: Option<usize>) -> Result<Shard> {
    let Some(of) = of else {
        bail!(Usage(format!("{variable} is shard {number}, but of how many? Say with --shards N")));
    };
    let shard = Shard::new(number, of).with_context(|| format!("{variable} with --shards {of}"));
    shard.map_err(|error| Usage::from_error(&error))
}

fn parse_count(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => bail!("must be a whole number from 1"),
    }
}

/// Plans and prints the commands that go on from there.
pub fn plan(args: &PlanArgs, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
    let settings = args.preset.resolve()?;
    for warning in &settings.warnings {
        events.warn(warning);
    }
    let mut files = args.files();
    files.reads("scenes.input_scenes", &settings.base.scenes.input_scenes);
    files.check()?;
    let of_one = [
        ("--scenes", args.scenes.is_some()),
        ("--analysis-input", args.analysis_input.is_some()),
        ("--probe-input", args.probe_input.is_some()),
    ];
    if let Some((option, _)) = of_one.iter().find(|(_, given)| *given && args.inputs.len() > 1) {
        bail!(Usage(format!("{option} names one file, and every input has its own: leave it out")));
    }
    let folder = args.folder();
    let requests: Vec<Request> =
        args.inputs.iter().map(|input| args.request(input, &settings)).collect::<Result<_>>()?;
    let planned = match &requests[..] {
        [request] => vec![shards::plan(request, args.shards, events, cancel)?],
        _ => shards::plan_season(&requests, &folder, args.shards, events, cancel)?,
    };
    say(out, &told(&folder, &planned, args.shards)?)
}

/// Does a share.
pub fn run(args: RunArgs, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
    let shard = args.shard.find(|name| std::env::var(name).ok())?;
    let here = Here {
        path_map: args.paths.path_map,
        workers: args.workers,
        memory: args.memory,
        nice: args.nice.nice,
        devices: args.devices.devices(),
        encoder: args.encoder_path,
        temp: args.temp,
    };
    let Shared { scenes, known, seconds } = shards::run(&args.plan, shard, &here, events, cancel)?;
    let before = if known > 0 { format!(", {known} of them before") } else { String::new() };
    say(out, &format!("shard {shard}: {scenes} scenes are done{before}, {seconds:.1} s"))
}

/// Writes the scenes file and prints the summary.
pub fn merge(args: &MergeArgs, out: &mut dyn Write, events: &Events) -> Result<()> {
    let map = args.paths.list();
    let outputs = match &args.output {
        Some(output) => vec![output.clone()],
        None => Titles::read(&args.plan)?.outputs(map),
    };
    let mut files = Files::new(args.force);
    for output in &outputs {
        files.writes("-o", [output], Kind::Scenes);
        files.writes("the record of -o", [&Sidecar::path(output)], Kind::Record);
    }
    files.check()?;
    for summary in shards::merge(&args.plan, args.output.as_deref(), map, events)? {
        say(out, &format!("{}wrote {}", summary.text(), summary.output.display()))?;
    }
    Ok(())
}

impl PlanArgs {
    /// The first of them.
    pub fn input(&self) -> Option<&Path> {
        self.inputs.first().map(PathBuf::as_path)
    }

    fn folder(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| beside(&self.inputs[0], "plan"))
    }

    fn scenes(&self, input: &Path) -> PathBuf {
        self.scenes.clone().unwrap_or_else(|| beside(input, "scenes.json"))
    }

    fn request(&self, input: &Path, settings: &Resolved) -> Result<Request> {
        let folder = self.folder();
        let title = || folder.join(input.file_stem().unwrap_or_default());
        Ok(Request {
            folder: if self.inputs.len() > 1 { title() } else { folder.clone() },
            open: self.script.options(settings.source.provider)?,
            output: self.scenes(input),
            input: input.to_path_buf(),
            analysis_input: self.analysis_input.clone(),
            probe_input: self.probe_input.clone(),
            settings: settings.clone(),
            metric: score::open,
            segmentation: Options { device: self.character_device, ..Options::default() },
            earlier: Earlier::of(self.resume, self.force),
            keep_probes: false,
            nice: USUAL_NICENESS,
            memory: self.memory,
            on_scene_failure: self.on_scene_failure,
            stall: (self.encoder_timeout > 0).then(|| Duration::from_secs(self.encoder_timeout)),
            learned: self.learned.clone(),
            staged: false,
        })
    }

    pub fn files(&self) -> Files {
        let mut files = Files::new(self.force);
        for input in &self.inputs {
            self.script.reads("the input", input, &mut files);
            files.writes("--scenes", [&self.scenes(input)], Kind::Scenes);
        }
        for (option, other) in
            [("--analysis-input", &self.analysis_input), ("--probe-input", &self.probe_input)]
        {
            if let Some(other) = other {
                self.script.reads(option, other, &mut files);
            }
        }
        self.preset.reads(&mut files);
        files.writes("--learned", &self.learned, Kind::Guarded);
        files
    }
}

/// What was planned, and the commands that go on from there.
fn told(folder: &Path, planned: &[Planned], shards: usize) -> Result<String> {
    let title = |planned: &Planned| {
        let Planned { scenes, probed, left, told, .. } = planned;
        let sentences: Vec<&str> = told.iter().flat_map(|sentence| ["  ", sentence, "\n"]).collect();
        let name = match planned.folder.file_name() {
            Some(name) if planned.folder != folder => format!("{}: ", name.to_string_lossy()),
            _ => String::new(),
        };
        format!(
            "{name}{scenes} scenes, {probed} probed that the others learn from, {left} left for shards\n{}",
            sentences.concat()
        )
    };
    let titles: Vec<String> = planned.iter().map(title).collect();
    let titles = titles.concat();
    let plan = quoted(&std::path::absolute(folder)?);
    let run = format!("progression-boost run {plan}");
    let merge = format!("progression-boost merge {plan}");
    // Every title of a season is encoded by itself.
    let title = if planned.len() > 1 { format!("{plan}/TITLE") } else { plan.clone() };
    let encode = format!("progression-boost encode --plan {title}");
    let encode_merge = format!("progression-boost encode merge {title}");
    Ok(format!(
        "{titles}\
         each machine:  {run} --shard I/{shards}\n\
         then:          {merge}\n\
         the encode:    {encode} --shard I/{shards}, then {encode_merge} -o FILE.mkv\n\
         with Slurm:        job=$(sbatch --parsable --array=1-{shards} boost.slurm {plan}) && \
         sbatch --dependency=afterany:$job merge.slurm {plan}\n\
         with GNU parallel: parallel --sshlogin HOST,HOST {run} --shard {{}}/{shards} ::: {{1..{shards}}} && {merge}\n\
         with Kubernetes:   sed 's|@PLAN@|{plan}|; s|@SHARDS@|{shards}|' boost.yaml | kubectl apply -f -\n\
         wrote {}",
        folder.display()
    ))
}

fn quoted(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(shards: Option<usize>, variables: &[(&str, &str)]) -> Result<String> {
        let args = ShardArgs { shard: None, shards };
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        args.find(variable).map(|shard| shard.to_string())
    }

    #[test]
    fn engines_say_which_share_is_meant() {
        let slurm =
            [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_COUNT", "8")];
        assert_eq!(found(None, &slurm).unwrap(), "4/8");
        assert_eq!(found(Some(8), &slurm).unwrap(), "3/8");
        assert_eq!(found(Some(4), &[("PARALLEL_SEQ", "2")]).unwrap(), "2/4");
        // Kubernetes counts from 0.
        assert_eq!(found(Some(4), &[("JOB_COMPLETION_INDEX", "0")]).unwrap(), "1/4");
        let error = found(None, &[("JOB_COMPLETION_INDEX", "2")]).unwrap_err().to_string();
        assert!(error.contains("JOB_COMPLETION_INDEX is shard 3") && error.contains("--shards N"), "{error}");
        assert!(found(Some(2), &[("PARALLEL_SEQ", "3")]).unwrap_err().to_string().contains("3/2"));
        assert!(found(None, &[]).unwrap_err().to_string().contains("--shard I/N"));
    }
}
