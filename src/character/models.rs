//! Where segmentation networks are looked for.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, bail};

use crate::source::Session;
use crate::support::lacks::Lacks;

/// The network that is looked for by name.
pub const FILE_NAME: &str = "isnet_is.onnx";

/// Names a file, or a folder that holds [`FILE_NAME`].
pub const VARIABLE: &str = "PROGRESSION_BOOST_MODELS";

/// Where the network comes from.
pub const WHERE_TO_GET_IT: &str = "anime-segmentation (ISNet) is among the external models of vs-mlrt, github.com/AmusementClub/vs-mlrt/releases";

/// Plugins whose `models` folders are looked into.
const NAMESPACES: [&str; 4] = ["trt", "ort", "ov", "ncnn"];

/// A place that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Why it is one.
    pub what: &'static str,
    /// A file, or a folder that may hold [`FILE_NAME`], itself or one level down.
    pub path: PathBuf,
}

impl Place {
    /// The network here.
    pub fn network(&self) -> Option<PathBuf> {
        self.networks().into_iter().find(|file| self.path.is_file() || file.ends_with(FILE_NAME))
    }

    /// Every ONNX file here, the folder's own before those of its subfolders.
    pub fn networks(&self) -> Vec<PathBuf> {
        if self.path.is_file() {
            return vec![self.path.clone()];
        }
        let list = |folder: &Path| -> Vec<PathBuf> {
            let mut paths: Vec<_> =
                std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths
        };
        let is_network = |path: &PathBuf| {
            path.is_file() && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
        };
        let inside = list(&self.path);
        let below = inside.iter().filter(|path| path.is_dir()).flat_map(|folder| list(folder));
        inside.iter().cloned().chain(below).filter(is_network).collect()
    }
}

/// The places in the order of their precedence. `session` tells where
/// VapourSynth's plugins lie.
pub fn places(session: Option<Session>) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |what, path: PathBuf| {
        if !places.iter().any(|place: &Place| place.path == path) {
            places.push(Place { what, path });
        }
    };
    if let Some(path) = std::env::var_os(VARIABLE) {
        add("$PROGRESSION_BOOST_MODELS", path.into());
    }
    if let Ok(folder) = std::env::current_dir() {
        add("the current folder's models", folder.join("models"));
    }
    // The program lies in target/debug or target/release of its project, or in
    // an unpacked archive.
    if let Ok(program) = std::env::current_exe() {
        for folder in program.ancestors().skip(1).take(4).map(|folder| folder.join("models")) {
            if folder.is_dir() {
                add("the program's models", folder);
            }
        }
    }
    if let Some(folder) = user_folder() {
        add("your data folder", folder);
    }
    for plugin in NAMESPACES.iter().filter_map(|name| session?.plugin_path(name)) {
        for folder in plugin.ancestors().skip(1).take(2) {
            add("vs-mlrt's models", folder.join("models"));
        }
    }
    places
}

fn user_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "progression-boost").map(|dirs| dirs.data_dir().join("models"))
}

/// The network to use: `explicit`, or the first one in `places`.
pub fn find(explicit: Option<&Path>, places: &[Place]) -> Result<PathBuf> {
    if let Some(path) = explicit {
        if !path.is_file() {
            bail!("the model {} does not exist; {WHERE_TO_GET_IT}", path.display());
        }
        return Ok(path.to_path_buf());
    }
    if let Some(network) = places.iter().find_map(Place::network) {
        return Ok(network);
    }
    let wanted: Vec<String> =
        places.iter().map(|place| format!("  {} ({})", place.path.display(), place.what)).collect();
    let text = format!(
        "Character Boost needs the network {FILE_NAME}, which is not ours to ship: {WHERE_TO_GET_IT}. Put it into \
         one of these folders, or name it with --model FILE:\n{}",
        wanted.join("\n")
    );
    Err(Error::new(Lacks { item: "model", text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &Path) -> Place {
        Place { what: "a test", path: path.to_path_buf() }
    }

    #[test]
    fn a_network_is_found_by_name_in_a_folder_or_one_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("anime-segmentation");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(folder.path().join("other.onnx"), b"").unwrap();
        assert_eq!(place(folder.path()).network(), None);
        std::fs::write(below.join(FILE_NAME), b"").unwrap();
        let empty = tempfile::tempdir().unwrap();
        let places = [place(&empty.path().join("missing")), place(folder.path())];
        assert_eq!(find(None, &places).unwrap(), below.join(FILE_NAME));
        assert_eq!(places[1].networks().len(), 2);
        // A place may be the file itself, by any name.
        let other = folder.path().join("other.onnx");
        assert_eq!(place(&other).network(), Some(other.clone()));
        assert_eq!(find(Some(&other), &places).unwrap(), other);
    }

    #[test]
    fn a_missing_network_is_told_with_its_name_its_origin_and_every_place() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(None, &[place(folder.path())]).unwrap_err().to_string();
        for wanted in [FILE_NAME, "vs-mlrt", "--model FILE", &folder.path().display().to_string()] {
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
        let missing = folder.path().join("net.onnx");
        let error = find(Some(&missing), &[]).unwrap_err().to_string();
        assert!(error.contains("net.onnx does not exist"), "{error}");
    }
}
