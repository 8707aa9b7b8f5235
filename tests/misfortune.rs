//! Encoders, disks and files that fail while boosting: what that costs, what is said.

#![cfg(unix)]

mod common;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use common::Ended;
use serde_json::Value;

/// Two shots of 30 frames of moving bars.
const SCRIPT: &str = "import vapoursynth as vs\n\
    core = vs.core\n\
    def shot(light, dark, size):\n    \
        one = core.std.BlankClip(format=vs.YUV420P8, width=size, height=96, length=1, color=light)\n    \
        bars = core.std.StackHorizontal([one, core.std.BlankClip(one, color=dark)] * (160 // size))\n    \
        moving = core.std.Loop(bars, 30)\n    \
        return moving.std.CropAbs(128, 96).std.FrameEval(\n        \
            lambda n: core.std.CropAbs(moving, 128, 96, left=n * 2 % 32))\n\
    clip = shot([60, 90, 140], [40, 120, 120], 16) + shot([200, 128, 128], [120, 150, 100], 8)\n\
    clip.set_output()\n";

struct Run(tempfile::TempDir);

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clip.vpy"), SCRIPT).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Boosts with an encoder that does `trick` whenever it makes a probe, whose
    /// file is `$out`, and answers like the real one otherwise.
    fn run(&self, trick: &str, args: &[&str]) -> Ended {
        // What scenes can reach, and so what is calibrated, depends on the encoder's version.
        let real = common::svt(common::Svt::V1_4);
        let encoder = self.path("encoder");
        let script = format!(
            "#!/bin/sh\nreal='{}'\nout=\nlast=\n\
             for word in \"$@\"; do [ \"$last\" = -b ] && out=$word; last=$word; done\n\
             case \"$out\" in */probes/*) ;; *) exec \"$real\" \"$@\" ;; esac\n\
             echo \"$out\" >>made\n{trick}\nexec \"$real\" \"$@\"\n",
            real.display()
        );
        std::fs::write(&encoder, script).unwrap();
        std::fs::set_permissions(&encoder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = common::program(self.0.path());
        command.args([
            "--preset",
            "ssimu2-mean",
            "--probing-preset",
            "12",
            "--final-preset",
            "10",
            "--lp",
            "1",
        ]);
        command.args(["--set", "scenes.target_split=20", "--workers", "1", "--encoder-path"]).arg(encoder);
        Ended::of(&command.arg("clip.vpy").args(args).output().unwrap())
    }

    /// Encodes that were started.
    fn made(&self) -> usize {
        std::fs::read_to_string(self.path("made")).map_or(0, |made| made.lines().count())
    }

    /// CRF by scene; the scenes cover the clip.
    fn crfs(&self) -> Vec<String> {
        let text = std::fs::read(self.path("clip.scenes.json")).expect("the scenes file is there");
        let scenes: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(scenes["frames"], 60);
        let crf = |scene: &Value| {
            let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
            let at = words.iter().position(|word| word == "--crf").unwrap();
            words[at + 1].as_str().unwrap().to_owned()
        };
        scenes["split_scenes"].as_array().unwrap().iter().map(crf).collect()
    }
}

const KEEP: &str = "true";

#[test]
fn a_full_disk_stops_the_run_with_what_to_do_and_not_scene_by_scene() {
    let run = Run::new();
    // Every write through this name fails with "no space left on device".
    std::fs::create_dir_all(run.path("clip.boost")).unwrap();
    symlink("/dev/full", run.path("clip.boost/space-probe")).unwrap();
    let ended = run.run("exit 3", &[]);
    ended.failed(
        1,
        &["nothing more can be written to", "make room and continue with --resume", "os error 28"],
    );
    assert!(!ended.stderr.contains("once more"), "{}", ended.stderr);
    assert_eq!(run.made(), 1);
    run.run(KEEP, &["--resume"]).ok();
}

