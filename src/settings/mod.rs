//! Presets, flags and zones become validated settings, once.

mod types;

pub use types::*;
