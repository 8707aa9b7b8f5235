//! Which scene gets how many bits.
//!
//! [`even`](even()) gives every scene the same score. [`slope`](slope()) gives the least
//! damage for the bits: in an optimum no scene can gain more from a byte than another
//! loses by giving it, so damage over bytes is equally steep in all scenes, and what
//! the wanted size or score fixes is that steepness λ. Only the choices on the lower
//! convex hull of a scene's (bytes, damage) can be such an optimum.
//!
//! After Y. Shoham and A. Gersho, "Efficient bit allocation for an arbitrary set of
//! quantizers", IEEE Transactions on Acoustics, Speech and Signal Processing 36(9),
//! 1988; applied to the shots of a video as in I. Katsavounidis, "Dynamic optimizer: a
//! perceptual video encoding optimization framework", Netflix Technology Blog, 2018.
//!
//! Damage is 100 − score for SSIMULACRA2, and its mean over the frames counts; for
//! Butteraugli it is the score, and its cubes are summed up, as a scene's own score is
//! the root mean cube of its frames.

mod even;
mod slope;

pub use even::{even, even_of_size};
pub use slope::{slope, slope_of_size};

use super::Goal;
use super::estimate::Estimate;

/// What a scene's final encode will be at one CRF.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    pub crf: f64,
    /// Of the predicted score: 100 − score, or the score where less is better.
    pub damage: Estimate,
    pub bytes: Estimate,
}

/// A scene and what may be chosen for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    frames: f64,
    /// Finest first; damage never falls, size never rises. At least one.
    choices: Vec<Choice>,
}

/// A scene all of whose frames repeat others weighs something, so that means exist.
const LEAST_WEIGHT: f64 = 1e-6;

impl Scene {
    /// `frames` is the scene's weight: its frames that count. A coarser choice that is
    /// said to look better or to be larger is taken to be equal to the finer one.
    /// `None` without choices.
    pub fn new(frames: f64, mut choices: Vec<Choice>) -> Option<Self> {
        choices.sort_by(|a, b| a.crf.total_cmp(&b.crf));
        for i in 1..choices.len() {
            let finer = choices[i - 1];
            let choice = &mut choices[i];
            if choice.damage.value < finer.damage.value {
                choice.damage = finer.damage;
            }
            if choice.bytes.value > finer.bytes.value {
                choice.bytes = finer.bytes;
            }
        }
        (!choices.is_empty()).then(|| Self { frames: frames.max(LEAST_WEIGHT), choices })
    }

    /// With a choice at each of `crfs`: `predict` gives damage and bytes there.
    pub fn over(frames: f64, crfs: &[f64], predict: impl Fn(f64) -> (Estimate, Estimate)) -> Option<Self> {
        let choice = |&crf: &f64| {
            let (damage, bytes) = predict(crf);
            Choice { crf, damage, bytes }
        };
        Self::new(frames, crfs.iter().map(choice).collect())
    }

    fn coarsest(&self) -> usize {
        self.choices.len() - 1
    }

    /// What a choice adds to the sum that the whole is judged by.
    fn cost(&self, choice: usize, goal: &Goal) -> f64 {
        self.frames * self.choices[choice].damage.value.powf(power(goal))
    }
}

/// The multiples of `step` in `min..=max`; with none in it the one nearest to its
/// middle.
pub fn grid(min: f64, max: f64, step: f64) -> Vec<f64> {
    const SLACK: f64 = 1e-9;
    let (first, last) = ((min / step - SLACK).ceil() as i64, (max / step + SLACK).floor() as i64);
    if first > last {
        return vec![(f64::midpoint(min, max) / step).round() * step];
    }
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Damages are summed up raised to this.
fn power(goal: &Goal) -> f64 {
    if goal.higher_is_better { 1.0 } else { 3.0 }
}

/// Why a scene could not get what it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It may not be finer.
    Finest,
    /// It may not be coarser.
    Coarsest,
    /// It would score worse than the floor.
    Floor,
}

/// What a scene gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub crf: f64,
    /// The predicted score.
    pub score: f64,
    /// Within this 19 times of 20, the lower number first.
    pub scores: (f64, f64),
    pub bytes: Estimate,
    pub held: Option<Held>,
}

/// What all scenes get, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// The score that was aimed at: of every scene (`even`), or of the whole (`slope`).
    pub target: f64,
    pub scenes: Vec<Share>,
    /// Of the whole.
    pub bytes: Estimate,
    /// The score whose damage is the mean over the frames (SSIMULACRA2) or the root mean
    /// cube (Butteraugli).
    pub score: f64,
    /// Within this 19 times of 20, the lower number first.
    pub scores: (f64, f64),
}

impl Allocation {
    fn new(
        scenes: &[Scene],
        goal: &Goal,
        target: f64,
        chosen: &[usize],
        held: impl Fn(usize, usize) -> Option<Held>,
    ) -> Self {
        let picked = || scenes.iter().zip(chosen).map(|(scene, &choice)| (scene, scene.choices[choice]));
        let frames: f64 = scenes.iter().map(|scene| scene.frames).sum();
        let costs = picked().map(|(scene, choice)| choice.damage.raised(power(goal), scene.frames));
        let damage = Estimate::total(costs).raised(1.0, 1.0 / frames).raised(1.0 / power(goal), 1.0);
        let share = |(index, (_, choice)): (usize, (&Scene, Choice))| Share {
            crf: choice.crf,
            score: goal.score(choice.damage.value),
            scores: score_band(&choice.damage, goal),
            bytes: choice.bytes,
            held: held(index, chosen[index]),
        };
        Self {
            target,
            scenes: picked().enumerate().map(share).collect(),
            bytes: Estimate::total(picked().map(|(_, choice)| choice.bytes)),
            score: goal.score(damage.value),
            scores: score_band(&damage, goal),
        }
    }

    /// The score of the scene that is worst off; `None` without scenes.
    pub fn worst(&self, goal: &Goal) -> Option<f64> {
        self.scenes
            .iter()
            .map(|share| share.score)
            .min_by(|a, b| goal.quality(*a).total_cmp(&goal.quality(*b)))
    }
}

fn score_band(damage: &Estimate, goal: &Goal) -> (f64, f64) {
    let (least, most) = damage.band();
    let (a, b) = (goal.score(least), goal.score(most));
    (a.min(b), a.max(b))
}

/// No allocation has the wanted size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutOfReach {
    /// Bytes, all of them.
    pub wanted: f64,
    pub smallest: f64,
    pub largest: f64,
}

impl OutOfReach {
    /// Sums of many sizes differ by this when they are summed up in another order.
    const SLACK: f64 = 1e-9;

    fn check(wanted: f64, smallest: f64, largest: f64) -> Result<(), Self> {
        let fits = wanted >= smallest * (1.0 - Self::SLACK) && wanted <= largest * (1.0 + Self::SLACK);
        if fits { Ok(()) } else { Err(Self { wanted, smallest, largest }) }
    }
}

impl std::fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { wanted, smallest, largest } = self;
        write!(f, "size {wanted:.0} bytes: must be {smallest:.0} to {largest:.0}, ")?;
        if wanted < smallest {
            f.write_str("or allow coarser scenes (a higher max_crf, a lower floor)")
        } else {
            f.write_str("or allow finer scenes (a lower min_crf)")
        }
    }
}

impl std::error::Error for OutOfReach {}
