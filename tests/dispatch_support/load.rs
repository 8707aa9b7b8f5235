//! The CPU that this test and the programs it started use.

use std::time::Instant;

use progression_boost::dispatch::sensors::CpuMeter;

/// Percent of the whole machine taken by this process and all below it, so that
/// other work on the machine does not decide how a test goes.
#[cfg(target_os = "linux")]
pub struct OwnLoad {
    before: Option<(Instant, u64)>,
}

/// Where processes cannot be told apart so easily: the load of the machine.
#[cfg(not(target_os = "linux"))]
pub struct OwnLoad {
    system: sysinfo::System,
}

#[cfg(target_os = "linux")]
impl OwnLoad {
    pub fn new() -> Self {
        Self { before: None }
    }

    /// Clock ticks, 100 a second on Linux, that the tree has taken. A child's
    /// ticks move to its parent when it has ended, so the sum only grows.
    fn ticks() -> u64 {
        let mut processes = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // After the name in parentheses: state, parent, …; ticks are fields 14 to 17 of all.
            let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
            let fields: Vec<_> = fields.split(' ').collect();
            let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
            processes.push((id, fields[1].parse::<u32>().unwrap(), ticks));
        }
        let mut tree = vec![std::process::id()];
        let mut sum = 0;
        while let Some(id) = tree.pop() {
            tree.extend(processes.iter().filter(|(_, parent, _)| *parent == id).map(|(child, ..)| *child));
            sum += processes.iter().find(|(own, ..)| *own == id).map_or(0, |(.., ticks)| *ticks);
        }
        sum
    }
}

#[cfg(target_os = "linux")]
impl CpuMeter for OwnLoad {
    fn sample(&mut self) -> anyhow::Result<Option<f64>> {
        let now = (Instant::now(), Self::ticks());
        let Some((then, ticks)) = self.before.replace(now) else { return Ok(None) };
        let logical = std::thread::available_parallelism().unwrap().get() as f64;
        let seconds = now.1.saturating_sub(ticks) as f64 / 100.0;
        Ok(Some(100.0 * seconds / (now.0 - then).as_secs_f64() / logical))
    }
}

#[cfg(not(target_os = "linux"))]
impl OwnLoad {
    pub fn new() -> Self {
        Self { system: sysinfo::System::new() }
    }
}

#[cfg(not(target_os = "linux"))]
impl CpuMeter for OwnLoad {
    fn sample(&mut self) -> anyhow::Result<Option<f64>> {
        self.system.refresh_cpu_usage();
        Ok(Some(f64::from(self.system.global_cpu_usage())))
    }
}
