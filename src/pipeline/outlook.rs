//! What the final encode will be: its size and its scores, with their errors.

use std::fmt;

use super::curves::Known;
use crate::model::Goal;
use crate::model::allocate::{Choice, Scene};
use crate::model::estimate::Estimate;
use crate::support::units::show_bytes;

/// Of all scenes with probes, at given CRFs.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// Bytes of the video, without a container.
    pub bytes: Estimate,
    /// Mean over the frames, or root mean cube, and the worst scene's score; `None`
    /// where zones have metrics of two kinds.
    pub scores: Option<Scores>,
    /// Scenes without probes, whose size is not known.
    pub unknown: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    pub mean: f64,
    pub worst: f64,
}

impl Outlook {
    /// Whether there is a scene with probes.
    pub fn of_something(&self) -> bool {
        self.bytes.value > 0.0
    }

    /// Of scenes that get these CRFs.
    pub fn of(known: &[Option<Known>], crfs: &[f64]) -> Self {
        let scenes = || known.iter().zip(crfs).filter_map(|(known, crf)| Some((known.as_ref()?, *crf)));
        let bytes = scenes().map(|(known, crf)| known.sizes.last(crf, &known.ratio));
        let damages: Vec<_> = scenes()
            .map(|(known, crf)| (known.model.goal, known.weight, known.damages.at(crf).value))
            .collect();
        Self {
            bytes: Estimate::total(bytes),
            scores: scores(&damages),
            unknown: known.iter().filter(|known| known.is_none()).count(),
        }
    }
}

/// Of (goal, weight, damage).
fn scores(damages: &[(Goal, f64, f64)]) -> Option<Scores> {
    let goal = damages.first()?.0;
    if damages.iter().any(|(other, ..)| other.higher_is_better != goal.higher_is_better) {
        return None;
    }
    let power = if goal.higher_is_better { 1.0 } else { 3.0 };
    let weight: f64 = damages.iter().map(|(_, weight, _)| weight).sum();
    let sum: f64 = damages.iter().map(|(_, weight, damage)| weight * damage.powf(power)).sum();
    let worst = damages.iter().map(|(.., damage)| *damage).fold(0.0, f64::max);
    let mean = (sum / weight.max(1e-6)).powf(power.recip());
    Some(Scores { mean: goal.score_of(mean), worst: goal.score_of(worst) })
}

/// What may be chosen for a scene with probes at `crfs`, when `moved` are the CRFs that
/// are written for them.
pub fn choices(known: &Known, crfs: &[f64], moved: impl Fn(f64) -> f64) -> Option<Scene> {
    let choice = |&crf: &f64| Choice {
        crf,
        damage: known.damages.at(crf),
        bytes: known.sizes.last(moved(crf), &known.ratio),
    };
    Scene::new(known.weight, crfs.iter().map(choice).collect())
}

/// `12.3 MiB (11.1 MiB to 13.6 MiB)`.
pub fn band(bytes: &Estimate) -> String {
    let (low, high) = bytes.band();
    let show = |bytes: f64| show_bytes(bytes.round() as u64);
    format!("{} ({} to {})", show(bytes.value), show(low), show(high))
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", band(&self.bytes))?;
        if let Some(Scores { mean, worst }) = self.scores {
            write!(f, ", mean score {mean:.2}, worst scene {worst:.2}")?;
        }
        match self.unknown {
            0 => Ok(()),
            count => write!(f, "; without {count} scenes that have no probes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(higher_is_better: bool) -> Goal {
        Goal { target: 1.0, higher_is_better, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 }
    }

    #[test]
    fn means_are_those_of_the_frames() {
        // (30 · 10 + 10 · 30) / 40 = 15.
        let found = scores(&[(goal(true), 30.0, 10.0), (goal(true), 10.0, 30.0)]).unwrap();
        assert!((found.mean - 85.0).abs() < 1e-12 && (found.worst - 70.0).abs() < 1e-12);
        // ∛((1 + 27) / 2)
        let found = scores(&[(goal(false), 5.0, 1.0), (goal(false), 5.0, 3.0)]).unwrap();
        assert!((found.mean - 14.0_f64.cbrt()).abs() < 1e-12 && (found.worst - 3.0).abs() < 1e-12);
        assert_eq!(scores(&[(goal(false), 5.0, 1.0), (goal(true), 5.0, 3.0)]), None);
    }

    #[test]
    fn a_size_is_shown_with_its_band() {
        let bytes = Estimate { value: f64::from(100 << 20), own: 0.03, common: 0.04 };
        assert_eq!(band(&bytes), "100 MiB (90.5 MiB to 110.5 MiB)");
    }
}
