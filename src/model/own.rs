//! The line of a scene that was also encoded as in the final encode: through that
//! encode, as steep as its probes and what other scenes do let expect.

use super::curve::reaches;
use super::offset::SCENE;
use super::{Answer, Goal, How, Offset, Scored, Slopes, qstep};

/// Encodes are that far from a line for no reason that a model knows, as a share
/// of their damage.
const ENCODES: f64 = 0.02;

/// ln(damage of the final encode) over ln(quantiser step).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Own {
    /// The encode as the final one that is nearest to the target.
    at: (f64, f64),
    slope: f64,
    /// Standard errors of both.
    error: f64,
    slope_error: f64,
    /// Its encodes alone would have made it steeper or flatter than scenes are.
    odd: bool,
}

/// A mean of values by their precisions.
struct Weighted {
    sum: f64,
    precision: f64,
}

impl Weighted {
    fn new(value: f64, error: f64) -> Self {
        let mut new = Self { sum: 0.0, precision: 0.0 };
        new.add(value, error);
        new
    }

    /// A value between encodes at one CRF says nothing, and is no number.
    fn add(&mut self, value: f64, error: f64) {
        let precision = error.powi(-2);
        if value.is_finite() && precision.is_finite() {
            self.sum += precision * value;
            self.precision += precision;
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.precision
    }

    fn error(&self) -> f64 {
        self.precision.sqrt().recip()
    }
}

/// What probes show together: (ln quantiser step, ln damage).
struct Probes {
    count: f64,
    middle: (f64, f64),
    /// Sums over the probes of the squared distances from the middle, and of their products.
    spread: f64,
    covariance: f64,
    /// Standard error of one of them, the root of the mean square.
    error: f64,
}

impl Probes {
    /// Of points with their standard errors; `None` without any.
    fn of(probes: &[((f64, f64), f64)]) -> Option<Self> {
        let count = probes.len() as f64;
        let mean = |value: fn(&((f64, f64), f64)) -> f64| probes.iter().map(value).sum::<f64>() / count;
        let middle = (mean(|((x, _), _)| *x), mean(|((_, y), _)| *y));
        let from_middle = probes.iter().map(|((x, y), _)| (x - middle.0, y - middle.1));
        (count > 0.0).then(|| Self {
            count,
            middle,
            spread: from_middle.clone().map(|(x, _)| x * x).sum(),
            covariance: from_middle.map(|(x, y)| x * y).sum(),
            error: mean(|(_, error)| error * error).sqrt(),
        })
    }
}

impl Own {
    /// `level` is what other scenes, or an assumption, say of probes and final
    /// encodes; `None` without encodes as the final one.
    ///
    /// The slope is the mean of what these say, each weighted with its precision: the
    /// probes among themselves, their middle and the final encode, which differ by the
    /// scene's offset besides, other final encodes, and `slopes`.
    pub fn through(
        scored: &[Scored],
        finals: &[Scored],
        goal: &Goal,
        slopes: &Slopes,
        level: &Offset,
    ) -> Option<Self> {
        let nearest = goal.nearest(finals)?;
        let at = |one: &Scored| (qstep::from_crf(one.crf).ln(), goal.distortion(one.score).ln());
        let noise = |one: &Scored| ENCODES.hypot(goal.relative_error(one));
        let (x, y) = at(&nearest);
        let mut found = Weighted::new(slopes.typical, slopes.spread());
        let probes: Vec<_> = scored.iter().map(|probe| (at(probe), noise(probe))).collect();
        if let Some(probes) = Probes::of(&probes) {
            found.add(probes.covariance / probes.spread, probes.error / probes.spread.sqrt());
            let run = x - probes.middle.0;
            let error = [level.error, noise(&nearest), probes.error / probes.count.sqrt()]
                .into_iter()
                .fold(SCENE, f64::hypot);
            found.add((y - probes.middle.1 - level.level) / run, error / run);
        }
        for last in finals {
            let run = x - at(last).0;
            found.add((y - at(last).1) / run, noise(last).hypot(noise(&nearest)) / run);
        }
        let slope = found.mean();
        Some(Self {
            at: (x, y),
            slope: slope.clamp(slopes.low, slopes.high),
            error: goal.relative_error(&nearest),
            slope_error: found.error(),
            odd: !slopes.allow(slope),
        })
    }

    /// ln of the damage at `x`, the ln of a quantiser step, and its standard error.
    pub fn at(&self, x: f64) -> (f64, f64) {
        let run = x - self.at.0;
        (self.at.1 + self.slope * run, self.error.hypot(self.slope_error * run))
    }

