//! ROI maps go to the scenes whose encoder takes them, and are of its pictures' grid.

mod common;

use std::path::Path;

use common::Ended;
use serde_json::Value;

/// 30 frames of `size` in which a saturated red square, which the tests' network
/// marks, stands on grey.
fn script(width: usize, height: usize, format: &str) -> String {
    format!(
        "import vapoursynth as vs\ncore = vs.core\n\
         def flat(w, h, color):\n    \
             return core.std.BlankClip(format=vs.RGB24, width=w, height=h, color=color, length=30)\n\
         grey = [90, 100, 95]\n\
         row = core.std.StackHorizontal([flat(32, 96, grey), flat(96, 96, [250, 10, 10]), flat({width} - 128, 96, grey)])\n\
         clip = core.std.StackVertical([flat({width}, 48, grey), row, flat({width}, {height} - 144, grey)])\n\
         clip.resize.Bicubic(format=vs.{format}, matrix=1).set_output()\n"
    )
}

fn boost(folder: &Path, args: &[&str]) -> Vec<Value> {
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/red.onnx");
    let mut command = common::program(folder);
    command.args(["--preset", "character-boost", "--final-preset", "10", "--character-backend", "ort"]);
    command.arg("--model").arg(network).arg("--encoder-path").arg(common::svt(common::Svt::V2_3));
    Ended::of(&command.arg("clip.vpy").args(args).output().unwrap()).ok();
    let text = std::fs::read(folder.join("clip.scenes.json")).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    file["split_scenes"].as_array().unwrap().clone()
}

/// The ROI map of a scene as text, if it has one.
fn map(scene: &Value) -> Option<String> {
    let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
    let at = words.iter().position(|word| word == "--roi-map-file")?;
    Some(std::fs::read_to_string(words[at + 1].as_str().unwrap()).unwrap())
}

#[test]
fn only_scenes_of_svt_av1_get_a_map() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clip.vpy"), script(256, 192, "YUV420P8")).unwrap();
    let crf = "dynamic.final_params='\"--quantizer \" + crf.to_string()'";
    let other = ["--set", "dynamic.encoder='\"rav1e\"'", "--set", crf];
    let scenes = boost(folder.path(), &other);
    assert!(scenes.iter().all(|scene| scene["zone_overrides"]["encoder"] == "rav1e"));
    assert!(scenes.iter().all(|scene| map(scene).is_none()), "{scenes:?}");
    assert!(!folder.path().join("clip.roi").exists());
    // What the map would have done is in the CRF: it is below that beside a map.
    let number = |scene: &Value, option: &str| {
        let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
        let at = words.iter().position(|word| word == option).unwrap();
        words[at + 1].as_str().unwrap().parse::<f64>().unwrap()
    };
    let without = number(&scenes[0], "--quantizer");
    let scenes = boost(folder.path(), &[]);
    assert!(map(&scenes[0]).is_some(), "{scenes:?}");
    assert!(without < number(&scenes[0], "--crf"), "{without} {scenes:?}");
}

/// The grids are worked out by hand: columns × rows of 64 pixels, rounded up.
#[test]
fn maps_are_of_the_encoded_picture_whatever_was_analysed() {
    for (size, cheap, format, blocks) in [
        // The analysis input is uncropped.
        ((256, 192), (256, 320), "YUV420P8", 4 * 3),
        // An odd column, which is not encoded, would be a fifth column of blocks.
        ((257, 192), (257, 192), "YUV444P8", 4 * 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clip.vpy"), script(size.0, size.1, format)).unwrap();
        std::fs::write(folder.path().join("cheap.vpy"), script(cheap.0, cheap.1, format)).unwrap();
        let scenes = boost(folder.path(), &["--analysis-input", "cheap.vpy"]);
        let map = map(&scenes[0]).expect("the figure's scene has a map");
        for line in map.lines() {
            assert_eq!(line.split(' ').count(), 1 + blocks, "{size:?}: {line}");
        }
    }
}
