//! What a run tells people at its end.

pub mod summary;
