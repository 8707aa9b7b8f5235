//! What every stage may use: events, stopping, files, child processes.

pub mod atomic;
pub mod cancel;
pub mod events;
pub mod fingerprint;
pub mod journal;
pub mod lines;
pub mod lock;
pub mod process;
