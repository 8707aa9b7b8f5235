//! Frames of two sides as pictures, side by side.

use std::path::Path;

use anyhow::{Context, Result};

use super::BITS;
use super::encoded::Encoded;
use super::report::Verification;
use crate::output::page::{Page, Pair, Side, pair};
use crate::pipeline::input;
use crate::score::srgb;
use crate::source::{self, Clip, OpenOptions, Picture, ResolvedColor};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::machine;

/// Pairs of a page: two dozen pictures.
pub const PAIRS: usize = 12;

/// A side of the pictures, with its name for people.
#[derive(Debug, Clone, Copy)]
pub enum Look<'a> {
    /// A script or video as it is boosted.
    Source(&'a Path),
    Encode(&'a Path),
}

/// A frame to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub scene: usize,
    pub frame: usize,
    /// Such as its score.
    pub words: String,
}

/// The worst frame of each of the worst scenes of a page's first encode, the worst first.
pub fn worst(page: &Page) -> Vec<Wanted> {
    let higher = page.metric.as_ref().is_none_or(|metric| metric.higher_is_better);
    let mut found: Vec<(f64, Wanted)> = Vec::new();
    for (scene, row) in page.runs.first().map_or(&[][..], |run| &run.scenes).iter().enumerate() {
        let Some(&(frame, score)) = row.worst.first() else { continue };
        let below =
            row.target.map_or_else(String::new, |target| format!(", {:+.2} from the target", score - target));
        found.push((
            if higher { score } else { -score },
            Wanted { scene, frame, words: format!("scores {score:.2}{below}") },
        ));
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.truncate(PAIRS);
    found.into_iter().map(|(_, wanted)| wanted).collect()
}

/// The frames whose scores differ most, at most one of each scene of the first.
pub fn differing(a: &Verification, b: &Verification) -> Vec<Wanted> {
    let theirs: std::collections::HashMap<usize, f64> =
        b.scenes.iter().flat_map(|scene| &scene.frames).map(|frame| (frame.frame, frame.score)).collect();
    let mut found: Vec<(f64, Wanted)> = Vec::new();
    for scene in &a.scenes {
        let differences = scene.frames.iter().filter_map(|frame| {
            let other = theirs.get(&frame.frame)?;
            Some(((frame.score - other).abs(), frame.frame, frame.score, *other))
        });
        let Some((by, frame, ours, other)) = differences.max_by(|x, y| x.0.total_cmp(&y.0)) else { continue };
        let words = format!("scores {ours:.2} and {other:.2}");
        found.push((by, Wanted { scene: scene.scene, frame, words }));
    }
    found.sort_by(|x, y| y.0.total_cmp(&x.0));
    found.truncate(PAIRS);
    found.into_iter().map(|(_, wanted)| wanted).collect()
}

/// An opened side.
enum Opened {
    Clip(Clip),
    Encoded(Box<Encoded>),
}

impl Opened {
    fn open(look: Look<'_>, open: &OpenOptions, events: &Events) -> Result<Self> {
        Ok(match look {
            Look::Source(path) => {
                let clip = source::open_within(path, open, machine::memory(None) / 4)?;
                Self::Clip(input::working(&clip, BITS, events)?)
            }
            Look::Encode(path) => Self::Encoded(Box::new(Encoded::open(path, open, events)?)),
        })
    }

    /// Size and colour.
    fn facts(&self) -> Result<((usize, usize), ResolvedColor)> {
        Ok(match self {
            Self::Clip(clip) => ((clip.info().width, clip.info().height), clip.color()?.resolve()),
            Self::Encoded(encoded) => (encoded.size, encoded.color.resolve()),
        })
    }

    fn pictures(
        &self,
        frames: Vec<usize>,
        size: (usize, usize),
        color: ResolvedColor,
        cancel: &Cancel,
    ) -> Result<Box<dyn Iterator<Item = Result<Picture>> + '_>> {
        Ok(match self {
            Self::Clip(clip) => {
                let frames = clip.frames_at(frames, cancel);
                Box::new(frames.map(|frame| Ok(frame?.to_picture())))
            }
            Self::Encoded(encoded) => encoded.pictures(frames, size, color, cancel)?,
        })
    }
}

/// The pictures of `wanted`, in its order; both sides are read as the left one declares.
pub fn pictures(
    sides: [(Look<'_>, &str); 2],
    open: &OpenOptions,
    wanted: &[Wanted],
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<Pair>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let quiet = Events::silent();
    let [left, right] = [Opened::open(sides[0].0, open, &quiet)?, Opened::open(sides[1].0, open, &quiet)?];
    let (size, color) = left.facts()?;
    let mut numbers: Vec<usize> = wanted.iter().map(|wanted| wanted.frame).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let stage = events.stage("Pictures", numbers.len() as u64, "frames");
    let mut lefts = left.pictures(numbers.clone(), size, color, cancel)?;
    let mut rights = right.pictures(numbers.clone(), size, color, cancel)?;
    let mut made = Vec::new();
    for number in &numbers {
        cancel.check()?;
        let next = || format!("frame {number} is missing");
        let a = shown(&lefts.next().with_context(next)??, color)?;
        let b = shown(&rights.next().with_context(next)??, color)?;
        made.push(pair(a, b)?);
        stage.advance(1);
    }
    let of = |wanted: &Wanted| {
        let (left, right) = made[numbers.binary_search(&wanted.frame).ok()?].clone();
        let (left_name, right_name) = (sides[0].1.to_owned(), sides[1].1.to_owned());
        let Wanted { scene, frame, words } = wanted.clone();
        Some(Pair { frame, scene, words, left_name, right_name, left, right })
    };
    Ok(wanted.iter().filter_map(of).collect())
}

fn shown(picture: &Picture, color: ResolvedColor) -> Result<Side> {
    Ok(Side { width: picture.width, height: picture.height, pixels: srgb(picture, color)? })
}
