//! `encode`: the final video in parallel chunks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::encode_boost::BoostArgs;
use super::encode_shared::{SharedArgs, Step, merge, share};
use super::files::{Files, Kind};
use super::input::InputArgs;
use super::machine::NiceArgs;
use super::status::StatusFile;
use super::verify::AtTheEnd;
use super::words::words;
use super::{Usage, report, say};
use crate::encode::{self, DetectBy, MuxerChoice, Request, SceneSource};
use crate::formats::qpfile;
use crate::options::{Coder, Options, Origin};
use crate::pipeline;
use crate::score;
use crate::settings::{self, SourceProvider, Typed};
use crate::support::atomic;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::lock::Earlier;

/// Scenes found for encoding alone, with the usual lengths.
const DETECTION_PRESET: &str = "scene-detection";

/// Shorter scenes are joined unless said otherwise, in frames.
const MIN_CHUNK_LENGTH: usize = 64;

/// Scene score of ffmpeg's filter that counts as a cut, of 1.
const FFMPEG_THRESHOLD: f64 = 0.3;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = super::help::ENCODE)]
pub struct EncodeArgs {
    #[command(subcommand)]
    pub(super) step: Option<Step>,

    /// VapourSynth script (.vpy) or video file
    #[arg(required_unless_present = "plan")]
    pub(super) input: Option<PathBuf>,

    /// The Matroska file to make
    #[arg(short, long, value_name = "FILE.mkv", required_unless_present = "plan")]
    pub(super) output: Option<PathBuf>,

    #[command(flatten)]
    pub(super) shared: SharedArgs,

    #[command(flatten)]
    pub(super) script: InputArgs,

    #[command(flatten)]
    pub(super) chunks: ChunkArgs,

    #[command(flatten)]
    pub(super) encoder: EncoderArgs,

    #[command(flatten)]
    pub(super) boost: BoostArgs,

    #[command(flatten)]
    pub(super) result: ResultArgs,

    #[command(flatten)]
    pub(super) nice: NiceArgs,
}

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Chunks")]
pub(super) struct ChunkArgs {
    /// Scenes and their parameters from an av1an scenes.json
    ///
    /// Boosting writes such a file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["qpfile", "scene_method"])]
    pub(super) scenes: Option<PathBuf>,

    /// Scenes from an x264/x265 QP file [default: INPUT's name with .qp.txt, beside INPUT or below]
    #[arg(long, value_name = "FILE", conflicts_with = "scene_method", hide_short_help = true)]
    qpfile: Option<PathBuf>,

    /// How scenes are found without a file [default: builtin]
    ///
    /// auto, builtin, wwxd, scxvid, wwxd_scxvid, av1an, av1an_fast or ffmpeg.
    #[arg(long, visible_alias = "method", value_name = "METHOD")]
    scene_method: Option<String>,

    /// Lowest scene score of --scene-method ffmpeg, 0 to 1 [default: 0.3]
    #[arg(long, value_name = "SCORE", hide_short_help = true)]
    scd_thresh: Option<f64>,

    /// Let --scene-method ffmpeg look at half the size
    #[arg(long, hide_short_help = true)]
    downscale_scd: bool,

    /// Join scenes shorter than so many frames with the following ones [default: 64]
    #[arg(long, value_name = "FRAMES", hide_short_help = true)]
    min_chunk_length: Option<usize>,

    /// Encoders at once [default: CPUs / threads]
    #[arg(long, visible_alias = "workers", value_name = "N")]
    max_parallel_encodes: Option<usize>,
}

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Encoder")]
pub(super) struct EncoderArgs {
    /// Encoder [default: as the scenes file says, else aom]
    #[arg(long, value_name = "NAME", value_parser = words::<Coder>())]
    encoder: Option<Coder>,

    /// The encoder's program [default: aomenc or SvtAv1EncApp on the PATH]
    #[arg(long, value_name = "FILE")]
    encoder_path: Option<PathBuf>,

    /// Threads of one encoder [default: as the parameters say, else 2]
    #[arg(long, visible_alias = "lp", value_name = "N")]
    threads: Option<usize>,

    /// Constant quality, lower is better [default: 14 for aom, 27 for svt-av1]
    #[arg(long, value_name = "Q")]
    q: Option<f64>,

    /// Encoder preset: 720p, 1080p or one of your own [default: by the height of the picture]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    encoder_preset: Option<String>,

