//! `roi check`, `roi show` and `models`.

mod drawn;

use std::path::Path;

use assert_cmd::Command;
use drawn::Drawing;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

fn program() -> Command {
    let mut command = Command::cargo_bin("progression-boost").unwrap();
    // Not the models of whoever runs the tests.
    command.env_remove("PROGRESSION_BOOST_MODELS");
    command
}

const DRAWING: Drawing =
    Drawing { width: 192, height: 120, frames: 12, figure: (64, 64), at: (64, 0), speed: 0 };

#[test]
fn a_right_map_is_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("roi.txt");
    std::fs::write(&map, "0 2 -17 2 2 2 2\n1 4 4 4 4 4 4\n").unwrap();
    program()
        .args(["roi", "check", map.to_str().unwrap(), "--size", "192x120"])
        .assert()
        .success()
        .stdout(contains("right for 192x120, 2 lines of 3 x 2 blocks, values -17 to 4"));
}

#[test]
fn a_wrong_map_is_told_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("roi.txt");
    std::fs::write(&map, "0 2 -17 2 2 2 2\n1 -4 -4 -4 -4 -4 -4\n1 0 0\n").unwrap();
    program()
        .args(["roi", "check", map.to_str().unwrap(), "--size", "192x120"])
        .assert()
        .code(1)
        .stdout(contains("line 2: the highest value is -4"))
        .stdout(contains("line 3: frame 1 after frame 1"))
        .stdout(contains("line 3: 2 values: must be 6"))
        .stderr(contains("3 problems"));
    program()
        .args(["roi", "check", map.to_str().unwrap(), "--size", "192"])
        .assert()
        .code(2)
        .stderr(contains("WIDTHxHEIGHT"));
    program()
        .args(["roi", "check", "/no/such/map", "--size", "64x64"])
        .assert()
        .code(1)
        .stderr(contains("/no/such/map"));
}

fn pixels(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn a_map_is_drawn_over_the_frame_it_belongs_to() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("drawn.vpy");
    std::fs::write(&script, DRAWING.script()).unwrap();
    let map = folder.path().join("roi-map-00001.txt");
    std::fs::write(&map, "0 2 2 2 2 2 2\n4 0 -20 0 0 0 0\n").unwrap();
    // The scene starts at frame 5 of the clip, found by the map's name.
    let scenes = folder.path().join("scenes.json");
    let params = format!(r#"["--crf", "30", "--roi-map-file", "/elsewhere/{}"]"#, "roi-map-00001.txt");
    let entry = |start: usize, end: usize, params: &str| {
        format!(
            r#"{{"start_frame": {start}, "end_frame": {end}, "zone_overrides": {{"encoder": "svt_av1", "passes": 1,
            "video_params": {params}, "photon_noise": null, "photon_noise_height": null, "photon_noise_width": null,
            "chroma_noise": false, "extra_splits_len": 100, "min_scene_len": 5}}}}"#
        )
    };
    let text = format!(r#"{{"frames": 12, "scenes": [{}, {}]}}"#, entry(0, 5, "[]"), entry(5, 12, &params));
    std::fs::write(&scenes, text).unwrap();
    let picture = folder.path().join("picture.png");
    let show = |frame: &str| {
        let mut command = program();
        command.args(["roi", "show", map.to_str().unwrap(), "--input", script.to_str().unwrap()]);
        command.args([
            "--scenes",
            scenes.to_str().unwrap(),
            "--frame",
            frame,
            "-o",
            picture.to_str().unwrap(),
        ]);
        command
    };
    show("4").assert().success().stdout(contains("picture.png"));
    let (width, height, drawn) = pixels(&picture);
    assert_eq!((width, height), (192, 120));
    let mean = |left: usize, channel: usize| {
        let rows = 30..60;
        let count = rows.len() * 44;
        let sum: usize = rows
            .flat_map(|y| (left..left + 44).map(move |x| (y * 192 + x) * 3 + channel))
            .map(|i| usize::from(drawn[i]))
            .sum();
        sum / count
    };
    // Block 1 is tinted orange; block 0, of value 0, keeps its grey.
    assert!(mean(74, 0) > mean(74, 2) + 100, "{} {}", mean(74, 0), mean(74, 2));
    assert!(mean(10, 0).abs_diff(mean(10, 2)) < 8, "{} {}", mean(10, 0), mean(10, 2));
    show("7").assert().code(1).stderr(contains("frame 12: the clip has frames 0 to 11"));
}

#[test]
fn a_map_of_another_size_is_not_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("drawn.vpy");
    std::fs::write(&script, DRAWING.script()).unwrap();
    let map = folder.path().join("roi.txt");
    std::fs::write(&map, "0 2 2\n").unwrap();
    program()
        .args(["roi", "show", map.to_str().unwrap(), "--input", script.to_str().unwrap()])
        .assert()
        .code(1)
        .stderr(contains("not right for 192x120"));
}

#[test]
fn models_are_listed_with_their_shapes_and_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("isnet_is.onnx"), drawn::red_network()).unwrap();
    std::fs::write(folder.path().join("colour.onnx"), drawn::colour_network()).unwrap();
    program()
        .arg("models")
        .env("PROGRESSION_BOOST_MODELS", folder.path())
        .assert()
        .success()
        .stdout(contains("isnet_is.onnx: 1x3xHxW -> 1x1xHxW"))
        .stdout(contains("colour.onnx: not usable").and(contains("1x3xHxW -> 1x3xHxW")))
        .stdout(contains(format!("Used: {}", folder.path().join("isnet_is.onnx").display())));
}
