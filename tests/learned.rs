//! `--learned`: what one title taught, at the beginning of the next one.

mod common;

use std::path::PathBuf;

use common::{Ended, Svt, svt};
use serde_json::Value;

/// Episodes in one folder.
struct Season {
    folder: tempfile::TempDir,
}

impl Season {
    fn new() -> Self {
        let season = Self { folder: tempfile::tempdir().unwrap() };
        for (name, lengths) in [("one", [40, 30, 36]), ("two", [28, 44, 30])] {
            let text = format!("{}clip.set_output()\n", common::three_shots(lengths));
            std::fs::write(season.path(&format!("{name}.vpy")), text).unwrap();
        }
        season
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn boost(&self, name: &str, words: &[&str]) -> Ended {
        let fixed =
            ["--preset", "ssimu2-mean", "--probing-preset", "12", "--final-preset", "10", "--lp", "1"];
        let more = ["--learned", "show.learned.json", "--events", "events"];
        let input = [name];
        let all = [&input[..], &fixed, &more, words].concat();
        // Which scenes are near enough to their target to teach is a matter of the encoder's version.
        let mut program = common::program(self.folder.path());
        program.args(all).arg("--encoder-path").arg(svt(Svt::V1_4));
        Ended::of(&program.output().unwrap())
    }

    fn lessons(&self) -> Vec<Value> {
        let text = std::fs::read(self.path("show.learned.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["lessons"].as_array().unwrap().clone()
    }

    /// CRFs of the probes by scene, in the order they were made.
    fn probes(&self) -> Vec<(u64, f64)> {
        let text = std::fs::read_to_string(self.path("events")).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let probes = events.filter(|event| event["event"] == "probe" && event["calibration"] == false);
        probes.map(|event| (event["scene"].as_u64().unwrap(), event["crf"].as_f64().unwrap())).collect()
    }
}

/// First probes, by scene.
fn first(probes: &[(u64, f64)]) -> Vec<f64> {
    let scenes = probes.iter().map(|(scene, _)| *scene).max().unwrap_or(0);
    (0..=scenes)
        .filter_map(|scene| probes.iter().find(|probe| probe.0 == scene).map(|probe| probe.1))
        .collect()
}

#[test]
fn the_next_episode_begins_where_the_one_before_ended() {
    let season = Season::new();
    let words = ["--target", "75", "--set", "model.calibrate=3"];
    let ended = season.boost("one.vpy", &words).ok();
    assert!(ended.stderr.contains("show.learned.json: nothing learned yet"), "{}", ended.stderr);
    let cold = first(&season.probes());
    let lesson = season.lessons().remove(0);
    assert_eq!(lesson["taught"]["by"], 3);
    let offset = &lesson["taught"]["offset"];
    let (level, error) = (offset["level"].as_f64().unwrap(), offset["error"].as_f64().unwrap());

    let ended = season.boost("two.vpy", &["--target", "75", "--set", "model.calibrate=0"]).ok();
    assert!(ended.stdout.contains("begun with what 3 scenes of an earlier title taught"), "{}", ended.stdout);
    // Pilots start on the usual curve of the first title, not where all do.
    let warm = first(&season.probes());
    assert!(cold.iter().any(|cold| !warm.contains(cold)), "{cold:?} {warm:?}");
    // No calibration of its own: the offset is the other's, and less sure.
    let factor = format!("{:.3} times the damage of a probe", level.exp());
    assert!(ended.stdout.contains(&factor), "{factor} is not in\n{}", ended.stdout);
    let lessons = season.lessons();
    assert_eq!(lessons.len(), 1);
    let weaker = lessons[0]["taught"]["offset"]["error"].as_f64().unwrap();
    assert!(weaker > error, "{weaker} {error}");

    // The same scenes once more: what they taught themselves is not what they begin with.
    let scenes = std::fs::read(season.path("two.scenes.json")).unwrap();
    season.boost("two.vpy", &["--target", "75", "--set", "model.calibrate=0", "--resume"]).ok();
    assert_eq!(std::fs::read(season.path("two.scenes.json")).unwrap(), scenes);
    assert_eq!((season.probes(), season.lessons()), (Vec::new(), lessons));
    let command = ["retarget", "two.scenes.json", "-o", "again.json"];
    Ended::of(&common::program(season.folder.path()).args(command).output().unwrap()).ok();
    assert_eq!(std::fs::read(season.path("again.json")).unwrap(), scenes);
}

#[test]
fn what_was_learned_of_something_else_is_said_and_ignored() {
    let season = Season::new();
    season.boost("one.vpy", &["--target", "84"]).ok();
    for (words, says) in [
        (["--final-preset", "9"], "presets"),
        (["--set", "metric.tail_weight=0"], "pooling"),
        (["--final-params", "--tune 0"], "encoder parameters"),
    ] {
        // Options of the program are given once.
        let mut command = common::program(season.folder.path());
        command.args(["two.vpy", "--preset", "ssimu2-mean", "--probing-preset", "12", "--lp", "1"]);
        command.args(["--learned", "show.learned.json", "--target", "84", "--force"]).args(words);
        command.arg("--encoder-path").arg(svt(Svt::V1_4));
        if words[0] != "--final-preset" {
            command.args(["--final-preset", "10"]);
        }
        let ended = Ended::of(&command.output().unwrap()).ok();
        let warning = format!("what was learned is for something else (other: {says}), so it is ignored");
        assert!(ended.stderr.contains(&warning), "{warning}: {}", ended.stderr);
        assert!(!ended.stdout.contains("begun with"), "{}", ended.stdout);
    }
    // Each kind is kept beside the others.
    assert_eq!(season.lessons().len(), 4);
    std::fs::write(season.path("show.learned.json"), "{}").unwrap();
    season.boost("one.vpy", &["--force"]).failed(1, &["--learned show.learned.json", "name another file"]);
    assert_eq!(std::fs::read(season.path("show.learned.json")).unwrap(), b"{}");
}
