//! The presets that ship, against the table of the specification.

// Values are copied from presets, not computed.
#![allow(clippy::float_cmp)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use progression_boost::settings::dynamic::Rules;
use progression_boost::settings::library::BUILT_IN;
use progression_boost::settings::{
    Crop, EncoderFamily, FrameSelection, Metric, MetricBackend, ModelKind, Pooling, Request, Resolved,
    SceneMethod, Settings, SourceProvider, SplitRules, ZoneList, resolve,
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
    assert_eq!(
        BUILT_IN[..TABLE.len()].iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        TABLE.map(|row| row.name)
    );
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
        assert_eq!((s.metric.intensity, s.metric.crop), (203.0, Crop::Sides([0; 4])));
        assert_eq!(s.metric.backend, MetricBackend::Auto);
        let mix = s.metric.mix;
        assert_eq!((mix.mean_inf, mix.mean_n3, mix.max_inf, mix.max_n3), (0.030, 0.30, 0.027, 0.0));
        assert_eq!((s.metric.panning_rejection, s.metric.frames.peak_frames), (0.0, 0));
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

/// The table in section 8 of spec 10, and beside each preset with characters the one
/// without: metric, pooling, target; Σ, intensity; least and highest CRF, the final
/// least; presets; frames by their probe; ROI, CRF, curve, motion.
#[test]
fn the_presets_of_2025_have_the_values_of_their_table() {
    let max = Some((Metric::ButteraugliMaxMix, Pooling::Worst, 0.8));
    let mean = Some((Metric::ButteraugliMeanMix, Pooling::TrimmedMean, 0.85));
    let ssimu2 = Some((Metric::Ssimu2, Pooling::TrimmedMean, 80.0));
    let (strong, middle) = (Some((5.0, 3.0, 0, 3.0)), Some((5.0, 7.0, 1, 3.0)));
    let character = Some((5.0, 11.0, 1, 4.0));
    for (name, metric, (sigma, intensity), crfs, presets, probing_diff, characters) in [
        ("max-butteraugli", max, (0.5, 203.0), (11.0, 32.0, 6.0), (7, 0), 8, None),
        ("max-character-butteraugli", max, (0.5, 203.0), (11.0, 32.0, 6.0), (7, 0), 8, strong),
        ("balanced-butteraugli", mean, (1.2, 170.0), (18.0, 36.0, 9.0), (7, 2), 0, None),
        ("balanced-character-butteraugli", mean, (1.2, 170.0), (18.0, 36.0, 9.0), (7, 2), 0, middle),
        ("balanced-ssimu2", ssimu2, (2.0, 170.0), (18.0, 36.0, 9.0), (8, 2), 0, None),
        ("balanced-character-ssimu2", ssimu2, (2.0, 170.0), (18.0, 36.0, 9.0), (8, 2), 0, middle),
        ("basic-butteraugli", mean, (1.2, 170.0), (14.0, 36.0, 14.0), (7, 2), 0, None),
        ("basic-ssimu2", ssimu2, (2.0, 170.0), (14.0, 36.0, 14.0), (8, 2), 0, None),
        ("basic-character", None, (1.2, 170.0), (11.0, 32.0, 14.0), (7, 2), 0, character),
    ] {
        let Resolved { base: s, warnings, .. } = preset(name);
        assert_eq!(warnings, [""; 0], "{name}");
        assert_eq!(
            (s.scenes.method, s.scenes.split_rules()),
            (SceneMethod::Progressive, SplitRules::Progressive)
        );
        let p = s.scenes.progressive;
        let lengths =
            [p.target_18, p.target_12, p.target_27, s.scenes.extra_split, p.still_0042, p.still_0012];
        assert_eq!((s.scenes.min_scene_len, lengths), (9, [17, 65, 129, 193, 257, 321]), "{name}");
        let found = s.metric.enable.then_some((s.metric.metric, s.metric.pooling, s.metric.target));
        assert_eq!(found, metric, "{name}");
        assert_eq!((s.metric.panning_rejection, s.metric.intensity), (sigma, intensity), "{name}");
        assert_eq!((s.metric.min_crf, s.metric.max_crf, s.output.min_crf), crfs, "{name}");
        assert_eq!((s.encoder.probing_preset, s.encoder.final_preset), presets, "{name}");
        let frames = FrameSelection {
            peak_frames: 4,
            highest_diff_frames: 3,
            highest_diff_min_separation: 1,
            highest_probing_diff_frames: probing_diff,
            upper_bracket_frames: 1,
            bracket_min_separation: 24,
            lower_bracket_frames: 3,
            upper_bracket_fallback_frames: 1,
            first_frame: true,
            last_frame: true,
        };
        assert_eq!(s.metric.frames, frames, "{name}");
        let mix = s.metric.mix;
        assert_eq!((mix.mean_inf, mix.mean_n3, mix.max_inf, mix.max_n3), (0.030, 0.24, 0.032, 0.20));
        let c = &s.character;
        let found = c.enable.then_some((c.roi_boost_max, c.crf_boost_max, c.crf_curve, c.motion_boost_max));
        assert_eq!(found, characters, "{name}");
    }
}

/// In the script's order but for what its list has besides ours.
#[test]
fn psychovisual_forks_get_the_parameters_of_2025() {
    for (name, bias, psy_rd) in [
        ("max-butteraugli", 16, "2.0"),
        ("balanced-character-butteraugli", 10, "2.0"),
        ("basic-ssimu2", 10, "1.5"),
        ("basic-character", 16, "2.0"),
    ] {
        let expected = [0, 1].map(|hvs| {
            format!(
                "--keyint -1 --input-depth 10 --scm 0 --tune 3 --luminance-qp-bias {bias} --qm-min 8 --chroma-qm-min 10 \
                 --psy-rd {psy_rd} --spy-rd 2 --complex-hvs {hvs} --qp-scale-compress-strength 3"
            )
        });
        assert_eq!(lists(&preset(name).base, EncoderFamily::Psyex), expected, "{name}");
    }
}

/// A preset for zones changes what it says itself; another one changes all.
#[test]
fn a_zone_with_a_preset_for_zones_is_otherwise_like_the_clip() {
    let request = Request {
        preset: Some("balanced-ssimu2".to_owned()),
        typed: vec![progression_boost::settings::Typed::set("metric.target=77")],
        zones: Some(ZoneList::Text("0 3000 scene-detection-av1an 3000 4000 butteraugli-max".to_owned())),
        ..Request::default()
    };
    let resolved = resolve(&request).unwrap();
    let zones = resolved.zones(5000, &mut Vec::new()).unwrap();
    assert_eq!(zones[0].settings.scenes.method, SceneMethod::Av1an);
    assert_eq!(zones[0].settings.metric, resolved.base.metric);
    assert_eq!(zones[0].settings.encoder, resolved.base.encoder);
    assert_eq!(zones[1].settings.metric.target, 0.85);
    assert_eq!(zones[2].settings, resolved.base);
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
    assert_eq!(examples.len(), 5);
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
