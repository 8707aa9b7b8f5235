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
/// Symbolic links are followed; a device or pipe is written to as it is.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    if is_device(path) {
        let mut device = BufWriter::new(File::options().write(true).open(path).with_context(context)?);
        return fill(&mut device).and_then(|()| Ok(device.flush()?)).with_context(context);
    }
    let target = followed(path);
    let file = ordinary(&mut tempfile::Builder::new())
        .prefix(PREFIX)
        .tempfile_in(folder_of(&target))
        .with_context(context)?;
    let mut writer = BufWriter::new(file);
    fill(&mut writer).with_context(context)?;
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    as_before(file.as_file(), &target).with_context(context)?;
    file.persist(&target).map_err(|e| e.error).with_context(context)?;
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
    let target = followed(path);
    as_before(&File::open(&file).with_context(context)?, &target).with_context(context)?;
    file.persist(&target).map_err(|e| e.error).with_context(context)
}

/// The folder a file lies in, `.` for a bare name.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Where symbolic links lead, also when there is nothing there yet: a file of
/// that name is written, and the link stays.
pub fn followed(path: &Path) -> PathBuf {
    // As many as Linux follows; more are a circle.
    const MOST: usize = 40;
    let mut target = path.to_path_buf();
    for _ in 0..MOST {
        let Ok(next) = std::fs::read_link(&target) else { return target };
        target = folder_of(&target).join(next);
    }
    path.to_path_buf()
}

fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Temporary files are private; results are files as others are: who may read
/// them is for the umask to say.
#[cfg(unix)]
pub fn ordinary<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(std::fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
pub fn ordinary<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    builder
}

/// What the user allowed for an older file holds for the new one.
fn as_before(file: &File, older: &Path) -> std::io::Result<()> {
    match std::fs::metadata(older) {
        Ok(older) => file.set_permissions(older.permissions()),
        Err(_) => Ok(()),
    }
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

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere/there", path("one")).unwrap();
        std::os::unix::fs::symlink("one", path("two")).unwrap();
        for text in [b"new", b"old"] {
            write(&path("two"), text).unwrap();
            assert_eq!(std::fs::read(path("elsewhere/there")).unwrap(), text);
        }
        assert!(path("one").is_symlink() && path("two").is_symlink());
        assert_eq!(std::fs::read_dir(path("elsewhere")).unwrap().count(), 1);
        std::os::unix::fs::symlink("circle", path("circle")).unwrap();
        assert_eq!(followed(&path("circle")), path("circle"));
    }

    #[cfg(unix)]
    #[test]
    fn an_older_file_keeps_who_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("private");
        write(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(is_device(Path::new("/dev/null")));
        let error = format!("{:#}", write(Path::new("/dev/full"), b"no room").unwrap_err());
        assert!(error.contains("No space left"), "{error}");
    }
}
