//! What a run leaves behind: av1an's files and the summary.

pub mod av1an;
pub mod summary;
