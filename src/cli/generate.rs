//! `completions` and `man`: what shells and manuals need, made from the options themselves.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;

use super::say;

const NAME: &str = env!("CARGO_PKG_NAME");

#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::COMPLETIONS)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::MAN)]
pub struct ManArgs {
    /// Folder for the pages, made when it is missing
    folder: PathBuf,
}

/// Prints the completions of `command`.
pub fn completions(args: &CompletionsArgs, mut command: Command, out: &mut dyn Write) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, NAME, &mut script);
    Ok(out.write_all(&script)?)
}

/// Writes a page for `command` and for each of its subcommands.
pub fn man(args: &ManArgs, command: Command, out: &mut dyn Write) -> Result<()> {
    let folder = &args.folder;
    let context = || format!("cannot write {}", folder.display());
    std::fs::create_dir_all(folder).with_context(context)?;
    clap_mangen::generate_to(command, folder).with_context(context)?;
    say(out, &format!("wrote {}", folder.display()))
}
