//! Character Boost: a segmentation network finds drawn characters, and bits are
//! moved to them (spec 04).
//!
//! [`Segmenter`] runs the network and yields the [`SceneMasks`] of a scene,
//! which can be stored; [`boost()`] turns them into a CRF and a [`RoiMap`](crate::formats::roi_map::RoiMap).

mod backend;
mod boost;
mod draw;
mod hierarchy;
mod infer;
mod mask;
mod masks;
pub mod models;
mod motion;
pub mod onnx;
mod roi;
mod segmenter;
mod trt;

pub use backend::Options;
pub use boost::{Boost, boost, roi_warning};
pub use draw::{Overlay, SOFTWARE, draw_png};
pub use hierarchy::analysed;
pub use mask::{FrameMap, maximum_3x3, neighbourhood, reduce};
pub use masks::{SceneMasks, masks_key};
pub use onnx::Network;
pub use segmenter::{Segmenter, find_model};
pub use trt::{Engine, find_trtexec, runtime};
