//! Scores, pooling and frame selection against the golden figures of the
//! reference implementation (`tests/data/golden`).

use progression_boost::score::select::{self, SceneDiffs};
use progression_boost::score::{Measurement, frame_score, pool};
use progression_boost::settings::{
    FrameSelection, Metric, MetricBackend, MetricSettings, MixCoefficients, Pooling,
};
use serde::Deserialize;

mod common;

#[derive(Deserialize)]
struct Golden {
    mixes: Vec<Mixed>,
    pooling: Vec<PoolCase>,
}

#[derive(Deserialize)]
struct Mixed {
    norm3: f64,
    inf: f64,
    mean_mix: f64,
    max_mix: f64,
}

#[derive(Deserialize)]
struct PoolCase {
    metric: String,
    scores: Vec<f64>,
    mean: f64,
    worst: f64,
    #[serde(default)]
    unreliable: bool,
}

#[derive(Deserialize)]
struct FramesCase {
    name: String,
    luma_diff: Vec<f64>,
    bracket_threshold: f64,
    upper: Vec<usize>,
    highest_diff_4_separation_4: Vec<usize>,
    highest_diff_6_separation_4: Vec<usize>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("data/golden/score.json")).unwrap()
}

fn frames_cases() -> Vec<FramesCase> {
    serde_json::from_str(include_str!("data/golden/frames.json")).unwrap()
}

fn assert_close(got: f64, wanted: f64, what: &str) {
    assert!((got - wanted).abs() < 1e-6, "{what}: {got}, golden {wanted}");
}

#[test]
fn mixes_agree_with_the_golden_figures() {
    let mix = MixCoefficients::default();
    let cases = golden().mixes;
    assert_eq!(cases.len(), 5);
    for case in cases {
        let measured = Measurement::Butteraugli { norm3: case.norm3, inf: case.inf };
        assert_close(frame_score(&measured, Metric::ButteraugliMeanMix, &mix), case.mean_mix, "mean mix");
        assert_close(frame_score(&measured, Metric::ButteraugliMaxMix, &mix), case.max_mix, "max mix");
        assert_close(frame_score(&measured, Metric::Butteraugli3Norm, &mix), case.norm3, "3-norm");
    }
    assert_close(frame_score(&Measurement::Ssimulacra2(71.5), Metric::Ssimu2, &mix), 71.5, "ssimu2");
}

fn settings(metric: Metric, pooling: Pooling) -> MetricSettings {
    MetricSettings { pooling, ..common::metric_settings(metric, MetricBackend::Native) }
}

#[test]
fn pooling_agrees_with_the_golden_figures() {
    let cases = golden().pooling;
    assert_eq!(cases.len(), 12);
    for case in cases {
        let metric = if case.metric == "ssimu2" { Metric::Ssimu2 } else { Metric::ButteraugliMeanMix };
        let scores: Vec<(usize, f64)> = case.scores.iter().copied().enumerate().collect();
        let mean = pool(&scores, &settings(metric, Pooling::ReferenceMean)).unwrap();
        assert_close(mean.score, case.mean, &format!("mean of {:?}", case.scores));
        assert_eq!(mean.unreliable, case.unreliable, "{:?}", case.scores);
        let worst = pool(&scores, &settings(metric, Pooling::Worst)).unwrap();
        assert_close(worst.score, case.worst, &format!("worst of {:?}", case.scores));
    }
}

const NOTHING: FrameSelection = FrameSelection {
    peak_frames: 0,
    highest_diff_frames: 0,
    highest_diff_min_separation: 4,
    highest_probing_diff_frames: 0,
    upper_bracket_frames: 0,
    bracket_min_separation: 4,
    lower_bracket_frames: 0,
    upper_bracket_fallback_frames: 0,
    first_frame: false,
    last_frame: false,
};

fn select(diff: &[f64], selection: FrameSelection) -> Vec<usize> {
    select::frames(&SceneDiffs { start: 100, diff, probe_diff: None }, &selection).unwrap()
}

#[test]
fn the_most_different_frames_agree_with_the_golden_figures() {
    for case in frames_cases() {
        for (count, wanted) in
            [(4, &case.highest_diff_4_separation_4), (6, &case.highest_diff_6_separation_4)]
        {
            let selection = FrameSelection { highest_diff_frames: count, ..NOTHING };
            assert_eq!(&select(&case.luma_diff, selection), wanted, "{}", case.name);
        }
    }
}

