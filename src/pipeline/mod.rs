//! The order of the stages, and what runs them.

pub mod scheduler;
