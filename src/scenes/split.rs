//! Dividing a stretch of video into scenes by the score of every frame (spec 01):
//! the rules `extra-split`.

use anyhow::{Result, ensure};

use super::Scene;
use super::best::BestFrames;
use super::walk::{self, Cap, Search, Whose};

/// Lengths in frames that steer the splitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitParams {
    extra_split: usize,
    min_scene_len: usize,
    target_split: usize,
}

impl SplitParams {
    /// `extra_split`: longest scene wanted; `target_split`: shorter scenes are
    /// not divided. An error unless `extra_split ≥ 2 · min_scene_len ≥ 2`.
    pub fn new(extra_split: usize, min_scene_len: usize, target_split: usize) -> Result<Self> {
        ensure!(min_scene_len >= 1, "min_scene_len {min_scene_len}: must be at least 1");
        ensure!(
            extra_split / 2 >= min_scene_len,
            "extra_split {extra_split}: must be at least twice min_scene_len ({min_scene_len})"
        );
        Ok(Self { extra_split, min_scene_len, target_split })
    }
}

/// Where a rule allows the split, besides both parts reaching `min_scene_len`.
#[derive(Clone, Copy)]
enum Parts {
    Any,
    BothUpToTarget,
    OneUpToTarget,
    /// Both at least 1.6 times the target.
    BothLong,
}

struct Rule {
    /// Lowest score, `NEG_INFINITY` for any.
    score: f64,
    parts: Parts,
    of: Whose,
    periods: &'static [Option<usize>],
    fits: Option<f64>,
}

const fn rule(
    score: f64,
    parts: Parts,
    of: Whose,
    periods: &'static [Option<usize>],
    fits: Option<f64>,
) -> Rule {
    Rule { score, parts, of, periods, fits }
}

const FREE: &[Option<usize>] = &[None];
const STRICT: &[Option<usize>] = &[Some(32), Some(16), Some(8), Some(4)];
const LENIENT: &[Option<usize>] = &[Some(32), Some(16), Some(8), Some(4), None];

/// Scenes of at most twice the target; what fits none of these goes on to [`UP_TO_EXTRA_SPLIT`].
const UP_TO_TWO_TARGETS: [Rule; 1] = [rule(1.18, Parts::BothUpToTarget, Whose::Either, LENIENT, None)];

const UP_TO_EXTRA_SPLIT: [Rule; 2] = [
    rule(1.15, Parts::OneUpToTarget, Whose::Either, LENIENT, None),
    rule(1.15, Parts::Any, Whose::Either, FREE, None),
];

const BEYOND_EXTRA_SPLIT: [Rule; 6] = [
    rule(1.24, Parts::BothLong, Whose::Either, FREE, Some(0.15)),
    rule(1.18, Parts::OneUpToTarget, Whose::Capped, LENIENT, None),
    rule(1.24, Parts::Any, Whose::Either, FREE, Some(0.15)),
    rule(1.09, Parts::Any, Whose::Either, FREE, None),
    rule(0.09, Parts::Any, Whose::Either, STRICT, Some(0.0)),
    rule(f64::NEG_INFINITY, Parts::Any, Whose::Either, FREE, Some(0.0)),
];

/// The scores at which the rules begin to differ, for pictures of them.
pub const THRESHOLDS: [f64; 5] = [0.09, 1.09, 1.15, 1.18, 1.24];

/// Splits frames `0..scores.len()` into scenes that cover them in order.
///
/// `scores` are finite; see [`super::score`]. Takes O(N log N) for N frames: a
/// split is found through [`BestFrames`], never by walking over the frames.
pub fn split(scores: &[f64], params: SplitParams) -> Vec<Scene> {
    let mut scenes = Vec::new();
    if scores.is_empty() {
        return scenes;
    }
    let best = BestFrames::new(scores);
    // The first stretch to be divided next is on top.
    let mut open = vec![Scene { start: 0, end: scores.len() }];
    while let Some(scene) = open.pop() {
        match best_split(&best, scene, params) {
            Some(at) => open.extend([Scene { start: at, ..scene }, Scene { end: at, ..scene }]),
            None => scenes.push(scene),
        }
    }
    scenes
}

