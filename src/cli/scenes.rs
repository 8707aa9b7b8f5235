//! `scenes`: scene detection on its own.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::ArgGroup;

use super::files::{Files, Kind};
use super::input::{InputArgs, ZoneArgs};
use super::{Usage, say};
use crate::analysis::{AnalysisOptions, analyse};
use crate::formats::av1an_zones;
use crate::formats::scenes_json::{self, SceneEntry};
use crate::scenes::{self, Detection};
use crate::settings::{self, Request, Resolved, Typed};
use crate::source;
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// The preset that stands for no boosting: its scene settings are the defaults here.
const PRESET: &str = "scene-detection";

/// Finds the scenes of a clip and writes them for av1an, without boosting.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::SCENES)]
#[command(group = ArgGroup::new("outputs")
    .args(["output", "zones_out", "stats_out", "plot"])
    .required(true)
    .multiple(true))]
pub struct Args {
    /// VapourSynth script (.vpy) or video file
    input: PathBuf,

    /// Write the scenes for `av1an --scenes`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the scenes as zones for `av1an --zones`
    #[arg(long, value_name = "FILE")]
    zones_out: Option<PathBuf>,

    /// Write the statistics, verdicts and scores of every frame as CSV
    #[arg(long, value_name = "FILE")]
    stats_out: Option<PathBuf>,

    /// Draw the scores, the thresholds and the scene starts as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,

    /// Preset that the scene settings come from
    #[arg(short, long, value_name = "NAME|FILE", default_value = PRESET)]
    preset: String,

    /// wwxd, scxvid, wwxd_scxvid, progressive, props, builtin, av1an, av1an_fast or external: this very one,
    /// without fall-back
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,

    /// Code range of the source, limited or full [default: what its frames say]
    #[arg(long, value_name = "RANGE")]
    range: Option<String>,

    /// Longest scene wanted, in frames
    #[arg(long, value_name = "FRAMES")]
    extra_split: Option<String>,

    /// Shortest scene, in frames
    #[arg(long, value_name = "FRAMES")]
    min_scene_len: Option<String>,

    /// Scenes up to this many frames are not divided further
    #[arg(long, value_name = "FRAMES")]
    target_split: Option<String>,

    /// Take the scenes of this file instead of detecting them
    #[arg(long, value_name = "FILE")]
    input_scenes: Option<String>,

    #[command(flatten)]
    zones: ZoneArgs,

    /// Let the plugins WWXD and Scxvid see the clip in one strictly sequential pass (slower)
    #[arg(long)]
    sequential: bool,

    /// Replace an output that exists, even if this program did not write it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    script: InputArgs,
}

/// Detects the scenes and writes what was asked for; prints what it wrote.
pub fn run(args: &Args, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
    let settings = args.resolve()?;
    let mut files = args.files();
    files.reads("scenes.input_scenes", &settings.base.scenes.input_scenes);
    files.check()?;
    let clip = source::open(&args.input, &args.script.options(settings.source.provider)?)?;
    let mut warnings = settings.warnings.clone();
    let zones = settings.zones(clip.info().frames, &mut warnings)?;
    for warning in &warnings {
        events.warn(warning);
    }
    let plan = scenes::plan(&zones, clip.session(), events, cancel)?;
    let first_pass = plan.first_pass.as_ref();
    let options = AnalysisOptions { first_pass, sequential_plugins: args.sequential };
    let analysis = analyse(&clip, &plan.detectors, options, events, cancel)?;
    let detection = scenes::detect(&zones, &plan, &analysis, events)?;

    let mut written = Vec::new();
    if let Some(path) = &args.output {
        let entries: Vec<_> = detection.scenes.iter().map(|scene| SceneEntry::plain(scene.range())).collect();
        scenes_json::write(path, &entries)?;
        written.push(path);
    }
    if let Some(path) = &args.zones_out {
        av1an_zones::write(path, detection.scenes.iter().map(|scene| scene.range()), "svt-av1")?;
        written.push(path);
    }
    if let Some(path) = &args.stats_out {
        scenes::write_stats(path, &analysis, &detection)?;
        written.push(path);
    }
    if let Some(path) = &args.plot {
        scenes::write_plot(path, &detection)?;
        written.push(path);
    }
    say(out, &summary(&detection))?;
    for path in written {
        say(out, &format!("wrote {}", path.display()))?;
    }
    Ok(())
}

impl Args {
    pub fn files(&self) -> Files {
        let mut files = Files::new(self.force);
        self.script.reads("the input", &self.input, &mut files);
        files.reads("--preset", [&PathBuf::from(&self.preset)]);
        files.reads("--input-scenes", &self.input_scenes.as_ref().map(PathBuf::from));
        self.zones.reads(&mut files);
        files.writes("-o", &self.output, Kind::Scenes);
        files.writes("--zones-out", &self.zones_out, Kind::Zones);
        files.writes("--stats-out", &self.stats_out, Kind::Statistics);
        files.writes("--plot", &self.plot, Kind::Plot);
        files
    }

    fn resolve(&self) -> Result<Resolved> {
        let flags = [
            ("--method", "scenes.method", &self.method),
            ("--range", "scenes.range", &self.range),
            ("--extra-split", "scenes.extra_split", &self.extra_split),
            ("--min-scene-len", "scenes.min_scene_len", &self.min_scene_len),
            ("--target-split", "scenes.target_split", &self.target_split),
            ("--input-scenes", "scenes.input_scenes", &self.input_scenes),
        ];
        let mut typed: Vec<Typed> = flags
            .iter()
            .filter_map(|(flag, key, value)| Some(Typed::flag(flag, key, value.as_ref()?)))
            .collect();
        if self.input_scenes.is_some() && self.method.is_none() {
            typed.push(Typed::flag("--input-scenes", "scenes.method", "external"));
        }
        let zones = self.zones.list();
        let request = Request { preset: Some(self.preset.clone()), typed, zones, ..Request::default() };
        settings::resolve(&request).map_err(|error| Usage::from_error(&error))
    }
}

/// One line: how many scenes, how long, found by what.
fn summary(detection: &Detection) -> String {
    let mut lengths: Vec<usize> = detection.scenes.iter().map(|s| s.frames()).collect();
    lengths.sort_unstable();
    let mut methods: Vec<&str> = detection.zones.iter().map(|z| z.method.name()).collect();
    methods.dedup();
    let (Some(shortest), Some(longest)) = (lengths.first(), lengths.last()) else {
        return "no frames".to_owned();
    };
    format!(
        "{} frames, {} scenes of {shortest} to {longest} frames (median {}), found by {}",
        detection.scores.len(),
        lengths.len(),
        lengths[lengths.len() / 2],
        methods.join(", ")
    )
}
