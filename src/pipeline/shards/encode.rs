//! The final encode of a plan by several machines, which are held against it as well.

use std::path::Path;

use anyhow::{Result, ensure};

use super::file::{PathMap, Plan};
use super::origin::Origin;
use super::season;
use crate::pipeline::Request;
use crate::source;
use crate::support::fingerprint::Fingerprint;

/// What an encode of the plan in `folder` reads.
pub struct Expected {
    /// Names of the files here, the scenes file among them as its output.
    pub request: Request,
    /// Of the clip, wherever it lies.
    pub clip: Fingerprint,
}

/// Reads a plan whose scenes file is written.
///
/// # Errors
/// When it is not, or when script, source or plugins are not the plan's.
pub fn expect(folder: &Path, map: &[PathMap]) -> Result<Expected> {
    ensure!(
        !season::is_one(folder),
        "{} is a season: each of its titles is encoded by itself, such as {}",
        folder.display(),
        folder.join("TITLE").display()
    );
    let plan = Plan::read(folder)?;
    let request = plan.request(folder, map);
    ensure!(
        request.output.is_file(),
        "{} is not there: `progression-boost merge {}` writes it",
        request.output.display(),
        folder.display()
    );
    let mut origin = Origin::of_files(&request.input, &request.open, Some(&plan))?;
    origin.add_clip(&source::open(&request.input, &request.open)?, &request.input, Some(&plan))?;
    Ok(Expected { request, clip: plan.keys.0 })
}
