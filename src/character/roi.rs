//! ROI maps: their values, and the text that encoders read.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use super::blocks::Blocks;
use super::hierarchy::{self, STEP};
use super::masks::SceneMasks;
use super::motion;
use super::roi_check;
use crate::support::atomic;

/// ROI values per step of CRF (spec 09: quantiser index units, 4 are about 1 CRF).
pub const STEPS_PER_CRF: f64 = 4.0;

/// A change of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoiLine {
    /// Offset from the scene's first frame; the values hold from here on.
    pub frame: usize,
    /// One value a block in raster order, −255 (better) to 255 (worse).
    pub values: Vec<i16>,
}

/// What `--roi-map-file` takes: which blocks are quantised finer, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoiMap {
    blocks: Blocks,
    lines: Vec<RoiLine>,
}

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
        line.values.iter_mut().for_each(|value| *value = (*value + raised).min(roi_check::MAX_VALUE));
    }
    Ok(Built { map: RoiMap { blocks: masks.blocks(), lines }, raised })
}

impl RoiMap {
    pub fn blocks(&self) -> Blocks {
        self.blocks
    }

    pub fn lines(&self) -> &[RoiLine] {
        &self.lines
    }

    /// The values in force at `frame` of the scene; `None` before the first line.
    pub fn at(&self, frame: usize) -> Option<&[i16]> {
        let after = self.lines.partition_point(|line| line.frame <= frame);
        after.checked_sub(1).map(|line| &self.lines[line].values[..])
    }

    /// Reads a ROI map over `blocks`; an error lists everything that is wrong with it.
    pub fn parse(text: &str, blocks: Blocks) -> Result<Self> {
        let (lines, problems) = roi_check::read(text, blocks);
        if !problems.is_empty() {
            bail!("{}", roi_check::list(&problems));
        }
        Ok(Self { blocks, lines })
    }

    /// One line a change: the frame, then the values.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = write!(text, "{}", line.frame);
            for value in &line.values {
                let _ = write!(text, " {value}");
            }
            text.push('\n');
        }
        text
    }

    /// Writes the map to `path`, complete or not at all; a map that an encoder
    /// would misread is an error and is not written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.to_text();
        let problems = roi_check::read(&text, self.blocks).1;
        if !problems.is_empty() {
            bail!("the ROI map for {} breaks the rules:\n{}", path.display(), roi_check::list(&problems));
        }
        atomic::write(path, text.as_bytes())
    }

    /// The usual name of a scene's ROI map in its folder.
    pub fn file_name(scene: usize) -> String {
        format!("roi-map-{scene:05}.txt")
    }
}
