//! TensorRT engines that the plugin refuses, and which trtexec builds them.

#![cfg(unix)]

mod drawn;

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use progression_boost::character::{Engine, Network, find_trtexec};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

/// A trtexec in `folder` that writes an engine of `text` and zeros.
fn trtexec(folder: &Path, text: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("trtexec");
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in --saveEngine=*) engine=${{word#--saveEngine=}};; esac; done\n\
         {{ printf '{text}'; head -c 2000 /dev/zero; }} >\"$engine\"\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_kept_engine_that_is_refused_is_built_anew_once() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("red.onnx");
    std::fs::write(&model, drawn::red_network()).unwrap();
    let network = Network::open(&model).unwrap();
    let engine = Engine {
        model: &model,
        network: &network,
        width: 128,
        height: 64,
        device: 0,
        gpu: "a GPU".to_owned(),
        version: 101_303,
    };
    let tries = Cell::new(0);
    // The plugin takes what its own TensorRT built.
    let load = |file: &Path| -> Result<()> {
        tries.set(tries.get() + 1);
        if !std::fs::read(file)?.starts_with(b"right") {
            bail!("engine of another version");
        }
        Ok(())
    };
    let engines = folder.path().join("engines");
    let wrong = trtexec(&folder.path().join("wrong"), "wrong");
    let right = trtexec(&folder.path().join("right"), "right");
    let loaded = |trtexec: &Path| engine.load(&engines, trtexec, &Events::silent(), &Cancel::new(), load);

    // Just built: to build it again by the same program would be in vain.
    let error = format!("{:#}", loaded(&wrong).unwrap_err());
    assert!(error.contains("another version") && error.contains("--trtexec"), "{error}");
    assert_eq!(tries.take(), 1);
    // What was left behind is no bar for the right one.
    loaded(&right).unwrap();
    assert_eq!(tries.take(), 2);
    loaded(&wrong).unwrap();
    assert_eq!(tries.take(), 1);
}

/// Says in which folder the test looks when it is run with another PATH.
const FOLDER: &str = "TENSORRT_ENGINES_FOLDER";

#[test]
fn the_trtexec_beside_the_plugin_comes_before_that_on_the_path() {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        let plugin = folder.join("libvstrt.so");
        assert_eq!(find_trtexec(None, Some(&plugin)).unwrap(), folder.join("vsmlrt-cuda/trtexec"));
        assert_eq!(find_trtexec(None, None).unwrap(), folder.join("path/trtexec"));
        let named = folder.join("named/trtexec");
        assert_eq!(find_trtexec(Some(&named), Some(&plugin)).unwrap(), named);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["vsmlrt-cuda", "path", "named"] {
        trtexec(&folder.path().join(name), "");
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_trtexec_beside_the_plugin_comes_before_that_on_the_path"])
        .env(FOLDER, folder.path())
        .env("PATH", folder.path().join("path"))
        .status()
        .unwrap();
    assert!(status.success());
}
