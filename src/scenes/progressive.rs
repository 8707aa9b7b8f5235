//! The rules `progressive`: Progression Boost's of December 2025 (spec 10, section 1).
//!
//! Scenes are divided down to few frames where a cut is sure, and may grow beyond
//! the usual length where nothing moves.

use anyhow::{Result, bail};

use super::Scene;
use super::best::BestFrames;
use super::walk::{self, Cap, Search, Whose};
use crate::settings::{ProgressiveLengths, SceneSettings};

/// Lengths in frames that steer the splitting. The numbers in names are the
/// scores, less 1, from which they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressiveParams {
    extra_split: usize,
    min_scene_len: usize,
    target_18: usize,
    target_12: usize,
    target_27: usize,
    /// Longest scene in which no score reaches 0.0042.
    still_0042: usize,
    /// Longest scene in which no score reaches 0.0012.
    still_0012: usize,
}

impl ProgressiveParams {
    /// A still scene is never cut shorter than another one. An error when one of
    /// the lengths leaves no room for another.
    pub fn new(settings: &SceneSettings) -> Result<Self> {
        if let Some(problem) = settings.progressive_problem() {
            bail!("{problem}");
        }
        let extra_split = settings.extra_split;
        let ProgressiveLengths { target_18, target_12, target_27, still_0042, still_0012 } =
            settings.progressive;
        let (still_0042, still_0012) = (still_0042.max(extra_split), still_0012.max(extra_split));
        // With 0 no walk would have an end.
        let min_scene_len = settings.min_scene_len.max(1);
        Ok(Self { extra_split, min_scene_len, target_18, target_12, target_27, still_0042, still_0012 })
    }

    fn length(&self, length: Length) -> usize {
        match length {
            Length::Min => self.min_scene_len,
            Length::T18 => self.target_18,
            Length::T12 => self.target_12,
            Length::T27 => self.target_27,
            Length::Extra => self.extra_split,
            Length::C42 => self.still_0042,
            Length::C12 => self.still_0012,
        }
    }

    fn chunks(&self, frames: usize) -> usize {
        frames.div_ceil(self.extra_split)
    }
}

/// A length of [`ProgressiveParams`].
#[derive(Clone, Copy)]
enum Length {
    Min,
    T18,
    T12,
    T27,
    Extra,
    C42,
    C12,
}

use Length::{C12, C42, Extra, Min, T12, T18, T27};

/// Which scenes a rule is for, by their length.
#[derive(Clone, Copy)]
enum When {
    Always,
    UpTo(Length),
    UpToTwice(Length),
    FromTwice(Length),
}

enum Sides {
    Both(Length),
    One(Length),
    Any,
}

/// Below this score a frame is still: only grain moves, or eyes and mouths, too.
#[derive(Clone, Copy)]
enum Still {
    Grain,
    Blinks,
}

impl Still {
    const ALL: [Self; 2] = [Self::Grain, Self::Blinks];

    const fn below(self) -> f64 {
        match self {
            Self::Grain => 0.0012,
            Self::Blinks => 0.0042,
        }
    }
}

