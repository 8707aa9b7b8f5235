//! Keys that are fine each and wrong together.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::problem::Problems;
use super::{EncoderSettings, FamilyParams, Metric, MetricBackend, SceneMethod, Settings, SplitRules};
use crate::options::{EncoderOption, Options, Origin, is_grain};

/// Between this and above, a target is SSIMULACRA2's; below, Butteraugli's:
/// the one is out of the useful range of the other.
const SSIMU2_FROM: f64 = 15.0;

struct Conflict {
    /// The keys that contradict each other; the one written last is blamed.
    keys: &'static [&'static str],
    /// What is wrong, if it is.
    text: fn(&Settings) -> Option<String>,
}

const CONFLICTS: [Conflict; 10] = [
    Conflict {
        keys: &["scenes.extra_split", "scenes.min_scene_len"],
        text: |s| {
            let (longest, shortest) = (s.scenes.extra_split, s.scenes.min_scene_len);
            (longest < 2 * shortest).then(|| {
                format!(
                    "scenes.extra_split {longest}: must be at least twice scenes.min_scene_len {shortest}, \
                     so that a scene that is too long can be split"
                )
            })
        },
    },
    Conflict {
        keys: &[
            "scenes.method",
            "scenes.rules",
            "scenes.extra_split",
            "scenes.min_scene_len",
            "scenes.progressive.target_18",
            "scenes.progressive.target_12",
            "scenes.progressive.target_27",
        ],
        text: |s| {
            // The first conflict tells of these two, whatever the rules.
            let told = s.scenes.extra_split < 2 * s.scenes.min_scene_len;
            let progressive = s.scenes.split_rules() == SplitRules::Progressive;
            if progressive && !told { s.scenes.progressive_problem() } else { None }
        },
    },
    Conflict {
        keys: &["scenes.method", "scenes.input_scenes"],
        text: |s| {
            (s.scenes.method == SceneMethod::External && s.scenes.input_scenes.is_none()).then(|| {
                "scenes.method external: set scenes.input_scenes to the scene list (--input-scenes FILE)"
                    .to_owned()
            })
        },
    },
    Conflict {
        keys: &["metric.min_crf", "metric.max_crf"],
        text: |s| {
            let (min, max) = (s.metric.min_crf, s.metric.max_crf);
            (min > max).then(|| format!("metric.min_crf {min}: must not be above metric.max_crf {max}"))
        },
    },
    Conflict {
        keys: &["final.min_crf", "metric.max_crf"],
        text: |s| {
            let (min, max) = (s.output.min_crf, s.metric.max_crf);
            (s.metric.enable && min > max)
                .then(|| format!("final.min_crf {min}: must not be above metric.max_crf {max}"))
        },
    },
    Conflict {
        keys: &["final.min_crf", "metric.base_crf"],
        text: |s| {
            let (min, base) = (s.output.min_crf, s.metric.base_crf);
            (!s.metric.enable && min > base)
                .then(|| format!("final.min_crf {min}: must not be above metric.base_crf {base}"))
        },
    },
    Conflict {
        keys: &["metric.metric", "metric.target"],
        text: |s| {
            let (metric, target) = (s.metric.metric, s.metric.target);
            match (metric == Metric::Ssimu2, target < SSIMU2_FROM) {
                _ if !s.metric.enable => None,
                (true, true) => Some(format!(
                    "metric.target {target}: must be {SSIMU2_FROM} to 100 with metric.metric ssimu2 (80 looks very good)"
                )),
                (false, false) => Some(format!(
                    "metric.target {target}: must be 0.01 to {SSIMU2_FROM} with Butteraugli (0.95 looks very good)"
                )),
                _ => None,
            }
        },
    },
    Conflict {
        keys: &["metric.metric", "metric.backend"],
        text: |s| {
            (s.metric.backend == MetricBackend::Vszip && s.metric.metric != Metric::Ssimu2).then(|| {
                "metric.backend vszip: measures only ssimu2; Butteraugli needs auto, vship, native or ffvship"
                    .to_owned()
            })
        },
    },
    Conflict {
        keys: &["model.calibrate", "dynamic.encoder", "dynamic.probing_encoder"],
        text: |s| {
            let scenes = s.model.calibrate.unwrap_or(0);
            (s.metric.enable && scenes > 0 && !s.dynamic.one_encoder()).then(|| {
                format!(
                    "model.calibrate {scenes}: must be 0 where dynamic.encoder and dynamic.probing_encoder are not \
                     the same, because probes are compared with the final encode of the same encoder"
                )
            })
        },
    },
    Conflict {
        keys: &[
            "metric.frames.peak_frames",
            "metric.frames.highest_diff_frames",
            "metric.frames.highest_probing_diff_frames",
            "metric.frames.upper_bracket_frames",
            "metric.frames.lower_bracket_frames",
            "metric.frames.upper_bracket_fallback_frames",
            "metric.frames.first_frame",
            "metric.frames.last_frame",
        ],
        text: |s| {
            let f = &s.metric.frames;
            let counts = f.peak_frames
                + f.highest_diff_frames
                + f.highest_probing_diff_frames
                + f.upper_bracket_frames
                + f.lower_bracket_frames
                + f.upper_bracket_fallback_frames;
            (s.metric.enable && counts == 0 && !f.first_frame && !f.last_frame).then(|| {
                "metric.frames selects no frame: at least one of its counts must be above 0".to_owned()
            })
        },
    },
];

