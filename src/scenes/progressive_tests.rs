use proptest::prelude::*;

use super::*;

fn params(min: usize) -> ProgressiveParams {
    ProgressiveParams {
        extra_split: 193,
        min_scene_len: min,
        target_18: 17,
        target_12: 65,
        target_27: 129,
        still_0042: 257,
        still_0012: 321,
    }
}

fn starts(scores: &[f64], params: ProgressiveParams) -> Vec<usize> {
    split_progressively(scores, params).iter().map(|s| s.start).collect()
}

#[test]
fn the_rules_are_numbered_as_in_the_specification() {
    let numbers: Vec<u8> = RULES.iter().map(|rule| rule.number).filter(|&n| n > 0).collect();
    assert_eq!(numbers, (1..=28).collect::<Vec<u8>>());
}

#[test]
fn the_last_pieces_of_a_still_scene_share_evenly() {
    // Two pieces of 323 frames: 161.5, in steps of 16 n + 1 177, and 146 are left.
    assert_eq!(starts(&[0.0; 323], params(9)), [0, 177]);
    // Three of 644: 214.7, steps of 225; 644 − 450 = 194.
    assert_eq!(starts(&[0.0; 644], params(9)), [0, 225, 450]);
    // With a shortest scene of 96 and caps of 200, 2001 are eleven of 181.9, in steps of
    // 193, and 71 are left: of the last 264 each takes 132.
    let short_caps = ProgressiveParams { still_0012: 200, still_0042: 200, ..params(96) };
    assert_eq!(starts(&[0.0; 2001], short_caps)[8..], [1544, 1737, 1869]);
}

/// The decisions in the order and form of the golden file's `trace`.
fn trace(scores: &[f64], params: ProgressiveParams) -> Vec<serde_json::Value> {
    let splitter = Splitter::new(scores, params);
    let mut open = vec![Part::Open(Scene { start: 0, end: scores.len() })];
    let mut trace = Vec::new();
    while let Some(part) = open.pop() {
        let Part::Open(scene) = part else { continue };
        let Scene { start, end } = scene;
        let decision = splitter.decide(scene);
        open.extend(decision.parts(scene).into_iter().rev());
        trace.push(match decision {
            Decision::Short => serde_json::json!([start, end, "short"]),
            Decision::Whole => serde_json::json!([start, end, "whole"]),
            Decision::Split { rule, frame, period: None } => serde_json::json!([start, end, rule, frame]),
            Decision::Split { rule, frame, period: Some(k) } => {
                serde_json::json!([start, end, rule, frame, k])
            }
            Decision::Still { rule } => serde_json::json!([start, end, rule]),
            Decision::Even { rule, step, .. } => serde_json::json!([start, end, rule, step]),
            Decision::Rear { rule, frame } | Decision::Front { rule, frame } => {
                serde_json::json!([start, end, rule, frame])
            }
        });
    }
    trace
}

#[derive(serde::Deserialize)]
struct Golden {
    splitting: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    extra_split: usize,
    min_scene_len: usize,
    target_18: usize,
    target_12: usize,
    target_27: usize,
    still_0042: usize,
    still_0012: usize,
    scores: Vec<f64>,
    trace: Vec<serde_json::Value>,
}

/// Every rule of the table is used somewhere in these cases.
#[test]
fn every_golden_decision_is_made_by_the_same_rule() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/data/golden/pb2025.json")).unwrap();
    assert_eq!(golden.splitting.len(), 32);
    for case in golden.splitting {
        let params = ProgressiveParams {
            extra_split: case.extra_split,
            min_scene_len: case.min_scene_len,
            target_18: case.target_18,
            target_12: case.target_12,
            target_27: case.target_27,
            still_0042: case.still_0042,
            still_0012: case.still_0012,
        };
        assert_eq!(trace(&case.scores, params), case.trace, "{}", case.name);
    }
}

proptest! {
    #[test]
    fn scenes_cover_the_clip_and_respect_the_lengths(
        scores in prop::collection::vec(
            prop_oneof![20 => 0.0..0.3f64, 1 => 1.0..1.9f64, 6 => Just(0.0), 6 => Just(0.003)], 0..3000),
        still in 0usize..1500,
        min in 1usize..40,
    ) {
        let mut scores = scores;
        scores.extend(vec![0.0; still]);
        let params = params(min);
        let scenes = split_progressively(&scores, params);
        prop_assert_eq!(scenes.iter().map(|s| s.frames()).sum::<usize>(), scores.len());
        prop_assert!(scenes.windows(2).all(|w| w[0].end == w[1].start));
        for scene in &scenes {
            prop_assert!(scene.frames() >= min.min(scores.len()));
            let within = &scores[scene.start + 1..scene.end];
            let longest = [(0.0012, 321), (0.0042, 257)]
                .into_iter()
                .find(|(below, _)| within.iter().all(|s| s < below))
                .map_or(193, |(_, cap)| cap);
            prop_assert!(scene.frames() <= longest, "{:?}", scene);
        }
    }
}