enum Step {
    /// Split where the table of the spec says.
    Cut { score: f64, least: Length, sides: Sides, periods: &'static [Option<usize>], fits: Option<f64> },
    /// What came here stays whole.
    Stay,
    /// A still scene stays or is cut evenly.
    Even(Still, Length),
    /// The still end of a scene is a scene of its own.
    Rear(Still, Length),
    /// The still beginning is.
    Front(Still, Length),
}

struct Rule {
    /// Its number in the spec; 0 for the two lines that have none.
    number: u8,
    when: When,
    step: Step,
}

const FREE: &[Option<usize>] = &[None];
const MODS: &[Option<usize>] = &[Some(32), Some(16), Some(8), Some(4), Some(2)];
const MODS_AND_FREE: &[Option<usize>] = &[Some(32), Some(16), Some(8), Some(4), Some(2), None];

const fn cut(
    number: u8,
    when: When,
    score: f64,
    least: Length,
    sides: Sides,
    periods: &'static [Option<usize>],
    fits: Option<f64>,
) -> Rule {
    Rule { number, when, step: Step::Cut { score, least, sides, periods, fits } }
}

const fn still(number: u8, step: Step) -> Rule {
    Rule { number, when: When::Always, step }
}

const RULES: [Rule; 30] = {
    use Sides::{Any, Both, One};
    use Still::{Blinks, Grain};
    use When::{Always, FromTwice, UpTo, UpToTwice};
    [
        cut(1, FromTwice(Extra), 1.27, T27, Any, FREE, Some(0.40)),
        cut(2, UpToTwice(T18), 1.18, Min, Both(T18), MODS, None),
        cut(3, Always, 1.18, Min, One(T18), MODS, None),
        cut(4, UpToTwice(T18), 1.18, Min, Any, MODS_AND_FREE, None),
        Rule { number: 0, when: UpToTwice(T18), step: Step::Stay },
        cut(5, Always, 1.18, T18, One(Extra), MODS, None),
        cut(6, UpToTwice(T12), 1.12, T18, Both(T12), MODS, None),
        cut(7, Always, 1.12, T18, One(T12), MODS, None),
        cut(8, UpTo(Extra), 1.12, T18, Any, MODS_AND_FREE, None),
        Rule { number: 0, when: UpTo(Extra), step: Step::Stay },
        cut(9, Always, 1.12, T12, One(Extra), MODS_AND_FREE, None),
        cut(10, Always, 1.12, Min, One(Extra), FREE, Some(0.0)),
        cut(11, FromTwice(Extra), 1.15, Extra, Any, FREE, Some(0.50)),
        still(12, Step::Even(Grain, C12)),
        still(13, Step::Even(Blinks, C42)),
        still(14, Step::Rear(Grain, C12)),
        still(15, Step::Front(Grain, C12)),
        still(16, Step::Rear(Blinks, C42)),
        still(17, Step::Front(Blinks, C42)),
        cut(18, Always, 1.08, T12, One(Extra), MODS_AND_FREE, None),
        cut(19, Always, 1.02, T12, One(Extra), MODS_AND_FREE, None),
        cut(20, Always, 1.08, Min, One(Extra), FREE, Some(0.0)),
        cut(21, Always, 0.96, T12, One(Extra), MODS_AND_FREE, None),
        cut(22, Always, 1.02, Min, One(Extra), FREE, Some(0.0)),
        cut(23, Always, 0.84, T12, One(Extra), MODS_AND_FREE, Some(0.50)),
        cut(24, Always, 0.84, T12, Any, FREE, Some(0.50)),
        cut(25, Always, 0.84, Min, One(Extra), FREE, Some(0.0)),
        cut(26, Always, 0.84, Min, One(Extra), FREE, None),
        cut(27, Always, 0.09, T12, Any, MODS, Some(0.05)),
        cut(28, Always, f64::NEG_INFINITY, T12, Any, MODS_AND_FREE, Some(0.0)),
    ]
};

/// The scores from which the rules tell cuts, for pictures of them.
pub const PROGRESSIVE_THRESHOLDS: [f64; 8] = [0.09, 0.84, 0.96, 1.02, 1.08, 1.12, 1.18, 1.27];

/// Splits frames `0..scores.len()` into scenes that cover them in order, as
/// [`super::split`] does by other rules. `scores` are finite.
pub fn split_progressively(scores: &[f64], params: ProgressiveParams) -> Vec<Scene> {
    let mut scenes = Vec::new();
    let splitter = Splitter::new(scores, params);
    // What comes first in the clip is on top.
    let mut open = vec![Part::Open(Scene { start: 0, end: scores.len() })];
    while let Some(part) = open.pop() {
        match part {
            Part::Final(scene) if scene.frames() > 0 => scenes.push(scene),
            Part::Final(_) => {}
            Part::Open(scene) => open.extend(splitter.decide(scene).parts(scene).into_iter().rev()),
        }
    }
    scenes
}

/// A stretch that is split on or is a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Open(Scene),
    Final(Scene),
}

/// What the rules make of a scene.
#[derive(Debug, Clone, PartialEq)]
enum Decision {
    /// Too short to be split.
    Short,
    /// No rule splits a scene of its length.
    Whole,
    Split {
        rule: u8,
        frame: usize,
        period: Option<usize>,
    },
    /// A still scene that is not too long.
    Still {
        rule: u8,
    },
    /// A still scene cut at these frames, nearly all `step` apart.
    Even {
        rule: u8,
        step: usize,
        cuts: Vec<usize>,
    },
    /// From `frame` on it is final.
    Rear {
        rule: u8,
        frame: usize,
    },
    /// Before `frame` it is final.
    Front {
        rule: u8,
        frame: usize,
    },
}

impl Decision {
    /// The parts of `scene`, in order.
    fn parts(&self, scene: Scene) -> Vec<Part> {
        let halves = |at: usize| (Scene { end: at, ..scene }, Scene { start: at, ..scene });
        match self {
            Self::Short | Self::Whole | Self::Still { .. } => vec![Part::Final(scene)],
            Self::Split { frame, .. } => {
                let (left, right) = halves(*frame);
                vec![Part::Open(left), Part::Open(right)]
            }
            Self::Rear { frame, .. } => {
                let (left, right) = halves(*frame);
                vec![Part::Open(left), Part::Final(right)]
            }
            Self::Front { frame, .. } => {
                let (left, right) = halves(*frame);
                vec![Part::Final(left), Part::Open(right)]
            }
            Self::Even { cuts, .. } => {
                let starts = [scene.start].into_iter().chain(cuts.iter().copied());
                let ends = cuts.iter().copied().chain([scene.end]);
                starts.zip(ends).map(|(start, end)| Part::Final(Scene { start, end })).collect()
            }
        }
    }
}

