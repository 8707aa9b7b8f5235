//! What every stage may use: events, stopping, files, child processes.

pub mod atomic;
pub mod cancel;
mod cgroup;
pub mod descriptors;
pub mod events;
pub mod fingerprint;
pub mod heap;
pub mod install;
pub mod job;
pub mod journal;
pub mod lacks;
pub mod lines;
pub mod lock;
pub mod machine;
pub mod pace;
pub mod panics;
pub mod permits;
pub mod priority;
pub mod process;
pub mod shard;
pub mod signals;
pub mod space;
pub mod statistics;
pub mod text;
pub mod units;
