//! A counting semaphore: a bound on what is in work at once.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A fixed number of permits; who wants to go on acquires one first.
#[derive(Debug)]
pub struct Permits(Arc<Free>);

#[derive(Debug)]
struct Free {
    count: Mutex<usize>,
    given_back: Condvar,
}

/// One of them; free again on drop.
#[derive(Debug)]
pub struct Permit(Arc<Free>);

impl Permits {
    /// At least one.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Free { count: Mutex::new(count.max(1)), given_back: Condvar::new() }))
    }

    /// Waits until one is free.
    pub fn acquire(&self) -> Permit {
        let mut count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == 0 {
            count = self.0.given_back.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
        *count -= 1;
        Permit(Arc::clone(&self.0))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_are_at_work_than_there_are_permits() {
        let (permits, now, most) = (Permits::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for _ in 0..12 {
                threads.spawn(|| {
                    let _permit = permits.acquire();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
    }
}
