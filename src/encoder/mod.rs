//! SvtAv1EncApp in all its kinds: what it is, what it can, which words it gets,
//! and running it on one scene.

pub mod ivf;
pub mod run;
pub mod y4m;

pub use run::{EncodeError, EncodeJob, Encoded, encode};
