//! What an earlier title taught, for the next one of its kind: an episode's scenes
//! are mostly like those of the episode before.
//!
//! It is never trusted blindly. The curve of a usual scene is one more pilot among
//! those of the title, and the offset from probe to final encode a prior that counts
//! less than before.

use serde::{Deserialize, Serialize};

use crate::model::{Goal, Kind, Model, Offset, Scored, qstep};

/// What a group of scenes taught.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// ln of a usual probe's damage at [`CRFS`]'s first.
    pub damage: f64,
    /// Of ln damage over ln quantiser step.
    pub slope: f64,
    /// From probe to final encode; `None` where that was never measured.
    pub offset: Option<Offset>,
}

/// The CRFs between which the usual curve is handed on.
pub(super) const CRFS: [f64; 2] = [24.0, 40.0];

/// How far the offsets of two episodes may be apart, a standard deviation: as
/// far as the presets' usual offset is unsure for one preset step and a half.
const EPISODES: f64 = 0.03;

impl Remembered {
    /// For another title, which may be otherwise.
    pub(super) fn weakened(self) -> Self {
        let offset =
            self.offset.map(|Offset { level, error }| Offset { level, error: error.hypot(EPISODES) });
        Self { offset, ..self }
    }

    /// The usual scene as one more pilot.
    pub fn pilot(&self, goal: &Goal) -> Vec<Scored> {
        let run = |crf: f64| (qstep::from_crf(crf) / qstep::from_crf(CRFS[0])).ln();
        let scored = |crf: f64| Scored::new(crf, goal.score_of((self.damage + self.slope * run(crf)).exp()));
        CRFS.map(scored).to_vec()
    }

    /// The model that starts where the usual scene has the damage that is wanted.
    #[must_use]
    pub fn begin(&self, model: Model) -> Model {
        let Kind::Adaptive(mut adaptive) = model.kind else { return model };
        if let Some(offset) = self.offset {
            adaptive.expected_factor = offset.factor();
        }
        let wanted = (model.goal.damage() / adaptive.expected_factor).ln();
        let step = (qstep::from_crf(CRFS[0]).ln() + (wanted - self.damage) / self.slope).exp();
        adaptive.first_crf.get_or_insert(qstep::to_crf(step));
        Model { kind: Kind::Adaptive(adaptive), ..model }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Adaptive;

    const GOAL: Goal =
        Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

    fn remembered() -> Remembered {
        // Damage 10 at CRF 24, which grows with the root of the step.
        let offset = Some(Offset { level: -0.1, error: 0.04 });
        Remembered { damage: 10.0_f64.ln(), slope: 0.5, offset }
    }

    #[test]
    fn the_usual_scene_is_a_pilot_on_its_curve() {
        let pilot = remembered().pilot(&GOAL);
        assert!((pilot[0].score - 90.0).abs() < 1e-9);
        // 10 · √(891 / 343).
        assert!((pilot[1].score - (100.0 - 10.0 * (891.0_f64 / 343.0).sqrt())).abs() < 1e-9, "{pilot:?}");
    }

    #[test]
    fn a_title_begins_where_the_usual_scene_has_the_damage_that_is_wanted() {
        let kind = Kind::Adaptive(Adaptive {
            first_crf: None,
            tolerance: 1.5,
            quarter_steps: true,
            expected_factor: 1.0,
        });
        let Kind::Adaptive(begun) = remembered().begin(Model { goal: GOAL, kind, ease: 0.0 }).kind else {
            panic!()
        };
        assert!((begun.expected_factor - (-0.1_f64).exp()).abs() < 1e-12);
        // A probe may have 20 · e^0.1 = 22.1, which is 2.21 times 10: a step of 343 · 2.21².
        let wanted = qstep::to_crf(343.0 * (2.0 * 0.1_f64.exp()).powi(2));
        assert!((begun.first_crf.unwrap() - wanted).abs() < 1e-6, "{begun:?} {wanted}");
        let reference = Model { goal: GOAL, kind: Kind::Reference, ease: 0.0 };
        assert_eq!(remembered().begin(reference), reference);
    }

    #[test]
    fn what_is_handed_on_is_less_sure_than_what_was_measured() {
        let offset = remembered().weakened().offset.unwrap();
        assert!((offset.error - 0.05).abs() < 1e-12 && (offset.level + 0.1).abs() < 1e-12);
    }
}
