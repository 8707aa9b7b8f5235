//! From the scores of a scene's probes to the CRF that hits the target.
//!
//! A [`Model`] answers two questions and does nothing else: what a scene needs
//! [`next`](Model::next), given what is scored, and which CRF
//! [solves](Model::solve) it. What scenes teach each other comes in as data:
//! [`Slopes`] from the pilot scenes, an [`Offset`] from the calibration encodes.

pub mod adaptive;
pub mod allocate;
mod curve;
pub mod estimate;
pub mod offset;
pub mod qstep;
pub mod reference;
pub mod size;
mod slopes;

pub use adaptive::Adaptive;
pub use offset::{Offset, Pair};
pub use slopes::Slopes;

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

/// Score of a frame that cannot be told from its source, where higher is better.
const PERFECT: f64 = 100.0;

/// Distortion below this counts as this, so that it has a logarithm.
const LEAST_DISTORTION: f64 = 0.001;

impl Goal {
    /// How much better than the target `score` is; negative when worse.
    fn surplus(&self, score: f64) -> f64 {
        self.quality(score) - self.quality(self.target)
    }

    /// The score counted so that more is better.
    fn quality(&self, score: f64) -> f64 {
        if self.higher_is_better { score } else { -score }
    }

    /// The score as damage: 0 is like the source, and more is worse.
    fn distortion(&self, score: f64) -> f64 {
        let distortion = if self.higher_is_better { PERFECT - score } else { score };
        distortion.max(LEAST_DISTORTION)
    }

    /// The score that is this much damage.
    fn score(&self, distortion: f64) -> f64 {
        if self.higher_is_better { PERFECT - distortion } else { distortion }
    }

    fn clamp(&self, crf: f64) -> f64 {
        crf.clamp(self.min_crf, self.max_crf)
    }
}

/// How a CRF came about in the reference model, for the report.
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

/// How scenes are probed and solved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    pub goal: Goal,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Reference,
    Adaptive(Adaptive),
}

/// What a scene needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// A probe at this CRF.
    Probe(f64),
    /// The pilots' slopes: ask again when they are known.
    Slopes,
    /// Nothing: it can be solved.
    Done,
}

/// What a scene is in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of those whose probes teach the others.
    Pilot,
    /// One of those that learn.
    Other,
}

/// What other scenes taught, for solving.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Learned {
    /// `None` with models that learn nothing.
    pub slopes: Option<Slopes>,
    /// `None` without calibration.
    pub offset: Option<Offset>,
}

/// The presets that the reference model's constants are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presets {
    pub probing: i32,
    pub final_: i32,
}

/// How a scene's CRF came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Reference(Path),
    /// From its one probe, along the learned slope.
    Slope,
    /// From its own probes.
    Probes,
    /// Its probes contradict each other: as if those were one in their middle.
    Contradiction,
    /// No probe reached the target and the finest was no better than a coarser one: the safe CRF.
    Unreliable,
}

/// A scene's CRF before dynamic rules, Character Boost and rounding, of any model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    pub crf: f64,
    pub how: How,
}

impl Answer {
    /// The order of the scores contradicted the order of the CRFs.
    pub fn contradicts(&self) -> bool {
        matches!(
            self.how,
            How::Contradiction
                | How::Unreliable
                | How::Reference(Path::CoarserContradicts | Path::FinerContradicts)
        )
    }
}

impl From<Solution> for Answer {
    fn from(Solution { crf, path }: Solution) -> Self {
        Self { crf, how: How::Reference(path) }
    }
}

impl Model {
    /// CRF of every scene's first probe.
    pub fn first_crf(&self) -> f64 {
        match self.kind {
            Kind::Reference => reference::FIRST_CRF,
            Kind::Adaptive(adaptive) => adaptive.first_crf(&self.goal),
        }
    }

    /// Whether it needs pilots.
    pub fn learns(&self) -> bool {
        matches!(self.kind, Kind::Adaptive(_))
    }

    /// What a scene needs after the probes in `scored`, in the order they were
    /// made. `slopes` are `None` until the pilots' probes are scored.
    pub fn next(&self, scored: &[Scored], role: Role, slopes: Option<&Slopes>) -> Next {
        match (self.kind, scored) {
            (_, []) => Next::Probe(self.first_crf()),
            (Kind::Reference, [first]) => Next::Probe(reference::second_crf(first.score, &self.goal)),
            (Kind::Reference, _) => Next::Done,
            (Kind::Adaptive(adaptive), _) => adaptive.next(scored, &self.goal, role, slopes),
        }
    }

    /// The CRF before any correction; the final preset may depend on it. `None`
    /// with fewer probes than the model asks for.
    pub fn uncorrected(&self, scored: &[Scored], slopes: Option<&Slopes>) -> Option<Answer> {
        match self.kind {
            Kind::Reference => {
                let [first, second] = *scored else { return None };
                Some(reference::uncorrected(first, second, &self.goal).into())
            }
            Kind::Adaptive(_) => adaptive::solve(scored, &self.goal, slopes?, None),
        }
    }

    /// The scene's CRF. A measured offset takes the place of the reference's
    /// constants, which are for `presets`. `None` as above.
    pub fn solve(&self, scored: &[Scored], learned: &Learned, presets: Presets) -> Option<Answer> {
        let goal = &self.goal;
        match self.kind {
            Kind::Reference => {
                let [first, second] = *scored else { return None };
                Some(match &learned.offset {
                    Some(offset) => {
                        let corrected = [first, second].map(|probe| offset.corrected(probe, goal));
                        reference::uncorrected(corrected[0], corrected[1], goal).into()
                    }
                    None => reference::solve(first, second, goal, presets.probing, presets.final_).into(),
                })
            }
            Kind::Adaptive(_) => {
                adaptive::solve(scored, goal, learned.slopes.as_ref()?, learned.offset.as_ref())
            }
        }
    }
}

/// Rounds to what the encoder takes: quarter steps or integers; ties go up.
pub fn round_crf(crf: f64, quarter_steps: bool) -> f64 {
    let steps = if quarter_steps { 4.0 } else { 1.0 };
    (crf * steps).round() / steps
}

/// The median; of an even number of values the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
