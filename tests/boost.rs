//! The whole program, run as users run it: script in, scenes file out.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Ended;
use serde_json::Value;

/// A folder with a script, and the program started in it.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    /// `end` comes after [`common::three_shots`] of 96 frames in all, and sets the output.
    fn new(end: &str) -> Self {
        let run = Self { folder: tempfile::tempdir().unwrap() };
        run.script("clip.vpy", end);
        run
    }

    fn script(&self, name: &str, end: &str) {
        let text = format!("{}{end}\n", common::three_shots([36, 30, 30]));
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        common::require("SvtAv1EncApp");
        let mut command = common::program(self.folder.path());
        command
            .args(["--preset", "ssimu2-mean", "--probing-preset", "12", "--final-preset", "10", "--lp", "1"])
            .args(["--set", "scenes.target_split=20"])
            .arg("clip.vpy");
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(&self.command().args(args).output().unwrap())
    }

    fn scenes(&self) -> Value {
        let text = std::fs::read(self.path("clip.scenes.json")).expect("the scenes file is there");
        serde_json::from_slice(&text).unwrap()
    }

    /// Names left in the folder besides the script and the work folder.
    fn results(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["clip.vpy", "clip.boost", "encoder", "events"].contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }

    /// A program that answers like the real encoder, except for `trick` when it encodes.
    #[cfg(unix)]
    fn encoder(&self, trick: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let real = common::require("SvtAv1EncApp");
        let path = self.path("encoder");
        let script = format!(
            "#!/bin/sh\nreal='{}'\nout=\nlast=\nfor word in \"$@\"; do [ \"$last\" = -b ] && out=$word; last=$word; done\n\
             case \"$out\" in */probes/*) ;; *) exec \"$real\" \"$@\" ;; esac\n{trick}\nexec \"$real\" \"$@\"\n",
            real.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Start and end of every scene, and its CRF.
fn list(scenes: &Value) -> Vec<(u64, u64, f64)> {
    let crf = |scene: &Value| {
        let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
        let at = words.iter().position(|w| w == "--crf").unwrap();
        words[at + 1].as_str().unwrap().parse().unwrap()
    };
    let scenes = scenes["split_scenes"].as_array().unwrap();
    scenes
        .iter()
        .map(|s| (s["start_frame"].as_u64().unwrap(), s["end_frame"].as_u64().unwrap(), crf(s)))
        .collect()
}

#[track_caller]
fn assert_covers(scenes: &Value, frames: u64) {
    assert_eq!(scenes["frames"], frames);
    let mut next = 0;
    for (start, end, _) in list(scenes) {
        assert_eq!(start, next);
        assert!(end > start);
        next = end;
    }
    assert_eq!(next, frames);
}

#[test]
fn measurements_are_kept_raw_so_that_another_pooling_or_mix_measures_nothing_again() {
    let run = Run::new("clip.set_output()");
    // The reference's first probe is always at the same CRF; later ones follow from the scores.
    let common = |metric, setting| {
        let (metric, kind) = (["--target", "1.2", "--set", metric], ["--set", "model.kind=reference"]);
        // More than any error: no score asks for further frames of the sample.
        let precision = ["--set", "metric.precision=20"];
        [&metric[..], &kind, &precision, &["--set", setting]].concat()
    };
    let metric = common("metric.metric=butteraugli-3norm", "metric.pooling=reference-mean");
    let sampled = common("metric.metric=butteraugli-3norm", "metric.pooling=mean");
    run.run(&metric).ok();
    run.run(&[&["--resume"], &sampled[..]].concat()).ok();
    for other in [
        common("metric.metric=butteraugli-3norm", "metric.pooling=worst"),
        [&common("metric.metric=butteraugli-max-mix", "metric.mix.max_inf=0.5")[..], &metric[8..]].concat(),
        [&sampled[..], &["--set", "metric.tail_weight=0"]].concat(),
        common("metric.metric=butteraugli-max-mix", "metric.mix.max_inf=0.5"),
    ] {
        run.run(&[&["--resume", "--events", "events"], &other[..]].concat()).ok();
        let events = std::fs::read_to_string(run.path("events")).unwrap();
        let first = |event: &str| {
            let (event, first) = (format!("\"event\":\"{event}\""), "\"probe\":0,");
            events.lines().filter(|line| line.contains(&event) && line.contains(first)).count()
        };
        assert_eq!((first("probe"), first("score")), (0, 0), "{other:?}: {events}");
    }
    // Another brightness of the display is another measurement.
    run.run(&[&["--resume", "--events", "events", "--set", "metric.intensity=123"], &metric[..]].concat())
        .ok();
    let events = std::fs::read_to_string(run.path("events")).unwrap();
    assert!(
        events.lines().any(|l| l.contains("\"event\":\"score\"") && l.contains("\"probe\":0,")),
        "{events}"
    );
}

#[test]
fn a_clip_is_boosted_and_a_resumed_run_encodes_nothing_again() {
    let run = Run::new("clip.set_output()");
    let ended = run.run(&["--report", "clip.html"]).ok();
    assert!(ended.stdout.contains("frames by CRF"), "{}", ended.stdout);
    assert!(ended.stdout.contains("encoder: SVT-AV1"), "{}", ended.stdout);
    let first = std::fs::read(run.path("clip.scenes.json")).unwrap();
    assert_covers(&run.scenes(), 96);
    let starts: Vec<u64> = list(&run.scenes()).iter().map(|s| s.0).collect();
    assert!(starts.contains(&36) && starts.contains(&66), "{starts:?}");
    let page = common::page_data(&run.path("clip.html"));
    let rows = page["runs"][0]["scenes"].as_array().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (number(&row["start"]), number(&row["end"]), row["crf"].as_f64().unwrap()))
        .collect();
    assert_eq!(shown, list(&run.scenes()));
    for row in rows {
        // What was measured, and what is expected of the final encode.
        assert!(row["score"].is_number() && row["standard_error"].as_f64() > Some(0.0), "{row}");
        assert!(row["bytes"].as_u64() > Some(0) && !row["frames"].as_array().unwrap().is_empty(), "{row}");
        let inside = |at: &Value| (row["start"].as_u64()..row["end"].as_u64()).contains(&at.as_u64());
        assert!(row["at"].as_array().unwrap().iter().all(inside), "{row}");
    }

    std::fs::remove_file(run.path("clip.scenes.json")).unwrap();
    run.run(&["--resume", "--events", "events"]).ok();
    assert_eq!(std::fs::read(run.path("clip.scenes.json")).unwrap(), first);
    let events = std::fs::read_to_string(run.path("events")).unwrap();
    assert!(!events.contains("\"event\":\"probe\""), "{events}");
}

/// Scores do not depend on the target, so at most second probes on the other side
/// are new where the first ones are at a fixed CRF.
#[test]
fn another_target_encodes_no_first_probe_of_the_reference_again() {
    let run = Run::new("clip.set_output()");
    let reference = ["--set", "model.kind=reference", "--set", "metric.pooling=reference-mean"];
    run.run(&reference).ok();
    let first = std::fs::read(run.path("clip.scenes.json")).unwrap();
    let other = ["--resume", "--target", "97", "--events", "events"];
    let ended = run.run(&[&reference[..], &other].concat()).ok();
    assert!(ended.stderr.contains("settings of [metric]"), "{}", ended.stderr);
    let events = std::fs::read_to_string(run.path("events")).unwrap();
    assert!(!events.contains("\"event\":\"probe\",\"scene\":0,\"probe\":0"), "{events}");
    assert_ne!(std::fs::read(run.path("clip.scenes.json")).unwrap(), first);
}

#[test]
fn finished_probes_go_with_consent_only_and_not_before_all_else_is_right() {
    let run = Run::new("clip[:40].set_output()");
    run.run(&[]).ok();
    let scenes = run.scenes();
    let journal = || std::fs::read(run.path("clip.boost/journal.ndjson")).unwrap();
    let before = journal();
    // Other settings, and nobody said what is to become of the probes.
    run.run(&["--target", "70"]).failed(1, &["an earlier run finished", "--resume", "--force", "--temp"]);
    for wrong in [["--input-scenes", "no-such.json"], ["--encoder-path", "/nowhere/encoder"]] {
        run.run(&[&wrong[..], &["--force"]].concat()).failed(1, &[wrong[1]]);
    }
    assert!(journal() == before && run.scenes() == scenes);
    let ended = run.run(&["--force", "-v"]).ok();
    assert!(ended.stderr.contains("starting over in"), "{}", ended.stderr);
    assert!(journal() != before, "the seconds that the encodes took differ");
    assert_eq!(list(&run.scenes()), list(&scenes));
}

#[test]
fn very_short_clips_are_one_scene() {
    for frames in [1, 5] {
        let run = Run::new(&format!("clip[10:{}].set_output()", 10 + frames));
        run.run(&[]).ok();
        let scenes = run.scenes();
        assert_covers(&scenes, frames);
        assert_eq!(list(&scenes).len(), 1);
    }
}

#[test]
fn other_formats_and_odd_sizes_are_converted_and_it_is_said() {
    for (convert, says) in [
        ("clip.resize.Bicubic(format=vs.RGBS, matrix_in=1)", "RGBS"),
        ("core.std.CropRel(clip.resize.Bicubic(format=vs.YUV444P16), right=1, bottom=1)", "odd sides"),
    ] {
        let run = Run::new(&format!("clip = clip[:16]\n{convert}.set_output()"));
        let ended = run.run(&[]).ok();
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
        assert_covers(&run.scenes(), 16);
    }
}

#[test]
fn zones_have_boundaries_and_settings_of_their_own() {
    let run = Run::new("clip.set_output()");
    let ended = run.run(&["--zones-string", "10 50 scene-detection"]).ok();
    let scenes = list(&run.scenes());
    assert!(scenes.iter().any(|s| s.0 == 10) && scenes.iter().any(|s| s.1 == 50), "{scenes:?}");
    for (start, end, crf) in scenes {
        assert_eq!(start >= 10 && end <= 50, (crf - 28.0).abs() < 1e-9, "{start}..{end} {crf}");
    }
    assert!(ended.stdout.contains("zone scene-detection"), "{}", ended.stdout);
}

/// The zone's preset has another metric, and the model that it says itself.
#[test]
fn each_zone_is_probed_by_the_model_of_its_own_settings() {
    let run = Run::new("clip.set_output()");
    std::fs::write(run.path("two.toml"), "extends = \"butteraugli-mean\"\nmodel.kind = \"reference\"\n")
        .unwrap();
    let ended = run.run(&["--zones-string", "66 96 ./two.toml", "--events", "events"]).ok();
    assert_eq!(ended.stdout.matches("pilot scenes taught").count(), 1, "{}", ended.stdout);
    let starts: Vec<u64> = list(&run.scenes()).iter().map(|scene| scene.0).collect();
    let events = std::fs::read_to_string(run.path("events")).unwrap();
    let probes = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for probe in probes.filter(|event| event["event"] == "probe") {
        let scene = usize::try_from(probe["scene"].as_u64().unwrap()).unwrap();
        let by_zone = if starts[scene] >= 66 { &mut inside } else { &mut outside };
        by_zone.push(probe["crf"].as_f64().unwrap());
    }
    let reference = |crf: &f64| [11.0, 24.0, 40.0].contains(crf);
    assert!(inside.len() >= 2 && inside.iter().all(reference), "{inside:?}");
    assert!(outside.len() >= 2 && !outside.iter().any(reference), "{outside:?}");
}

#[test]
fn bad_input_is_named_and_nothing_is_written() {
    let run = Run::new("raise ValueError('no source today')");
    let line = format!("line {}", common::three_shots([36, 30, 30]).lines().count() + 1);
    run.run(&[]).failed(1, &["clip.vpy", "ValueError: no source today", &line]);
    assert!(run.results().is_empty(), "{:?}", run.results());

    let run = Run::new("core.std.BlankAudio().set_output()");
    run.run(&[]).failed(1, &["audio"]);
    let run = Run::new("pass");
    run.run(&[]).failed(1, &["sets no output"]);
    let run = Run::new("clip.resize.Point(32, 32).set_output()");
    run.run(&[]).failed(1, &["32"]);
    std::fs::remove_file(run.path("clip.vpy")).unwrap();
    run.run(&[]).failed(1, &["clip.vpy"]);
}

#[test]
fn a_script_runs_in_its_own_folder_wherever_the_program_was_started() {
    let run = Run::new("print(open('no such file beside the script'))");
    run.run(&[]).failed(1, &["no such file beside the script"]);
    let run = Run::new("open('beside.txt').read()\nclip[:16].set_output()");
    std::fs::write(run.path("beside.txt"), "").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = common::program(elsewhere.path());
    command.args(["--preset", "scene-detection", "--final-preset", "10"]).arg(run.path("clip.vpy"));
    Ended::of(&command.output().unwrap()).ok();
    assert_covers(&run.scenes(), 16);
}

#[test]
fn a_missing_vapoursynth_is_an_error_that_says_how_to_install_it() {
    let run = Run::new("pass");
    let ended = Ended::of(&run.command().env("VSSCRIPT_PATH", "/no/such/libvsscript.so").output().unwrap());
    ended.failed(1, &["/no/such/libvsscript.so", "pip install vapoursynth"]);
    let file = run.path("clip.vpy");
    let ended = Ended::of(&run.command().env("VSSCRIPT_PATH", file).output().unwrap());
    ended.failed(1, &["pip install vapoursynth"]);
}

#[test]
fn an_analysis_input_of_another_length_is_refused_with_both_counts() {
    let run = Run::new("clip.set_output()");
    run.script("cheap.vpy", "clip[:90].set_output()");
    run.run(&["--analysis-input", "cheap.vpy"]).failed(1, &["90 frames", "96"]);
}

#[test]
fn a_probe_input_stands_in_for_the_script_where_it_fits() {
    let run = Run::new("clip.set_output()");
    for (name, end, says) in [
        ("short.vpy", "clip[:90].set_output()", &["short.vpy", "90 frames", "96 frames"]),
        ("small.vpy", "clip.resize.Point(64, 48).set_output()", &["small.vpy", "64x48", "128x96"]),
        ("wide.vpy", "clip.std.SetFrameProps(_Matrix=9, _Primaries=9).set_output()", &["colour", "9", "1"]),
    ] {
        run.script(name, end);
        run.run(&["--probe-input", name]).failed(1, says);
    }
    run.run(&[]).ok();
    let scenes = run.scenes();
    run.script("same.vpy", "clip.std.SetFrameProps(FromElsewhere=1).set_output()");
    run.run(&["--force", "--probe-input", "same.vpy"]).ok();
    assert_eq!(run.scenes(), scenes);
    // Where nothing is to be seen, every probe is perfect.
    run.script("flat.vpy", "core.std.BlankClip(clip, keep=True).set_output()");
    run.run(&["--force", "--probe-input", "flat.vpy"]).ok();
    assert!(list(&run.scenes()).iter().all(|(.., crf)| *crf >= 50.0));
    assert_eq!(list(&run.scenes()).len(), list(&scenes).len(), "scenes are those of the script");
}

#[test]
fn a_newer_encoder_gets_quarter_steps_and_its_own_options() {
    let run = Run::new("clip[:40].set_output()");
    let encoder = common::svt(common::Svt::V4_2);
    // Without probes: at such sizes and presets 4.2.0 writes streams that no decoder reads.
    let args = ["--set", "metric.enable=false", "--set", "dynamic.crf=if crf > 0.0 { 30.3 } else { crf }"];
    run.run(&[&["--encoder-path", encoder.to_str().unwrap()], &args[..]].concat()).ok();
    let words = run.scenes()["split_scenes"][0]["zone_overrides"]["video_params"].to_string();
    assert!(words.contains("\"--crf\",\"30.25\""), "{words}");
    assert!(words.contains("\"--luminance-qp-bias\",\"12\""), "{words}");
}

#[test]
fn wrong_arguments_are_usage_errors_with_the_nearest_name() {
    let run = Run::new("clip.set_output()");
    run.run(&["--preset", "butteraugli-meen"]).failed(2, &["cannot be used multiple times"]);
    run.run(&["--set", "metric.taget=3"]).failed(2, &["metric.taget", "metric.target"]);
    run.run(&["--target", "high"]).failed(2, &["--target", "high"]);
    run.run(&["--vpy-arg", "nothing"]).failed(2, &["KEY=VALUE"]);
    let mut other = common::program(run.folder.path());
    let ended = Ended::of(&other.args(["--preset", "butteraugli-meen", "clip.vpy"]).output().unwrap());
    ended.failed(2, &["butteraugli-meen", "butteraugli-mean"]);
    assert!(run.results().is_empty());
}

#[test]
fn an_output_that_cannot_be_written_fails_before_any_work() {
    let run = Run::new("clip.set_output()");
    run.run(&["-o", "no/such/folder/out.json"]).failed(1, &["no/such/folder/out.json"]);
    run.run(&["-o", "."]).failed(1, &["is a folder"]);
    assert!(!run.path("clip.boost").exists());
}

#[test]
fn a_second_run_in_the_same_folder_is_refused() {
    let run = Run::new("clip.set_output()");
    let _lock = progression_boost::support::lock::FolderLock::acquire(&run.path("clip.boost")).unwrap();
    run.run(&[]).failed(1, &["another run", "--temp"]);
}

#[test]
fn an_encoder_that_is_missing_or_no_encoder_is_named() {
    let run = Run::new("clip.set_output()");
    run.run(&["--encoder-path", "/no/such/SvtAv1EncApp"]).failed(1, &["/no/such/SvtAv1EncApp"]);
    let ffmpeg = common::require("ffmpeg");
    run.run(&["--encoder-path", ffmpeg.to_str().unwrap()]).failed(1, &["ffmpeg"]);
    assert!(run.results().is_empty());
}

#[test]
fn a_refused_option_or_preset_is_named_before_any_work() {
    let run = Run::new("clip.set_output()");
    run.run(&["--final-params", "--tune 0 --foo 3"]).failed(1, &["--foo"]);
    run.run(&["--set", "encoder.probing_preset=13", "--probing-params", "--tune 9"]).failed(1, &["tune"]);
    run.run(&["--final-params", "--input-depth 8", "--set", "model.calibrate=1"])
        .failed(1, &["--input-depth 8", "model.calibrate"]);
    assert!(!run.path("clip.boost").exists());
}

/// A copy of a preset has options that the distribution's encoder lacks; nobody
/// asked for those. What was changed in it was asked for.
#[test]
fn an_exported_preset_works_with_the_encoder_its_original_works_with() {
    let run = Run::new("clip[:12].set_output()");
    let exported = common::program(run.folder.path()).args(["presets", "export", "ssimu2-mean"]).output();
    assert!(exported.unwrap().status.success());
    let mine = run.path("ssimu2-mean.toml");
    let text = std::fs::read_to_string(&mine).unwrap();
    let target = text.lines().find(|line| line.starts_with("target = ")).unwrap();
    let boost = |text: &str| {
        std::fs::write(&mine, text).unwrap();
        let mut command = common::program(run.folder.path());
        command.args(["--preset", "./ssimu2-mean.toml", "--probing-preset", "12", "--lp", "1", "clip.vpy"]);
        Ended::of(&command.output().unwrap())
    };
    boost(&text.replace(target, "target = 70.0")).ok();
    assert_covers(&run.scenes(), 12);
    boost(&text.replace("--scm 0", "--scm 0 --foo 3")).failed(1, &["--foo: SVT-AV1", "does not know it"]);
}

#[cfg(unix)]
mod with_broken_encoders {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    fn whole_clip() -> Run {
        Run::new("clip.set_output()")
    }

    #[test]
    fn a_crash_is_tried_again_once() {
        let run = whole_clip();
        let encoder = run.encoder("if [ ! -e crashed ]; then touch crashed; echo 'bang' >&2; exit 3; fi");
        let ended = run.run(&["--encoder-path", &encoder, "--workers", "1"]).ok();
        assert!(ended.stderr.contains("once more") && ended.stderr.contains("bang"), "{}", ended.stderr);
        assert_covers(&run.scenes(), 96);
    }

    /// Final preset and parameters, those of a rule too, and neither grain nor a ROI map.
    #[test]
    fn calibration_encodes_have_the_words_of_the_final_encode_but_no_grain() {
        let run = whole_clip();
        let encoder = run.encoder("echo \"$*\" >>words");
        let args = [
            ["--set", "model.calibrate=1"],
            ["--final-params", "--tune 0 --film-grain 8 --keyint -1"],
            ["--set", "dynamic.final_params=params + ` --lookahead ` + crf.to_int()"],
            ["--encoder-path", &encoder],
        ];
        run.run(args.as_flattened()).ok();
        let words = std::fs::read_to_string(run.path("words")).unwrap();
        let finals: Vec<&str> = words.lines().filter(|line| line.contains("--preset 10")).collect();
        // Of one scene, as often as its score asks for, which depends on the encoder's version.
        assert!(!finals.is_empty() && finals.iter().all(|line| line.contains("/.00002-")), "{words}");
        let crf_of = |line: &str| line.split("--crf ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        for line in finals {
            assert!(line.contains(&format!("--lookahead {}", crf_of(line))), "{line}");
            assert!(line.contains("--tune 0 --keyint -1") && !line.contains("grain"), "{line}");
        }
        let scenes = run.scenes().to_string();
        assert!(scenes.contains("\"--film-grain\",\"8\""), "{scenes}");
    }

    #[test]
    fn a_scene_that_keeps_failing_fails_the_run_by_name_or_falls_back() {
        let run = whole_clip();
        // The second scene in the file names of probes is number 1.
        let encoder = run.encoder("case \"$out\" in *00001-*) head -c 70000 >/dev/null; echo 'broken scene' >&2; kill -SEGV $$ ;; esac");
        let ended = run.run(&["--encoder-path", &encoder]);
        ended.failed(1, &["broken scene", "1 (frames ", "--resume", "fallback"]);
        assert!(!run.path("clip.scenes.json").exists());

        let ended = run.run(&["--encoder-path", &encoder, "--resume", "--on-scene-failure", "fallback"]).ok();
        // Others may be, too: whose scores contradict each other depends on the encoder's version.
        let mut told = ended.stdout.lines().filter_map(|line| line.split_once("doubtful: "));
        let (_, doubtful) = told.next().expect("doubtful scenes are told");
        assert!(doubtful.split(", ").any(|scene| scene == "1 (frame 36)"), "{}", ended.stdout);
        let scenes = list(&run.scenes());
        let (low, high) = (scenes[0].2.min(scenes[2].2), scenes[0].2.max(scenes[2].2));
        assert!((low..=high).contains(&scenes[1].2), "{scenes:?}");
    }

    #[test]
    fn a_short_file_with_exit_code_0_is_no_success() {
        let run = whole_clip();
        let encoder = run.encoder("\"$real\" \"$@\" -n 5; exit 0");
        let ended = run.run(&["--encoder-path", &encoder]);
        ended.failed(1, &["all failed", "5 of"]);
        assert!(!run.path("clip.scenes.json").exists());
    }

    #[test]
    fn an_encoder_that_hangs_is_ended() {
        let run = whole_clip();
        let encoder = run.encoder("exec sleep 600");
        let ended = run.run(&["--encoder-path", &encoder, "--encoder-timeout", "1"]);
        ended.failed(1, &["no progress"]);
    }

    #[test]
    fn a_full_disk_leaves_nothing_half_written() {
        let run = whole_clip();
        let mut inner = run.command();
        inner.args(["--probing-params", "--tune 0"]);
        // A limit on the size of files behaves like a full disk: writes fail part way.
        let mut limited = common::tool("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]).arg(inner.get_program());
        limited.args(inner.get_args()).current_dir(run.folder.path());
        for (key, value) in inner.get_envs() {
            limited.env(key, value.unwrap());
        }
        let ended = Ended::of(&limited.output().unwrap());
        assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert!(run.results().is_empty(), "{:?}", run.results());
    }

    #[test]
    fn ctrl_c_stops_the_encoders_and_leaves_a_folder_to_resume() {
        let run = whole_clip();
        let encoder = run.encoder("case \"$out\" in *-2-*) exec sleep 600 ;; esac");
        let mut child = run
            .command()
            .args(["--encoder-path", &encoder, "--events", "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let scored = lines.map_while(Result::ok).find(|line| line.contains("\"event\":\"score\""));
        assert!(scored.is_some());
        common::interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let left = common::running(run.folder.path().to_str().unwrap());
        assert!(left.is_empty(), "{left:?}");
        assert!(!run.path("clip.scenes.json").exists());

        let events = run.path("events");
        run.run(&["--encoder-path", "SvtAv1EncApp", "--resume", "--events", "events"]).ok();
        assert_covers(&run.scenes(), 96);
        assert!(std::fs::read_to_string(events).unwrap().contains("\"event\":\"result\""));
    }
}

#[test]
fn the_events_file_is_one_json_object_a_line() {
    let run = Run::new("clip[:30].set_output()");
    run.run(&["--events", "events"]).ok();
    let text = std::fs::read_to_string(run.path("events")).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for kind in ["stage_started", "stage_progress", "stage_finished", "probe", "score", "scene", "result"] {
        assert!(events.iter().any(|e| e["event"] == kind), "no {kind} in\n{text}");
    }
    let times: Vec<f64> = events.iter().map(|e| e["time"].as_f64().unwrap()).collect();
    assert!(times.is_sorted());
    let result = events.iter().find(|e| e["event"] == "result").unwrap();
    assert_eq!(Path::new(result["path"].as_str().unwrap()).file_name().unwrap(), "clip.scenes.json");
}
