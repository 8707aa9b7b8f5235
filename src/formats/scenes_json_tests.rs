//! Files as av1an and others write them, and what is wrong with bad ones.

use super::*;

fn ranges_of(text: &str, frames: usize) -> Result<Vec<Range<usize>>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    std::fs::write(&path, text).unwrap();
    read_ranges(&path, frames)
}

fn error_of(text: &str) -> String {
    let error = format!("{:#}", ranges_of(text, 100).unwrap_err());
    assert!(error.contains("list.json"), "{error}");
    error
}

#[test]
fn the_split_list_counts_and_foreign_keys_do_not_matter() {
    let scenes = ranges_of(
        r#"{"frames": 100, "tool": {"name": "x", "nested": [[1], {"a": null}]},
            "scenes": [{"start_frame": 0, "end_frame": 100, "zone_overrides": null}],
            "split_scenes": [
              {"start_frame": 0, "end_frame": 40, "target_quality": 1.5,
               "zone_overrides": {"encoder": "svt_av1", "video_params": ["--crf", "27.50"]}},
              {"start_frame": 40, "end_frame": 100}]}"#,
        100,
    )
    .unwrap();
    assert_eq!(scenes, [0..40, 40..100]);
    let old = r#"{"scenes": [{"start_frame": 0, "end_frame": 100}], "split_scenes": null}"#;
    assert_eq!(ranges_of(old, 100).unwrap(), vec![0..100]);
}

#[test]
fn what_is_wrong_is_said_with_the_number_of_the_scene() {
    let scene = |start: &str, end: &str| format!(r#"{{"start_frame": {start}, "end_frame": {end}}}"#);
    let list = |frames: &str, scenes: &[String]| {
        format!(r#"{{"frames": {frames}, "scenes": [{}]}}"#, scenes.join(","))
    };
    let first = || scene("0", "40");
    for (text, says) in [
        (
            list("100", &[first(), scene("50", "100")]),
            "scene 1 of `scenes`: it starts at 50: frames 40 to 50",
        ),
        (list("100", &[first(), scene("30", "100")]), "scene 1 of `scenes`: it starts at 30, inside"),
        (list("100", &[first(), scene("40", "40")]), "scene 1 of `scenes`: frames 40 to 40: it is empty"),
        (list("100", &[first(), scene("40", "120")]), "scene 1 of `scenes`: it ends at 120"),
        (list("100", &[scene("-1", "40")]), "scene 0 of `scenes`: `start_frame` is -1"),
        (list("100", &[scene("0", "40.5")]), "`end_frame` is 40.5"),
        (list("100", &[scene("\"0\"", "40")]), "`start_frame` is \"0\""),
        (list("100", &["{}".to_owned()]), "scene 0 of `scenes`: `start_frame` is missing"),
        (list("720", &[first()]), "`frames` is 720, but the clip has 100"),
        (list("100", &[]), "`scenes` is empty"),
        ("{}".to_owned(), "neither"),
        ("[1, 2]".to_owned(), "not an av1an scenes.json"),
        ("0 40 svt-av1".to_owned(), "not an av1an scenes.json"),
        (String::new(), "not an av1an scenes.json"),
        ("[".repeat(100_000), "not an av1an scenes.json"),
    ] {
        let error = error_of(&text);
        assert!(error.contains(says), "{error}\nlacks: {says}");
    }
    assert!(format!("{:#}", read_ranges(Path::new("no/such.json"), 1).unwrap_err()).contains("no/such.json"));
}

#[test]
fn a_hundred_megabytes_are_read_and_the_wrong_scene_in_them_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    let count = 800_000;
    let padding = "x".repeat(60);
    let mut text = String::from("{\"scenes\": [");
    for n in 0..count {
        let end = if n == 700_000 { 10 * n } else { 10 * n + 10 };
        let comma = if n + 1 < count { "," } else { "" };
        let (start, padded) = (10 * n, format!(r#""zone_overrides":{{"video_params":["{padding}"]}}"#));
        text += r#"{"start_frame":"#;
        text += &start.to_string();
        text += r#","end_frame":"#;
        text += &end.to_string();
        text.extend([",", &padded, "}", comma]);
    }
    text += "]}";
    assert!(text.len() > 100_000_000, "{}", text.len());
    std::fs::write(&path, &text).unwrap();
    let error = format!("{:#}", read_ranges(&path, 10 * count).unwrap_err());
    assert!(error.contains("scene 700000 of `scenes`"), "{error}");
    // Cut short: not JSON any more.
    std::fs::write(&path, &text[..text.len() - 1]).unwrap();
    let error = format!("{:#}", read_ranges(&path, 10 * count).unwrap_err());
    assert!(error.contains("not an av1an scenes.json") && error.contains("EOF"), "{error}");
}

/// The file of spec 06, key for key.
#[test]
fn the_file_has_av1an_s_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ep01.scenes.json");
    let overrides = ZoneOverrides {
        encoder: "svt_av1".into(),
        passes: 1,
        video_params: ["--crf", "27.50", "--preset", "2"].map(String::from).to_vec(),
        photon_noise: None,
        photon_noise_height: None,
        photon_noise_width: None,
        chroma_noise: false,
        extra_splits_len: Some(264),
        min_scene_len: 12,
    };
    let scenes = [
        SceneEntry { start_frame: 0, end_frame: 50, zone_overrides: Some(overrides) },
        SceneEntry::plain(50..720),
    ];
    write(&path, &scenes).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let expected_scenes = serde_json::json!([
        {"start_frame": 0, "end_frame": 50, "zone_overrides": {
            "encoder": "svt_av1", "passes": 1,
            "video_params": ["--crf", "27.50", "--preset", "2"],
            "photon_noise": null, "photon_noise_height": null, "photon_noise_width": null,
            "chroma_noise": false, "extra_splits_len": 264, "min_scene_len": 12}},
        {"start_frame": 50, "end_frame": 720, "zone_overrides": null}
    ]);
    let expected =
        serde_json::json!({"frames": 720, "scenes": expected_scenes, "split_scenes": expected_scenes});
    assert_eq!(read, expected);
}

fn read_text(text: &str, frames: usize) -> Result<Vec<SceneEntry>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    read(file.path(), frames)
}

/// The file of spec 06, shortened, with keys of newer and older versions.
#[test]
fn the_parameters_of_a_scenes_file_are_read() {
    let scenes = read_text(
        r#"{"frames": 720, "scenes": [{"start_frame": 0, "end_frame": 720, "zone_overrides": null}],
            "split_scenes": [
             {"start_frame": 0, "end_frame": 50, "zone_overrides": {
              "encoder": "svt_av1", "passes": 1, "video_params": ["--crf", "27.50", "--preset", "2"],
              "photon_noise": 4, "photon_noise_height": null, "photon_noise_width": null,
              "chroma_noise": true, "extra_splits_len": 264, "min_scene_len": 12, "target_quality": null}},
             {"start_frame": 50, "end_frame": 60, "zone_overrides": {"encoder": "aom"}},
             {"start_frame": 60, "end_frame": 720}]}"#,
        720,
    )
    .unwrap();
    let first = scenes[0].zone_overrides.as_ref().unwrap();
    assert_eq!(first.video_params[..2], ["--crf", "27.50"]);
    assert_eq!((first.photon_noise, first.chroma_noise), (Some(4), true));
    assert_eq!(scenes[1].zone_overrides.as_ref().unwrap().encoder, "aom");
    assert_eq!(scenes[2], SceneEntry::plain(60..720));
}

