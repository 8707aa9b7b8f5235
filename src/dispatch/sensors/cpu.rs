//! CPU use: through sysinfo, on Windows through the system's own times. sysinfo
//! asks performance counters there, which may be switched off or damaged and
//! which wine lacks.

use anyhow::Result;

use super::CpuMeter;

#[cfg(windows)]
pub use windows::SystemCpu;

#[cfg(not(windows))]
pub use other::SystemCpu;

#[cfg(not(windows))]
mod other {
    use anyhow::Context;
    use sysinfo::{CpuRefreshKind, RefreshKind, System};

    use super::{CpuMeter, Result};

    pub struct SystemCpu {
        system: Option<System>,
        /// The first look has nothing to compare with and reads zero.
        compared: bool,
    }

    impl SystemCpu {
        pub fn new() -> Self {
            let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing().with_usage());
            Self { system: System::new_with_specifics(kind), compared: false }
        }
    }

    impl CpuMeter for SystemCpu {
        fn sample(&mut self) -> Result<Option<f64>> {
            let system = self.system.as_mut().context("the system tells nothing of it")?;
            system.refresh_cpu_usage();
            let percent = f64::from(system.global_cpu_usage()).clamp(0.0, 100.0);
            Ok(std::mem::replace(&mut self.compared, true).then_some(percent))
        }
    }
}

/// What all CPUs together have spent since the system began, in any unit.
#[cfg(any(windows, test))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    idle: u64,
    all: u64,
}

#[cfg(any(windows, test))]
impl Times {
    /// Percent in use from `before` to now; `None` when no time has passed.
    fn used_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let idle = self.idle.saturating_sub(before.idle).min(all);
        Some(100.0 * (all - idle) as f64 / all as f64)
    }
}

#[cfg(windows)]
mod windows {
    use anyhow::ensure;
    use windows_sys::Win32::Foundation::FILETIME;
    use windows_sys::Win32::System::Threading::GetSystemTimes;

    use super::{CpuMeter, Result, Times};

    pub struct SystemCpu {
        before: Option<Times>,
    }

    impl SystemCpu {
        pub fn new() -> Self {
            Self { before: None }
        }
    }

    impl CpuMeter for SystemCpu {
        fn sample(&mut self) -> Result<Option<f64>> {
            let now = times()?;
            let before = self.before.replace(now);
            Ok(before.and_then(|before| now.used_since(before)))
        }
    }

    #[allow(unsafe_code)]
    fn times() -> Result<Times> {
        let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
        let (mut idle, mut kernel, mut user) = (zero, zero, zero);
        // SAFETY: the three are valid FILETIMEs that outlive the call.
        let ok = unsafe { GetSystemTimes(&raw mut idle, &raw mut kernel, &raw mut user) };
        ensure!(ok != 0, "GetSystemTimes: {}", std::io::Error::last_os_error());
        let number = |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
        // The kernel's time includes the idle one.
        Ok(Times { idle: number(idle), all: number(kernel) + number(user) })
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
        let mut meter = SystemCpu::new();
        assert_eq!(meter.sample().unwrap(), None);
        let end = Instant::now() + Duration::from_millis(700);
        let mut sum = 0u64;
        while Instant::now() < end {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let percent = meter.sample().unwrap().unwrap();
        let logical = std::thread::available_parallelism().unwrap().get() as f64;
        assert!((0.6 * 100.0 / logical..=100.0).contains(&percent), "{percent} % on {logical} CPUs");
    }

    #[test]
    fn use_is_what_is_not_idle() {
        let at = |idle, all| Times { idle, all };
        assert_eq!(at(150, 400).used_since(at(100, 200)), Some(75.0));
        assert_eq!(at(100, 200).used_since(at(100, 200)), None);
        // Counters of other CPUs may lag behind.
        assert_eq!(at(500, 300).used_since(at(100, 200)), Some(0.0));
        assert_eq!(at(90, 300).used_since(at(100, 200)), Some(100.0));
    }
}
