//! Zones: how lists are read, what covers the clip, which settings hold where.

// Values are copied from presets, not computed.
#![allow(clippy::float_cmp)]

use std::path::PathBuf;

use progression_boost::settings::{Metric, Request, Resolved, Typed, Zone, ZoneList, resolve};
use proptest::prelude::*;

const PRESET: &str = r#"
[encoder]
program = "MyEncoder"
[zones.dark.metric]
target = 0.7
[zones.credits]
metric.enable = false
metric.base_crf = 40
encoder.params.final = "--tune 0"
scenes.method = "builtin"
character.enable = true
"#;

fn request(preset: &str, zones: &str) -> (tempfile::TempDir, Request) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, preset).unwrap();
    let request = Request {
        preset: Some(path.to_str().unwrap().to_owned()),
        zones: Some(ZoneList::Text(zones.to_owned())),
        ..Request::default()
    };
    (folder, request)
}

fn resolved(zones: &str) -> Resolved {
    let (_folder, request) = request(PRESET, zones);
    resolve(&request).unwrap()
}

fn refused(preset: &str, zones: &str) -> String {
    let (_folder, request) = request(preset, zones);
    resolve(&request).unwrap_err().to_string()
}

/// The zones of a clip of 1000 frames and the warnings.
fn zones(list: &str) -> (Vec<Zone>, Vec<String>) {
    let mut warnings = Vec::new();
    let zones = resolved(list).zones(1000, &mut warnings).unwrap();
    assert_eq!(zones.first().unwrap().frames.start, 0);
    assert_eq!(zones.last().unwrap().frames.end, 1000);
    assert!(zones.windows(2).all(|pair| pair[0].frames.end == pair[1].frames.start), "{list}");
    assert!(zones.iter().all(|zone| !zone.frames.is_empty()));
    (zones, warnings)
}

fn shape(zones: &[Zone]) -> Vec<(Option<&str>, usize, usize)> {
    zones.iter().map(|zone| (zone.name.as_deref(), zone.frames.start, zone.frames.end)).collect()
}

#[test]
fn without_zones_the_base_covers_the_clip() {
    let (all, warnings) = zones("");
    assert_eq!((shape(&all), warnings.len()), (vec![(None, 0, 1000)], 0));
}

#[test]
fn zones_and_the_base_cover_the_clip_exactly() {
    let (all, warnings) = zones("500 -1 credits  100 200 dark");
    assert_eq!(
        shape(&all),
        [(None, 0, 100), (Some("dark"), 100, 200), (None, 200, 500), (Some("credits"), 500, 1000)]
    );
    assert!(warnings.is_empty());
    let (all, _) = zones("0 200 dark\n200 1000 credits # to the end\n");
    assert_eq!(shape(&all), [(Some("dark"), 0, 200), (Some("credits"), 200, 1000)]);
}

#[test]
fn keys_of_a_zone_override_the_preset_there_only() {
    let (all, _) = zones("100 200 dark 300 400 credits");
    let [base, dark, _, credits, _] = &all[..] else { panic!("{}", all.len()) };
    assert_eq!((base.settings.metric.target, dark.settings.metric.target), (0.95, 0.7));
    assert_eq!(dark.settings.scenes, base.settings.scenes);
    assert!(base.settings.metric.enable && !credits.settings.metric.enable);
    assert_eq!(credits.settings.metric.base_crf, 40.0);
    assert!(credits.settings.character.enable);
    for params in credits.settings.encoder.params.values() {
        assert_eq!(params.final_, ["--tune", "0"]);
    }
}

#[test]
fn a_zone_may_name_another_preset_but_not_the_computer_it_was_made_for() {
    let (_folder, mut request) = request(PRESET, "0 10 ssimu2-mean");
    request.typed = vec![
        Typed::set("encoder.lp=2"),
        Typed::set("metric.backend=native"),
        Typed::set("metric.target=0.9"),
        Typed::flag("--final-preset", "encoder.final_preset", "5"),
    ];
    let all = resolve(&request).unwrap().zones(1000, &mut Vec::new()).unwrap();
    let zone = &all[0].settings;
    assert_eq!((zone.metric.metric, zone.metric.target), (Metric::Ssimu2, 80.0));
    assert_eq!(zone.encoder.probing_preset, 8);
    assert_eq!((&zone.encoder.program, zone.encoder.lp), (&PathBuf::from("MyEncoder"), 2));
    assert_eq!(zone.metric.backend, progression_boost::settings::MetricBackend::Native);
    // A flag about the encoder is about every zone; one about the picture is about the preset.
    assert_eq!((zone.encoder.final_preset, all[1].settings.encoder.final_preset), (5, 5));
    assert_eq!(all[1].settings.metric.target, 0.9);
}

