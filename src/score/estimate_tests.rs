use serde::Deserialize;

use super::*;
use crate::score::sample;
use crate::settings::{Metric, Tail};

/// Complete curves measured by other programs, see `tests/data/lab/README.md`.
#[derive(Deserialize)]
struct Lab {
    scenes: Vec<(usize, usize)>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    ssimu2: Vec<f64>,
    ln_mse: Vec<f64>,
}

fn lab() -> Lab {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/lab/bbb480-frames.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn functional(metric: Metric, weight: f64, share: f64) -> Functional {
    Functional::new(metric, Tail { weight, share })
}

/// Estimates of every scene and run of the lab minus the truth, from `count` frames
/// of samples with many different beginnings, and the errors they claim.
fn deviations(functional: &Functional, count: usize, suspects: usize) -> Vec<(f64, f64)> {
    let lab = lab();
    let mut all = Vec::new();
    for run in &lab.runs {
        for &(start, end) in &lab.scenes {
            let scores = &run.ssimu2[start..end];
            let errors: Vec<f64> = run.ln_mse[start..end].iter().map(|x| x.exp()).collect();
            let weights = vec![1.0; scores.len()];
            let mut whole: Vec<Weighted> = scores.iter().map(|&score| (1.0, score)).collect();
            let truth = functional.over(&mut whole).pooled.score;
            for seed in 0..40 {
                let order = sample::frames(1000 * seed, &weights, count);
                let sample: Vec<_> = order.iter().map(|&offset| (offset, scores[offset])).collect();
                let mut scene = Scene { weights: &weights, errors: &errors, sample: &sample, suspects: &[] };
                let more = functional.suspects(&scene, suspects);
                let more: Vec<_> = more.iter().map(|&offset| (offset, scores[offset])).collect();
                scene.suspects = &more;
                let found = functional.estimate(&scene);
                all.push((found.parts.pooled.score - truth, found.error));
            }
        }
    }
    all
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    sum / count
}

#[test]
fn ten_frames_tell_the_score_of_hundreds() {
    let found = deviations(&functional(Metric::Ssimu2, 0.0, 0.1), 10, 0);
    let error = mean(found.iter().map(|(deviation, _)| deviation.abs()));
    let bias = mean(found.iter().map(|(deviation, _)| *deviation));
    assert!(error < 0.4 && bias.abs() < 0.15, "mean absolute error {error:.3}, bias {bias:.3}");
    // With the worst tenth in it, too.
    let found = deviations(&functional(Metric::Ssimu2, 0.25, 0.1), 14, 0);
    let error = mean(found.iter().map(|(deviation, _)| deviation.abs()));
    let bias = mean(found.iter().map(|(deviation, _)| *deviation));
    assert!(error < 0.4 && bias.abs() < 0.15, "mean absolute error {error:.3}, bias {bias:.3}");
}

/// What the outlier term of the reference's mean gets wrong.
#[test]
fn more_frames_do_not_move_the_mean_of_the_estimate() {
    for tail in [0.0, 0.25] {
        let functional = functional(Metric::Ssimu2, tail, 0.1);
        let means = [6, 8, 10, 14, 20, 30].map(|n| mean(deviations(&functional, n, 0).iter().map(|d| d.0)));
        for bias in means {
            assert!(bias.abs() < 0.15, "tail weight {tail}: {means:.2?}");
        }
    }
}

#[test]
fn the_standard_error_is_what_it_says() {
    for (tail, count) in [(0.0, 8), (0.0, 14), (0.25, 8), (0.25, 14)] {
        let found = deviations(&functional(Metric::Ssimu2, tail, 0.1), count, 0);
        let within = |times: f64| {
            mean(found.iter().map(|(deviation, error)| f64::from(deviation.abs() <= times * error)))
        };
        // Of a normal distribution 68 % and 95 %; it may err on the safe side.
        assert!(within(1.0) > 0.64 && within(2.0) > 0.93, "{tail}, {count}: {} {}", within(1.0), within(2.0));
        let squares = mean(found.iter().map(|(deviation, _)| deviation * deviation)).sqrt();
        let claimed = mean(found.iter().map(|(_, error)| *error));
        assert!(claimed < 2.0 * squares, "{tail}, {count}: {claimed:.2} is claimed, {squares:.2} it is");
    }
}

#[test]
fn suspects_make_the_worst_share_surer() {
    let functional = functional(Metric::Ssimu2, 1.0, 0.05);
    let [without, with] =
        [0, 5].map(|suspects| mean(deviations(&functional, 9, suspects).iter().map(|(d, _)| d.abs())));
    assert!(with < 0.8 * without, "{with:.2} with suspects, {without:.2} without");
}

/// Points on a straight line leave nothing to guess: y = 80 − 4·ln x.
#[test]
fn frames_on_a_line_are_told_exactly() {
    let errors: Vec<f64> = (0..50).map(|n| (f64::from(n % 7) * 0.5).exp()).collect();
    let score = |offset: usize| 80.0 - 4.0 * errors[offset].ln();
    let weights = vec![1.0; 50];
    // The typical slope is shrunk towards it, so the line must have it:
    // 0.36 · (100 − 80 + 4·x̄) = 4 at x̄ = −2.22; with weights of that slope's own.
    let sample: Vec<(usize, f64)> = (0..50).step_by(3).map(|offset| (offset, score(offset))).collect();
    let scene = Scene { weights: &weights, errors: &errors, sample: &sample, suspects: &[] };
    let functional = functional(Metric::Ssimu2, 0.0, 0.1);
    let found = functional.estimate(&scene).parts.mean;
    let mut whole: Vec<Weighted> = (0..50).map(|offset| (1.0, score(offset))).collect();
    let truth = functional.over(&mut whole).mean;
    assert!((found - truth).abs() < 0.05, "{found} is not {truth}");
}

#[test]
fn a_scene_measured_whole_is_known() {
    let sample = [(0, 70.0), (1, 80.0), (2, 60.0)];
    let scene = Scene { weights: &[1.0, 1.0, 1.0], errors: &[1.0, 2.0, 3.0], sample: &sample, suspects: &[] };
    let functional = functional(Metric::Ssimu2, 0.0, 0.1);
    let found = functional.estimate(&scene);
    assert_eq!(found.error.to_bits(), 0.0_f64.to_bits());
    // 3 / (1/70 + 1/80 + 1/60)
    assert!((found.parts.mean - 69.041_095_890_410_96).abs() < 1e-9, "{}", found.parts.mean);
    // Frames without weight need not be measured for that.
    let scene = Scene { weights: &[1.0, 1.0, 0.0], sample: &sample[..2], ..scene };
    assert_eq!(functional.estimate(&scene).error.to_bits(), 0.0_f64.to_bits());
}

/// A still: all frames alike, nothing to regress on; one measured frame; black
/// frames without any error among others.
#[test]
fn scenes_without_variety_are_estimated_too() {
    let functional = functional(Metric::Butteraugli3Norm, 0.25, 0.1);
    let still = Scene {
        weights: &[1.0; 30],
        errors: &[2.0; 30],
        sample: &[(4, 1.5), (17, 1.5), (25, 1.5)],
        suspects: &[],
    };
    let found = functional.estimate(&still);
    assert!((found.parts.mean - 1.5).abs() < 0.02 && found.error < 0.1, "{found:?}");
    let one = functional.estimate(&Scene { sample: &[(4, 1.5)], ..still });
    assert!((one.parts.mean - 1.5).abs() < 0.05, "{one:?}");
    assert!(one.error > found.error && one.error.is_finite(), "{one:?}");
    let mut errors = [2.0; 30];
    errors[10..14].fill(1e-9);
    let black = functional.estimate(&Scene { errors: &errors, ..still });
    assert!(black.parts.mean < 1.5 && black.parts.mean > 1.2, "no frame is better than perfect: {black:?}");
}
