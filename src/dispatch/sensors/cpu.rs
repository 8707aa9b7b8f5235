//! CPU use through sysinfo.

use anyhow::{Context, Result};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::CpuMeter;

pub struct SystemCpu {
    system: System,
    /// The first look has nothing to compare with and reads zero.
    compared: bool,
}

impl SystemCpu {
    pub fn new() -> Result<Self> {
        let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing().with_usage());
        let system = System::new_with_specifics(kind);
        Ok(Self { system: system.context("cannot read CPU use")?, compared: false })
    }
}

impl CpuMeter for SystemCpu {
    fn sample(&mut self) -> Option<f64> {
        self.system.refresh_cpu_usage();
        let percent = f64::from(self.system.global_cpu_usage()).clamp(0.0, 100.0);
        std::mem::replace(&mut self.compared, true).then_some(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// Other programs may add to the load, so only the lower bound is exact:
    /// one busy thread on n logical CPUs is at least 100 / n percent.
    #[test]
    fn a_busy_thread_shows() {
        let mut meter = SystemCpu::new().unwrap();
        assert_eq!(meter.sample(), None);
        let end = Instant::now() + Duration::from_millis(700);
        let mut sum = 0u64;
        while Instant::now() < end {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let percent = meter.sample().unwrap();
        let logical = std::thread::available_parallelism().unwrap().get() as f64;
        assert!((0.6 * 100.0 / logical..=100.0).contains(&percent), "{percent} % on {logical} CPUs");
    }
}
