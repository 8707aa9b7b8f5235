//! The splitting rules against figures of the reference implementation.

use progression_boost::analysis::LumaStats;
use progression_boost::scenes::{ProgressiveParams, SplitParams, scores, split, split_progressively};
use progression_boost::settings::{ProgressiveLengths, Request, SceneSettings, SplitRules, resolve};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    extra_split: usize,
    min_scene_len: usize,
    target_split: usize,
    scores: Vec<f64>,
    starts: Vec<usize>,
}

#[test]
fn every_golden_case_is_split_exactly() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/golden/split.json")).unwrap();
    assert!(cases.len() >= 18);
    for case in cases {
        let params = SplitParams::new(case.extra_split, case.min_scene_len, case.target_split).unwrap();
        let scenes = split(&case.scores, params);
        let starts: Vec<usize> = scenes.iter().map(|s| s.start).collect();
        assert_eq!(starts, case.starts, "{}", case.name);
        assert_eq!(scenes.last().unwrap().end, case.scores.len(), "{}", case.name);
    }
}

#[derive(Deserialize)]
struct Of2025 {
    splitting: Vec<Film>,
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
    let golden: Of2025 = serde_json::from_str(include_str!("data/golden/pb2025.json")).unwrap();
    assert_eq!(golden.splitting.len(), 32);
    for film in golden.splitting {
        let how = (SplitRules::Progressive, None);
        let scored = scores(&film.luma(), 0..film.luma_diff.len(), how, |n| film.verdict(n));
        for (n, (found, wanted)) in scored.iter().zip(&film.scores).enumerate() {
            assert!((found - wanted).abs() < 2e-9, "{}, frame {n}: {found} is not {wanted}", film.name);
        }
        let starts: Vec<usize> =
            split_progressively(&scored, film.params()).iter().map(|s| s.start).collect();
        assert_eq!(starts, film.starts, "{}", film.name);
    }
}
