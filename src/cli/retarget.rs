//! `retarget`: another target, pooling or size for scenes that were boosted.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::files::{Files, Kind};
use super::words::words;
use super::{Usage, say};
use crate::output::sidecar::Sidecar;
use crate::pipeline::outlook::{Outlook, Scores, band};
use crate::pipeline::retarget::{self, By, Retargeted};
use crate::settings::{Problems, Typed};
use crate::support::events::Events;
use crate::support::units::parse_bytes;

/// Rewrites a scenes file from what its boost measured, within a second.
///
/// Starts from the settings of the boost, whatever was written since.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::RETARGET)]
pub struct RetargetArgs {
    /// The scenes file of a boost
    #[arg(required_unless_present = "temp")]
    scenes: Option<PathBuf>,

    /// Work folder of the boost [default: the one that the scenes file was made in]
    #[arg(long, value_name = "DIR")]
    temp: Option<PathBuf>,

    /// Score wanted for every scene (metric.target)
    #[arg(long, value_name = "SCORE")]
    target: Option<String>,

    /// How the frames of a scene become its score (metric.pooling)
    #[arg(long, value_name = "NAME")]
    pooling: Option<String>,

    /// Override one key, such as metric.tail_weight=0.5; repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,

    /// Size of the video without its container, such as 350MiB, instead of a target
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "target")]
    size: Option<u64>,

    /// Which scene gets how many bits
    #[arg(long, default_value = "even", value_parser = words::<By>())]
    allocation: By,

    /// No scene may score worse, with --allocation slope
    #[arg(long, value_name = "SCORE")]
    floor: Option<f64>,

    /// The scenes file to write [default: the one that the boost wrote]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace an output that exists, even if this program did not write it
    #[arg(long)]
    force: bool,
}

fn parse_size(text: &str) -> Result<u64> {
    match parse_bytes(text)? {
        0 => bail!("must be above 0"),
        bytes => Ok(bytes),
    }
}

/// Rewrites the scenes file and prints what either allocation would give.
pub fn run(args: RetargetArgs, out: &mut dyn Write, events: &Events) -> Result<()> {
    if args.floor.is_some() && args.allocation == By::Even {
        bail!(Usage(
            "--floor is for --allocation slope: with even all scenes have the same score".to_owned()
        ));
    }
    let mut typed: Vec<Typed> = args.sets.iter().map(|set| Typed::set(set)).collect();
    let flags = [("--target", "metric.target", &args.target), ("--pooling", "metric.pooling", &args.pooling)];
    typed.extend(flags.iter().filter_map(|(flag, key, value)| Some(Typed::flag(flag, key, value.as_ref()?))));
    let request = retarget::Request {
        folder: folder(args.temp, args.scenes.as_deref())?,
        output: args.output.or(args.scenes),
        typed,
        size: args.size,
        by: args.allocation,
        floor: args.floor,
    };
    let done = retarget::run(&request, events)
        .map_err(|error| if error.is::<Problems>() { Usage::from_error(&error) } else { error })?;
    say(out, &text(&done, request.by))
}

/// The work folder, named or remembered.
fn folder(named: Option<PathBuf>, scenes: Option<&Path>) -> Result<PathBuf> {
    let advice = "name the work folder of the boost with --temp DIR";
    match (named, scenes) {
        (Some(folder), _) => Ok(folder),
        (None, None) => Err(anyhow!(advice)),
        (None, Some(scenes)) => {
            let sidecar = Sidecar::of(scenes).context(advice)?;
            let missing = || format!("{} is missing; {advice}", Sidecar::path(scenes).display());
            Ok(sidecar.with_context(missing)?.folder)
        }
    }
}

fn text(done: &Retargeted, written: By) -> String {
    let Retargeted { output, scenes, frames, target, even, slope } = done;
    let rows = [("even", By::Even, even), ("slope", By::Slope, slope)].map(|(name, by, outlook)| {
        let mark = if by == written { "  <- written" } else { "" };
        let told = match outlook {
            Ok(outlook) => row(outlook),
            Err(error) => format!("{error:#}"),
        };
        format!("{name:<6} {told}{mark}")
    });
    let unknown = even.as_ref().map_or(0, |outlook| outlook.unknown);
    let without = match unknown {
        0 => String::new(),
        count => format!("\n{count} scenes have no probes: their size and score are not predicted"),
    };
    format!(
        "{scenes} scenes, {frames} frames, target {target:.3}\n       {:<36} {:>10} {:>11}\n{}\n{}{without}\n\
         wrote {}",
        "predicted size",
        "mean score",
        "worst scene",
        rows[0],
        rows[1],
        output.display()
    )
}

fn row(outlook: &Outlook) -> String {
    let scores = match outlook.scores {
        Some(Scores { mean, worst }) => format!("{mean:>10.3} {worst:>11.3}"),
        None => format!("{:>10} {:>11}", "-", "-"),
    };
    format!("{:<36} {scores}", band(&outlook.bytes))
}

impl RetargetArgs {
    pub fn files(&self) -> Files {
        let mut files = Files::new(self.force);
        let output = self.output.as_ref().or(self.scenes.as_ref());
        files.writes("-o", output, Kind::Scenes);
        files.writes("the record of -o", &output.map(|path| Sidecar::path(path)), Kind::Record);
        files
    }
}
