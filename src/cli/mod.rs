//! The command line.

pub mod presets;
