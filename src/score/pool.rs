//! From the scores of a scene's measured frames to one score (spec 03).

use anyhow::{Result, bail};

use super::functional::{Functional, Pooled, SSIMU2_FLOOR};
use super::trimmed;
use crate::settings::{MetricSettings, Pooling};
use crate::support::statistics::{deviation_percentile, percentile};

/// A frame further from the median than this many MADs pulls a mean pool along.
const OUTLIER_MADS: f64 = 3.0;

/// Pools the `frames` of one scene, each with its number and score, in any order
/// and none twice: all its frames or, with the poolings of spec 03, the picked ones.
///
/// # Errors
/// When there is no score or one is NaN or infinite. [`check_finite`], called
/// where a score is made, tells the user scene, frame and back end.
pub fn pool(frames: &[(usize, f64)], settings: &MetricSettings) -> Result<Pooled> {
    let scores: Vec<f64> = frames.iter().map(|(_, score)| *score).collect();
    let scores = &scores[..];
    if scores.is_empty() {
        bail!("a scene has no scores to pool; at least one of its frames must be measured");
    }
    if let Some(index) = scores.iter().position(|s| !s.is_finite()) {
        bail!("score {index} of {} of a scene is {}, which cannot be pooled", scores.len(), scores[index]);
    }
    let higher_is_better = settings.metric.higher_is_better();
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lowest, highest) = (sorted[0], sorted[sorted.len() - 1]);
    Ok(match settings.pooling {
        Pooling::Worst => reliable(if higher_is_better { lowest } else { highest }),
        Pooling::Percentile(p) => {
            if !(0.0..=100.0).contains(&p) {
                bail!("percentile {p}: must be 0 to 100");
            }
            reliable(percentile(&sorted, if higher_is_better { p } else { 100.0 - p }))
        }
        Pooling::Mean => {
            let mut all: Vec<_> = scores.iter().map(|&score| (1.0, score)).collect();
            Functional::new(settings.metric, settings.tail).over(&mut all).pooled
        }
        Pooling::ReferenceMean if higher_is_better => ssimu2_mean(scores),
        Pooling::ReferenceMean => reliable(butteraugli_mean(scores, &sorted)),
        Pooling::TrimmedMean => reliable(trimmed::mean(frames, higher_is_better)),
    })
}

/// `score`, or an error naming where it comes from when it is NaN or infinite.
/// `scene` counts from 0, `frame` is the frame number in the clip, `backend`
/// gives what [`super::Backend::describe`] says.
pub fn check_finite(score: f64, scene: usize, frame: usize, backend: impl FnOnce() -> String) -> Result<f64> {
    if !score.is_finite() {
        bail!("scene {scene}, frame {frame}: the metric gave {score} ({})", backend());
    }
    Ok(score)
}

fn reliable(score: f64) -> Pooled {
    Pooled { score, unreliable: false }
}

/// Harmonic mean, pulled down by a frame far below the others.
fn ssimu2_mean(scores: &[f64]) -> Pooled {
    let mut raised: Vec<f64> = scores.iter().map(|s| s.max(SSIMU2_FLOOR)).collect();
    let harmonic = raised.len() as f64 / raised.iter().map(|s| s.recip()).sum::<f64>();
    raised.sort_by(f64::total_cmp);
    let fence = percentile(&raised, 50.0) - OUTLIER_MADS * deviation_percentile(&raised, 50.0);
    Pooled {
        score: harmonic + (raised[0] - fence).min(0.0),
        unreliable: scores.iter().any(|&s| s < SSIMU2_FLOOR),
    }
}

/// Root mean cube, pulled up by a frame far above the others.
fn butteraugli_mean(scores: &[f64], sorted: &[f64]) -> f64 {
    let cubes = scores.iter().map(|s| s.powi(3)).sum::<f64>() / scores.len() as f64;
    let fence = percentile(sorted, 50.0) + OUTLIER_MADS * deviation_percentile(sorted, 50.0);
    cubes.cbrt() + (sorted[sorted.len() - 1] - fence).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Metric};

    const SIX: [f64; 6] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0];

    fn settings(metric: Metric, pooling: Pooling) -> MetricSettings {
        let base = settings::resolve(&settings::Request::default()).unwrap().base;
        MetricSettings { metric, pooling, ..base.metric }
    }

    fn numbered(scores: &[f64]) -> Vec<(usize, f64)> {
        scores.iter().copied().enumerate().collect()
    }

    fn score(scores: &[f64], metric: Metric, pooling: Pooling) -> f64 {
        pool(&numbered(scores), &settings(metric, pooling)).unwrap().score
    }

    #[test]
    fn a_percentile_leaves_that_share_of_the_frames_worse() {
        // 20 % of the way along six values is exactly the second one.
        assert!((score(&SIX, Metric::Ssimu2, Pooling::Percentile(20.0)) - 20.0).abs() < 1e-12);
        assert!((score(&SIX, Metric::Butteraugli3Norm, Pooling::Percentile(20.0)) - 50.0).abs() < 1e-12);
        assert!((score(&SIX, Metric::Ssimu2, Pooling::Percentile(15.0)) - 17.5).abs() < 1e-12);
        assert!(pool(&numbered(&SIX), &settings(Metric::Ssimu2, Pooling::Percentile(101.0))).is_err());
    }

    #[test]
    fn scores_that_are_no_numbers_are_never_pooled() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = pool(&numbered(&[1.0, bad]), &settings(Metric::Butteraugli3Norm, Pooling::Worst))
                .unwrap_err();
            assert!(error.to_string().contains("score 1 of 2"), "{error}");
            let error =
                check_finite(bad, 3, 120, || "native SSIMULACRA2".to_owned()).unwrap_err().to_string();
            for part in ["scene 3", "frame 120", "native SSIMULACRA2"] {
                assert!(error.contains(part), "{error}");
            }
        }
        assert!(pool(&[], &settings(Metric::Ssimu2, Pooling::Mean)).is_err());
    }
}
