//! One flag that every long loop looks at, set by Ctrl-C or by a failing stage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The user asked to stop. `main` maps it to exit code 130.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted; what is finished is kept, continue with --resume")]
pub struct Interrupted;

/// A cheap handle on the stop flag; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    /// Flags above this one; setting one of them stops this handle too.
    above: Vec<Arc<AtomicBool>>,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that holds a clone to stop soon.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// A handle that stops with this one and can be stopped on its own.
    #[must_use]
    pub fn child(&self) -> Self {
        let above = self.above.iter().chain([&self.flag]).map(Arc::clone).collect();
        Self { flag: Arc::default(), above }
    }

    /// Stops everything under this handle when `result` is an error.
    pub fn cancel_on_error<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.cancel();
        }
        result
    }

    pub fn is_cancelled(&self) -> bool {
        self.above.iter().chain([&self.flag]).any(|flag| flag.load(Ordering::SeqCst))
    }

    /// [`Interrupted`] once [`Cancel::cancel`] was called.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_cancelled() {
            return Err(Interrupted);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stops_with_its_parent_and_not_the_other_way_around() {
        let parent = Cancel::new();
        let (one, other) = (parent.child(), parent.child());
        assert_eq!(one.cancel_on_error(Err::<(), _>("failed")), Err("failed"));
        assert!(one.is_cancelled() && !other.is_cancelled() && !parent.is_cancelled());
        parent.cancel();
        assert_eq!(other.child().check(), Err(Interrupted));
    }
}
