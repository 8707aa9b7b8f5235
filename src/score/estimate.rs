//! From the measured frames of a scene to the score of all its frames, with
//! its standard error (spec 11).
//!
//! What an encode did to the luma of a frame is known for every frame once it
//! is decoded, and within a scene the score falls nearly linearly with its
//! logarithm. So the scores of the measured frames are regressed on it, every
//! other frame is taken for its prediction with the residuals of the measured
//! ones around it, and the scene is scored over all of them. The slope of the
//! regression is shrunk towards a typical one, so that few frames suffice.
//! docs/accuracy.md has the figures behind the constants.

use super::functional::{Functional, Parts, Weighted};

/// The typical slope: points of damage per unit of ln MSE, as a share of the
/// scene's mean damage. Of little weight, and its value hardly matters.
const TYPICAL_SLOPE: f64 = 0.36;
/// Its weight, as the sum of squared deviations of ln MSE that it is worth.
const SLOPE_WEIGHT: f64 = 0.5;

/// The typical deviation of a score from the line, as a share of the mean damage …
const TYPICAL_DEVIATION: f64 = 0.07;
/// … and the number of residuals that it is worth.
const DEVIATION_WEIGHT: f64 = 2.0;

/// How much less sure than M the mean of the worst share is.
const TAIL_UNSURENESS: f64 = 2.2;

/// Highest SSIMULACRA2 score.
const PERFECT: f64 = 100.0;

/// What is known of a scene and one encode of it.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Weight of every frame, at least one above 0.
    pub weights: &'a [f64],
    /// Mean squared luma error of every frame, above 0, in any unit.
    pub errors: &'a [f64],
    /// Offset and score of the frames of the sample, at least one.
    pub sample: &'a [(usize, f64)],
    /// Frames measured besides because they were expected to be bad: they stand
    /// for nothing but themselves.
    pub suspects: &'a [(usize, f64)],
}

/// The score of a scene as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub parts: Parts,
    /// Standard error of the score, in its unit; 0 when every frame was measured.
    pub error: f64,
}

/// Scores over ln MSE.
struct Line {
    /// Of the sample.
    mean_score: f64,
    mean_error: f64,
    slope: f64,
    /// Of the scores of the sample around the line.
    residuals: Vec<f64>,
    /// Their variance, shrunk towards the typical one.
    variance: f64,
    /// What the slope rests on: the sum of squared deviations of ln MSE.
    spread: f64,
}

impl Line {
    fn through(scene: &Scene<'_>, higher_is_better: bool) -> Self {
        let count = scene.sample.len() as f64;
        let points = || scene.sample.iter().map(|&(offset, score)| (scene.errors[offset].ln(), score));
        let mean_error = points().map(|(x, _)| x).sum::<f64>() / count;
        let mean_score = points().map(|(_, y)| y).sum::<f64>() / count;
        let damage = if higher_is_better { PERFECT - mean_score } else { mean_score }.max(0.0);
        let typical = TYPICAL_SLOPE * if higher_is_better { -damage } else { damage };
        let spread = SLOPE_WEIGHT + points().map(|(x, _)| (x - mean_error).powi(2)).sum::<f64>();
        let product: f64 = points().map(|(x, y)| (x - mean_error) * (y - mean_score)).sum();
        let slope = (product + SLOPE_WEIGHT * typical) / spread;
        let residuals: Vec<f64> = points().map(|(x, y)| y - mean_score - slope * (x - mean_error)).collect();
        let squares: f64 = residuals.iter().map(|r| r * r).sum();
        let prior = DEVIATION_WEIGHT * (TYPICAL_DEVIATION * damage).powi(2);
        // Two of the residuals' degrees of freedom went into the line.
        let variance = (squares + prior) / (count - 2.0 + DEVIATION_WEIGHT).max(1.0);
        Self { mean_score, mean_error, slope, residuals, variance, spread }
    }

    fn at(&self, error: f64) -> f64 {
        self.mean_score + self.slope * (error.ln() - self.mean_error)
    }

    /// How far a frame may be from the line: the residuals, widened for what the
    /// line took of them; where they are too few, as far as is typical.
    fn deviations(&self) -> Vec<f64> {
        let count = self.residuals.len() as f64;
        if count < 4.0 {
            let deviation = self.variance.sqrt();
            return vec![-deviation, deviation];
        }
        let widened = (count / (count - 2.0)).sqrt();
        self.residuals.iter().map(|residual| residual * widened).collect()
    }
}

impl Functional {
    /// The score of a scene from the frames that were measured.
    pub fn estimate(&self, scene: &Scene<'_>) -> Estimate {
        let line = Line::through(scene, self.higher_is_better());
        let deviations = line.deviations();
        let measured = measured(scene);
        let mut frames: Vec<Weighted> = Vec::with_capacity(scene.weights.len() * deviations.len());
        let mut unmeasured = 0;
        for (offset, &weight) in scene.weights.iter().enumerate() {
            if let Some(score) = measured[offset] {
                frames.push((weight, score));
            } else if weight > 0.0 {
                unmeasured += 1;
                let part = weight / deviations.len() as f64;
                let expected = line.at(scene.errors[offset]);
                frames.extend(deviations.iter().map(|deviation| (part, self.possible(expected + deviation))));
            }
        }
        let parts = self.over(&mut frames);
        Estimate { parts, error: if unmeasured == 0 { 0.0 } else { self.standard_error(scene, &line) } }
    }

    /// The `count` frames that are expected to be worst among those not measured, rising.
    pub fn suspects(&self, scene: &Scene<'_>, count: usize) -> Vec<usize> {
        let measured = measured(scene);
        let open = |offset: &usize| measured[*offset].is_none() && scene.weights[*offset] > 0.0;
        let mut offsets: Vec<usize> = (0..scene.weights.len()).filter(open).collect();
        // Whatever the slope of the line: where the error is largest.
        offsets.sort_by(|&a, &b| scene.errors[b].total_cmp(&scene.errors[a]).then(a.cmp(&b)));
        offsets.truncate(count);
        offsets.sort_unstable();
        offsets
    }

    fn possible(&self, score: f64) -> f64 {
        if self.higher_is_better() { score.min(PERFECT) } else { score.max(0.0) }
    }

    /// Of the mean of all frames: the regression estimator's, with the finite
    /// population's correction (Cochran, Sampling Techniques, 7.4).
    fn standard_error(&self, scene: &Scene<'_>, line: &Line) -> f64 {
        let total: f64 = scene.weights.iter().sum();
        let weighted = |(weight, error): (&f64, &f64)| weight * error.ln();
        let of_all = scene.weights.iter().zip(scene.errors).map(weighted).sum::<f64>() / total;
        let count = scene.sample.len() as f64;
        let frames = scene.weights.iter().filter(|weight| **weight > 0.0).count() as f64;
        let share = 1.0 / count - 1.0 / frames.max(count);
        let of_mean = (line.variance * (share + (of_all - line.mean_error).powi(2) / line.spread)).sqrt();
        let tail = self.tail_weight();
        of_mean * (1.0 - tail).hypot(TAIL_UNSURENESS * tail)
    }
}

/// The scores of the measured frames by offset.
fn measured(scene: &Scene<'_>) -> Vec<Option<f64>> {
    let mut measured = vec![None; scene.weights.len()];
    for &(offset, score) in scene.sample.iter().chain(scene.suspects) {
        measured[offset] = Some(score);
    }
    measured
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
