//! A counting semaphore: a bound on what is in work at once.

use std::sync::mpsc::{Receiver, RecvError, Sender, channel};

/// A fixed number of permits; who wants to go on acquires one first.
#[derive(Debug)]
pub struct Permits {
    given_back: Sender<()>,
    free: Receiver<()>,
}

/// One of them; free again on drop.
#[derive(Debug)]
pub struct Permit(Sender<()>);

impl Permits {
    pub fn new(count: usize) -> Self {
        let (given_back, free) = channel();
        let permits = Self { given_back, free };
        (0..count).for_each(|_| drop(Permit(permits.given_back.clone())));
        permits
    }

    /// Waits until one is free.
    ///
    /// # Errors
    /// None in practice: the permits themselves keep the channel open.
    pub fn acquire(&self) -> Result<Permit, RecvError> {
        self.free.recv()?;
        Ok(Permit(self.given_back.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Nobody waits any more when the loop has ended with an error.
        let _ = self.0.send(());
    }
}
