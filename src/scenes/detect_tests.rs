use super::*;
use crate::analysis::{Builtin, LumaStats};
use crate::settings::{Request, SceneSettings, resolve};
use crate::support::events::hearing_warnings;

fn zone(frames: Range<usize>, method: SceneMethod) -> Zone {
    let request = Request { preset: Some("scene-detection".to_owned()), ..Request::default() };
    let mut settings = resolve(&request).unwrap().base;
    settings.scenes = SceneSettings {
        method,
        strict: false,
        full_range: None,
        rules: None,
        extra_split: 264,
        min_scene_len: 12,
        target_split: 60,
        progressive: settings.scenes.progressive,
        x264: settings.scenes.x264,
        input_scenes: None,
    };
    Zone { name: None, frames, settings }
}

fn analysis(frames: usize, cuts: &[usize]) -> Analysis {
    let mut flags = vec![false; frames];
    let mut diff = vec![0.01; frames];
    for &n in cuts {
        flags[n] = true;
        diff[n] = 0.2;
    }
    Analysis {
        luma: LumaStats {
            bits: 8,
            full_range: false,
            average: vec![0.5; frames],
            min: vec![30; frames],
            max: vec![200; frames],
            diff,
        },
        builtin: Some(Builtin { contrast: vec![0.0; frames], cuts: flags }),
        ..Analysis::default()
    }
}

fn no_wwxd(plugin: Plugin) -> Option<String> {
    (plugin == Plugin::Wwxd).then(|| "WWXD is an API 3 plugin".to_owned())
}

fn no_x264(_: &Path) -> Result<FirstPass> {
    bail!("there is no x264")
}

fn starts(detection: &Detection) -> Vec<usize> {
    detection.scenes.iter().map(|s| s.start).collect()
}

#[test]
fn a_method_whose_plugin_is_missing_falls_back_and_says_which_and_why() {
    let zones = [
        zone(0..100, SceneMethod::WwxdScxvid),
        zone(100..200, SceneMethod::Scxvid),
        zone(200..300, SceneMethod::Av1anFast),
    ];
    let plan = plan_with(&zones, no_wwxd, no_x264).unwrap();
    let methods: Vec<SceneMethod> = plan.zones.iter().map(|z| z.method).collect();
    assert_eq!(methods, [SceneMethod::Builtin, SceneMethod::Scxvid, SceneMethod::Av1anFast]);
    let sentence = plan.zones[0].fallback.as_deref().unwrap();
    assert_eq!(sentence, "Scenes are found by `builtin` instead of `wwxd_scxvid`: WWXD is an API 3 plugin.");
    assert_eq!(plan.zones[1].fallback, None);
    let wanted = BTreeSet::from([Detector::Builtin, Detector::Scxvid, Detector::Av1anFast]);
    assert_eq!(plan.detectors, wanted);
}

#[test]
fn a_method_asked_for_by_name_does_not_fall_back() {
    let mut wanted = zone(0..100, SceneMethod::Wwxd);
    wanted.settings.scenes.strict = true;
    let error = plan_with(&[wanted], no_wwxd, no_x264).unwrap_err().to_string();
    assert!(error.contains("`wwxd` cannot run: WWXD is an API 3 plugin"), "{error}");
}

#[test]
fn zones_are_split_apart_with_their_own_lengths_and_boundaries_are_scene_starts() {
    let mut second = zone(150..600, SceneMethod::Builtin);
    second.settings.scenes.extra_split = 100;
    let zones = [zone(0..150, SceneMethod::Builtin), second];
    let plan = plan_with(&zones, |_| None, no_x264).unwrap();
    let detection = detect(&zones, &plan, &analysis(600, &[70, 155, 400]), &Events::silent()).unwrap();
    assert!(starts(&detection).contains(&70));
    assert!(starts(&detection).contains(&150));
    assert!(starts(&detection).contains(&400));
    // Nearer to the zone's start than a scene may be short.
    assert!(!starts(&detection).contains(&155));
    assert_eq!(detection.scenes.last().unwrap().end, 600);
    assert!(detection.scenes.iter().filter(|s| s.start >= 150).all(|s| s.frames() <= 100));
    assert!(detection.scenes.windows(2).all(|w| w[0].end == w[1].start));
    assert_eq!(detection.scores.len(), 600);
    assert!((detection.scores[150] - 1.16).abs() < 1e-12);
}

#[test]
fn external_scenes_are_cut_at_zone_boundaries_with_a_warning_for_short_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    let list = r#"{"scenes": [{"start_frame": 0, "end_frame": 53}, {"start_frame": 53, "end_frame": 100}]}"#;
    std::fs::write(&path, list).unwrap();
    let external = |frames: Range<usize>, enable: bool| {
        let mut zone = zone(frames, SceneMethod::External);
        zone.settings.scenes.input_scenes = Some(path.clone());
        zone.settings.metric.enable = enable;
        zone
    };
    let run = |enable: bool| {
        let zones = [external(0..50, enable), external(50..100, enable)];
        let plan = plan_with(&zones, |_| None, no_x264).unwrap();
        let (events, heard) = hearing_warnings();
        let detection = detect(&zones, &plan, &analysis(100, &[]), &events).unwrap();
        let warnings = heard.lock().unwrap().clone();
        (starts(&detection), warnings)
    };
    let (found, warnings) = run(false);
    assert_eq!(found, [0, 50, 53]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("scene 0") && warnings[0].contains("3 frames (50 to 53)"), "{warnings:?}");
    assert_eq!(run(true), (vec![0, 50, 53], vec![]));
}