#[test]
fn a_typed_key_reaches_zone_tables_that_do_not_say_otherwise() {
    let (_folder, mut request) = request(PRESET, "0 10 dark 10 20 credits");
    request.typed = vec![
        Typed::set("metric.target=0.5"),
        Typed::set("metric.max_crf=45"),
        Typed::set("zones.credits.metric.base_crf=44"),
    ];
    let all = resolve(&request).unwrap().zones(1000, &mut Vec::new()).unwrap();
    assert_eq!((all[0].settings.metric.target, all[0].settings.metric.max_crf), (0.7, 45.0));
    assert_eq!(all[1].settings.metric.base_crf, 44.0);
}

#[test]
fn what_lies_beyond_the_clip_is_cut_or_left_out_with_a_warning() {
    let (all, warnings) = zones("900 1200 dark 1200 1300 credits");
    assert_eq!(shape(&all), [(None, 0, 900), (Some("dark"), 900, 1000)]);
    assert_eq!(
        warnings,
        [
            "zone dark ends at frame 1200, the clip has 1000: it ends with the clip",
            "zone credits starts at frame 1200, the clip has 1000: left out"
        ]
    );
    let (all, warnings) = zones("1000 -1 dark");
    assert_eq!(shape(&all), [(None, 0, 1000)]);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn an_empty_clip_is_an_error() {
    assert!(resolved("").zones(0, &mut Vec::new()).is_err());
}

#[test]
fn bad_lists_are_refused_with_their_places() {
    for (list, expected) in [
        (
            "0 100 dark 50 150 dark",
            "--zones-string:1:19: zone 50 150 dark overlaps zone 0 100 dark: zones share no frame",
        ),
        (
            "50 -1 dark 60 70 dark",
            "--zones-string:1:18: zone 60 70 dark overlaps zone 50 -1 dark: zones share no frame",
        ),
        ("100 100 dark", "--zones-string:1:5: end 100: must be above the zone's start 100"),
        ("100 50 dark", "--zones-string:1:5: end 50: must be above the zone's start 100"),
        ("-1 50 dark", "--zones-string:1:1: start \"-1\": must be a frame number from 0"),
        (
            "0 -2 dark",
            "--zones-string:1:3: end \"-2\": must be a frame number (exclusive), or -1 for the clip's end",
        ),
        ("0 50 dark 60", "--zones-string:1:11: \"60\" is left over: every zone is `start end name`"),
    ] {
        assert_eq!(refused(PRESET, list), expected);
    }
    let text = refused(PRESET, "0 50 drak");
    assert!(text.starts_with("--zones-string:1:6: the preset's zones are credits, dark; did you mean dark?; there is no preset \"drak\""), "{text}");
    let text = refused(PRESET, "0 50 drak x 60 dark 70 60 dark");
    assert!(text.starts_with("3 problems in the settings:"), "{text}");
}

/// As editors of Windows and its PowerShell leave them.
#[test]
fn presets_and_lists_of_zones_may_have_marks_and_be_utf_16() {
    let (folder, mut request) = request(&format!("\u{feff}{}", PRESET.replace('\n', "\r\n")), "");
    let list = folder.path().join("zones.txt");
    let utf_16: Vec<u8> = "\u{feff}0 10 dark\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in ["\u{feff}0 10 dark\r\n".as_bytes(), &utf_16] {
        std::fs::write(&list, bytes).unwrap();
        request.zones = Some(ZoneList::File(list.clone()));
        assert_eq!(resolve(&request).unwrap().zone_names(), ["dark"]);
    }
}

