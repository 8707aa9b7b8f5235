//! From the scores of a scene's probes to the CRF that hits the target.

pub mod qstep;
pub mod reference;

/// One scored probe of a scene.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scored {
    pub crf: f64,
    /// Pooled score over the scene's measured frames.
    pub score: f64,
}

/// What a solved scene's CRF must stay within and aim at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    pub target: f64,
    /// SSIMULACRA2 counts quality, Butteraugli distortion.
    pub higher_is_better: bool,
    pub min_crf: f64,
    pub max_crf: f64,
    /// CRF of a scene whose finer second probe scored no better.
    pub unreliable_crf: f64,
}

impl Goal {
    /// How much better than the target `score` is; negative when worse.
    fn surplus(&self, score: f64) -> f64 {
        self.quality(score) - self.quality(self.target)
    }

    /// The score counted so that more is better.
    fn quality(&self, score: f64) -> f64 {
        if self.higher_is_better { score } else { -score }
    }

    fn clamp(&self, crf: f64) -> f64 {
        crf.clamp(self.min_crf, self.max_crf)
    }
}

/// How a CRF came about, for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// On the line through the probes.
    Line,
    /// On the line, with the second score corrected for the slower final preset.
    Readjusted,
    /// The coarser probe scored better: between the two.
    CoarserContradicts,
    /// The finer probe scored worse: the safe CRF.
    FinerContradicts,
}

/// A scene's CRF before dynamic rules, Character Boost and rounding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    pub crf: f64,
    pub path: Path,
}

impl Solution {
    /// The order of the scores contradicted the order of the CRFs.
    pub fn contradicts(&self) -> bool {
        matches!(self.path, Path::CoarserContradicts | Path::FinerContradicts)
    }
}

/// Rounds to what the encoder takes: quarter steps or integers; ties go up.
pub fn round_crf(crf: f64, quarter_steps: bool) -> f64 {
    let steps = if quarter_steps { 4.0 } else { 1.0 };
    (crf * steps).round() / steps
}
