//! Work that gives way: encoders to other programs, some of our own to the encoders.

use std::process::Child;

/// How far encoders give way where nobody says: the desktop stays usable, and they get
/// all that is left.
pub const USUAL_NICENESS: u8 = 10;

/// Lets a child that was just started give way as far as `nice` says, 0 to 19; its
/// threads, which it starts later, inherit that. Where it fails the priority stays.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(super) fn lower(child: &Child, nice: u8) {
    if nice > 0 {
        // SAFETY: setpriority takes numbers only; the child was not waited for, so the
        // number is its own.
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, child.id() as libc::id_t, libc::c_int::from(nice));
        }
    }
}

/// On Windows a child is started with its priority.
#[cfg(not(unix))]
pub(super) fn lower(_: &Child, _: u8) {}

/// The class of priority nearest to `nice`, as a flag of CreateProcess.
#[cfg(windows)]
pub(super) fn creation_flags(nice: u8) -> u32 {
    const BELOW_NORMAL_PRIORITY_CLASS: u32 = 0x0000_4000;
    const IDLE_PRIORITY_CLASS: u32 = 0x0000_0040;
    match nice {
        0 => 0,
        1..15 => BELOW_NORMAL_PRIORITY_CLASS,
        _ => IDLE_PRIORITY_CLASS,
    }
}

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

/// How far the niceness is raised: beyond that of the encoders.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 19;

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
    fn a_child_is_as_nice_as_it_is_told_to_be() {
        use crate::support::process::Process;
        let before = niceness();
        // The priority is lowered while it starts, so it is asked for a little later.
        let script = "read line; cut -d' ' -f19 /proc/self/stat >&2";
        for (nice, wanted) in [(0, before), (7, before.max(7))] {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", script]).stdin(std::process::Stdio::piped());
            let mut process = Process::spawn_nice(&mut command, nice, |_| {}).unwrap();
            process.wait().unwrap();
            assert_eq!(process.last_lines(), [wanted.to_string()]);
        }
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
