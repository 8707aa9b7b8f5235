//! The machine we run on.

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Frames requested ahead of a reader in order: enough for a slow script to
/// render on all cores, few enough to bound memory.
pub fn prefetch() -> usize {
    (cpus() + 1).clamp(2, 12)
}

/// Bytes for frames that wait to be scored: as asked, else a quarter of the RAM.
pub fn memory(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| {
        let ram = sysinfo::System::new().map_or(SMALL_MACHINE, |mut system| {
            system.refresh_memory();
            system.total_memory()
        });
        (ram / 4).max(256 << 20)
    })
}
