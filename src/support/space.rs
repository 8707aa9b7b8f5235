//! Whether a folder still takes anything.

use std::path::{Path, PathBuf};

/// Every write there fails, so all work would: the run stops.
#[derive(Debug, thiserror::Error)]
#[error("nothing more can be written to {}; make room and continue with --resume", .folder.display())]
pub struct NoRoom {
    folder: PathBuf,
    #[source]
    cause: std::io::Error,
}

/// Writes a mebibyte into `folder` and removes it again.
pub fn check(folder: &Path) -> Result<(), NoRoom> {
    const PROBE: usize = 1 << 20;
    let probe = folder.join("space-probe");
    let written = std::fs::write(&probe, vec![0; PROBE]);
    let _ = std::fs::remove_file(&probe);
    written.map_err(|cause| NoRoom { folder: folder.to_owned(), cause })
}
