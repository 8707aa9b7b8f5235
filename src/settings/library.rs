//! Where presets come from: the program, a path, or the user's folder.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::layer::Layer;
use super::nearest::nearest;
use super::problem::{Origin, Place, Problems};

/// The presets that are part of the program, by name.
pub const BUILT_IN: [(&str, &str); 18] = [
    ("butteraugli-max", include_str!("../../presets/butteraugli-max.toml")),
    ("butteraugli-mean", include_str!("../../presets/butteraugli-mean.toml")),
    ("ssimu2-mean", include_str!("../../presets/ssimu2-mean.toml")),
    ("character-boost-butteraugli-max", include_str!("../../presets/character-boost-butteraugli-max.toml")),
    ("character-boost-butteraugli-mean", include_str!("../../presets/character-boost-butteraugli-mean.toml")),
    ("character-boost-ssimu2-mean", include_str!("../../presets/character-boost-ssimu2-mean.toml")),
    ("character-boost", include_str!("../../presets/character-boost.toml")),
    ("scene-detection", include_str!("../../presets/scene-detection.toml")),
    ("max-butteraugli", include_str!("../../presets/max-butteraugli.toml")),
    ("max-character-butteraugli", include_str!("../../presets/max-character-butteraugli.toml")),
    ("balanced-butteraugli", include_str!("../../presets/balanced-butteraugli.toml")),
    ("balanced-character-butteraugli", include_str!("../../presets/balanced-character-butteraugli.toml")),
    ("balanced-ssimu2", include_str!("../../presets/balanced-ssimu2.toml")),
    ("balanced-character-ssimu2", include_str!("../../presets/balanced-character-ssimu2.toml")),
    ("basic-butteraugli", include_str!("../../presets/basic-butteraugli.toml")),
    ("basic-ssimu2", include_str!("../../presets/basic-ssimu2.toml")),
    ("basic-character", include_str!("../../presets/basic-character.toml")),
    ("scene-detection-av1an", include_str!("../../presets/scene-detection-av1an.toml")),
];

/// What they are, and how many of them follow each other in [`BUILT_IN`].
pub const GROUPS: [(&str, usize); 3] = [
    ("Progression Boost's first set; butteraugli-mean is the default", 8),
    ("Progression Boost's of December 2025: max, balanced and basic, with or without characters", 9),
    ("For zones", 1),
];

/// The preset that is used when none is named, and that every other one
/// extends in the end: it states every key.
pub const ROOT: &str = "butteraugli-mean";

/// The folder of the user's own presets; `None` where the system has no such place.
pub fn user_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "progression-boost")?;
    Some(folders.config_dir().join("presets"))
}

/// Bytes of a preset at most; the longest of ours has 13 KiB.
const LARGEST: u64 = 256 << 10;

/// A preset's text and where it was found.
#[derive(Debug, Clone)]
pub struct Source {
    pub origin: Origin,
    pub text: String,
}

/// Looks presets up.
#[derive(Debug, Clone)]
pub struct Library {
    folder: Option<PathBuf>,
    /// Presets that are in no file, by name.
    texts: Vec<(String, String)>,
}