    /// Where the target is met.
    pub fn answer(&self, goal: &Goal, limits: (f64, f64)) -> Answer {
        let x = reaches(goal.distortion(goal.target).ln(), limits, |x| self.at(x).0);
        let how = if self.odd { How::Contradiction } else { How::Probes };
        Answer { crf: goal.clamp(qstep::to_crf(x.exp())), how }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal =
        Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };
    const SLOPES: Slopes = Slopes { typical: 0.5, low: 0.25, high: 1.0 };
    const LEVEL: Offset = Offset { level: 0.0, error: 0.0 };

    fn own(scored: &[Scored], finals: &[Scored]) -> Own {
        Own::through(scored, finals, &GOAL, &SLOPES, &LEVEL).unwrap()
    }

    #[test]
    fn it_passes_through_the_nearest_final_encode_as_steep_as_is_likely() {
        assert_eq!(Own::through(&[Scored::new(24.0, 80.0)], &[], &GOAL, &SLOPES, &LEVEL), None);
        // Nothing but one final encode: 25 of damage at the step 343, 20 is met at 343 · 0.8².
        let alone = own(&[], &[Scored::new(24.0, 75.0)]);
        let limits = (qstep::from_crf(8.0).ln(), qstep::from_crf(50.0).ln());
        let answer = alone.answer(&GOAL, limits);
        assert!((qstep::from_crf(answer.crf) - 343.0 * 0.64).abs() < 1e-3, "{answer:?}");
        // A probe at 891 has 25 · (891 / 343)^0.8: precision 0.9546² / (0.06² + 2 · 0.02²) = 207.1
        // for 0.8 against (2 / (0.5 · ln 2))² = 33.3 for 0.5.
        let probe = Scored::new(40.0, 100.0 - 25.0 * (891.0_f64 / 343.0).powf(0.8));
        let line = own(&[probe], &[Scored::new(24.0, 75.0)]);
        let expected = (207.1 * 0.8 + 33.3 * 0.5) / (207.1 + 33.3);
        assert!((line.slope - expected).abs() < 1e-3, "{line:?}");
        assert!((line.slope_error - (207.1_f64 + 33.3).sqrt().recip()).abs() < 1e-4);
    }

    #[test]
    fn a_probe_counts_as_what_the_final_encode_would_be_there() {
        // The final encode has 0.9 of a probe's damage: two probes on a line of 0.5 say 0.5, and so
        // does their middle.
        let level = Offset { level: 0.9_f64.ln(), error: 0.0 };
        let damage = |step: f64| 20.0 * (step / 343.0_f64).sqrt();
        let probes = [Scored::new(24.0, 80.0), Scored::new(40.0, 100.0 - damage(891.0))];
        let last = Scored::new(27.0, 100.0 - 0.9 * damage(418.0));
        let line = Own::through(&probes, &[last], &GOAL, &SLOPES, &level).unwrap();
        assert!((line.slope - 0.5).abs() < 1e-9, "{line:?}");
        assert!((line.at(418.0_f64.ln()).0 - (0.9 * damage(418.0)).ln()).abs() < 1e-9);
        // Where the offset of the scene is another than was thought, the slope between the probes
        // is still theirs: of 0.8, with the precision 0.9546² / 2 / 0.02² = 1139.
        let steep = |step: f64| 100.0 - 20.0 * (step / 343.0_f64).powf(0.8);
        let probes = [Scored::new(24.0, 80.0), Scored::new(40.0, steep(891.0))];
        let last = Scored::new(27.0, steep(418.0) - 2.0);
        let line = Own::through(&probes, &[last], &GOAL, &SLOPES, &level).unwrap();
        assert!((line.slope - 0.8).abs() < 0.06, "{line:?}");
    }

    #[test]
    fn its_error_grows_with_the_distance_and_odd_slopes_are_told() {
        let last = Scored { crf: 24.0, score: 80.0, error: 0.4 };
        let line = own(&[], &[last]);
        let x = 343.0_f64.ln();
        assert!((line.at(x).1 - 0.02).abs() < 1e-12);
        assert!((line.at(x + 1.0).1 - 0.02_f64.hypot(0.25 * 2.0_f64.ln())).abs() < 1e-9);
        // The coarser of two final encodes is better.
        let odd = own(&[], &[last, Scored::new(40.0, 82.0)]);
        assert!(odd.odd && (odd.slope - SLOPES.low).abs() < 1e-12, "{odd:?}");
    }
}
