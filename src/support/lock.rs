//! One run at a time in a work folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Its name in the folder.
pub const LOCK_FILE: &str = "lock";

/// How far the run in the folder is, for whoever looks at it from outside.
pub const STATUS_FILE: &str = "status.json";

/// What becomes of work that an earlier run finished in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// The run goes on with it.
    Resume,
    /// The run starts over without it.
    Discard,
    /// Nobody said, so it stays as it is and the run ends with an error.
    Refuse,
}

impl Earlier {
    /// What `--resume` and `--force` ask for; continuing loses nothing, so it goes first.
    pub fn of(resume: bool, force: bool) -> Self {
        match (resume, force) {
            (true, _) => Self::Resume,
            (false, true) => Self::Discard,
            (false, false) => Self::Refuse,
        }
    }
}

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let path: PathBuf = folder.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write to the work folder {}", folder.display()))?;
        match patiently(&file) {
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

/// Whether a run works in `folder` now.
pub fn is_held(folder: &Path) -> bool {
    let file = OpenOptions::new().write(true).open(folder.join(LOCK_FILE));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Locks `file`, waiting a moment where another holds it: a process that this one's
/// killed predecessor was just starting shares its open files until it is another
/// program.
fn patiently(file: &File) -> Result<(), TryLockError> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < given_up => std::thread::sleep(PATIENCE / 20),
            answer => return answer,
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
