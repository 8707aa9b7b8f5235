//! Presets, flags and zones become validated settings, once.
//!
//! [`resolve`] takes what was typed (a [`Request`]): `library` finds the
//! preset and what it extends, `layer` reads each file key by key against the
//! table in `schema`, `draft` puts the layers on top of each other,
//! `conflicts` compares what came of it. Everything that is wrong is
//! reported at once, with its place. [`Resolved::zones`] then covers a clip.

mod assign;
mod conflicts;
mod draft;
pub mod dynamic;
pub mod guide;
mod layer;
pub mod library;
mod names;
mod nearest;
mod params;
mod problem;
mod recorded;
mod resolve;
mod scenes;
mod schema;
mod shipped;
mod types;
pub mod zones;

pub use problem::{Origin, Place, Problem, Problems};
pub use resolve::{Request, Resolved, Typed, resolve};
pub use scenes::{ProgressiveLengths, SceneMethod, SceneSettings, SplitRules};
pub use shipped::is_shipped;
pub use types::*;
pub use zones::ZoneList;