#[test]
fn an_external_list_that_does_not_cover_the_zone_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    std::fs::write(&path, r#"{"scenes": [{"start_frame": 0, "end_frame": 53}]}"#).unwrap();
    let mut zone = zone(0..100, SceneMethod::External);
    zone.settings.scenes.input_scenes = Some(path);
    let zones = [zone];
    let plan = plan_with(&zones, |_| None, no_x264).unwrap();
    let error = detect(&zones, &plan, &analysis(100, &[]), &Events::silent()).unwrap_err().to_string();
    assert!(error.contains("do not cover frames 0 to 100"), "{error}");
}

#[test]
fn av1an_lists_are_taken_as_they_are_but_for_forced_zone_starts() {
    let zones = [zone(0..100, SceneMethod::Av1an), zone(100..300, SceneMethod::Av1an)];
    let plan = plan_with(&zones, |_| None, no_x264).unwrap();
    let mut frames = vec![Av1anFrame { cut: false, cost: Some(0.2) }; 300];
    for n in [0, 40, 45, 200] {
        frames[n].cut = true;
    }
    let analysis = Analysis { av1an: Some(frames), ..analysis(300, &[]) };
    let detection = detect(&zones, &plan, &analysis, &Events::silent()).unwrap();
    assert_eq!(starts(&detection), [0, 40, 100, 200]);
    assert!((detection.scores[200] - 1.01).abs() < 1e-12);
}

/// A scene of 60 frames, the target, is whole by the one table; by the other a cut of
/// 1 + 0.2 − 0.01 divides it, for 60 − 29 is no multiple of two.
#[test]
fn every_method_can_split_by_either_table() {
    for (rules, wanted) in [(SplitRules::ExtraSplit, &[0][..]), (SplitRules::Progressive, &[0, 29])] {
        let mut zone = zone(0..60, SceneMethod::Builtin);
        zone.settings.scenes.rules = Some(rules);
        let zones = [zone];
        let plan = plan_with(&zones, |_| None, no_x264).unwrap();
        let detection = detect(&zones, &plan, &analysis(60, &[29]), &Events::silent()).unwrap();
        assert_eq!(starts(&detection), wanted, "{rules:?}");
    }
}

#[test]
fn without_x264_a_single_detector_takes_the_place_of_progressive_with_the_same_rules() {
    let zones = [zone(0..100, SceneMethod::Progressive)];
    for (plan, method) in [
        (plan_with(&zones, no_wwxd, no_x264).unwrap(), SceneMethod::Builtin),
        (plan_with(&zones, |_| None, no_x264).unwrap(), SceneMethod::Wwxd),
    ] {
        assert_eq!((plan.zones[0].method, plan.zones[0].rules), (method, SplitRules::Progressive));
        let sentence = plan.zones[0].fallback.as_deref().unwrap();
        assert!(
            sentence.contains(&format!("`{}` instead of `progressive`: there is no x264", method.name()))
        );
        assert_eq!((plan.first_pass, plan.detectors.len()), (None, 1));
    }
    let mut strict = zones;
    strict[0].settings.scenes.strict = true;
    let error = plan_with(&strict, |_| None, no_x264).unwrap_err().to_string();
    assert!(error.contains("`progressive` cannot run: there is no x264"), "{error}");
}

/// x264 alone weighs 0.94, the other detector 0.88, both no more than 1; rises are half
/// of 0.01, and 0.2 less the 0.01 before.
#[test]
fn progressive_weighs_x264_with_the_other_detector() {
    let zones = [zone(0..100, SceneMethod::Progressive)];
    let flags = |cuts: &[usize]| Some((0..100).map(|n| cuts.contains(&n)).collect::<Vec<bool>>());
    let found = Analysis { x264: flags(&[20, 40]), ..analysis(100, &[40, 60]) };
    let plan = Plan {
        zones: vec![ZoneMethod {
            frames: 0..100,
            method: SceneMethod::Progressive,
            rules: SplitRules::Progressive,
            fallback: None,
        }],
        detectors: BTreeSet::new(),
        first_pass: None,
    };
    let scores = detect(&zones, &plan, &found, &Events::silent()).unwrap().scores;
    for (n, wanted) in [(10, 0.005), (20, 0.945), (40, 1.19), (60, 0.88 + 0.19)] {
        assert!((scores[n] - wanted).abs() < 1e-12, "{n}: {}", scores[n]);
    }
}
