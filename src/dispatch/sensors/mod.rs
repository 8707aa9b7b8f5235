//! What the machine has room for: CPU in use and free VRAM.

mod cpu;
mod nvml;
mod sysfs;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::settings::Settings;
use crate::support::events::Events;
use crate::support::units::show_bytes;

/// How often the sensors are asked. sysinfo needs at least 200 ms between two
/// looks at the CPU.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// CPU samples that make one reading: their mean over a second, because an
/// encoder's load jumps from one sample to the next and a single low one would
/// let a worker through that does not fit.
const WINDOW: usize = 4;

/// One look at the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// CPU in use, percent of the whole machine. `None`: it cannot be read.
    pub cpu: Option<f64>,
    /// `None`: no GPU is watched.
    pub vram: Option<Vram>,
}

/// Memory of one GPU in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vram {
    pub total: u64,
    pub free: u64,
}

/// Measures CPU use.
pub trait CpuMeter: Send {
    /// Percent of the whole machine since the call before; `None` on the first
    /// call when there is nothing to compare with.
    fn sample(&mut self) -> Result<Option<f64>>;
}

/// Measures the memory of one GPU.
pub trait VramMeter: Send {
    /// The GPU's name, for people.
    fn name(&self) -> &str;

    fn sample(&mut self) -> Result<Vram>;
}

/// The GPUs of this machine, NVIDIA's first.
pub fn gpus(events: &Events) -> Vec<Box<dyn VramMeter>> {
    let mut gpus = nvml::gpus(events);
    gpus.extend(sysfs::gpus(Path::new(sysfs::CARDS)));
    gpus
}

/// The meters of a machine.
pub struct Machine {
    cpu: Box<dyn CpuMeter>,
    gpu: Option<Box<dyn VramMeter>>,
    window: VecDeque<f64>,
    cpu_failing: bool,
    gpu_failing: bool,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Machine(gpu: {:?})", self.gpu_name())
    }
}

impl Machine {
    /// Any meters; [`Machine::detect`] finds this machine's.
    pub fn new(cpu: Box<dyn CpuMeter>, gpu: Option<Box<dyn VramMeter>>) -> Self {
        Self { cpu, gpu, window: VecDeque::with_capacity(WINDOW), cpu_failing: false, gpu_failing: false }
    }

    /// The CPU, and the GPU that the settings ask for. Without any GPU a warning
    /// is emitted and only the CPU counts; an index beyond those found is an error.
    pub fn detect(settings: &Settings, events: &Events) -> Result<Self> {
        let cpu = Box::new(cpu::SystemCpu::new());
        if settings.worker_vram == 0 {
            return Ok(Self::new(cpu, None));
        }
        let gpu = choose(gpus(events), settings, events)?;
        Ok(Self::new(cpu, gpu))
    }

    pub fn gpu_name(&self) -> Option<&str> {
        self.gpu.as_ref().map(|gpu| gpu.name())
    }

    /// Asks the meters; to be called every [`INTERVAL`]. `None` until there is
    /// a first CPU sample. What cannot be read is left out of account, which is
    /// said once for each such time.
    pub fn read(&mut self, events: &Events) -> Option<Reading> {
        self.read_cpu(events);
        let vram = self.read_gpu(events);
        let mean = self.window.iter().sum::<f64>() / self.window.len() as f64;
        let cpu = (!self.window.is_empty()).then_some(mean);
        (cpu.is_some() || self.cpu_failing).then_some(Reading { cpu, vram })
    }

    fn read_cpu(&mut self, events: &Events) {
        match self.cpu.sample() {
            Ok(sample) => {
                if std::mem::take(&mut self.cpu_failing) {
                    events.note("CPU use can be read again");
                }
                if self.window.len() == WINDOW {
                    self.window.pop_front();
                }
                self.window.extend(sample);
            }
            Err(error) => {
                self.window.clear();
                if !std::mem::replace(&mut self.cpu_failing, true) {
                    events.warn(format!(
                        "CPU use cannot be read ({error:#}); until it can, workers are released as if nothing else \
                         used the CPU, a few in each time of --reserve"
                    ));
                }
            }
        }
    }

    fn read_gpu(&mut self, events: &Events) -> Option<Vram> {
        let gpu = self.gpu.as_mut()?;
        match gpu.sample() {
            Ok(vram) => {
                if std::mem::take(&mut self.gpu_failing) {
                    events.note(format!("VRAM of {} can be read again", gpu.name()));
                }
                Some(vram)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.gpu_failing, true) {
                    events.warn(format!(
                        "VRAM of {} cannot be read ({error:#}); until it can, only the CPU counts",
                        gpu.name()
                    ));
                }
                None
            }
        }
    }
}