#[test]
fn brackets_agree_with_the_golden_figures() {
    for case in frames_cases() {
        assert_close(select::bracket_threshold(&case.luma_diff), case.bracket_threshold, &case.name);
        let (upper, lower) = select::brackets(&case.luma_diff);
        assert_eq!(upper, case.upper, "{}", case.name);
        assert_eq!(upper.len() + lower.len() + 1, case.luma_diff.len());
    }
}

/// Steps 4 and 6 on a scene whose brackets are known.
#[test]
fn bracket_frames_come_from_both_halves_and_keep_their_distance() {
    let case = &frames_cases()[0];
    let selection = FrameSelection { upper_bracket_frames: 8, bracket_min_separation: 6, ..NOTHING };
    let picked = select(&case.luma_diff, selection);
    assert_eq!(picked.len(), 8, "{picked:?}");
    assert!(picked.iter().all(|o| case.upper.contains(o)), "{picked:?}");
    assert!(picked.windows(2).all(|w| w[1] - w[0] >= 6), "{picked:?}");
    assert_eq!(picked.iter().filter(|&&o| o < 60).count(), 4, "{picked:?}");
}

#[test]
fn the_lower_bracket_makes_up_for_an_upper_one_that_is_short() {
    // Three frames in the upper bracket, two of them neighbours.
    let case = &frames_cases()[2];
    assert_eq!(case.upper, [40, 41, 90]);
    let selection = FrameSelection {
        upper_bracket_frames: 6,
        upper_bracket_fallback_frames: 5,
        lower_bracket_frames: 2,
        ..NOTHING
    };
    let picked = select(&case.luma_diff, selection);
    let upper = picked.iter().filter(|o| case.upper.contains(o)).count();
    assert_eq!(upper, 2, "{picked:?}");
    assert_eq!(picked.len(), 2 + 2 + (5 - 2), "{picked:?}");
}

#[test]
fn first_last_and_single_frames_are_measured_and_none_twice() {
    let diff = [0.9, 0.1, 0.1, 0.1, 0.1, 0.3];
    let all = FrameSelection { highest_diff_frames: 1, first_frame: true, last_frame: true, ..NOTHING };
    assert_eq!(select(&diff, all), [0, 5]);
    assert_eq!(select(&[0.5], NOTHING), [0]);
    assert_eq!(select(&diff, NOTHING).len(), 1, "a scene is never left without a score");
    let everything = FrameSelection {
        upper_bracket_frames: 50,
        lower_bracket_frames: 50,
        bracket_min_separation: 0,
        first_frame: true,
        ..NOTHING
    };
    assert_eq!(select(&diff, everything), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_first_probe_chooses_frames_only_where_it_is_asked_to() {
    let diff = [0.0; 10];
    let probe = [0.9, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.7, 0.0, 0.0];
    let selection = FrameSelection { highest_probing_diff_frames: 2, ..NOTHING };
    assert!(select::needs_probe(&selection) && !select::needs_probe(&NOTHING));
    let scene = SceneDiffs { start: 0, diff: &diff, probe_diff: Some(&probe) };
    assert_eq!(select::frames(&scene, &selection).unwrap(), [0, 7]);
    for probe_diff in [None, Some(&probe[1..])] {
        let error = select::frames(&SceneDiffs { probe_diff, ..scene }, &selection).unwrap_err().to_string();
        assert!(error.contains("10 frames"), "{error}");
    }
}

#[test]
fn the_choice_depends_on_start_and_length_and_on_nothing_else() {
    let case = &frames_cases()[1];
    let selection = FrameSelection { lower_bracket_frames: 6, ..NOTHING };
    let at = |start| {
        let scene = SceneDiffs { start, diff: &case.luma_diff, probe_diff: None };
        select::frames(&scene, &selection).unwrap()
    };
    assert_eq!(at(240), at(240));
    assert_ne!(at(240), at(241));
    // Worked out by a script of its own from the rule and the published generator.
    assert_eq!(at(240), [4, 9, 20, 55, 59, 63]);
}
