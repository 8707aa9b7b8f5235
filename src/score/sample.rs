//! Which frames of a scene stand for all of them.
//!
//! The sample is nested: its first frames are themselves spread evenly, and
//! each further one falls into a widest gap, so that a scene can be measured more
//! closely without losing what was measured. Steps of the golden ratio do that
//! (the three-distance theorem) and fall in step with no mini-GOP.

use super::select::Random;

/// The conjugate of the golden ratio.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Up to `most` offsets of a scene from its frame `start` on, the first ones to
/// be measured first; `weights` are those of its frames. Frames without weight
/// are left out. The same scene always gives the same frames.
pub fn frames(start: usize, weights: &[f64], most: usize) -> Vec<usize> {
    let counted: Vec<usize> = (0..weights.len()).filter(|&offset| weights[offset] > 0.0).collect();
    let wanted = most.min(counted.len());
    let mut taken = vec![false; counted.len()];
    let mut chosen = Vec::with_capacity(wanted);
    let mut position = Random::new(start, weights.len()).unit();
    while chosen.len() < wanted {
        let mut index = (position * counted.len() as f64) as usize;
        // Only in short scenes are there frames met a second time: the next free one.
        while taken[index] {
            index = (index + 1) % counted.len();
        }
        taken[index] = true;
        chosen.push(counted[index]);
        position = (position + GOLDEN).fract();
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_the_sample_is_spread_over_the_scene() {
        for (start, length) in [(0, 720), (50, 235), (1000, 60)] {
            let order = frames(start, &vec![1.0; length], 24);
            for count in [6, 8, 14, 24] {
                let mut some = order[..count].to_vec();
                some.sort_unstable();
                let widest = some.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
                let wrapped = widest.max(some[0] + length - some[count - 1]);
                // The longest of the three distances is below φ² of the mean one.
                let bound = (2.618 * length as f64 / count as f64).ceil() as usize + 1;
                assert!(wrapped <= bound, "{count} of {length}: a gap of {wrapped}");
            }
        }
    }

    #[test]
    fn no_frame_is_taken_twice_and_none_without_weight() {
        let mut weights = vec![1.0; 40];
        weights[10..30].fill(0.0);
        let mut all = frames(7, &weights, 99);
        assert_eq!(all.len(), 20);
        all.sort_unstable();
        assert_eq!(all, (0..10).chain(30..40).collect::<Vec<_>>());
        assert_eq!(frames(3, &[1.0], 8), [0]);
        assert_eq!(frames(3, &[0.0, 1.0], 8), [1]);
    }

    #[test]
    fn scenes_begin_their_samples_at_different_places() {
        let firsts: Vec<usize> = (0..200).map(|n| frames(n * 97, &[1.0; 100], 1)[0]).collect();
        let mean = firsts.iter().sum::<usize>() as f64 / 200.0;
        assert!((mean - 49.5).abs() < 7.0, "{mean}");
        assert!(firsts.iter().collect::<std::collections::BTreeSet<_>>().len() > 70);
        assert_eq!(frames(50, &[1.0; 235], 14), frames(50, &[1.0; 235], 14));
    }
}
