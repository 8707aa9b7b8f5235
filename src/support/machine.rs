//! The machine we run on.

/// RAM assumed where the system does not tell, in bytes.
const SMALL_MACHINE: u64 = 4 << 30;

/// Logical CPUs that this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
