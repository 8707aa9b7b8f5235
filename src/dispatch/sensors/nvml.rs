//! VRAM of NVIDIA GPUs through NVML, which comes with the driver and is loaded
//! at run time.

use std::sync::Arc;

use anyhow::{Context, Result};
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::{Vram, VramMeter};
use crate::support::events::Events;

struct NvidiaGpu {
    nvml: Arc<Nvml>,
    index: u32,
    name: String,
}

/// The NVIDIA GPUs in the driver's order; none without the driver. A driver
/// that is there and does not work is worth a warning.
pub fn gpus(events: &Events) -> Vec<Box<dyn VramMeter>> {
    let nvml = match Nvml::init() {
        Ok(nvml) => Arc::new(nvml),
        Err(NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound) => return Vec::new(),
        Err(error) => {
            events.warn(format!("NVIDIA's driver does not answer ({error}); check it with nvidia-smi"));
            return Vec::new();
        }
    };
    let count = nvml.device_count().unwrap_or(0);
    let gpu = |index| -> Box<dyn VramMeter> {
        let name = nvml.device_by_index(index).and_then(|device| device.name());
        let name = name.unwrap_or_else(|_| format!("NVIDIA GPU {index}"));
        Box::new(NvidiaGpu { nvml: Arc::clone(&nvml), index, name })
    };
    (0..count).map(gpu).collect()
}

impl VramMeter for NvidiaGpu {
    fn name(&self) -> &str {
        &self.name
    }

    fn sample(&mut self) -> Result<Vram> {
        let memory = self.nvml.device_by_index(self.index).and_then(|device| device.memory_info());
        let memory = memory.with_context(|| format!("NVML gives no memory figures for {}", self.name))?;
        Ok(Vram { total: memory.total, free: memory.free })
    }
}
