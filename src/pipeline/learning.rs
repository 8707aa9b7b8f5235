//! Which scenes teach which: pilots, whose probes show how fast quality is lost,
//! and calibrated scenes, which are also encoded as in the final encode.
//!
//! They are chosen from the plan alone, so that neither the order in which scenes
//! happen to finish nor an interruption changes what is learned.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::candidate::{Candidate, Second};
use super::curves::GroupRecord;
use super::forks::Fork;
use super::memory::Memory;
use super::remembered::Remembered;
use crate::model::{Learned, Lessons, Offset, Pair, Presets, Ratios, Role};
use crate::settings::Settings;
use crate::support::fingerprint::Fingerprint;

/// Pilots of a group: a part of its scenes, so that most can learn, …
const PILOT_SHARE: usize = 8;
/// … but not fewer than these where there are so many …
const FEWEST_PILOTS: usize = 2;
/// … and not more, because a median gets little surer.
const MOST_PILOTS: usize = 12;

/// Share of the work of probing that calibration may take unasked (spec 11).
const CALIBRATION_SHARE: f64 = 0.15;
/// Probes a scene that are reckoned with for that.
const PROBES: f64 = 1.4;
/// Scenes that are calibrated unasked, at most.
const MOST_CALIBRATED: usize = 8;
/// Shorter scenes show little of how an encoder works.
const SHORTEST_CALIBRATED: usize = 24;

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
    /// Of what makes its probes.
    presets: Presets,
    pilots: Vec<usize>,
    calibrated: Vec<usize>,
    /// Second probes are made as in the final encode.
    closing: bool,
    /// In the closed loop: those whose chunks show what the final encode does,
    /// the shortest first.
    teachers: Vec<usize>,
    lessons: OnceLock<Lessons>,
    /// What an earlier title taught.
    remembered: Option<Remembered>,
}

impl Learning {
    /// Gives the candidates their parts. `work_ratio` is how much more work the final
    /// encode has than a probe, `None` where the two cannot be compared.
    /// `forks` make the probes, by scene of the clip.
    pub fn plan(
        candidates: &mut [Candidate<'_>],
        forks: &[Arc<Fork>],
        work_ratio: impl Fn(&Settings, &Fork) -> Option<f64>,
    ) -> Self {
        let mut learning = Self::default();
        let mut known: HashMap<Fingerprint, usize> = HashMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            let settings = candidate.planned.settings;
            let fork = &forks[candidate.planned.index];
            let encoder = (&settings.encoder, &fork.settings, fork.identity());
            let alike = (&settings.metric, &settings.model, encoder, &settings.dynamic);
            let group = *known.entry(Fingerprint::of(&alike)).or_insert_with(|| {
                learning.groups.push(Group::default());
                learning.groups.len() - 1
            });
            learning.groups[group].members.push(number);
            learning.of.push(group);
        }
        for group in &mut learning.groups {
            let frames = |numbers: &[usize]| -> Vec<usize> {
                numbers.iter().map(|&number| candidates[number].planned.scene.frames()).collect()
            };
            let lengths = frames(&group.members);
            let of_first = &candidates[group.members[0]];
            let fork = &forks[of_first.planned.index];
            group.presets = fork.presets();
            let chosen =
                |indices: Vec<usize>| indices.into_iter().map(|index| group.members[index]).collect();
            if of_first.model.learns() {
                group.pilots = chosen(representatives(&lengths, pilots(lengths.len())));
            }
            let planned = match of_first.planned.settings.model.calibrate {
                Some(wanted) => Unasked { calibrated: representatives(&lengths, wanted), closing: false },
                None if of_first.model.learns() => work_ratio(of_first.planned.settings, fork)
                    .map_or_else(Unasked::default, |ratio| affordable(&lengths, ratio)),
                None => Unasked::default(),
            };
            group.calibrated = chosen(planned.calibrated);
            group.closing = planned.closing;
        }
        for group in &learning.groups {
            group.pilots.iter().for_each(|&number| candidates[number].role = Role::Pilot);
            group.calibrated.iter().for_each(|&number| candidates[number].calibrated = true);
            let second = if group.closing { Second::AsFinal } else { Second::Probe };
            group.members.iter().for_each(|&number| candidates[number].second = second);
        }
        learning
    }

