//! What a verification found, and its statistics.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::pipeline::plan::PlannedScene;
use crate::score;
use crate::settings::{Metric, MetricSettings};
use crate::support::statistics::percentile;

/// Frames named for every scene, the worst first.
const WORST: usize = 3;

/// A finished verification.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Version of this program.
    pub program: String,
    pub source: PathBuf,
    pub encoded: PathBuf,
    pub scenes_file: PathBuf,
    /// A sentence for each metric back end.
    pub metrics: Vec<String>,
    /// Of every scene the first frame was measured and every n-th after it.
    pub every: usize,
    pub frames: usize,
    pub width: usize,
    pub height: usize,
    /// Frames per second as a fraction; `None` when it varies.
    pub fps: Option<(u64, u64)>,
    /// Of the video; `None` when packets could not be read.
    pub bytes: Option<u64>,
    /// One for each metric that the zones use.
    pub summary: Vec<MetricSummary>,
    pub scenes: Vec<SceneReport>,
}

/// A scene of the encode. Scores are in the unit of the metric; they are `None`
/// where the zone measures nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SceneReport {
    /// Counted from 0.
    pub scene: usize,
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    pub zone: Option<String>,
    pub metric: Option<Metric>,
    /// Pooled over the measured frames as the settings say.
    pub score: Option<f64>,
    pub target: Option<f64>,
    /// `score - target`.
    pub error: Option<f64>,
    /// A frame scored too low for the mean to be trusted (SSIMULACRA2 only).
    pub unreliable: bool,
    /// As the scenes file says; `None` for encoders without `--crf`.
    pub crf: Option<f64>,
    /// Of the packets; `None` when they could not be read.
    pub bytes: Option<u64>,
    /// The worst first.
    pub worst: Vec<FrameScore>,
    /// All that were measured, in order.
    pub frames: Vec<FrameScore>,
}

/// The score of a frame of the clip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FrameScore {
    pub frame: usize,
    pub score: f64,
}

/// How far the scenes of one metric are from their targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricSummary {
    pub metric: Metric,
    pub scenes: usize,
    /// Mean of |score − target|, every scene counting once.
    pub mean_absolute_error: f64,
    /// The same, every scene counting by its frames.
    pub mean_absolute_error_by_frames: f64,
    /// Of score − target, over scenes.
    pub errors: Distribution,
    /// Of the scores of the measured frames.
    pub frame_scores: Distribution,
}

/// Statistics of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    pub mean: f64,
    /// Of the values themselves, not an estimate for more of them: divided by n.
    pub standard_deviation: f64,
    /// Percentiles, interpolated linearly between two values.
    pub p5: f64,
    pub p95: f64,
}

impl SceneReport {
    /// What is known without measuring.
    pub fn unmeasured(scene: &PlannedScene<'_>, crf: Option<f64>, bytes: Option<u64>) -> Self {
        Self {
            scene: scene.index,
            start: scene.scene.start,
            end: scene.scene.end,
            zone: scene.zone_name.map(str::to_owned),
            metric: None,
            score: None,
            target: None,
            error: None,
            unreliable: false,
            crf,
            bytes,
            worst: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Adds the scores of its frames, in order.
    pub fn measured(&mut self, frames: Vec<FrameScore>, settings: &MetricSettings) -> Result<()> {
        let scores: Vec<f64> = frames.iter().map(|frame| frame.score).collect();
        let pooled = score::pool(&scores, settings)?;
        let mut worst = frames.clone();
        worst.sort_by(|a, b| a.score.total_cmp(&b.score));
        if !settings.metric.higher_is_better() {
            worst.reverse();
        }
        worst.truncate(WORST);
        self.metric = Some(settings.metric);
        self.score = Some(pooled.score);
        self.target = Some(settings.target);
        self.error = Some(pooled.score - settings.target);
        self.unreliable = pooled.unreliable;
        self.worst = worst;
        self.frames = frames;
        Ok(())
    }

    pub fn length(&self) -> usize {
        self.end - self.start
    }
}

/// A summary for each metric, in the order in which the scenes use them.
pub fn summarise(scenes: &[SceneReport]) -> Vec<MetricSummary> {
    let mut metrics: Vec<Metric> = Vec::new();
    for metric in scenes.iter().filter_map(|scene| scene.metric) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    metrics.into_iter().filter_map(|metric| summary(metric, scenes)).collect()
}

/// `None` when no scene was measured.
fn summary(metric: Metric, scenes: &[SceneReport]) -> Option<MetricSummary> {
    let of_metric: Vec<&SceneReport> = scenes.iter().filter(|scene| scene.metric == Some(metric)).collect();
    let errors: Vec<f64> = of_metric.iter().filter_map(|scene| scene.error).collect();
    let lengths: Vec<f64> = of_metric.iter().map(|scene| scene.length() as f64).collect();
    let weighted: f64 = errors.iter().zip(&lengths).map(|(error, frames)| error.abs() * frames).sum();
    let frames: Vec<f64> = of_metric.iter().flat_map(|s| s.frames.iter().map(|frame| frame.score)).collect();
    Some(MetricSummary {
        metric,
        scenes: errors.len(),
        mean_absolute_error: errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len() as f64,
        mean_absolute_error_by_frames: weighted / lengths.iter().sum::<f64>(),
        errors: Distribution::of(errors)?,
        frame_scores: Distribution::of(frames)?,
    })
}

impl Distribution {
    /// `None` for no values.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Some(Self {
            mean,
            standard_deviation: variance.sqrt(),
            p5: percentile(&values, 5.0),
            p95: percentile(&values, 95.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(start: usize, end: usize, metric: Metric, error: f64) -> SceneReport {
        SceneReport {
            scene: 0,
            start,
            end,
            zone: None,
            metric: Some(metric),
            score: Some(80.0 + error),
            target: Some(80.0),
            error: Some(error),
            unreliable: false,
            crf: None,
            bytes: None,
            worst: Vec::new(),
            frames: vec![FrameScore { frame: start, score: 80.0 + error }],
        }
    }

    #[test]
    fn the_statistics_are_those_worked_by_hand() {
        let scenes = [
            scene(0, 10, Metric::Ssimu2, -1.0),
            scene(10, 40, Metric::Ssimu2, 3.0),
            scene(40, 50, Metric::Butteraugli3Norm, 0.5),
            scene(50, 110, Metric::Ssimu2, -2.0),
        ];
        let [ssimu2, butteraugli] = &summarise(&scenes)[..] else { panic!() };
        assert_eq!((ssimu2.metric, ssimu2.scenes), (Metric::Ssimu2, 3));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(ssimu2.mean_absolute_error, 2.0);
        // (10 · 1 + 30 · 3 + 60 · 2) / 100
        close(ssimu2.mean_absolute_error_by_frames, 2.2);
        close(ssimu2.errors.mean, 0.0);
        // √((1 + 9 + 4) / 3)
        close(ssimu2.errors.standard_deviation, (14.0_f64 / 3.0).sqrt());
        // Of −2, −1, 3: a tenth of the way from −2 to −1, nine tenths from −1 to 3.
        close(ssimu2.errors.p5, -1.9);
        close(ssimu2.errors.p95, 2.6);
        close(ssimu2.frame_scores.mean, 80.0);
        close(butteraugli.mean_absolute_error, 0.5);
        assert!(summarise(&[]).is_empty());
    }
}