fn best_split(best: &BestFrames<'_>, scene: Scene, params: SplitParams) -> Option<usize> {
    let length = scene.frames();
    if length <= params.target_split || length < 2 * params.min_scene_len {
        return None;
    }
    let tables: &[&[Rule]] = if length > params.extra_split {
        &[&BEYOND_EXTRA_SPLIT]
    } else if length <= 2 * params.target_split {
        &[&UP_TO_TWO_TARGETS, &UP_TO_EXTRA_SPLIT]
    } else {
        &[&UP_TO_EXTRA_SPLIT]
    };
    let search = |rule| walk::find(best, scene, params.extra_split, &search(rule, params));
    tables.iter().copied().flatten().find_map(search).map(|found| found.frame)
}

fn search(rule: &Rule, params: SplitParams) -> Search {
    let SplitParams { min_scene_len, target_split: target, .. } = params;
    let (least, cap) = match rule.parts {
        Parts::Any => (min_scene_len, Cap::None),
        Parts::BothUpToTarget => (min_scene_len, Cap::Both(target)),
        Parts::OneUpToTarget => (min_scene_len, Cap::One(target)),
        Parts::BothLong => (min_scene_len.max((8 * target).div_ceil(5)), Cap::None),
    };
    Search { score: rule.score, least, cap, of: rule.of, periods: rule.periods, fits: rule.fits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn starts(scores: &[f64], params: SplitParams) -> Vec<usize> {
        split(scores, params).iter().map(|s| s.start).collect()
    }

    #[test]
    fn settings_that_cannot_be_met_are_refused() {
        let error = SplitParams::new(20, 12, 60).unwrap_err().to_string();
        assert!(error.contains("extra_split 20") && error.contains("12"), "{error}");
        assert!(SplitParams::new(20, 0, 60).is_err());
        assert!(SplitParams::new(24, 12, 60).is_ok());
    }

    #[test]
    fn of_equal_cuts_the_one_that_leaves_a_gop_sized_part_wins() {
        let params = SplitParams::new(264, 12, 60).unwrap();
        let mut scores = vec![0.01; 150];
        // 33 = 32·1 + 1 beats the higher score at 40 (40 mod 32, 16, 8 and 4 are not 1,
        // nor are those of 150 − 40).
        scores[33] = 1.16;
        scores[40] = 1.30;
        assert_eq!(starts(&scores, params), [0, 33]);
        scores[33] = 1.14;
        assert_eq!(starts(&scores, params), [0, 40]);
    }

    #[test]
    fn the_thresholds_are_those_of_the_rules() {
        let rules = UP_TO_TWO_TARGETS.iter().chain(&UP_TO_EXTRA_SPLIT).chain(&BEYOND_EXTRA_SPLIT);
        let mut scores: Vec<f64> = rules.map(|r| r.score).filter(|s| s.is_finite()).collect();
        scores.sort_by(f64::total_cmp);
        scores.dedup();
        assert_eq!(scores, THRESHOLDS);
    }

    proptest! {
        #[test]
        fn scenes_cover_the_clip_and_respect_the_lengths(
            scores in prop::collection::vec(
                prop_oneof![20 => 0.0..0.3f64, 1 => 1.0..1.9f64, 2 => Just(0.0)], 1..3000),
            min in 1usize..40,
            extra in 0usize..300,
            target in 0usize..120,
        ) {
            let params = SplitParams::new(2 * min + extra, min, target).unwrap();
            let scenes = split(&scores, params);
            prop_assert_eq!(scenes[0].start, 0);
            prop_assert_eq!(scenes[scenes.len() - 1].end, scores.len());
            prop_assert!(scenes.windows(2).all(|w| w[0].end == w[1].start));
            for scene in &scenes {
                prop_assert!(scene.frames() >= min.min(scores.len()));
                // The last rule of the table splits whatever is longer, unless
                // it is allowed to stop by the target.
                prop_assert!(scene.frames() <= (2 * min + extra).max(target), "{:?}", scene);
            }
            prop_assert_eq!(split(&scores, params), scenes);
        }
    }
}
