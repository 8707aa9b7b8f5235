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
mod own;
pub mod panning;
pub mod predict;
pub mod qstep;
pub mod reference;
pub mod size;
mod slopes;

pub use crate::options::round_crf;
pub use adaptive::Adaptive;
use curve::Curve;
pub use offset::{Offset, Pair, Ratios};
use own::Own;
pub use slopes::Slopes;

/// One scored probe of a scene.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scored {
    pub crf: f64,
    /// Of the scene.
    pub score: f64,
    /// Its standard error, in the metric's unit; 0 where it is not known.
    #[serde(default)]
    pub error: f64,
}

impl Scored {
    /// A probe whose score is known exactly, or of unknown error.
    pub fn new(crf: f64, score: f64) -> Self {
        Self { crf, score, error: 0.0 }
    }
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

/// A probe is far from the target when the ratio of their damage has a larger
/// logarithm: 30 % of damage.
const FAR: f64 = 0.3;

/// Distortion below this counts as this, so that it has a logarithm.
const LEAST_DISTORTION: f64 = 0.001;

impl Goal {
    /// How much better than the target `score` is; negative when worse.
    fn surplus(&self, score: f64) -> f64 {
        self.quality(score) - self.quality(self.target)
    }

    /// The same goal for encodes whose damage is `factor` times that of those it is for.
    fn of_damage(&self, factor: f64) -> Self {
        Self { target: self.score(self.distortion(self.target) * factor), ..*self }
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

    /// The encode that is nearest to the target.
    fn nearest(&self, scored: &[Scored]) -> Option<Scored> {
        scored.iter().copied().min_by(|a, b| self.distance(a).total_cmp(&self.distance(b)))
    }

    /// |ln of (damage / damage of the target)|.
    fn distance(&self, scored: &Scored) -> f64 {
        (self.distortion(scored.score) / self.distortion(self.target)).ln().abs()
    }

    /// CRF of the encode that is nearest to the target, where others can learn from
    /// it; `None` where all are far from the target, or the limits of the CRF keep
    /// the scene from it: such a scene is not like those that are solved.
    pub fn exemplary(&self, scored: &[Scored]) -> Option<f64> {
        let nearest = self.nearest(scored)?;
        let held = (nearest.crf >= self.max_crf && self.surplus(nearest.score) > 0.0)
            || (nearest.crf <= self.min_crf && self.surplus(nearest.score) < 0.0);
        (!held && self.distance(&nearest) <= FAR).then_some(nearest.crf)
    }

    /// The standard error of an encode's damage as a share of it.
    fn relative_error(&self, scored: &Scored) -> f64 {
        scored.error / self.distortion(scored.score)
    }

    fn clamp(&self, crf: f64) -> f64 {
        crf.clamp(self.min_crf, self.max_crf)
    }
}

/// How scenes are probed and solved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    pub goal: Goal,
    pub kind: Kind,
    /// How much less is asked of the scene because everything in it moves; 0 for
    /// nothing. See [`Model::eased`].
    pub ease: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Reference,
    /// The same with the corrections of December 2025.
    Reference2025,
    Adaptive(Adaptive),
}

/// What a scene needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// A probe at this CRF.
    Probe(f64),
    /// What the pilots teach: ask again when it is known.
    Lessons,
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

/// What the pilots teach the scenes that are probed after them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lessons {
    pub slopes: Slopes,
    /// CRF at which a scene that nothing is known about is probed first.
    pub start: f64,
    /// How far scenes are from each other in ln of (damage of the final encode /
    /// damage of a probe), one standard deviation.
    pub spread: f64,
}

/// What other scenes taught, for solving.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learned {
    /// `None` with models that learn nothing.
    pub lessons: Option<Lessons>,
    /// What the calibrated scenes showed.
    pub ratios: Ratios,
    /// The scene's own encodes as the final one, which go before all else.
    pub finals: Vec<Scored>,
}

/// The presets that the reference model's constants are chosen by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presets {
    pub probing: i32,
    pub final_: i32,
}

/// How a scene's CRF came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// On the line through both probes.
    Line,
    /// On the line, with the second score corrected for the slower final preset.
    Readjusted,
    /// The coarser of two probes scored better: between the two.
    CoarserContradicts,
    /// The finer of two probes scored worse: the safe CRF.
    FinerContradicts,
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
            How::CoarserContradicts | How::FinerContradicts | How::Contradiction | How::Unreliable
        )
    }
}

impl Model {
    /// Whether it needs pilots.
    pub fn learns(&self) -> bool {
        matches!(self.kind, Kind::Adaptive(_))
    }

