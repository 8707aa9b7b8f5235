//! An encode that several machines share: each makes a part of the chunks, one puts
//! them together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::queue::Job;
use crate::support::atomic;
use crate::support::fingerprint::Fingerprint;
use crate::support::shard::{Shard, share_out};

/// What a chunk costs besides its frames, in frames: starting an encoder.
const START: f64 = 12.0;
/// So many chunks are named one by one.
const NAMED: usize = 20;
/// What all machines encode with.
pub const AGREED: &str = "encode.json";

/// A part of an encode, and what it has in common with the others.
#[derive(Debug, Clone)]
pub struct Share {
    /// Of all that the clip's frames depend on, wherever it lies.
    pub clip: Fingerprint,
    pub part: Part,
    /// The command that makes a part, without its number.
    pub command: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Make the chunks of this one.
    Shard(Shard),
    /// Put together what the others made.
    Merge,
}

/// What came of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareOutcome {
    pub chunks: usize,
    /// Of these, chunks that were finished before.
    pub known: usize,
}

/// What the first machine encodes with, for all others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Agreed {
    key: Fingerprint,
    /// For people.
    with: String,
}

/// Which of `jobs` are in `shard`.
pub fn mine(jobs: &[Job], shard: Shard) -> Vec<bool> {
    shard.share(&work(jobs))
}

fn work(jobs: &[Job]) -> Vec<f64> {
    jobs.iter().map(|job| job.chunk.frames.len() as f64 + START).collect()
}

/// All machines must make the same chunks. The first one says which, `with` being in
/// words what decides them.
///
/// # Errors
/// When this one would make others; names both.
pub fn agree(folder: &Path, jobs: &[Job], with: String) -> Result<()> {
    let keys: Vec<&Fingerprint> = jobs.iter().map(|job| &job.key).collect();
    let ours = Agreed { key: Fingerprint::of(&keys), with };
    let path = folder.join(AGREED);
    let context = || format!("cannot use {}", path.display());
    if !path.exists() {
        let mut file = atomic::ordinary(&mut tempfile::Builder::new())
            .prefix(atomic::PREFIX)
            .tempfile_in(folder)
            .with_context(context)?;
        serde_json::to_writer(&mut file, &ours).with_context(context)?;
        file.as_file().sync_all().with_context(context)?;
        // Another machine may be first.
        let _ = file.persist_noclobber(&path);
    }
    let theirs: Agreed =
        serde_json::from_slice(&std::fs::read(&path).with_context(context)?).with_context(context)?;
    ensure!(
        theirs.key == ours.key,
        "this encode is another one than the first machine began, so nothing was done here\n  the first: {}\n  \
         here: {}\ngive all machines the same options and the same encoder, or remove {} to begin anew",
        theirs.told(),
        ours.told(),
        folder.display()
    );
    Ok(())
}

impl Agreed {
    fn told(&self) -> String {
        format!("{} (fingerprint {})", self.with, &self.key.to_string()[..12])
    }
}

/// # Errors
/// When chunks are `open`, naming them with the commands that make them. `journals` are
/// the names of those that machines wrote.
pub fn demand_all(share: &Share, jobs: &[Job], open: &[usize], journals: &[String]) -> Result<()> {
    if open.is_empty() {
        return Ok(());
    }
    let of = journals.iter().filter_map(|name| Shard::of_journal(name)).max().unwrap_or(1);
    let parts = share_out(&work(jobs), of);
    let mut by_part: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &job in open {
        by_part.entry(parts[job].unwrap_or(1)).or_default().push(job);
    }
    let mut text = format!("{} of {} chunks are missing:", open.len(), jobs.len());
    for (part, chunks) in by_part {
        let names: Vec<String> = chunks.iter().take(NAMED).map(usize::to_string).collect();
        let more = if chunks.len() > NAMED { " and more" } else { "" };
        let _ = write!(text, "\n  {}{more}: {} --shard {part}/{of}", names.join(", "), share.command);
    }
    bail!("{text}")
}
