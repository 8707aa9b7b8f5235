//! `metric.crop = "auto"`: bars are found, left out of the measurement, and remembered.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::Ended;
use progression_boost::analysis::{AnalysisOptions, analyse};
use progression_boost::source::{self, OpenOptions};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

/// A film of 128x96 between bars, with black frames and one whose upper bar shows something.
fn script(folder: &Path, borders: &str, end: &str) -> std::path::PathBuf {
    let path = folder.join("clip.vpy");
    let text = format!(
        "{}black = core.std.BlankClip(clip, color=[16, 128, 128], length=6)\n\
         clip = (black + clip).std.AddBorders({borders}, color=[16, 128, 128])\n{end}\nclip.set_output()\n",
        common::three_shots([20, 20, 20])
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn bars(path: &Path) -> Option<[usize; 4]> {
    let clip = source::open(path, &OpenOptions::default()).unwrap();
    let options = AnalysisOptions::default();
    analyse(&clip, &BTreeSet::new(), options, &Events::silent(), &Cancel::new()).unwrap().bars
}

#[test]
fn bars_are_what_is_black_in_all_frames_that_show_something() {
    let folder = tempfile::tempdir().unwrap();
    let borders = "left=8, right=2, top=20, bottom=12";
    assert_eq!(bars(&script(folder.path(), borders, "")), Some([8, 2, 20, 12]));
    let deep = "clip = clip.resize.Point(format=vs.YUV420P10)";
    assert_eq!(bars(&script(folder.path(), borders, deep)), Some([8, 2, 20, 12]));
    // A line of text in one frame, at row 15 of the upper bar: an even number is left.
    let text = "line = core.std.AddBorders(core.std.BlankClip(clip[:1], width=60, height=1, color=[200, 128, 128], \
                format=vs.GRAY8), 40, clip.width - 100, 15, clip.height - 16)\n\
                luma = core.std.Expr([clip.std.ShufflePlanes(0, vs.GRAY)[30], line], 'x y max')\n\
                clip = clip[:30] + core.std.ShufflePlanes([luma, clip[30]], [0, 1, 2], vs.YUV) + clip[31:]";
    let text = text.replace("color=[200, 128, 128]", "color=200");
    assert_eq!(bars(&script(folder.path(), borders, &text)), Some([8, 2, 14, 12]));
    assert_eq!(bars(&script(folder.path(), "top=0", "")), Some([0; 4]));
    assert_eq!(bars(&script(folder.path(), "top=2", "clip = clip[:6]")), None);
}

#[test]
fn a_boost_leaves_bars_out_and_remembers_them() {
    common::require("SvtAv1EncApp");
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), "top=20, bottom=12", "");
    let boost = |name: &str, crop: &str| {
        let output = format!("{name}.json");
        let mut command = common::program(folder.path());
        command.args(["clip.vpy", "--preset", "ssimu2-mean", "-o", &output, "--temp", name, "--lp", "1"]);
        command.args(["--probing-preset", "12", "--final-preset", "12", "--set", crop]);
        let ended = Ended::of(&command.output().unwrap()).ok();
        let scenes = std::fs::read_to_string(folder.path().join(output)).unwrap();
        let settings = std::fs::read_to_string(folder.path().join(format!("{name}.settings.json"))).unwrap();
        let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
        let crop = settings["settings"]["base"]["metric"]["crop"].clone();
        (scenes, crop, ended.stderr)
    };
    let (by_hand, _, _) = boost("hand", "metric.crop=[0, 0, 20, 12]");
    let (found, remembered, said) = boost("found", "metric.crop=auto");
    assert_eq!(found, by_hand);
    assert_eq!(remembered, serde_json::json!([0, 0, 20, 12]));
    assert!(said.contains("black bars are not measured: [0, 0, 20, 12]"), "{said}");
}
