//! A fault of ours in one piece of work must cost that piece only.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};

/// Does `work`; a panic in it becomes an error with its message. What the work
/// shares with others must be fit to be looked at after a panic: locks that
/// ignore poisoning around values that are whole at every step.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(anyhow!("a fault of this program, which should be reported: {}", message(&*panic)))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it says nothing more")
}