#[test]
fn a_probe_that_cannot_be_decoded_is_encoded_once_more() {
    let run = Run::new();
    // A whole IVF of the right number of well-formed units, in whose frame headers is nonsense.
    let spoil = "\"$real\" \"$@\" || exit\n\
        [ -e spoilt ] || python3 - \"$out\" <<'END'\n\
        import struct, sys\n\
        data = bytearray(open(sys.argv[1], 'rb').read())\n\
        at = 32\n\
        while at < len(data):\n    \
            size = struct.unpack_from('<I', data, at)[0]\n    \
            at, end = at + 12, at + 12 + size\n    \
            while at < end:\n        \
                kind, at, length, shift = data[at] >> 3 & 15, at + 1, 0, 0\n        \
                while True:\n            \
                    byte = data[at]\n            \
                    length |= (byte & 127) << shift\n            \
                    at, shift = at + 1, shift + 7\n            \
                    if byte < 128: break\n        \
                if kind == 6: data[at] = 255\n        \
                at += length\n\
        open(sys.argv[1], 'wb').write(data)\n\
        END\n";
    let once = run.run(&format!("{spoil}touch spoilt\nexit 0"), &[]).ok();
    assert!(once.stderr.contains("cannot be decoded"), "{}", once.stderr);
    assert!(once.stderr.contains("encoded once more"), "{}", once.stderr);
    let crfs = run.crfs();
    let made = run.made();

    // Spoilt always: the scene fails, and its file is gone, so that a run which
    // resumes is not bound to fail as well.
    let run = Run::new();
    let ended = run.run(&format!("{spoil}exit 0"), &["--keep"]);
    ended.failed(1, &["cannot be decoded", "encoded once more"]);
    run.run(KEEP, &["--resume"]).ok();
    assert_eq!(run.crfs(), crfs);
    assert!(run.made() >= made);
}

#[test]
fn a_failed_calibration_costs_nothing_but_itself() {
    // A target that the scenes can just reach: those far from theirs are not calibrated.
    let calibrated = ["--target", "89", "--set", "model.calibrate=1"];
    let run = Run::new();
    let ended = run.run("case \"$*\" in *'--preset 10'*) exit 3 ;; esac", &calibrated).ok();
    assert!(ended.stderr.contains("calibration at CRF"), "{}", ended.stderr);
    assert!(ended.stderr.contains("does without it"), "{}", ended.stderr);
    let without = Run::new();
    without.run(KEEP, &["--target", "89", "--set", "model.calibrate=0"]).ok();
    assert_eq!(run.crfs(), without.crfs());
}

#[test]
fn an_adaptive_scene_is_solved_from_one_probe_when_the_second_fails() {
    let second_fails = "case \"$out\" in */.[0-9]*-2-*) exit 3 ;; esac";
    let run = Run::new();
    let ended = run.run(second_fails, &["--set", "model.kind=adaptive"]).ok();
    assert!(ended.stderr.contains("probe 2 at CRF"), "{}", ended.stderr);
    assert!(ended.stderr.contains("does without it"), "{}", ended.stderr);
    assert_eq!(run.crfs().len(), 2);
    // The reference model's line needs both ends.
    let reference = ["--set", "model.kind=reference"];
    Run::new()
        .run(second_fails, &reference)
        .failed(1, &["probe 2 at CRF", "probing failed for 2 of the scenes"]);
}

#[test]
fn an_encoder_that_changes_the_size_is_an_error() {
    let mut words = vec!["--probing-params", "--resize-mode 1 --resize-denom 16"];
    Run::new().run(KEEP, &words).failed(1, &["64x48", "128x96", "--resize-mode"]);
    // Where every frame of the probe is compared to choose those that are measured.
    words.extend(["--set", "metric.pooling=reference-mean"]);
    words.extend(["--set", "metric.frames.highest_probing_diff_frames=3"]);
    Run::new().run(KEEP, &words).failed(1, &["64x48", "128x96", "--resize-mode"]);
}
