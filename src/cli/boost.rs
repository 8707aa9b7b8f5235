//! The default command: boost a clip.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::files::{Files, Kind};
use super::input::{InputArgs, ZoneArgs};
use super::machine::{DeviceArgs, NiceArgs};
use super::status::StatusFile;
use super::words::words;
use super::{Usage, report, say};
use crate::character::Options;
use crate::output::sidecar::Sidecar;
use crate::pipeline::{self, OnSceneFailure};
use crate::score;
use crate::settings::{self, Typed};
use crate::support::atomic;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::lock::Earlier;
use crate::support::units::parse_bytes;

/// Arguments of boosting.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// VapourSynth script (.vpy) or video file
    #[arg(required = true)]
    input: Option<PathBuf>,

    /// Scenes file to write for av1an [default: INPUT's name with .scenes.json]
    ///
    /// The default lies beside INPUT.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace an output that exists; without --resume also start over
    ///
    /// Also an output that this program did not write, and finished probes of an earlier run.
    #[arg(long)]
    force: bool,

    /// Write a report of what is expected of the final encode as one HTML page
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,

    #[command(flatten)]
    preset: PresetArgs,

    #[command(flatten)]
    script: InputArgs,

    /// Cheap, unfiltered source of the same frames for statistics, scene detection and segmentation
    #[arg(long, value_name = "FILE", help_heading = "Input", hide_short_help = true)]
    analysis_input: Option<PathBuf>,

    /// Fast stand-in for the input, with like frames: probes are encoded from it and measured against it
    #[arg(long, value_name = "FILE")]
    probe_input: Option<PathBuf>,

    #[command(flatten)]
    run: RunArgs,

    #[command(flatten)]
    nice: NiceArgs,

    #[command(flatten)]
    devices: DeviceArgs,
}

/// Which settings hold.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct PresetArgs {
    /// Preset: a name from `presets list`, or a TOML file
    #[arg(short, long, value_name = "NAME|FILE")]
    preset: Option<String>,

    /// Override a key, such as metric.target=82; repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,

    /// Score wanted for every scene (metric.target)
    #[arg(long, alias = "target-quality", value_name = "SCORE")]
    target: Option<String>,

    /// SVT-AV1 preset of the probes (encoder.probing_preset)
    #[arg(long, value_name = "N", allow_hyphen_values = true, hide_short_help = true)]
    probing_preset: Option<String>,

    /// SVT-AV1 preset of the final encode (encoder.final_preset)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    final_preset: Option<String>,

    /// Encoder parameters of the probes, instead of the preset's
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, hide_short_help = true)]
    probing_params: Option<String>,

    /// Encoder parameters of the final encode
    ///
    /// They take the place of the preset's.
    #[arg(long, visible_alias = "video-params", value_name = "WORDS", allow_hyphen_values = true)]
    final_params: Option<String>,

    /// SvtAv1EncApp to use [default: the one on the PATH]
    #[arg(long, value_name = "FILE")]
    encoder_path: Option<String>,

    /// Encoders at once [default: auto]
    #[arg(long, visible_alias = "max-parallel-encodes", value_name = "N")]
    workers: Option<String>,

    /// SVT-AV1's level of parallelism for one process (encoder.lp)
    #[arg(long, visible_alias = "threads", value_name = "N", hide_short_help = true)]
    lp: Option<String>,

    /// How scenes are found
    ///
    /// This very method; when it cannot run, that is an error.
    #[arg(long, visible_alias = "scene-method", value_name = "METHOD")]
    method: Option<String>,

    /// Take the scenes of this file instead of detecting them
    #[arg(long, visible_alias = "scenes", value_name = "FILE", hide_short_help = true)]
    input_scenes: Option<String>,

    /// Segmentation network for Character Boost (character.model)
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    model: Option<String>,

    /// What runs it: auto, trt, ort-cuda, ort, ov or ncnn (character.backend)
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    character_backend: Option<String>,

    #[command(flatten)]
    zones: ZoneArgs,
}

