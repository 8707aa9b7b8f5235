//! Which frames of a scene are measured (spec 03; spec 10, section 2).
//!
//! Repeated frames would dilute the bad ones, so frames that differ much from
//! the one before are preferred, and the rest is spread over the scene.

use anyhow::{Result, bail};

use super::peaks;
use crate::settings::FrameSelection;
use crate::support::statistics::{deviation_percentile, percentile};

/// The percentile on which the two brackets rest.
const BRACKET_PERCENTILE: f64 = 40.0;

/// Deviations above that percentile at which the upper bracket begins.
const BRACKET_DEVIATIONS: f64 = 5.0;

/// What is known about a scene when its frames are chosen.
#[derive(Debug, Clone, Copy)]
pub struct SceneDiffs<'a> {
    /// The scene's first frame in the clip.
    pub start: usize,
    /// Luma difference of every frame of the scene to the frame before, one
    /// entry a frame. The first belongs to the scene before and is ignored.
    pub diff: &'a [f64],
    /// Luma difference of every frame between source and first probe.
    pub probe_diff: Option<&'a [f64]>,
}

/// Whether [`frames`] needs [`SceneDiffs::probe_diff`]; otherwise the frames
/// are known before anything is encoded.
pub fn needs_probe(selection: &FrameSelection) -> bool {
    selection.highest_probing_diff_frames > 0
}

/// The frames to measure, as ascending offsets from the scene's first frame:
/// none twice, at least one, the same for the same input on every platform.
///
/// # Errors
/// For a scene without frames and for probe differences that are missing
/// though the selection needs them or are not one a frame.
pub fn frames(scene: &SceneDiffs<'_>, selection: &FrameSelection) -> Result<Vec<usize>> {
    let length = scene.diff.len();
    if length == 0 {
        bail!("the scene at frame {} has no frames", scene.start);
    }
    if length == 1 {
        return Ok(vec![0]);
    }
    let mut picked = Picked::default();
    for (offset, _) in peaks::peaks(&scene.diff[1..]).into_iter().take(selection.peak_frames) {
        picked.add(offset + 1);
    }
    picked.highest(&scene.diff[1..], 1, selection.highest_diff_frames, selection.highest_diff_min_separation);
    if needs_probe(selection) {
        let Some(diff) = scene.probe_diff.filter(|d| d.len() == length) else {
            bail!(
                "the scene at frame {} needs its first probe's difference to the source in {length} \
                 frames before its frames can be chosen (highest_probing_diff_frames = {})",
                scene.start,
                selection.highest_probing_diff_frames
            );
        };
        picked.highest(diff, 0, selection.highest_probing_diff_frames, 1);
    }
    if selection.last_frame {
        picked.add(length - 1);
    }
    let (upper, lower) = brackets(scene.diff);
    let mut random = Random::new(scene.start, length);
    let separation = selection.bracket_min_separation;
    let found = picked.spread(upper, length, selection.upper_bracket_frames, separation, &mut random);
    if selection.first_frame {
        picked.add(0);
    }
    let short = selection.upper_bracket_fallback_frames.saturating_sub(found);
    picked.spread(lower, length, selection.lower_bracket_frames + short, separation, &mut random);
    if picked.0.is_empty() {
        // Nothing was asked for or the brackets were empty.
        picked.add(length / 2);
    }
    picked.0.sort_unstable();
    Ok(picked.0)
}

/// The diff above which an offset belongs to the upper bracket. `diff` is the
/// scene's, its first entry is ignored.
pub fn bracket_threshold(diff: &[f64]) -> f64 {
    let mut sorted = diff[1..].to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, BRACKET_PERCENTILE)
        + BRACKET_DEVIATIONS * deviation_percentile(&sorted, BRACKET_PERCENTILE)
}

/// The offsets 1.. of a scene in its upper and its lower bracket, ascending.
pub fn brackets(diff: &[f64]) -> (Vec<usize>, Vec<usize>) {
    if diff.len() < 2 {
        return (Vec::new(), Vec::new());
    }
    let threshold = bracket_threshold(diff);
    (1..diff.len()).partition(|&offset| diff[offset] > threshold)
}

#[derive(Default)]
struct Picked(Vec<usize>);

impl Picked {
    fn add(&mut self, offset: usize) {
        if !self.0.contains(&offset) {
            self.0.push(offset);
        }
    }

    /// Whether `offset` is new and at least `separation` from all that is picked.
    fn is_free(&self, offset: usize, separation: usize) -> bool {
        self.0.iter().all(|&p| p.abs_diff(offset) >= separation.max(1))
    }

    /// Up to `count` offsets of highest `diff`, the later of two equal ones
    /// first; `diff[0]` belongs to the offset `first`.
    fn highest(&mut self, diff: &[f64], first: usize, count: usize, separation: usize) {
        let mut order: Vec<usize> = (0..diff.len()).collect();
        order.sort_by(|&a, &b| diff[b].total_cmp(&diff[a]).then(b.cmp(&a)));
        let mut left = count;
        for index in order {
            if left == 0 {
                break;
            }
            if self.is_free(index + first, separation) {
                self.add(index + first);
                left -= 1;
            }
        }
    }

    /// Up to `count` random offsets of `candidates`, taken from the two halves
    /// of the scene in turn as long as both have some. Returns how many it found.
    fn spread(
        &mut self,
        candidates: Vec<usize>,
        length: usize,
        count: usize,
        separation: usize,
        random: &mut Random,
    ) -> usize {
        let (first, second): (Vec<usize>, Vec<usize>) =
            candidates.into_iter().partition(|&offset| offset < length.div_ceil(2));
        let mut halves = [first, second];
        let mut half = random.below(2);
        let mut found = 0;
        while found < count {
            for side in &mut halves {
                side.retain(|&offset| self.is_free(offset, separation));
            }
            if halves[half].is_empty() {
                half = 1 - half;
            }
            let side = &mut halves[half];
            if side.is_empty() {
                break;
            }
            self.add(side.swap_remove(random.below(side.len())));
            found += 1;
            half = 1 - half;
        }
        found
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(start: usize, length: usize) -> Self {
        Self((start as u64) << 32 ^ length as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        // The upper 53 bits: all that fit.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `0..bound`. The bias of the remainder is below 2⁻³² here.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // First outputs of SplitMix64 for the seed 1234567, as listed with the
        // generator's reference implementation on rosettacode.org.
        let mut random = Random(1_234_567);
        let wanted = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(wanted.map(|_| random.next()), wanted);
    }
}
