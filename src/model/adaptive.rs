//! Model `adaptive` (spec 02, *Ours*): probes go where they tell most, and as
//! many are made as are needed.

use super::curve::{Curve, reaches};
use super::offset::SCENE;
use super::slopes::between;
use super::{Answer, Goal, How, Lessons, Next, Offset, Own, Role, Scored, Slopes, qstep, round_crf};
use crate::support::statistics::median;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adaptive {
    /// CRF of the pilots' first probes; `None`: where a usual picture has the
    /// damage that is wanted.
    pub first_crf: Option<f64>,
    /// A score this near to the target is near enough to take the learned slope
    /// for the rest of the way.
    pub tolerance: f64,
    /// What the encoder can do: a probe's CRF must be the one it is encoded at.
    pub quarter_steps: bool,
    /// Damage of the final encode / damage of a probe, as far as it can be told
    /// before: probes are placed where the final encode hits the target.
    pub expected_factor: f64,
}

/// Most probes of a scene.
const MOST: usize = 3;

/// How far probes are kept apart, as the ln of the ratio of their quantiser
/// steps. The scores of two encodes differ by some per cent of their distortion
/// for no reason that a model knows; a slope from probes too near to each other
/// shows little else. 0.2 is from CRF 24 to 20.5 or to 27.5.
const APART_SECOND: f64 = 0.2;
/// Between two probes there must be room for a third: about one CRF.
const APART_THIRD: f64 = 0.07;
/// An encode as the final one shows the scene's own offset besides, so it need not
/// be as near to the target as a probe: so many times the tolerance. At twice the
/// tolerance, scenes were solved 2.7 points away, where slopes bend.
const NEAR_AS_FINAL: f64 = 1.25;
/// Scenes are alike where one standard deviation of their offsets is no more than this
/// share of the tolerance: 0.6 of 2 points.
const ALIKE: f64 = 0.3;
/// Further than this from every probe, a curve through them is no longer known to
/// half a point: its bend is that of nobody.
const WITHIN_SIGHT: f64 = 0.6;

/// Damage of a usual picture at the quantiser step of CRF 24: a pilot's first
/// probe starts from it. SSIMULACRA2: 14 to 25 on Big Buck Bunny.
const USUAL_SSIMU2: f64 = 19.0;
/// Butteraugli's 3-norm and its mixes.
const USUAL_BUTTERAUGLI: f64 = 0.9;
const USUAL_CRF: f64 = 24.0;

impl Adaptive {
    fn first_crf(&self, goal: &Goal) -> f64 {
        let usual = || {
            let damage = if goal.higher_is_better { USUAL_SSIMU2 } else { USUAL_BUTTERAUGLI };
            let ratio = (goal.distortion(goal.target) / damage).powf(Slopes::prior().typical.recip());
            qstep::to_crf(qstep::from_crf(USUAL_CRF) * ratio)
        };
        self.round(goal.clamp(self.first_crf.unwrap_or_else(usual)))
    }

    fn round(&self, crf: f64) -> f64 {
        round_crf(crf, self.quarter_steps)
    }

    /// What a scene needs.
    pub(super) fn next(&self, scored: &[Scored], goal: &Goal, role: Role, lessons: Option<&Lessons>) -> Next {
        let goal = &goal.of_damage(self.expected_factor.recip());
        let near = |probe: &Scored| goal.surplus(probe.score).abs() <= self.tolerance;
        if scored.len() >= MOST || scored.iter().any(near) {
            return Next::Done;
        }
        match (role, scored, lessons) {
            (Role::Pilot, [], _) => Next::Probe(self.first_crf(goal)),
            (Role::Pilot, [_], _) => self.probe(scored, goal, &Slopes::prior(), APART_SECOND),
            (_, _, None) => Next::Lessons,
            (_, [], Some(lessons)) => Next::Probe(self.round(goal.clamp(lessons.start))),
            (_, [_], Some(lessons)) => self.probe(scored, goal, &lessons.slopes, APART_SECOND),
            (_, [a, b], Some(lessons)) => {
                let slopes = &lessons.slopes;
                let usual = between(*a, *b, goal).is_some_and(|slope| slopes.allow(slope));
                if usual && Self::in_sight(scored, goal, slopes) {
                    return Next::Done;
                }
                self.probe(scored, goal, slopes, APART_THIRD)
            }
            _ => Next::Done,
        }
    }

    /// What a scene needs whose probes were followed by encodes as the final one.
    pub(super) fn next_final(
        &self,
        scored: &[Scored],
        finals: &[Scored],
        goal: &Goal,
        slopes: &Slopes,
    ) -> Next {
        let near = |last: &Scored| goal.surplus(last.score).abs() <= NEAR_AS_FINAL * self.tolerance;
        if scored.len() + finals.len() >= MOST || finals.iter().any(near) {
            return Next::Done;
        }
        let expected = Offset { level: self.expected_factor.ln(), error: 0.0 };
        let own = Own::through(scored, finals, goal, slopes, &expected);
        let Some(answer) = own.map(|own| own.answer(goal, limits(goal))) else { return Next::Done };
        let apart = |last: &Scored| qstep::distance(last.crf, answer.crf) >= APART_THIRD;
        if finals.iter().all(apart) { Next::Probe(self.round(answer.crf)) } else { Next::Done }
    }

