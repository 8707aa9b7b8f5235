//! Encoders as installed programs: what they are and can, which words they get,
//! and running them on one scene or chunk.
//!
//! Boosting drives SvtAv1EncApp in all its kinds: [`identify`](identify()) and
//! [`Capabilities`] say what one is, [`ParameterList`] holds a preset's list
//! against it, [`preflight`](preflight()) tries the list out. The final encode
//! drives a [`Program`] of either kind. Both encode through [`encode_stream`].

pub mod aomenc;
mod capabilities;
mod color;
pub mod identify;
mod params;
mod preflight;
mod program;
mod run;
pub mod shim;
mod trial;
mod work;
pub mod y4m;

pub use capabilities::{Capabilities, Encoder, is_cache_file};
pub use identify::{Identity, identify};
pub use params::{ParameterList, Purpose, Request};
pub use preflight::preflight;
pub use program::Program;
pub use run::{EncodeError, EncodeJob, Encoded, Stream, USUAL_STALL, encode, encode_stream};