    /// Your encoder presets, a TOML file like presets/encoders/presets.toml
    #[arg(long, value_name = "FILE", env = "PROGRESSION_BOOST_ENCODER_PRESETS", hide_short_help = true)]
    encoder_presets: Option<PathBuf>,

    /// Encoder parameters on top of all others
    ///
    /// Also on top of those in a scenes file.
    #[arg(long, visible_alias = "video-params", value_name = "WORDS", allow_hyphen_values = true)]
    params: Option<String>,

    /// Strength of film grain made from the source's noise, 0 to 50
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=50), hide_short_help = true)]
    noiselevel: u32,

    /// Film grain table (grav1synth, noise_model); wins over --noiselevel
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    graintable: Option<PathBuf>,

    /// Seconds after which an encoder that neither reads nor writes is ended; 0 = never. Slow presets
    /// with a long lookahead are silent for minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, hide_short_help = true)]
    encoder_timeout: u64,

    /// Bits per sample of the result, 8 or 10 [default: 10]
    #[arg(long, value_name = "BITS", hide_short_help = true)]
    bit_depth: Option<u8>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Result")]
pub(super) struct ResultArgs {
    /// Copy audio, subtitles, chapters and attachments from this file
    #[arg(long, value_name = "SOURCE")]
    pub(super) copy_from: Option<PathBuf>,

    /// What makes the Matroska file; auto takes mkvmerge if it is there, else ffmpeg
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = words::<MuxerChoice>(), hide_short_help = true)]
    pub(super) muxer: MuxerChoice,

    /// Continue a run: finished chunks are not encoded again
    #[arg(long)]
    pub(super) resume: bool,

    /// Replace the output; without --resume also drop finished chunks
    #[arg(long)]
    pub(super) force: bool,

    /// Work folder [default: INPUT's name with .chunks, beside INPUT]
    #[arg(long, value_name = "FOLDER")]
    pub(super) temp: Option<PathBuf>,

    /// Remove the work folder once the result is checked
    #[arg(long)]
    pub(super) clean: bool,

    /// Measure the result with this preset's metric at the end, as `verify` does
    #[arg(long, value_name = "PRESET")]
    pub(super) verify: Option<String>,

    /// With --boost: write a report with plots and pictures as one HTML page
    #[arg(long, value_name = "FILE.html", requires = "boost")]
    pub(super) report: Option<PathBuf>,
}

pub fn run(
    args: EncodeArgs,
    metric: score::Opener,
    out: &mut dyn Write,
    events: &Events,
    cancel: &Cancel,
) -> Result<()> {
    if let Some(Step::Merge(args)) = args.step {
        return merge(*args, events, cancel);
    }
    if args.shared.plan.is_some() {
        return share(args, out, events, cancel);
    }
    if args.shared.shard.is_given() {
        bail!(Usage("--shard goes with --plan".to_owned()));
    }
    if args.boost.is_given() {
        return closed(args, metric, out, events, cancel);
    }
    let verify = args.result.verify.clone();
    let request = args.request().map_err(|error| Usage::from_error(&error))?;
    let at_the_end = verify.map(|preset| AtTheEnd::new(&preset, &request, metric)).transpose();
    let at_the_end = at_the_end.map_err(|error| Usage::from_error(&error))?.flatten();
    let (status, listening) = StatusFile::new(&request.work, events);
    let made = encode::run(&request, &listening, cancel);
    status.end(&made);
    made?;
    at_the_end.map_or(Ok(()), |verification| verification.run(out, events, cancel))
}

/// `encode --boost`.
fn closed(
    args: EncodeArgs,
    metric: score::Opener,
    out: &mut dyn Write,
    events: &Events,
    cancel: &Cancel,
) -> Result<()> {
    let page = args.result.report.clone();
    let request = args.closed_request(metric).map_err(|error| Usage::from_error(&error))?;
    for warning in &request.boost.settings.warnings {
        events.warn(warning);
    }
    let scenes = request.boost.output.display().to_string();
    if let Some(path) = &page {
        atomic::check_writable(path)?;
    }
    let (status, listening) = StatusFile::new(&request.encode.work, events);
    let made = pipeline::encode(&request, &listening, cancel);
    status.end(&made);
    let (summary, outcome) = made?;
    if let Some(path) = &page {
        let sides = [&*request.boost.input, &*outcome.output];
        report::write(summary.page(), path, sides, &request.boost.open, events, cancel)?;
    }
    let wrote = format!("wrote {} ({} bytes) and {scenes}", outcome.output.display(), outcome.bytes);
    say(out, &format!("{}{wrote}", summary.text()))
}

