//! What Progression Boost of December 2025 makes of made-up films: splitting, frame
//! selection, pooling, mixes, panning rejection and its model, against figures of
//! the original (`tests/data/golden/pb2025.json`).

use progression_boost::analysis::LumaStats;
use progression_boost::analysis::first_pass::runs;
use progression_boost::model::reference::FIRST_CRF;
use progression_boost::model::{
    Goal, How, Kind, Learned, Model, Next, Presets, Role, Scored, panning, round_crf,
};
use progression_boost::scenes::{ProgressiveParams, scores, split_progressively};
use progression_boost::score::peaks::{peaks, smoothed};
use progression_boost::score::select::{self, SceneDiffs};
use progression_boost::score::{Measurement, frame_score, pool};
use progression_boost::settings::{
    FrameSelection, Metric, MetricBackend, MetricSettings, MixCoefficients, Pooling, ProgressiveLengths,
    Request, SceneSettings, SplitRules, resolve,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

mod common;

/// The cases under `key`, of which there are `count`.
fn golden<T: DeserializeOwned>(key: &str, count: usize) -> Vec<T> {
    let all: serde_json::Value = serde_json::from_str(include_str!("data/golden/pb2025.json")).unwrap();
    let cases: Vec<T> = serde_json::from_value(all[key].clone()).unwrap();
    assert_eq!(cases.len(), count);
    cases
}

/// The figures are rounded to nine decimals.
#[track_caller]
fn assert_near(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() < 2e-9, "{what}: {found} is not {wanted}");
}

#[derive(Deserialize)]
struct Film {
    name: String,
    method: String,
    extra_split: usize,
    min_scene_len: usize,
    target_18: usize,
    target_12: usize,
    target_27: usize,
    still_0012: usize,
    still_0042: usize,
    luma_diff: Vec<f64>,
    wwxd: Vec<usize>,
    scxvid: Vec<usize>,
    x264: Vec<usize>,
    flat: Vec<usize>,
    scores: Vec<f64>,
    starts: Vec<usize>,
}

impl Film {
    /// Luma that is black where the film has a flat frame: after such a one
    /// scores count as flat, too, so of neighbours only the first is black.
    fn luma(&self) -> LumaStats {
        let frames = self.luma_diff.len();
        let mut max = vec![200; frames];
        for &n in self.flat.iter().filter(|&&n| n > 0 && self.flat.contains(&(n + 1))) {
            max[n] = 16;
        }
        LumaStats {
            bits: 8,
            full_range: false,
            average: vec![0.5; frames],
            min: vec![16; frames],
            max,
            diff: self.luma_diff.clone(),
        }
    }

    fn verdict(&self, n: usize) -> f64 {
        let is = |list: &[usize]| f64::from(u8::from(list.contains(&n)));
        match self.method.as_str() {
            "x264_vapoursynth" => (0.88 * is(&self.wwxd) + 0.94 * is(&self.x264)).min(1.0),
            _ => is(&self.wwxd) + 0.5 * is(&self.scxvid),
        }
    }

    fn params(&self) -> ProgressiveParams {
        let request = Request { preset: Some("scene-detection".to_owned()), ..Request::default() };
        let scenes = resolve(&request).unwrap().base.scenes;
        let Self { target_18, target_12, target_27, still_0042, still_0012, .. } = *self;
        let progressive = ProgressiveLengths { target_18, target_12, target_27, still_0042, still_0012 };
        let (extra_split, min_scene_len) = (self.extra_split, self.min_scene_len);
        ProgressiveParams::new(&SceneSettings { extra_split, min_scene_len, progressive, ..scenes }).unwrap()
    }
}

#[test]
fn every_golden_film_of_2025_is_scored_and_split_exactly() {
    let films: Vec<Film> = golden("splitting", 32);
    for film in films {
        let how = (SplitRules::Progressive, None);
        let scored = scores(&film.luma(), 0..film.luma_diff.len(), how, |n| film.verdict(n));
        for (n, (found, wanted)) in scored.iter().zip(&film.scores).enumerate() {
            assert_near(*found, *wanted, &format!("{}, frame {n}", film.name));
        }
        let starts: Vec<usize> =
            split_progressively(&scored, film.params()).iter().map(|s| s.start).collect();
        assert_eq!(starts, film.starts, "{}", film.name);
    }
}

