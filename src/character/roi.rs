//! The values of a ROI map: which blocks are quantised finer, and when.

use anyhow::{Result, bail};

use super::hierarchy::{self, STEP};
use super::masks::SceneMasks;
use super::motion;
use crate::formats::roi_map::{MAX_VALUE, RoiLine, RoiMap};

/// ROI values per step of CRF (spec 09: quantiser index units, 4 are about 1 CRF).
pub const STEPS_PER_CRF: f64 = 4.0;

/// A map, and what had to be moved from it to the CRF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub map: RoiMap,
    /// How much all values were raised; [`STEPS_PER_CRF`] of it are 1 CRF.
    pub raised: i16,
}

/// Values a map of 1 is quantised to, and so one less than the values of a
/// line: encoders take eight.
const LEVELS: f64 = 7.0;

/// The ROI map of a scene at strength `boost`, a number on the CRF scale (spec 04).
pub fn build(masks: &SceneMasks, boost: f64) -> Result<Built> {
    // Beyond this, values leave the range of the quantiser index.
    if !(0.0..=60.0).contains(&boost) {
        bail!("character roi_boost_max {boost}: must be 0 to 60, and up to 8 is sensible");
    }
    let moving = motion::moving_offsets(masks);
    let last = (masks.frames() - 1) / STEP * STEP;
    let mut lines = Vec::new();
    for (offset, map) in masks.maps() {
        let scale = boost / 1.75 * hierarchy::strength(offset, moving.contains(&offset));
        let base = (boost / 2.0).floor();
        let value = |v: &f32| {
            // Ties to even, so that no direction is favoured.
            let level = (-LEVELS * f64::from(*v)).round_ties_even();
            (level * scale + base).round_ties_even() as i16
        };
        lines.push(RoiLine { frame: offset, values: map.iter().map(value).collect() });
        // Most of the frames in between are no references: nothing builds on them.
        let between = (boost / if offset == last { 4.8 } else { 1.2 }).floor() as i16;
        lines.push(RoiLine { frame: offset + 1, values: vec![between; map.len()] });
    }
    let highest = |line: &RoiLine| line.values.iter().copied().max().unwrap_or(0);
    let raised = lines.iter().map(|line| -highest(line)).max().unwrap_or(0).max(0);
    for line in &mut lines {
        line.values.iter_mut().for_each(|value| *value = (*value + raised).min(MAX_VALUE));
    }
    Ok(Built { map: RoiMap::new(masks.blocks(), lines), raised })
}
