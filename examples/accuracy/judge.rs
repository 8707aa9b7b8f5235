//! From the scores of all frames to the errors of the scenes.

use anyhow::{Result, bail, ensure};
use progression_boost::settings::{Metric, MetricSettings, Pooling, Tail};
use serde::Serialize;
use serde_json::Value;

/// SSIMULACRA2 scores below this only say "bad".
const FLOOR: f64 = 15.0;

/// From the scores of all frames of a scene to its own, as the settings define it,
/// but worked out here: nothing of the program is trusted.
#[derive(Debug, Clone, Copy)]
pub struct Yardstick {
    pub metric: Metric,
    /// Weight 1 and a share that is one frame is the worst of all.
    tail: Tail,
}

impl Yardstick {
    /// What `settings` aim at. Errors: poolings that are no property of a scene, as
    /// they grow with the number of frames measured.
    pub fn of(settings: &MetricSettings) -> Result<Self> {
        let metric = settings.metric;
        match settings.pooling {
            Pooling::Mean => Ok(Self { metric, tail: settings.tail }),
            Pooling::Worst => Ok(Self { metric, tail: Tail { weight: 1.0, share: 0.0 } }),
            other => {
                bail!("pooling {other:?} has no value over all frames; give a preset with mean or worst")
            }
        }
    }

    /// M alone.
    pub fn mean(metric: Metric) -> Self {
        Self { metric, tail: Tail { weight: 0.0, share: 1.0 } }
    }

    /// The score of frames that all count once.
    pub fn pooled(&self, scores: &[f64]) -> f64 {
        let mut sorted: Vec<f64> = match self.metric {
            Metric::Ssimu2 => scores.iter().map(|score| score.max(FLOOR)).collect(),
            _ => scores.iter().map(|score| -score).collect(),
        };
        // The worst first.
        sorted.sort_unstable_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let mean = match self.metric {
            Metric::Ssimu2 => count / sorted.iter().map(|score| 1.0 / score).sum::<f64>(),
            _ => (sorted.iter().map(|score| (-score).powi(3)).sum::<f64>() / count).cbrt(),
        };
        let share = (self.tail.share * count).max(1.0);
        // The last frame of the share counts for the part of it that is within.
        let within = |place: usize| (share - place as f64).clamp(0.0, 1.0);
        let worst =
            sorted.iter().enumerate().map(|(place, score)| score.abs() * within(place)).sum::<f64>() / share;
        (1.0 - self.tail.weight) * mean + self.tail.weight * worst
    }
}

/// A scene of a finished encode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scene {
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    /// `None` where the encoder's user cannot tell.
    pub crf: Option<f64>,
    /// Over every frame; NaN until it was scored.
    pub score: f64,
    /// Its CRF is one of the bounds, so that it may miss its target.
    pub clamped: bool,
}

impl Scene {
    /// A scene as a run's events tell it.
    pub fn of_event(event: &Value) -> Self {
        let number = |key: &str| event[key].as_u64().unwrap_or(0) as usize;
        Self {
            start: number("start"),
            end: number("end"),
            crf: event["crf"].as_f64(),
            score: f64::NAN,
            clamped: false,
        }
    }
}

/// An encode judged by every frame. Errors are score − target, of the unclamped scenes.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    pub mae: f64,
    pub bias: f64,
    /// Of the errors around their mean, divided by n.
    pub sd: f64,
    /// Shares of scenes (0..1) within each of [`within`]'s distances.
    pub within: [f64; 3],
    pub clamped: usize,
    pub scenes: Vec<Scene>,
    pub frames: Vec<f64>,
}

/// Distances from the target that the table counts: points of SSIMULACRA2, or
/// shares of a Butteraugli target.
pub fn within(metric: Metric, target: f64) -> [f64; 3] {
    match metric {
        Metric::Ssimu2 => [1.0, 1.2, 2.0],
        _ => [0.05, 0.06, 0.1].map(|share| share * target),
    }
}

