//! One run at a time in a work folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Holds a folder for this process; the operating system frees it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Creates `folder` if need be and locks it; an error while another run holds it.
    pub fn acquire(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the work folder {}", folder.display()))?;
        let path: PathBuf = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write to the work folder {}", folder.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another run is working in {}; wait for it, stop it, or choose another folder with --temp",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_refused_while_the_first_lives() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("ep01.boost");
        let first = FolderLock::acquire(&work).unwrap();
        let error = format!("{:#}", FolderLock::acquire(&work).unwrap_err());
        assert!(error.contains("another run") && error.contains("ep01.boost"), "{error}");
        drop(first);
        FolderLock::acquire(&work).unwrap();
    }
}
