//! How large a scene's final encode will be, from the sizes of its probes.
//!
//! ln(bytes) over ln(qstep) is nearly a straight line that falls, and between
//! presets it is shifted by nearly the same factor in all scenes of a title. So a
//! [`SizeCurve`] goes through the probes and follows a typical [`SizeSlope`]
//! beyond them, and a [`SizeRatio`] turns a probe's size into the final one's.
//! Sizes are those of the packets, without a container.
//!
//! Measured on five shots of Big Buck Bunny at 854x480 (SVT-AV1-PSYEX 3.0.2-B,
//! presets 5, 7 and 10, CRF 14 to 48) and on eleven clips of 72 frames at 416x240
//! (SVT-AV1 2.3.0, the same presets, CRF 16 to 50: shots of the same film,
//! patterns, cellular automata, gradients and a fractal, with noise and without).

use super::estimate::{Estimate, shrunk};
use super::qstep;

/// The size of a probe.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Weighed {
    pub crf: f64,
    pub bytes: u64,
}

impl Weighed {
    /// (ln qstep, ln bytes).
    fn point(&self) -> (f64, f64) {
        (qstep::from_crf(self.crf).ln(), (self.bytes.max(1) as f64).ln())
    }
}

/// ln qstep at CRF 24, which slopes are given at.
fn centre() -> f64 {
    qstep::from_crf(24.0).ln()
}

/// Slope of ln(bytes) over ln(qstep): how many per cent a scene shrinks when the
/// quantiser step grows by one per cent, with a minus sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeSlope {
    /// At CRF 24.
    typical: f64,
    /// Standard error of `typical` for this title.
    common: f64,
    /// Standard deviation between the title's scenes.
    own: f64,
}

/// The slope at CRF 24. Measured means were −0.97, −1.00 and −0.93 at presets 5, 7 and
/// 10, with 0.3 from scene to scene.
const TYPICAL: f64 = -0.95;

/// The slope is steeper at finer quantisers, by this much for each unit of ln qstep.
/// Measured 0.36, 0.28 and 0.08 (presets 5, 7, 10) on the shots at 480p, 0.03, 0.05 and
/// −0.08 with all clips. Of 0, 0.05, 0.1 and 0.15, and slopes of −0.9 to −1.05, these two
/// had the least mean error from one probe and from two.
const BEND: f64 = 0.1;

/// The measured root mean square of (error of ln bytes / distance in ln qstep) from
/// one probe is 0.26 to 0.36 by preset and probe over all clips; these make 0.29 together.
const BETWEEN_SCENES: f64 = 0.25;
const BETWEEN_TITLES: f64 = 0.15;

/// How much of what makes a scene's probes steeper or flatter than usual goes on
/// beyond them. Of 0, 0.3, 0.5, 0.7 and 1 the half had the least mean error.
const PERSISTENCE: f64 = 0.5;

/// No scene's size falls more slowly or faster than so.
const FLATTEST: f64 = -0.2;
const STEEPEST: f64 = -3.0;

impl SizeSlope {
    /// Before any scene has two probes.
    pub fn prior() -> Self {
        Self { typical: TYPICAL, common: BETWEEN_TITLES, own: BETWEEN_SCENES }
    }

    /// What scenes of this title with two probes or more teach; others count for nothing.
    #[must_use]
    pub fn learn<'a>(self, scenes: impl IntoIterator<Item = &'a [Weighed]>) -> Self {
        let measured: Vec<f64> = scenes
            .into_iter()
            .filter_map(|probes| {
                let points = falling(probes);
                let (first, last) = (points.first()?, points.last()?);
                (last.0 > first.0).then(|| slope(*first, *last) - bend(f64::midpoint(first.0, last.0)))
            })
            .collect();
        let (typical, common, own) = shrunk((self.typical, self.common), self.own, &measured);
        Self { typical, common, own }
    }

    /// The usual slope about `x`.
    fn at(&self, x: f64) -> f64 {
        self.typical + bend(x)
    }
}

fn bend(x: f64) -> f64 {
    BEND * (x - centre())
}

fn slope(a: (f64, f64), b: (f64, f64)) -> f64 {
    ((b.1 - a.1) / (b.0 - a.0)).clamp(STEEPEST, FLATTEST)
}

/// The probes as points, finest first. Where a coarser one is not smaller the two
/// become one in their middle.
fn falling(probes: &[Weighed]) -> Vec<(f64, f64)> {
    let mut all: Vec<_> = probes.iter().map(Weighed::point).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut sums: Vec<(f64, f64, f64)> = Vec::with_capacity(all.len());
    for (x, y) in all {
        let mut last = (x, y, 1.0);
        while let Some((px, py, n)) =
            sums.pop_if(|(px, py, n)| *py / *n <= last.1 / last.2 || *px / *n >= last.0 / last.2)
        {
            last = (last.0 + px, last.1 + py, last.2 + n);
        }
        sums.push(last);
    }
    sums.into_iter().map(|(x, y, n)| (x / n, y / n)).collect()
}

