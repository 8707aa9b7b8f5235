//! The default command: boost a clip.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::source::Provider;
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// Arguments of boosting.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// VapourSynth script (.vpy) or video file
    #[arg(required = true)]
    input: Option<PathBuf>,
}

pub fn run(_args: Args, _events: &Events, _cancel: &Cancel) -> Result<()> {
    let _ = Provider::Auto;
    bail!("in the making")
}