    /// For the closed loop: the chunks of pilots, or of as many scenes where there
    /// are none, take the place of calibration encodes, and, where those that miss are
    /// made again (`redoes`), chunks that of second probes that would be made as the final encode.
    pub fn close(&mut self, candidates: &mut [Candidate<'_>], redoes: bool) {
        for group in &mut self.groups {
            group.calibrated.clear();
            let second = if group.closing && redoes { Second::Chunk } else { Second::Probe };
            group.closing = false;
            group.teachers.clone_from(&group.pilots);
            if group.teachers.is_empty() {
                let lengths: Vec<usize> =
                    group.members.iter().map(|&number| candidates[number].planned.scene.frames()).collect();
                let chosen = representatives(&lengths, pilots(lengths.len()));
                group.teachers = chosen.into_iter().map(|index| group.members[index]).collect();
            }
            group.teachers.sort_by_key(|&number| (candidates[number].planned.scene.frames(), number));
            for &number in &group.members {
                (candidates[number].calibrated, candidates[number].second) = (false, second);
            }
            group.teachers.iter().for_each(|&number| candidates[number].teaches = true);
        }
    }

    /// All whose chunks teach a candidate's group.
    pub fn teachers(&self, number: usize) -> &[usize] {
        &self.groups[self.of[number]].teachers
    }

    /// Those that a candidate's own chunk waits for. The first teacher goes ahead
    /// with what is assumed, the other teachers learn from it, all others from all
    /// teachers: of a chunk that is encoded on an assumption there is but one.
    pub fn teachers_of(&self, number: usize) -> &[usize] {
        let teachers = self.teachers(number);
        match teachers.iter().position(|&teacher| teacher == number) {
            Some(place) => &teachers[..place.min(1)],
            None => teachers,
        }
    }

    /// What the pilots of a candidate's group taught; `None` until all of them
    /// are done with what they can do alone.
    pub fn lessons(&self, candidates: &[Candidate<'_>], number: usize) -> Option<Lessons> {
        let group = &self.groups[self.of[number]];
        if let Some(lessons) = group.lessons.get() {
            return Some(*lessons);
        }
        if !group.pilots.iter().all(|&pilot| candidates[pilot].has_taught()) {
            return None;
        }
        let taught = |&pilot: &usize| candidates[pilot].taught(candidates[pilot].lesson());
        let mut scored: Vec<_> = group.pilots.iter().map(taught).collect();
        let model = &candidates[group.members[0]].model;
        scored.extend(group.remembered.map(|remembered| remembered.pilot(&model.goal)));
        let mut lessons = model.learn(&scored)?;
        if group.closing {
            let pairs = group.pilots.iter().filter_map(|&pilot| candidates[pilot].alone(&lessons));
            lessons.spread = Ratios::new(pairs, &model.goal).spread(Offset::prior(group.presets));
        }
        Some(*group.lessons.get_or_init(|| lessons))
    }

    /// What a candidate's group learned from the pilots, from `pairs` of a probe and a
    /// final encode, and from an earlier title.
    pub fn learned_from(
        &self,
        candidates: &[Candidate<'_>],
        number: usize,
        pairs: impl IntoIterator<Item = Pair>,
    ) -> Learned {
        let before = self.groups[self.of[number]].remembered.and_then(|remembered| remembered.offset);
        let ratios = Ratios::new(pairs, &candidates[number].model.goal).after(before);
        Learned { lessons: self.lessons(candidates, number), ratios, finals: Vec::new() }
    }

    /// All that a candidate and its group learned, when probing has ended.
    pub fn learned(&self, candidates: &[Candidate<'_>], number: usize) -> Learned {
        let group = &self.groups[self.of[number]];
        let lessons = self.lessons(candidates, number);
        let of = |&number: &usize| candidates[number].exemplary_pair(lessons.as_ref());
        let pairs = group.members.iter().filter_map(of);
        Learned { finals: candidates[number].finals(), ..self.learned_from(candidates, number, pairs) }
    }

    /// The same in the closed loop, where `learned` says what a group's scenes
    /// learned from the chunks of its teachers.
    pub fn describe_closed(
        &self,
        candidates: &[Candidate<'_>],
        learned: impl Fn(usize) -> Learned,
    ) -> Vec<String> {
        let sentences = self.groups.iter().flat_map(|group| {
            let first = group.members[0];
            let zone = in_zone(&candidates[first]);
            let learned = learned(first);
            let offset = candidates[first].model.offset(&learned.ratios, group.presets).map(|offset| {
                let (shown, of) = (learned.ratios.count(), group.teachers.len());
                format!("offset{zone}: {shown} of the first {of} chunks show: {offset}")
            });
            group.taught_slopes(learned.lessons.as_ref(), &zone).into_iter().chain(offset)
        });
        sentences.collect()
    }

    /// Takes up what an earlier title taught, which is known by zone.
    pub fn remember(&mut self, candidates: &mut [Candidate<'_>], memory: &Memory) {
        for group in &mut self.groups {
            let first = &candidates[group.members[0]];
            let Some(remembered) = memory.of_zone(first.planned.zone).filter(|_| first.model.learns()) else {
                continue;
            };
            group.remembered = Some(remembered);
            for &number in &group.members {
                candidates[number].model = remembered.begin(candidates[number].model);
            }
        }
    }

    /// Who learned from whom, to be kept.
    pub fn record(&self, candidates: &[Candidate<'_>]) -> Vec<GroupRecord> {
        let scene = |number: &usize| candidates[*number].planned.index;
        let group = |group: &Group| GroupRecord {
            members: group.members.iter().map(scene).collect(),
            pilots: group.pilots.iter().map(|n| (scene(n), candidates[*n].lesson())).collect(),
            remembered: group.remembered,
        };
        self.groups.iter().map(group).collect()
    }

    /// A sentence for each group about what it learned.
    pub fn describe(&self, candidates: &[Candidate<'_>]) -> Vec<String> {
        let sentences = self.groups.iter().flat_map(|group| {
            let first = group.members[0];
            let learned = self.learned(candidates, first);
            let zone = in_zone(&candidates[first]);
            let slopes = group.taught_slopes(learned.lessons.as_ref(), &zone);
            let offset = candidates[first].model.offset(&learned.ratios, group.presets);
            let offset = match (offset, learned.ratios.count(), group.calibrated.len()) {
                (Some(offset), 0, 0) => Some(format!("calibration{zone}: none; assumed: {offset}")),
                (None, 0, 0) => None,
                (_, 0, wanted) => Some(format!(
                    "calibration{zone}: not done, {wanted} chosen scenes failed or are far from their target"
                )),
                (offset, count, _) => {
                    let shown = offset.map_or_else(String::new, |offset| format!(": {offset}"));
                    Some(format!("calibration{zone}: {count} scenes show{shown}"))
                }
            };
            slopes.into_iter().chain(offset)
        });
        sentences.collect()
    }
}

impl Group {
    fn taught_slopes(&self, lessons: Option<&Lessons>, zone: &str) -> Option<String> {
        let slopes = &lessons?.slopes;
        Some(format!("model{zone}: {} pilot scenes taught: {slopes}", self.pilots.len()))
    }
}

fn in_zone(candidate: &Candidate<'_>) -> String {
    candidate.planned.zone_name.map_or_else(String::new, |zone| format!(" in zone {zone}"))
}

/// How many of a group's scenes are pilots.
fn pilots(scenes: usize) -> usize {
    (scenes / PILOT_SHARE).clamp(FEWEST_PILOTS, MOST_PILOTS)
}

/// What is encoded as in the final encode where the preset leaves it open.
#[derive(Debug, Default, PartialEq)]
struct Unasked {
    /// Scenes, as indices.
    calibrated: Vec<usize>,
    /// The second probes of all others too.
    closing: bool,
}

/// What costs little beside probing: all second probes, where the final encode
/// takes little more work than a probe (`ratio`); for what that leaves, short
/// scenes, spread over the list, whether they need a second probe or not.
fn affordable(lengths: &[usize], ratio: f64) -> Unasked {
    let frames = lengths.iter().sum::<usize>() as f64;
    let budget = CALIBRATION_SHARE * PROBES * frames;
    let second = PROBES - 1.0;
    let of_seconds = second * (ratio - 1.0).max(0.0) * frames;
    let closing = of_seconds <= budget;
    // A second probe that is made anyway costs the difference, or nothing more.
    let (budget, work) =
        if closing { (budget - of_seconds, (1.0 - second) * ratio) } else { (budget, ratio - second) };
    let shortest = |inside: std::ops::Range<usize>| {
        inside.filter(|&index| lengths[index] >= SHORTEST_CALIBRATED).min_by_key(|&index| lengths[index])
    };
    let spread =
        |wanted: usize| -> Vec<usize> { stretches(lengths.len(), wanted).filter_map(shortest).collect() };
    let cost = |chosen: &[usize]| work * chosen.iter().map(|&index| lengths[index]).sum::<usize>() as f64;
    let most = MOST_CALIBRATED.min(lengths.len());
    let calibrated = (1..=most).rev().map(spread).find(|chosen| cost(chosen) <= budget).unwrap_or_default();
    Unasked { calibrated, closing }
}

/// A list of `count` in `parts` equal stretches.
fn stretches(count: usize, parts: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..parts).map(move |n| n * count / parts..(n + 1) * count / parts)
}

/// `wanted` of the scenes with these lengths, as indices: one from each of as
/// many equal stretches of the list, there the one of median length.
fn representatives(lengths: &[usize], wanted: usize) -> Vec<usize> {
    let count = lengths.len();
    let wanted = wanted.min(count);
    let median = |stretch: std::ops::Range<usize>| {
        let mut inside: Vec<usize> = stretch.collect();
        inside.sort_by_key(|&index| (lengths[index], index));
        inside[(inside.len() - 1) / 2]
    };
    stretches(count, wanted).map(median).collect()
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

    #[test]
    fn one_teacher_goes_ahead_the_others_learn_from_it_and_all_else_from_all() {
        let group = Group { members: vec![0, 1, 2, 3], teachers: vec![2, 0, 3], ..Group::default() };
        let learning = Learning { of: vec![0; 4], groups: vec![group] };
        assert_eq!(learning.teachers_of(2), [0; 0]);
        assert_eq!(learning.teachers_of(0), [2]);
        assert_eq!(learning.teachers_of(3), [2]);
        assert_eq!(learning.teachers_of(1), [2, 0, 3]);
    }

    fn planned(calibrated: &[usize], closing: bool) -> Unasked {
        Unasked { calibrated: calibrated.to_vec(), closing }
    }

    #[test]
    fn encodes_as_the_final_one_take_at_most_15_percent_of_probing() {
        // 15 % of 1.4 probes of 1000 frames are 210 frames. At the same preset second probes
        // as the final encode cost nothing; a calibrated scene costs 0.6 of its frames, as
        // often as no second probe was needed: three of 100.
        assert_eq!(affordable(&[100; 10], 1.0), planned(&[0, 3, 6], true));
        // Second probes cost 0.4 · 0.35 · 1000 = 140; for the rest no scene of 81 can be had.
        assert_eq!(affordable(&[100; 10], 1.35), planned(&[], true));
        // They would cost 400; a calibrated scene of 100 costs 160.
        assert_eq!(affordable(&[100; 10], 2.0), planned(&[0], false));
        // One of 24 costs 127 of 178; the one of 23 is too short to show much.
        let lengths = [100, 100, 100, 24, 23, 100, 100, 100, 100, 100];
        assert_eq!(affordable(&lengths, 5.7), planned(&[3], false));
        // 350.
        assert_eq!(affordable(&lengths, 15.0), planned(&[], false));
        // 35 of these could be paid.
        assert_eq!(affordable(&[24; 100], 1.0), planned(&[0, 12, 25, 37, 50, 62, 75, 87], true));
    }
}
