//! A bound on what is in work at once.

use std::sync::mpsc::{Receiver, RecvError, Sender, channel};

/// A fixed number of places; who wants to go on takes one first.
#[derive(Debug)]
pub struct Places {
    free: Sender<()>,
    taken: Receiver<()>,
}

/// One of them; free again on drop.
#[derive(Debug)]
pub struct Place(Sender<()>);

impl Places {
    pub fn new(count: usize) -> Self {
        let (free, taken) = channel();
        let places = Self { free, taken };
        (0..count).for_each(|_| drop(Place(places.free.clone())));
        places
    }

    /// Waits until one is free.
    ///
    /// # Errors
    /// None in practice: the places themselves keep the channel open.
    pub fn take(&self) -> Result<Place, RecvError> {
        self.taken.recv()?;
        Ok(Place(self.free.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody waits any more when the loop has ended with an error.
        let _ = self.0.send(());
    }
}
