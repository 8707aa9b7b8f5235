//! The finish of the command line: help that fits, versions, completions, manual
//! pages, a command at the end, and how far a run is.

mod common;

use std::path::Path;

use common::{Ended, program, tool};
use serde_json::Value;

fn run(folder: &Path, words: &[&str]) -> Ended {
    Ended::of(&program(folder).args(words).output().unwrap())
}

#[test]
fn the_short_help_fits_a_screen_and_the_long_one_tells_all() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&[][..], &["encode"], &["verify"], &["scenes"], &["doctor"]] {
        let short = run(folder.path(), &[words, &["-h"]].concat()).ok().stdout;
        let long = run(folder.path(), &[words, &["--help"]].concat()).ok().stdout;
        assert!(short.lines().count() <= 60, "{words:?}: {} lines\n{short}", short.lines().count());
        assert!(long.contains("Examples:") && long.contains("Exit codes: 0 "), "{long}");
    }
    let boost = run(folder.path(), &["-h"]).ok().stdout;
    assert!(boost.contains("--preset") && !boost.contains("--staged"), "{boost}");
    assert!(run(folder.path(), &["--help"]).ok().stdout.contains("--staged"));
    let verify = run(folder.path(), &["verify", "-h"]).ok().stdout;
    assert!(
        verify.contains("Usage: progression-boost verify [OPTIONS] --scenes <FILE> <SOURCE> <ENCODED>"),
        "{verify}"
    );
}

#[test]
fn the_version_names_the_encoder_and_vapoursynth() {
    let folder = tempfile::tempdir().unwrap();
    let told = run(folder.path(), &["-V"]).ok().stdout;
    let lines: Vec<&str> = told.lines().collect();
    let encoder = tool("SvtAv1EncApp").arg("--version").output().unwrap().stdout;
    assert_eq!(lines[0], format!("progression-boost {}", env!("CARGO_PKG_VERSION")));
    assert!(String::from_utf8_lossy(&encoder).contains(lines[1]), "{told}");
    assert!(lines[2].starts_with("VapourSynth R81 with Python 3."), "{told}");
}

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(folder.path(), &["completions", shell]).ok().stdout;
        for word in ["retarget", "doctor", "final-preset", "copy-from"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    run(folder.path(), &["man", "pages"]).ok();
    for (page, word) in [("progression-boost.1", "preset"), ("progression-boost-encode.1", "copy\\-from")] {
        let text = std::fs::read_to_string(folder.path().join("pages").join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(word), "{page}");
    }
}

#[cfg(unix)]
#[test]
fn a_command_is_run_at_the_end_and_told_how_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let notify = ["--notify", "echo \"$PB_STATE|$PB_MESSAGE|$PB_SECONDS\" > told"];
    let told = || std::fs::read_to_string(folder.path().join("told")).unwrap();
    run(folder.path(), &[&["presets", "list"][..], &notify].concat()).ok();
    assert_eq!(told().trim(), "done||0");
    let failed = run(folder.path(), &[&["missing.vpy"][..], &notify].concat());
    assert_eq!(failed.code, Some(1));
    assert!(told().starts_with("failed|") && told().contains("missing.vpy"), "{}", told());
    // One that fails is told of and changes nothing.
    let ended = run(folder.path(), &["presets", "list", "--notify", "exit 7"]).ok();
    assert!(ended.stderr.contains("--notify `exit 7` ended with"), "{}", ended.stderr);
}

#[test]
fn a_run_is_seen_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["status", "--temp", "clip.boost"]).failed(1, &["no run of `boost` or `encode`"]);
    let script = format!("{}clip.set_output()\n", common::three_shots([30, 30, 30]));
    std::fs::write(folder.path().join("clip.vpy"), script).unwrap();
    // Everything of a boost but the probes.
    run(folder.path(), &["--preset", "scene-detection", "clip.vpy", "--report", "clip.html"]).ok();
    let status = run(folder.path(), &["status", "--temp", "clip.boost", "--json"]).ok().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["state"], &status["stages"]), (&Value::from("done"), &Value::Array(Vec::new())));
    assert!(run(folder.path(), &["status", "--temp", "clip.boost"]).ok().stdout.starts_with("done after"));
    // Of a run that was killed only its last word is left.
    let file = folder.path().join("clip.boost/status.json");
    let text = std::fs::read_to_string(&file).unwrap().replace("\"done\"", "\"running\"");
    std::fs::write(&file, text).unwrap();
    let gone = run(folder.path(), &["status", "--temp", "clip.boost"]).ok().stdout;
    assert!(gone.starts_with("not running; it was ended after"), "{gone}");
    // A page without measurements has the scenes.
    let page = std::fs::read_to_string(folder.path().join("clip.html")).unwrap();
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!((data["frames"].as_u64(), &data["metric"]), (Some(90), &Value::Null));
}
