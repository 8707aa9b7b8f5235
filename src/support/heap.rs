//! The system's allocator.

/// Asks for one heap, to be called before threads start.
///
/// glibc gives most threads a heap of their own, and pictures are allocated on
/// one thread and freed on another, so that each heap ends up with gaps of
/// pictures: a run at 1080p takes 100 MiB less with one heap, and no more time,
/// because allocations are few and large.
pub fn share() {
    share_heap();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn share_heap() {
    // SAFETY: mallopt takes numbers only; when it fails nothing changes.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_heap() {}
