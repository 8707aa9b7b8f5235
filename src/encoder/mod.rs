//! SvtAv1EncApp in all its kinds: what it is, what it can, which words it gets,
//! and running it on one scene.

mod capabilities;
mod color;
mod identify;
mod params;
mod preflight;
mod run;
mod trial;
pub mod y4m;

pub use capabilities::{Capabilities, Encoder};
pub use color::flags as color_flags;
pub use identify::{Identity, identify};
pub use params::{Flag, ParameterList, Purpose, Request};
pub use preflight::preflight;
pub use run::{EncodeError, EncodeJob, Encoded, Stream, USUAL_STALL, encode, encode_stream};
