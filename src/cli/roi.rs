//! `roi`: checks ROI maps and draws them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::Usage;
use super::files::{Files, Kind};
use crate::character::{Overlay, draw_png};
use crate::formats::blocks::Blocks;
use crate::formats::roi_map::{self, RoiMap};
use crate::formats::scenes_json::{self, SceneEntry};
use crate::source::{self, OpenOptions};
use crate::support::atomic;

#[derive(Debug, Args)]
#[command(after_long_help = super::help::ROI)]
pub struct RoiArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Find what an encoder would misread in a ROI map
    Check {
        /// ROI map, as for --roi-map-file
        file: PathBuf,
        /// Width and height of the video
        #[arg(long, value_name = "WxH", value_parser = size)]
        size: (usize, usize),
    },
    /// Draw a ROI map over a frame of its scene, orange where it is better and blue where it is worse
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// ROI map, as for --roi-map-file
    file: PathBuf,
    /// The clip it was made for: VapourSynth script or video file
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Which of the script's outputs to take
    #[arg(long, value_name = "N", default_value_t = 0)]
    output_index: i32,
    /// First frame of the scene in the clip
    #[arg(long, value_name = "FRAME", default_value_t = 0, conflicts_with = "scenes")]
    start: usize,
    /// Find the scene by the map's name in this scenes file instead
    #[arg(long, value_name = "FILE")]
    scenes: Option<PathBuf>,
    /// Frame to draw over, counted from the scene's first one
    #[arg(long, value_name = "N", default_value_t = 0)]
    frame: usize,
    /// Picture to write [default: the map's name with .png, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an output that exists, even if this program did not write it
    #[arg(long)]
    force: bool,
}

impl RoiArgs {
    pub fn files(&self) -> Files {
        let Action::Show(args) = &self.action else { return Files::default() };
        let mut files = Files::new(args.force);
        files.reads("the map", [&args.file]);
        files.reads_clip("--input", &args.input, &OpenOptions::default());
        files.reads("--scenes", &args.scenes);
        files.writes("-o", [&args.target()], Kind::Picture);
        files
    }
}

impl ShowArgs {
    fn target(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            PathBuf::from(self.file.with_extension("png").file_name().unwrap_or("roi.png".as_ref()))
        })
    }
}

/// Runs the command; what it prints goes to `out`.
pub fn run(args: &RoiArgs, out: &mut dyn Write) -> Result<()> {
    match &args.action {
        Action::Check { file, size } => check(file, *size, out),
        Action::Show(args) => show(args, out),
    }
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    sides
        .filter(|&(w, h)| (1..=65536).contains(&w) && (1..=65536).contains(&h))
        .ok_or_else(|| "must be WIDTHxHEIGHT in pixels, as 1920x1080".to_owned())
}

fn read(file: &Path) -> Result<String> {
    crate::support::text::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn check(file: &Path, (width, height): (usize, usize), out: &mut dyn Write) -> Result<()> {
    let blocks = Blocks::over(width, height);
    let (lines, problems) = roi_map::read(&read(file)?, blocks);
    for problem in &problems {
        writeln!(out, "{}: {problem}", file.display())?;
    }
    if !problems.is_empty() {
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        bail!("{} is not right for {width}x{height}: {count} {noun}", file.display());
    }
    let values = || lines.iter().flat_map(|line| line.values.iter().copied());
    writeln!(
        out,
        "{}: right for {width}x{height}, {} lines of {} x {} blocks, values {} to {}",
        file.display(),
        lines.len(),
        blocks.columns,
        blocks.rows,
        values().min().unwrap_or(0),
        values().max().unwrap_or(0)
    )?;
    Ok(())
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> Result<()> {
    let text = read(&args.file)?;
    let start = match &args.scenes {
        Some(scenes) => scene_of(&args.file, scenes)?,
        None => args.start,
    };
    let options = OpenOptions { output_index: args.output_index, ..OpenOptions::default() };
    let clip = source::open(&args.input, &options)?;
    let blocks = Blocks::over(clip.info().width, clip.info().height);
    let map = RoiMap::parse(&text, blocks).with_context(|| {
        format!(
            "{} is not right for {}x{}, the size of {}",
            args.file.display(),
            clip.info().width,
            clip.info().height,
            args.input.display()
        )
    })?;
    let values = map.at(args.frame).with_context(|| format!("{} has no lines", args.file.display()))?;
    let frame = start.checked_add(args.frame).context("the frame number is too large")?;
    let overlay = Overlay::of_frame(&clip, frame, values)?;
    let target = args.target();
    atomic::write_with(&target, |file| draw_png(overlay, file))?;
    writeln!(out, "{}", target.display())?;
    Ok(())
}

/// First frame of the scene that is encoded with `map`.
fn scene_of(map: &Path, scenes: &Path) -> Result<usize> {
    let entries = scenes_json::read_of_any_clip(scenes).map_err(|error| match error.root_cause() {
        // Not the file that was meant.
        cause if cause.is::<serde_json::Error>() => Usage(format!("{error:#}")).into(),
        _ => error,
    })?;
    let uses_map = |entry: &&SceneEntry| {
        let params = entry.zone_overrides.iter().flat_map(|zone| &zone.video_params);
        params.map(Path::new).any(|word| word.file_name().is_some() && word.file_name() == map.file_name())
    };
    let scene = entries.iter().find(uses_map);
    Ok(scene.with_context(|| format!("no scene in {} uses {}", scenes.display(), map.display()))?.start_frame)
}