/// How the run works.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Run")]
// Each is a flag that is given or not.
#[allow(clippy::struct_excessive_bools)]
struct RunArgs {
    /// Work folder, for --resume [default: INPUT's name with .boost]
    #[arg(long, value_name = "DIR")]
    temp: Option<PathBuf>,

    /// Continue an earlier run: redo only what is missing or has changed
    #[arg(long)]
    resume: bool,

    /// Keep the probe encodes after they are scored
    #[arg(long, hide_short_help = true)]
    keep: bool,

    /// Memory that the program may hold, such as 4GiB [default: a quarter of the RAM]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, hide_short_help = true)]
    memory: Option<u64>,

    /// GPU that runs the segmentation network
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    character_device: u32,

    /// trtexec, which builds TensorRT engines [default: on the PATH, or beside the plugin]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    trtexec: Option<PathBuf>,

    /// Begin with what earlier titles taught, as in this file, and add to it
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    learned: Option<PathBuf>,

    /// What to do when a scene's probes fail twice
    #[arg(long, default_value = "fail", value_parser = words::<OnSceneFailure>(), hide_short_help = true)]
    on_scene_failure: OnSceneFailure,

    /// Seconds after which an encoder that neither reads nor writes is ended; 0 = never
    #[arg(long, value_name = "SECONDS", default_value_t = 300, hide_short_help = true)]
    encoder_timeout: u64,

    /// Probe all scenes phase by phase instead of each as a chain (slower; for comparison)
    #[arg(long, hide_short_help = true)]
    staged: bool,
}

/// Boosts and prints the summary.
pub fn run(
    args: Args,
    metric: score::Opener,
    out: &mut dyn Write,
    events: &Events,
    cancel: &Cancel,
) -> Result<()> {
    let input = args.input.clone().context("an input is required")?;
    let mut settings = args.preset.resolve()?;
    args.devices.put(&mut settings);
    for warning in &settings.warnings {
        events.warn(warning);
    }
    // The flags' files were checked before anything was done; a preset names some, too.
    let mut files = args.files();
    files.reads("scenes.input_scenes", &settings.base.scenes.input_scenes);
    files.check()?;
    let output = args.output.unwrap_or_else(|| beside(&input, "scenes.json"));
    let request = pipeline::Request {
        folder: args.run.temp.unwrap_or_else(|| beside(&input, "boost")),
        open: args.script.options(settings.source.provider)?,
        input,
        analysis_input: args.analysis_input,
        probe_input: args.probe_input,
        output,
        settings,
        metric,
        segmentation: Options {
            device: args.run.character_device,
            trtexec: args.run.trtexec,
            ..Options::default()
        },
        earlier: Earlier::of(args.run.resume, args.force),
        keep_probes: args.run.keep,
        memory: args.run.memory,
        on_scene_failure: args.run.on_scene_failure,
        stall: (args.run.encoder_timeout > 0).then(|| Duration::from_secs(args.run.encoder_timeout)),
        learned: args.run.learned,
        nice: args.nice.nice,
        staged: args.run.staged,
    };
    if let Some(path) = &args.report {
        atomic::check_writable(path)?;
    }
    let (status, listening) = StatusFile::new(&request.folder, events);
    let summary = pipeline::run(&request, &listening, cancel);
    status.end(&summary);
    let summary = summary?;
    if let Some(path) = &args.report {
        report::written(&summary.page(), path, events)?;
    }
    say(out, &format!("{}wrote {}", summary.text(), summary.output.display()))
}

impl Args {
    pub fn input(&self) -> Option<&Path> {
        self.input.as_deref()
    }

