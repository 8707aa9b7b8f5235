//! What boosting buys: the same size spent by one CRF for the whole clip.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::bench::{Bench, Row};
use super::clip::Clip;
use super::judge::{Judged, Yardstick, spread};

/// Sizes this close count as the same.
const SAME: f64 = 0.01;
/// Encodes of a search; each halves the range of CRFs, so that quarter steps are reached.
const ATTEMPTS: usize = 9;

/// A way to spend bytes on a clip, and the scores of its frames.
#[derive(Debug, Serialize)]
pub struct Allocation {
    pub clip: String,
    pub name: String,
    pub bytes: u64,
    pub mean: f64,
    pub sd: f64,
    /// The best of the worst 5 % of frames.
    pub p5: f64,
    /// M of the scene that is worst by it.
    pub worst_scene: f64,
}

impl Bench {
    /// The encode of `row`, which was the last one, and one CRF at its size.
    pub fn compare_sizes(&self, clip: &Clip, row: &Row) -> Result<[Allocation; 2]> {
        let boosted = self.path("scenes.json");
        let constant = self.path("constant.json");
        let file: Value = serde_json::from_slice(&std::fs::read(&boosted)?)?;
        let output = self.path("constant.mkv");
        let (mut low, mut high) = crfs(row)?;
        let mut tried: Vec<(f64, u64)> = Vec::new();
        for _ in 0..ATTEMPTS {
            let crf = ((low + high) * 2.0).round() / 4.0;
            if tried.iter().any(|&(other, _)| (other - crf).abs() < 1e-9) {
                break;
            }
            let bytes = self.encode_at(clip, &file, crf, &constant, &output)?;
            tried.push((crf, bytes));
            if bytes.abs_diff(row.bytes) as f64 <= SAME * row.bytes as f64 {
                break;
            }
            if bytes > row.bytes { low = crf } else { high = crf }
        }
        // Encoders of whole steps may not come as close as that; the table shows both sizes.
        let &(crf, bytes) =
            tried.iter().min_by_key(|(_, bytes)| bytes.abs_diff(row.bytes)).context("nothing was tried")?;
        if tried.last().is_some_and(|&(last, _)| (last - crf).abs() > 1e-9) {
            self.encode_at(clip, &file, crf, &constant, &output)?;
        }
        let frames = self.scores(clip, &output, &constant)?;
        let name = format!("one CRF, {crf}, at the size of {}", row.variant);
        Ok([
            self.allocation(clip, name, bytes, &row.judged, &frames)?,
            self.allocation(clip, row.variant.clone(), row.bytes, &row.judged, &row.judged.frames)?,
        ])
    }

    /// Encodes the scenes of `file` at `crf`; gives the result's bytes.
    fn encode_at(&self, clip: &Clip, file: &Value, crf: f64, scenes: &Path, output: &Path) -> Result<u64> {
        let mut file = file.clone();
        for list in ["scenes", "split_scenes"] {
            for scene in file[list].as_array_mut().into_iter().flatten() {
                set_crf(&mut scene["zone_overrides"]["video_params"], crf)?;
            }
        }
        std::fs::write(scenes, serde_json::to_vec(&file)?)?;
        self.encode(clip, scenes, output)?;
        Ok(output.metadata()?.len())
    }

    fn allocation(
        &self,
        clip: &Clip,
        name: String,
        bytes: u64,
        judged: &Judged,
        frames: &[f64],
    ) -> Result<Allocation> {
        let metric = self.metric()?;
        let (mean, sd, p5) = spread(metric, frames);
        let scores =
            judged.scenes.iter().map(|scene| Yardstick::mean(metric).pooled(&frames[scene.start..scene.end]));
        let worse = if metric.higher_is_better() { f64::min } else { f64::max };
        let worst_scene = scores.reduce(worse).context("no scenes")?;
        Ok(Allocation { clip: clip.name.clone(), name, bytes, mean, sd, p5, worst_scene })
    }
}

/// Between which CRFs the one of the same size lies: those of the scenes.
fn crfs(row: &Row) -> Result<(f64, f64)> {
    let crfs: Vec<f64> = row.judged.scenes.iter().filter_map(|scene| scene.crf).collect();
    let low = crfs.iter().copied().reduce(f64::min).context("no scene has a CRF")?;
    Ok((low, crfs.iter().copied().fold(low, f64::max)))
}

/// Replaces the CRF among the words of a scene.
fn set_crf(words: &mut Value, crf: f64) -> Result<()> {
    let words = words.as_array_mut().context("a scene without parameters")?;
    let place = words.iter().position(|word| word == "--crf").context("a scene without --crf")?;
    *words.get_mut(place + 1).context("--crf without value")? = json!(crf.to_string());
    Ok(())
}
