//! Where VapourSynth's script library may lie on each system. Plain paths: what
//! is there is for the caller to see, so that every system is tested on any.

use std::path::{Path, PathBuf};

/// The systems that VapourSynth is installed on in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    Linux,
    MacOs,
    Windows,
}

impl Os {
    /// The one we run on; whatever is none of the others has a library path like Linux.
    pub const THIS: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };

    /// All names that VSScript's library had, the newest first.
    pub fn library_names(self) -> &'static [&'static str] {
        match self {
            Self::Windows => &["VSScript.dll", "vsscript.dll", "libvsscript.dll"],
            Self::MacOs => {
                &["libvsscript.dylib", "libvapoursynth-script.dylib", "libvapoursynth-script.0.dylib"]
            }
            Self::Linux => &["libvsscript.so", "libvapoursynth-script.so", "libvapoursynth-script.so.0"],
        }
    }

    /// VapourSynth's own command in a Python environment.
    pub fn command(self) -> &'static str {
        match self {
            Self::Windows => "Scripts/vapoursynth.exe",
            _ => "bin/vapoursynth",
        }
    }

    /// Pythons of the PATH that may have the package `vapoursynth`, asked in this order.
    pub fn pythons(self) -> &'static [&'static str] {
        match self {
            // `py` is the launcher, which also knows installations that are not on the PATH.
            Self::Windows => &["python", "py"],
            _ => &["python3", "python"],
        }
    }
}

/// What the places depend on besides the system; each as the environment has it.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The script's folder, the current one and the program's.
    pub starts: Vec<PathBuf>,
    /// `HOMEBREW_PREFIX`.
    pub homebrew: Option<PathBuf>,
    /// `LOCALAPPDATA` and `ProgramFiles`.
    pub programs: Vec<PathBuf>,
}

/// Folders that a portable VapourSynth is unpacked into, below a start.
const PORTABLE: [&str; 4] = ["", "vapoursynth", "vapoursynth-portable", "VapourSynth"];

/// Homebrew's folders on Apple silicon and on Intel.
const HOMEBREW: [&str; 2] = ["/opt/homebrew", "/usr/local"];

/// Folders that may be an installation of VapourSynth or of a Python with it,
/// the likeliest first: portable ones near the script and the program, then the
/// system's.
pub fn installations(os: Os, around: &Surroundings) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut add = |path: PathBuf| {
        if !found.contains(&path) {
            found.push(path);
        }
    };
    match os {
        Os::Linux => {}
        Os::MacOs => {
            let prefixes = around.homebrew.iter().cloned().chain(HOMEBREW.map(PathBuf::from));
            for prefix in prefixes {
                add(prefix.join("opt/vapoursynth"));
                add(prefix);
            }
        }
        Os::Windows => {
            for start in &around.starts {
                for name in PORTABLE {
                    add(if name.is_empty() { start.clone() } else { start.join(name) });
                }
            }
            for folder in &around.programs {
                add(folder.join("VapourSynth/core"));
                add(folder.join("Programs/VapourSynth/core"));
            }
        }
    }
    found
}

/// Where the library lies in an installation or a Python environment; `list`
/// gives the entries of a folder, none of one that is not there.
pub fn libraries(os: Os, installation: &Path, list: &dyn Fn(&Path) -> Vec<PathBuf>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    match os {
        Os::Windows => {
            folders.push(installation.join("Lib/site-packages/vapoursynth"));
            // Portable ones before R73 had it beside Python, or in a folder for the compiler's plugins.
            folders.push(installation.to_owned());
            folders.push(installation.join("vapoursynth64"));
        }
        Os::Linux | Os::MacOs => {
            for lib in ["lib", "lib64"] {
                let pythons = list(&installation.join(lib));
                folders.extend(pythons.into_iter().map(|python| python.join("site-packages/vapoursynth")));
            }
            if os == Os::MacOs {
                folders.push(installation.join("lib"));
            }
        }
    }
    let named =
        |folder: &PathBuf| os.library_names().iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    folders.iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that holds these files only.
    fn first(os: Os, around: &Surroundings, files: &[&str]) -> Option<PathBuf> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let list = |folder: &Path| -> Vec<PathBuf> {
            let below = files.iter().filter_map(|file| file.strip_prefix(folder).ok());
            below.filter_map(|rest| rest.components().next()).map(|name| folder.join(name)).collect()
        };
        let candidates = installations(os, around);
        candidates.iter().flat_map(|place| libraries(os, place, &list)).find(|path| files.contains(path))
    }

    #[test]
    fn portable_and_installed_ones_are_found_on_windows() {
        let around = Surroundings {
            starts: vec!["D:/show".into(), "D:/tools".into()],
            programs: vec!["C:/Users/me/AppData/Local".into(), "C:/Program Files".into()],
            ..Surroundings::default()
        };
        for file in [
            "D:/show/VSScript.dll",
            "D:/tools/vapoursynth-portable/VSScript.dll",
            "D:/tools/vapoursynth-portable/Lib/site-packages/vapoursynth/VSScript.dll",
            "D:/tools/vapoursynth/vsscript.dll",
            "C:/Users/me/AppData/Local/Programs/VapourSynth/core/VSScript.dll",
            "C:/Program Files/VapourSynth/core/VSScript.dll",
        ] {
            assert_eq!(first(Os::Windows, &around, &[file]), Some(file.into()), "{file}");
        }
        assert_eq!(first(Os::Windows, &around, &["C:/Windows/VSScript.dll"]), None);
        // The one beside the script goes before the installed one.
        let both = ["C:/Program Files/VapourSynth/core/VSScript.dll", "D:/show/VSScript.dll"];
        assert_eq!(first(Os::Windows, &around, &both), Some(both[1].into()));
    }

    #[test]
    fn homebrew_is_looked_into_on_both_kinds_of_mac() {
        let around = Surroundings::default();
        for file in [
            "/opt/homebrew/lib/libvsscript.dylib",
            "/usr/local/lib/libvapoursynth-script.0.dylib",
            "/opt/homebrew/opt/vapoursynth/lib/libvsscript.dylib",
            "/opt/homebrew/lib/python3.14/site-packages/vapoursynth/libvsscript.dylib",
        ] {
            assert_eq!(first(Os::MacOs, &around, &[file]), Some(file.into()), "{file}");
        }
        let own = Surroundings { homebrew: Some("/Users/me/brew".into()), ..Surroundings::default() };
        let files = ["/opt/homebrew/lib/libvsscript.dylib", "/Users/me/brew/lib/libvsscript.dylib"];
        assert_eq!(first(Os::MacOs, &own, &files), Some(files[1].into()));
    }

    #[test]
    fn environments_of_python_have_it_in_the_package() {
        let list = |folder: &Path| match folder.ends_with("lib64") {
            true => vec![folder.join("python3.13")],
            false => Vec::new(),
        };
        let found = libraries(Os::Linux, Path::new("/v"), &list);
        assert_eq!(found[0], Path::new("/v/lib64/python3.13/site-packages/vapoursynth/libvsscript.so"));
        assert_eq!(found.len(), 3);
    }
}
