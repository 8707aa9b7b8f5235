//! Promises of the boosting engine: what is rendered how often, what a kill
//! costs, what the memory budget may change.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Bars that move at another speed from the middle on; `WIDTH`, `HEIGHT` and
/// `LENGTH` are set before. Every request of a frame is a line in the file
/// `REQUESTS`, which is not named here: files that a script names are inputs.
const CLIP: &str = "
import os
import vapoursynth as vs
core = vs.core
bars = [core.std.BlankClip(format=vs.YUV420P10, width=20, height=HEIGHT, length=LENGTH, color=[120 * i, 360, 160 * i])
        for i in range(7)]
wide = core.std.StackHorizontal(bars * (WIDTH // 140 + 2))
def moved(n):
    left = n * 3 if n < LENGTH // 2 else n * n // 2
    return core.std.CropAbs(wide, WIDTH, HEIGHT, left=left % 140 // 2 * 2)
clip = core.std.CropAbs(wide, WIDTH, HEIGHT).std.FrameEval(moved).std.AssumeFPS(fpsnum=24, fpsden=1)
requests = os.open(os.environ['REQUESTS'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def counted(n, f):
    os.write(requests, b'%d\\n' % n)
    return f
clip = clip.std.ModifyFrame(clip, counted)
# Without the cache of this node every request of a consumer comes through.
clip.std.SetVideoCache(mode=0)
clip.set_output()
";

struct Run {
    folder: tempfile::TempDir,
    length: usize,
}

impl Run {
    fn new(width: usize, height: usize, length: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("WIDTH, HEIGHT, LENGTH = {width}, {height}, {length}\n{CLIP}");
        std::fs::write(folder.path().join("clip.vpy"), text).unwrap();
        Self { folder, length }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        common::require("SvtAv1EncApp");
        let mut command = common::program(self.folder.path());
        command
            .env("REQUESTS", self.path("requests"))
            .args(["--preset", "ssimu2-mean", "--probing-preset", "12", "--final-preset", "10", "--lp", "1"])
            .args(["--set", "metric.backend=native"])
            .args(["--set", "scenes.target_split=20", "--set", "scenes.extra_split=40"])
            .args(args)
            .args((!args.contains(&"--resume")).then_some("--force"))
            .arg("clip.vpy");
        command
    }

    /// The scenes file of a run.
    #[track_caller]
    fn scenes(&self, args: &[&str]) -> Vec<u8> {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(self.path("clip.scenes.json")).unwrap()
    }

    /// The scenes file of a run, and how often it requested each frame.
    #[track_caller]
    fn counted(&self, args: &[&str]) -> (Vec<u8>, Vec<usize>) {
        let requests = self.path("requests");
        let _ = std::fs::remove_file(&requests);
        let scenes = self.scenes(args);
        let mut counts = vec![0; self.length];
        for line in std::fs::read_to_string(requests).unwrap().lines() {
            counts[line.parse::<usize>().unwrap()] += 1;
        }
        (scenes, counts)
    }
}

/// Two probes of every scene, and frames picked as Progression Boost does.
const REFERENCE: [&str; 4] = ["--set", "model.kind=reference", "--set", "metric.pooling=reference-mean"];

/// The first frame is rendered twice more: the properties of the clip and of
/// its conversion for the encoder are read from it.
const OPENING: usize = 2;

/// First frame and the one after the last of every scene of a scenes file.
fn scenes(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let file: serde_json::Value = serde_json::from_slice(file).unwrap();
    let frame = |scene: &serde_json::Value, key: &str| usize::try_from(scene[key].as_u64().unwrap()).unwrap();
    let scenes = file["split_scenes"].as_array().unwrap();
    scenes.iter().map(|scene| frame(scene, "start_frame")..frame(scene, "end_frame")).collect()
}

#[test]
fn each_frame_is_rendered_once_for_analysis_and_once_for_each_encode_of_its_scene() {
    let run = Run::new(128, 96, 96);
    let every = ["--set", "metric.precision=0", "--set", "model.calibrate=1"];
    for args in [&[][..], &["--workers", "1"], &["--workers", "4"], &["--staged"], &every] {
        let (file, counts) = run.counted(&[args, &["--events", "events"]].concat());
        let made = encodes(&std::fs::read_to_string(run.path("events")).unwrap());
        let scenes = scenes(&file);
        assert_eq!(made.len(), scenes.len(), "{args:?}");
        for (frames, [probes, finals]) in scenes.into_iter().zip(made.values()) {
            let expected = 1 + probes.len() + finals.len();
            for frame in frames {
                let opening = if frame == 0 { OPENING } else { 0 };
                let found = counts[frame];
                assert!(
                    (expected..=expected + opening).contains(&found),
                    "{args:?}: {frame} {found} times: {made:?}"
                );
            }
        }
    }
}

#[test]
fn each_frame_is_rendered_once_for_analysis_and_once_for_each_probe_of_the_reference() {
    let run = Run::new(128, 96, 96);
    for args in [&[][..], &["--workers", "1"], &["--workers", "4"], &["--staged"]] {
        let (_, counts) = run.counted(&[&REFERENCE, args].concat());
        assert!((3..=3 + OPENING).contains(&counts[0]), "{args:?}: frame 0 {} times", counts[0]);
        assert!(counts[1..].iter().all(|&count| count == 3), "{args:?}: {counts:?}");
    }
}

#[test]
fn frames_measured_by_the_first_probe_are_not_rendered_again_either() {
    let run = Run::new(128, 96, 60);
    let probing = ["--set", "metric.frames.highest_probing_diff_frames=4"];
    let (_, counts) = run.counted(&[&REFERENCE[..], &probing].concat());
    assert!(counts[1..].iter().all(|&count| count == 3), "{counts:?}");
}

#[test]
fn a_resumed_run_that_has_everything_renders_nothing_but_the_first_frame() {
    let run = Run::new(128, 96, 48);
    let (scenes, _) = run.counted(&[]);
    let (again, counts) = run.counted(&["--resume"]);
    assert_eq!(again, scenes);
    assert!(counts[0] <= OPENING && counts[1..].iter().all(|&count| count == 0), "{counts:?}");
}

/// 24 pictures of 960x576 in 10 bits take 38 MiB, and half of the smallest
/// budget, 32 MiB, is for them: so they are rendered again to be measured.
#[test]
fn a_small_memory_budget_renders_again_and_changes_no_score() {
    let run = Run::new(960, 576, 30);
    let external = ["--method", "external", "--input-scenes", "one.json"];
    let many = [
        "--set",
        "metric.frames.upper_bracket_frames=30",
        "--set",
        "metric.frames.lower_bracket_frames=30",
        "--set",
        "metric.frames.bracket_min_separation=1",
    ];
    let one = r#"{"frames": 30, "scenes": [{"start_frame": 0, "end_frame": 30}]}"#;
    std::fs::write(run.path("one.json"), one).unwrap();
    let probing_diff = ["0", "4"].map(|count| {
        let setting = format!("metric.frames.highest_probing_diff_frames={count}");
        let args = [&REFERENCE[..], &many, &["--set", &setting]].concat();
        args.into_iter().map(str::to_owned).collect()
    });
    let sample = ["frames=30", "most_frames=30"].map(|count| format!("metric.sample.{count}"));
    let all: Vec<String> = sample.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect();
    for setting in probing_diff.into_iter().chain([all]) {
        let setting: Vec<&str> = setting.iter().map(String::as_str).collect();
        let args = [&external[..], &setting, &["--events", "events"]].concat();
        let (scenes, counts) = run.counted(&args);
        let [probes, finals] = &encodes(&std::fs::read_to_string(run.path("events")).unwrap())[&0];
        let once = 1 + probes.len() + finals.len();
        assert!(counts[1..].iter().all(|&count| count == once), "{args:?} {once}: {counts:?}");
        let (with_little, again) = run.counted(&[&args[..], &["--memory", "64MiB"]].concat());
        assert!(scenes == with_little, "other scores with little memory");
        assert!(again.iter().filter(|&&count| count > once).count() >= 22, "{again:?}");
    }
}

/// Kills a run when it reports `event` for the `nth` time, and resumes it.
#[track_caller]
fn killed_and_resumed(run: &Run, args: &[&str], event: &str, nth: usize) -> Vec<u8> {
    std::fs::remove_dir_all(run.path("clip.boost")).unwrap();
    std::fs::remove_file(run.path("clip.scenes.json")).unwrap();
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
    assert!(!run.path("clip.scenes.json").exists(), "the kill after {event} came too late");
    run.scenes(&[&["--resume"], args].concat())
}

#[test]
fn a_killed_run_resumes_to_the_same_scenes() {
    let run = Run::new(128, 96, 96);
    let scenes = run.scenes(&[]);
    assert!(String::from_utf8_lossy(&scenes).matches("start_frame").count() >= 3, "one chain is no test");
    // After the analysis, in the middle of the probes, before the end.
    for (event, nth) in [("\"stage\":\"Analysis\",\"seconds\"", 1), ("\"probe\",", 1), ("\"score\",", 3)] {
        assert_eq!(killed_and_resumed(&run, &[], event, nth), scenes, "killed after {event}");
    }
}

/// CRFs and scores of each scene's probes and of its calibration encodes, by a file of events.
fn encodes(events: &str) -> BTreeMap<u64, [Vec<(f64, f64)>; 2]> {
    let mut all: BTreeMap<u64, [Vec<(f64, f64)>; 2]> = BTreeMap::new();
    for line in events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "score" {
            let kind = usize::from(event["calibration"].as_bool().unwrap());
            let scored = &mut all.entry(event["scene"].as_u64().unwrap()).or_default()[kind];
            scored.push((event["crf"].as_f64().unwrap(), event["score"].as_f64().unwrap()));
        }
    }
    all
}

#[test]
fn adaptive_and_calibrated_runs_do_not_depend_on_order_nor_on_a_kill() {
    let run = Run::new(128, 96, 160);
    let args = ["--set", "model.kind=adaptive", "--set", "model.calibrate=1", "--target", "90"];
    let scenes = run.scenes(&[&args[..], &["--workers", "1", "--events", "events"]].concat());
    let events = std::fs::read_to_string(run.path("events")).unwrap();
    let made = encodes(&events);
    assert!(made.len() >= 5, "pilots alone are no test: {made:?}");
    assert_eq!(String::from_utf8_lossy(&scenes).matches("start_frame").count(), 2 * made.len());
    let calibrated: Vec<_> = made.values().filter(|[_, finals]| !finals.is_empty()).collect();
    let [[probes, finals]] = calibrated[..] else { panic!("one scene is calibrated: {made:?}") };
    // Its first probe misses by more than 2 points; the second is made as the final encode, as much
    // coarser as the first was too good.
    let [(first, score)] = probes[..] else { panic!("one probe: {made:?}") };
    let [(last, _)] = finals[..] else { panic!("one final encode: {made:?}") };
    assert!((score - 90.0).abs() > 2.0 && (last > first) == (score > 90.0), "{made:?}");
    assert!(made.values().all(|[probes, _]| (1..=3).contains(&probes.len())), "{made:?}");
    // Pilots begin where a usual picture scores 90 (below CRF 8, the lowest allowed), all others
    // where the pilots were solved.
    let firsts: Vec<f64> = made.values().map(|[probes, _]| probes[0].0).collect();
    let (pilots, others): (Vec<f64>, Vec<f64>) =
        firsts.iter().copied().partition(|crf: &f64| (*crf - 8.0).abs() < 1e-9);
    assert_eq!(pilots.len(), 2, "{made:?}");
    assert!(others.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-9), "{made:?}");
    // What the stage expected is what it was told of in the end.
    let of_probing = |kind: &str, key: &str| {
        let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut found = events.filter(|event| event["event"] == kind && event["stage"] == "Probing");
        found.next_back().unwrap()[key].as_u64().unwrap()
    };
    let (expected, told) = (of_probing("stage_started", "total"), of_probing("stage_progress", "done"));
    assert!(expected == told && expected > 160, "{told} of {expected} frames of encodes");

    // In the middle of the pilots, and when the calibration begins.
    for (event, nth) in [("\"event\":\"score\"", 3), ("\"calibration\":true", 1)] {
        let args = [&args[..], &["--workers", "4"]].concat();
        assert_eq!(killed_and_resumed(&run, &args, event, nth), scenes, "killed after {event}");
    }
}
