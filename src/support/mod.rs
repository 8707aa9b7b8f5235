//! What every stage may use: events, stopping, files, child processes.

pub mod atomic;
pub mod cancel;
pub mod events;
pub mod journal;
pub mod lines;
pub mod lock;
pub mod process;
