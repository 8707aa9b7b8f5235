//! Finds VapourSynth's script library and loads it without ever letting the
//! bindings panic: they do when VSScript is missing or of another version.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Error, Result, anyhow, bail};
use vapoursynth::api::API;
use vapoursynth_sys as ffi;

use super::places::{self, Os, Surroundings};
use crate::support::install;
use crate::support::lacks::Lacks;

/// Loads VSScript once per process; later calls return the first outcome.
///
/// `near` is where a `.venv` is looked for besides the current folder and the
/// program's own: usually the script's folder.
pub fn load(near: Option<&Path>) -> Result<API> {
    static LOADED: OnceLock<std::result::Result<API, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| load_now(near).map_err(|e| format!("{e:#}")));
    loaded.clone().map_err(|text| Error::new(Lacks { item: "vapoursynth", text }))
}

fn load_now(near: Option<&Path>) -> Result<API> {
    let path = locate(near)?;
    check(&path)?;
    announce(&path);
    // The checks above are those the bindings turn into panics.
    API::get().with_context(|| {
        let way_out = install::vapoursynth();
        format!("the VapourSynth library beside {} does not offer API 4; {way_out}", path.display())
    })
}

/// The VSScript library to use: `VSSCRIPT_PATH`, then what `vapoursynth` on the
/// PATH reports, then `$VIRTUAL_ENV` and the `.venv` folders near the script,
/// the current folder and the program, then portable and installed ones where
/// the system has them, then what `python -m vapoursynth` reports, then the
/// system's loader by name.
pub fn locate(near: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(ffi::VSSCRIPT_PATH_VARIABLE) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            let way_out = install::vapoursynth();
            bail!("VSSCRIPT_PATH is {}, which is not a file; unset it or {way_out}", path.display());
        }
        return Ok(path);
    }
    if let Some(path) = ask_command(Path::new("vapoursynth"), &[]) {
        return Ok(path);
    }
    if let Some(path) = environments(near).iter().find_map(|e| in_environment(e)) {
        return Ok(path);
    }
    let installed = places::installations(Os::THIS, &surroundings(near));
    if let Some(path) = installed.iter().find_map(|place| in_installation(place)) {
        return Ok(path);
    }
    let module = ["-m", "vapoursynth"];
    if let Some(path) = Os::THIS.pythons().iter().find_map(|python| ask_command(Path::new(python), &module)) {
        return Ok(path);
    }
    // Left to the dynamic loader's own search; `check` reports when it fails.
    Ok(PathBuf::from(ffi::VSSCRIPT_LIB_NAMES[0]))
}

fn ask_command(program: &Path, words: &[&str]) -> Option<PathBuf> {
    let mut command = Command::new(program);
    command.args(words).arg("get-vsscript").stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

/// Virtual environments worth looking into, nearest first.
fn environments(near: Option<&Path>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from).into_iter().collect();
    for start in starts(near) {
        found.extend(start.ancestors().map(|folder| folder.join(".venv")));
    }
    found.retain(|folder| folder.is_dir());
    found
}

/// The script's folder, the current one and the program's.
fn starts(near: Option<&Path>) -> Vec<PathBuf> {
    let exe = std::env::current_exe().ok();
    let folders = [
        near.and_then(|folder| std::path::absolute(folder).ok()),
        std::env::current_dir().ok(),
        exe.and_then(|exe| exe.parent().map(Path::to_path_buf)),
    ];
    folders.into_iter().flatten().collect()
}

fn surroundings(near: Option<&Path>) -> Surroundings {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    Surroundings {
        starts: starts(near),
        homebrew: folder("HOMEBREW_PREFIX"),
        programs: ["LOCALAPPDATA", "ProgramFiles"].iter().filter_map(|name| folder(name)).collect(),
    }
}

/// The library inside a virtual environment: as its own `vapoursynth` command
/// spells it (VSScript looks its configuration up by that very path), else in
/// the package `vapoursynth`.
fn in_environment(environment: &Path) -> Option<PathBuf> {
    ask_command(&environment.join(Os::THIS.command()), &[]).or_else(|| in_installation(environment))
}

fn in_installation(folder: &Path) -> Option<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    places::libraries(Os::THIS, folder, &list).into_iter().find(|path| path.is_file())
}

/// Opens the library and asks for its script interface, as the bindings will.
#[allow(unsafe_code)]
fn check(path: &Path) -> Result<()> {
    let way_out = install::vapoursynth();
    // SAFETY: loading VSScript runs its initialisers, which the bindings do a
    // moment later in any case; `getVSScriptAPI` is called with the version
    // number that it documents and its result is read only when not null.
    let version = unsafe {
        let library = open_library(path)
            .map_err(|e| anyhow!("VapourSynth was not found ({:#}); {way_out}", anyhow::Error::new(e)))?;
        let loader = ffi::VSScriptAPILoader::from_library(library)?;
        if loader.getVSScriptAPI.is_err() {
            bail!("{} is too old (VSScript API 3); {way_out}", path.display());
        }
        let wanted = (ffi::VSSCRIPT_API_MAJOR << 16 | ffi::VSSCRIPT_API_MINOR) as c_int;
        let api = loader.getVSScriptAPI(wanted);
        // Unloading would tear down the Python interpreter that was started.
        std::mem::forget(loader);
        let Some(api) = api.as_ref() else {
            bail!(
                "{} did not start: run `vapoursynth config` once with that environment's \
                 Python, then try again; otherwise {way_out}",
                path.display()
            );
        };
        api.getAPIVersion.map_or(0, |get| get())
    };
    let (major, minor) = ((version >> 16) as u32, (version & 0xffff) as u32);
    if major != ffi::VSSCRIPT_API_MAJOR || minor < ffi::VSSCRIPT_API_MINOR {
        bail!(
            "{} has VSScript API {major}.{minor}, {}.{} or later is needed; {way_out}",
            path.display(),
            ffi::VSSCRIPT_API_MAJOR,
            ffi::VSSCRIPT_API_MINOR,
        );
    }
    Ok(())
}

/// Python's own extension modules look for its symbols among the global ones.
///
/// # Safety
/// Runs the initialisers of the library at `path`.
#[cfg(unix)]
#[allow(unsafe_code)]
unsafe fn open_library(path: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the caller's; see `check`.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.map(Into::into)
}

/// # Safety
/// Runs the initialisers of the library at `path`.
#[cfg(not(unix))]
#[allow(unsafe_code)]
unsafe fn open_library(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: the caller's; see `check`.
    unsafe { libloading::Library::new(path) }
}

/// Tells the bindings which file to load; an environment variable is the only way they offer.
#[allow(unsafe_code)]
fn announce(path: &Path) {
    // SAFETY: called once, inside `load`, before any VapourSynth or worker
    // thread of ours exists that could read the environment at the same time.
    unsafe { std::env::set_var(ffi::VSSCRIPT_PATH_VARIABLE, path) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_a_folder_of_site_packages() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("lib/python3.13/site-packages/vapoursynth");
        std::fs::create_dir_all(&package).unwrap();
        assert_eq!(in_environment(root.path()), None);
        let library = package.join(ffi::VSSCRIPT_LIB_NAMES[0]);
        std::fs::write(&library, b"").unwrap();
        assert_eq!(in_environment(root.path()), Some(library));
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error_not_a_panic() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = format!("{:#}", check(file.path()).unwrap_err());
        assert!(error.contains("pip install vapoursynth"), "{error}");
    }
}