    /// What a scene needs after the probes in `scored`, in the order they were
    /// made. `lessons` are `None` until the pilots' probes are scored.
    pub fn next(&self, scored: &[Scored], role: Role, lessons: Option<&Lessons>) -> Next {
        match (self.kind, scored) {
            (Kind::Adaptive(adaptive), _) => adaptive.next(scored, &self.goal, role, lessons),
            (_, []) => Next::Probe(reference::FIRST_CRF),
            (_, [first]) => Next::Probe(reference::second_crf(first.score, &self.goal)),
            _ => Next::Done,
        }
    }

    /// The CRF before any correction; the final preset may depend on it. `None`
    /// with fewer probes than the model asks for.
    pub fn uncorrected(&self, scored: &[Scored], lessons: Option<&Lessons>) -> Option<Answer> {
        let goal = &self.eased(scored, lessons).goal;
        match (self.kind, scored) {
            (Kind::Adaptive(_), _) => adaptive::solve(scored, goal, &lessons?.slopes, None),
            (Kind::Reference, &[first, second]) => Some(reference::uncorrected(first, second, goal)),
            (Kind::Reference2025, &[first, second]) => Some(reference::uncorrected_2025(first, second, goal)),
            _ => None,
        }
    }

    /// What pilots with these probes teach; the order of the pilots is of no matter.
    /// `None` with a model that learns nothing.
    pub fn learn(&self, pilots: &[Vec<Scored>]) -> Option<Lessons> {
        match self.kind {
            Kind::Reference | Kind::Reference2025 => None,
            Kind::Adaptive(adaptive) => Some(adaptive.learn(pilots, &self.goal)),
        }
    }

    /// What the final encode does otherwise than the probes; `None` where nothing
    /// was measured and nothing is assumed.
    pub fn offset(&self, ratios: &Ratios, presets: Presets) -> Option<Offset> {
        match self.kind {
            Kind::Reference | Kind::Reference2025 => ratios.alone(),
            Kind::Adaptive(_) => Some(ratios.with(Offset::prior(presets))),
        }
    }

    /// What a probe of a scene with these probes would score at `crf`; `None` without probes.
    pub fn expected(&self, scored: &[Scored], lessons: Option<&Lessons>, crf: f64) -> Option<f64> {
        let slopes = lessons.map_or_else(Slopes::prior, |lessons| lessons.slopes);
        let curve = Curve::through(scored, &self.goal, &slopes)?;
        Some(self.goal.score(curve.at(qstep::from_crf(crf).ln()).exp()))
    }

    /// ln of (damage of the final encode / damage of the probe).
    pub fn ratio(&self, pair: Pair) -> f64 {
        pair.ratio(&self.goal)
    }

    /// What a scene's encodes as the final one show beside its probes: that of
    /// them which is nearest to the target counts. `None` without either.
    pub fn pair(&self, scored: &[Scored], finals: &[Scored], lessons: Option<&Lessons>) -> Option<Pair> {
        let last = self.goal.nearest(finals)?;
        let probe = self.expected(scored, lessons, last.crf)?;
        Some(Pair { crf: last.crf, probe, final_: last.score, reach: reach(scored, last.crf)? })
    }

    /// The line of a scene that was also encoded as the final one.
    fn own(&self, scored: &[Scored], learned: &Learned, presets: Presets) -> Option<Own> {
        let slopes = learned.lessons.map_or_else(Slopes::prior, |lessons| lessons.slopes);
        let level = self.offset(&learned.ratios, presets).unwrap_or(Offset::prior(presets));
        Own::through(scored, &learned.finals, &self.goal, &slopes, &level)
    }

    /// What a scene needs after encodes as the final one, of which it has some.
    pub fn next_final(&self, scored: &[Scored], finals: &[Scored], lessons: Option<&Lessons>) -> Next {
        match (self.kind, lessons) {
            (Kind::Adaptive(adaptive), Some(lessons)) => {
                adaptive.next_final(scored, finals, &self.goal, &lessons.slopes)
            }
            (Kind::Adaptive(_), None) => Next::Lessons,
            (Kind::Reference | Kind::Reference2025, _) => Next::Done,
        }
    }

    /// Where a scene whose probe is near enough is encoded as the final one, because
    /// the scenes of its title differ in their offset by more than that can be
    /// ignored; `None` where they do not. Before pilots taught anything they do.
    pub fn own_final(&self, scored: &[Scored], lessons: Option<&Lessons>) -> Option<f64> {
        match self.kind {
            Kind::Reference | Kind::Reference2025 => None,
            Kind::Adaptive(adaptive) => adaptive.own_final(scored, &self.goal, lessons),
        }
    }