/// Gives `scenes` their scores and sums their errors up. `bounds` are the lowest
/// and the highest CRF allowed.
pub fn judge(
    yardstick: Yardstick,
    target: f64,
    bounds: (f64, f64),
    mut scenes: Vec<Scene>,
    frames: Vec<f64>,
) -> Result<Judged> {
    let covered = scenes.iter().map(|scene| scene.end).max().unwrap_or(0);
    ensure!(covered == frames.len(), "scenes of {covered} frames, {} were scored", frames.len());
    for scene in &mut scenes {
        scene.score = yardstick.pooled(&frames[scene.start..scene.end]);
        scene.clamped = scene.crf.is_some_and(|crf| crf <= bounds.0 || crf >= bounds.1);
    }
    let free = scenes.iter().filter(|scene| !scene.clamped);
    let errors: Vec<f64> = free.map(|scene| scene.score - target).collect();
    let mean =
        |of: &dyn Fn(f64) -> f64| errors.iter().map(|&error| of(error)).sum::<f64>() / errors.len() as f64;
    let bias = mean(&|error| error);
    Ok(Judged {
        mae: mean(&f64::abs),
        bias,
        sd: mean(&|error| (error - bias).powi(2)).sqrt(),
        within: within(yardstick.metric, target)
            .map(|limit| mean(&|error| f64::from(u8::from(error.abs() <= limit)))),
        clamped: scenes.len() - errors.len(),
        scenes,
        frames,
    })
}

/// Mean, standard deviation and the percentile of frames that are worse than 95 %.
pub fn spread(metric: Metric, scores: &[f64]) -> (f64, f64, f64) {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64;
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let share = if metric.higher_is_better() { 0.05 } else { 0.95 };
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    (mean, variance.sqrt(), low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_judged_by_hand_worked_figures() {
        // 2 / (1/60 + 1/90) = 72, and 15 stands for -40: 2 / (1/15 + 1/30) = 20.
        let mean = |metric, scores: &[f64]| Yardstick::mean(metric).pooled(scores);
        assert!((mean(Metric::Ssimu2, &[60.0, 90.0]) - 72.0).abs() < 1e-9);
        assert!((mean(Metric::Ssimu2, &[-40.0, 30.0]) - 20.0).abs() < 1e-9);
        // cbrt((1³ + 2³) / 2) = cbrt(4.5).
        assert!((mean(Metric::ButteraugliMeanMix, &[1.0, 2.0]) - 4.5_f64.cbrt()).abs() < 1e-9);
    }

    #[test]
    fn the_worst_frames_weigh_what_the_settings_say() {
        // The worst quarter of six frames: 40 and half of 60.
        let scores = [80.0, 40.0, 80.0, 60.0, 80.0, 80.0];
        let yardstick = |weight, share| Yardstick { metric: Metric::Ssimu2, tail: Tail { weight, share } };
        let (mean, tail) = (6.0 / (4.0 / 80.0 + 1.0 / 40.0 + 1.0 / 60.0), (40.0 + 0.5 * 60.0) / 1.5);
        let found = yardstick(0.25, 0.25).pooled(&scores);
        assert!((found - (0.75 * mean + 0.25 * tail)).abs() < 1e-9, "{found}");
        assert!((yardstick(1.0, 0.0).pooled(&scores) - 40.0).abs() < 1e-9);
        let butteraugli =
            Yardstick { metric: Metric::ButteraugliMaxMix, tail: Tail { weight: 1.0, share: 0.0 } };
        assert!((butteraugli.pooled(&[1.0, 3.0, 2.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn clamped_scenes_are_left_out_of_the_errors() {
        let scene =
            |start, crf| Scene { start, end: start + 1, crf: Some(crf), score: f64::NAN, clamped: false };
        let scenes = vec![scene(0, 20.0), scene(1, 30.0), scene(2, 50.0)];
        let judged =
            judge(Yardstick::mean(Metric::Ssimu2), 78.0, (8.0, 50.0), scenes, vec![79.5, 77.0, 95.0])
                .unwrap();
        assert_eq!((judged.clamped, judged.within), (1, [0.5, 0.5, 1.0]));
        assert!((judged.mae - 1.25).abs() < 1e-9 && (judged.bias - 0.25).abs() < 1e-9);
        assert!((judged.sd - 1.25).abs() < 1e-9);
    }

    #[test]
    fn scores_of_another_length_are_refused() {
        let scene = Scene { start: 0, end: 3, crf: None, score: f64::NAN, clamped: false };
        let error =
            judge(Yardstick::mean(Metric::Ssimu2), 78.0, (8.0, 50.0), vec![scene], vec![80.0]).unwrap_err();
        assert_eq!(error.to_string(), "scenes of 3 frames, 1 were scored");
    }
}
