//! `svt-shim`: several forks of SVT-AV1 in one encode by av1an.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::{say, tell};
use crate::encoder::shim;

#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::SVT_SHIM)]
pub struct SvtShimArgs {
    /// Folder for it, made when it is missing
    folder: PathBuf,
}

/// Places the stand-in and says how it is used.
pub fn run(args: &SvtShimArgs, out: &mut dyn Write) -> Result<()> {
    let path = shim::place(&args.folder)?;
    let folder = std::path::absolute(&args.folder)?;
    say(
        out,
        &format!("made {}\nput {} before all else on the PATH of av1an", path.display(), folder.display()),
    )
}

/// The exit code, where this program was started under the encoder's name.
pub fn stand_in() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    shim::is_meant(&name).then(|| {
        shim::run(words).unwrap_or_else(|error| {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        })
    })
}
