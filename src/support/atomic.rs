//! Files appear under their final name complete or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    // Closed before it is renamed, which Windows may refuse otherwise.
    persist(file.into_temp_path(), &target).with_context(context)
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
    persist(file, &target).with_context(context)
}

fn persist(file: tempfile::TempPath, target: &Path) -> std::io::Result<()> {
    let mut file = Some(file);
    retried(PAUSES, is_held, || match file.take().map(|file| file.persist(target)) {
        Some(Err(failed)) => {
            file = Some(failed.path);
            Err(failed.error)
        }
        _ => Ok(()),
    })
}

/// Renames a file over another one that may be there. On Windows one that a virus
/// scanner or an indexer is looking at cannot be renamed, which passes.
pub fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    retried(PAUSES, is_held, || std::fs::rename(from, to))
}

/// What is waited between attempts, two seconds together.
const PAUSES: [Duration; 7] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(70),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(500),
    Duration::from_millis(800),
];

/// `attempt` again after each of the pauses, as long as it fails in a way that may pass.
fn retried(
    pauses: impl IntoIterator<Item = Duration>,
    may_pass: impl Fn(&std::io::Error) -> bool,
    mut attempt: impl FnMut() -> std::io::Result<()>,
) -> std::io::Result<()> {
    for pause in pauses {
        match attempt() {
            Err(error) if may_pass(&error) => std::thread::sleep(pause),
            other => return other,
        }
    }
    attempt()
}

/// Whether another program has the file open: Windows' access denied, sharing
/// and lock violation. Elsewhere an open file can be renamed.
fn is_held(error: &std::io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33))
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

/// Whether `path` is a device or a pipe, where nothing is kept.
pub fn is_device(path: &Path) -> bool {
    if cfg!(windows) && is_nul(&path.to_string_lossy()) {
        return true;
    }
    std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Whether Windows takes this name for its null device, of which it tells no metadata.
fn is_nul(path: &str) -> bool {
    path.rsplit(['/', '\\']).next().is_some_and(|name| name.eq_ignore_ascii_case("nul"))
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

    #[test]
    fn what_another_program_holds_is_tried_again_and_other_errors_are_told_at_once() {
        use std::io::{Error, ErrorKind};
        let run = |kinds: &[ErrorKind]| {
            let mut left = kinds.iter();
            let result = retried(
                [Duration::ZERO; 2],
                |error| error.kind() == ErrorKind::PermissionDenied,
                || left.next().map_or(Ok(()), |&kind| Err(Error::from(kind))),
            );
            (result.map_err(|error| error.kind()), left.len())
        };
        let (held, full) = (ErrorKind::PermissionDenied, ErrorKind::StorageFull);
        assert_eq!(run(&[held, held]), (Ok(()), 0));
        assert_eq!(run(&[held, held, held, held]), (Err(held), 1));
        assert_eq!(run(&[full, held]), (Err(full), 1));
    }

    #[test]
    fn windows_null_device_is_known_by_its_names() {
        for nul in ["NUL", "nul", r"\\.\NUL", r"C:\films\Nul", "films/nul"] {
            assert!(is_nul(nul), "{nul}");
        }
        for file in ["null", "annul", "nul/file", r"C:\nul\", ""] {
            assert!(!is_nul(file), "{file}");
        }
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