impl EncodeArgs {
    pub fn input(&self) -> Option<&Path> {
        self.input.as_deref()
    }

    pub fn files(&self) -> Files {
        let mut files = Files::new(self.result.force);
        if let Some(input) = &self.input {
            self.script.reads("the input", input, &mut files);
        }
        let (chunks, encoder) = (&self.chunks, &self.encoder);
        files.reads("--scenes", &chunks.scenes);
        files.reads("--qpfile", &chunks.qpfile);
        files.reads("--encoder-path", &encoder.encoder_path);
        files.reads("--encoder-presets", &encoder.encoder_presets);
        files.reads("--graintable", &encoder.graintable);
        files.reads("--copy-from", &self.result.copy_from);
        files.writes("-o", &self.output, Kind::Guarded);
        files.writes("--report", &self.result.report, Kind::Page);
        if self.boost.is_given() {
            self.boost.reads(&self.script, &mut files);
            let scenes = self.output.as_deref().map(pipeline::scenes_file);
            files.writes("the scenes file beside -o", &scenes, Kind::Scenes);
        }
        files
    }

    fn closed_request(mut self, metric: score::Opener) -> Result<pipeline::EncodeRequest> {
        self.refuse_with_boost()?;
        let boost = std::mem::take(&mut self.boost);
        let open = self.script.options(SourceProvider::Auto)?;
        let scenes = pipeline::scenes_file(self.output.as_deref().context("an output is required")?);
        // Where the scenes come from is not asked: each chunk is ordered by itself.
        self.chunks.scenes = Some(scenes.clone());
        let (lp, workers) = (self.encoder.threads.take(), self.chunks.max_parallel_encodes.take());
        let program = self.encoder.encoder_path.take();
        // From the environment; there are no scenes that they would be for.
        self.encoder.encoder_presets = None;
        let encode = self.request()?;
        boost.request(encode, metric, open, scenes, [lp, workers], program)
    }

    /// Options that have no meaning with --boost are errors, each with what to do instead.
    fn refuse_with_boost(&self) -> Result<()> {
        let (chunks, encoder, result) = (&self.chunks, &self.encoder, &self.result);
        let quality = "the preset and --target decide the quality of every scene";
        let found = "the preset finds the scenes: --set scenes.method=METHOD, or external with \
                     --set scenes.input_scenes=FILE";
        let params =
            "the probes must be encoded alike: --probing-params and --final-params set the parameters";
        let others = [
            ("--scenes", chunks.scenes.is_some(), found),
            ("--qpfile", chunks.qpfile.is_some(), found),
            ("--scene-method", chunks.scene_method.is_some(), found),
            ("--scd-thresh", chunks.scd_thresh.is_some(), found),
            ("--downscale-scd", chunks.downscale_scd, found),
            ("--min-chunk-length", chunks.min_chunk_length.is_some(), "every scene is a chunk of its own"),
            ("--encoder aom", encoder.encoder == Some(Coder::Aom), "boosting is for SVT-AV1"),
            ("--q", encoder.q.is_some(), quality),
            (
                "--encoder-preset",
                encoder.encoder_preset.is_some(),
                "--final-preset sets the encoder's preset",
            ),
            ("--params", encoder.params.is_some(), params),
            ("--bit-depth", encoder.bit_depth.is_some(), "--input-depth in the parameters sets it"),
            (
                "--verify",
                result.verify.is_some(),
                "chunks are measured already; `verify` measures every frame",
            ),
        ];
        match others.iter().find(|(_, given, _)| *given) {
            Some((option, _, why)) => bail!("{option} does not go with --boost: {why}"),
            None => Ok(()),
        }
    }

