//! av1an's target quality on the same scenes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use progression_boost::settings::Metric;
use serde_json::Value;

use super::bench::{Bench, Cost, Row, measured, run};
use super::clip::Clip;
use super::judge::{Scene, judge};

/// Half the range that av1an is asked to hit.
const TOLERANCE: f64 = 0.5;

impl Bench {
    /// av1an with up to four probes of every frame, by the probing preset, by the
    /// harmonic mean, with the scenes and final parameters of `like`, whose
    /// scenes file is the last one written.
    pub fn av1an(&self, clip: &Clip, program: &Path, like: &Row) -> Result<Row> {
        anyhow::ensure!(self.metric()? == Metric::Ssimu2, "its Butteraugli needs a GPU plugin");
        let file: Value = serde_json::from_slice(&std::fs::read(self.path("scenes.json"))?)?;
        let (plain, parameters) = plain_scenes(&file)?;
        let scenes = self.path("av1an.json");
        std::fs::write(&scenes, serde_json::to_vec(&plain)?)?;
        let output = self.path("av1an.mkv");
        let preset = place_of(&parameters, "--preset")?;
        let mut probing = parameters.clone();
        probing[preset] = self.options.probing.to_string();
        let target = self.options.target;
        let mut command = Command::new(program);
        command.current_dir(self.path("")).arg("-i").arg(&clip.script).arg("-o").arg(&output);
        command.arg("--scenes").arg(&scenes).arg("--temp").arg(self.fresh("av1an")?);
        command.args(["-y", "--quiet", "--encoder", "svt-av1", "--concat", "mkvmerge", "--no-defaults"]);
        command.args(["--workers", &self.options.workers.to_string(), "--pix-format", "yuv420p10le"]);
        command.args(["--video-params", &parameters.join(" "), "--probe-video-params", &probing.join(" ")]);
        command.args(["--target-metric", "ssimulacra2", "--probing-stat", "harmonic"]);
        command.args(["--target-quality", &format!("{}-{}", target - TOLERANCE, target + TOLERANCE)]);
        if let Some(encoder) = &self.options.encoder {
            // av1an takes the encoder of the PATH.
            let folder = std::path::absolute(encoder)?;
            let folder = folder.parent().context("the encoder lies in no folder")?;
            let old = std::env::var_os("PATH").unwrap_or_default();
            let paths = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&old));
            command.env("PATH", std::env::join_paths(paths)?);
        }
        let (total, _) = measured(|| run(&mut command))?;
        let frames = self.scores(clip, &output, &scenes)?;
        let unscored = |scene: &Scene| Scene { crf: None, clamped: false, ..scene.clone() };
        let ranges = like.judged.scenes.iter().map(unscored).collect();
        Ok(Row {
            clip: clip.name.clone(),
            variant: "av1an target quality".to_owned(),
            probes: None,
            calibrations: 0.0,
            boost: None::<Cost>,
            bare: like.bare,
            total,
            bytes: output.metadata()?.len(),
            judged: judge(self.yardstick()?, target, (f64::NEG_INFINITY, f64::INFINITY), ranges, frames)?,
        })
    }
}

/// `file` without parameters of its own for any scene, and the first scene's
/// parameters without a CRF.
fn plain_scenes(file: &Value) -> Result<(Value, Vec<String>)> {
    let words = file["scenes"][0]["zone_overrides"]["video_params"].as_array().context("no parameters")?;
    let mut words: Vec<String> = words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
    let crf = place_of(&words, "--crf")?;
    words.drain(crf - 1..=crf);
    let mut plain = file.clone();
    for list in ["scenes", "split_scenes"] {
        for scene in plain[list].as_array_mut().into_iter().flatten() {
            scene["zone_overrides"] = Value::Null;
        }
    }
    Ok((plain, words))
}

/// Where the value of `option` is.
fn place_of(words: &[String], option: &str) -> Result<usize> {
    let place = words.iter().position(|word| word == option).with_context(|| format!("no {option}"))? + 1;
    anyhow::ensure!(place < words.len(), "{option} without value");
    Ok(place)
}
