//! How many frames of a session there may be at once: those that are requested
//! ahead, and those that VapourSynth's filters keep.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use vapoursynth::core::CoreRef;

/// Frames that a reader may always have requested, whatever others have.
const OWN: usize = 2;

/// Of one session. VapourSynth stops all of its threads but one while more frames
/// are alive than its cache's limit allows, and how many a script needs shows only
/// when it renders: each thread has some in work, more so with temporal filters and
/// formats of 32 bits. So the limit begins low and rises as it is reached.
#[derive(Debug)]
pub(super) struct Room {
    core: CoreRef<'static>,
    /// VapourSynth's limit, in bytes; 0 while it is the script's own, which stays.
    limit: AtomicU64,
    /// How far it may rise.
    most: AtomicU64,
    /// Frames that readers may have requested besides their own ones.
    free: AtomicUsize,
}

/// A reader's share of the requests of its session, given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    room: &'static Room,
    taken: usize,
}

impl Room {
    /// `own`: the script set a limit, which stays.
    pub fn new(core: CoreRef<'static>, own: bool) -> Self {
        let info = core.info();
        let limit = if own { 0 } else { info.max_framebuffer_size };
        Self {
            core,
            limit: AtomicU64::new(limit),
            most: AtomicU64::new(limit),
            // A frame in work for each thread, and one that waits for its turn.
            free: AtomicUsize::new(2 * info.num_threads),
        }
    }

    /// VapourSynth's threads.
    pub fn threads(&self) -> usize {
        self.core.info().num_threads.max(1)
    }

    /// Limits the frames that VapourSynth keeps to `first` bytes, and to `most` where
    /// that is too little to keep its threads at work.
    pub fn limit(&self, first: u64, most: u64) {
        if self.limit.load(Ordering::Relaxed) > 0 {
            self.limit.store(first, Ordering::Relaxed);
            self.most.store(most, Ordering::Relaxed);
            self.core.set_max_cache_size(first as i64);
        }
    }

    /// Bounds the requests of all readers together, but for each one's own.
    pub fn limit_requests(&self, count: usize) {
        self.free.store(count, Ordering::Relaxed);
    }

    /// Bytes that the cache may take in the end; `None` where the script decides.
    pub fn most(&self) -> Option<u64> {
        let ours = self.limit.load(Ordering::Relaxed) > 0;
        ours.then(|| self.most.load(Ordering::Relaxed))
    }

    /// Raises the limit when VapourSynth has reached it.
    pub fn relieve(&self) {
        let (limit, most) = (self.limit.load(Ordering::Relaxed), self.most.load(Ordering::Relaxed));
        // It keeps frames up to the limit without need; only beyond it threads stop.
        if limit == 0 || limit >= most || self.core.info().used_framebuffer_size <= limit {
            return;
        }
        let raised = (limit + limit / 2).min(most);
        let swapped = self.limit.compare_exchange(limit, raised, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_ok() {
            self.core.set_max_cache_size(raised as i64);
        }
    }

    pub fn share(&'static self) -> Share {
        Share { room: self, taken: 0 }
    }
}

impl Share {
    /// Whether a reader that has `count` frames requested or waiting may request another.
    pub fn allows(&mut self, count: usize) -> bool {
        if count < OWN {
            return true;
        }
        let less = |free: usize| free.checked_sub(1);
        let found = self.room.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        self.taken += usize::from(found);
        found
    }

    /// A frame was handed out, so that `count` remain.
    pub fn returned(&mut self, count: usize) {
        let needed = count.saturating_sub(OWN).min(self.taken);
        self.room.free.fetch_add(self.taken - needed, Ordering::Relaxed);
        self.taken = needed;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.free.fetch_add(self.taken, Ordering::Relaxed);
    }
}