/// Reports every contradiction in `draft` at the key that was written last.
/// Keys that were refused or never read say nothing.
pub fn find(draft: &Draft, settings: &Settings, problems: &mut Problems) {
    for conflict in &CONFLICTS {
        let known = |key: &&str| draft.places.contains_key(*key) && !problems.is_refused(key);
        if !conflict.keys.iter().all(known) {
            continue;
        }
        let Some(text) = (conflict.text)(settings) else { continue };
        let last = conflict.keys.iter().filter_map(|key| draft.places.get(key)).max_by_key(|(rank, _)| *rank);
        if let Some((_, place)) = last {
            problems.push(place.clone(), text);
        }
    }
}

/// What is allowed, but hardly meant.
pub fn doubts(settings: &Settings) -> Vec<String> {
    let mut doubts = Vec::new();
    let scenes = &settings.scenes;
    if scenes.split_rules() == SplitRules::ExtraSplit && scenes.target_split > scenes.extra_split {
        doubts.push(format!(
            "scenes.target_split {} is above scenes.extra_split {}: scenes up to the former stay whole",
            scenes.target_split, scenes.extra_split
        ));
    }
    doubts.extend(differing(&settings.encoder));
    let forks = settings.encoders.iter();
    doubts.extend(forks.filter_map(|(name, fork)| {
        // What it inherits is told already.
        differing(fork)
            .filter(|_| fork.params != settings.encoder.params)
            .map(|told| format!("encoders.{name}: {told}"))
    }));
    doubts
}

/// Options in which probes and final encode differ though that was hardly meant:
/// grain is for the final encode alone, and so is what is slow.
fn differing(encoder: &EncoderSettings) -> Option<String> {
    let mut differences: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (family, params) in &encoder.params {
        if params.probing_by_user || params.final_by_user {
            let different = different(params, &encoder.slow_options);
            differences.entry(different.join(", ")).or_default().push(family.name());
        }
    }
    let described: Vec<String> = differences
        .into_iter()
        .filter(|(options, _)| !options.is_empty())
        .map(|(options, families)| format!("{options} ({})", families.join(", ")))
        .collect();
    (!described.is_empty()).then(|| {
        format!(
            "probes and final encode differ in {}: the CRF is found for another encode than the final one; \
             change both lists (encoder.params.probing.set, encoder.params.final.set), or name what is only \
             slow in encoder.slow_options",
            described.join("; ")
        )
    })
}

/// `--name probing/final` for every option of which one list has another value.
fn different(params: &FamilyParams, slow: &[String]) -> Vec<String> {
    let options = |words: &[String]| Options::parse(words, Origin::Ours).unwrap_or_default();
    let (probing, final_) = (options(&params.probing), options(&params.final_));
    let meant = |name: &str| {
        is_grain(name) || slow.iter().any(|slow| slow.trim_start_matches('-') == name.trim_start_matches('-'))
    };
    let only_final = final_.iter().filter(|option| probing.get(&option.name).is_none());
    let told = |option: &EncoderOption| {
        let of = |options: &Options| match options.get(&option.name) {
            None => "none".to_owned(),
            Some(option) => option.value.clone().unwrap_or_else(|| "set".to_owned()),
        };
        format!("{} {}/{}", option.name, of(&probing), of(&final_))
    };
    probing
        .iter()
        .chain(only_final)
        .filter(|option| !meant(&option.name))
        .filter(|option| !(probing.get(&option.name).is_some_and(|ours| final_.has_equal(ours))))
        .map(told)
        .collect()
}
