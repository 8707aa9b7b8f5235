//! Where a scene may be split, by one walk over its frames by falling score:
//! what the rules of all tables have in common.

use std::ops::Range;

use super::Scene;
use super::best::{BestFrames, Residues};

/// What a rule asks of the frame that it splits at, with its lengths in frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Lowest score, `NEG_INFINITY` for any.
    pub score: f64,
    /// Both parts have at least as many frames; at least 1.
    pub least: usize,
    pub cap: Cap,
    pub of: Whose,
    /// One walk for each `k`: a part must have k·n + 1 frames, which suits the
    /// encoder's hierarchical GOP, or with `None` any number.
    pub periods: &'static [Option<usize>],
    /// Slack of "the parts need no more chunks of `extra_split` than the whole".
    pub fits: Option<f64>,
}

/// How long the parts may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cap {
    None,
    Both(usize),
    One(usize),
}

/// Whose length must be k·n + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Either,
    /// That of the part which [`Cap::One`] finds short enough.
    Capped,
}

/// The frame that a search found, and the period of the walk that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub frame: usize,
    pub period: Option<usize>,
}

/// The best frame that `search` allows `scene` to be split at.
pub(super) fn find(
    best: &BestFrames<'_>,
    scene: Scene,
    extra_split: usize,
    search: &Search,
) -> Option<Found> {
    if scene.frames() < 2 * search.least {
        return None;
    }
    let good = |frame: &usize| best.score(*frame) >= search.score;
    let allowed = scene.start + search.least..scene.end - search.least + 1;
    // Most rules fail on the score alone.
    best.best(allowed.clone(), Residues::ALL).filter(good)?;
    let windows = windows(search.cap, scene, allowed);
    let fits = search.fits.map(|slack| Fits::new(scene, extra_split, slack));
    search.periods.iter().find_map(|&period| {
        let frame = windows
            .iter()
            .filter_map(|window| {
                let residues = window.residues(search.of, scene, period);
                match &fits {
                    None => best.best(window.frames.clone(), residues),
                    Some(fits) => best.best_except(window.frames.clone(), residues, |f| fits.ruled_out(f)),
                }
            })
            .max_by(|&a, &b| best.order(a, b))
            .filter(good)?;
        Some(Found { frame, period })
    })
}

/// Frames that may become the first of the right part.
struct Window {
    frames: Range<usize>,
    /// The left part is the one that is short enough, or the right one, or it does not matter.
    short: Option<Side>,
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Window {
    /// Frames at which the length of the part in question is 1 mod `period`.
    fn residues(&self, of: Whose, scene: Scene, period: Option<usize>) -> Residues {
        let Some(k) = period else { return Residues::ALL };
        let left = Residues::of(scene.start + 1, k);
        // `end − f ≡ 1` is `f ≡ end − 1`.
        let right = Residues::of(scene.end - 1, k);
        match (of, self.short) {
            (Whose::Capped, Some(Side::Left)) => left,
            (Whose::Capped, Some(Side::Right)) => right,
            _ => left.union(right),
        }
    }
}

fn windows(cap: Cap, scene: Scene, allowed: Range<usize>) -> Vec<Window> {
    let left_up_to = |cap: usize| allowed.start..allowed.end.min(scene.start + cap + 1);
    let right_up_to = |cap: usize| allowed.start.max(scene.end.saturating_sub(cap))..allowed.end;
    match cap {
        Cap::None => vec![Window { frames: allowed, short: None }],
        Cap::Both(cap) => {
            vec![Window { frames: right_up_to(cap).start..left_up_to(cap).end, short: None }]
        }
        Cap::One(cap) => vec![
            Window { frames: left_up_to(cap), short: Some(Side::Left) },
            Window { frames: right_up_to(cap), short: Some(Side::Right) },
        ],
    }
}

/// The parts together need at most as many chunks of `extra_split` as the whole
/// scene, rounded up after adding a slack.
struct Fits {
    scene: Scene,
    chunk: usize,
    most: usize,
}

impl Fits {
    fn new(scene: Scene, chunk: usize, slack: f64) -> Self {
        let most = (scene.frames() as f64 / chunk as f64 + slack).ceil() as usize;
        Self { scene, chunk, most }
    }

    /// `None` when a split at `frame` fits, else the frames around it for which
    /// both parts need the same number of chunks, and so do not fit either.
    fn ruled_out(&self, frame: usize) -> Option<Range<usize>> {
        let left = (frame - self.scene.start).div_ceil(self.chunk);
        let right = (self.scene.end - frame).div_ceil(self.chunk);
        if left + right <= self.most {
            return None;
        }
        let start = self.scene.start + (left - 1) * self.chunk + 1;
        let end = self.scene.start + left * self.chunk + 1;
        let from_right = self.scene.end.saturating_sub(right * self.chunk);
        let to_right = self.scene.end - (right - 1) * self.chunk;
        Some(start.max(from_right)..end.min(to_right))
    }
}
