//! What every stage may use: events, stopping, files, child processes.

pub mod atomic;
pub mod cancel;
pub mod events;
pub mod lines;
pub mod process;
