//! What a plan says: all that a share and a merge need besides the clip.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::character::Options;
use crate::pipeline::curves::GroupRecord;
use crate::pipeline::encoding::Recorded;
use crate::pipeline::memory::{Memory, Now};
use crate::pipeline::{OnSceneFailure, Request};
use crate::scenes::Scene;
use crate::score;
use crate::settings::Resolved;
use crate::source::OpenOptions;
use crate::support::atomic;
use crate::support::fingerprint::{Fingerprint, PROGRAM};
use crate::support::lock::Earlier;
use crate::support::priority::USUAL_NICENESS;

/// Its name in the folder.
const FILE: &str = "plan.json";

/// A plan. Paths are absolute, and those of the machine that made it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the program.
    pub program: String,
    /// Of all that its results depend on.
    pub id: Fingerprint,
    pub input: PathBuf,
    pub analysis_input: Option<PathBuf>,
    pub probe_input: Option<PathBuf>,
    pub open: OpenOptions,
    /// The scenes file to write.
    pub output: PathBuf,
    pub settings: Resolved,
    pub segmentation: Options,
    pub on_scene_failure: OnSceneFailure,
    pub stall: Option<Duration>,
    /// The file of lessons to add to.
    pub learned: Option<PathBuf>,
    /// What an earlier title taught.
    pub memory: Memory,
    pub now: Now,
    /// Of the input, of the analysis input and of the probe input.
    pub keys: (Fingerprint, Fingerprint, Fingerprint),
    /// What the analysis beside it was made from.
    pub analysis: Fingerprint,
    /// Of the clip.
    pub frames: usize,
    /// Frames per second as a fraction; `None` when it varies.
    pub fps: Option<(u64, u64)>,
    pub scenes: Vec<Scene>,
    /// By scene, under which its masks are kept.
    pub masks: Vec<Option<Fingerprint>>,
    /// By scene, expected work; 0 where nothing is left to do.
    pub work: Vec<f64>,
    pub encoding: Recorded,
    /// Who learned from whom.
    pub groups: Vec<GroupRecord>,
    pub origin: Origin,
    /// Sentences about what is worked with.
    pub used: Vec<String>,
    /// Sentences about what was learned.
    pub taught: Vec<String>,
    /// Parts that its commands were printed for.
    pub shards: usize,
}

impl Plan {
    /// What results depend on: another plan's are not taken for this one's.
    pub fn id_of(&self) -> Fingerprint {
        let made = (&self.settings, &self.keys, &self.analysis, &self.frames, &self.scenes, &self.masks);
        Fingerprint::of(&(&self.program, made, self.origin.key(), &self.memory, self.on_scene_failure))
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic::write_with(&folder.join(FILE), |out| Ok(serde_json::to_writer(out, self)?))
    }

    /// The plan in a folder.
    ///
    /// # Errors
    /// When it was made by another version of the program, or changed since.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path)
            .with_context(|| format!("{} is no plan: `plan` makes one with -o", folder.display()))?;
        let version: Version =
            serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            version.program == PROGRAM,
            "{} was made by progression-boost {}, this is {PROGRAM}: install the plan's version here, or plan \
             again with this one",
            folder.display(),
            version.program
        );
        let plan: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
        let id = plan.id_of();
        ensure!(
            id == plan.id,
            "{} was changed since it was written: it says {} and holds {id}; plan again",
            path.display(),
            plan.id
        );
        Ok(plan)
    }

    /// A run of this machine on the plan in `folder`, with its names of the files.
    pub fn request(&self, folder: &Path, map: &[PathMap]) -> Request {
        let mapped = |path: &PathBuf| PathMap::path(map, path);
        let mut settings = self.settings.clone();
        settings.each(|settings| {
            settings.every_encoder().for_each(|encoder| encoder.program = mapped(&encoder.program));
            settings.character.model = settings.character.model.as_ref().map(mapped);
        });
        let open = OpenOptions {
            variables: self.open.variables.iter().map(|(k, v)| (k.clone(), PathMap::text(map, v))).collect(),
            plugins: self.open.plugins.iter().map(mapped).collect(),
            path_map: map.iter().map(|map| (map.from.clone(), map.to.clone())).collect(),
            ..self.open.clone()
        };
        Request {
            input: mapped(&self.input),
            open,
            analysis_input: self.analysis_input.as_ref().map(mapped),
            probe_input: self.probe_input.as_ref().map(mapped),
            output: mapped(&self.output),
            folder: folder.to_path_buf(),
            settings,
            segmentation: self.segmentation.clone(),
            earlier: Earlier::Resume,
            keep_probes: false,
            memory: None,
            nice: USUAL_NICENESS,
            on_scene_failure: self.on_scene_failure,
            stall: self.stall,
            metric: score::open,
            learned: self.learned.as_ref().map(mapped),
            staged: false,
        }
    }
}

/// Read first: of another version the rest may be otherwise.
#[derive(Deserialize)]
struct Version {
    program: String,
}

