//! Which scenes teach which: pilots, whose probes show how fast quality is lost,
//! and calibrated scenes, which are also encoded as in the final encode.
//!
//! They are chosen from the plan alone, so that neither the order in which scenes
//! happen to finish nor an interruption changes what is learned.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::candidate::Candidate;
use crate::model::{Learned, Offset, Role, Slopes};
use crate::support::fingerprint::Fingerprint;

/// Pilots of a group: a part of its scenes, so that most can learn, …
const PILOT_SHARE: usize = 4;
/// … but not fewer than these where there are so many …
const FEWEST_PILOTS: usize = 3;
/// … and not more, because a median gets little surer.
const MOST_PILOTS: usize = 8;

/// The scenes of a run by who can learn from whom.
#[derive(Debug, Default)]
pub struct Learning {
    /// The group of every candidate.
    of: Vec<usize>,
    groups: Vec<Group>,
}

/// Scenes that are encoded, measured and solved alike. Numbers of candidates.
#[derive(Debug, Default)]
struct Group {
    members: Vec<usize>,
    pilots: Vec<usize>,
    calibrated: Vec<usize>,
    slopes: OnceLock<Slopes>,
}

impl Learning {
    /// Gives the candidates their parts.
    pub fn plan(candidates: &mut [Candidate<'_>]) -> Self {
        let mut learning = Self::default();
        let mut known: HashMap<Fingerprint, usize> = HashMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            let settings = candidate.planned.settings;
            let alike = (&settings.metric, &settings.model, &settings.encoder, &settings.dynamic);
            let group = *known.entry(Fingerprint::of(&alike)).or_insert_with(|| {
                learning.groups.push(Group::default());
                learning.groups.len() - 1
            });
            learning.groups[group].members.push(number);
            learning.of.push(group);
        }
        for group in &mut learning.groups {
            let of_first = &candidates[group.members[0]];
            let calibrate = of_first.planned.settings.model.calibrate;
            let lengths = |numbers: &[usize]| -> Vec<usize> {
                numbers.iter().map(|&number| candidates[number].planned.scene.frames()).collect()
            };
            let chosen = |from: &[usize], wanted: usize| -> Vec<usize> {
                representatives(&lengths(from), wanted).into_iter().map(|index| from[index]).collect()
            };
            if of_first.model.learns() {
                let count = (group.members.len() / PILOT_SHARE).clamp(FEWEST_PILOTS, MOST_PILOTS);
                group.pilots = chosen(&group.members, count.max(calibrate));
                group.calibrated = chosen(&group.pilots, calibrate);
            } else {
                group.calibrated = chosen(&group.members, calibrate);
            }
        }
        for group in &learning.groups {
            group.pilots.iter().for_each(|&number| candidates[number].role = Role::Pilot);
            group.calibrated.iter().for_each(|&number| candidates[number].calibrated = true);
        }
        learning
    }

    /// What the pilots of a candidate's group taught; `None` until all of them
    /// have shown their slope, or will not.
    pub fn slopes(&self, candidates: &[Candidate<'_>], number: usize) -> Option<Slopes> {
        let group = &self.groups[self.of[number]];
        let of_first = &candidates[group.members[0]];
        if !of_first.model.learns() {
            return None;
        }
        if let Some(slopes) = group.slopes.get() {
            return Some(*slopes);
        }
        if !group.pilots.iter().all(|&pilot| candidates[pilot].has_taught()) {
            return None;
        }
        let scored: Vec<_> = group.pilots.iter().map(|&pilot| candidates[pilot].probed().scored).collect();
        let learned = Slopes::learn(scored.iter().map(Vec::as_slice), &of_first.model.goal);
        Some(*group.slopes.get_or_init(|| learned))
    }

    /// All that a candidate's group learned, when probing has ended.
    pub fn learned(&self, candidates: &[Candidate<'_>], number: usize) -> Learned {
        let group = &self.groups[self.of[number]];
        let pairs: Vec<_> = group.calibrated.iter().map(|&number| candidates[number].pairs()).collect();
        let goal = &candidates[number].model.goal;
        Learned {
            slopes: self.slopes(candidates, number),
            offset: Offset::measure(pairs.iter().map(Vec::as_slice), goal),
        }
    }

    /// A sentence for each group about what it learned.
    pub fn describe(&self, candidates: &[Candidate<'_>]) -> Vec<String> {
        let sentences = self.groups.iter().flat_map(|group| {
            let first = group.members[0];
            let learned = self.learned(candidates, first);
            let zone =
                candidates[first].planned.zone_name.map_or_else(String::new, |z| format!(" in zone {z}"));
            let slopes = learned
                .slopes
                .map(|slopes| format!("model{zone}: {} pilot scenes taught: {slopes}", group.pilots.len()));
            let offset = match (learned.offset, group.calibrated.len()) {
                (_, 0) => None,
                (Some(offset), count) => Some(format!("calibration{zone}: {count} scenes show: {offset}")),
                (None, count) => {
                    Some(format!("calibration{zone}: failed for all {count} scenes, so not done"))
                }
            };
            slopes.into_iter().chain(offset)
        });
        sentences.collect()
    }
}

/// `wanted` of the scenes with these lengths, as indices: one from each of as
/// many equal stretches of the list, there the one of median length.
fn representatives(lengths: &[usize], wanted: usize) -> Vec<usize> {
    let count = lengths.len();
    let wanted = wanted.min(count);
    let stretch = |n: usize| n * count / wanted..(n + 1) * count / wanted;
    let median = |n: usize| {
        let mut inside: Vec<usize> = stretch(n).collect();
        inside.sort_by_key(|&index| (lengths[index], index));
        inside[(inside.len() - 1) / 2]
    };
    (0..wanted).map(median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn representatives_are_spread_over_the_clip_and_of_usual_length() {
        // Stretches of three: the middle lengths are 50, 20, 40.
        let lengths = [10, 90, 50, 20, 20, 300, 40, 12, 80];
        assert_eq!(representatives(&lengths, 3), [2, 4, 6]);
        assert_eq!(representatives(&lengths, 0), [0; 0]);
        assert_eq!(representatives(&lengths, 1), [6]);
        assert_eq!(representatives(&lengths, 99), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        // Uneven stretches 0..1, 1..3, 3..5: the shorter of two.
        assert_eq!(representatives(&[5, 9, 8, 7, 7], 3), [0, 2, 3]);
        assert_eq!(representatives(&[], 2), [0; 0]);
    }
}
