//! What titles taught, in a file that the next one of their kind may begin with.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::backends::Backends;
use super::curves::{Curves, Known};
use super::encoding::Encoding;
use super::plan::PlannedScene;
use super::remembered::{CRFS, Remembered};
use crate::model::{Offset, Slopes};
use crate::settings::{Settings, Zone};
use crate::support::atomic;
use crate::support::events::Events;
use crate::support::fingerprint::{Fingerprint, PROGRAM};
use crate::support::statistics::median;

/// What lessons hold for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The version that the encoder tells; two builds of it differ in `encoder`.
    version: String,
    encoder: String,
    parameters: Fingerprint,
    /// Of probes and of the final encode.
    presets: (i32, i32),
    metric: String,
    /// The back end and all that its measurements depend on.
    measured_by: Fingerprint,
    /// How frames become a score.
    pooled_by: Fingerprint,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Lesson {
    about: About,
    /// The input that taught it the last time.
    title: Fingerprint,
    taught: Taught,
    /// What that input began with: boosted once more, it begins with the same.
    before: Option<Taught>,
}

/// What was learned, and from how many scenes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Taught {
    by: usize,
    #[serde(flatten)]
    remembered: Remembered,
}

impl Lesson {
    /// What this input may begin with.
    fn beginning_of(&self, title: &Fingerprint) -> Option<Taught> {
        if self.title == *title { self.before } else { Some(self.taught) }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Lessons {
    program: String,
    lessons: Vec<Lesson>,
}

/// What is remembered for the zones of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Memory {
    by_zone: Vec<Option<Taught>>,
}

impl Memory {
    /// What `path` holds for these zones; what it holds for others is said.
    ///
    /// # Errors
    /// When there is a file that is none of lessons: it would be replaced.
    pub fn read(path: &Path, now: &Now, events: &Events) -> Result<Self> {
        let Some(Lessons { lessons, .. }) = read(path)? else {
            events.note(format!("{}: nothing learned yet", path.display()));
            return Ok(Self::default());
        };
        let mut by_zone = Vec::new();
        for about in &now.abouts {
            let Some(about) = about else {
                by_zone.push(None);
                continue;
            };
            let found = lessons.iter().find(|lesson| lesson.about == *about);
            by_zone.push(found.and_then(|lesson| lesson.beginning_of(&now.title)));
            if found.is_none() {
                let nearest = lessons.iter().map(|lesson| about.differences(&lesson.about));
                let differs = nearest.min_by_key(Vec::len).unwrap_or_default().join(", ");
                events.warn(format!(
                    "{}: what was learned is for something else (other: {differs}), so it is ignored",
                    path.display()
                ));
            }
        }
        Ok(Self { by_zone })
    }

    pub fn of_zone(&self, zone: usize) -> Option<Remembered> {
        self.by_zone.get(zone).copied().flatten().map(|taught| taught.remembered.weakened())
    }

    /// A sentence for the summary; `None` when nothing is remembered.
    pub fn describe(&self, path: &Path) -> Option<String> {
        let scenes = self.by_zone.iter().flatten().map(|taught| taught.by).max()?;
        Some(format!("begun with what {scenes} scenes of an earlier title taught ({})", path.display()))
    }
}

/// A run, as lessons see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Now {
    /// Key of the input.
    title: Fingerprint,
    /// By zone; `None` where nothing is measured.
    abouts: Vec<Option<About>>,
}

impl Now {
    pub fn new(
        title: &Fingerprint,
        zones: &[Zone],
        encoding: &Encoding,
        backends: &Backends,
    ) -> Result<Self> {
        let about = |(zone, Zone { settings, .. }): (usize, &Zone)| {
            let Some(backend) = backends.of_zone(zone) else { return Ok(None) };
            let Settings { encoder, metric, .. } = settings;
            let own = encoding.own(zone);
            let identity = &own.encoder.identity;
            Ok(Some(About {
                version: identity.version.clone(),
                encoder: identity.hash.clone(),
                parameters: Fingerprint::of(&(
                    &own.family()?.probing,
                    &own.family()?.final_,
                    &settings.dynamic,
                    encoding.bits,
                )),
                presets: (encoder.probing_preset, encoder.final_preset),
                metric: metric.metric.name().to_owned(),
                measured_by: Fingerprint::of(backend.identity()),
                pooled_by: Fingerprint::of(&(metric.pooling, metric.tail, metric.mix, metric.sample.repeats)),
            }))
        };
        let abouts = zones.iter().enumerate().map(about).collect::<Result<_>>()?;
        Ok(Self { title: title.clone(), abouts })
    }

    /// Writes what the scenes of a run taught, beside what the file has of others.
    pub fn write(
        &self,
        path: &Path,
        curves: &Curves,
        planned: &[PlannedScene<'_>],
        known: &[Option<Known>],
    ) -> Result<()> {
        let mut file = read(path)?.unwrap_or_default();
        for group in &curves.groups {
            let members: Vec<&Known> =
                group.members.iter().filter_map(|&index| known[index].as_ref()).collect();
            let about = group.members.first().and_then(|&first| self.abouts[planned[first].zone].clone());
            let (Some(remembered), Some(about)) = (taught_by(&members), about) else { continue };
            let old = file.lessons.iter().position(|lesson| lesson.about == about);
            let before = old.and_then(|old| file.lessons.swap_remove(old).beginning_of(&self.title));
            let taught = Taught { by: members.len(), remembered };
            file.lessons.push(Lesson { about, title: self.title.clone(), taught, before });
        }
        PROGRAM.clone_into(&mut file.program);
        atomic::write_with(path, |out| {
            serde_json::to_writer_pretty(&mut *out, &file)?;
            Ok(writeln!(out)?)
        })
    }
}

fn read(path: &Path) -> Result<Option<Lessons>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(lessons) => Ok(Some(lessons)),
        Err(error) => bail!(
            "--learned {}: is not what progression-boost {PROGRAM} writes there ({error}); name another file, or \
             remove it",
            path.display()
        ),
    }
}

impl About {
    /// What is otherwise than in `other`, for people.
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("encoder", (&self.version, &self.encoder) != (&other.version, &other.encoder)),
            ("encoder parameters", self.parameters != other.parameters),
            ("presets", self.presets != other.presets),
            ("metric", self.metric != other.metric),
            ("metric back end or colour", self.measured_by != other.measured_by),
            ("pooling", self.pooled_by != other.pooled_by),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// What scenes with probes teach; `None` without any, or of a model that learns nothing.
fn taught_by(scenes: &[&Known]) -> Option<Remembered> {
    let first = scenes.first().filter(|known| known.model.learns())?;
    let goal = &first.model.goal;
    let slopes = Slopes::learn(scenes.iter().map(|known| known.scored.as_slice()), goal);
    let damages = scenes.iter().map(|known| known.damages.of_probe(CRFS[0]).ln()).collect();
    let ratios = &first.learned.ratios;
    // Without a scene of its own a title hands on what it was told, weakened.
    let measured = ratios.count() > 0 || ratios.remembers();
    Some(Remembered {
        damage: median(damages)?,
        slope: slopes.typical,
        offset: measured.then(|| ratios.with(NOTHING)),
    })
}

/// A prior that counts nothing.
const NOTHING: Offset = Offset { level: 0.0, error: 1e3 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_something_else_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("learned.json");
        assert!(read(&path).unwrap().is_none());
        std::fs::write(&path, "{\"scenes\": []}").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("learned.json") && error.contains("name another file"), "{error}");
    }
}
