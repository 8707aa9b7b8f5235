//! Progression Boost: per-scene quality boosting for AV1 encodes.

// In the order in which data flows.
pub mod support;

pub mod settings;

pub mod source;

pub mod analysis;
pub mod scenes;

pub mod character;
pub mod encoder;
pub mod model;
pub mod probe;
pub mod score;

pub mod output;
pub mod pipeline;

pub mod dispatch;
pub mod doctor;
pub mod encode;
pub mod verify;

pub mod cli;