#[derive(Deserialize)]
struct Picking {
    name: String,
    luma_diff: Vec<f64>,
    probing_diff: Option<Vec<f64>>,
    peak_frames: usize,
    highest_diff_frames: usize,
    highest_probing_diff_frames: usize,
    peaks: Vec<(usize, f64)>,
    by_peak: Vec<usize>,
    by_diff: Vec<usize>,
    by_probing_diff: Vec<usize>,
    last: usize,
    deterministic: Vec<usize>,
    bracket_threshold: f64,
    upper: Vec<usize>,
    #[serde(default)]
    transformed: Option<Vec<f64>>,
}

/// Counts of peaks, differences and probing differences.
fn selection(count: [usize; 3], ends: bool) -> FrameSelection {
    FrameSelection {
        peak_frames: count[0],
        highest_diff_frames: count[1],
        highest_diff_min_separation: 1,
        highest_probing_diff_frames: count[2],
        upper_bracket_frames: 0,
        bracket_min_separation: 24,
        lower_bracket_frames: 0,
        upper_bracket_fallback_frames: 0,
        first_frame: ends,
        last_frame: ends,
    }
}

impl Picking {
    fn select(&self, selection: FrameSelection) -> Vec<usize> {
        let scene =
            SceneDiffs { start: 100, diff: &self.luma_diff, probe_diff: self.probing_diff.as_deref() };
        select::frames(&scene, &selection).unwrap()
    }
}

#[test]
fn frames_are_picked_by_peaks_then_by_differences_exactly() {
    for case in golden::<Picking>("frames", 12) {
        let name = &case.name;
        if let Some(transformed) = &case.transformed {
            for (found, wanted) in smoothed(&case.luma_diff[1..]).iter().zip(transformed) {
                assert_near(*found, *wanted, name);
            }
        }
        let found = peaks(&case.luma_diff[1..]);
        assert_eq!(found.len(), case.peaks.len(), "{name}: {found:?}");
        for ((index, prominence), (offset, wanted)) in found.iter().zip(&case.peaks) {
            assert_eq!(index + 1, *offset, "{name}");
            assert_near(*prominence, *wanted, name);
        }
        let (peak, diff, probing) =
            (case.peak_frames, case.highest_diff_frames, case.highest_probing_diff_frames);
        let sorted = |lists: &[&Vec<usize>]| {
            let mut all: Vec<usize> = lists.iter().flat_map(|list| list.iter().copied()).collect();
            all.sort_unstable();
            all
        };
        if !case.by_peak.is_empty() {
            assert_eq!(case.select(selection([peak, 0, 0], false)), sorted(&[&case.by_peak]), "{name}");
        }
        let both = case.select(selection([peak, diff, 0], false));
        assert_eq!(both, sorted(&[&case.by_peak, &case.by_diff]), "{name}");
        let all = case.select(selection([peak, diff, probing], false));
        assert_eq!(all, sorted(&[&case.by_peak, &case.by_diff, &case.by_probing_diff]), "{name}");
        assert_eq!(case.last, case.luma_diff.len() - 1, "{name}");
        let everything = case.select(selection([peak, diff, probing], true));
        assert_eq!(everything, case.deterministic, "{name}");
        assert_near(select::bracket_threshold(&case.luma_diff), case.bracket_threshold, name);
        assert_eq!(select::brackets(&case.luma_diff).0, case.upper, "{name}");
    }
}

#[derive(Deserialize)]
struct Pooled {
    name: String,
    metric: String,
    frames: Vec<usize>,
    scores: Vec<f64>,
    #[serde(rename = "pooled")]
    score: f64,
    worst: f64,
}

#[test]
fn scores_are_pooled_exactly() {
    for case in golden::<Pooled>("pooling", 14) {
        let frames: Vec<(usize, f64)> = case.frames.into_iter().zip(case.scores).collect();
        let score = |pooling| {
            let base = common::metric_settings(metric(&case.metric), MetricBackend::Native);
            pool(&frames, &MetricSettings { pooling, ..base }).unwrap().score
        };
        assert_near(score(Pooling::TrimmedMean), case.score, &case.name);
        assert_near(score(Pooling::Worst), case.worst, &case.name);
    }
}