    /// Whether a probe is near where the target is expected.
    fn in_sight(scored: &[Scored], goal: &Goal, slopes: &Slopes) -> bool {
        let Some(answer) = solve(scored, goal, slopes, None) else { return false };
        let aim = qstep::from_crf(answer.crf).ln();
        scored.iter().any(|probe| (qstep::from_crf(probe.crf).ln() - aim).abs() <= WITHIN_SIGHT)
    }

    /// What the probes of the pilots teach. What was assumed before counts as one
    /// pilot more: a few of them may all be odd. Where others begin, those say nothing
    /// whose target no CRF hits: they are black, or still, or noise.
    pub(super) fn learn(&self, pilots: &[Vec<Scored>], goal: &Goal) -> Lessons {
        let goal = &goal.of_damage(self.expected_factor.recip());
        let slopes = Slopes::learn(pilots.iter().map(Vec::as_slice), goal);
        let solved = |scored: &Vec<Scored>| solve(scored, goal, &slopes, None);
        let assumed = self.first_crf(goal);
        let usual = |crf: &f64| *crf > goal.min_crf && *crf < goal.max_crf;
        let crfs = pilots.iter().filter_map(solved).map(|answer| answer.crf).filter(usual).chain([assumed]);
        let start = median(crfs.map(|crf| qstep::from_crf(crf).ln()).collect());
        let start = start.map_or(assumed, |step| qstep::to_crf(step.exp()));
        Lessons { slopes, start, spread: SCENE }
    }

    /// See [`super::Model::own_final`].
    pub(super) fn own_final(&self, scored: &[Scored], goal: &Goal, lessons: Option<&Lessons>) -> Option<f64> {
        let slopes = lessons.map_or_else(Slopes::prior, |lessons| lessons.slopes);
        let unsure = lessons.map_or(SCENE, |lessons| lessons.spread) * goal.distortion(goal.target);
        let goal = &goal.of_damage(self.expected_factor.recip());
        let answer = solve(scored, goal, &slopes, None)?;
        (unsure > ALIKE * self.tolerance).then(|| self.round(answer.crf))
    }

    /// A probe where the others say that the target is hit, `apart` from all of
    /// them; none where there is no room for it.
    fn probe(&self, scored: &[Scored], goal: &Goal, slopes: &Slopes, apart: f64) -> Next {
        let Some(curve) = Curve::through(scored, goal, slopes) else { return Next::Done };
        let (low, high) = limits(goal);
        let aim = reaches(goal.distortion(goal.target).ln(), (low, high), |x| curve.at(x));
        let others: Vec<f64> = scored.iter().map(|probe| qstep::from_crf(probe.crf).ln()).collect();
        // Half a millionth for places that are exactly `apart`.
        let room = |x: f64| others.iter().all(|other| (x - other).abs() >= apart - 5e-7);
        // Beyond another probe there is nothing to be learned about the target,
        // nor around one that is already where it is expected.
        let in_sight = |x: f64| others.iter().all(|other| (aim - other) * (x - other) > 0.0);
        let place = others
            .iter()
            .flat_map(|other| [other - apart, other + apart])
            .chain([aim])
            .filter(|x| (low..=high).contains(x) && room(*x) && in_sight(*x))
            .min_by(|a, b| (a - aim).abs().total_cmp(&(b - aim).abs()));
        let crf = place.map(|x| self.round(qstep::to_crf(x.exp())));
        let new = |crf: &f64| scored.iter().all(|probe| (probe.crf - crf).abs() > 1e-9);
        crf.filter(new).map_or(Next::Done, Next::Probe)
    }
}

/// The ln of the quantiser steps that a CRF may have.
pub(super) fn limits(goal: &Goal) -> (f64, f64) {
    (qstep::from_crf(goal.min_crf).ln(), qstep::from_crf(goal.max_crf).ln())
}

/// The CRF at which the curve through the probes, moved by the measured offset,
/// meets the target; `None` without probes.
pub(super) fn solve(
    scored: &[Scored],
    goal: &Goal,
    slopes: &Slopes,
    offset: Option<&Offset>,
) -> Option<Answer> {
    let curve = Curve::through(scored, goal, slopes)?;
    let moved = |x: f64| curve.at(x) + offset.map_or(0.0, |offset| offset.level);
    let x = reaches(goal.distortion(goal.target).ln(), limits(goal), moved);
    let mut crf = goal.clamp(qstep::to_crf(x.exp()));
    if let Some(finest) = finest_in_vain(scored, goal) {
        // Finer than this is a guess; where all missed the target, so is coarser.
        let safe = goal.clamp(goal.unreliable_crf.min(finest.crf));
        if scored.iter().all(|probe| goal.surplus(probe.score) < 0.0) {
            return Some(Answer { crf: safe, how: How::Unreliable });
        }
        crf = crf.max(safe);
    }
    let how = match scored {
        [_] => How::Slope,
        _ if curve.contradicted => How::Contradiction,
        _ => How::Probes,
    };
    Some(Answer { crf, how })
}

/// The finest probe, when it scored no better than a coarser one.
fn finest_in_vain(scored: &[Scored], goal: &Goal) -> Option<Scored> {
    let finest = *scored.iter().min_by(|a, b| a.crf.total_cmp(&b.crf))?;
    let coarser = |probe: &&Scored| probe.crf > finest.crf;
    let no_worse = |probe: &Scored| goal.quality(probe.score) >= goal.quality(finest.score);
    scored.iter().filter(coarser).any(no_worse).then_some(finest)
}
