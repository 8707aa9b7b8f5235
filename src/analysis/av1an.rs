//! The crate av-scenechange, fed as av1an feeds it.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result};
use av_scenechange::{Rational32, SceneChangeDetector, SceneDetectionSpeed};
use rayon::prelude::*;
use v_frame::chroma::ChromaSubsampling;
use v_frame::frame::{Frame as Picture, FrameBuilder};
use v_frame::pixel::Pixel;

use super::Av1anFrame;
use crate::source::{ClipInfo, Frame, Row};

/// Frames the crate looks ahead; its default, which av1an does not change.
const LOOKAHEAD: usize = 5;
/// Border around the picture that the crate's decoders leave, and that its
/// block search, rounded up to superblocks, reaches into.
const PADDING: usize = 64 + 24;
/// Depth beyond which the crate's 16-bit sums overflow; deeper samples are reduced.
const DEEPEST: u8 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    Standard,
    Fast,
}

/// Takes all frames of a clip in order and gives a verdict on each.
pub(super) enum Runner {
    Bytes(Box<Stream<u8>>),
    Words(Box<Stream<u16>>),
}

impl Runner {
    pub fn new(info: &ClipInfo, speed: Speed) -> Self {
        if info.bits == 8 {
            Self::Bytes(Box::new(Stream::new(info, speed)))
        } else {
            Self::Words(Box::new(Stream::new(info, speed)))
        }
    }

    pub fn extend(&mut self, frames: &[Frame]) -> Result<()> {
        match self {
            Self::Bytes(stream) => stream.extend(frames),
            Self::Words(stream) => stream.extend(frames),
        }
    }

    pub fn finish(self) -> Vec<Av1anFrame> {
        match self {
            Self::Bytes(stream) => stream.finish(),
            Self::Words(stream) => stream.finish(),
        }
    }
}

pub(super) struct Stream<T: Pixel> {
    detector: SceneChangeDetector<T>,
    /// From the frame before the next one to be judged on.
    queue: VecDeque<Arc<Picture<T>>>,
    verdicts: Vec<Av1anFrame>,
}

impl<T: Sample> Stream<T> {
    fn new(info: &ClipInfo, speed: Speed) -> Self {
        let rate = info
            .fps
            .and_then(|(numerator, denominator)| {
                Some(Rational32::new(i32::try_from(numerator).ok()?, i32::try_from(denominator).ok()?))
            })
            .unwrap_or(Rational32::new(24, 1));
        let speed = match speed {
            Speed::Standard => SceneDetectionSpeed::Standard,
            Speed::Fast => SceneDetectionSpeed::Fast,
        };
        // The distance between cuts, which may differ from zone to zone, is seen
        // to when the list is made: it has no influence on what a frame scores.
        let (no_minimum, no_maximum) = (0, u32::MAX as usize);
        Self {
            detector: SceneChangeDetector::new(
                (info.width, info.height),
                info.bits.min(DEEPEST).into(),
                rate.recip(),
                ChromaSubsampling::Monochrome,
                LOOKAHEAD,
                speed,
                no_minimum,
                no_maximum,
            ),
            queue: VecDeque::new(),
            verdicts: Vec::new(),
        }
    }

    fn extend(&mut self, frames: &[Frame]) -> Result<()> {
        let pictures: Vec<_> = frames.par_iter().map(picture).collect::<Result<_>>()?;
        for picture in pictures {
            self.queue.push_back(picture);
            // The first frame has none before it.
            let wanted = LOOKAHEAD + if self.verdicts.is_empty() { 1 } else { 2 };
            if self.queue.len() == wanted {
                self.judge();
            }
        }
        Ok(())
    }

    /// The last frames are judged with what is left of the lookahead.
    fn finish(mut self) -> Vec<Av1anFrame> {
        if self.verdicts.is_empty() && !self.queue.is_empty() {
            self.judge();
        }
        while self.queue.len() >= 2 {
            self.judge();
        }
        self.verdicts
    }

    fn judge(&mut self) {
        let number = self.verdicts.len();
        if number == 0 {
            // A clip begins with a key frame; there is nothing to compare.
            self.verdicts.push(Av1anFrame { cut: true, cost: None });
            return;
        }
        let set: Vec<_> = self.queue.iter().collect();
        let (cut, score) = self.detector.analyze_next_frame(&set, number, 0);
        let cost = score.map(|s| s.inter_cost / s.threshold).filter(|c| c.is_finite());
        self.verdicts.push(Av1anFrame { cut, cost });
        self.queue.pop_front();
    }
}

/// A sample of 8 or of up to 16 bits.
pub(super) trait Sample: Pixel {
    fn fill(into: &mut [Self], row: Row<'_>, shift: u8);
}

impl Sample for u8 {
    fn fill(into: &mut [Self], row: Row<'_>, _: u8) {
        if let Row::Bytes(row) = row {
            into.copy_from_slice(row);
        }
    }
}

impl Sample for u16 {
    fn fill(into: &mut [Self], row: Row<'_>, shift: u8) {
        if let Row::Words(row) = row {
            for (into, &sample) in into.iter_mut().zip(row) {
                *into = sample >> shift;
            }
        }
    }
}

/// The luma plane, which is all the crate looks at.
fn picture<T: Sample>(frame: &Frame) -> Result<Arc<Picture<T>>> {
    let bits = frame.bits().min(DEEPEST);
    let mut picture = FrameBuilder::new(frame.width(0), frame.height(0), ChromaSubsampling::Monochrome, bits)
        .luma_padding_left(PADDING)
        .luma_padding_right(PADDING)
        .luma_padding_top(PADDING)
        .luma_padding_bottom(PADDING)
        .build::<T>()
        .context("av-scenechange cannot take the clip's format")?;
    for (y, row) in picture.y_plane.rows_mut().enumerate() {
        T::fill(row, frame.row(0, y), frame.bits() - bits);
    }
    Ok(Arc::new(picture))
}
