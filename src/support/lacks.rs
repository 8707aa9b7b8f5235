//! Something that a run needs and the machine lacks: named, so that a command
//! can go on to say what to do about it.

/// An error about an item of `doctor`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Lacks {
    /// The item's stable name, such as `vapoursynth`.
    pub item: &'static str,
    pub text: String,
}
