//! `models`: lists the segmentation networks that are found.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::character::Network;
use crate::character::models::{FILE_NAME, WHERE_TO_GET_IT, find, places};
use crate::source::{OpenOptions, Session};

#[derive(Debug, Args)]
#[command(after_long_help = super::help::MODELS)]
pub struct ModelsArgs {}

/// Runs the command; what it prints goes to `out`.
pub fn run(_args: &ModelsArgs, out: &mut dyn Write) -> Result<()> {
    let session = Session::empty(None, &OpenOptions::default());
    let places = places(session.as_ref().ok().copied());
    let chosen = find(None, &places).ok();
    writeln!(out, "Networks for Character Boost, in the order in which they are looked for:")?;
    for place in &places {
        writeln!(out, "{} ({})", place.path.display(), place.what)?;
        let networks = place.networks();
        if networks.is_empty() {
            let what = if place.path.exists() { "no .onnx file in it" } else { "does not exist" };
            writeln!(out, "  {what}")?;
        }
        for network in networks {
            let mark = if chosen.as_ref() == Some(&network) { "* " } else { "  " };
            writeln!(out, "  {mark}{}: {}", network.display(), about(&network))?;
        }
    }
    if let Err(error) = session {
        writeln!(out, "VapourSynth's plugin folders were not looked into: {error:#}")?;
    }
    match chosen {
        Some(network) => writeln!(out, "Used: {}", network.display())?,
        None => writeln!(out, "None is used: {FILE_NAME} was not found. {WHERE_TO_GET_IT}.")?,
    }
    Ok(())
}

fn about(network: &Path) -> String {
    match Network::open(network) {
        Ok(network) => network.to_string(),
        Err(error) => format!("not usable: {:#}", error.root_cause()),
    }
}
