//! Scenes: half-open ranges that cover the clip, and how they are found.

mod av1an;
mod best;
mod detect;
mod progressive;
mod report;
mod score;
mod split;
mod walk;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use detect::{Detection, Plan, ZoneMethod, detect, plan};
pub use progressive::{ProgressiveParams, split_progressively};
pub use report::{write_plot, write_stats};
pub use score::scores;
pub use split::{SplitParams, split};

/// Frames `start..end` that are encoded on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scene {
    pub start: usize,
    /// Exclusive.
    pub end: usize,
}

impl Scene {
    pub fn frames(self) -> usize {
        self.end - self.start
    }

    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl From<Range<usize>> for Scene {
    fn from(frames: Range<usize>) -> Self {
        Self { start: frames.start, end: frames.end }
    }
}
