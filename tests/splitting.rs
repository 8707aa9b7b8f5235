//! The splitting rules against figures of the reference implementation.

use progression_boost::scenes::{SplitParams, split};
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
