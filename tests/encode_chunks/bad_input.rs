//! Input that cannot be encoded is refused before any work, with what to do.

use super::common::{self, Ended};
use super::tools::Clip;

#[test]
fn bad_qp_files_are_named_with_the_line() {
    let clip = Clip::new(50);
    let path = clip.path("list.txt");
    for (text, wanted) in [
        ("0 I\n30 I\n20 I\n", "line 3: frame 20 comes after 30"),
        ("0 I\n20 I\n20 I\n", "line 3: frame 20 is there twice"),
        ("0 I\n50 I\n", "line 2: frame 50 is beyond the clip, whose last frame is 49"),
        ("", "starts no scene"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = clip.encode_badly(&format!("--qpfile '{}'", path.display()), 1);
        assert!(error.contains(wanted) && error.contains("list.txt"), "{error}");
    }
    assert!(!clip.output().exists());
}

#[test]
fn scenes_of_another_clip_or_encoder_are_refused() {
    let clip = Clip::new(50);
    let path = clip.path("ep.json");
    let file = |frames: usize, encoder: &str, params: &str| {
        format!(
            r#"{{"frames": {frames}, "scenes": [{{"start_frame": 0, "end_frame": {frames},
            "zone_overrides": {{"encoder": "{encoder}", "video_params": [{params}]}}}}]}}"#
        )
    };
    for (text, wanted) in [
        (file(60, "aom", ""), "the list was made for another clip"),
        (file(50, "x264", ""), "encoder `x264`: `encode` drives aom and svt_av1"),
        (file(50, "aom", r#""--luma-bias=20""#), "scene 0, frames 0..50: "),
        (
            file(50, "svt_av1", r#""--roi-map-file", "/nowhere/roi.txt""#),
            "ROI map /nowhere/roi.txt is not there",
        ),
        ("{}".to_owned(), "neither `split_scenes` nor `scenes`"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = clip.encode_badly(&format!("--scenes '{}'", path.display()), 1);
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn mistyped_options_are_told_before_anything_is_encoded() {
    let clip = Clip::new(50);
    for (args, code, wanted) in [
        ("--params=--cpu-use=3", 1, "has no --cpu-use (did you mean --cpu-used?)"),
        ("--params=--tune=vmag", 1, "takes --tune of psnr, ssim"),
        ("--params=--sharpness=99", 1, "does not take its parameters"),
        ("--params=--limit=5", 1, "--limit cannot be a parameter"),
        ("--params '--second-pass-log x'", 1, "--params: --second-pass-log cannot be a parameter"),
        ("--encoder svt-av1 --params '--crf 27.3'", 1, "--params: --crf 27.3: SVT-AV1"),
        ("--encoder svt-av1 --params '--tune x'", 1, "--tune x: must be a number"),
        ("--scd-thresh 0.4", 2, "--scd-thresh is for --scene-method ffmpeg"),
        ("--params 27", 2, "`27` belongs to no option"),
        ("--q 70", 1, "--q 70: aomenc takes whole numbers from 0 to 63"),
        ("--encoder svt-av1 --q 27.3", 1, "--q 27.3"),
        ("--encoder-preset 4k", 1, "encoder preset `4k`"),
        ("--scene-method wwwd", 2, "wwwd"),
        ("--min-chunk-length 0", 2, "--min-chunk-length 0"),
        ("--bit-depth 12", 2, "--bit-depth 12"),
        ("--encoder-path /nowhere/aomenc", 1, "no encoder `/nowhere/aomenc`"),
        ("--copy-from /nowhere/source.mkv", 1, "--copy-from /nowhere/source.mkv"),
    ] {
        let error = clip.encode_badly(args, code);
        assert!(error.contains(wanted), "{args}: {error}");
    }
    assert!(!clip.output().exists() && clip.journal().is_empty());
}

/// What others wrote is not trusted with files.
#[test]
fn no_list_of_options_may_write_where_it_likes() {
    let clip = Clip::new(20);
    let (scenes, presets, elsewhere) = (clip.path("ep.json"), clip.path("own.toml"), clip.path("elsewhere"));
    for (encoder, option) in [
        ("svt_av1", "-b"),
        ("svt_av1", "--output"),
        ("svt_av1", "--stat-file"),
        ("svt_av1", "-c"),
        ("aom", "-o"),
        ("aom", "--fpf"),
    ] {
        let text = format!(
            r#"{{"frames": 20, "scenes": [{{"start_frame": 0, "end_frame": 20,
            "zone_overrides": {{"encoder": "{encoder}", "video_params": ["{option}", "{}"]}}}}]}}"#,
            elsewhere.display()
        );
        std::fs::write(&scenes, text).unwrap();
        let error = clip.encode_badly(&format!("--scenes '{}'", scenes.display()), 1);
        assert!(error.contains(&format!("video_params: {option} cannot be a parameter: ")), "{error}");
    }
    for (encoder, table, key) in [("svt-av1", "svt-av1", "errlog"), ("aom", "aom", "output")] {
        let own = format!("[defaults.{table}]\n{key} = '{}'\n", elsewhere.display());
        std::fs::write(&presets, own).unwrap();
        let args = format!("--encoder {encoder} --encoder-presets '{}'", presets.display());
        let error = clip.encode_badly(&args, 1);
        assert!(error.contains(&format!("encoder presets: --{key} cannot be a parameter: ")), "{error}");
    }
    assert!(!elsewhere.exists() && !clip.output().exists());
}

#[test]
fn an_encoder_that_no_scene_is_for_is_refused() {
    let clip = Clip::new(20);
    let path = clip.path("ep.json");
    let text = r#"{"frames": 20, "scenes": [{"start_frame": 0, "end_frame": 20,
        "zone_overrides": {"encoder": "svt_av1", "video_params": ["--crf", "30", "--preset", "10"]}}]}"#;
    std::fs::write(&path, text).unwrap();
    let error = clip.encode_badly(&format!("--scenes '{}' --encoder aom", path.display()), 1);
    assert!(error.contains("--encoder aom: all scenes of the file are for svt-av1"), "{error}");
    clip.encode_well(&format!("--scenes '{}' --encoder svt-av1", path.display()));
}

#[test]
fn an_existing_output_is_replaced_only_when_asked() {
    let clip = Clip::new(10);
    std::fs::write(clip.output(), "precious").unwrap();
    let mut command = common::program(clip.folder.path());
    let output = command.arg("encode").arg(clip.script()).arg("-o").arg(clip.output()).output().unwrap();
    Ended::of(&output).failed(2, &["--force"]);
    assert_eq!(std::fs::read(clip.output()).unwrap(), b"precious");
}
