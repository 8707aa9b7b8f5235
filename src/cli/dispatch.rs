//! `progression-boost dispatch serve|status|snippet|shutdown`

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Subcommand;

use super::Usage;
use super::words::words;
use crate::dispatch::client;
use crate::dispatch::sensors::Machine;
use crate::dispatch::server::Server;
use crate::dispatch::settings::{self, Entry, Settings};
use crate::dispatch::snippet::{WithoutServer, snippet};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::units::parse_duration;

/// Let av1an's workers wait until CPU and VRAM have room
///
/// Start `dispatch serve`, paste the lines of `dispatch snippet` into the script,
/// run av1an with far more workers than would fit, and end with `dispatch shutdown`.
///
/// Every setting of `serve` can also be given as environment variable
/// (PROGRESSION_BOOST_DISPATCH_WORKER_CPU for --worker-cpu) and in a TOML file
/// (worker-cpu = 20); flags win over variables, and variables over the file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::DISPATCH)]
pub struct DispatchArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Release workers while there is room, until `dispatch shutdown` or Ctrl-C
    Serve(ServeArgs),
    /// Show the queue, who runs, CPU and VRAM
    Status {
        #[command(flatten)]
        common: CommonArgs,
        /// One JSON object instead of words
        #[arg(long)]
        json: bool,
    },
    /// Print the lines to paste into a VapourSynth script
    Snippet {
        #[command(flatten)]
        common: CommonArgs,
        /// What a worker does when no server answers
        #[arg(long, value_name = "ACTION", default_value = "continue", value_parser = words::<WithoutServer>())]
        without_server: WithoutServer,
        /// Longest wait of a worker, for instance 30m; then it goes on [default: none]
        #[arg(long, value_name = "TIME")]
        limit: Option<String>,
    },
    /// Stop the server
    Shutdown {
        #[command(flatten)]
        common: CommonArgs,
    },
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// Port on 127.0.0.1 [default: 18861]
    #[arg(long)]
    port: Option<String>,
    /// TOML file with settings [default: dispatch.toml in the configuration folder, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Percent of the whole machine that one worker takes [default: 20]
    #[arg(long, value_name = "PERCENT")]
    worker_cpu: Option<String>,
    /// VRAM that one worker takes, for instance 3GiB; 0: only the CPU counts [default: 3GiB]
    #[arg(long, value_name = "SIZE")]
    worker_vram: Option<String>,
    /// Release the next only below this much CPU in use and reserved [default: 100 - worker-cpu]
    #[arg(long, value_name = "PERCENT")]
    max_cpu: Option<String>,
    /// Time for which a released worker's share is held for it [default: 10s]
    #[arg(long, value_name = "TIME")]
    reserve: Option<String>,
    /// Which GPU to watch, NVIDIA's first [default: 0]
    #[arg(long, value_name = "INDEX")]
    gpu: Option<String>,
    /// Serve figures for Prometheus on 127.0.0.1, by default on the port after --port
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    metrics: Option<String>,
    /// Connections at once; more are told to come again [default: 4096]
    #[arg(long, value_name = "COUNT")]
    max_clients: Option<String>,
}

/// Runs the subcommand. `serve` returns when it was told to stop, which for a
/// server is success, by Ctrl-C too.
pub fn run(args: &DispatchArgs, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
    match &args.command {
        Command::Serve(serve) => {
            let settings = resolve(&serve.common, &serve.typed())?;
            let machine = Machine::detect(&settings, events)?;
            Server::bind(&settings, machine, events)?.run(cancel)
        }
        Command::Status { common, json } => {
            let status = client::status(resolve(common, &[])?.port)?;
            let text = if *json { serde_json::to_string(&status)? + "\n" } else { client::describe(&status) };
            print(out, &text)
        }
        Command::Snippet { common, without_server, limit } => {
            let port = resolve(common, &[])?.port;
            let limit = limit.as_deref().map(wait_limit).transpose()?;
            print(out, &snippet(port, *without_server, limit))
        }
        Command::Shutdown { common } => client::shutdown(resolve(common, &[])?.port),
    }
}

fn wait_limit(text: &str) -> Result<Duration> {
    parse_duration(text).map_err(|error| Usage(format!("limit {text} (from --limit): {error}")).into())
}

fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).context("cannot write to standard output")
}

impl ServeArgs {
    fn typed(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("worker-cpu", &self.worker_cpu),
            ("worker-vram", &self.worker_vram),
            ("max-cpu", &self.max_cpu),
            ("reserve", &self.reserve),
            ("gpu", &self.gpu),
            ("metrics", &self.metrics),
            ("max-clients", &self.max_clients),
        ]
    }
}

/// File, then environment, then flags: the last one that names a setting holds.
fn resolve(common: &CommonArgs, typed: &[(&str, &Option<String>)]) -> Result<Settings> {
    let mut entries = match config_file(common) {
        Some(path) => settings::from_file(&path)?,
        None => Vec::new(),
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    entries.extend(settings::from_environment(variables));
    for (key, value) in [("port", &common.port)].iter().chain(typed) {
        if let Some(value) = value {
            entries.push(Entry { key: (*key).to_owned(), value: value.clone(), origin: format!("--{key}") });
        }
    }
    settings::resolve(&entries).map_err(|error| Usage::from_error(&error))
}

/// The file that was named, which must exist, or the one in the user's
/// configuration folder if it does.
fn config_file(common: &CommonArgs) -> Option<PathBuf> {
    let named = common.config.clone().or_else(|| std::env::var_os(settings::ENV_CONFIG).map(PathBuf::from));
    named.or_else(|| {
        let folders = directories::ProjectDirs::from("", "", "progression-boost")?;
        Some(folders.config_dir().join("dispatch.toml")).filter(|path| path.exists())
    })
}
