//! Character Boost inside a whole run: masks beside the probes, ROI maps that
//! the encoder takes, lower CRFs where the figure is.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

/// Two shots of 30 frames, 256x192: an empty one, and one through which a
/// saturated red square walks, which is what the tests' network marks.
const CLIP: &str = "\
import vapoursynth as vs
core = vs.core
def flat(width, height, color, length=30):
    return core.std.BlankClip(format=vs.RGB24, width=width, height=height, color=color, length=length, fpsnum=24, fpsden=1)
def stripes(a, b, size, count):
    one = flat(size, 192, a)
    return core.std.StackHorizontal([one, flat(size, 192, b)] * count)
empty = stripes([220, 230, 210], [250, 240, 255], 16, 8)
back = core.std.StackVertical([flat(256, 96, [60, 60, 70]), flat(256, 96, [110, 110, 100])])
red = flat(96, 96, [250, 10, 10])
def walk(n):
    x = 16 + n * 4
    left = core.std.CropAbs(back, x, 96, top=48)
    right = core.std.CropAbs(back, 256 - 96 - x, 96, left=x + 96, top=48)
    middle = core.std.StackHorizontal([left, red, right])
    return core.std.StackVertical([core.std.CropAbs(back, 256, 48), middle, core.std.CropAbs(back, 256, 48, top=144)])
clip = empty + core.std.FrameEval(back, walk)
clip.resize.Bicubic(format=vs.YUV420P8, matrix=1).set_output()
";

fn boost(folder: &Path, args: &[&str]) -> Output {
    let network = common::data("red.onnx");
    let output = common::program(folder)
        .args(["--preset", "character-boost", "--final-preset", "10", "--set", "scenes.target_split=20"])
        .args(["--character-backend", "ort", "--model"])
        .arg(network)
        .args(["--events", "events", "clip.vpy"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The words of every scene of the scenes file.
fn words(folder: &Path) -> Vec<Vec<String>> {
    let file: Value =
        serde_json::from_slice(&std::fs::read(folder.join("clip.scenes.json")).unwrap()).unwrap();
    let scenes = file["split_scenes"].as_array().unwrap();
    let of = |scene: &Value| serde_json::from_value(scene["zone_overrides"]["video_params"].clone()).unwrap();
    scenes.iter().map(of).collect()
}

fn value<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == option)?;
    Some(&words[at + 1])
}

fn crf(words: &[String]) -> f64 {
    value(words, "--crf").unwrap().parse().unwrap()
}

#[test]
fn the_scene_with_the_figure_gets_a_map_and_a_lower_crf() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clip.vpy"), CLIP).unwrap();
    let encoder = common::svt(common::Svt::V4_2);
    let encoder = encoder.to_str().unwrap();
    boost(folder.path(), &["--encoder-path", encoder]);

    let scenes = words(folder.path());
    assert_eq!(scenes.len(), 2);
    // Base CRF of the preset; the figure's scene is below it.
    assert!((crf(&scenes[0]) - 28.0).abs() < 0.26, "{:?}", scenes[0]);
    assert!(crf(&scenes[1]) < crf(&scenes[0]) - 1.0, "{:?}", scenes[1]);
    let map = PathBuf::from(value(&scenes[1], "--roi-map-file").expect("the figure's scene has a map"));
    assert!(map.is_absolute());
    let checked = common::program(folder.path())
        .args(["roi", "check", "--size", "256x192"])
        .arg(&map)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    // A resumed run reads the masks back: the network is not even opened.
    let first = std::fs::read(folder.path().join("clip.scenes.json")).unwrap();
    let output = boost(folder.path(), &["--encoder-path", encoder, "--resume"]);
    assert_eq!(std::fs::read(folder.path().join("clip.scenes.json")).unwrap(), first);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("ONNX Runtime"), "{said}");
}

#[test]
fn without_roi_support_the_map_becomes_crf_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clip.vpy"), CLIP).unwrap();
    let encoder = common::svt(common::Svt::V1_4);
    let output = boost(folder.path(), &["--encoder-path", encoder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let scenes = words(folder.path());
    assert!(said.contains("roi-map-file"), "{said}");
    assert!(scenes.iter().all(|words| value(words, "--roi-map-file").is_none()));
    assert!(crf(&scenes[1]) < crf(&scenes[0]) - 1.0, "{scenes:?}");
}
