//! Several SvtAv1EncApps in one encode: by boosting, by `encode`, and by av1an through
//! the shim.
#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Ended, Svt, svt};
use serde_json::Value;

/// The usual encoder is 2.3.0, which knows whole CRFs; `new` is 4.2.0, which has quarters.
const PRESET: &str = "\
extends = \"ssimu2-mean\"
[encoder]
probing_preset = 12
final_preset = 10
lp = 1
[encoders.new]
program = \"./new\"
params.mainline.final = \"--tune 0\"
[metric]
target = 85
backend = \"native\"
[zones.last]
encoder.program = \"./new\"
[dynamic]
encoder = \"if start_frame == 40 { `new` }\"
probing_encoder = \"if start_frame == 40 { `new` }\"
";

/// Soft pictures, so that old and new encoders alike have something to lose.
const SOFT: &str = "clip.std.BoxBlur(hradius=2, vradius=2).set_output()\n";

/// CRFs that only tell what an encoder can do.
const TRIALS: [&str; 4] = ["30", "30.25", "63", "70"];

struct Film {
    folder: tempfile::TempDir,
}

impl Film {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let film = Self { folder };
        // 0, 40 and 76 begin shots.
        let script = common::three_shots([40, 36, 50]) + SOFT;
        std::fs::write(film.path("clip.vpy"), script).unwrap();
        std::fs::write(film.path("forks.toml"), PRESET).unwrap();
        film.encoder("bin/SvtAv1EncApp", "old", Svt::V2_3);
        film.encoder("new", "new", Svt::V4_2);
        film
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An encoder that notes its words in `NAME.log`.
    fn encoder(&self, file: &str, name: &str, version: Svt) {
        let (path, log) = (self.path(file), self.path(&format!("{name}.log")));
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
            log.display(),
            svt(version).display()
        );
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = common::program(self.folder.path());
        command.env("PATH", path_with(&self.path("bin"))).args(args);
        Ended::of(&command.output().unwrap())
    }

    /// The CRFs that an encoder was called with since this was last asked, sorted.
    fn crfs(&self, name: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        let _ = std::fs::remove_file(self.path(&format!("{name}.log")));
        let crf = |line: &str| Some(line.split("--crf ").nth(1)?.split(' ').next()?.to_owned());
        let encodes = log.lines().filter_map(crf).filter(|crf| !TRIALS.contains(&crf.as_str()));
        let mut crfs: Vec<String> = encodes.collect();
        crfs.sort();
        crfs
    }

    fn scenes(&self, name: &str) -> Vec<Vec<String>> {
        let text = std::fs::read(self.path(name)).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let words = |scene: &Value| {
            let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
            words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        file["split_scenes"].as_array().unwrap().iter().map(words).collect()
    }
}

fn path_with(folder: &Path) -> std::ffi::OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&old));
    std::env::join_paths(all).unwrap()
}

fn value<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == option)?;
    Some(&words[at + 1])
}

#[test]
fn scenes_are_probed_and_encoded_by_the_program_that_is_theirs() {
    let film = Film::new();
    let boost = ["--preset", "forks.toml", "clip.vpy", "-o", "clip.scenes.json"];
    let said = film.run(&[&boost[..], &["--zones-string", "76 -1 last"]].concat()).ok();
    assert!(said.stderr.contains("2 scenes are for another SvtAv1EncApp"), "{}", said.stderr);
    assert!(said.stdout.contains("v2.3.0") && said.stdout.contains("v4.2.0"), "{}", said.stdout);
    let (old, new) = (film.crfs("old"), film.crfs("new"));
    assert!(old.iter().all(|crf| !crf.contains('.')) && !old.is_empty(), "{old:?}");
    assert!(new.iter().any(|crf| crf.contains('.')), "{new:?}");

    let scenes = film.scenes("clip.scenes.json");
    let mark = film.path("new").display().to_string();
    let marks: Vec<Option<&str>> = scenes.iter().map(|words| value(words, "--svt-program")).collect();
    assert_eq!(marks, [None, Some(&*mark), Some(&*mark)]);
    // The entry has a list of its own, the zone that of its preset.
    let keyints: Vec<bool> = scenes.iter().map(|words| value(words, "--keyint").is_some()).collect();
    assert_eq!(keyints, [true, false, true], "{scenes:?}");
    let crfs: Vec<&str> = scenes.iter().map(|words| value(words, "--crf").unwrap()).collect();
    assert!(!crfs[0].contains('.') && crfs[1].contains('.') && crfs[2].contains('.'), "{crfs:?}");

    // Each of the two encodes once more, its own scenes.
    let encode = ["encode", "clip.vpy", "-o", "out.mkv", "--scenes", "clip.scenes.json"];
    film.run(&[&encode[..], &["--min-chunk-length", "1"]].concat()).ok();
    let (old, new) = (film.crfs("old"), film.crfs("new"));
    assert!(old.iter().all(|crf| crf == crfs[0]) && !old.is_empty(), "{old:?}");
    assert!(crfs[1..].iter().all(|crf| new.iter().any(|of| of == crf)), "{new:?} {crfs:?}");

    av1an_asks_the_shim(&film, &crfs);
}

