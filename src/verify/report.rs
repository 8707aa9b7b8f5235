//! What a verification found, and its statistics.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::pipeline::plan::PlannedScene;
use crate::score;
use crate::score::functional::Functional;
use crate::settings::{Metric, MetricSettings, Pooling, Repeats, Settings};
use crate::support::statistics::percentile;

/// Frames named for every scene, the worst first.
const WORST: usize = 3;

/// A finished verification.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// Version of this program.
    pub program: String,
    pub source: PathBuf,
    pub encoded: PathBuf,
    pub scenes_file: PathBuf,
    /// By which settings the scenes are judged, a sentence.
    pub judged_by: String,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneReport {
    /// Counted from 0.
    pub scene: usize,
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    pub zone: Option<String>,
    pub metric: Option<Metric>,
    /// Pooled over the measured frames as the settings say; with pooling `mean` and
    /// repeats `skip`, those that repeat the frame before count nothing.
    pub score: Option<f64>,
    pub target: Option<f64>,
    /// `score - target`.
    pub error: Option<f64>,
    /// A frame scored too low for the mean to be trusted (SSIMULACRA2 only).
    pub unreliable: bool,
    /// As the scenes file says; `None` for encoders without `--crf`.
    pub crf: Option<f64>,
    /// The CRF is the lowest or the highest that the settings allow, so the target may
    /// have been out of reach.
    pub clamped: bool,
    /// Of the packets; `None` when they could not be read.
    pub bytes: Option<u64>,
    /// The worst first.
    pub worst: Vec<FrameScore>,
    /// All that were measured, in order.
    pub frames: Vec<FrameScore>,
}

/// The score of a frame of the clip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrameScore {
    pub frame: usize,
    pub score: f64,
    /// Its picture is that of the frame before, in the same scene; told only where
    /// every frame is measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
}

/// How far the scenes of one metric are from their targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Of the scenes that are not clamped; `None` when all are.
    pub unclamped: Option<Unclamped>,
    /// Numbers of the scenes at the lowest or highest CRF that they may have.
    pub clamped: Vec<usize>,
}

/// How near the scenes come whose CRF was free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unclamped {
    pub scenes: usize,
    pub mean_absolute_error: f64,
    /// Mean of score − target.
    pub mean_error: f64,
    /// The nearer one first.
    pub within: [Within; 2],
}

/// How many scenes are near their target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Within {
    /// The largest distance that counts.
    pub limit: f64,
    pub unit: Unit,
    /// Of the scenes, 0 to 1.
    pub share: f64,
}

/// What a distance is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Of SSIMULACRA2.
    Points,
    /// Of the target.
    Percent,
}

/// One point of SSIMULACRA2 about 80 and 5 % of Butteraugli are equally easy to see.
const NEAR_POINTS: [f64; 2] = [1.0, 2.0];
const NEAR_PERCENT: [f64; 2] = [5.0, 10.0];

/// A score at the very limit is within it, however it was rounded.
const SLACK: f64 = 1e-9;

/// Statistics of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
        let measured = scene.settings.metric.enable;
        Self {
            clamped: measured && crf.is_some_and(|crf| is_clamped(crf, scene.settings)),
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

    /// Adds the scores of its frames, in order, and what it was to have.
    pub fn measured(
        &mut self,
        frames: Vec<FrameScore>,
        settings: &MetricSettings,
        target: f64,
    ) -> Result<()> {
        let pooled = pooled(&frames, settings)?;
        let mut worst = frames.clone();
        worst.sort_by(|a, b| a.score.total_cmp(&b.score));
        if !settings.metric.higher_is_better() {
            worst.reverse();
        }
        worst.truncate(WORST);
        self.metric = Some(settings.metric);
        self.score = Some(pooled.score);
        self.target = Some(target);
        self.error = Some(pooled.score - target);
        self.unreliable = pooled.unreliable;
        self.worst = worst;
        self.frames = frames;
        Ok(())
    }

    pub fn length(&self) -> usize {
        self.end - self.start
    }
}

/// The score of a scene all of whose frames are known, or every n-th of them.
fn pooled(frames: &[FrameScore], settings: &MetricSettings) -> Result<score::Pooled> {
    if settings.pooling == Pooling::Mean && settings.sample.repeats == Repeats::Skip {
        let weighted = |frame: &FrameScore| (if frame.repeats { 0.0 } else { 1.0 }, frame.score);
        let mut weighted: Vec<_> = frames.iter().map(weighted).collect();
        return Ok(Functional::new(settings.metric, settings.tail).over(&mut weighted).pooled);
    }
    let scores: Vec<(usize, f64)> = frames.iter().map(|frame| (frame.frame, frame.score)).collect();
    score::pool(&scores, settings)
}