    pub(super) fn request(self) -> Result<Request> {
        let Self { input, output, script, chunks, encoder, boost, result, nice, .. } = self;
        let (input, output) =
            (input.context("an input is required")?, output.context("an output is required")?);
        if boost.has_zones() {
            bail!("--zones go with --boost: the scenes of a file have their parameters already");
        }
        if result.verify.is_some() && chunks.scenes.is_none() {
            bail!("--verify needs --scenes: without it there is nothing to judge the result by");
        }
        if !output.extension().is_some_and(|e| e.eq_ignore_ascii_case("mkv")) {
            bail!("-o {}: the result is Matroska, its name must end in .mkv", output.display());
        }
        if output.exists() && !result.force && !result.resume {
            bail!("{} exists; --force replaces it", output.display());
        }
        let params = encoder.params.as_deref().map(|line| Options::parse_line(line, Origin::User));
        Ok(Request {
            open: script.options(SourceProvider::Auto)?,
            work: result.temp.clone().unwrap_or_else(|| input.with_extension("chunks")),
            output,
            earlier: Earlier::of(result.resume, result.force),
            clean: result.clean,
            scenes: chunks.source(&input)?,
            min_chunk_length: at_least_one(
                "--min-chunk-length",
                chunks.min_chunk_length.unwrap_or(MIN_CHUNK_LENGTH),
            )?,
            parallel: chunks
                .max_parallel_encodes
                .map(|n| at_least_one("--max-parallel-encodes", n))
                .transpose()?,
            threads: encoder.threads.map(|n| at_least_one("--threads", n)).transpose()?,
            coder: encoder.encoder,
            program: encoder.encoder_path,
            q: encoder.q,
            preset: encoder.encoder_preset,
            presets_file: encoder.encoder_presets,
            params: params.transpose()?.unwrap_or_default(),
            noise: encoder.noiselevel,
            grain_table: encoder.graintable,
            bits: match encoder.bit_depth {
                None => 10,
                Some(bits @ (8 | 10)) => bits,
                Some(other) => bail!("--bit-depth {other}: must be 8 or 10"),
            },
            stall: (encoder.encoder_timeout > 0).then(|| Duration::from_secs(encoder.encoder_timeout)),
            muxer: result.muxer,
            copy_from: result.copy_from,
            share: None,
            nice: nice.nice,
            input,
        })
    }
}

impl ChunkArgs {
    /// Nothing said but how scenes are joined.
    pub(super) fn joined(min_chunk_length: Option<usize>) -> Self {
        Self { min_chunk_length, ..Self::default() }
    }

    /// A file that was named, else a method that was named, else a QP file that
    /// lies there, else the usual method.
    fn source(&self, input: &Path) -> Result<SceneSource> {
        let of_ffmpeg =
            [("--scd-thresh", self.scd_thresh.is_some()), ("--downscale-scd", self.downscale_scd)];
        if let Some((option, _)) = of_ffmpeg.iter().find(|(_, given)| *given)
            && self.scene_method.as_deref() != Some("ffmpeg")
        {
            bail!("{option} is for --scene-method ffmpeg: give both or neither");
        }
        if let Some(path) = &self.scenes {
            return Ok(SceneSource::ScenesFile(path.clone()));
        }
        if let Some(path) = &self.qpfile {
            return Ok(SceneSource::QpFile(path.clone()));
        }
        match self.scene_method.as_deref() {
            Some("ffmpeg") => {
                let threshold = self.scd_thresh.unwrap_or(FFMPEG_THRESHOLD);
                if !(0.0..=1.0).contains(&threshold) {
                    bail!("--scd-thresh {threshold}: must be 0 to 1");
                }
                Ok(SceneSource::Detect(DetectBy::Ffmpeg { threshold, half: self.downscale_scd }))
            }
            Some("auto") => detection(Vec::new()),
            Some("external") => bail!("--scene-method external: name the list with --scenes"),
            Some(method) => detection(vec![Typed::flag("--scene-method", "scenes.method", method)]),
            None => match qpfile::find(input) {
                Some(path) => Ok(SceneSource::QpFile(path)),
                None => detection(vec![Typed::flag("--scene-method", "scenes.method", "builtin")]),
            },
        }
    }
}

fn detection(typed: Vec<Typed>) -> Result<SceneSource> {
    let request = settings::Request {
        preset: Some(DETECTION_PRESET.to_owned()),
        typed,
        ..settings::Request::default()
    };
    Ok(SceneSource::Detect(DetectBy::Settings(Box::new(settings::resolve(&request)?))))
}

fn at_least_one(option: &str, value: usize) -> Result<usize> {
    if value == 0 {
        bail!("{option} 0: must be at least 1");
    }
    Ok(value)
}