/// The GPU with the wanted index, checked to be large enough for one worker.
fn choose(
    mut gpus: Vec<Box<dyn VramMeter>>,
    settings: &Settings,
    events: &Events,
) -> Result<Option<Box<dyn VramMeter>>> {
    if gpus.is_empty() {
        events.warn(
            "no GPU with readable VRAM (NVML, or Linux's mem_info_vram_total and mem_info_vram_used): \
             only the CPU counts; --worker-vram 0 says that this is meant",
        );
        return Ok(None);
    }
    if settings.gpu >= gpus.len() {
        let found: Vec<_> = gpus.iter().enumerate().map(|(n, gpu)| format!("{n} = {}", gpu.name())).collect();
        bail!("gpu {}: must be one of those found: {}", settings.gpu, found.join(", "));
    }
    let mut gpu = gpus.swap_remove(settings.gpu);
    let total = gpu.sample()?.total;
    if settings.worker_vram > total {
        bail!(
            "worker-vram {}: {} has {}; nobody would ever be released. Give what one worker takes, \
             or 0 to leave VRAM out of account",
            show_bytes(settings.worker_vram),
            gpu.name(),
            show_bytes(total)
        );
    }
    Ok(Some(gpu))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // the figures are exact
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct Script(std::vec::IntoIter<Option<f64>>);

    impl CpuMeter for Script {
        fn sample(&mut self) -> Result<Option<f64>> {
            Ok(self.0.next().flatten())
        }
    }

    struct Gpu(&'static str, std::vec::IntoIter<Option<Vram>>);

    impl VramMeter for Gpu {
        fn name(&self) -> &str {
            self.0
        }

        fn sample(&mut self) -> Result<Vram> {
            self.1.next().flatten().ok_or_else(|| anyhow::anyhow!("GPU is lost"))
        }
    }

    fn gpu(name: &'static str, samples: Vec<Option<Vram>>) -> Box<dyn VramMeter> {
        Box::new(Gpu(name, samples.into_iter()))
    }

    fn collecting() -> (Events, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let events = Events::new({
            let seen = Arc::clone(&seen);
            move |event| seen.lock().unwrap().push(format!("{event:?}"))
        });
        (events, seen)
    }

    #[test]
    fn a_cpu_reading_is_the_mean_of_the_last_second() {
        let samples = vec![None, Some(10.0), Some(30.0), Some(50.0), Some(70.0), Some(90.0)];
        let mut machine = Machine::new(Box::new(Script(samples.into_iter())), None);
        let readings: Vec<_> =
            (0..6).map(|_| machine.read(&Events::silent()).and_then(|reading| reading.cpu)).collect();
        assert_eq!(readings, [None, Some(10.0), Some(20.0), Some(30.0), Some(40.0), Some(60.0)]);
    }

    #[test]
    fn a_gpu_that_fails_is_reported_once_and_left_out_until_it_works() {
        let vram = Vram { total: 8, free: 4 };
        let mut machine = Machine::new(
            Box::new(Script(vec![Some(1.0); 4].into_iter())),
            Some(gpu("card0", vec![Some(vram), None, None, Some(vram)])),
        );
        let (events, seen) = collecting();
        let readings: Vec<_> = (0..4).map(|_| machine.read(&events).unwrap().vram).collect();
        assert_eq!(readings, [Some(vram), None, None, Some(vram)]);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen[0].contains("Warning") && seen[0].contains("GPU is lost"), "{seen:?}");
        assert!(seen[1].contains("can be read again"), "{seen:?}");
    }

    #[test]
    fn a_cpu_that_fails_is_reported_once_and_unknown_until_it_works() {
        struct Faulty(u32);
        impl CpuMeter for Faulty {
            fn sample(&mut self) -> Result<Option<f64>> {
                self.0 += 1;
                if self.0 < 3 { bail!("no counters") } else { Ok(Some(30.0)) }
            }
        }
        let (events, seen) = collecting();
        let mut machine = Machine::new(Box::new(Faulty(0)), None);
        let readings: Vec<_> = (0..3).map(|_| machine.read(&events).unwrap().cpu).collect();
        assert_eq!(readings, [None, None, Some(30.0)]);
        let seen = seen.lock().unwrap();
        assert!(seen.len() == 2 && seen[0].contains("no counters") && seen[1].contains("again"), "{seen:?}");
    }

    #[test]
    fn the_wanted_gpu_must_exist_and_hold_a_worker() {
        let vram = Some(Vram { total: 4 << 30, free: 1 << 30 });
        let both = || vec![gpu("first", vec![vram]), gpu("second", vec![vram])];
        let settings = |gpu, worker_vram| Settings { worker_vram, gpu, ..Settings::default() };
        let chosen = choose(both(), &settings(1, 3 << 30), &Events::silent()).unwrap();
        assert_eq!(chosen.unwrap().name(), "second");
        let error = choose(both(), &settings(2, 1), &Events::silent()).err().unwrap().to_string();
        assert_eq!(error, "gpu 2: must be one of those found: 0 = first, 1 = second");
        let error = choose(both(), &settings(0, 5 << 30), &Events::silent()).err().unwrap().to_string();
        assert!(error.starts_with("worker-vram 5 GiB: first has 4 GiB"), "{error}");
    }

    #[test]
    fn without_a_gpu_a_warning_says_that_only_the_cpu_counts() {
        let (events, seen) = collecting();
        assert!(choose(Vec::new(), &Settings::default(), &events).unwrap().is_none());
        assert!(seen.lock().unwrap()[0].contains("only the CPU counts"));
    }
}
