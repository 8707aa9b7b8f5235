//! Work that gives way to the encoders.

/// Runs `work` on a thread of low priority and returns what it returns.
///
/// On Linux the threads that it starts inherit the priority, which is the point:
/// a thread pool made here gives way to everything else for as long as it lives.
/// Elsewhere `work` runs as it would anyway.
pub fn with_low_priority<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| {
        let thread = threads.spawn(|| {
            lower_this_thread();
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How far the niceness is raised: about a tenth of the weight of a usual thread.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 10;

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn lower_this_thread() {
    // SAFETY: setpriority takes numbers only. On Linux 0 is the calling thread,
    // not its process. When it fails the priority stays as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_this_thread() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Field 19 of `/proc/thread-self/stat` (proc(5)); the name in field 2 may hold spaces.
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(16).unwrap().parse().unwrap()
    }

    #[test]
    fn threads_started_inside_are_nice_and_this_one_stays_as_it_is() {
        let before = niceness();
        let (inside, started) =
            with_low_priority(|| (niceness(), std::thread::spawn(niceness).join().unwrap()));
        let wanted = NICE.max(before);
        assert_eq!((inside, started, niceness()), (wanted, wanted, before));
    }
}
