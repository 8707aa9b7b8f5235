//! Character Boost: a segmentation network finds drawn characters, and bits are
//! moved to them (spec 04).

mod blocks;
mod boost;
mod hierarchy;
mod mask;
mod masks;
mod motion;
mod roi;
mod roi_check;

pub use blocks::{BLOCK, Blocks};
pub use boost::{Boost, boost, roi_warning};
pub use hierarchy::analysed;
pub use mask::{FrameMap, neighbourhood};
pub use masks::SceneMasks;
pub use roi::{RoiLine, RoiMap};
pub use roi_check::{Problem, read as check_roi};
