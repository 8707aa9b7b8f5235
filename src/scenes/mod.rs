//! Scenes: half-open ranges that cover the clip, and how they are found.

mod av1an;
mod best;
mod detect;
pub mod external;
mod score;
mod split;

use serde::{Deserialize, Serialize};

pub use detect::{Detection, Plan, ZoneMethod, detect, name, plan};
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
}
