//! What of this package only tests need: examples, in Cargo's sense.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A library among the examples.
pub fn example_library(example: &str) -> PathBuf {
    let is_library = |path: &Path| path.extension().is_some_and(|e| e == std::env::consts::DLL_EXTENSION);
    built(example).into_iter().find(|path| is_library(path)).unwrap()
}

/// A program among the examples.
pub fn example_program(example: &str) -> PathBuf {
    let is_program = |path: &Path| path.extension().is_none_or(|e| e == std::env::consts::EXE_EXTENSION);
    built(example).into_iter().find(|path| is_program(path)).unwrap()
}

/// The files of an example, made by the cargo that runs this test.
fn built(example: &str) -> Vec<PathBuf> {
    // The profile of this test: `cargo test` has built its examples already.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let output = Command::new(env!("CARGO"))
        .args(["build", "--message-format=json", "--profile", profile, "--example", example])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let artifact = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|m| m["reason"] == "compiler-artifact" && m["target"]["name"] == example)
        .unwrap();
    let files = artifact["filenames"].as_array().unwrap();
    files.iter().filter_map(|file| file.as_str().map(PathBuf::from)).collect()
}
