//! Models `reference` (spec 02) and `reference-2025` (spec 10, section 6): two
//! probes, a straight line in quantiser steps.

use super::{Answer, Goal, How, Presets, Scored, qstep};

/// CRF of every scene's first probe.
pub const FIRST_CRF: f64 = 24.0;
/// CRF of the second probe when the first was better than the target.
pub const COARSER_CRF: f64 = 40.0;
/// CRF of the second probe otherwise.
pub const FINER_CRF: f64 = 11.0;

/// One row of the correction for final presets that are slower than the probing
/// preset: from this probing preset on, the shares of the score distance by
/// which probes flatter coarse quantisers, each valid up to a final preset.
struct Flattery {
    probing_from: i32,
    shares: &'static [(i32, f64)],
}

/// Shares by (final preset at most, share); first match counts.
const FLATTERY: [Flattery; 3] = [
    Flattery { probing_from: 6, shares: &[(-1, 0.63), (0, 0.60), (2, 0.51), (5, 0.30)] },
    Flattery { probing_from: 5, shares: &[(-1, 0.33), (0, 0.30), (2, 0.21)] },
    Flattery { probing_from: 3, shares: &[(0, 0.15), (2, 0.12)] },
];

/// The CRF of the second probe, from the first one's score.
pub fn second_crf(first_score: f64, goal: &Goal) -> f64 {
    if goal.surplus(first_score) > 0.0 { COARSER_CRF } else { FINER_CRF }
}

/// The CRF before any correction; the final preset may depend on it.
pub fn uncorrected(first: Scored, second: Scored, goal: &Goal) -> Answer {
    let coarser = second.crf > first.crf;
    let gained = goal.quality(second.score) - goal.quality(first.score);
    // Equal scores tell nothing about the slope, so they contradict as well.
    if coarser && gained >= 0.0 {
        let middle = f64::midpoint(qstep::from_crf(first.crf), qstep::from_crf(second.crf));
        return Answer { crf: goal.clamp(qstep::to_crf(middle)), how: How::CoarserContradicts };
    }
    if !coarser && gained <= 0.0 {
        let crf = goal.clamp(goal.unreliable_crf.min(second.crf));
        return Answer { crf, how: How::FinerContradicts };
    }
    Answer { crf: on_line(first, second, goal), how: How::Line }
}

/// The scene's CRF for the given presets (spec 02, steps 4 to 6).
pub fn solve(first: Scored, second: Scored, goal: &Goal, probing_preset: i32, final_preset: i32) -> Answer {
    let plain = uncorrected(first, second, goal);
    if plain.how != How::Line || second.crf < first.crf {
        return plain;
    }
    let share = share_of(&FLATTERY, probing_preset, final_preset).unwrap_or(0.0);
    let moved = Scored { score: second.score - share * (first.score - second.score), ..second };
    Answer { crf: on_line(first, moved, goal), how: How::Readjusted }
}

fn share_of(table: &[Flattery], probing_preset: i32, final_preset: i32) -> Option<f64> {
    let row = table.iter().find(|row| probing_preset >= row.probing_from)?;
    row.shares.iter().find(|(at_most, _)| final_preset <= *at_most).map(|(_, share)| *share)
}

/// Quantiser step from which on probes flatter, by `reference-2025`: CRF 11.5.
const FLATTERED_FROM: f64 = 163.0;

/// What is left of the distance to [`FLATTERED_FROM`], by probing and final preset as above.
const SHRINKAGE: [Flattery; 3] = [
    Flattery { probing_from: 6, shares: &[(-1, 0.72), (0, 0.73), (2, 0.76), (5, 0.84)] },
    Flattery { probing_from: 5, shares: &[(-1, 0.82), (0, 0.83), (2, 0.86)] },
    Flattery { probing_from: 3, shares: &[(-1, 0.90), (0, 0.91), (2, 0.94)] },
];

/// [`uncorrected`] as in December 2025: contradicting probes make the safe CRF,
/// even where the finer of them was finer.
pub fn uncorrected_2025(first: Scored, second: Scored, goal: &Goal) -> Answer {
    let plain = uncorrected(first, second, goal);
    match plain.how {
        How::FinerContradicts => Answer { crf: goal.clamp(goal.unreliable_crf), ..plain },
        _ => plain,
    }
}

/// [`solve`] as in December 2025: not the scores are corrected, but the step found.
pub fn solve_2025(first: Scored, second: Scored, goal: &Goal, presets: Presets) -> Answer {
    let plain = uncorrected_2025(first, second, goal);
    let step = step_on_line(first, second, goal);
    if plain.how != How::Line || step <= FLATTERED_FROM {
        return plain;
    }
    let share = share_of(&SHRINKAGE, presets.probing, presets.final_).unwrap_or(1.0);
    let step = FLATTERED_FROM + share * (step - FLATTERED_FROM);
    Answer { crf: goal.clamp(qstep::to_crf(step)), how: How::Readjusted }
}

/// The CRF at which the line through both (score, qstep) points meets the target.
fn on_line(first: Scored, second: Scored, goal: &Goal) -> f64 {
    goal.clamp(qstep::to_crf(step_on_line(first, second, goal)))
}

fn step_on_line(first: Scored, second: Scored, goal: &Goal) -> f64 {
    let (q1, q2) = (qstep::from_crf(first.crf), qstep::from_crf(second.crf));
    let slope = (q2 - q1) / (second.score - first.score);
    q1 + slope * (goal.target - first.score)
}