/// The same scenes file, encoded by av1an: every encoder is called for its scenes.
fn av1an_asks_the_shim(film: &Film, crfs: &[&str]) {
    film.run(&["svt-shim", "shim"]).ok();
    film.run(&["svt-shim", "bin"]).failed(1, &["is there already and not this program"]);
    let shim = film.path("shim/SvtAv1EncApp");
    let ask = |words: &[&str]| {
        let mut command = Command::new(&shim);
        command.env("PATH", path_with(&film.path("bin"))).args(words);
        Ended::of(&command.output().unwrap())
    };
    assert!(ask(&["--version"]).stdout.contains("v2.3.0"));
    let new = film.path("new").display().to_string();
    assert!(ask(&["--version", "--svt-program", &new]).stdout.contains("v4.2.0"));
    assert_ne!(ask(&["--svt-program", &new, "--nonsense", "3"]).code, Some(0));
    ask(&["--svt-program", "/nowhere/svt"]).failed(1, &["cannot start /nowhere/svt"]);
    let alone = Command::new(&shim).env("PATH", film.path("shim")).arg("--version").output().unwrap();
    Ended::of(&alone).failed(1, &["no SvtAv1EncApp on the PATH but this stand-in"]);
    film.crfs("old");
    film.crfs("new");

    let vapoursynth = common::vapoursynth_folder();
    common::require("mkvmerge");
    common::require("ffmpeg");
    let path: Vec<PathBuf> = [film.path("shim"), film.path("bin"), vapoursynth.clone()]
        .into_iter()
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
        .collect();
    let result = Command::new(common::av1an())
        .args(["-i", "clip.vpy", "-o", "av1an.mkv", "--scenes", "clip.scenes.json", "--encoder", "svt-av1"])
        .args(["--pix-format", "yuv420p10le", "--concat", "mkvmerge", "--workers", "2"])
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("LD_LIBRARY_PATH", &vapoursynth)
        .current_dir(film.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(result.status.success(), "{}{said}", String::from_utf8_lossy(&result.stdout));
    let mut wanted = crfs[1..].to_vec();
    wanted.sort_unstable();
    assert_eq!(
        (film.crfs("old"), film.crfs("new")),
        (vec![crfs[0].to_owned()], wanted.iter().map(|crf| (*crf).to_owned()).collect())
    );
    let decoded = common::ffprobe(&film.path("av1an.mkv"), "frame=key_frame");
    assert_eq!(decoded["frames"].as_array().unwrap().len(), 126);
}

#[test]
fn the_closed_loop_encodes_with_the_program_of_each_scene() {
    let film = Film::new();
    let boosted = ["encode", "clip.vpy", "-o", "out.mkv", "--boost", "forks.toml"];
    let zones = ["--zones-string", "76 -1 last", "--set", "scenes.min_scene_len=12"];
    film.run(&[&boosted[..], &zones].concat()).ok();
    let scenes = film.scenes("out.scenes.json");
    assert!(value(&scenes[0], "--svt-program").is_none());
    assert!(scenes[1..].iter().all(|words| value(words, "--svt-program").is_some()), "{scenes:?}");
    let new = film.crfs("new");
    assert!(
        scenes[1..].iter().all(|words| new.iter().any(|crf| crf == value(words, "--crf").unwrap())),
        "{new:?}"
    );

    // An encoder that is missing is found before the first probe.
    let missing = ["--force", "--set", "dynamic.probing_encoder=`/nowhere/svt`"];
    film.run(&[&boosted[..], &missing].concat()).failed(1, &["no encoder `/nowhere/svt`"]);
}
