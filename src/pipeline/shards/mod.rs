//! Boosting by several machines: a plan does what must happen once, each machine
//! takes a share, a merge puts together what they found.
//!
//! A plan is a folder. [`file`] says what is in its main file; beside that lie the
//! analysis of the clip, masks, and a journal of every process that worked on it
//! ([`super::store`]). [`origin`] is what machines must have in common, [`share`] who
//! does what, and the steps are [`plan`], [`run`] and [`merge`]. A [`season`] is several.
//!
//! Shares do not depend on each other: what scenes learn from others is found by the
//! plan. So any of them may be done again, at the same time or by another machine, and
//! the scenes file is what one machine alone would have written.

mod encode;
mod file;
mod missing;
mod origin;
mod season;
mod share;
mod steps;

pub use encode::expect;
pub use file::{PathMap, Plan};
pub use origin::Origin;
pub use season::{Titles, merge, plan_season, run};
pub use steps::{Here, Merged, Planned, Shared, plan};
