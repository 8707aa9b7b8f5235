//! The order of the stages, and what runs them. No stage knows of another;
//! this module does.

pub mod backends;
pub mod bars;
mod beside;
mod boost;
pub mod candidate;
mod chains;
mod changeable;
mod chunk_work;
mod chunks;
mod closed;
pub mod curves;
pub mod encoding;
mod finish;
mod forecast;
pub mod forks;
mod frames;
pub mod input;
pub mod learning;
mod measuring;
pub mod memory;
pub mod modelling;
pub mod outlook;
pub mod plan;
pub mod probing;
pub mod readers;
mod ready;
mod redo;
pub mod remembered;
pub mod retarget;
pub mod scheduler;
mod segmentation;
pub mod selection;
pub mod shards;
mod shares;
mod solving;
pub mod store;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

pub use boost::run;
pub use closed::{EncodeRequest, run as encode, scenes_file};
pub use redo::Tolerance;

use crate::character::Options;
use crate::score;
use crate::settings::Resolved;
use crate::source::OpenOptions;
use crate::support::lock::Earlier;

/// A boosting run.
#[derive(Debug, Clone)]
pub struct Request {
    pub input: PathBuf,
    pub open: OpenOptions,
    /// A cheaper source of the same frames, for everything but probes and scores.
    pub analysis_input: Option<PathBuf>,
    /// A cheaper source of like frames, for probes and scores.
    pub probe_input: Option<PathBuf>,
    /// The scenes file to write.
    pub output: PathBuf,
    /// The work folder.
    pub folder: PathBuf,
    pub settings: Resolved,
    pub metric: score::Opener,
    /// How the segmentation network runs, where zones boost characters.
    pub segmentation: Options,
    /// What becomes of probes that an earlier run left in the work folder.
    pub earlier: Earlier,
    pub keep_probes: bool,
    /// Bytes that the run may hold; `None`: a quarter of the RAM.
    pub memory: Option<u64>,
    /// How far encoders give way to other programs, 0 to 19.
    pub nice: u8,
    pub on_scene_failure: OnSceneFailure,
    /// After this long without input or output an encoder counts as hung.
    pub stall: Option<Duration>,
    /// A file of what earlier titles taught, to begin with and to add to.
    pub learned: Option<PathBuf>,
    /// Barriers between the phases of probing, for comparison.
    pub staged: bool,
}

/// What becomes of a run when a scene's probes failed twice.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum OnSceneFailure {
    /// Finish the other scenes, then fail naming the scene.
    Fail,
    /// Give the scene a CRF between its neighbours' and say so.
    Fallback,
}