fn metric(name: &str) -> Metric {
    if name == "ssimu2" { Metric::Ssimu2 } else { Metric::ButteraugliMeanMix }
}

#[derive(Deserialize)]
struct Mixed {
    norm3: f64,
    inf: f64,
    max_mix: f64,
    mean_mix: f64,
}

#[test]
fn scores_are_mixed_exactly() {
    let mix = MixCoefficients { mean_inf: 0.030, mean_n3: 0.24, max_inf: 0.032, max_n3: 0.20 };
    for Mixed { norm3, inf, max_mix, mean_mix } in golden::<Mixed>("mixes", 7) {
        let measured = Measurement::Butteraugli { norm3, inf };
        assert_near(frame_score(&measured, Metric::ButteraugliMaxMix, &mix), max_mix, "max");
        assert_near(frame_score(&measured, Metric::ButteraugliMeanMix, &mix), mean_mix, "mean");
    }
}

#[derive(Deserialize)]
struct Solved {
    name: String,
    metric: String,
    luma_diff: Vec<f64>,
    score1: f64,
    score2: f64,
    target: f64,
    sigma: f64,
    probing_preset: i32,
    final_preset: i32,
    min_crf: f64,
    max_crf: f64,
    second_crf: f64,
    weight: f64,
    moved_target: Option<f64>,
    crf_before: f64,
    factor: Option<f64>,
    crf: f64,
    rounded: f64,
    path: String,
}

#[test]
fn scenes_are_solved_exactly_and_pans_with_an_easier_target() {
    for case in golden::<Solved>("panning", 20) {
        let name = &case.name;
        let (min_crf, max_crf) = (case.min_crf, case.max_crf);
        let goal = Goal {
            target: case.target,
            higher_is_better: case.metric == "ssimu2",
            min_crf,
            max_crf,
            unreliable_crf: min_crf + 3.0,
        };
        let weight = panning::weight(&case.luma_diff);
        assert_near(weight, case.weight, name);
        let model = Model { goal, kind: Kind::Reference2025, ease: case.sigma * weight };
        let first = Scored::new(FIRST_CRF, case.score1);
        let Next::Probe(second_crf) = model.next(&[first], Role::Other, None) else { panic!("{name}") };
        assert_near(second_crf, case.second_crf, name);
        let scored = [first, Scored::new(second_crf, case.score2)];
        if let Some(moved) = case.moved_target {
            assert_near(model.eased(&scored, None).goal.target, moved, name);
        }
        let plain = model.uncorrected(&scored, None).unwrap();
        assert_near(plain.crf, case.crf_before, name);
        let presets = Presets { probing: case.probing_preset, final_: case.final_preset };
        let answer = model.solve(&scored, &Learned::default(), presets).unwrap();
        assert_near(answer.crf, case.crf, name);
        assert_near(round_crf(answer.crf, true), case.rounded, name);
        let how = match (case.path.as_str(), case.factor) {
            ("line", Some(_)) => How::Readjusted,
            ("line", None) => How::Line,
            ("mean of the two", _) => How::CoarserContradicts,
            ("unreliable", _) => How::FinerContradicts,
            (path, _) => panic!("{name}: {path}"),
        };
        assert_eq!(answer.how, how, "{name}");
    }
}

#[derive(Deserialize)]
struct Watched {
    zone: (usize, usize),
    logs: Vec<Log>,
    /// From the zone's start.
    cuts: Vec<usize>,
}

#[derive(Deserialize)]
struct Log {
    part: String,
    lines: Vec<String>,
}

#[test]
fn what_x264_wrote_is_read_exactly() {
    for case in golden::<Watched>("x264", 2) {
        let (start, end) = case.zone;
        let (runs, mut cuts) = (runs(start..end), Vec::new());
        assert_eq!(runs.len(), case.logs.len());
        for (run, log) in runs.iter().zip(&case.logs) {
            assert_eq!(run.frames.start > start, log.part == "right", "{start}");
            cuts.extend(run.cuts(&log.lines.join("\n")).unwrap().into_iter().map(|frame| frame - start));
        }
        cuts.sort_unstable();
        cuts.dedup();
        assert_eq!(cuts, case.cuts);
    }
}
