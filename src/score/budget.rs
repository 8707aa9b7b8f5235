//! What a metric may hold in memory: prepared references, and what frames that have
//! none need while they are compared.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A number of bytes. References that do not fit are prepared again for every probe,
/// with the same result.
pub(super) struct Budget {
    state: Mutex<State>,
    given_back: Condvar,
    /// Bytes that references leave to work.
    for_work: usize,
}

struct State {
    left: usize,
    /// Shares that were waited for.
    at_work: usize,
}

/// A part of the budget, given back on drop.
pub(super) struct Share {
    bytes: usize,
    works: bool,
    budget: Arc<Budget>,
}

impl Budget {
    pub fn new(bytes: u64) -> Self {
        let left = usize::try_from(bytes).unwrap_or(usize::MAX);
        let state = Mutex::new(State { left, at_work: 0 });
        Self { state, given_back: Condvar::new(), for_work: 0 }
    }

    pub fn at_most(self, bytes: usize) -> Self {
        Self::new(self.left().min(bytes) as u64)
    }

    /// References may take half of it, so that work never waits for their end.
    pub fn half_for_work(self) -> Self {
        let for_work = self.left() / 2;
        Self { for_work, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that nobody has.
    pub fn left(&self) -> usize {
        self.lock().left
    }

    /// `bytes` for a reference, if there are as many.
    pub fn keep(budget: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut state = budget.lock();
        state.left = state.left.checked_sub(bytes).filter(|left| *left >= budget.for_work)?;
        Some(Share { bytes, works: false, budget: Arc::clone(budget) })
    }

    /// `bytes` for work, once there are as many; one is always let in.
    pub fn wait(budget: &Arc<Self>, bytes: usize) -> Share {
        let mut state = budget.lock();
        while state.at_work > 0 && state.left < bytes {
            state = budget.given_back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let bytes = bytes.min(state.left);
        state.left -= bytes;
        state.at_work += 1;
        Share { bytes, works: true, budget: Arc::clone(budget) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.left += self.bytes;
        state.at_work -= usize::from(self.works);
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_share_is_given_back_when_it_is_dropped() {
        let budget = Arc::new(Budget::new(100));
        let share = Budget::keep(&budget, 60).unwrap();
        assert!(Budget::keep(&budget, 60).is_none());
        drop(share);
        assert!(Budget::keep(&budget, 60).is_some());
    }

    #[test]
    fn work_waits_for_room_and_the_first_never_does() {
        // 100 bytes, 50 of them for work: two at a time of 25, one at a time of 500.
        for (each, at_once) in [(25, 2), (500, 1)] {
            let budget = Arc::new(Budget::new(100).half_for_work());
            let _kept = Budget::keep(&budget, 50).unwrap();
            assert!(Budget::keep(&budget, 1).is_none());
            let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        let _share = Budget::wait(&budget, each);
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            });
            assert!((1..=at_once).contains(&most.into_inner()));
            assert_eq!(budget.left(), 50);
        }
    }
}