#[test]
fn a_file_of_another_clip_is_refused() {
    let text = r#"{"frames": 720, "scenes": [{"start_frame": 0, "end_frame": 720}]}"#;
    let error = format!("{:#}", read_text(text, 700).unwrap_err());
    assert!(error.contains("720") && error.contains("700"), "{error}");
    let text = r#"{"scenes": [{"start_frame": 0, "end_frame": 600}]}"#;
    let error = format!("{:#}", read_text(text, 700).unwrap_err());
    assert!(error.contains("end at frame 600, the clip has 700"), "{error}");
    let text = r#"{"scenes": [{"start_frame": 0, "end_frame": 700, "zone_overrides": 5}]}"#;
    let error = format!("{:#}", read_text(text, 700).unwrap_err());
    assert!(error.contains("zone_overrides"), "{error}");
}

#[test]
fn gaps_overlaps_and_wrong_ends_are_named() {
    let ranges = |parts: &[(usize, usize)]| parts.iter().map(|&(a, b)| a..b).collect::<Vec<_>>();
    for (parts, wanted) in [
        (&[(0, 10), (11, 20)][..], "scene 1 starts at frame 11 where the one before ends at 10"),
        (&[(0, 10), (9, 20)], "scene 1 starts at frame 9"),
        (&[(5, 20)], "scene 0 starts at frame 5"),
        (&[(0, 10), (10, 10), (10, 20)], "scene 1 is empty"),
        (&[(0, 10)], "end at frame 10, the clip has 20"),
        (&[], "end at frame 0, the clip has 20"),
    ] {
        let error = check_cover(&ranges(parts), 20).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    check_cover(&[0..10, 10..20], 20).unwrap();
}

#[test]
fn what_a_file_leaves_open_is_null_or_missing_and_wrong_overrides_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    let of_any_clip = |overrides: &str| {
        let first = r#"{"start_frame": 0, "end_frame": 40, "zone_overrides": null}"#;
        let second = format!(r#"{{"start_frame": 40, "end_frame": 100, "zone_overrides": {overrides}}}"#);
        std::fs::write(&path, format!(r#"{{"scenes": [{first}, {second}]}}"#)).unwrap();
        read_of_any_clip(&path)
    };
    for overrides in [r#"{"encoder": "aom"}"#, r#"{"encoder": "aom", "passes": null, "video_params": null}"#]
    {
        let scenes = of_any_clip(overrides).unwrap();
        let second = scenes[1].zone_overrides.as_ref().unwrap();
        assert_eq!((second.passes, second.video_params.len(), second.chroma_noise), (1, 0, false));
        assert_eq!((scenes[0].frames(), scenes[1].frames()), (0..40, 40..100));
    }
    for overrides in ["5", "{}", r#"{"encoder": "aom", "passes": 300}"#] {
        let error = format!("{:#}", of_any_clip(overrides).unwrap_err());
        assert!(error.contains("scene 1 of `scenes`: `zone_overrides` cannot be read"), "{error}");
    }
    // Without a clip, the file's own length counts.
    std::fs::write(&path, r#"{"frames": 30, "scenes": [{"start_frame": 0, "end_frame": 40}]}"#).unwrap();
    assert!(format!("{:#}", read_of_any_clip(&path).unwrap_err()).contains("it ends at 40"));
}
