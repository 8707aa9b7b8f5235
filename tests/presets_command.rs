//! `presets`: what it lists, shows and writes.

// Values are copied from presets, not computed.
#![allow(clippy::float_cmp)]

use std::path::Path;

use clap::Parser;
use progression_boost::cli::presets::{PresetsArgs, run};
use progression_boost::settings::library::{BUILT_IN, GROUPS};
use progression_boost::settings::{Request, Settings, guide, resolve};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    presets: PresetsArgs,
}

fn presets(args: &[&str]) -> anyhow::Result<String> {
    let cli = Cli::try_parse_from([&["presets"], args].concat())?;
    let mut out = Vec::new();
    run(&cli.presets, &mut out)?;
    Ok(String::from_utf8(out)?)
}

fn settings(preset: &str, folder: Option<&Path>) -> Settings {
    let request = Request {
        preset: Some(preset.to_owned()),
        preset_folder: folder.map(Path::to_path_buf),
        ..Request::default()
    };
    resolve(&request).unwrap().base
}

#[test]
fn list_names_every_preset_with_its_description() {
    let text = presets(&[]).unwrap();
    assert_eq!(text, presets(&["list"]).unwrap());
    for (name, _) in BUILT_IN {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        assert!(line.len() > name.len() + 10, "{line}");
    }
    assert_eq!(GROUPS.map(|(_, count)| count).iter().sum::<usize>(), BUILT_IN.len());
    let titles: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(titles[..3], GROUPS.map(|(title, _)| format!("{title}:")));
}

#[test]
fn show_prints_the_whole_preset_with_its_comments() {
    let text = presets(&["show", "butteraugli-mean"]).unwrap();
    let shipped = BUILT_IN.iter().find(|(name, _)| *name == "butteraugli-mean").unwrap().1;
    assert_eq!(text, shipped);
    let max = presets(&["show", "butteraugli-max"]).unwrap();
    assert!(max.starts_with("# butteraugli-max: "), "{max}");
    for line in [
        "# Complete, with all that it inherits from preset butteraugli-mean.",
        "# Shortest scene, in frames, 1 to 1000.",
        "method = \"wwxd_scxvid\"",
        "extra_split = 192",
        "min_scene_len = 12",
        "target = 0.85",
    ] {
        assert!(max.lines().any(|l| l == line), "no line {line:?} in\n{max}");
    }
    assert!(!max.lines().any(|line| line.starts_with("extends")), "{max}");
}

#[test]
fn what_show_prints_is_the_same_preset() {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in BUILT_IN {
        let file = folder.path().join(format!("{name}-copy.toml"));
        std::fs::write(&file, guide::show(name, None).unwrap()).unwrap();
        let mut copy = settings(file.to_str().unwrap(), None);
        // A file is the user's, so its parameter lists are.
        for params in copy.encoder.params.values_mut() {
            assert!(params.probing_by_user && params.final_by_user);
            (params.probing_by_user, params.final_by_user) = (false, false);
        }
        assert_eq!(copy, settings(name, None), "{name}");
    }
}

#[test]
fn a_users_preset_is_shown_with_its_comments_zones_and_parameters_for_all_families() {
    let folder = tempfile::tempdir().unwrap();
    let mine = r#"# For grainy films.
description = "Mine"
extends = "ssimu2-mean"
metric = { target = 72.0 }

[scenes]
# Grain confuses the detectors.
method = "builtin"

[encoder.params]
final = "--sharpness 1"

[encoder.params.hdr]
final = "--sharpness 2"

[zones.dark.metric]
target = 80.0
"#;
    std::fs::write(folder.path().join("mine.toml"), mine).unwrap();
    let text = guide::show("mine", Some(folder.path().to_path_buf())).unwrap();
    assert!(text.starts_with("# For grainy films.\n#\n# Complete, with all that"), "{text}");
    assert!(text.contains("\n# Grain confuses the detectors.\nmethod = \"builtin\"\n"), "{text}");
    assert!(text.contains("absence is an error.\n# Grain"), "{text}");
    let copy = folder.path().join("copy.toml");
    std::fs::write(&copy, &text).unwrap();
    let shown = settings(copy.to_str().unwrap(), None);
    let mut wanted = settings("mine", Some(folder.path()));
    for params in wanted.encoder.params.values_mut() {
        params.probing_by_user = true;
    }
    assert_eq!(shown, wanted);
    assert_eq!(shown.metric.target, 72.0);
    assert!(text.contains("[zones.dark.metric]\ntarget = 80.0"), "{text}");
}

#[test]
fn export_writes_a_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let path = file.to_str().unwrap();
    assert_eq!(presets(&["export", "ssimu2-mean", "-o", path]).unwrap().trim_end(), path);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), guide::show("ssimu2-mean", None).unwrap());
    let again = presets(&["export", "butteraugli-max", "-o", path]).unwrap_err().to_string();
    assert!(again.contains("exists: --force replaces it"), "{again}");
    presets(&["export", "butteraugli-max", "-o", path, "--force"]).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), guide::show("butteraugli-max", None).unwrap());
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let error = presets(&["show", "buteraugli-mean"]).unwrap_err().to_string();
    assert!(error.contains("did you mean butteraugli-mean?"), "{error}");
    assert!(error.contains("scene-detection"), "{error}");
}
