//! Dividing a stretch of video into scenes by the score of every frame (spec 01).

use std::ops::Range;

use anyhow::{Result, ensure};

use super::Scene;
use super::best::{BestFrames, Residues};

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

/// Whose length must be k·n + 1, which suits the encoder's hierarchical GOP.
#[derive(Clone, Copy)]
enum Modulo {
    /// Nobody's.
    Free,
    /// Either part's, for k = 32, 16, 8, 4 and then without.
    Either,
    /// Either part's, for k = 32, 16, 8, 4.
    EitherStrict,
    /// That of the part that is up to the target, for k = 32, 16, 8, 4 and then without.
    Short,
}

struct Rule {
    /// Lowest score, `NEG_INFINITY` for any.
    score: f64,
    parts: Parts,
    modulo: Modulo,
    /// Slack of "the parts need no more chunks of `extra_split` than the whole".
    fits: Option<f64>,
}

const fn rule(score: f64, parts: Parts, modulo: Modulo, fits: Option<f64>) -> Rule {
    Rule { score, parts, modulo, fits }
}

/// Scenes of at most twice the target; what fits none of these goes on to [`UP_TO_EXTRA_SPLIT`].
const UP_TO_TWO_TARGETS: [Rule; 1] = [rule(1.18, Parts::BothUpToTarget, Modulo::Either, None)];

const UP_TO_EXTRA_SPLIT: [Rule; 2] =
    [rule(1.15, Parts::OneUpToTarget, Modulo::Either, None), rule(1.15, Parts::Any, Modulo::Free, None)];

const BEYOND_EXTRA_SPLIT: [Rule; 6] = [
    rule(1.24, Parts::BothLong, Modulo::Free, Some(0.15)),
    rule(1.18, Parts::OneUpToTarget, Modulo::Short, None),
    rule(1.24, Parts::Any, Modulo::Free, Some(0.15)),
    rule(1.09, Parts::Any, Modulo::Free, None),
    rule(0.09, Parts::Any, Modulo::EitherStrict, Some(0.0)),
    rule(f64::NEG_INFINITY, Parts::Any, Modulo::Free, Some(0.0)),
];

const PERIODS: [Option<usize>; 5] = [Some(32), Some(16), Some(8), Some(4), None];

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
        match best_split(&best, scores, scene, params) {
            Some(at) => open.extend([Scene { start: at, ..scene }, Scene { end: at, ..scene }]),
            None => scenes.push(scene),
        }
    }
    scenes
}

fn best_split(best: &BestFrames<'_>, scores: &[f64], scene: Scene, params: SplitParams) -> Option<usize> {
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
    tables.iter().copied().flatten().find_map(|rule| apply(best, scores, scene, params, rule))
}

/// The best frame that the rule allows `scene` to be split at.
fn apply(
    best: &BestFrames<'_>,
    scores: &[f64],
    scene: Scene,
    params: SplitParams,
    rule: &Rule,
) -> Option<usize> {
    let good = |frame: &usize| scores[*frame] >= rule.score;
    let allowed = scene.start + params.min_scene_len..scene.end - params.min_scene_len + 1;
    // Most rules fail on the score alone.
    best.best(allowed.clone(), Residues::ALL).filter(good)?;
    let windows = windows(rule.parts, scene, params, allowed);
    let fits = rule.fits.map(|slack| Fits::new(scene, params.extra_split, slack));
    let periods = match rule.modulo {
        Modulo::Free => &PERIODS[4..],
        Modulo::Either | Modulo::Short => &PERIODS[..],
        Modulo::EitherStrict => &PERIODS[..4],
    };
    periods.iter().find_map(|&k| {
        windows
            .iter()
            .filter_map(|window| {
                let residues = window.residues(rule.modulo, scene, k);
                match &fits {
                    None => best.best(window.frames.clone(), residues),
                    Some(fits) => best.best_except(window.frames.clone(), residues, |f| fits.ruled_out(f)),
                }
            })
            .max_by(|&a, &b| best.order(a, b))
            .filter(good)
    })
}

/// Frames that may become the first of the right part.
struct Window {
    frames: Range<usize>,
    /// The left part is the one that is up to the target, or the right one, or it does not matter.
    short: Option<Side>,
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Window {
    /// Frames at which the length of the part in question is 1 mod `k`.
    fn residues(&self, modulo: Modulo, scene: Scene, k: Option<usize>) -> Residues {
        let Some(k) = k else { return Residues::ALL };
        let left = Residues::of(scene.start + 1, k);
        // `end − f ≡ 1` is `f ≡ end − 1`.
        let right = Residues::of(scene.end - 1, k);
        match (modulo, self.short) {
            (Modulo::Short, Some(Side::Left)) => left,
            (Modulo::Short, Some(Side::Right)) => right,
            _ => left.union(right),
        }
    }
}

fn windows(parts: Parts, scene: Scene, params: SplitParams, allowed: Range<usize>) -> Vec<Window> {
    let target = params.target_split;
    let left_up_to_target = allowed.start..allowed.end.min(scene.start + target + 1);
    let right_up_to_target = allowed.start.max(scene.end.saturating_sub(target))..allowed.end;
    match parts {
        Parts::Any => vec![Window { frames: allowed, short: None }],
        Parts::BothUpToTarget => {
            vec![Window { frames: right_up_to_target.start..left_up_to_target.end, short: None }]
        }
        Parts::OneUpToTarget => vec![
            Window { frames: left_up_to_target, short: Some(Side::Left) },
            Window { frames: right_up_to_target, short: Some(Side::Right) },
        ],
        Parts::BothLong => {
            let long = (8 * target).div_ceil(5);
            let frames =
                allowed.start.max(scene.start + long)..allowed.end.min((scene.end + 1).saturating_sub(long));
            vec![Window { frames, short: None }]
        }
    }
}

/// The parts together need at most as many chunks of `extra_split` as the whole
/// scene, rounded up after adding a slack.
struct Fits {
    scene: Scene,
    chunk: usize,
    most: usize,
}

impl Fits {
    fn new(scene: Scene, chunk: usize, slack: f64) -> Self {
        let most = (scene.frames() as f64 / chunk as f64 + slack).ceil() as usize;
        Self { scene, chunk, most }
    }

    /// `None` when a split at `frame` fits, else the frames around it for which
    /// both parts need the same number of chunks, and so do not fit either.
    fn ruled_out(&self, frame: usize) -> Option<Range<usize>> {
        let left = (frame - self.scene.start).div_ceil(self.chunk);
        let right = (self.scene.end - frame).div_ceil(self.chunk);
        if left + right <= self.most {
            return None;
        }
        let start = self.scene.start + (left - 1) * self.chunk + 1;
        let end = self.scene.start + left * self.chunk + 1;
        let from_right = self.scene.end.saturating_sub(right * self.chunk);
        let to_right = self.scene.end - (right - 1) * self.chunk;
        Some(start.max(from_right)..end.min(to_right))
    }
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