    pub fn files(&self) -> Files {
        let mut files = Files::new(self.force);
        let Some(input) = &self.input else { return files };
        self.script.reads("the input", input, &mut files);
        if let Some(other) = &self.analysis_input {
            self.script.reads("--analysis-input", other, &mut files);
        }
        if let Some(other) = &self.probe_input {
            self.script.reads("--probe-input", other, &mut files);
        }
        self.preset.reads(&mut files);
        files.reads("--trtexec", &self.run.trtexec);
        let output = self.output.clone().unwrap_or_else(|| beside(input, "scenes.json"));
        files.writes("-o", [&output], Kind::Scenes);
        files.writes("--report", &self.report, Kind::Page);
        files.writes("the record of -o", [&Sidecar::path(&output)], Kind::Record);
        // It is read, too, and nothing but what was learned is replaced.
        files.writes("--learned", &self.run.learned, Kind::Guarded);
        files
    }
}

impl PresetArgs {
    /// Says which files the settings come from. A name of a preset is no file's.
    pub fn reads(&self, files: &mut Files) {
        let named = [
            ("--preset", &self.preset),
            ("--encoder-path", &self.encoder_path),
            ("--input-scenes", &self.input_scenes),
            ("--model", &self.model),
        ];
        for (option, name) in named {
            files.reads(option, &name.as_ref().map(PathBuf::from));
        }
        self.zones.reads(files);
    }

    /// The validated settings; what is wrong with them is an error of usage.
    pub fn resolve(&self) -> Result<settings::Resolved> {
        let flags: [(&str, &str, &Option<String>); 10] = [
            ("--target", "metric.target", &self.target),
            ("--probing-preset", "encoder.probing_preset", &self.probing_preset),
            ("--final-preset", "encoder.final_preset", &self.final_preset),
            ("--encoder-path", "encoder.program", &self.encoder_path),
            ("--workers", "encoder.workers", &self.workers),
            ("--lp", "encoder.lp", &self.lp),
            ("--method", "scenes.method", &self.method),
            ("--input-scenes", "scenes.input_scenes", &self.input_scenes),
            ("--model", "character.model", &self.model),
            ("--character-backend", "character.backend", &self.character_backend),
        ];
        let mut typed: Vec<Typed> = self.sets.iter().map(|set| Typed::set(set)).collect();
        if self.input_scenes.is_some() && self.method.is_none() {
            typed.push(Typed::flag("--input-scenes", "scenes.method", "external"));
        }
        typed.extend(
            flags.iter().filter_map(|(flag, key, value)| Some(Typed::flag(flag, key, value.as_ref()?))),
        );
        typed.extend(self.probing_params.as_ref().map(Typed::probing_params));
        typed.extend(self.final_params.as_ref().map(Typed::final_params));
        let zones = self.zones.list();
        let request =
            settings::Request { preset: self.preset.clone(), typed, zones, ..settings::Request::default() };
        settings::resolve(&request).map_err(|error| Usage::from_error(&error))
    }
}

/// `ep01.vpy` and `scenes.json` give `ep01.scenes.json` in the same folder.
pub fn beside(input: &Path, extension: &str) -> PathBuf {
    let mut name = input.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    input.with_file_name(name)
}

/// Bytes for waiting frames, as [`parse_bytes`] reads them.
pub fn parse_memory(text: &str) -> Result<u64> {
    let bytes = parse_bytes(text).with_context(|| text.to_owned())?;
    if bytes < 64 << 20 {
        bail!("{text}: must be at least 64MiB");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_lie_beside_the_input() {
        assert_eq!(beside(Path::new("a/ep01.vpy"), "scenes.json"), Path::new("a/ep01.scenes.json"));
        assert_eq!(beside(Path::new("show.e01.mkv"), "boost"), Path::new("show.e01.boost"));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_memory("4GiB").unwrap(), 4 << 30);
        assert_eq!(parse_memory("1.5gib").unwrap(), 3 << 29);
        // As everywhere: a million bytes each.
        assert_eq!(parse_memory("800 MB").unwrap(), 800_000_000);
        for wrong in ["", "GiB", "-4G", "104857600", "1KiB", "NaN", "inf"] {
            assert!(parse_memory(wrong).is_err(), "{wrong}");
        }
    }
}
