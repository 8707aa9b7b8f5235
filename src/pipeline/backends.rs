//! The metric back ends of a run, one for zones that measure alike.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::score::{self, Backend};
use crate::settings::{MetricBackend, Zone};
use crate::source::{Clip, OpenOptions, ResolvedColor, Session};
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::machine::cpus;

/// By zone, the metric back end; `None` where nothing is measured.
pub struct Backends {
    by_zone: Vec<Option<Arc<dyn Backend>>>,
    pub color: ResolvedColor,
}

impl Backends {
    /// Opens the back end of every zone, for `bits` of `working`; zones with the same settings share one.
    pub fn open(
        open: score::Opener,
        zones: &[Zone],
        (working, bits): (&Clip, u8),
        options: &OpenOptions,
        memory: u64,
        events: &Events,
    ) -> Result<Self> {
        let info = working.info();
        let color = working.color()?.resolve();
        let format = score::Format { size: (info.width, info.height), bits, color, fps: info.fps };
        let mut opened: HashMap<Fingerprint, Arc<dyn Backend>> = HashMap::new();
        let mut by_zone = Vec::with_capacity(zones.len());
        for zone in zones {
            let metric = &zone.settings.metric;
            if !metric.enable {
                by_zone.push(None);
                continue;
            }
            let key = Fingerprint::of(&(metric.metric, metric.backend, metric.intensity, metric.crop));
            let backend = match opened.get(&key) {
                Some(backend) => Arc::clone(backend),
                None => open(
                    metric,
                    format,
                    session_for(metric.backend, working.session(), options),
                    memory,
                    events,
                )?,
            };
            opened.insert(key, Arc::clone(&backend));
            by_zone.push(Some(backend));
        }
        Ok(Self { by_zone, color })
    }

    pub fn of_zone(&self, zone: usize) -> Option<&Arc<dyn Backend>> {
        self.by_zone[zone].as_ref()
    }

    /// A sentence for each back end in use.
    pub fn describe(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.by_zone.iter().flatten().map(|b| format!("metric: {}", b.describe())).collect();
        lines.sort();
        lines.dedup();
        lines
    }

    /// What the back ends are, for the manifest.
    pub fn identity(&self) -> Fingerprint {
        let zones: Vec<_> = self.by_zone.iter().map(|b| b.as_ref().map(|b| b.identity())).collect();
        Fingerprint::of(&zones)
    }
}

/// A session of the metric's own where a plugin may measure, so that its frames do not
/// wait behind those that the script renders; the script's where only that has the plugin.
fn session_for(backend: MetricBackend, script: Session, options: &OpenOptions) -> Session {
    let plugin = match backend {
        MetricBackend::Auto | MetricBackend::Vship => "vship",
        MetricBackend::Vszip => "vszip",
        MetricBackend::Native | MetricBackend::Ffvship => return script,
    };
    if !script.has_plugin(plugin) {
        return script;
    }
    let options = OpenOptions { plugins: options.plugins.clone(), ..OpenOptions::default() };
    Session::empty(None, &options).ok().filter(|own| own.has_plugin(plugin)).unwrap_or(script)
}

/// The threads that measure frames side by side.
pub fn scoring_pool() -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(cpus())
        .thread_name(|n| format!("score-{n}"))
        .build()
        .context("cannot start the scoring threads")
}
