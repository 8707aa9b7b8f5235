//! Options about the machine that a run has: how it shares it, and its GPUs.

use crate::settings::{Devices, Resolved};
use crate::support::priority::USUAL_NICENESS;

/// Of each option, because that of a whole list goes on after it.
const HEADING: &str = "Machine";

#[derive(Debug, Clone, clap::Args)]
pub struct NiceArgs {
    /// How far encoders give way to other programs, 0 (a machine of their own) to 19
    #[arg(long, value_name = "N", default_value_t = USUAL_NICENESS, help_heading = HEADING,
          value_parser = clap::value_parser!(u8).range(..=19), hide_short_help = true)]
    pub nice: u8,
}

impl Default for NiceArgs {
    fn default() -> Self {
        Self { nice: USUAL_NICENESS }
    }
}

#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceArgs {
    /// GPUs that measure, such as 0,1; scenes are spread over them [default: 0]
    #[arg(long, value_name = "N[,N]", value_delimiter = ',', help_heading = HEADING, hide_short_help = true)]
    gpu: Vec<u32>,

    /// Frames that each GPU measures at once [default: 4, or as many as its memory holds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64),
          help_heading = HEADING, hide_short_help = true)]
    gpu_streams: Option<u8>,
}

impl DeviceArgs {
    pub fn devices(&self) -> Devices {
        let usual = Devices::default();
        Devices {
            gpus: if self.gpu.is_empty() { usual.gpus } else { self.gpu.clone() },
            streams: self.gpu_streams.map(usize::from),
        }
    }

    /// Puts them into the settings of all zones.
    pub fn put(&self, settings: &mut Resolved) {
        let devices = self.devices();
        settings.each(|settings| settings.metric.devices = devices.clone());
    }
}
