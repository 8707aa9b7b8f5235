//! A stand-in for `SvtAv1EncApp`, for av1an, which knows one encoder of that name: a
//! link to this program under that name starts the program that a scene asks for.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::options::{Coder, PROGRAM_MARK};

/// Set for what a stand-in starts, so that two of them never call each other for ever.
const STARTED: &str = "PROGRESSION_BOOST_SHIM";

/// Whether a program that was started as `name` is to be the stand-in.
pub fn is_meant(name: &OsStr) -> bool {
    Path::new(name).file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(Coder::SvtAv1.program()))
}

/// Starts the encoder that `words` ask for with all the others of them, or the next
/// `SvtAv1EncApp` of the PATH.
pub fn run(words: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let (program, words) = asked(words)?;
    let program = match program {
        Some(program) => program,
        None => usual()?,
    };
    ensure!(
        std::env::var_os(STARTED).is_none(),
        "{}: this is a stand-in for SvtAv1EncApp again; take the other one off the PATH",
        program.display()
    );
    let mut command = Command::new(&program);
    command.args(words).env(STARTED, "1");
    become_it(command).with_context(|| format!("cannot start {}", program.display()))
}

/// The program that is asked for, and all other words.
fn asked(mut words: impl Iterator<Item = OsString>) -> Result<(Option<PathBuf>, Vec<OsString>)> {
    let (mut program, mut rest) = (None, Vec::new());
    while let Some(word) = words.next() {
        if word == PROGRAM_MARK {
            let path = words.next().with_context(|| format!("{PROGRAM_MARK}: needs the encoder's path"))?;
            program = Some(PathBuf::from(path));
        } else {
            rest.push(word);
        }
    }
    Ok((program, rest))
}

fn usual() -> Result<PathBuf> {
    let name = Coder::SvtAv1.program();
    let own = own()?;
    let mut found = which::which_all(name).with_context(|| format!("there is no {name} on the PATH"))?;
    let other = found.find(|path| path.canonicalize().is_ok_and(|path| path != own));
    other.with_context(|| format!("there is no {name} on the PATH but this stand-in"))
}

fn own() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's file")?;
    Ok(own.canonicalize().unwrap_or(own))
}

/// With the same process, so that signals and the exit code are the encoder's.
#[cfg(unix)]
fn become_it(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<ExitCode> {
    let status = command.status()?;
    // What a crash leaves, such as 0xC0000005, is more than an exit code of a byte.
    Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))))
}

/// Puts the stand-in into `folder`, which is made; returns its path.
pub fn place(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let own = own()?;
    let path = folder.join(format!("{}{}", Coder::SvtAv1.program(), std::env::consts::EXE_SUFFIX));
    if path.symlink_metadata().is_ok() {
        if !is_own(&path, &own) {
            bail!("{} is there already and not this program; name another folder", path.display());
        }
        return Ok(path);
    }
    link(&own, &path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

#[cfg(unix)]
fn link(own: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(own, path)
}

#[cfg(unix)]
fn is_own(path: &Path, own: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path == own)
}

/// Symbolic links need a right there that few users have.
#[cfg(not(unix))]
fn link(own: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::hard_link(own, path).or_else(|_| std::fs::copy(own, path).map(drop))
}

#[cfg(not(unix))]
fn is_own(path: &Path, own: &Path) -> bool {
    std::fs::read(path).ok().zip(std::fs::read(own).ok()).is_some_and(|(path, own)| path == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_taken_out_and_all_else_is_handed_on_in_order() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let (program, rest) =
            asked(words("-i stdin --svt-program /opt/my:svt --crf 30 -b -").into_iter()).unwrap();
        assert_eq!((program, rest), (Some("/opt/my:svt".into()), words("-i stdin --crf 30 -b -")));
        assert_eq!(asked(words("--help").into_iter()).unwrap(), (None, words("--help")));
        let error = asked(words("--svt-program").into_iter()).unwrap_err().to_string();
        assert!(error.contains("needs the encoder's path"), "{error}");
    }

    #[test]
    fn it_is_meant_by_the_name_alone() {
        for (name, meant) in [
            ("SvtAv1EncApp", true),
            ("/x/SvtAv1EncApp", true),
            ("SvtAv1EncApp.exe", true),
            ("progression-boost", false),
            ("SvtAv1EncApp-hdr", false),
        ] {
            assert_eq!(is_meant(OsStr::new(name)), meant, "{name}");
        }
    }
}
