//! Files appear under their final name complete or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// How the names of unfinished files begin.
pub const PREFIX: &str = ".progression-boost-";

/// Whether a file of this name is unfinished, perhaps left by a run that was killed.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Writes `path` through `fill` into a temporary file of the same folder, syncs
/// it and renames it over `path`. On any error (a full disk, an unwritable
/// folder, `fill` itself) nothing is left behind and an older `path` is untouched.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let folder = folder_of(path);
    let context = || format!("cannot write {}", path.display());
    let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&folder).with_context(context)?;
    let mut writer = BufWriter::new(file);
    fill(&mut writer).with_context(context)?;
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    allow_everyone_the_umask_allows(file.as_file()).with_context(context)?;
    file.persist(path).map_err(|e| e.error).with_context(context)?;
    Ok(())
}

/// An error now, and not after hours of work, when `path` cannot be written.
pub fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        bail!("cannot write {}: it is a folder; name a file", path.display());
    }
    tempfile::tempfile_in(folder_of(path))
        .map(drop)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// [`write_with`] for bytes that are already there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |out| Ok(out.write_all(bytes)?))
}

/// Gives a finished temporary file its name, replacing an older file of that name.
pub fn keep(file: tempfile::TempPath, path: &Path) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    allow_everyone_the_umask_allows(&File::open(&file).with_context(context)?).with_context(context)?;
    file.persist(path).map_err(|e| e.error).with_context(context)
}

/// The folder a file lies in, `.` for a bare name.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Temporary files are private (0600); results are ordinary files.
#[cfg(unix)]
fn allow_everyone_the_umask_allows(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // The umask cannot be read without setting it, so the usual 0644 is used.
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn allow_everyone_the_umask_allows(_: &File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenes.json");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |out| {
            out.write_all(b"half")?;
            anyhow::bail!("disk full")
        })
        .unwrap_err();
        assert!(format!("{error:#}").contains("disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/out.json");
        let error = format!("{:#}", write(&path, b"x").unwrap_err());
        assert!(error.contains("out.json"), "{error}");
    }
}