struct Splitter<'a> {
    best: BestFrames<'a>,
    params: ProgressiveParams,
    /// Frames that are not still, ascending, by [`Still::ALL`].
    moving: [Vec<usize>; 2],
}

impl<'a> Splitter<'a> {
    fn new(scores: &'a [f64], params: ProgressiveParams) -> Self {
        let moving = Still::ALL
            .map(|still| (0..scores.len()).filter(|&frame| scores[frame] >= still.below()).collect());
        Self { best: BestFrames::new(scores), params, moving }
    }

    fn decide(&self, scene: Scene) -> Decision {
        if scene.frames() < 2 * self.params.min_scene_len {
            return Decision::Short;
        }
        let length = scene.frames();
        let applies = |rule: &&Rule| match rule.when {
            When::Always => true,
            When::UpTo(limit) => length <= self.params.length(limit),
            When::UpToTwice(limit) => length <= 2 * self.params.length(limit),
            When::FromTwice(limit) => length >= 2 * self.params.length(limit),
        };
        let decided = RULES.iter().filter(applies).find_map(|rule| self.apply(rule, scene));
        decided.unwrap_or(Decision::Whole)
    }

    fn apply(&self, rule: &Rule, scene: Scene) -> Option<Decision> {
        match &rule.step {
            Step::Stay => Some(Decision::Whole),
            Step::Cut { score, least, sides, periods, fits } => {
                let (cap, of) = match sides {
                    Sides::Any => (Cap::None, Whose::Either),
                    Sides::Both(cap) => (Cap::Both(self.params.length(*cap)), Whose::Either),
                    Sides::One(cap) => (Cap::One(self.params.length(*cap)), Whose::Capped),
                };
                // The reference lets a target below the shortest scene win over it.
                let least = self.params.length(*least).max(self.params.min_scene_len);
                let search = Search { score: *score, least, cap, of, periods, fits: *fits };
                let found = walk::find(&self.best, scene, self.params.extra_split, &search)?;
                Some(Decision::Split { rule: rule.number, frame: found.frame, period: found.period })
            }
            Step::Even(still, cap) => self.even(rule.number, *still, self.params.length(*cap), scene),
            Step::Rear(still, cap) => self.rear(rule.number, *still, self.params.length(*cap), scene),
            Step::Front(still, cap) => self.front(rule.number, *still, self.params.length(*cap), scene),
        }
    }

    /// The first and the last frame after the scene's first one that are not still.
    fn moving(&self, still: Still, scene: Scene) -> Option<(usize, usize)> {
        let moving = &self.moving[still as usize];
        let inside = &moving[moving.partition_point(|&f| f <= scene.start)..];
        let inside = &inside[..inside.partition_point(|&f| f < scene.end)];
        Some((*inside.first()?, *inside.last()?))
    }

    fn even(&self, rule: u8, still: Still, cap: usize, scene: Scene) -> Option<Decision> {
        if self.moving(still, scene).is_some() {
            return None;
        }
        let length = scene.frames();
        if length <= cap {
            return Some(Decision::Still { rule });
        }
        let part = length as f64 / length.div_ceil(cap) as f64;
        // Of 16·n + 1 frames each.
        let step = (16 * ((part - 1.0) / 16.0).ceil() as usize + 1).min(cap);
        let mut cuts: Vec<usize> = (scene.start..scene.end).step_by(step).skip(1).collect();
        if let [.., before, last] = [&[scene.start], &cuts[..]].concat()[..]
            && scene.end - last < self.params.min_scene_len
        {
            // What is left is too short for a scene: the last two share evenly.
            cuts.pop();
            cuts.push(before + (scene.end - before) / 2);
        }
        Some(Decision::Even { rule, step, cuts })
    }

    fn rear(&self, rule: u8, still: Still, cap: usize, scene: Scene) -> Option<Decision> {
        let (_, last) = self.moving(still, scene)?;
        let p = &self.params;
        let frame = last.max(scene.end.saturating_sub(cap)).max(scene.start + p.min_scene_len);
        let room = frame < scene.end && scene.end - frame > p.target_12;
        (room && p.chunks(frame - scene.start) < p.chunks(scene.frames()))
            .then_some(Decision::Rear { rule, frame })
    }

    fn front(&self, rule: u8, still: Still, cap: usize, scene: Scene) -> Option<Decision> {
        let (first, _) = self.moving(still, scene)?;
        let p = &self.params;
        let frame = first.min(scene.start + cap).min(scene.end - p.min_scene_len);
        let room = frame - scene.start > p.target_12;
        (room && p.chunks(scene.end - frame) < p.chunks(scene.frames()))
            .then_some(Decision::Front { rule, frame })
    }
}

#[cfg(test)]
#[path = "progressive_tests.rs"]
mod tests;
