//! A positive quantity that is known up to a factor.

/// How many standard errors a band reaches to either side: 19 times of 20 the
/// truth is within.
const BAND: f64 = 2.0;

/// A size or a damage, above 0, with the standard errors of its logarithm (0.05
/// is 5 %): what is wrong with this scene alone, and what is wrong with all
/// scenes alike, which does not average out in a sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub own: f64,
    pub common: f64,
}

impl Estimate {
    /// Known for certain.
    pub fn exact(value: f64) -> Self {
        Self { value, own: 0.0, common: 0.0 }
    }

    /// The standard error of the logarithm.
    pub fn error(&self) -> f64 {
        self.own.hypot(self.common)
    }

    /// From and to: two standard errors to either side.
    pub fn band(&self) -> (f64, f64) {
        let factor = (BAND * self.error()).exp();
        (self.value / factor, self.value * factor)
    }

    /// `weight` times this, raised to `power`.
    #[must_use]
    pub fn raised(&self, power: f64, weight: f64) -> Self {
        Self {
            value: weight * self.value.powf(power),
            own: power.abs() * self.own,
            common: power.abs() * self.common,
        }
    }

    /// The sum: own errors are independent of each other, common ones are one and
    /// the same. Errors are carried linearly, which holds while they are small.
    pub fn total(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut value, mut own, mut common) = (0.0, 0.0, 0.0);
        for part in parts {
            value += part.value;
            own += (part.value * part.own).powi(2);
            common += part.value * part.common;
        }
        if value > 0.0 {
            Self { value, own: own.sqrt() / value, common: common / value }
        } else {
            Self::exact(0.0)
        }
    }
}

/// A normal quantity with a normal prior: what is believed of a mean after
/// `measured`, drawn towards `prior`. `spread` is the standard deviation from
/// scene to scene. Returns the mean, its standard error and the spread, which
/// itself starts as if known from [`KNOWN`] scenes.
pub(super) fn shrunk((prior, error): (f64, f64), spread: f64, measured: &[f64]) -> (f64, f64, f64) {
    let count = measured.len() as f64;
    if measured.is_empty() {
        return (prior, error, spread);
    }
    let mean = measured.iter().sum::<f64>() / count;
    let squares: f64 = measured.iter().map(|x| (x - mean).powi(2)).sum();
    let spread = ((KNOWN * spread.powi(2) + squares) / (KNOWN + count - 1.0)).sqrt();
    let (of_prior, of_mean) = (error.powi(-2), count * spread.powi(-2));
    let weight = of_prior + of_mean;
    ((prior * of_prior + mean * of_mean) / weight, weight.powf(-0.5), spread)
}

/// A shipped spread counts as much as that of this many measured scenes.
const KNOWN: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_errors_average_out_in_a_sum_and_common_ones_do_not() {
        // Four of 100 with 6 % each: 4·6² = 12², 12 of 400 is 3 %.
        let part = Estimate { value: 100.0, own: 0.06, common: 0.04 };
        let total = Estimate::total([part; 4]);
        assert!((total.value - 400.0).abs() < 1e-9);
        assert!((total.own - 0.03).abs() < 1e-12, "{total:?}");
        assert!((total.common - 0.04).abs() < 1e-12, "{total:?}");
        assert!((total.error() - 0.05).abs() < 1e-12);
        // e^0.1 = 1.10517.
        assert!((total.band().1 - 442.068).abs() < 1e-2, "{:?}", total.band());
        assert!((total.band().0 - 361.935).abs() < 1e-2, "{:?}", total.band());
    }

    #[test]
    fn what_is_measured_outweighs_the_prior_as_it_grows() {
        // Five scenes of spread 0.1 exactly, as the prior says: (4·0.01 + 0.04) / 8 = 0.01.
        let measured = [0.1, 0.3, 0.1, 0.3, 0.2];
        let (mean, error, spread) = shrunk((0.0, 0.1), 0.1, &measured);
        assert!((spread - 0.1).abs() < 1e-12);
        // Weights 100 (prior, 0) and 500 (mean, 0.2).
        assert!((mean - 0.2 * 500.0 / 600.0).abs() < 1e-12);
        assert!((error - 1.0 / 600.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(shrunk((0.7, 0.1), 0.2, &[]), (0.7, 0.1, 0.2));
    }
}