#[test]
fn zones_come_from_a_file_too() {
    let (folder, mut request) = request(PRESET, "");
    let list = folder.path().join("zones.txt");
    std::fs::write(&list, "# start end name\n0 10 dark\r\n20 30 credits\n").unwrap();
    request.zones = Some(ZoneList::File(list.clone()));
    let resolved = resolve(&request).unwrap();
    assert_eq!(resolved.zone_names(), ["dark", "credits"]);
    let all = resolved.zones(40, &mut Vec::new()).unwrap();
    assert_eq!(
        shape(&all),
        [(Some("dark"), 0, 10), (None, 10, 20), (Some("credits"), 20, 30), (None, 30, 40)]
    );
    std::fs::write(&list, "0 10 dark\n20 10 dark\n").unwrap();
    let text = resolve(&request).unwrap_err().to_string();
    assert_eq!(text, format!("{}:2:4: end 10: must be above the zone's start 20", list.display()));
    request.zones = Some(ZoneList::File(folder.path().join("none.txt")));
    assert!(resolve(&request).unwrap_err().to_string().contains("none.txt: cannot read the zones: "));
}

#[test]
fn zone_tables_are_checked_whether_used_or_not() {
    let text = refused("[zones.a.encoder]\nworkers = 3\n", "");
    assert!(
        text.ends_with("mine.toml:2:11: encoder.workers cannot differ between zones: set it outside [zones]"),
        "{text}"
    );
    for key in ["source.provider = \"lsmash\"", "character.backend = \"ort\"", "character.model = \"m.onnx\""]
    {
        assert!(refused(&format!("[zones.a]\n{key}\n"), "").contains("cannot differ between zones"), "{key}");
    }
    let text = refused("[zones.a.metric]\nmetric = \"ssimu2\"\n", "");
    assert!(text.contains("mine.toml:2:10: metric.target 0.95: must be 15 to 100"), "{text}");
    let text = refused("[zones.\"a b\".metric]\ntarget = 1\n", "");
    assert!(text.ends_with("zone name \"a b\": must be one word"), "{text}");
    let text = refused("[zones]\na = 1\n", "");
    assert!(text.contains("zones.a must be a table: write [zones.a.metric]"), "{text}");
    let text = refused("[zones.a.metric]\ntaget = 1\n", "");
    assert!(text.ends_with("2:1: metric.taget is not a key; did you mean metric.target?"), "{text}");
}

#[test]
fn zone_tables_are_inherited() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.toml"), PRESET).unwrap();
    let mine = folder.path().join("mine.toml");
    std::fs::write(&mine, "extends = \"base.toml\"\n[zones.dark.metric]\nmax_crf = 30\n").unwrap();
    let request = Request {
        preset: Some(mine.to_str().unwrap().to_owned()),
        zones: Some(ZoneList::Text("0 10 dark".to_owned())),
        ..Request::default()
    };
    let all = resolve(&request).unwrap().zones(10, &mut Vec::new()).unwrap();
    assert_eq!((all[0].settings.metric.target, all[0].settings.metric.max_crf), (0.7, 30.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_zones_they_cover_the_clip(
        parts in prop::collection::vec((0_usize..50, 1_usize..50), 0..12),
        total in 1_usize..600,
    ) {
        let mut end = 0;
        let mut wanted = std::collections::BTreeSet::new();
        let mut entries = Vec::new();
        for (gap, length) in parts {
            let start = end + gap;
            end = start + length;
            wanted.extend((start..end).filter(|frame| *frame < total));
            entries.push(format!("{start} {end} scene-detection"));
        }
        let (_folder, request) = request("", &entries.join(" "));
        let zones = resolve(&request).unwrap().zones(total, &mut Vec::new()).unwrap();
        let mut next = 0;
        for zone in &zones {
            prop_assert_eq!(zone.frames.start, next);
            prop_assert!(zone.frames.end > next);
            next = zone.frames.end;
            prop_assert!(zone.frames.clone().all(|frame| wanted.contains(&frame) == zone.name.is_some()));
        }
        prop_assert_eq!(next, total);
    }

    #[test]
    fn no_list_of_zones_panics(list in ".{0,60}", numbers in "[-0-9 a#\\n]{0,40}") {
        for list in [list, numbers] {
            let (_folder, request) = request(PRESET, &list);
            if let Ok(resolved) = resolve(&request) {
                prop_assert!(resolved.zones(100, &mut Vec::new()).is_ok());
            }
        }
    }
}
