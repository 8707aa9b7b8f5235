//! What a run leaves besides the scenes file: how that was made, and what it tells
//! people at its end.

pub mod closed;
pub mod page;
pub mod sidecar;
pub mod summary;
