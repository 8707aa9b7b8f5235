//! What a run tells people at its end.

pub mod closed;
pub mod summary;
