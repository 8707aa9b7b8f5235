//! How a scene's final encode will look at any CRF, from the scores of its probes.

use super::curve::Curve;
use super::estimate::Estimate;
use super::{Goal, Learned, Model, Own, Presets, Scored, Slopes, qstep};

/// How far a scene's offset from probe to final encode is from that of its title:
/// measured 0.01 to 0.025, with the errors of two scores.
const SCENE: f64 = 0.03;

/// A scene's slope differs from that of its title by this share of it, one standard deviation.
const SLOPE: f64 = 0.25;

/// A scene's damage over the CRF.
#[derive(Debug)]
pub struct Damages {
    curve: Curve,
    /// ln of the quantiser step of each probe, and the standard error of ln damage there.
    known: Vec<(f64, f64)>,
    typical: f64,
    /// ln of (damage of the final encode / damage of a probe), and its standard error.
    offset: (f64, f64),
    /// Of a scene that was also encoded as the final one.
    own: Option<Own>,
}

impl Model {
    /// Through the probes of a scene; `None` without any.
    pub fn damages(&self, scored: &[Scored], learned: &Learned, presets: Presets) -> Option<Damages> {
        let goal = &self.goal;
        let slopes = learned.lessons.map_or_else(Slopes::prior, |lessons| lessons.slopes);
        let error = |probe: &Scored| probe.error / goal.distortion(probe.score);
        Some(Damages {
            curve: Curve::through(scored, goal, &slopes)?,
            known: scored.iter().map(|probe| (qstep::from_crf(probe.crf).ln(), error(probe))).collect(),
            typical: slopes.typical,
            offset: self
                .offset(&learned.ratios, presets)
                .map_or((0.0, 0.0), |offset| (offset.level, offset.error)),
            own: self.own(scored, learned, presets),
        })
    }
}

impl Damages {
    /// Of a probe at this CRF.
    pub fn of_probe(&self, crf: f64) -> f64 {
        self.curve.at(qstep::from_crf(crf).ln()).exp()
    }

    /// Of the final encode at this CRF.
    pub fn at(&self, crf: f64) -> Estimate {
        let x = qstep::from_crf(crf).ln();
        if let Some((ln, own)) = self.own.map(|own| own.at(x)) {
            return Estimate { value: ln.exp(), own, common: 0.0 };
        }
        let (level, common) = self.offset;
        let nearest = |(at, _): &&(f64, f64)| (x - at).abs();
        let (at, error) =
            self.known.iter().min_by(|a, b| nearest(a).total_cmp(&nearest(b))).copied().unwrap_or((x, 0.0));
        let distance = self.typical * SLOPE * (x - at);
        let own = error.hypot(distance).hypot(SCENE);
        Estimate { value: (self.curve.at(x) + level).exp(), own, common }
    }
}

impl Goal {
    /// The score that is this much damage (100 − score, or the score where less is better).
    pub fn score_of(&self, damage: f64) -> f64 {
        self.score(damage)
    }

    /// The damage of a score that is the target.
    pub fn damage(&self) -> f64 {
        self.distortion(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, Pair, Ratios};

    const GOAL: Goal =
        Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

    #[test]
    fn damage_lies_on_the_line_and_its_error_grows_with_the_distance() {
        let model = Model { goal: GOAL, kind: Kind::Reference, ease: 0.0 };
        // Damage 20 at the step 343, 40 at 891: in between √800 at √(343 · 891).
        let probes = [Scored { crf: 24.0, score: 80.0, error: 0.4 }, Scored::new(40.0, 60.0)];
        let presets = Presets { probing: 7, final_: 7 };
        let known = model.damages(&probes, &Learned::default(), presets).unwrap();
        let middle = qstep::to_crf((343.0_f64 * 891.0).sqrt());
        assert!((known.at(middle).value - 800.0_f64.sqrt()).abs() < 1e-3);
        // 0.4 points of 20 are 2 %; √(0.02² + 0.03²).
        assert!((known.at(24.0).own - 0.0013_f64.sqrt()).abs() < 1e-9);
        assert!(known.at(48.0).own > known.at(44.0).own && known.at(44.0).own > known.at(40.0).own);
        assert!(model.damages(&[], &Learned::default(), presets).is_none());
    }

    #[test]
    fn the_final_encode_differs_by_what_calibration_showed() {
        let model = Model { goal: GOAL, kind: Kind::Reference, ease: 0.0 };
        // 20 became 18: a tenth less.
        let pair = Pair { crf: 24.0, probe: 80.0, final_: 82.0, reach: 0.0 };
        let learned = Learned { ratios: Ratios::new([pair], &GOAL), ..Learned::default() };
        let presets = Presets { probing: 7, final_: 5 };
        let damages = model.damages(&[Scored::new(24.0, 80.0)], &learned, presets).unwrap();
        assert!((GOAL.score_of(damages.at(24.0).value) - 82.0).abs() < 1e-3);
        assert!(damages.at(24.0).common > 0.0);
        assert!((GOAL.damage() - 20.0).abs() < 1e-12);
    }
}
