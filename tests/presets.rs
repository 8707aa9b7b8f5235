//! The presets that ship, against the table of the specification.

// Values are copied from presets, not computed.
#![allow(clippy::float_cmp)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use progression_boost::settings::dynamic::Rules;
use progression_boost::settings::library::BUILT_IN;
use progression_boost::settings::{
    EncoderFamily, FrameSelection, Metric, MetricBackend, ModelKind, Pooling, Request, Resolved, SceneMethod,
    Settings, SourceProvider, resolve,
};

fn preset(name: &str) -> Resolved {
    resolve(&Request { preset: Some(name.to_owned()), ..Request::default() }).unwrap()
}

/// One row of the table in spec 05.
struct Row {
    name: &'static str,
    scenes: (SceneMethod, usize, usize),
    /// Metric, pooling, target; `None` where nothing is measured.
    metric: Option<(Metric, Pooling, f64)>,
    max_crf: f64,
    presets: (i32, i32),
    /// Highest diff and highest probing diff frames.
    frames: (usize, usize),
    /// ROI, CRF, curve, motion.
    character: Option<(f64, f64, u8, f64)>,
}

const MAX: Option<(Metric, Pooling, f64)> = Some((Metric::ButteraugliMaxMix, Pooling::Worst, 0.850));
const MEAN: Option<(Metric, Pooling, f64)> = Some((Metric::ButteraugliMeanMix, Pooling::Mean, 0.950));
const SSIMU2: Option<(Metric, Pooling, f64)> = Some((Metric::Ssimu2, Pooling::Mean, 80.0));

#[rustfmt::skip]
const TABLE: [Row; 8] = [
    Row { name: "butteraugli-max", scenes: (SceneMethod::WwxdScxvid, 192, 33), metric: MAX,
          max_crf: 40.0, presets: (7, 0), frames: (6, 8), character: None },
    Row { name: "butteraugli-mean", scenes: (SceneMethod::Wwxd, 264, 60), metric: MEAN,
          max_crf: 50.0, presets: (7, 2), frames: (4, 0), character: None },
    Row { name: "ssimu2-mean", scenes: (SceneMethod::Wwxd, 264, 60), metric: SSIMU2,
          max_crf: 50.0, presets: (8, 2), frames: (4, 0), character: None },
    Row { name: "character-boost-butteraugli-max", scenes: (SceneMethod::WwxdScxvid, 192, 33), metric: MAX,
          max_crf: 40.0, presets: (7, 0), frames: (6, 8), character: Some((6.5, 3.0, 0, 4.5)) },
    Row { name: "character-boost-butteraugli-mean", scenes: (SceneMethod::Wwxd, 264, 49), metric: MEAN,
          max_crf: 50.0, presets: (7, 2), frames: (4, 0), character: Some((5.5, 3.0, 0, 4.5)) },
    Row { name: "character-boost-ssimu2-mean", scenes: (SceneMethod::Wwxd, 264, 49), metric: SSIMU2,
          max_crf: 50.0, presets: (8, 2), frames: (4, 0), character: Some((5.5, 7.0, 1, 3.0)) },
    Row { name: "character-boost", scenes: (SceneMethod::Wwxd, 264, 49), metric: None,
          max_crf: 50.0, presets: (7, 2), frames: (4, 0), character: Some((5.0, 11.0, 1, 4.0)) },
    Row { name: "scene-detection", scenes: (SceneMethod::WwxdScxvid, 264, 60), metric: None,
          max_crf: 50.0, presets: (7, 2), frames: (4, 0), character: None },
];

#[test]
fn every_preset_has_the_values_of_the_table() {
    assert_eq!(BUILT_IN.map(|(name, _)| name), TABLE.map(|row| row.name));
    for row in TABLE {
        let Resolved { base: s, description, warnings, .. } = preset(row.name);
        let name = row.name;
        assert!(!description.is_empty(), "{name}");
        assert_eq!(warnings, [""; 0], "{name}");
        assert_eq!((s.scenes.method, s.scenes.extra_split, s.scenes.target_split), row.scenes, "{name}");
        let metric = s.metric.enable.then_some((s.metric.metric, s.metric.pooling, s.metric.target));
        assert_eq!(metric, row.metric, "{name}");
        assert_eq!(s.metric.max_crf, row.max_crf, "{name}");
        assert_eq!((s.encoder.probing_preset, s.encoder.final_preset), row.presets, "{name}");
        let frames = s.metric.frames;
        assert_eq!((frames.highest_diff_frames, frames.highest_probing_diff_frames), row.frames, "{name}");
        let c = &s.character;
        let character =
            c.enable.then_some((c.roi_boost_max, c.crf_boost_max, c.crf_curve, c.motion_boost_max));
        assert_eq!(character, row.character, "{name}");
    }
}

