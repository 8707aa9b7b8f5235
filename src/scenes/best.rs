//! "Which frame of this range scores highest?", answered without looking at the frames.

use std::cmp::Ordering;
use std::ops::Range;

/// Frames whose number mod 32 has its bit set. 32 is the longest period the
/// splitting rules ask for, so every "mod k" of theirs is such a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Residues(u32);

impl Residues {
    pub const ALL: Self = Self(u32::MAX);

    /// Frames `n` with `n mod k == anchor mod k`; `k` divides 32.
    pub fn of(anchor: usize, k: usize) -> Self {
        let mut bits = 0u32;
        for residue in (anchor % k..PERIOD).step_by(k) {
            bits |= 1 << residue;
        }
        Self(bits)
    }

    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn contains(self, n: usize) -> bool {
        self.0 >> (n % PERIOD) & 1 == 1
    }

    fn each(self) -> impl Iterator<Item = usize> {
        (0..PERIOD).filter(move |&residue| self.contains(residue))
    }
}

const PERIOD: usize = 32;

/// A tournament tree over blocks of 32 frames. Every node keeps the best frame
/// of each residue mod 32 below it, so a query for a set of residues visits
/// O(log N) nodes. Built in O(N), 8 bytes a frame.
#[derive(Debug)]
pub(super) struct BestFrames<'a> {
    scores: &'a [f64],
    /// Node 1 is the root, the children of `i` are `2i` and `2i + 1`; leaves start at `blocks`.
    nodes: Vec<[u32; PERIOD]>,
    blocks: usize,
}

/// No frame of this residue below the node.
const NONE: u32 = u32::MAX;

impl<'a> BestFrames<'a> {
    /// # Panics
    /// On more than `u32::MAX - 1` frames (4 years at 30 frames a second).
    pub fn new(scores: &'a [f64]) -> Self {
        assert!(scores.len() < NONE as usize, "{} frames", scores.len());
        let blocks = scores.len().div_ceil(PERIOD).next_power_of_two();
        let mut best = Self { scores, nodes: vec![[NONE; PERIOD]; 2 * blocks], blocks };
        for n in 0..scores.len() {
            best.nodes[blocks + n / PERIOD][n % PERIOD] = n as u32;
        }
        for i in (1..blocks).rev() {
            let (left, right) = (best.nodes[2 * i], best.nodes[2 * i + 1]);
            for residue in 0..PERIOD {
                best.nodes[i][residue] = best.better(left[residue], right[residue]);
            }
        }
        best
    }

    /// The frame of `range` and `residues` that scores highest, the later of equals.
    pub fn best(&self, range: Range<usize>, residues: Residues) -> Option<usize> {
        let end = range.end.min(self.scores.len());
        let mut found = NONE;
        let (first_block, last_block) = (range.start.div_ceil(PERIOD), end / PERIOD);
        let single = |found: u32, n: usize| {
            if residues.contains(n) { self.better(found, n as u32) } else { found }
        };
        if first_block >= last_block {
            found = (range.start..end).fold(found, single);
        } else {
            found = (range.start..first_block * PERIOD).fold(found, single);
            found = (last_block * PERIOD..end).fold(found, single);
            let (mut low, mut high) = (first_block + self.blocks, last_block + self.blocks);
            while low < high {
                if low % 2 == 1 {
                    found = self.best_of_node(found, low, residues);
                    low += 1;
                }
                if high % 2 == 1 {
                    high -= 1;
                    found = self.best_of_node(found, high, residues);
                }
                (low, high) = (low / 2, high / 2);
            }
        }
        (found != NONE).then_some(found as usize)
    }

    /// [`BestFrames::best`] among frames that `excluded` does not rule out. For a
    /// frame that it does, it names a range around it that is ruled out as a whole.
    pub fn best_except(
        &self,
        range: Range<usize>,
        residues: Residues,
        excluded: impl Fn(usize) -> Option<Range<usize>>,
    ) -> Option<usize> {
        let mut open = vec![(self.best(range.clone(), residues)?, range)];
        loop {
            let top = (0..open.len()).max_by(|&a, &b| self.order(open[a].0, open[b].0))?;
            let (frame, range) = open.swap_remove(top);
            let Some(gap) = excluded(frame) else { return Some(frame) };
            for part in [range.start..gap.start.max(range.start), gap.end.min(range.end)..range.end] {
                if let Some(best) = self.best(part.clone(), residues) {
                    open.push((best, part));
                }
            }
        }
    }

    pub fn score(&self, frame: usize) -> f64 {
        self.scores[frame]
    }

    /// By score, the later frame first among equals.
    pub fn order(&self, a: usize, b: usize) -> Ordering {
        self.scores[a].total_cmp(&self.scores[b]).then(a.cmp(&b))
    }

    fn best_of_node(&self, found: u32, node: usize, residues: Residues) -> u32 {
        let entries = &self.nodes[node];
        residues.each().fold(found, |found, residue| self.better(found, entries[residue]))
    }

    fn better(&self, a: u32, b: u32) -> u32 {
        match (a, b) {
            (NONE, other) | (other, NONE) => other,
            _ if self.order(a as usize, b as usize) == Ordering::Less => b,
            _ => a,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_looking(scores: &[f64], range: Range<usize>, admitted: impl Fn(usize) -> bool) -> Option<usize> {
        range
            .filter(|&n| n < scores.len() && admitted(n))
            .max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)))
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_looking_at_every_frame_finds(
            scores in prop::collection::vec((0..40u32).prop_map(|s| f64::from(s) / 32.0), 1..400),
            start in 0usize..400,
            length in 0usize..400,
            anchor in 0usize..64,
            k in prop::sample::select(vec![2usize, 4, 8, 16, 32]),
            gap in 1usize..50,
        ) {
            let best = BestFrames::new(&scores);
            let range = start.min(scores.len())..(start + length).min(scores.len());
            prop_assert_eq!(best.best(range.clone(), Residues::ALL), by_looking(&scores, range.clone(), |_| true));
            let residues = Residues::of(anchor, k).union(Residues::of(anchor + 1, k));
            let wanted = |n: usize| n % k == anchor % k || n % k == (anchor + 1) % k;
            prop_assert_eq!(best.best(range.clone(), residues), by_looking(&scores, range.clone(), wanted));
            let excluded = |n: usize| (n / gap % 2 == 1).then(|| n / gap * gap..(n / gap + 1) * gap);
            prop_assert_eq!(
                best.best_except(range.clone(), residues, excluded),
                by_looking(&scores, range, |n| wanted(n) && n / gap % 2 == 0)
            );
        }
    }
}
