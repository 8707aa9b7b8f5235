//! From scenes to the chunks that are encoded: which are joined, what comes first.

use std::cmp::Reverse;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A part of the clip that is encoded by one process, with one of the run's recipes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Frames, end exclusive.
    pub frames: Range<usize>,
    /// Index into the run's recipes; scenes with equal parameters share one.
    pub recipe: usize,
    /// Whether more scenes may join: not when its parameters name a file that
    /// counts frames from the scene's first one, as ROI maps do.
    pub joinable: bool,
}

/// Joins every scene shorter than `min_length` with the following ones until
/// the length is met. Only scenes of one recipe are joined, so a chunk before a
/// change of parameters may stay short, as may the last one. The frames covered
/// are those of `scenes`, none lost and none doubled.
pub fn join(scenes: &[Chunk], min_length: usize) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for scene in scenes {
        match chunks.last_mut() {
            Some(last)
                if last.frames.len() < min_length
                    && last.recipe == scene.recipe
                    && last.joinable
                    && scene.joinable =>
            {
                last.frames.end = scene.frames.end;
            }
            _ => chunks.push(scene.clone()),
        }
    }
    chunks
}

/// Puts the longest first, so that no long one runs alone at the end; equal
/// lengths stay in their order.
pub fn longest_first<T>(items: &mut [T], chunk: impl Fn(&T) -> &Chunk) {
    items.sort_by_key(|item| Reverse(chunk(item).frames.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::scenes_json::check_cover;
    use proptest::prelude::*;

    fn scenes(parts: &[(usize, usize)]) -> Vec<Chunk> {
        let mut start = 0;
        let scene = |&(length, recipe): &(usize, usize)| {
            let frames = start..start + length;
            start = frames.end;
            Chunk { frames, recipe, joinable: true }
        };
        parts.iter().map(scene).collect()
    }

    fn lengths(chunks: &[Chunk]) -> Vec<usize> {
        chunks.iter().map(|chunk| chunk.frames.len()).collect()
    }

    /// Worked by hand: 20 + 30 + 14 = 64 meets the length, 63 + 200 does, the last may be short.
    #[test]
    fn short_scenes_join_the_following_ones_until_the_length_is_met() {
        let joined = join(&scenes(&[(20, 0), (30, 0), (14, 0), (64, 0), (63, 0), (200, 0), (5, 0)]), 64);
        assert_eq!(lengths(&joined), [64, 64, 263, 5]);
    }

    #[test]
    fn a_change_of_parameters_is_never_joined_over() {
        let joined = join(&scenes(&[(20, 0), (20, 0), (20, 1), (20, 1), (90, 0), (3, 0)]), 64);
        assert_eq!(lengths(&joined), [40, 40, 90, 3]);
        assert_eq!(joined.iter().map(|c| c.recipe).collect::<Vec<_>>(), [0, 1, 0, 0]);
    }

    #[test]
    fn scenes_with_files_of_their_own_stay_alone() {
        let mut parts = scenes(&[(20, 0), (20, 0), (20, 0), (20, 0)]);
        parts[1].joinable = false;
        assert_eq!(lengths(&join(&parts, 64)), [20, 20, 40]);
    }

    #[test]
    fn the_longest_chunk_comes_first() {
        let mut chunks = scenes(&[(64, 0), (300, 0), (64, 0), (120, 0)]);
        longest_first(&mut chunks, |chunk| chunk);
        let starts: Vec<usize> = chunks.iter().map(|chunk| chunk.frames.start).collect();
        assert_eq!(starts, [64, 428, 0, 364]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(
            parts in prop::collection::vec((1usize..150, 0usize..3), 1..60),
            min_length in 1usize..200,
        ) {
            let scenes = scenes(&parts);
            let joined = join(&scenes, min_length);
            let total = scenes.last().unwrap().frames.end;
            let ranges: Vec<_> = joined.iter().map(|c| c.frames.clone()).collect();
            check_cover(&ranges, total).unwrap();
            for scene in &scenes {
                let home = joined.iter().find(|c| c.frames.contains(&scene.frames.start)).unwrap();
                prop_assert_eq!(home.recipe, scene.recipe);
                prop_assert!(home.frames.end >= scene.frames.end);
            }
            for pair in joined.windows(2) {
                prop_assert!(pair[0].frames.len() >= min_length || pair[0].recipe != pair[1].recipe);
            }
        }
    }
}
