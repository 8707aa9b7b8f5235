//! `verify`, run as users run it: source and finished encode in, report out.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Ended;
use progression_boost::source::{self, OpenOptions};
use serde_json::{Value, json};

/// Start, end and CRF of the scenes.
const SCENES: [(usize, usize, &str); 3] = [(0, 20, "22"), (20, 45, "40"), (45, 60, "55")];

/// A folder with a script, scenes for it and, once it is made, the encode.
struct Film {
    folder: tempfile::TempDir,
}

impl Film {
    fn new() -> Self {
        let film = Self { folder: tempfile::tempdir().unwrap() };
        film.script("clip.vpy", "clip.set_output()");
        film.scenes("scenes.json", &SCENES);
        film
    }

    /// Makes the encode of the scenes.
    fn encode(&self, words: &[&str]) -> Ended {
        common::require("SvtAv1EncApp");
        common::require("mkvmerge");
        let fixed =
            ["encode", "clip.vpy", "-o", "film.mkv", "--scenes", "scenes.json", "--min-chunk-length", "1"];
        self.run(&[&fixed, words].concat())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `end` comes after [`common::three_shots`], tagged BT.709, and sets the output.
    fn script(&self, name: &str, end: &str) {
        let color = "color = dict(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0)
clip = clip.std.SetFrameProps(**color)";
        let text = format!("{}{color}\n{end}\n", common::three_shots([20, 25, 15]));
        std::fs::write(self.path(name), text).unwrap();
    }

    fn scenes(&self, name: &str, scenes: &[(usize, usize, &str)]) {
        let scene = |(start, end, crf): &(usize, usize, &str)| {
            let words = ["--crf", crf, "--preset", "10", "--lp", "1", "--keyint", "-1"];
            json!({"start_frame": start, "end_frame": end, "zone_overrides": {
                "encoder": "svt_av1", "passes": 1, "video_params": words, "photon_noise": null,
                "chroma_noise": false, "extra_splits_len": 264, "min_scene_len": 12}})
        };
        let list: Vec<Value> = scenes.iter().map(scene).collect();
        let file = json!({"frames": scenes.last().unwrap().1, "scenes": list, "split_scenes": list});
        std::fs::write(self.path(name), file.to_string()).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = common::program(self.folder.path());
        command.args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&self.command(words).output().unwrap())
    }

    /// `verify clip.vpy ENCODED` with the scenes and SSIMULACRA2.
    fn verify(&self, encoded: &str, words: &[&str]) -> Ended {
        let fixed = ["verify", "clip.vpy", encoded, "--scenes", "scenes.json", "--preset", "ssimu2-mean"];
        self.run(&[&fixed, words].concat())
    }