/// At the end of what the settings allow, or beyond it, where a rule or Character Boost
/// went. Encoders without quarter steps round the ends.
fn is_clamped(crf: f64, settings: &Settings) -> bool {
    let (lowest, highest) = (settings.metric.min_crf.max(settings.output.min_crf), settings.metric.max_crf);
    let at = |end: f64| (crf - end).abs() < SLACK || (crf - end.round()).abs() < SLACK;
    crf < lowest || crf > highest || at(lowest) || at(highest)
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
        unclamped: unclamped(metric, &of_metric),
        clamped: of_metric.iter().filter(|scene| scene.clamped).map(|scene| scene.scene).collect(),
    })
}

fn unclamped(metric: Metric, scenes: &[&SceneReport]) -> Option<Unclamped> {
    let free = scenes.iter().filter(|scene| !scene.clamped);
    let pairs: Vec<(f64, f64)> = free.filter_map(|scene| Some((scene.error?, scene.target?))).collect();
    let count = pairs.len() as f64;
    let mean = |value: fn(f64) -> f64| pairs.iter().map(|(error, _)| value(*error)).sum::<f64>() / count;
    let (limits, unit) = match metric {
        Metric::Ssimu2 => (NEAR_POINTS, Unit::Points),
        _ => (NEAR_PERCENT, Unit::Percent),
    };
    let within = |limit: f64| {
        let distance = |(error, target): &(f64, f64)| match unit {
            Unit::Points => error.abs(),
            Unit::Percent => 100.0 * (error / target).abs(),
        };
        let near = pairs.iter().filter(|pair| distance(pair) <= limit + SLACK).count();
        Within { limit, unit, share: near as f64 / count }
    };
    (!pairs.is_empty()).then(|| Unclamped {
        scenes: pairs.len(),
        mean_absolute_error: mean(f64::abs),
        mean_error: mean(|error| error),
        within: limits.map(within),
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
            clamped: false,
            bytes: None,
            worst: Vec::new(),
            frames: vec![FrameScore { frame: start, score: 80.0 + error, repeats: false }],
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

    #[test]
    fn scenes_near_their_target_are_counted_without_clamped_ones() {
        let mut scenes = [
            scene(0, 10, Metric::Ssimu2, -1.0),
            scene(10, 20, Metric::Ssimu2, 1.5),
            scene(20, 30, Metric::Ssimu2, -2.1),
            scene(30, 40, Metric::Ssimu2, 9.0),
        ];
        (scenes[3].scene, scenes[3].clamped) = (3, true);
        let [summary] = &summarise(&scenes)[..] else { panic!() };
        assert_eq!(summary.clamped, [3]);
        let free = summary.unclamped.as_ref().unwrap();
        assert_eq!(free.scenes, 3);
        assert!((free.mean_error - -1.6 / 3.0).abs() < 1e-12);
        assert!((free.mean_absolute_error - 4.6 / 3.0).abs() < 1e-12);
        let shares = free.within.map(|within| (within.limit, within.unit, (within.share * 3.0).round()));
        assert_eq!(shares, [(1.0, Unit::Points, 1.0), (2.0, Unit::Points, 2.0)]);
        // Five and ten per cent of 80 are 4 and 8.
        let butteraugli = [4.0, -7.9, 8.1].map(|error| scene(0, 1, Metric::Butteraugli3Norm, error));
        let shares = summarise(&butteraugli)[0].unclamped.as_ref().unwrap().within.map(|within| within.share);
        assert!((shares[0] - 1.0 / 3.0).abs() < 1e-12 && (shares[1] - 2.0 / 3.0).abs() < 1e-12);
        for scene in &mut scenes {
            scene.clamped = true;
        }
        assert_eq!(summarise(&scenes)[0].unclamped, None);
    }

    #[test]
    fn the_ends_of_the_crf_range_are_clamped_as_encoders_round_them() {
        let request = crate::settings::Request::default();
        let mut settings = crate::settings::resolve(&request).unwrap().base;
        (settings.metric.min_crf, settings.metric.max_crf, settings.output.min_crf) = (8.25, 50.0, 6.0);
        let found = [6.0, 8.0, 8.25, 8.5, 49.75, 50.0, 51.0].map(|crf| is_clamped(crf, &settings));
        assert_eq!(found, [true, true, true, false, false, true, true]);
    }

    /// Harmonic mean of 60 and 30: 40; with the repeated 30, of 60, 30, 30: 36.
    #[test]
    fn repeated_frames_count_as_the_settings_say() {
        let mut settings =
            crate::settings::resolve(&crate::settings::Request::default()).unwrap().base.metric;
        (settings.metric, settings.pooling, settings.tail.weight) = (Metric::Ssimu2, Pooling::Mean, 0.0);
        let frame = |frame, score, repeats| FrameScore { frame, score, repeats };
        let frames = [frame(0, 60.0, false), frame(1, 30.0, false), frame(2, 30.0, true)];
        for (repeats, wanted) in [(Repeats::Skip, 40.0), (Repeats::Count, 36.0)] {
            settings.sample.repeats = repeats;
            assert!((pooled(&frames, &settings).unwrap().score - wanted).abs() < 1e-12);
        }
    }
}
