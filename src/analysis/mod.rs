//! Per-frame facts about the source: luma statistics and the detectors' verdicts.

mod av1an;
mod bars;
mod blocks;
mod contrast;
mod cuts;
pub mod first_pass;
mod luma;
mod pass;
mod plugins;

use std::collections::BTreeSet;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::source::{Clip, Family};
use crate::support::cancel::Cancel;
use crate::support::events::Events;

pub use first_pass::FirstPass;
pub use plugins::{Plugin, unavailable};

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

/// What can look for cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// Ours.
    Builtin,
    /// The crate av-scenechange as av1an calls it, standard analysis.
    Av1an,
    /// The same, fast analysis.
    Av1anFast,
    /// The plugin WWXD.
    Wwxd,
    /// The plugin Scxvid.
    Scxvid,
    /// x264's first pass; see [`first_pass`].
    X264,
    /// Whatever set the frame properties `_SceneChangePrev` and `_SceneChangeNext`.
    Props,
}

/// How [`analyse`] works; the defaults suit everyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnalysisOptions<'a> {
    /// For [`Detector::X264`].
    pub first_pass: Option<&'a FirstPass>,
    /// Let the plugins see every clip in one strictly sequential pass. Otherwise
    /// long clips are cut into overlapping segments that run side by side; near
    /// the seams Scxvid, which remembers its last cut, may then decide otherwise.
    pub sequential_plugins: bool,
}

/// What is known about every frame of a clip. All vectors have one entry a
/// frame; those of detectors that were not asked for are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    pub luma: LumaStats,
    /// Black in all frames that show something at all: [left, right, top, bottom], even;
    /// `None` where no frame does.
    #[serde(default)]
    pub bars: Option<[usize; 4]>,
    pub builtin: Option<Builtin>,
    pub av1an: Option<Vec<Av1anFrame>>,
    pub av1an_fast: Option<Vec<Av1anFrame>>,
    /// Whether the plugin sees a cut before the frame.
    pub wwxd: Option<Vec<bool>>,
    /// Whether the plugin sees a cut before the frame.
    pub scxvid: Option<Vec<bool>>,
    /// Whether x264 sees a cut before the frame.
    #[serde(default)]
    pub x264: Option<Vec<bool>>,
    /// Whether the frame's properties say that a cut is before it; `None` also
    /// where no frame has such a property.
    #[serde(default)]
    pub props: Option<Vec<bool>>,
}

/// The built-in detector's view.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Builtin {
    /// How little the frames from here on have in common with those before,
    /// flashes aside: 0 (everything) to 1; 0 for frame 0.
    pub contrast: Vec<f64>,
    /// Whether a new shot begins with the frame.
    pub cuts: Vec<bool>,
}

/// What av-scenechange says of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Av1anFrame {
    /// A cut, if it is far enough from the one before.
    pub cut: bool,
    /// Inter cost as a multiple of the adaptive threshold; `None` for the first
    /// and the last frames, which are not judged.
    pub cost: Option<f64>,
}

/// Reads the whole clip and runs the wanted detectors.
///
/// Luma statistics and all detectors but the plugins come out of one
/// pass that requests each source frame once and keeps all cores busy; every
/// plugin makes a pass of its own. Integer YUV and grey of 8 to 16 bits is read
/// as it is, anything else as 10-bit 4:2:0. The result does not depend on the
/// number of threads. Fails on a frame that cannot be rendered, on a plugin that
/// is not there (see [`unavailable`]) and when `cancel` is set.
pub fn analyse(
    clip: &Clip,
    wanted: &BTreeSet<Detector>,
    options: AnalysisOptions<'_>,
    events: &Events,
    cancel: &Cancel,
) -> Result<Analysis> {
    let mut analysis = pass::run(&readable(clip)?, wanted, options.first_pass, events, cancel)?;
    for plugin in [Plugin::Wwxd, Plugin::Scxvid] {
        if wanted.contains(&plugin.detector()) {
            let verdicts = plugins::run(plugin, clip, options, events, cancel)?;
            match plugin {
                Plugin::Wwxd => analysis.wwxd = Some(verdicts),
                Plugin::Scxvid => analysis.scxvid = Some(verdicts),
            }
        }
    }
    Ok(analysis)
}

/// The clip itself when its luma can be read as integers, else a conversion.
fn readable(clip: &Clip) -> Result<Clip> {
    let info = clip.info();
    if !info.float && info.family != Family::Rgb && (8..=16).contains(&info.bits) {
        return Ok(clip.clone());
    }
    Ok(clip.working(10)?.clip)
}
