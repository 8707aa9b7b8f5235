//! `doctor` on this machine, on one without anything, and with a plugin that crashes.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Ended, program, tool, vapoursynth_folder};
use serde_json::Value;

fn doctor(words: &[&str]) -> (Ended, Value) {
    let folder = tempfile::tempdir().unwrap();
    let ended = Ended::of(&program(folder.path()).arg("doctor").args(words).output().unwrap());
    let json = serde_json::from_str(&ended.stdout).unwrap_or_default();
    (ended, json)
}

fn check<'a>(report: &'a Value, item: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no checks in {report}"));
    checks.iter().find(|check| check["item"] == item).unwrap_or_else(|| panic!("no {item} in {report}"))
}

#[test]
fn what_the_scripts_install_is_found_working() {
    let (ended, report) = doctor(&["--json"]);
    let ended = ended.ok();
    assert_eq!(report["ready"], true, "{}", ended.stdout);
    for item in [
        "vapoursynth",
        "python",
        "source",
        "plugin.bs",
        "plugin.lsmas",
        "plugin.scxvid",
        "encoder.svt-av1",
        "encoder.aom",
        "mkvmerge",
        "ffmpeg",
        "write.here",
    ] {
        assert_eq!(check(&report, item)["state"], "works", "{item}: {}", check(&report, item));
    }
    // By VapourSynth's own list of what scripts/vapoursynth.txt asks for.
    assert_eq!(check(&report, "vapoursynth")["version"], "R81");
    assert_eq!(check(&report, "plugin.bs")["version"], "22.0");
    let library = check(&report, "vapoursynth")["path"].as_str().unwrap();
    assert_eq!(Path::new(library).parent().unwrap(), vapoursynth_folder());
    let said = tool("SvtAv1EncApp").arg("--version").output().unwrap().stdout;
    let version = check(&report, "encoder.svt-av1")["version"].as_str().unwrap();
    assert!(String::from_utf8_lossy(&said).contains(version), "{version}");
}

#[test]
fn a_preset_is_opened_as_a_boost_opens_it() {
    let (ended, report) = doctor(&["--json", "--preset", "ssimu2-mean"]);
    ended.ok();
    assert_eq!(report["preset"]["ready"], true);
    let uses = report["preset"]["uses"].to_string();
    for sentence in ["encoder: SVT-AV1 v", "SSIMULACRA2", "scenes: "] {
        assert!(uses.contains(sentence), "{uses}");
    }
    // There is no network here that could run.
    let (ended, report) = doctor(&["--json", "--preset", "character-boost-ssimu2-mean"]);
    assert_eq!((ended.code, &report["preset"]["ready"]), (Some(1), &Value::from(false)));
    let problems = report["preset"]["problems"].to_string();
    assert!(problems.contains("isnet_is.onnx") && problems.contains("character.enable=false"), "{problems}");
    let (ended, _) = doctor(&["--preset", "no-such-preset"]);
    ended.failed(2, &["no-such-preset"]);
}

/// The program alone in an empty folder, with nothing on the PATH.
fn bare(folder: &Path) -> Command {
    let copy = folder.join(format!("progression-boost{}", std::env::consts::EXE_SUFFIX));
    if !copy.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_progression-boost"), &copy).unwrap();
    }
    let mut command = Command::new(copy);
    command.current_dir(folder).env_clear().env("PATH", folder).env("HOME", folder);
    command
}

#[cfg(unix)]
#[test]
fn a_bare_machine_gets_what_to_type_and_so_does_its_first_boost() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Ended::of(&bare(folder.path()).args(["doctor", "--json"]).output().unwrap());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["ready"], &report["format"]), (&Value::from(false), &Value::from(1)));
    for (item, state) in
        [("vapoursynth", "missing"), ("plugin.bs", "untried"), ("encoder.svt-av1", "missing")]
    {
        assert_eq!(check(&report, item)["state"], state, "{item}");
    }
    let fix = check(&report, "vapoursynth")["fix"].to_string();
    assert!(fix.contains("$ .venv/bin/pip install vapoursynth vapoursynth-bestsource"), "{fix}");

    std::fs::write(folder.path().join("ep01.vpy"), "import vapoursynth\n").unwrap();
    let ended = Ended::of(&bare(folder.path()).arg("ep01.vpy").output().unwrap());
    ended.failed(
        1,
        &[
            "error: VapourSynth was not found",
            "MISSING  VapourSynth",
            "    $ .venv/bin/vapoursynth config",
            "`progression-boost doctor` looks at everything",
        ],
    );
    assert!(!ended.stderr.contains("BestSource  "), "only what matters:\n{}", ended.stderr);
}

/// The stand-in for Vship under a name that makes it crash.
fn crashing_plugin(folder: &Path) -> PathBuf {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let output = Command::new(env!("CARGO"))
        .args(["build", "--message-format=json", "--profile", profile, "--example", "stand_in_vship4"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let messages = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let files = messages
        .filter(|message| message["target"]["name"] == "stand_in_vship4")
        .find_map(|message| message["filenames"].as_array().cloned())
        .unwrap();
    let is_library =
        |file: &&str| Path::new(file).extension().is_some_and(|e| e == std::env::consts::DLL_EXTENSION);
    let library = files.iter().filter_map(Value::as_str).find(is_library).unwrap();
    let copy = folder.join(format!("crash{}", std::env::consts::DLL_SUFFIX));
    std::fs::copy(library, &copy).unwrap();
    copy
}

#[test]
fn a_plugin_that_crashes_takes_nothing_but_itself_down() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = crashing_plugin(folder.path());
    let (ended, report) = doctor(&["--json", "--load-plugin", plugin.to_str().unwrap()]);
    ended.ok();
    let vship = check(&report, "plugin.vship");
    assert_eq!(vship["state"], "broken", "{vship}");
    assert!(vship["detail"].as_str().unwrap().contains("ended a process"), "{vship}");
    // Those before and after it are there as ever.
    for item in ["plugin.bs", "plugin.scxvid", "vapoursynth"] {
        assert_eq!(check(&report, item)["state"], "works", "{item}");
    }
    assert_eq!(check(&report, "plugin.ort")["version"], "17.1");
}
