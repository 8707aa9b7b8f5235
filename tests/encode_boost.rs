//! `encode --boost` with real encoders: one file, its scenes beside it, whatever
//! order scenes finish in and whatever kills it.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Ended, Svt, ffprobe, svt, tool};
use serde_json::Value;

/// Soft pictures, so that old and new encoders alike have something to lose.
const MORE: &str = "
clip = (clip + clip[40:76] + clip[:40]).std.BoxBlur(hradius=2, vradius=2)
clip.set_output()
";
const FRAMES: usize = 202;

struct Run {
    folder: tempfile::TempDir,
    encoder: PathBuf,
}

impl Run {
    fn new(version: Svt) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = common::three_shots([40, 36, 50]) + MORE;
        std::fs::write(folder.path().join("clip.vpy"), text).unwrap();
        Self { folder, encoder: svt(version) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = common::program(self.folder.path());
        command.args(["encode", "clip.vpy", "-o", "out.mkv", "--boost", "ssimu2-mean", "--target", "85"]);
        command.args(["--probing-preset", "12", "--final-preset", "10", "--threads", "1"]);
        command.args(["--set", "metric.backend=native", "--set", "model.kind=adaptive"]);
        command.args(["--set", "scenes.target_split=20", "--set", "scenes.extra_split=40"]);
        command.arg("--encoder-path").arg(&self.encoder).args(args);
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(&self.command(&[&["--force"], args].concat()).output().unwrap())
    }

