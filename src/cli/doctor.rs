//! `doctor`: what this machine has of what a run needs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::out::tell;
use super::{Usage, say};
use crate::doctor::{self, inside};
use crate::settings;
use crate::support::cancel::Cancel;
use crate::support::lacks::Lacks;

#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::DOCTOR)]
pub struct DoctorArgs {
    /// Say whether boosting with this preset would run, and with what
    #[arg(short, long, value_name = "NAME|FILE")]
    preset: Option<String>,

    /// Print the report as JSON, with fields that stay the same
    #[arg(long)]
    json: bool,

    /// VapourSynth plugin that is not auto-loaded; repeatable
    #[arg(long = "load-plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,

    /// A folder to look for VapourSynth near
    #[arg(long, hide = true, value_name = "FOLDER")]
    near: Option<PathBuf>,

    /// The part that runs in a child process
    #[arg(long, hide = true)]
    inside: bool,

    /// Leave out an item
    #[arg(long, hide = true, value_name = "ITEM")]
    skip: Vec<String>,

    /// Leave out all items but those whose names begin so
    #[arg(long, hide = true, value_name = "ITEM")]
    only: Vec<String>,
}

/// What is found is not all that is needed: told already, exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("this machine lacks something; see above")]
pub struct NotReady;

/// Looks and reports; an error when something needed does not work.
pub fn run(args: DoctorArgs, out: &mut dyn Write, cancel: &Cancel) -> Result<()> {
    if let Some(preset) = &args.preset {
        let request = settings::Request { preset: Some(preset.clone()), ..settings::Request::default() };
        settings::resolve(&request).map_err(|error| Usage::from_error(&error))?;
    }
    if args.inside {
        let DoctorArgs { preset, skip, only, near, plugins, .. } = args;
        let task = inside::Task { preset, near, plugins, skip, only };
        inside::run(&task, out, cancel)?;
        // Plugins that hold threads may crash while a core is freed; all is told by now.
        std::process::exit(0);
    }
    let request =
        doctor::Request { preset: args.preset, plugins: args.plugins, ..doctor::Request::default() };
    let report = doctor::run(&request, cancel)?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).context("the report cannot be written as JSON")?;
        say(out, &json)?;
    } else {
        say(out, report.text().trim_end())?;
    }
    if !report.ready {
        bail!(NotReady);
    }
    Ok(())
}

/// After an error about what the machine lacks: the doctor's lines about it. `near`
/// is the script's folder.
pub fn explain(error: &anyhow::Error, near: Option<PathBuf>, cancel: &Cancel) {
    let Some(lacks) = error.chain().find_map(|cause| cause.downcast_ref::<Lacks>()) else { return };
    let only = match lacks.item {
        // The source plugins are looked at one by one.
        "source" => vec!["plugin.bs", "plugin.lsmas", "plugin.ffms2"],
        item => vec![item],
    };
    let request = doctor::Request { only, near, ..doctor::Request::default() };
    let Ok(report) = doctor::run(&request, cancel) else { return };
    let troubles = report.troubles(&format!("{error:#}"));
    if !troubles.is_empty() {
        let program = Path::new(env!("CARGO_PKG_NAME")).display();
        tell(&format!("\n{}\n`{program} doctor` looks at everything", troubles.join("\n")));
    }
}