/// ln of (bytes of the final encode / bytes of a probe at the same CRF).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeRatio {
    ln: f64,
    /// Standard error of `ln` for this title.
    common: f64,
    /// Standard deviation between the title's scenes.
    own: f64,
}

/// (preset, ln of its bytes less those of preset 7), linear between, level beyond.
/// Measured over 16 scenes and 5 to 9 CRFs (presets 5 and 10) and over 7 scenes and 2
/// CRFs (preset 2); the standard deviation between the scenes' means was 0.08 (5
/// against 7), 0.12 (7 against 10), 0.14 (5 against 10), 0.15 (2 against 7).
const BY_PRESET: [(f64, f64); 4] = [(2.0, 0.09), (5.0, -0.01), (7.0, 0.0), (10.0, 0.12)];

/// Standard errors for each preset between the two.
const TITLES_PER_PRESET: f64 = 0.03;
/// Times the square root of the presets between.
const SCENES_PER_ROOT: f64 = 0.06;

/// With equal presets other parameters may still differ a little.
const LEAST_ERROR: f64 = 0.02;

/// [`BY_PRESET`] at any preset.
fn usual(preset: i32) -> f64 {
    let x = f64::from(preset);
    let next = BY_PRESET.partition_point(|(preset, _)| *preset < x);
    match (next.checked_sub(1).map(|i| BY_PRESET[i]), BY_PRESET.get(next)) {
        (Some((a, low)), Some((b, high))) => low + (high - low) * (x - a) / (b - a),
        (Some((_, end)), None) | (None, Some(&(_, end))) => end,
        (None, None) => 0.0,
    }
}

impl SizeRatio {
    /// Before any pair is measured. Presets as in SVT-AV1: lower ones are slower.
    pub fn prior(probing: i32, final_: i32) -> Self {
        let distance = f64::from(probing - final_);
        Self {
            ln: usual(final_) - usual(probing),
            common: (TITLES_PER_PRESET * distance.abs()).max(LEAST_ERROR),
            own: (SCENES_PER_ROOT * distance.abs().sqrt()).max(LEAST_ERROR),
        }
    }

    /// What pairs of this title teach, each scene's given together: its probe (or
    /// what [`SizeCurve`] says of one) and its final encode, in bytes, at one CRF.
    #[must_use]
    pub fn learn<'a>(self, scenes: impl IntoIterator<Item = &'a [(f64, f64)]>) -> Self {
        let measured: Vec<f64> = scenes
            .into_iter()
            .filter(|pairs| !pairs.is_empty())
            .map(|pairs| {
                let ln = |&(probe, encode): &(f64, f64)| (encode.max(1.0) / probe.max(1.0)).ln();
                pairs.iter().map(ln).sum::<f64>() / pairs.len() as f64
            })
            .collect();
        let (ln, common, own) = shrunk((self.ln, self.common), self.own, &measured);
        Self { ln, common, own }
    }

    /// Bytes of the final encode for each byte of a probe.
    pub fn factor(&self) -> f64 {
        self.ln.exp()
    }
}

/// A scene's bytes over the CRF.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeCurve {
    /// (ln qstep, ln bytes), x rising and y falling; at least one.
    points: Vec<(f64, f64)>,
    slope: SizeSlope,
}

impl SizeCurve {
    /// Through the probes, and beyond them as `slope` and they themselves say.
    /// `None` without probes.
    pub fn through(probes: &[Weighed], slope: SizeSlope) -> Option<Self> {
        let points = falling(probes);
        (!points.is_empty()).then_some(Self { points, slope })
    }

    /// Bytes of a probe at this CRF.
    pub fn probe(&self, crf: f64) -> Estimate {
        let x = qstep::from_crf(crf).ln();
        let next = self.points.partition_point(|point| point.0 < x);
        let count = self.points.len();
        let (ln, own, common) = match (next.checked_sub(1).map(|i| self.points[i]), self.points.get(next)) {
            (Some(a), Some(&b)) => {
                let (left, right) = (x - a.0, b.0 - x);
                // Two guesses, from the left and from the right, each as wrong as far.
                let distance = left * right / left.hypot(right);
                (a.1 + (b.1 - a.1) * left / (b.0 - a.0), self.slope.own * distance, 0.0)
            }
            (Some(end), None) => self.beyond(end, &self.points[count.saturating_sub(2)..], x),
            (None, _) => self.beyond(self.points[0], &self.points[..count.min(2)], x),
        };
        Estimate { value: ln.exp(), own, common }
    }

