//! Options shared by all commands that read a clip: how it is opened, its zones.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::Usage;
use super::files::Files;
use crate::settings::{SourceProvider, ZoneList};
use crate::source::OpenOptions;

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Variable for the script, as text; repeatable
    #[arg(long = "vpy-arg", visible_alias = "vspipe-args", value_name = "KEY=VALUE")]
    vpy_args: Vec<String>,

    /// Which of the script's outputs to take
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    output_index: i32,

    /// VapourSynth plugin that is not auto-loaded; repeatable
    #[arg(long = "load-plugin", value_name = "FILE", hide_short_help = true)]
    plugins: Vec<PathBuf>,
}

impl InputArgs {
    /// Says that a clip is read, and what it is made of.
    pub fn reads(&self, option: &str, clip: &Path, files: &mut Files) {
        // Variables that are none are reported when the clip is opened.
        let options = self.options(SourceProvider::Auto).unwrap_or_default();
        files.reads_clip(option, clip, &options);
        files.reads("--load-plugin", &self.plugins);
    }

    pub fn options(&self, provider: SourceProvider) -> Result<OpenOptions> {
        let mut variables = Vec::with_capacity(self.vpy_args.len());
        for arg in &self.vpy_args {
            let Some((key, value)) = arg.split_once('=') else {
                bail!(Usage(format!("--vpy-arg {arg}: write KEY=VALUE")));
            };
            variables.push((key.to_owned(), value.to_owned()));
        }
        Ok(OpenOptions {
            variables,
            output_index: self.output_index,
            provider,
            plugins: self.plugins.clone(),
            ..OpenOptions::default()
        })
    }
}

/// Zones, for all commands with settings that may differ from part to part.
#[derive(Debug, Default, clap::Args)]
pub struct ZoneArgs {
    /// Parts with settings of their own: lines of `start end NAME`
    #[arg(long, value_name = "FILE", conflicts_with = "zones_string")]
    zones: Option<PathBuf>,

    /// The same on the command line: `0 1440 opening …`
    #[arg(long, value_name = "ZONES", hide_short_help = true)]
    zones_string: Option<String>,
}

impl ZoneArgs {
    pub fn reads(&self, files: &mut Files) {
        files.reads("--zones", &self.zones);
    }

    pub fn list(&self) -> Option<ZoneList> {
        match (&self.zones, &self.zones_string) {
            (Some(file), _) => Some(ZoneList::File(file.clone())),
            (None, Some(text)) => Some(ZoneList::Text(text.clone())),
            (None, None) => None,
        }
    }
}
