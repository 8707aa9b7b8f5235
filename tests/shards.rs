//! `plan`, `run` and `merge`: several machines write what one would have written.

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Ended, Svt};
use serde_json::Value;

/// A folder that all machines see.
struct Share {
    folder: tempfile::TempDir,
}

/// Adaptive, with calibrated scenes besides the pilots.
const CALIBRATED: [&str; 4] = ["--set", "model.calibrate=3", "--target", "86"];
/// With what the preset says: the short ones are calibrated unasked, if any.
const USUAL: [&str; 2] = ["--target", "80"];

impl Share {
    fn new() -> Self {
        common::require("SvtAv1EncApp");
        let share = Self { folder: tempfile::tempdir().unwrap() };
        draw(&share.path("clip.vpy"));
        share
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = common::program(self.folder.path());
        for variable in ["SLURM_ARRAY_TASK_ID", "PARALLEL_SEQ", "JOB_COMPLETION_INDEX"] {
            command.env_remove(variable);
        }
        command.args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&self.command(words).output().unwrap())
    }

    /// The scenes file of one machine.
    fn boost(&self, words: &[&str]) -> Vec<u8> {
        self.run(&[&["clip.vpy", "--force", "-o", "one.json"], &SETTINGS[..], words].concat()).ok();
        let scenes = std::fs::read(self.path("one.json")).unwrap();
        let count = String::from_utf8_lossy(&scenes).matches("start_frame").count() / 2;
        assert!(count >= 8, "{count} scenes are no test");
        scenes
    }

    fn plan(&self, words: &[&str]) -> Ended {
        self.run(&[&["plan", "clip.vpy", "-o", "clip.plan"], &SETTINGS[..], words].concat())
    }

    /// A copy of the plan, to be worked on alone.
    fn copy(&self, name: &str) {
        copy(&self.path("clip.plan"), &self.path(name));
    }

    fn shard(&self, plan: &str, shard: &str) -> Ended {
        self.run(&["run", plan, "--shard", shard, "--workers", "1"])
    }

    /// The scenes file of a plan whose shards are done.
    fn merged(&self, plan: &str) -> Vec<u8> {
        self.merge(plan).ok();
        std::fs::read(self.path("merged.json")).unwrap()
    }

    /// On a machine without VapourSynth and any other program.
    fn merge(&self, plan: &str) -> Ended {
        let mut command = self.command(&["merge", plan, "-o", "merged.json"]);
        command.env("VSSCRIPT_PATH", "/no/such/libvsscript.so").env("PATH", "");
        Ended::of(&command.output().unwrap())
    }
}

const SETTINGS: [&str; 14] = [
    "--preset",
    "ssimu2-mean",
    "--probing-preset",
    "12",
    "--final-preset",
    "10",
    "--lp",
    "1",
    "--set",
    "metric.backend=native",
    "--set",
    "scenes.target_split=16",
    "--set",
    "scenes.extra_split=24",
];

/// A script of three shots, which are cut into more scenes.
fn draw(script: &Path) {
    std::fs::write(script, format!("{}clip.set_output()\n", common::three_shots([90, 70, 80]))).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            let _ = std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Probes that were made in a plan, by the journals.
fn probes(plan: &Path) -> usize {
    let journals = std::fs::read_dir(plan.join("journals")).unwrap().map(|entry| entry.unwrap().path());
    let text: String = journals.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    text.matches("\"kind\":\"probe\"").count()
}

#[test]
fn a_plan_keeps_the_stand_in_for_its_script() {
    let share = Share::new();
    let script = std::fs::read_to_string(share.path("clip.vpy")).unwrap();
    let soft = script.replace("clip.set_output()", "clip.std.BoxBlur(hradius=2, vradius=2).set_output()");
    std::fs::write(share.path("soft.vpy"), soft).unwrap();
    let plain = share.boost(&USUAL);
    let words = [&USUAL[..], &["--probe-input", "soft.vpy"]].concat();
    let one = share.boost(&words);
    assert_ne!(one, plain);
    share.plan(&words).ok();
    share.shard("clip.plan", "1/2").ok();
    share.shard("clip.plan", "2/2").ok();
    assert_eq!(share.merged("clip.plan"), one);
    let short = script.replace("clip.set_output()", "clip[:90].set_output()");
    std::fs::write(share.path("short.vpy"), short).unwrap();
    let refused = share.plan(&["--force", "--probe-input", "short.vpy"]);
    refused.failed(1, &["short.vpy", "90 frames", "240 frames"]);
}

#[test]
fn any_number_of_shards_writes_what_one_machine_writes() {
    let share = Share::new();
    for (words, counts) in [(&CALIBRATED[..], &[1, 3, 8][..]), (&USUAL, &[3])] {
        let one = share.boost(words);
        let told = share.plan(&[words, &["--force", "--shards", "3"]].concat()).ok();
        for text in
            ["probed that the others learn from", "--shard I/3", "merge", "sbatch", "parallel", "kubectl"]
        {
            assert!(told.stdout.contains(text), "{text}: {}", told.stdout);
        }
        for of in counts {
            let plan = format!("{of}.plan");
            let _ = std::fs::remove_dir_all(share.path(&plan));
            share.copy(&plan);
            let planned = probes(&share.path(&plan));
            assert!(planned >= 2, "no pilots");
            for number in (1..=*of).rev() {
                share.shard(&plan, &format!("{number}/{of}")).ok();
            }
            assert!(probes(&share.path(&plan)) > planned, "the shards did nothing");
            assert_eq!(share.merged(&plan), one, "{of} shards, {words:?}");
        }
    }
    // A merged plan is a work folder: other targets need no new probes.
    share.run(&["retarget", "merged.json", "-o", "again.json"]).ok();
    assert_eq!(std::fs::read(share.path("again.json")).unwrap(), share.boost(&USUAL));
}

fn killed(mut child: Child, event: &str) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let seen = lines.into_iter().find(|line| line.contains(event));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.is_some(), "it ended before {event}");
}