    /// What a probe would have scored in the place of an encode as the final one,
    /// as far as it can be told before any were compared.
    pub fn as_probe(&self, last: Scored) -> Scored {
        let factor = match self.kind {
            Kind::Reference | Kind::Reference2025 => 1.0,
            Kind::Adaptive(adaptive) => adaptive.expected_factor,
        };
        Scored { score: self.goal.score(self.goal.distortion(last.score) / factor), ..last }
    }

    /// The target, moved as the damage of a probe would be from one score to the other.
    pub fn moved_target(&self, from: f64, to: f64) -> f64 {
        let goal = &self.goal;
        goal.score(goal.distortion(goal.target) * goal.distortion(to) / goal.distortion(from))
    }

    /// The scene's CRF. A measured offset takes the place of the reference's
    /// constants, which are for `presets`. `None` as above.
    pub fn solve(&self, scored: &[Scored], learned: &Learned, presets: Presets) -> Option<Answer> {
        let goal = &self.eased(scored, learned.lessons.as_ref()).goal;
        if let Kind::Adaptive(_) = self.kind {
            let slopes = &learned.lessons.as_ref()?.slopes;
            if let Some(own) = self.own(scored, learned, presets) {
                return Some(own.answer(goal, adaptive::limits(goal)));
            }
            let offset = self.offset(&learned.ratios, presets);
            return adaptive::solve(scored, goal, slopes, offset.as_ref());
        }
        let &[first, second] = scored else { return None };
        let of_2025 = self.kind == Kind::Reference2025;
        // Its own encode as the final one shows the scene's offset.
        let own = self.pair(scored, &learned.finals, None).map(|pair| Ratios::new([pair], goal));
        let offset = own.as_ref().unwrap_or(&learned.ratios).alone();
        Some(match offset {
            Some(offset) => {
                let [first, second] = [first, second].map(|probe| offset.corrected(probe, goal));
                let uncorrected = if of_2025 { reference::uncorrected_2025 } else { reference::uncorrected };
                uncorrected(first, second, goal)
            }
            None if of_2025 => reference::solve_2025(first, second, goal, presets),
            None => reference::solve(first, second, goal, presets.probing, presets.final_),
        })
    }
}

/// How far `crf` is from the nearest probe, ln of (its quantiser step / the
/// probe's); `None` without probes.
pub fn reach(scored: &[Scored], crf: f64) -> Option<f64> {
    let from = |probe: &Scored| (qstep::from_crf(crf) / qstep::from_crf(probe.crf)).ln();
    scored.iter().map(from).min_by(|a, b| a.abs().total_cmp(&b.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let goal =
            Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };
        let kind = Kind::Adaptive(Adaptive {
            first_crf: None,
            tolerance: 1.0,
            quarter_steps: true,
            expected_factor: 1.0,
        });
        Model { goal, kind, ease: 0.0 }
    }

    #[test]
    fn the_own_final_encode_of_a_scene_decides_alone() {
        let probes = [Scored::new(24.0, 85.0), Scored::new(36.0, 70.0)];
        let ratios = Ratios::new([Pair { crf: 24.0, probe: 80.0, final_: 90.0, reach: 0.0 }], &model().goal);
        // The final encode at CRF 36 hits 80, whatever probes and other scenes say.
        let lessons = Some(Lessons { slopes: Slopes::prior(), start: 30.0, spread: 0.06 });
        let learned = Learned { lessons, ratios, finals: vec![Scored::new(36.0, 80.0)] };
        let answer = model().solve(&probes, &learned, Presets { probing: 10, final_: 2 }).unwrap();
        assert!((answer.crf - 36.0).abs() < 1e-6, "{answer:?}");
    }

    #[test]
    fn probes_are_expected_on_the_curve_and_targets_move_by_their_damage() {
        let probes = [Scored::new(24.0, 85.0), Scored::new(36.0, 70.0)];
        for probe in probes {
            let expected = model().expected(&probes, None, probe.crf).unwrap();
            assert!((expected - probe.score).abs() < 1e-9, "{expected}");
        }
        assert_eq!(model().expected(&[], None, 30.0), None);
        // From 90 to 95 the damage is halved, so 80 becomes 90.
        assert!((model().moved_target(90.0, 95.0) - 90.0).abs() < 1e-9);
        assert!((model().moved_target(90.0, 90.0) - 80.0).abs() < 1e-9);
    }
}