#[test]
fn every_preset_has_the_common_values() {
    for row in TABLE {
        let Resolved { base: s, source, .. } = preset(row.name);
        assert_eq!(source.provider, SourceProvider::Auto);
        assert_eq!((s.scenes.min_scene_len, s.scenes.strict, s.scenes.full_range), (12, false, None));
        assert_eq!((s.metric.min_crf, s.metric.unreliable_crf, s.metric.base_crf), (8.0, None, 28.0));
        assert_eq!((s.metric.intensity, s.metric.crop), (203.0, [0; 4]));
        assert_eq!(s.metric.backend, MetricBackend::Auto);
        assert_eq!((s.metric.mix.mean_inf, s.metric.mix.mean_n3, s.metric.mix.max_inf), (0.030, 0.30, 0.027));
        assert_eq!((s.output.min_crf, s.output.photon_noise, s.encoder.lp), (6.5, None, 3));
        assert_eq!((s.encoder.workers, s.encoder.program), (None, PathBuf::from("SvtAv1EncApp")));
        let expected = FrameSelection {
            highest_diff_min_separation: 4,
            upper_bracket_frames: 6,
            bracket_min_separation: 2,
            lower_bracket_frames: 0,
            upper_bracket_fallback_frames: 5,
            first_frame: true,
            last_frame: true,
            ..s.metric.frames
        };
        assert_eq!(s.metric.frames, expected, "{}", row.name);
        assert_eq!((s.model.kind, s.model.calibrate), (ModelKind::Adaptive, None));
        assert_eq!((s.model.tolerance, s.model.first_crf), (None, None));
        assert_eq!(s.dynamic, progression_boost::settings::DynamicRules::default());
    }
}

fn lists(settings: &Settings, family: EncoderFamily) -> [String; 2] {
    let params = &settings.encoder.params[&family];
    assert!(!params.probing_by_user && !params.final_by_user);
    [params.probing.join(" "), params.final_.join(" ")]
}

#[test]
fn psychovisual_forks_get_the_parameters_of_the_specification() {
    let common =
        "--keyint -1 --input-depth 10 --scm 0 --tune 3 --luminance-qp-bias 12 --qm-min 8 --chroma-qm-min 10";
    for (name, psy_rd) in [("butteraugli-mean", "1.0"), ("ssimu2-mean", "1.0"), ("butteraugli-max", "2.0")] {
        let expected = [0, 1].map(|hvs| format!("{common} --psy-rd {psy_rd} --spy-rd 0 --complex-hvs {hvs}"));
        assert_eq!(lists(&preset(name).base, EncoderFamily::Psyex), expected, "{name}");
    }
}

/// The options in a recorded `--help` or list of options: the first of each line.
fn recorded(text: &str) -> BTreeSet<String> {
    let path = common::data("encoder-help").join(text);
    let text = std::fs::read_to_string(path).unwrap();
    let first = |line: &str| {
        let option = line.split([' ', ',']).find(|word| !word.is_empty() && !is_short(word))?;
        option.starts_with("--").then(|| option.to_owned())
    };
    text.lines().filter_map(first).collect()
}

/// `-i`, which some lines have before the long name.
fn is_short(word: &str) -> bool {
    word.len() == 2 && word.starts_with('-')
}

#[test]
fn every_option_exists_in_a_build_of_its_family() {
    let mainline = recorded("mainline_4.2.0.help.txt");
    let psyex = recorded("psyex_3.0.2-B.options.txt");
    let everywhere: BTreeSet<String> = ["mainline_1.4.1.help.txt", "mainline_2.3.0.help.txt"]
        .map(recorded)
        .iter()
        .fold(&mainline & &psyex, |all, build| &all & build);
    for (name, _) in BUILT_IN {
        let settings = preset(name).base;
        for (family, known) in [
            (EncoderFamily::Mainline, &mainline),
            (EncoderFamily::Psyex, &psyex),
            (EncoderFamily::Hdr, &recorded("hdr_cfb4e1769.options.txt")),
            (EncoderFamily::Essential, &recorded("essential_5c4a386e9.options.txt")),
            (EncoderFamily::Other, &everywhere),
        ] {
            for list in lists(&settings, family) {
                for option in list.split(' ').filter(|word| word.starts_with("--")) {
                    assert!(known.contains(option), "{name}: {family:?} has no {option}");
                }
            }
        }
    }
}

#[test]
fn probes_get_no_grain_and_no_list_sets_what_the_program_sets() {
    for (name, _) in BUILT_IN {
        let settings = preset(name).base;
        assert_eq!(settings.encoder.params.len(), 5, "{name}");
        for params in settings.encoder.params.values() {
            for word in params.probing.iter().chain(&params.final_) {
                for taken in ["--crf", "--preset", "--lp", "--film-grain", "--color", "--matrix"] {
                    assert!(!word.starts_with(taken), "{name}: {word}");
                }
            }
        }
    }
}

#[test]
fn the_examples_of_the_documentation_are_presets() {
    let text = include_str!("../docs/presets.md");
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    let folder = tempfile::tempdir().unwrap();
    for example in examples {
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, example).unwrap();
        let settings = preset(file.to_str().unwrap()).base;
        Rules::compile(&settings.dynamic).unwrap();
    }
}

#[test]
fn settings_serialise_the_same_every_time_and_differ_when_a_value_does() {
    let text = |request: &Request| serde_json::to_string(&resolve(request).unwrap().base).unwrap();
    let plain = Request::default();
    assert_eq!(text(&plain), text(&plain));
    let mut changed = Request::default();
    changed.typed.push(progression_boost::settings::Typed::set("metric.target=0.96"));
    assert_ne!(text(&plain), text(&changed));
}
