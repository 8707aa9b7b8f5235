//! What results depend on, in words and as fingerprints, to be compared between
//! machines: the script and its files, the clip that came of them, the encoder, the
//! metric, the network and the plugins.
//!
//! Where a file lies and when it was copied is no matter, only what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::file::Plan;
use crate::pipeline::backends::Backends;
use crate::pipeline::encoding::Encoding;
use crate::pipeline::segmentation::Segmentation;
use crate::source::{self, Clip, OpenOptions};
use crate::support::fingerprint::Fingerprint;

/// Source plugins, one of which opens a video.
const SOURCE_PLUGINS: [&str; 3] = ["bs", "lsmas", "ffms2"];

/// Each by its name in a sentence, such as `encoder`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    files: Parts,
    clip: Parts,
    tools: Parts,
    /// Those that both sides have are compared.
    plugins: Parts,
}

type Parts = BTreeMap<String, Part>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    /// For people.
    what: String,
    key: Fingerprint,
}

/// Every function compares with the plan, if there is one, what it adds.
impl Origin {
    /// The input and the files that it names.
    pub fn of_files(input: &Path, options: &OpenOptions, plan: Option<&Plan>) -> Result<Self> {
        let mut files = Parts::new();
        let kind = if source::is_script(input) { "script" } else { "video" };
        files.insert(kind.to_owned(), Part::of_file(input)?);
        let mut known: Vec<PathBuf> = Vec::new();
        for path in source::files(input, options)?.iter().skip(1) {
            let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
            if known.contains(&path) {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let mut name = format!("file {name} of the script");
            while files.contains_key(&name) {
                name.push('+');
            }
            files.insert(name, Part::of_file(&path)?);
            known.push(path);
        }
        if let Some(plan) = plan {
            compare(&plan.origin.files, &files)?;
        }
        Ok(Self { files, ..Self::default() })
    }

    /// What came of opening the input, and what opened it.
    pub fn add_clip(&mut self, clip: &Clip, input: &Path, plan: Option<&Plan>) -> Result<()> {
        let info = clip.info();
        let fps = info.fps.map_or_else(|| "variable rate".to_owned(), |(n, d)| format!("{n}/{d} fps"));
        let what = format!("{} frames, {}x{}, {}, {fps}", info.frames, info.width, info.height, info.format);
        self.clip.insert("clip".to_owned(), Part::new(what, Fingerprint::of(&clip.facts()?)));
        let release = format!("R{}", clip.session().release()?);
        self.clip.insert("VapourSynth".to_owned(), Part::of_name(release));
        self.plugins = plugins(clip, input)?;
        if let Some(plan) = plan {
            compare(&plan.origin.clip, &self.clip)?;
            let both = |parts: &Parts, other: &Parts| -> Parts {
                parts
                    .iter()
                    .filter(|(n, _)| other.contains_key(*n))
                    .map(|(n, p)| (n.clone(), p.clone()))
                    .collect()
            };
            let planned = &plan.origin.plugins;
            compare(&both(planned, &self.plugins), &both(&self.plugins, planned))?;
        }
        Ok(())
    }

    pub fn add_encoder(&mut self, encoding: &Encoding, plan: Option<&Plan>) -> Result<()> {
        self.add("encoder", Part::new(encoding.describe().join(" and "), encoding.identity()), plan)
    }

    pub fn add_metric(&mut self, backends: &Backends, plan: Option<&Plan>) -> Result<()> {
        self.add("metric", Part::new(backends.describe().join(" and "), backends.identity()), plan)
    }

    pub fn add_network(&mut self, network: &Segmentation, plan: Option<&Plan>) -> Result<()> {
        self.add("segmentation network", Part::new(network.describe(), network.key().clone()), plan)
    }

    fn add(&mut self, name: &str, part: Part, plan: Option<&Plan>) -> Result<()> {
        let here = Parts::from([(name.to_owned(), part)]);
        if let Some(plan) = plan {
            let planned = plan.origin.tools.get_key_value(name);
            compare(&planned.map(|(n, p)| (n.clone(), p.clone())).into_iter().collect(), &here)?;
        }
        self.tools.extend(here);
        Ok(())
    }

    /// Of all that results depend on.
    pub fn key(&self) -> Fingerprint {
        let keys = |parts: &Parts| parts.values().map(|part| part.key.clone()).collect::<Vec<_>>();
        Fingerprint::of(&[&self.files, &self.clip, &self.tools].map(keys))
    }
}

impl Part {
    fn new(what: String, key: Fingerprint) -> Self {
        Self { what, key }
    }

