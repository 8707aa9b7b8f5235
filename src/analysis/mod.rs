//! Per-frame facts about the source, found in one pass.

use serde::{Deserialize, Serialize};

/// Luma statistics of every frame of a clip (spec 01); all vectors have one
/// entry a frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LumaStats {
    /// Bit depth of the source, for `min` and `max`.
    pub bits: u8,
    pub full_range: bool,
    /// Mean, 0..1 of the code range.
    pub average: Vec<f64>,
    /// Smallest code value.
    pub min: Vec<u16>,
    /// Largest code value.
    pub max: Vec<u16>,
    /// Mean absolute difference to the frame before, 0..1 of the code range; 0 for frame 0.
    pub diff: Vec<f64>,
}
