//! The option list of an encoder as plain data, for presets, probes, the final
//! encode and scenes files alike: what an option is ([`Options`]), which options
//! no list may hold and why ([`reserved`]), which values an encoder takes.
//!
//! Nothing here starts a program; [`crate::encoder`] holds lists against
//! installed ones.

mod coder;
mod grain;
mod list;
mod nearest;
pub mod reserved;
mod values;

pub use coder::Coder;
pub use grain::{is_grain, without_grain};
pub use list::{EncoderOption, Options, Origin};
pub use nearest::did_you_mean;
pub use reserved::PROGRAM_MARK;
pub use reserved::Use;
pub use values::{check_number, round_crf};
