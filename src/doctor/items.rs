//! The items there are, in the order in which they are shown.

use super::{Check, State};

/// An item before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Stable, for programs.
    pub item: &'static str,
    pub name: &'static str,
    pub required: bool,
    pub purpose: &'static str,
}

const fn needed(item: &'static str, name: &'static str, purpose: &'static str) -> Item {
    Item { item, name, required: true, purpose }
}

const fn optional(item: &'static str, name: &'static str, purpose: &'static str) -> Item {
    Item { item, name, required: false, purpose }
}

const GPU_METRIC: &str = "metrics on a GPU; the CPU does it otherwise";
const CHARACTERS: &str = "Character Boost";

/// One of these is needed to open videos; scripts may open theirs in other ways.
pub const SOURCES: [&str; 3] = ["plugin.bs", "plugin.lsmas", "plugin.ffms2"];

pub const ITEMS: [Item; 27] = [
    needed("vapoursynth", "VapourSynth", "everything"),
    needed("python", "Python", "VapourSynth"),
    optional("plugin.bs", "BestSource", "opening videos"),
    optional("plugin.lsmas", "L-SMASH Works", "opening videos"),
    optional("plugin.ffms2", "FFMS2", "opening videos"),
    optional("plugin.wwxd", "WWXD", "scene detection; `builtin` does without"),
    optional("plugin.scxvid", "Scxvid", "scene detection; `builtin` does without"),
    optional("plugin.vszip", "vszip", "SSIMULACRA2 by metric.backend = \"vszip\""),
    optional("plugin.vship", "Vship", GPU_METRIC),
    optional("plugin.trt", "vs-mlrt TensorRT", CHARACTERS),
    optional("plugin.ort-cuda", "vs-mlrt ONNX Runtime on a GPU", CHARACTERS),
    optional("plugin.ort", "vs-mlrt ONNX Runtime", CHARACTERS),
    optional("plugin.ov", "vs-mlrt OpenVINO", CHARACTERS),
    optional("plugin.ncnn", "vs-mlrt ncnn", CHARACTERS),
    optional("model", "segmentation network", CHARACTERS),
    needed("encoder.svt-av1", "SvtAv1EncApp", "boosting and encoding"),
    optional("encoder.aom", "aomenc", "`encode --encoder aom`"),
    optional("encoder.x264", "x264", "scenes.method = \"progressive\"; its other detector does without"),
    optional("av1an", "av1an", "the final encode; `encode` does without"),
    optional("mkvmerge", "mkvmerge", "`encode`, and av1an's --concat mkvmerge"),
    optional("ffmpeg", "ffmpeg", "`encode` without mkvmerge"),
    optional("gpu", "GPU", "Vship and Character Boost"),
    needed("write.here", "writing here", "results and the work folder"),
    optional("write.cache", "cache folder", "what was learned of encoders"),
    optional("disk", "room on the disk", "probes and chunks"),
    optional("memory", "memory", "encoders and waiting frames"),
    needed("source", "a source plugin", "opening videos"),
];

/// The table's row of a name.
pub fn of(item: &str) -> Item {
    let row = ITEMS.iter().find(|row| row.item == item);
    *row.unwrap_or_else(|| panic!("`{item}` is no item of doctor"))
}

impl Check {
    /// A check of the table's item.
    pub fn of(item: &str, state: State, detail: impl Into<String>) -> Self {
        let Item { item, name, required, purpose } = of(item);
        Self {
            item: item.to_owned(),
            name: name.to_owned(),
            state,
            required,
            purpose: purpose.to_owned(),
            version: None,
            path: None,
            detail: detail.into(),
            fix: Vec::new(),
        }
    }

    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        let version = version.into();
        Self { version: (!version.is_empty()).then_some(version), ..self }
    }

    #[must_use]
    pub fn path(self, path: impl Into<std::path::PathBuf>) -> Self {
        let path = path.into();
        Self { path: (!path.as_os_str().is_empty()).then_some(path), ..self }
    }
}

/// Sorts by the table, and adds what follows from the rest: whether videos can be
/// opened, where that was asked.
pub fn settle(checks: &mut Vec<Check>, all: bool) {
    let states: Vec<State> =
        checks.iter().filter(|c| SOURCES.contains(&c.item.as_str())).map(|c| c.state).collect();
    if all && !states.is_empty() {
        let works = states.contains(&State::Works);
        let untried = states.iter().all(|state| *state == State::Untried);
        let check = if works {
            Check::of("source", State::Works, "videos can be opened")
        } else if untried {
            Check::of("source", State::Untried, "needs VapourSynth")
        } else {
            Check::of("source", State::Missing, "none of BestSource, L-SMASH Works and FFMS2 works")
        };
        checks.push(check);
    }
    // The one that sums up the source plugins stands before them.
    let place = |item: &str| {
        let before = if item == "source" { SOURCES[0] } else { item };
        let row = ITEMS.iter().position(|row| row.item == before);
        (row.unwrap_or(ITEMS.len()), usize::from(item != "source"))
    };
    checks.sort_by_key(|check| place(&check.item));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_working_source_plugin_is_enough_and_none_is_told_once() {
        let of = |states: [State; 3]| {
            let mut checks: Vec<Check> =
                SOURCES.iter().zip(states).map(|(item, state)| Check::of(item, state, "")).collect();
            checks.insert(0, Check::of("vapoursynth", State::Works, ""));
            settle(&mut checks, true);
            assert_eq!(checks[1].item, "source");
            checks[1].state
        };
        assert_eq!(of([State::Missing, State::Works, State::Broken]), State::Works);
        assert_eq!(of([State::Missing, State::Missing, State::Broken]), State::Missing);
        assert_eq!(of([State::Untried; 3]), State::Untried);
    }
}