#[test]
fn killed_shards_are_run_again_alone_and_two_at_once_do_no_harm() {
    let share = Share::new();
    let one = share.boost(&CALIBRATED);
    let piped = |words: &[&str]| {
        let mut command = share.command(&[words, &["--events", "-"]].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    // In the middle of the pilots.
    killed(
        piped(&[&["plan", "clip.vpy", "-o", "clip.plan"], &SETTINGS[..], &CALIBRATED].concat()),
        "\"score\",",
    );
    assert!(!share.path("clip.plan/plan.json").exists());
    share.plan(&CALIBRATED).failed(1, &["--resume", "--force", "nothing was changed"]);
    share.plan(&[&CALIBRATED[..], &["--resume"]].concat()).ok();

    let before = probes(&share.path("clip.plan"));
    let shard = |number: &'static str| ["run", "clip.plan", "--shard", number, "--workers", "1"];
    killed(piped(&shard("1/2")), "\"score\",");
    let kept = probes(&share.path("clip.plan"));
    assert!(kept > before);
    // What it was writing when it was killed.
    let journals =
        std::fs::read_dir(share.path("clip.plan/journals")).unwrap().map(|entry| entry.unwrap().path());
    let torn =
        journals.filter(|path| path.to_string_lossy().contains("1-of-2.")).collect::<Vec<_>>().remove(0);
    let text = std::fs::read(&torn).unwrap();
    std::fs::write(&torn, [&text[..], b"{\"kind\":\"measu"].concat()).unwrap();

    // Shard 1 twice at once, as if its machine were not dead after all, beside shard 2.
    let children = ["1/2", "1/2", "2/2"].map(|number| {
        let mut command = share.command(&shard(number));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for child in children {
        Ended::of(&child.wait_with_output().unwrap()).ok();
    }
    assert_eq!(share.merged("clip.plan"), one);
    // Nothing is done twice when it is there.
    let made = probes(&share.path("clip.plan"));
    for number in ["1/2", "2/2", "3/5"] {
        let again = share.shard("clip.plan", number).ok();
        assert!(again.stdout.contains("of them before"), "{}", again.stdout);
    }
    assert_eq!(probes(&share.path("clip.plan")), made);
}

#[test]
fn a_merge_names_what_is_missing_and_the_command_that_makes_it() {
    let share = Share::new();
    share.plan(&USUAL).ok();
    let plan: Value =
        serde_json::from_slice(&std::fs::read(share.path("clip.plan/plan.json")).unwrap()).unwrap();
    let left: Vec<usize> = plan["work"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(_, w)| w.as_f64() > Some(0.0))
        .map(|(i, _)| i)
        .collect();
    let ended = share.merge("clip.plan");
    ended.failed(1, &[&format!("{} of ", left.len()), "scenes are missing", "--shard 1/8"]);
    for number in ["1/3", "3/3"] {
        share.shard("clip.plan", number).ok();
    }
    let ended = share.merge("clip.plan");
    ended.failed(1, &["progression-boost run clip.plan --shard 2/3", "--shard 1/1"]);
    assert!(
        !ended.stderr.contains("--shard 1/3") && !ended.stderr.contains("--shard 3/3"),
        "{}",
        ended.stderr
    );
    assert!(!share.path("merged.json").exists());
    // The command that it named.
    share.shard("clip.plan", "2/3").ok();
    share.merge("clip.plan").ok();
    share.run(&["merge", "clip.vpy"]).failed(1, &["clip.vpy is no plan"]);
    share.run(&["run", "clip.plan"]).failed(2, &["--shard I/N"]);
    share.run(&["run", "clip.plan", "--shard", "3/2"]).failed(2, &["I from 1 to N"]);
}

#[test]
fn a_machine_that_is_otherwise_is_told_both_and_does_nothing() {
    let share = Share::new();
    share.plan(&USUAL).ok();
    let before = probes(&share.path("clip.plan"));
    let refused = |words: &[&str], says: &[&str]| {
        let ended = share.run(&[&["run", "clip.plan", "--shard", "1/2"], words].concat());
        ended.failed(1, says);
        assert_eq!(probes(&share.path("clip.plan")), before);
    };
    let other = common::svt(Svt::V4_2);
    refused(
        &["--encoder-path", other.to_str().unwrap()],
        &[
            "the encoder is not that of the plan",
            "the plan: ",
            "here: encoder: SVT-AV1",
            "v4.2.0",
            "fingerprint",
        ],
    );

    let script = std::fs::read_to_string(share.path("clip.vpy")).unwrap();
    std::fs::write(share.path("clip.vpy"), script.replace("fpsnum=24", "fpsnum=25")).unwrap();
    refused(&[], &["the script is not that of the plan", "the plan: ", "clip.vpy", "here: ", "plan again"]);
    std::fs::write(share.path("clip.vpy"), script).unwrap();

    let file = share.path("clip.plan/plan.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = |from: &str, to: &str, says: &[&str]| {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        refused(&[], says);
        share.merge("clip.plan").failed(1, says);
    };
    let version = env!("CARGO_PKG_VERSION");
    changed(
        &format!("\"program\":\"{version}\""),
        "\"program\":\"0.0.9\"",
        &["was made by progression-boost 0.0.9", &format!("this is {version}")],
    );
    changed("\"target\":80.0", "\"target\":81.0", &["was changed since it was written"]);
    std::fs::write(&file, &text).unwrap();

    // Planned anew with other settings: what was probed for the old plan is not taken for the new one's.
    share.shard("clip.plan", "1/1").ok();
    share.plan(&["--target", "84", "--resume"]).ok();
    share.merge("clip.plan").failed(1, &["scenes are missing"]);
    share.shard("clip.plan", "1/1").ok();
    assert_eq!(share.merged("clip.plan"), share.boost(&["--target", "84"]));
}

/// Two machines that see the same files elsewhere.
#[test]
fn a_machine_may_have_other_names_for_the_folders() {
    let share = Share::new();
    let [here, there] = ["nas", "mnt"].map(|name| share.path(name));
    std::fs::create_dir(&here).unwrap();
    draw(&here.join("shots.py"));
    let quoted = |path: &Path| format!("{:?}", path.to_str().unwrap());
    let script = format!("exec(open({}).read())\n", quoted(&here.join("shots.py")));
    std::fs::write(share.path("clip.vpy"), &script).unwrap();
    std::fs::write(here.join("clip.vpy"), &script).unwrap();
    let one = share.boost(&USUAL);
    std::fs::remove_file(share.path("clip.vpy")).unwrap();
    let words = ["plan", "nas/clip.vpy", "-o", "nas/clip.plan", "--scenes", "nas/clip.scenes.json"];
    share.run(&[&words, &SETTINGS[..], &USUAL].concat()).ok();

    std::fs::rename(&here, &there).unwrap();
    share.shard("mnt/clip.plan", "1/1").failed(1, &["nas/clip.vpy"]);
    let map = format!("{}={}", here.display(), there.display());
    for number in ["1/2", "2/2"] {
        share.run(&["run", "mnt/clip.plan", "--shard", number, "--path-map", &map]).ok();
    }
    share.run(&["merge", "mnt/clip.plan", "--path-map", &map]).ok();
    assert_eq!(std::fs::read(there.join("clip.scenes.json")).unwrap(), one);
}

/// Of the packets of a film's video.
fn video(film: &Path) -> String {
    let mut command = common::tool("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(film).args(["-map", "0:v", "-c", "copy", "-f", "md5", "-"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_encode_is_shared_as_well() {
    common::require("mkvmerge");
    let share = Share::new();
    share.plan(&USUAL).ok();
    let encode = |words: &[&str]| {
        share.run(&[&["encode", "--plan", "clip.plan", "--min-chunk-length", "1"], words].concat())
    };
    encode(&["--shard", "1/2"]).failed(1, &["clip.scenes.json is not there", "merge clip.plan"]);
    share.shard("clip.plan", "1/1").ok();
    share.run(&["merge", "clip.plan"]).ok();
    let one =
        ["encode", "clip.vpy", "-o", "one.mkv", "--scenes", "clip.scenes.json", "--min-chunk-length", "1"];
    share.run(&one).ok();

    // Killed after its first chunk, then twice at once.
    let words = ["encode", "--plan", "clip.plan", "--min-chunk-length", "1", "--shard", "1/3"];
    let mut command =
        share.command(&[&words[..], &["--events", "-", "--max-parallel-encodes", "1"]].concat());
    killed(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(), "chunk_finished");
    let finished = |shard: &str| {
        let chunks = std::fs::read_dir(share.path("clip.plan/encode/encoded-chunks")).unwrap().count();
        let merge = share.run(&["encode", "merge", "clip.plan", "-o", "film.mkv", "--min-chunk-length", "1"]);
        merge.failed(1, &["chunks are missing", &format!("encode --plan clip.plan --shard {shard}")]);
        assert!(!share.path("film.mkv").exists());
        chunks
    };
    assert_eq!(finished("1/3"), 1);
    let twice = [(); 2]
        .map(|()| share.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    for child in twice {
        Ended::of(&child.wait_with_output().unwrap()).ok();
    }
    encode(&["--shard", "3/3"]).ok();
    let kept = finished("2/3");

    // Another one than the others made, and by another encoder.
    encode(&["--shard", "2/3", "--params", "--aq-mode 0"])
        .failed(1, &["the first: ", "here: ", "--params --aq-mode 0", "the same options"]);
    let other = common::svt(Svt::V4_2);
    encode(&["--shard", "2/3", "--encoder-path", other.to_str().unwrap()])
        .failed(1, &["the first: ", "here: ", "v4.2.0"]);
    assert_eq!(finished("2/3"), kept);

    encode(&["--shard", "2/3"]).ok();
    let again = encode(&["--shard", "2/3"]).ok();
    assert!(again.stdout.contains("of them before"), "{}", again.stdout);
    let merge = ["encode", "merge", "clip.plan", "-o", "film.mkv", "--min-chunk-length", "1"];
    share.run(&merge).ok();
    assert_eq!(video(&share.path("film.mkv")), video(&share.path("one.mkv")));
    share.run(&merge).failed(2, &["film.mkv exists", "--force"]);
    share.run(&[&merge[..], &["--force", "--clean"]].concat()).ok();
    assert!(!share.path("clip.plan/encode").exists());
    share
        .run(&["encode", "clip.vpy", "-o", "x.mkv", "--shard", "1/2"])
        .failed(2, &["--shard goes with --plan"]);
}

#[test]
fn a_season_is_one_plan_and_every_episode_has_the_scenes_of_its_own_boost() {
    let share = Share::new();
    let names = ["ep01", "ep02", "ep03"];
    for (name, lengths) in names.iter().zip([[70, 40, 50], [40, 90, 30], [30, 30, 60]]) {
        let text = format!("{}clip.set_output()\n", common::three_shots(lengths));
        std::fs::write(share.path(&format!("{name}.vpy")), text).unwrap();
    }
    let scripts = names.map(|name| format!("{name}.vpy"));
    let scripts = scripts.each_ref().map(String::as_str);
    let plan = [&["plan"], &scripts[..], &["-o", "show.plan", "--shards", "2"], &SETTINGS, &USUAL].concat();
    let told = share.run(&plan).ok();
    for text in ["ep01: ", "ep02: ", "ep03: ", "/show.plan --shard I/2"] {
        assert!(told.stdout.contains(text), "{text}: {}", told.stdout);
    }
    share.shard("show.plan", "2/2").ok();
    let ended = share.run(&["merge", "show.plan"]);
    ended.failed(1, &["ep01: ", "progression-boost run show.plan --shard 1/2"]);
    assert!(!ended.stderr.contains("--shard 2/2"), "{}", ended.stderr);
    share.run(&["merge", "show.plan", "-o", "x.json"]).failed(1, &["3 titles", "leave out -o"]);
    share.run(&["run", "show.plan", "--shard", "1/2"]).ok();
    share.run(&["merge", "show.plan"]).ok();
    for name in names {
        let merged = std::fs::read(share.path(&format!("{name}.scenes.json"))).unwrap();
        let script = format!("{name}.vpy");
        share.run(&[&[&script, "--force", "-o", "one.json"], &SETTINGS[..], &USUAL].concat()).ok();
        assert_eq!(merged, std::fs::read(share.path("one.json")).unwrap(), "{name}");
    }
    // Each is a plan by itself.
    share
        .run(&["encode", "--plan", "show.plan", "--shard", "1/2"])
        .failed(1, &["is a season", "show.plan/TITLE"]);
    share.run(&["merge", "show.plan/ep02", "-o", "two.json"]).ok();
    share.run(&["plan", "ep01.vpy", "./ep01.vpy", "-o", "x.plan"]).failed(2, &["--scenes"]);
}
