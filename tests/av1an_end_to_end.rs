//! The real av1an encodes the example film with a scenes file, frame for frame.

mod common;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Boosts the film as the README tells users to, with presets that are fast.
fn boost(scenes: &Path, folder: &Path) {
    let result = common::program(folder)
        .args(["--preset", "ssimu2-mean", "--probing-preset", "12", "--final-preset", "10", "--lp", "1"])
        .arg(common::example("ep01.vpy"))
        .arg("-o")
        .arg(scenes)
        .arg("--temp")
        .arg(folder.join("boost"))
        .output()
        .expect("progression-boost starts");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}

/// Runs av1an on the film as the README tells users to.
fn encode(scenes: &Path, output: &Path, folder: &Path) {
    let vapoursynth = common::vapoursynth_folder();
    for program in ["SvtAv1EncApp", "mkvmerge", "ffmpeg"] {
        common::require(program);
    }
    let old_path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(vapoursynth.clone()).chain(std::env::split_paths(&old_path));
    let result = Command::new(common::av1an())
        .arg("-i")
        .arg(common::example("ep01.vpy"))
        .arg("-o")
        .arg(output)
        .arg("--scenes")
        .arg(scenes)
        .args(["--encoder", "svt-av1", "--pix-format", "yuv420p10le", "--concat", "mkvmerge"])
        .arg("--temp")
        .arg(folder.join("av1an"))
        .args(["--workers", "2"])
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("LD_LIBRARY_PATH", &vapoursynth)
        // Its log folder goes into the working directory.
        .current_dir(folder)
        .output()
        .expect("av1an starts");
    assert!(
        result.status.success() && output.is_file(),
        "av1an ended with {}:\n{}{}",
        result.status,
        String::from_utf8_lossy(&result.stdout),
        String::from_utf8_lossy(&result.stderr)
    );
}

/// Which frames of the Matroska are key frames, by decoding all of it.
fn key_frames(video: &Path) -> Vec<bool> {
    let answer = common::ffprobe(video, "frame=key_frame");
    answer["frames"].as_array().unwrap().iter().map(|frame| frame["key_frame"] == 1).collect()
}

/// First frames of the scenes that av1an encodes.
fn scene_starts(scenes: &Path) -> Vec<usize> {
    let file: Value = serde_json::from_slice(&std::fs::read(scenes).unwrap()).unwrap();
    let scenes = file["split_scenes"].as_array().unwrap();
    scenes.iter().map(|scene| scene["start_frame"].as_u64().unwrap() as usize).collect()
}

#[test]
fn av1an_encodes_every_frame_and_starts_each_scene_with_a_key_frame() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = folder.path().join("ep01.scenes.json");
    let video = folder.path().join("ep01.mkv");
    boost(&scenes, folder.path());

    encode(&scenes, &video, folder.path());

    let keys = key_frames(&video);
    assert_eq!(keys.len(), common::truth().frames);
    for start in scene_starts(&scenes) {
        assert!(keys[start], "frame {start} starts a scene and is not a key frame");
    }
}
