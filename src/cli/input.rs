//! How inputs are opened: options shared by all commands that read a clip.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::Usage;
use crate::settings::SourceProvider;
use crate::source::OpenOptions;

#[derive(Debug, Default, clap::Args)]
pub struct InputArgs {
    /// Variable for the script, as text; repeatable
    #[arg(long = "vpy-arg", value_name = "KEY=VALUE")]
    vpy_args: Vec<String>,

    /// Which of the script's outputs to take
    #[arg(long, value_name = "N", default_value_t = 0)]
    output_index: i32,

    /// VapourSynth plugin that is not auto-loaded; repeatable
    #[arg(long = "load-plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
}

impl InputArgs {
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