    /// ln bytes and the standard errors, from the outermost point on.
    fn beyond(&self, end: (f64, f64), outermost: &[(f64, f64)], x: f64) -> (f64, f64, f64) {
        let unusual = match *outermost {
            [a, b] => PERSISTENCE * (slope(a, b) - self.slope.at(f64::midpoint(a.0, b.0))),
            _ => 0.0,
        };
        let slope = (self.slope.at(f64::midpoint(end.0, x)) + unusual).clamp(STEEPEST, FLATTEST);
        let distance = x - end.0;
        (end.1 + slope * distance, self.slope.own * distance.abs(), self.slope.common * distance.abs())
    }

    /// Bytes of the final encode at this CRF.
    pub fn last(&self, crf: f64, ratio: &SizeRatio) -> Estimate {
        let probe = self.probe(crf);
        Estimate {
            value: probe.value * ratio.factor(),
            own: probe.own.hypot(ratio.own),
            common: probe.common.hypot(ratio.common),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(crf: f64, bytes: u64) -> Weighed {
        Weighed { crf, bytes }
    }

    #[test]
    fn between_probes_the_logarithms_lie_on_a_line() {
        let probes = [weighed(24.0, 80_000), weighed(40.0, 20_000)];
        let curve = SizeCurve::through(&probes, SizeSlope::prior()).unwrap();
        // ln qstep of CRF 24 is ln 343, of 40 ln 891; their middle is the step 552.8.
        let middle = qstep::to_crf((343.0_f64 * 891.0).sqrt());
        assert!((curve.probe(middle).value - 40_000.0).abs() < 1.0);
        assert!((curve.probe(24.0).value - 80_000.0).abs() < 1e-6);
        assert!(curve.probe(24.0).error() < 1e-9);
        // 0.25 · 0.4773 / √2, by hand.
        assert!((curve.probe(middle).own - 0.0844).abs() < 1e-4);
    }

    #[test]
    fn beyond_one_probe_the_size_falls_at_the_usual_slope_and_is_less_certain() {
        let curve = SizeCurve::through(&[weighed(24.0, 80_000)], SizeSlope::prior()).unwrap();
        // From 343 to 891: ln 0.9546; slope −0.95 + 0.1 · 0.4773 = −0.9023.
        let at = curve.probe(40.0);
        assert!((at.value / 80_000.0 - (-0.9023_f64 * 0.9546).exp()).abs() < 1e-4, "{at:?}");
        assert!((at.own - 0.25 * 0.9546).abs() < 1e-4);
        assert!((at.common - 0.15 * 0.9546).abs() < 1e-4);
        assert!(curve.probe(20.0).value > 80_000.0);
        assert_eq!(SizeCurve::through(&[], SizeSlope::prior()), None);
    }

    #[test]
    fn probes_that_contradict_each_other_become_one() {
        let probes = [weighed(24.0, 10_000), weighed(30.0, 12_100), weighed(40.0, 5000)];
        let curve = SizeCurve::through(&probes, SizeSlope::prior()).unwrap();
        let merged = (qstep::from_crf(24.0) * qstep::from_crf(30.0)).sqrt();
        assert!((curve.probe(qstep::to_crf(merged)).value - 11_000.0).abs() < 1.0);
        let twice = [weighed(24.0, 10_000), weighed(24.0, 10_000)];
        assert!(
            (SizeCurve::through(&twice, SizeSlope::prior()).unwrap().probe(24.0).value - 10_000.0).abs()
                < 1e-6
        );
    }

    #[test]
    fn a_measured_ratio_takes_the_place_of_the_prior_by_and_by() {
        let prior = SizeRatio::prior(7, 5);
        // e^−0.01, and between presets of the table e^(−0.01 − 0.04).
        assert!((prior.factor() - 0.9900).abs() < 1e-4);
        assert!((SizeRatio::prior(8, 5).factor() - 0.9512).abs() < 1e-4);
        assert_eq!(prior.learn([&[][..]]), prior);
        let pair = [(1000.0, 1100.0)];
        let one = prior.learn([&pair[..]]);
        let many = prior.learn([&pair[..]; 50]);
        assert!(prior.factor() < one.factor() && one.factor() < many.factor() && many.factor() < 1.1);
        assert!((many.factor() - 1.1).abs() < 0.002, "{many:?}");
        assert!(many.common < one.common && one.common < prior.common);
    }

    #[test]
    fn a_title_of_flat_scenes_teaches_a_flat_slope() {
        let flat = [weighed(24.0, 10_000), weighed(40.0, 6000)];
        let learned = SizeSlope::prior().learn([&flat[..]; 20]);
        // ln 0.6 / 0.9546 = −0.5351, less the bend of 0.0477 at the middle.
        assert!((learned.typical - -0.5828).abs() < 0.01, "{learned:?}");
        assert_eq!(SizeSlope::prior().learn([&flat[..1]]), SizeSlope::prior());
    }
}