/// What a machine calls a folder of the plan's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMap {
    from: String,
    to: String,
}

impl PathMap {
    /// Where `path` is found here; that of the first folder that it lies in.
    pub fn path(map: &[Self], path: &Path) -> PathBuf {
        let found = map.iter().find_map(|Self { from, to }| Some(Path::new(to).join(below(path, from)?)));
        // `join` of nothing would leave a slash at the end.
        found.map_or_else(|| path.to_path_buf(), |path| path.components().collect())
    }

    fn text(map: &[Self], text: &str) -> String {
        Self::path(map, Path::new(text)).to_str().unwrap_or(text).to_owned()
    }
}

/// What of `path` lies below the folder `from`. Folders of Windows are understood
/// on every system: a plan made there may be run elsewhere.
fn below(path: &Path, from: &str) -> Option<PathBuf> {
    if !of_windows(from) {
        return path.strip_prefix(from).ok().map(Path::to_path_buf);
    }
    // `canonicalize` puts the mark of long paths before them.
    let parts = |path: &str| -> Vec<String> {
        let plain = path.strip_prefix(r"\\?\UNC\").map(|rest| format!(r"\\{rest}"));
        let plain = plain.as_deref().unwrap_or(path.strip_prefix(r"\\?\").unwrap_or(path));
        plain.split(['/', '\\']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (from, path) = (parts(from), parts(path.to_str().filter(|path| of_windows(path))?));
    let (head, rest) = path.split_at_checked(from.len())?;
    let same = |(a, b): (&String, &String)| a.to_lowercase() == b.to_lowercase();
    head.iter().zip(&from).all(same).then(|| rest.iter().collect())
}

/// Whether a path begins as only Windows' do: with a drive, or with two backslashes.
fn of_windows(path: &str) -> bool {
    path.starts_with(r"\\")
        || matches!(path.as_bytes(), [drive, b':', rest @ ..]
            if drive.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'/' | b'\\')))
}

impl FromStr for PathMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                let trimmed = |path: &str| match path.trim_end_matches('/') {
                    "" => "/".to_owned(),
                    // `D:` alone is where the program happens to be on that drive.
                    drive if of_windows(drive) && drive.len() == 2 => format!("{drive}\\"),
                    path => path.to_owned(),
                };
                Ok(Self { from: trimmed(from), to: trimmed(to) })
            }
            _ => bail!("path map {text}: write FROM=TO, such as /mnt/nas=/home/u/nas"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_mapped_and_not_beginnings_of_names() {
        let map: Vec<PathMap> = ["/mnt/nas/=/home/u/nas", "/srv=D:"].map(|text| text.parse().unwrap()).into();
        let mapped = |path: &str| PathMap::path(&map, Path::new(path));
        assert_eq!(mapped("/mnt/nas/show/ep01.vpy"), Path::new("/home/u/nas/show/ep01.vpy"));
        assert_eq!(mapped("/mnt/nas"), Path::new("/home/u/nas"));
        assert_eq!(mapped("/mnt/nas2/ep01.vpy"), Path::new("/mnt/nas2/ep01.vpy"));
        assert_eq!(PathMap::text(&map, "a text of /mnt/nas"), "a text of /mnt/nas");
        for wrong in ["/mnt/nas", "=/a", "/a=", r"C:\films", r"C:\films="] {
            assert!(wrong.parse::<PathMap>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn folders_of_windows_are_mapped_on_every_system() {
        let mapped = |map: &str, path: &str| PathMap::path(&[map.parse().unwrap()], Path::new(path));
        for map in [
            r"C:\films=/mnt/films",
            r"c:\Films\=/mnt/films",
            "C:/films/=/mnt/films",
            r"\\?\C:\films=/mnt/films",
        ] {
            for path in
                [r"C:\films\show 1\ep=01.vpy", r"\\?\C:\Films\show 1\ep=01.vpy", "C:/films/show 1/ep=01.vpy"]
            {
                assert_eq!(mapped(map, path), Path::new("/mnt/films/show 1/ep=01.vpy"), "{map} {path}");
            }
            for other in [r"C:\films2\a.vpy", r"D:\films\a.vpy", r"C:\", "/films/a.vpy", "C:films"] {
                assert_eq!(mapped(map, other), Path::new(other), "{map}");
            }
        }
        let share = r"\\nas\films=/mnt/films";
        assert_eq!(mapped(share, r"\\NAS\films\a.vpy"), Path::new("/mnt/films/a.vpy"));
        assert_eq!(mapped(share, r"\\?\UNC\nas\films\a.vpy"), Path::new("/mnt/films/a.vpy"));
        // A drive alone means its root.
        assert_eq!("/srv=D:".parse::<PathMap>().unwrap().to, r"D:\");
        assert_eq!("C:=/mnt/c".parse::<PathMap>().unwrap().from, r"C:\");
        assert_eq!(mapped("C:=/mnt/c", r"C:\a.vpy"), Path::new("/mnt/c/a.vpy"));
    }
}
