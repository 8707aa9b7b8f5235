//! The machine we run on.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::cgroup;

/// RAM assumed where the system does not tell, in bytes.
const SMALL_MACHINE: u64 = 4 << 30;

/// Set by [`pretend`]; 0: as the system says.
static PRETENDED: AtomicUsize = AtomicUsize::new(0);

/// Lets the machine have `cpus` logical CPUs from here on, for benchmarks whose work waits
/// instead of computing.
pub fn pretend(cpus: usize) {
    PRETENDED.store(cpus, Ordering::Relaxed);
}

/// Logical CPUs that this process may use, a container's limit included.
pub fn cpus() -> usize {
    match PRETENDED.load(Ordering::Relaxed) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        cpus => cpus,
    }
}

/// Bytes of RAM that there are for this process, a container's limit included.
pub fn ram() -> u64 {
    let ram = sysinfo::System::new().map_or(SMALL_MACHINE, |mut system| {
        system.refresh_memory();
        system.total_memory()
    });
    cgroup::memory_limit().map_or(ram, |limit| ram.min(limit))
}

/// Bytes of RAM that are free, or can be made so.
pub fn free_ram() -> u64 {
    sysinfo::System::new().map_or(SMALL_MACHINE, |mut system| {
        system.refresh_memory();
        system.available_memory()
    })
}

/// Bytes that a run may hold: as asked, else a quarter of the RAM.
pub fn memory(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| (ram() / 4).max(256 << 20))
}