    fn report(&self, encoded: &str, words: &[&str]) -> Value {
        let ended = self.verify(encoded, &[&["--json", "-"], words].concat()).ok();
        serde_json::from_str(&ended.stdout).expect("the report is JSON")
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Frame and score of all measured frames.
fn frames(report: &Value) -> Vec<(usize, f64)> {
    let scenes = report["scenes"].as_array().unwrap();
    let frames = scenes.iter().flat_map(|scene| scene["frames"].as_array().unwrap());
    frames.map(|f| (f["frame"].as_u64().unwrap() as usize, number(&f["score"]))).collect()
}

#[track_caller]
fn assert_close(got: f64, wanted: f64, tolerance: f64) {
    assert!((got - wanted).abs() <= tolerance, "{got}, not {wanted}");
}

/// What vszip says of the source and the encode as BestSource (libdav1d) decodes
/// it, in a script that knows nothing of this program.
fn truth(film: &Film) -> Vec<f64> {
    film.script(
        "truth.vpy",
        "reference = clip.resize.Bicubic(format=vs.YUV420P10)
distorted = core.bs.VideoSource('film.mkv').std.SetFrameProps(**color)
scored = core.vszip.SSIMULACRA2(reference, distorted)
def micro(n, f):
    frame = f.copy()
    frame.props['Micro'] = round(f.props['SSIMULACRA2'] * 1e6)
    return frame
core.std.ModifyFrame(scored, scored, micro).set_output()",
    );
    let clip = source::open(&film.path("truth.vpy"), &OpenOptions::default()).unwrap();
    let score = |n| clip.frame(n).unwrap().int_property("Micro").unwrap() as f64 / 1e6;
    (0..clip.info().frames).map(score).collect()
}

/// Bytes of every packet of the video by ffprobe, in the order shown.
fn packets(video: &Path) -> Vec<u64> {
    let answer = common::ffprobe(video, "packet=size");
    let packets = answer["packets"].as_array().unwrap();
    packets.iter().map(|packet| packet["size"].as_str().unwrap().parse().unwrap()).collect()
}

/// τ of the shipped mean presets, and the share of the worst frames.
const TAIL: (f64, f64) = (0.25, 0.10);

/// Mean of the worst share of `worst_first`, of one whole frame at least; the last frame
/// counts in part.
fn tail(worst_first: &[f64]) -> f64 {
    let wanted = (TAIL.1 * worst_first.len() as f64).max(1.0);
    let part = |(index, score): (usize, &f64)| (wanted - index as f64).clamp(0.0, 1.0) * score;
    worst_first.iter().enumerate().map(part).sum::<f64>() / wanted
}

/// Spec 11 for SSIMULACRA2: harmonic mean of what is raised to 15, and the tail.
fn pooled(scores: &[f64]) -> f64 {
    let harmonic = scores.len() as f64 / scores.iter().map(|score| 1.0 / score.max(15.0)).sum::<f64>();
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    (1.0 - TAIL.0) * harmonic + TAIL.0 * tail(&sorted)
}

/// Spec 11 for Butteraugli: root mean cube, and the tail.
fn butteraugli_by_hand(report: &Value) {
    for scene in report["scenes"].as_array().unwrap() {
        let mut scores: Vec<f64> =
            scene["frames"].as_array().unwrap().iter().map(|frame| number(&frame["score"])).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let cubes = scores.iter().map(|score| score.powi(3)).sum::<f64>() / scores.len() as f64;
        let wanted = (1.0 - TAIL.0) * cubes.cbrt() + TAIL.0 * tail(&scores);
        assert_close(number(&scene["score"]), wanted, 1e-9);
        assert_close(number(&scene["error"]), wanted - 1.0, 1e-9);
        // More is worse.
        assert_close(number(&scene["worst"][0]["score"]), scores[0], 0.0);
    }
}

#[test]
fn scores_are_vszip_s_and_sizes_ffprobe_s_scene_by_scene() {
    let film = Film::new();
    film.encode(&[]).ok();
    let vszip = ["--set", "metric.backend=vszip", "--target", "75", "--events", "events"];
    let report = film.report("film.mkv", &vszip);
    let (truth, measured) = (truth(&film), frames(&report));
    assert_eq!(measured.len(), truth.len());
    for (place, (frame, score)) in measured.into_iter().enumerate() {
        assert_eq!(frame, place);
        assert_close(score, truth[frame], 1e-4);
    }

    let packets = packets(&film.path("film.mkv"));
    assert_eq!(packets.len(), 60);
    assert_eq!(report["bytes"].as_u64().unwrap(), packets.iter().sum::<u64>());
    let scenes = report["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), SCENES.len());
    let mut errors = Vec::new();
    for (scene, (start, end, crf)) in scenes.iter().zip(SCENES) {
        assert_eq!(
            (scene["start"].as_u64().unwrap(), scene["end"].as_u64().unwrap()),
            (start as u64, end as u64)
        );
        assert_eq!(scene["bytes"].as_u64().unwrap(), packets[start..end].iter().sum::<u64>());
        assert_close(number(&scene["crf"]), crf.parse().unwrap(), 0.0);
        assert_close(number(&scene["score"]), pooled(&truth[start..end]), 1e-3);
        assert_close(number(&scene["error"]), number(&scene["score"]) - 75.0, 1e-9);
        let lowest = truth[start..end].iter().copied().fold(f64::MAX, f64::min);
        assert_close(number(&scene["worst"][0]["score"]), lowest, 1e-4);
        errors.push((number(&scene["error"]).abs(), (end - start) as f64));
    }
    let summary = &report["summary"][0];
    assert_eq!(summary["metric"], "ssimu2");
    let mean = errors.iter().map(|(error, _)| error).sum::<f64>() / 3.0;
    let by_frames = errors.iter().map(|(error, frames)| error * frames).sum::<f64>() / 60.0;
    assert_close(number(&summary["mean_absolute_error"]), mean, 1e-9);
    assert_close(number(&summary["mean_absolute_error_by_frames"]), by_frames, 1e-9);
    // 22 and 40 are free, 55 is beyond the preset's highest CRF.
    assert_eq!(summary["clamped"], json!([2]));
    let free = &summary["unclamped"];
    let near = |limit: f64| errors[..2].iter().filter(|(error, _)| *error <= limit).count() as f64 / 2.0;
    assert_close(number(&free["mean_absolute_error"]), f64::midpoint(errors[0].0, errors[1].0), 1e-9);
    for (place, limit) in [(0, 1.0), (1, 2.0)] {
        assert_close(number(&free["within"][place]["limit"]), limit, 0.0);
        assert_close(number(&free["within"][place]["share"]), near(limit), 1e-9);
    }

    let events = std::fs::read_to_string(film.path("events")).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let verified: Vec<Value> = events.filter(|event| event["event"] == "verified").collect();
    assert_eq!(verified.len(), 3);
    assert!(verified.iter().all(|event| event["bytes"].is_u64() && event["target"] == 75.0), "{verified:?}");
}

#[test]
fn other_containers_and_every_tenth_frame_give_the_same_scores() {
    let film = Film::new();
    let ended = film.encode(&["--verify", "ssimu2-mean"]).ok();
    let report = film.report("film.mkv", &[]);
    // The encode has told the same at its end.
    for scene in report["scenes"].as_array().unwrap() {
        let score = format!("{:.3}", number(&scene["score"]));
        assert!(ended.stdout.contains(&score), "{score} is not in\n{}", ended.stdout);
    }
    let all = frames(&report);
    butteraugli_by_hand(
        &film.report("film.mkv", &["--set", "metric.metric=butteraugli-3norm", "--target", "1"]),
    );
    for (name, sized) in [("film.ivf", true), ("film.webm", true), ("film.mp4", false)] {
        let status = common::tool("ffmpeg")
            .args(["-v", "error", "-i", "film.mkv", "-c", "copy", name])
            .current_dir(film.folder.path())
            .status()
            .unwrap();
        assert!(status.success());
        let report = film.report(name, &["--every", "10"]);
        // Counted from each scene's first frame.
        let measured = frames(&report);
        assert_eq!(measured.iter().map(|f| f.0).collect::<Vec<_>>(), [0, 10, 20, 30, 40, 45, 55]);
        for (frame, score) in measured {
            assert_close(score, all[frame].1, 1e-9);
        }
        let bytes = sized.then(|| packets(&film.path(name)).iter().sum::<u64>());
        assert_eq!(report["bytes"].as_u64(), bytes, "{name}");
        assert_eq!(report["scenes"][1]["bytes"].is_u64(), sized, "{name}");
    }
}

#[test]
fn a_clip_is_identical_to_itself_by_both_metrics() {
    let film = Film::new();
    for (settings, perfect) in [
        (["--set", "metric.metric=ssimu2", "--target", "80"], 100.0),
        (["--set", "metric.metric=butteraugli-3norm", "--target", "1"], 0.0),
    ] {
        let report = film.report("clip.vpy", &settings);
        for scene in report["scenes"].as_array().unwrap() {
            assert_close(number(&scene["score"]), perfect, 1e-9);
            assert!(scene["bytes"].is_null());
        }
        let frame_scores = &report["summary"][0]["frame_scores"];
        assert_close(number(&frame_scores["p5"]), perfect, 1e-9);
        assert_close(number(&frame_scores["standard_deviation"]), 0.0, 1e-9);
    }
    let ended = film.verify("clip.vpy", &[]).ok();
    assert!(ended.stdout.contains("100.000") && ended.stdout.contains("size unknown"), "{}", ended.stdout);
}

#[test]
fn zones_keep_their_targets_and_unmeasured_ones_are_left_out() {
    let film = Film::new();
    let zones = "[zones.dark.metric]\ntarget = 60\n[zones.free.metric]\nenable = false\n";
    std::fs::write(film.path("mine.toml"), format!("extends = \"ssimu2-mean\"\n{zones}")).unwrap();
    let list = ["--preset", "./mine.toml", "--zones-string", "20 45 dark 45 -1 free"];
    let fixed =
        ["verify", "clip.vpy", "clip.vpy", "--scenes", "scenes.json", "--json", "-", "--target", "90"];
    let ended = film.run(&[&fixed[..], &list].concat()).ok();
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let scenes = report["scenes"].as_array().unwrap();
    assert_close(number(&scenes[0]["error"]), 10.0, 1e-9);
    assert_eq!(scenes[1]["zone"], "dark");
    assert_close(number(&scenes[1]["error"]), 40.0, 1e-9);
    assert!(scenes[2]["score"].is_null() && scenes[2]["frames"].as_array().unwrap().is_empty());
    // (10 + 40) / 2 and (10 · 20 + 40 · 25) / 45.
    let summary = &report["summary"][0];
    assert_close(number(&summary["mean_absolute_error"]), 25.0, 1e-9);
    assert_close(number(&summary["mean_absolute_error_by_frames"]), 1200.0 / 45.0, 1e-9);
}

#[test]
fn clips_that_cannot_be_compared_are_refused_with_both_values() {
    let film = Film::new();
    film.run(&["verify", "clip.vpy", "clip.vpy"]).failed(2, &["--scenes <FILE>", "required"]);
    film.verify("nowhere.mkv", &[]).failed(1, &["nowhere.mkv"]);
    film.script("short.vpy", "clip[:59].set_output()");
    film.verify("short.vpy", &[]).failed(1, &["short.vpy has 59 frames, clip.vpy has 60"]);
    film.script("small.vpy", "clip.std.CropAbs(126, 96).set_output()");
    film.verify("small.vpy", &[]).failed(1, &["small.vpy is 126x96, the source 128x96"]);
    film.script("smpte.vpy", "clip.std.SetFrameProps(_Matrix=6, _Range=1).set_output()");
    let says = ["matrix 6 instead of 1", "range (1 = full) 1 instead of 0", "--ignore-color"];
    film.verify("smpte.vpy", &[]).failed(1, &says);
    let ended = film.verify("smpte.vpy", &["--ignore-color"]).ok();
    assert!(ended.stderr.contains("warning: the encode declares another colour"), "{}", ended.stderr);
    assert!(ended.stdout.contains("100.000"), "{}", ended.stdout);

    film.scenes("scenes.json", &[(0, 30, "30"), (30, 59, "30")]);
    film.verify("clip.vpy", &[]).failed(1, &["scenes.json", "`frames` is 59, but the clip has 60"]);
    std::fs::write(film.path("scenes.json"), r#"{"scenes": [{"start_frame": 0, "end_frame": 50}]}"#).unwrap();
    film.verify("clip.vpy", &[]).failed(1, &["scenes end at frame 50, the clip has 60"]);
}

#[test]
fn the_colour_in_an_av1_header_counts_and_grain_does_not() {
    let film = Film::new();
    let reference = common::data("metric-parity/synthetic-ref.y4m");
    let open = format!(
        "core.bs.VideoSource(r'{}', cachemode=0).std.SetFrameProps(**color).set_output()",
        reference.display()
    );
    film.script("clip.vpy", &open);
    film.scenes("scenes.json", &[(0, 4, "30")]);
    let encode = |name: &str, words: &[&str]| {
        let result = common::tool("SvtAv1EncApp")
            .arg("-i")
            .arg(&reference)
            .arg("-b")
            .arg(film.path(name))
            .args(["--crf", "30", "--preset", "10", "--lp", "1"])
            .args(words)
            .output()
            .unwrap();
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    };
    encode("smpte.ivf", &["--matrix-coefficients", "6"]);
    film.verify("smpte.ivf", &[]).failed(1, &["matrix 6 instead of 1"]);
    // Nothing declared: read as the source, with no word about it.
    encode("open.ivf", &["--film-grain", "40"]);
    let measured = frames(&film.report("open.ivf", &[]));
    let by_dav1d = |grain: &str| {
        let status = common::tool("ffmpeg")
            .args([
                "-v",
                "error",
                "-y",
                "-c:v",
                "libdav1d",
                "-filmgrain",
                grain,
                "-i",
                "open.ivf",
                "open.y4m",
            ])
            .current_dir(film.folder.path())
            .status()
            .unwrap();
        assert!(status.success());
        frames(&film.report("open.y4m", &[]))
    };
    let (clean, grainy) = (by_dav1d("0"), by_dav1d("1"));
    for ((frame, score), (_, wanted)) in measured.iter().zip(&clean) {
        assert_close(*score, *wanted, 1e-9);
        assert!(*score > grainy[*frame].1 + 0.1, "{measured:?} {grainy:?}");
    }
}

#[test]
fn reports_are_written_and_a_missed_target_is_an_exit_code() {
    let film = Film::new();
    // 100 instead of 80.
    film.verify("clip.vpy", &["--target", "80", "--every", "20", "--max-error", "20"]).ok();
    let missed = film.verify("clip.vpy", &["--target", "80", "--every", "20", "--max-error", "19.9"]);
    missed.failed(1, &["mean absolute error is 20.000, above --max-error 19.9"]);
    assert!(missed.stdout.contains("ssimu2: mean absolute error 20.000"), "{}", missed.stdout);
    film.verify("clip.vpy", &["--every", "0"]).failed(2, &["--every 0"]);
    film.verify("clip.vpy", &["--max-error", "nan"]).failed(2, &["--max-error NaN"]);

    film.verify("clip.vpy", &["--every", "20", "--report", "report.html", "--json", "report.json"]).ok();
    let page = std::fs::read_to_string(film.path("report.html")).unwrap();
    // The one address is in the comment of the plotting library.
    assert_eq!(page.matches("https:").count(), 1);
    for foreign in ["http:", " src=", "href=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).expect("the page's data are JSON");
    let scene = &data["runs"][0]["scenes"][1];
    assert_eq!((&scene["start"], &scene["end"], &scene["crf"]), (&json!(20), &json!(45), &json!(40.0)));
    assert_eq!((&scene["score"], &data["runs"][0]["every"]), (&json!(100.0), &json!(20)));
    assert!(page.contains("0 % of 3 scenes within ±1 of"), "the headline");
    // The worst frame of each scene, as JPEGs of both sides; the clip is its own encode.
    let pictures = data["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 3);
    for picture in pictures {
        assert!(picture["left"].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        assert_eq!(picture["left"], picture["right"]);
    }
    let report: Value = serde_json::from_slice(&std::fs::read(film.path("report.json")).unwrap()).unwrap();
    assert_eq!((&report["frames"], &report["every"]), (&json!(60), &json!(20)));
}

/// Every frame of the first shot is there twice, in scenes that begin with an even number.
#[test]
fn frames_that_repeat_the_one_before_count_nothing_where_settings_skip_them() {
    let film = Film::new();
    film.script("clip.vpy", "clip = core.std.Interleave([clip, clip])[:40]\nclip.set_output()");
    film.scenes("scenes.json", &[(0, 12, "30"), (12, 40, "30")]);
    // Of two equal frames the second one is blurred.
    let blur = "clip = core.std.Interleave([clip, clip.std.BoxBlur(hradius=3)])[:40]\nclip.set_output()";
    film.script("worse.vpy", blur);
    let skip = film.report("worse.vpy", &["--set", "metric.repeats=skip"]);
    let count = film.report("worse.vpy", &["--set", "metric.repeats=count"]);
    for (skip, count) in skip["scenes"].as_array().unwrap().iter().zip(count["scenes"].as_array().unwrap()) {
        let start = skip["start"].as_u64().unwrap();
        let frames = skip["frames"].as_array().unwrap();
        assert_eq!(frames, count["frames"].as_array().unwrap());
        assert!(frames.iter().all(|frame| {
            (frame["repeats"] == true) == ((frame["frame"].as_u64().unwrap() - start) % 2 == 1)
        }));
        let scores: Vec<f64> = frames.iter().map(|frame| number(&frame["score"])).collect();
        let first_of_two: Vec<f64> = scores.iter().copied().step_by(2).collect();
        assert_close(number(&skip["score"]), pooled(&first_of_two), 1e-9);
        assert_close(number(&count["score"]), pooled(&scores), 1e-9);
        assert!(number(&skip["score"]) > number(&count["score"]) + 1.0, "{skip} {count}");
    }
    let ended = film.verify("worse.vpy", &["--set", "metric.repeats=skip", "--every", "2"]).ok();
    assert!(ended.stderr.contains("--every 2: frames that repeat"), "{}", ended.stderr);
}

#[test]
fn an_encode_is_judged_by_how_its_scenes_were_made() {
    common::require("SvtAv1EncApp");
    let film = Film::new();
    let boost = ["clip.vpy", "-o", "scenes.json", "--preset", "ssimu2-mean", "--target", "71.5"];
    let fast = ["--probing-preset", "12", "--final-preset", "10", "--set", "metric.tail_weight=0"];
    film.run(&[&boost[..], &fast, &["--force", "--zones-string", "45 60 scene-detection"]].concat()).ok();
    assert!(film.path("scenes.settings.json").is_file());
    let verify = ["verify", "clip.vpy", "clip.vpy", "--scenes", "scenes.json", "--json", "-"];
    let report = |words: &[&str]| -> Value {
        let ended = film.run(&[&verify[..], words].concat()).ok();
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let own = report(&["--html", "page.html"]);
    let judged = own["judged_by"].as_str().unwrap();
    assert!(judged.contains("as boosted") && judged.contains("scenes.settings.json"), "{judged}");
    assert!(std::fs::read_to_string(film.path("page.html")).unwrap().contains("as boosted"));
    let scenes = own["scenes"].as_array().unwrap();
    for scene in scenes {
        let inside = scene["zone"] == "scene-detection";
        assert_eq!(scene["score"].is_null(), inside, "{scene}");
        if !inside {
            assert_close(number(&scene["target"]), 71.5, 0.0);
        }
    }
    assert!(scenes.iter().any(|scene| scene["zone"] == "scene-detection"));
    // On top of it, and another preset when that is asked for.
    let other = report(&["--target", "60"]);
    assert_close(number(&other["scenes"][0]["target"]), 60.0, 0.0);
    assert!(other["judged_by"].as_str().unwrap().contains("but for --target"));
    let other = report(&["--preset", "butteraugli-mean"]);
    assert_eq!(other["scenes"][0]["metric"], "butteraugli-mean-mix");
    film.run(&[&verify[..], &["--zones-string", "0 5 scene-detection"]].concat())
        .failed(2, &["--preset NAME"]);

    // A scenes file that was made otherwise is not judged by it.
    film.scenes("scenes.json", &SCENES);
    film.run(&verify).failed(1, &["scenes.settings.json is of another scenes file", "--preset NAME"]);
    std::fs::remove_file(film.path("scenes.settings.json")).unwrap();
    film.run(&verify).failed(2, &["scenes.settings.json is missing", "--preset NAME"]);
    report(&["--preset", "ssimu2-mean"]);
}

#[test]
fn an_encode_that_could_not_be_verified_is_not_begun() {
    let film = Film::new();
    film.encode(&["--verify", "no-such-preset"]).failed(2, &["no-such-preset"]);
    film.run(&["encode", "clip.vpy", "-o", "film.mkv", "--verify", "ssimu2-mean"]).failed(2, &["--scenes"]);
    assert!(!film.path("film.mkv").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_verification() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let film = Film::new();
    film.script(
        "slow.vpy",
        "import time
def slow(n, f):
    time.sleep(0.5 if n > 4 else 0)
    return f
clip.std.ModifyFrame(clip, slow).set_output()",
    );
    let words = ["--scenes", "scenes.json", "--preset", "ssimu2-mean", "--events", "-"];
    let mut child = film
        .command(&[&["verify", "slow.vpy", "clip.vpy"], &words[..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"event\":\"stage_progress\"")));
    common::interrupt(&child);
    let ended = Ended::of(&child.wait_with_output().unwrap());
    ended.failed(130, &["interrupted"]);
    assert!(!ended.stderr.contains("--resume"), "{}", ended.stderr);
}

/// The same clip, and with another frame blurred in each shot.
#[test]
fn two_encodes_are_compared_in_one_page() {
    let film = Film::new();
    let blur = "clip = core.std.FrameEval(clip, lambda n: clip.std.BoxBlur(hradius=4) if n == 30 else clip)\nclip.set_output()";
    film.script("worse.vpy", blur);
    film.verify("clip.vpy", &["--every", "5", "--json", "a.json"]).ok();
    film.verify("worse.vpy", &["--every", "5", "--json", "b.json"]).ok();
    film.run(&["report", "compare", "a.json", "b.json", "-o", "both.html"]).ok();
    let page = std::fs::read_to_string(film.path("both.html")).unwrap();
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let score = |run: usize| number(&data["runs"][run]["scenes"][1]["score"]);
    assert!(score(0) > score(1), "{} {}", score(0), score(1));
    assert_eq!(data["runs"][1]["name"], "worse.vpy");
    // The frame that differs comes first.
    let pictures = data["pictures"].as_array().unwrap();
    assert_eq!((&pictures[0]["frame"], &pictures[0]["scene"]), (&json!(30), &json!(1)));
    assert_ne!(pictures[0]["left"], pictures[0]["right"]);
    std::fs::write(film.path("c.json"), "{}").unwrap();
    film.run(&["report", "compare", "a.json", "c.json", "-o", "x.html"]).failed(1, &["verify --json FILE"]);
}
