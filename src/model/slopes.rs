//! How fast quality is lost, as the pilot scenes show it.

use std::fmt;

use super::{Goal, Scored, qstep};
use crate::support::statistics::median;

/// Slopes of ln(distortion) over ln(qstep): how many per cent the damage grows
/// when the quantiser step grows by one per cent.
///
/// In these logarithms a scene's probes lie nearly on a straight line, and the
/// lines of different scenes are nearly parallel, which is what makes slopes
/// worth learning. Measured on twelve shots of Big Buck Bunny (854x480, SVT-AV1
/// 1.4.1, preset 7, CRF 11 to 48): a line leaves 0.4 points of SSIMULACRA2 where
/// one over the plain quantiser step leaves 1.2; the slopes between CRF 24 and 40
/// had the median 0.36 (SSIMULACRA2) and 0.34 (Butteraugli), 0.46 and 0.44
/// between 11 and 24.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slopes {
    /// Of a scene that nothing is known about.
    pub typical: f64,
    /// Slopes outside `low..=high` are nothing that these scenes do.
    pub low: f64,
    pub high: f64,
}

/// Before anything is measured. Around the usual targets: 0.43 on Big Buck Bunny
/// (PSYEX), 0.5 on live action, 0.5 to 0.8 on drawn clips (SVT-AV1 4.2.0), up to
/// 0.9 with 1.4.1.
const PRIOR: f64 = 0.55;

/// The band reaches at least this factor above and below the typical slope …
const NARROWEST: f64 = 2.0;
/// … and at most this one.
const WIDEST: f64 = 4.0;

/// Standard deviations of a normal distribution in a median absolute deviation.
const DEVIATION: f64 = 1.4826;

impl Slopes {
    /// Before any pilot is scored.
    pub fn prior() -> Self {
        Self::around(PRIOR, NARROWEST)
    }

    /// What pilots teach, each given with its probes; the first two count. The
    /// prior counts as one pilot more. The order of the pilots is of no matter.
    pub fn learn<'a>(pilots: impl IntoIterator<Item = &'a [Scored]>, goal: &Goal) -> Self {
        let own = pilots.into_iter().filter_map(|scored| match scored {
            [first, second, ..] => between(*first, *second, goal),
            _ => None,
        });
        let logs: Vec<f64> = own.chain([PRIOR]).map(f64::ln).collect();
        let middle = median(logs.clone()).unwrap_or(PRIOR.ln());
        let deviations = logs.iter().map(|log| (log - middle).abs()).collect();
        let spread = 3.0 * DEVIATION * median(deviations).unwrap_or_default();
        Self::around(middle.exp(), spread.exp().clamp(NARROWEST, WIDEST))
    }

    fn around(typical: f64, factor: f64) -> Self {
        Self { typical, low: typical / factor, high: typical * factor }
    }

    /// How far a scene's slope is from the typical one, one standard deviation:
    /// the band reaches two of them.
    pub(super) fn spread(&self) -> f64 {
        self.typical * (self.high / self.typical).ln() / 2.0
    }

    /// Whether a slope is one that such scenes have.
    pub(super) fn allow(&self, slope: f64) -> bool {
        (self.low..=self.high).contains(&slope)
    }
}

impl fmt::Display for Slopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { typical, low, high } = self;
        write!(f, "1 % of quantiser step makes {typical:.2} % of damage ({low:.2} to {high:.2})")
    }
}

/// The slope between two probes; `None` when they contradict each other.
pub(super) fn between(a: Scored, b: Scored, goal: &Goal) -> Option<f64> {
    let run = (qstep::from_crf(b.crf) / qstep::from_crf(a.crf)).ln();
    let rise = (goal.distortion(b.score) / goal.distortion(a.score)).ln();
    let slope = rise / run;
    (slope.is_finite() && slope > 0.0).then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal =
        Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

    /// Probes of a scene whose damage at CRF 24 (qstep 343) is 20, at CRF 40
    /// (qstep 891) as the slope says.
    fn pilot(slope: f64) -> [Scored; 2] {
        let damage = 20.0 * (891.0_f64 / 343.0).powf(slope);
        [Scored::new(24.0, 80.0), Scored::new(40.0, 100.0 - damage)]
    }

    #[test]
    fn the_typical_slope_is_the_median_of_pilots_and_prior() {
        let pilots = [pilot(0.3), pilot(0.8), pilot(0.7), pilot(0.5)];
        let slopes = Slopes::learn(pilots.iter().map(|p| &p[..]), &GOAL);
        // 0.3, 0.5, 0.55 (prior), 0.7, 0.8.
        assert!((slopes.typical - 0.55).abs() < 1e-12);
        // The deviations of the logarithms are 0, 0.095, 0.241, 0.375, 0.606: the
        // median 0.241 gives exp(3 · 1.4826 · 0.2412) = 2.92.
        assert!((slopes.high / 0.55 - 2.92).abs() < 0.01, "{slopes:?}");
        assert!((0.55 / slopes.low - 2.92).abs() < 0.01, "{slopes:?}");
    }

    #[test]
    fn the_order_of_the_pilots_is_of_no_matter_and_contradictions_teach_nothing() {
        let contradicting = [Scored::new(24.0, 80.0), Scored::new(40.0, 81.0)];
        let pilots = [pilot(0.3), contradicting, pilot(0.7), pilot(0.9)];
        let forth = Slopes::learn(pilots.iter().map(|p| &p[..]), &GOAL);
        let back = Slopes::learn(pilots.iter().rev().map(|p| &p[..]), &GOAL);
        assert_eq!(forth, back);
        // The even number of 0.3, 0.55, 0.7, 0.9: the middle of the logarithms.
        assert!((forth.typical - (0.55_f64 * 0.7).sqrt()).abs() < 1e-12);
        assert_eq!(Slopes::learn([&contradicting[..]], &GOAL), Slopes::prior());
    }
}