impl Library {
    /// With the user's presets in `folder`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, texts: Vec::new() }
    }

    /// With presets by name and text besides; they count as the user's.
    #[must_use]
    pub fn with_texts(mut self, texts: &[(String, String)]) -> Self {
        self.texts.extend_from_slice(texts);
        self
    }

    /// Names and sources of all presets: the program's, then the user's by name.
    pub fn list(&self) -> Vec<(String, Origin)> {
        let ours = BUILT_IN.iter().map(|(name, _)| ((*name).to_owned(), Origin::BuiltIn(name)));
        let mut theirs: Vec<_> = self
            .folder
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .filter_map(|path| {
                let name = path.file_stem()?.to_str()?.to_owned();
                Some((name, Origin::File(Arc::new(path))))
            })
            .filter(|(name, _)| BUILT_IN.iter().all(|(ours, _)| ours != name))
            .collect();
        theirs.sort_by(|a, b| a.0.cmp(&b.0));
        ours.chain(theirs).collect()
    }

    /// Finds a preset by path (what ends in `.toml` or names a folder) or by
    /// name; relative paths start at `folder`, else where the program runs.
    pub fn find(&self, name: &str, folder: Option<&Path>) -> Result<Source, String> {
        let path = Path::new(name);
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) || path.components().count() > 1 {
            return read(folder.map_or_else(|| path.to_path_buf(), |folder| folder.join(path)));
        }
        if let Some((name, text)) = BUILT_IN.iter().find(|(ours, _)| *ours == name) {
            return Ok(Source { origin: Origin::BuiltIn(name), text: (*text).to_owned() });
        }
        if let Some((name, text)) = self.texts.iter().find(|(theirs, _)| theirs == name) {
            return Ok(Source { origin: Origin::File(Arc::new(name.into())), text: text.clone() });
        }
        let all = self.list();
        match all.iter().find(|(theirs, _)| theirs == name) {
            Some((_, Origin::File(path))) => read(path.to_path_buf()),
            _ => Err(self.unknown(name, &all)),
        }
    }

    fn unknown(&self, name: &str, all: &[(String, Origin)]) -> String {
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let near = nearest(name, names.iter().copied())
            .map_or_else(String::new, |near| format!("; did you mean {near}?"));
        let folder = self
            .folder
            .as_ref()
            .map_or_else(String::new, |folder| format!(", or put {name}.toml into {}", folder.display()));
        format!(
            "there is no preset {name:?}{near} (there are {}); name one of them or a .toml file{folder}",
            names.join(", ")
        )
    }

    /// The preset and what it extends, the root first. A preset that extends
    /// nothing extends [`ROOT`]. `asked` is where the name was written.
    pub fn chain(&self, name: &str, asked: &Place, problems: &mut Problems) -> Vec<(Source, Layer)> {
        let mut chain: Vec<(Source, Layer)> = Vec::new();
        let mut next = Some((name.to_owned(), asked.clone()));
        while let Some((name, place)) = next {
            let source = match self.find(&name, place.origin.folder()) {
                Ok(source) => source,
                Err(text) => {
                    problems.push(place, text);
                    break;
                }
            };
            if let Some(first) = chain.iter().position(|(seen, _)| same(&seen.origin, &source.origin)) {
                let mut round: Vec<_> =
                    chain[first..].iter().map(|(seen, _)| seen.origin.to_string()).collect();
                round.push(source.origin.to_string());
                problems.push(place, format!("extends goes round in a circle: {}", round.join(" → ")));
                break;
            }
            let layer = layer_of(&source, problems);
            next = layer.extends.clone().or_else(|| {
                let root = matches!(source.origin, Origin::BuiltIn(name) if name == ROOT);
                (!root).then(|| (ROOT.to_owned(), Place::whole(source.origin.clone())))
            });
            chain.push((source, layer));
        }
        chain.reverse();
        chain
    }
}

/// What a preset says. The program's own, which every other one inherits from, are read once.
fn layer_of(source: &Source, problems: &mut Problems) -> Layer {
    static OURS: [OnceLock<Layer>; BUILT_IN.len()] = [const { OnceLock::new() }; BUILT_IN.len()];
    let ours =
        BUILT_IN.iter().position(|(name, _)| matches!(source.origin, Origin::BuiltIn(ours) if ours == *name));
    match ours {
        // There is nothing wrong with them, as tests see to.
        Some(index) => {
            OURS[index].get_or_init(|| Layer::parse(&source.text, &source.origin, problems)).clone()
        }
        None => Layer::parse(&source.text, &source.origin, problems),
    }
}

fn read(path: PathBuf) -> Result<Source, String> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot read preset {}: {why}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|e| cannot(&e))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| cannot(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(cannot(&"it is larger than 256 KiB, which no preset is"));
    }
    let text = crate::support::text::decode(bytes).map_err(|e| cannot(&e))?;
    Ok(Source { origin: Origin::File(Arc::new(path)), text })
}

/// Whether both are one preset, however the paths are spelt.
fn same(a: &Origin, b: &Origin) -> bool {
    match (a, b) {
        (Origin::File(a), Origin::File(b)) => {
            a == b
                || std::fs::canonicalize(&**a)
                    .ok()
                    .zip(std::fs::canonicalize(&**b).ok())
                    .is_some_and(|(a, b)| a == b)
        }
        _ => a == b,
    }
}