    /// The video's packets and the scenes file, which must not change.
    fn result(&self) -> (String, String) {
        let scenes = std::fs::read_to_string(self.path("out.scenes.json")).unwrap();
        (packets(&self.path("out.mkv")), scenes)
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("events")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A hash over all packets of the video; the container has an identity of its own each time.
fn packets(video: &std::path::Path) -> String {
    let result = tool("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(video)
        .args(["-map", "0:v", "-c", "copy", "-f", "md5", "-"])
        .output()
        .unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).unwrap()
}

fn crf_of(scene: &Value) -> f64 {
    let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
    let place = words.iter().position(|word| word == "--crf").unwrap();
    words[place + 1].as_str().unwrap().parse().unwrap()
}

/// Enough to be made again: nothing but a lucky hit is as near as that.
const AGAIN: [&str; 4] = ["--tolerance", "0.05", "--max-redo", "100%"];

#[test]
fn the_file_is_what_its_scenes_file_makes_by_itself() {
    for version in [Svt::V1_4, Svt::V4_2] {
        let run = Run::new(version);
        run.run(&["--report", "page.html"]).ok();
        let (boosted, scenes) = run.result();
        let counted = ffprobe(&run.path("out.mkv"), "stream=codec_name,nb_read_packets,width,height,pix_fmt");
        assert_eq!(counted["streams"][0]["codec_name"], "av1", "{counted}");
        let decoded = tool("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(run.path("out.mkv"))
            .args(["-f", "framecrc", "-"])
            .output()
            .unwrap();
        let shown = String::from_utf8(decoded.stdout).unwrap();
        assert_eq!(shown.lines().filter(|line| line.starts_with("0,")).count(), FRAMES, "{shown}");
        let scenes: Value = serde_json::from_str(&scenes).unwrap();
        let scenes = scenes["scenes"].as_array().unwrap();
        assert!(scenes.len() >= 5, "{scenes:?}");
        assert_eq!(scenes.last().unwrap()["end_frame"], FRAMES);
        let page = common::page_data(&run.path("page.html"));
        let rows = page["runs"][0]["scenes"].as_array().unwrap();
        assert_eq!(rows.len(), scenes.len());
        for (row, scene) in rows.iter().zip(scenes) {
            assert_eq!(row["crf"].as_f64(), Some(crf_of(scene)));
            assert!(row["score"].is_number() && !row["frames"].as_array().unwrap().is_empty(), "{row}");
        }
        let pictures = page["pictures"].as_array().unwrap();
        assert_eq!(pictures.len(), rows.len().min(12));
        assert_ne!(pictures[0]["left"], pictures[0]["right"]);
        // The other way to the same file, which knows nothing of boosting.
        let mut plain = common::program(run.folder.path());
        plain.args(["encode", "clip.vpy", "-o", "plain.mkv", "--scenes", "out.scenes.json"]);
        plain.args(["--min-chunk-length", "1", "--temp", "plain", "--encoder-path"]).arg(&run.encoder);
        Ended::of(&plain.output().unwrap()).ok();
        assert_eq!(packets(&run.path("plain.mkv")), boosted, "{version:?}");
    }
}

#[test]
fn chunks_come_from_the_script_and_are_measured_against_it_where_probes_have_a_stand_in() {
    let run = Run::new(Svt::V4_2);
    let script = std::fs::read_to_string(run.path("clip.vpy")).unwrap();
    let brighter = script.replace("clip.set_output()", "clip.std.Expr(['x 12 +', '']).set_output()");
    std::fs::write(run.path("bright.vpy"), brighter).unwrap();
    run.run(&["--probe-input", "bright.vpy", "--events", "events"]).ok();
    let scores: Vec<f64> = run
        .events()
        .iter()
        .filter(|event| event["event"] == "chunk_score")
        .map(|event| event["score"].as_f64().unwrap())
        .collect();
    // 12 levels of luma between the two would cost far more.
    assert!(scores.len() >= 5 && scores.iter().all(|score| *score > 70.0), "{scores:?}");
    let (boosted, _) = run.result();
    let mut plain = common::program(run.folder.path());
    plain.args(["encode", "clip.vpy", "-o", "plain.mkv", "--scenes", "out.scenes.json"]);
    plain.args(["--min-chunk-length", "1", "--temp", "plain", "--encoder-path"]).arg(&run.encoder);
    Ended::of(&plain.output().unwrap()).ok();
    assert_eq!(packets(&run.path("plain.mkv")), boosted);
    std::fs::write(run.path("short.vpy"), script.replace("clip.set_output()", "clip[:90].set_output()"))
        .unwrap();
    run.run(&["--probe-input", "short.vpy"]).failed(1, &["short.vpy", "90 frames", "202 frames"]);
}

#[test]
fn the_chunks_of_pilots_come_first_and_order_is_of_no_matter() {
    let run = Run::new(Svt::V4_2);
    let said = run.run(&["--max-parallel-encodes", "3", "--events", "events"]).ok();
    assert!(said.stdout.contains(" of the first 2 chunks show"), "{}", said.stdout);
    let three = run.result();
    let events = run.events();
    let place = |kind: &str, nth: usize| {
        let found = events.iter().enumerate().filter(|(_, event)| event["event"] == kind);
        found.map(|(place, _)| place).nth(nth).unwrap()
    };
    for waits in 1..=2 {
        let (started, scored) = (place("chunk_started", waits), place("chunk_score", waits - 1));
        assert!(started > scored, "chunk {waits} began before the one it learns from was measured");
    }
    assert!(events.iter().all(|event| event["calibration"] != true), "no encode for calibration alone");
    let scored = events.iter().filter(|event| event["event"] == "chunk_score").count();
    let started = events.iter().filter(|event| event["event"] == "chunk_started").count();
    assert_eq!(scored, started);
    run.run(&["--max-parallel-encodes", "1"]).ok();
    assert_eq!(run.result(), three);
}

#[test]
fn a_pilot_that_needs_no_second_probe_waits_for_what_the_others_teach() {
    let run = Run::new(Svt::V4_2);
    // Every first probe is near enough, so the shorter pilot is done long before the longer one.
    run.run(&["--max-parallel-encodes", "2", "--set", "model.tolerance=20"]).ok();
    let scenes: Value = serde_json::from_str(&run.result().1).unwrap();
    assert!(scenes["scenes"].as_array().unwrap().len() >= 5);
}

#[test]
fn what_was_measured_serves_another_target_and_the_next_title() {
    let run = Run::new(Svt::V4_2);
    run.run(&["--learned", "show.learned.json"]).ok();
    let lessons = std::fs::read(run.path("show.learned.json")).unwrap();
    let lessons: Value = serde_json::from_slice(&lessons).unwrap();
    let taught = &lessons["lessons"][0]["taught"];
    assert!(taught["by"].as_u64().unwrap() >= 5 && taught["slope"].as_f64().unwrap() > 0.0, "{lessons}");
    let crfs = |file: &str| -> Vec<f64> {
        let text = std::fs::read(run.path(file)).unwrap();
        let scenes: Value = serde_json::from_slice(&text).unwrap();
        scenes["scenes"].as_array().unwrap().iter().map(crf_of).collect()
    };
    let mut retarget = common::program(run.folder.path());
    retarget.args(["retarget", "out.scenes.json", "--target", "78", "-o", "lower.json"]);
    Ended::of(&retarget.output().unwrap()).ok();
    let (boosted, lower) = (crfs("out.scenes.json"), crfs("lower.json"));
    assert_eq!(boosted.len(), lower.len());
    assert!(boosted.iter().zip(&lower).all(|(was, is)| is > was || *was >= 50.0), "{boosted:?} {lower:?}");
}

#[test]
fn what_misses_is_encoded_again_and_the_better_one_kept() {
    let run = Run::new(Svt::V1_4);
    let said = run.run(&[&AGAIN[..], &["--events", "events"]].concat()).ok();
    assert!(said.stdout.contains("encoded again: "), "{}", said.stdout);
    // By chunk: CRF and miss, in the order they were made.
    let mut made: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap();
    for event in run.events().iter().filter(|event| event["event"] == "chunk_score") {
        let miss = (number(event, "score") - number(event, "target")).abs();
        let encodes = made.entry(event["chunk"].as_u64().unwrap()).or_default();
        assert_eq!(event["again"], !encodes.is_empty());
        encodes.push((number(event, "crf"), miss));
    }
    let again = made.values().filter(|encodes| encodes.len() == 2).count();
    assert!(again > 0 && made.values().all(|encodes| encodes.len() <= 2), "{made:?}");
    let (_, scenes) = run.result();
    let scenes: Value = serde_json::from_str(&scenes).unwrap();
    for (scene, encodes) in scenes["scenes"].as_array().unwrap().iter().zip(made.values()) {
        let best = encodes.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert!((crf_of(scene) - best.0).abs() < 1e-9, "{scene}: {encodes:?}");
    }

    // Nothing may be made again, so the first ones are in the file.
    run.run(&["--tolerance", "0.05", "--max-redo", "0%", "--events", "events"]).ok();
    assert!(run.events().iter().all(|event| event["again"] != true));
    let scenes: Value = serde_json::from_str(&run.result().1).unwrap();
    for (scene, encodes) in scenes["scenes"].as_array().unwrap().iter().zip(made.values()) {
        assert!((crf_of(scene) - encodes[0].0).abs() < 1e-9, "{scene}: {encodes:?}");
    }
}

/// Kills a run when it reports `event` for the `nth` time, and resumes it.
#[track_caller]
fn killed_and_resumed(run: &Run, args: &[&str], event: &str, nth: usize) -> (String, String) {
    std::fs::remove_dir_all(run.path("clip.chunks")).unwrap();
    std::fs::remove_file(run.path("out.mkv")).unwrap();
    std::fs::remove_file(run.path("out.scenes.json")).unwrap();
    let mut child = run
        .command(&[&["--events", "-"], args].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let seen = lines.filter(|line| line.contains(event)).nth(nth - 1);
    // SIGKILL, or its like: nothing of ours runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.is_some(), "the run ended before {event}");
    assert!(!run.path("out.mkv").exists(), "the kill after {event} came too late");
    run.run(&[&["--resume"], args].concat()).ok();
    run.result()
}

#[test]
fn a_killed_run_resumes_to_the_same_file() {
    let run = Run::new(Svt::V4_2);
    run.run(&AGAIN).ok();
    let whole = run.result();
    // In the middle of the probes, of the first chunks, of those made again.
    let args = [&AGAIN[..], &["--max-parallel-encodes", "3"]].concat();
    let kills = [("\"event\":\"score\"", 3), ("\"event\":\"chunk_started\"", 3), ("\"again\":true", 1)];
    for (event, nth) in kills {
        assert_eq!(killed_and_resumed(&run, &args, event, nth), whole, "killed after {event}");
    }
    // All is there: nothing is encoded once more, and it ends in the same file.
    run.run(&[&args[..], &["--resume", "--events", "events"]].concat()).ok();
    assert!(run.events().iter().all(|e| e["event"] != "chunk_started" && e["event"] != "probe"));
    assert_eq!(run.result(), whole);
}

#[test]
fn scenes_that_are_not_measured_are_encoded_at_their_crf() {
    let run = Run::new(Svt::V4_2);
    run.run(&["--set", "metric.enable=false", "--set", "metric.base_crf=33"]).ok();
    let scenes: Value = serde_json::from_str(&run.result().1).unwrap();
    let scenes = scenes["scenes"].as_array().unwrap();
    assert!(scenes.iter().all(|scene| (crf_of(scene) - 33.0).abs() < 1e-9), "{scenes:?}");
}

#[test]
fn clean_leaves_nothing_but_the_results() {
    let run = Run::new(Svt::V4_2);
    run.run(&["--clean"]).ok();
    assert!(!run.path("clip.chunks").exists());
    assert!(run.path("out.mkv").is_file() && run.path("out.scenes.json").is_file());
}

#[test]
fn options_that_make_no_sense_with_boosting_are_refused_by_name() {
    let run = Run::new(Svt::V4_2);
    for (option, says) in [
        (&["--scenes", "x.json"][..], "--scenes does not go with --boost"),
        (&["--q", "20"], "--q does not go with --boost"),
        (&["--encoder", "aom"], "--encoder aom does not go with --boost"),
        (&["--qpfile", "x"], "--qpfile does not go with --boost"),
        (&["--scene-method", "builtin"], "--scene-method does not go with --boost"),
        (&["--params", "--tune 0"], "--params does not go with --boost"),
        (&["--min-chunk-length", "3"], "--min-chunk-length does not go with --boost"),
        (&["--bit-depth", "8"], "--bit-depth does not go with --boost"),
        (&["--encoder-preset", "720p"], "--encoder-preset does not go with --boost"),
        (&["--verify", "ssimu2-mean"], "--verify does not go with --boost"),
        (&["--tolerance", "0"], "above 0"),
        (&["--max-redo", "120%"], "0% to 100%"),
        (&["--set", "metric.targe=3"], "metric.targe"),
    ] {
        run.run(option).failed(2, &[says]);
    }
    let rule = ["--set", "dynamic.encoder='\"x265\"'", "--set", "dynamic.final_params='\"--crf 20\"'"];
    let other = run.run(&[&rule[..], &["--set", "model.calibrate=0"]].concat());
    other.failed(1, &["dynamic.encoder", "encode --boost encodes with SVT-AV1 alone"]);
    assert!(!run.path("out.mkv").exists());
    // And the other way round: options of boosting need it.
    let mut plain = common::program(run.folder.path());
    plain.args(["encode", "clip.vpy", "-o", "out.mkv", "--target", "80"]);
    Ended::of(&plain.output().unwrap()).failed(2, &["--boost"]);
}
