//! Probe encodes: from their files back to pictures.

pub mod decode;

pub use decode::ProbeFrames;
