//! The command line: one file a subcommand, and the renderer. clap and the
//! terminal never leave this module.

mod boost;
mod dispatch;
mod encode;
mod encode_boost;
mod encode_shared;
mod files;
mod input;
mod models;
mod out;
pub mod presets;
mod render;
mod retarget;
mod roi;
mod scenes;
mod shards;
mod verify;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::score;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;
use crate::support::heap;
use crate::support::signals::stop_on_request;

use files::{Files, Kind};
use out::{Out, say, tell};
use render::Renderer;

/// Boosts AV1 encodes scene by scene: every scene as good as asked, at the smallest size.
///
/// Opens a VapourSynth script or a video, detects scenes, encodes each one
/// quickly as a probe, measures the probes against the source and writes the
/// CRF that hits the target for every scene into a file for `av1an --scenes`.
#[derive(Debug, Parser)]
#[command(version, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    boost: boost::Args,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(Box<shards::PlanArgs>),
    Run(Box<shards::RunArgs>),
    Merge(shards::MergeArgs),
    /// Find scenes and write them for av1an, without boosting
    Scenes(Box<scenes::Args>),
    /// Encode the final video in parallel chunks, from a script to a Matroska file
    Encode(Box<encode::EncodeArgs>),
    /// Measure a finished encode against its source, scene by scene
    Verify(Box<verify::VerifyArgs>),
    /// Another target or size for scenes that were boosted, without new probes
    Retarget(Box<retarget::RetargetArgs>),
    /// List, print or copy presets
    Presets(presets::PresetsArgs),
    /// Let av1an's workers start only when CPU and VRAM have room
    Dispatch(dispatch::DispatchArgs),
    /// List the segmentation networks that Character Boost finds
    Models(models::ModelsArgs),
    /// Check or draw region-of-interest maps
    Roi(roi::RoiArgs),
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Common {
    /// More detail: -v tells what was decided and why, -vv adds what the encoders say
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Write every event as a line of JSON to FILE, `-` for standard output, where nothing else goes then
    #[arg(long, global = true, value_name = "FILE")]
    events: Option<PathBuf>,
}

/// Names standard output where a file could stand.
const STDOUT: &str = "-";

/// What was typed makes no sense, though the command line parsed: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// Marks an error as one of usage, its whole chain kept as the message.
    pub fn from_error(error: &anyhow::Error) -> anyhow::Error {
        Self(format!("{error:#}")).into()
    }
}

/// Parses a command line. Options of every command may stand before a
/// subcommand, those of boosting may not: they would have no effect there.
fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(words)?;
    if let Some((name, _)) = matches.subcommand() {
        let misplaced = command.get_arguments().find(|argument| {
            let source = matches.value_source(argument.get_id().as_str());
            !argument.is_global_set() && source == Some(ValueSource::CommandLine)
        });
        if let Some(argument) = misplaced {
            let message = format!("{argument} is an option of boosting; those of `{name}` stand after it");
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
    }
    Cli::from_arg_matches(&matches)
}

impl Cli {
    /// What the command line alone tells about the files that are read and written.
    fn files(&self) -> Files {
        let mut files = match &self.command {
            Some(Command::Scenes(args)) => args.files(),
            Some(Command::Plan(args)) => args.files(),
            Some(Command::Encode(args)) => args.files(),
            Some(Command::Verify(args)) => args.files(),
            Some(Command::Retarget(args)) => args.files(),
            Some(Command::Roi(args)) => args.files(),
            Some(Command::Presets(args)) => args.files(),
            Some(Command::Dispatch(_) | Command::Models(_) | Command::Run(_) | Command::Merge(_)) => {
                Files::default()
            }
            None => self.boost.files(),
        };
        files.writes("--events", &self.common.events, Kind::Events);
        files
    }
}

/// Runs the program: 0 done, 1 failure, 2 usage, 130 interrupted.
pub fn main() -> ExitCode {
    main_with(score::open)
}

/// [`main`] with `metric` instead of our own back ends.
pub fn main_with(metric: score::Opener) -> ExitCode {
    heap::share();
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let cancel = Cancel::new();
    // Before the first file is created, which is that of the events.
    let renderer = cli
        .files()
        .check()
        .and_then(|()| Renderer::new(cli.common.verbose, cli.common.quiet, cli.common.events.as_deref()));
    let renderer = match renderer {
        Ok(renderer) => renderer,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            return ExitCode::from(exit_code(&error, &cancel));
        }
    };
    if let Err(error) = stop_on_request(&cancel) {
        tell(&format!("warning: Ctrl-C will stop at once, without tidying up: {error:#}"));
    }
    let result = run(cli, metric, &renderer.events(), &cancel);
    renderer.finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::from(exit_code(&error, &cancel))
        }
    }
}

fn run(cli: Cli, metric: score::Opener, events: &Events, cancel: &Cancel) -> Result<()> {
    let ndjson = cli.common.events.as_deref() == Some(Path::new(STDOUT));
    if ndjson && matches!(&cli.command, Some(Command::Verify(args)) if args.prints_json()) {
        bail!(Usage(
            "--events - and --json - both write to standard output; give one of them a file".to_owned()
        ));
    }
    let out: &mut dyn Write = &mut if ndjson { Out::Stderr } else { Out::Stdout };
    match cli.command {
        Some(Command::Plan(args)) => shards::plan(&args, out, events, cancel),
        Some(Command::Run(args)) => shards::run(*args, out, events, cancel),
        Some(Command::Merge(args)) => shards::merge(&args, out, events),
        Some(Command::Scenes(args)) => scenes::run(&args, out, events, cancel),
        Some(Command::Encode(args)) => encode::run(*args, metric, out, events, cancel),
        Some(Command::Verify(args)) => verify::run(*args, metric, out, events, cancel),
        Some(Command::Retarget(args)) => retarget::run(*args, out, events),
        Some(Command::Presets(args)) => presets::run(&args, out),
        Some(Command::Dispatch(args)) => dispatch::run(&args, out, events, cancel),
        Some(Command::Models(args)) => models::run(&args, out),
        Some(Command::Roi(args)) => roi::run(&args, out),
        None => boost::run(cli.boost, metric, out, events, cancel),
    }
}

fn exit_code(error: &anyhow::Error, cancel: &Cancel) -> u8 {
    if error.is::<Interrupted>() || cancel.is_cancelled() {
        130
    } else if error.chain().any(<dyn std::error::Error>::is::<Usage>) {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn options_of_every_command_may_stand_before_and_after_a_subcommand() {
        for line in ["pb -q scenes ep01.vpy -o s", "pb scenes ep01.vpy -o s -q", "pb -q ep01.vpy"] {
            assert!(parsed(line).unwrap().common.quiet, "{line}");
        }
    }

    #[test]
    fn options_of_boosting_before_a_subcommand_are_refused() {
        for line in ["pb --preset ssimu2-mean scenes ep01.vpy -o s", "pb --target 80 presets list"] {
            let error = parsed(line).err().unwrap().to_string();
            assert!(error.contains("is an option of boosting"), "{line}: {error}");
        }
        assert!(parsed("pb").is_err());
        Cli::command().debug_assert();
    }
}