    /// Something that its name tells from all others.
    fn of_name(what: String) -> Self {
        let key = Fingerprint::of(&what);
        Self { what, key }
    }

    fn of_file(path: &Path) -> Result<Self> {
        let bytes = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        let key = Fingerprint::of_content(path)?;
        Ok(Self { what: format!("{} of {bytes} bytes", std::path::absolute(path)?.display()), key })
    }

    fn told(&self) -> String {
        format!("{} (fingerprint {})", self.what, &self.key.to_string()[..12])
    }
}

/// The plugins that a script names, or that may open a video. What its modules use
/// cannot be seen.
fn plugins(clip: &Clip, input: &Path) -> Result<Parts> {
    let text = if source::is_script(input) {
        std::fs::read_to_string(input).with_context(|| format!("cannot read {}", input.display()))?
    } else {
        SOURCE_PLUGINS.map(|name| format!(".{name}.")).join(" ")
    };
    let mut names: Vec<&str> = text
        .split('.')
        .map(str::trim)
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Parts::new();
    for name in names {
        let path = clip.session().plugin_path(name);
        // Built-in ones are VapourSynth's.
        let Some(path) = path.filter(|path| path.is_file()) else { continue };
        found.insert(format!("plugin {name}"), Part::of_file(&path)?);
    }
    Ok(found)
}

/// # Errors
/// For the first difference, with both sides.
fn compare(planned: &Parts, here: &Parts) -> Result<()> {
    let names: std::collections::BTreeSet<&String> = planned.keys().chain(here.keys()).collect();
    for name in names {
        let (plans, ours) = (planned.get(name), here.get(name));
        if plans.map(|part| &part.key) == ours.map(|part| &part.key) {
            continue;
        }
        let told = |part: Option<&Part>| part.map_or_else(|| "none".to_owned(), Part::told);
        bail!(
            "the {name} is not that of the plan, so nothing was done here\n  the plan: {}\n  here: {}\n\
             give this machine what the plan was made with, or plan again",
            told(plans),
            told(ours)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(list: &[(&str, &str)]) -> Parts {
        list.iter().map(|(name, what)| ((*name).to_owned(), Part::of_name((*what).to_owned()))).collect()
    }

    #[test]
    fn a_difference_names_both_sides() {
        let planned = parts(&[("encoder", "SVT-AV1 v2.3.0"), ("metric", "on the GPU")]);
        compare(&planned, &planned.clone()).unwrap();
        let error = compare(&planned, &parts(&[("encoder", "SVT-AV1 v2.3.0"), ("metric", "on the CPU")]));
        let error = error.unwrap_err().to_string();
        for text in ["the metric is not that of the plan", "the plan: on the GPU", "here: on the CPU"] {
            assert!(error.contains(text), "{text}: {error}");
        }
        let error = compare(&planned, &parts(&[("metric", "on the GPU")])).unwrap_err().to_string();
        assert!(error.contains("the encoder") && error.contains("here: none"), "{error}");
    }

    #[test]
    fn a_copy_elsewhere_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&one, b"text").unwrap();
        std::fs::write(&other, b"text").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        assert_eq!(Part::of_file(&one).unwrap().key, Part::of_file(&other).unwrap().key);
        std::fs::write(&other, b"test").unwrap();
        assert_ne!(Part::of_file(&one).unwrap().key, Part::of_file(&other).unwrap().key);
    }
}
