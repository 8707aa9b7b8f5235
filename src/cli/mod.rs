//! The command line: one file a subcommand, and the renderer. clap and the
//! terminal never leave this module.

mod boost;
mod dispatch;
mod doctor;
mod encode;
mod encode_boost;
mod encode_shared;
mod files;
mod generate;
mod help;
mod input;
mod machine;
mod models;
mod notify;
mod out;
pub mod presets;
mod render;
mod report;
mod retarget;
mod roi;
mod scenes;
mod shards;
mod status;
mod svt_shim;
mod verify;
mod version;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::score;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;
use crate::support::heap;
use crate::support::job;
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
#[command(
    disable_version_flag = true,
    subcommand_negates_reqs = true,
    after_help = help::SHORT,
    after_long_help = help::BOOST
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    boost: boost::Args,

    #[command(flatten)]
    common: Common,

    /// Versions of this program, the encoder and VapourSynth
    #[arg(short = 'V', long, exclusive = true)]
    version: bool,
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
    /// Tell how far a run is, from outside
    Status(status::StatusArgs),
    /// Let av1an use several forks of SVT-AV1 in one encode
    SvtShim(svt_shim::SvtShimArgs),
    /// Print completions for a shell
    Completions(generate::CompletionsArgs),
    /// Write manual pages
    Man(generate::ManArgs),
    /// A page of two encodes of one source
    Report(report::ReportArgs),
    /// Look what this machine has and lacks, and say what to do
    Doctor(doctor::DoctorArgs),
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Common {
    /// More detail; -vv adds what the encoders say
    ///
    /// -v tells what was decided and why.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Run CMD in the shell when the work is over; PB_STATE, PB_SECONDS and PB_MESSAGE tell it how it went
    #[arg(long, global = true, value_name = "CMD", hide_short_help = true)]
    notify: Option<String>,

    /// Write every event as a line of JSON to FILE, `-` for standard output, where nothing else goes then
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
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

/// Whether `words`, the program's name first, are a command line that the program takes.
///
/// # Errors
/// What it would say instead.
pub fn check(words: &[String]) -> Result<(), String> {
    match parse(words.iter().map(OsString::from)) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The whole help of boosting and of every command, by name.
pub fn helps() -> Vec<(String, String)> {
    let mut command = Cli::command();
    command.build();
    let mut helps = vec![(String::new(), command.render_long_help().to_string())];
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        // The examples of a command with one action stand where that is.
        let told = match inner.get_name() {
            "report" => inner.find_subcommand_mut("compare"),
            _ => Some(&mut *inner),
        };
        helps.extend(told.map(|told| (told.get_name().to_owned(), told.render_long_help().to_string())));
    }
    helps
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
            Some(Command::Report(args)) => args.files(),
            Some(_) => Files::default(),
            None => self.boost.files(),
        };
        files.writes("--events", &self.common.events, Kind::Events);
        files
    }
}

impl Cli {
    /// The folder of the script or video that is opened; VapourSynth is looked for there.
    fn script_folder(&self) -> Option<PathBuf> {
        let input = match &self.command {
            None => self.boost.input(),
            Some(Command::Encode(args)) => args.input(),
            Some(Command::Plan(args)) => args.input(),
            _ => None,
        };
        let folder = input.and_then(Path::parent)?;
        // The current folder is looked at in any case.
        (!folder.as_os_str().is_empty()).then(|| folder.to_path_buf())
    }
}

/// Runs the program: 0 done, 1 failure, 2 usage, 130 interrupted.
pub fn main() -> ExitCode {
    main_with(score::open)
}

/// [`main`] with `metric` instead of our own back ends.
pub fn main_with(metric: score::Opener) -> ExitCode {
    if let Some(code) = svt_shim::stand_in() {
        return code;
    }
    heap::share();
    job::take_children_along();
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let near = cli.script_folder();
    let (began, notify) = (Instant::now(), cli.common.notify.clone());
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
    if cli.version {
        let _ = say(&mut Out::Stdout, &version::text(&cancel));
        return ExitCode::SUCCESS;
    }
    let result = run(cli, metric, &renderer.events(), &cancel);
    renderer.finish();
    if let Some(command) = notify {
        let (state, message) = match &result {
            Ok(()) => ("done", String::new()),
            Err(error) if exit_code(error, &cancel) == 130 => ("interrupted", format!("{error:#}")),
            Err(error) => ("failed", format!("{error:#}")),
        };
        notify::notify(&command, state, &message, began.elapsed());
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<doctor::NotReady>() {
                tell(&format!("error: {error:#}"));
            }
            let code = exit_code(&error, &cancel);
            doctor::explain(&error, near, &cancel);
            ExitCode::from(code)
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
        Some(Command::Status(args)) => status::run(&args, out),
        Some(Command::SvtShim(args)) => svt_shim::run(&args, out),
        Some(Command::Completions(args)) => generate::completions(&args, Cli::command(), out),
        Some(Command::Man(args)) => generate::man(&args, Cli::command(), out),
        Some(Command::Report(args)) => report::run(&args, out, events, cancel),
        Some(Command::Doctor(args)) => doctor::run(args, out, cancel),
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
