//! What a run works with, checked and ready before any work is done: the
//! encoder, its parameters, the metric back ends, the machine.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::plan::PlannedScene;
use crate::analysis::LumaStats;
use crate::encoder::{Encoder, ParameterList, Purpose, Request, preflight};
use crate::model::{Adaptive, Goal, Kind, Model};
use crate::options::without_grain;
use crate::score::{self, Backend};
use crate::settings::dynamic::{Rules, SceneFacts};
use crate::settings::{FamilyParams, Metric, MetricSettings, ModelKind, Settings, Zone};
use crate::source::{Clip, ClipInfo, ColorInfo, ResolvedColor};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
pub use crate::support::machine::cpus;

/// VapourSynth's cache beyond this helps no sequential reader.
pub const LARGEST_CACHE: u64 = 1 << 30;

/// Small clips come from larger ones often enough. With 64 MiB, glibc's heap grew
/// to 450 MiB over 14,400 frames of 320x180; with this it stays at 320.
pub const SMALLEST_CACHE: u64 = 24 << 20;

/// RAM assumed where the system does not tell, in bytes.
const SMALL_MACHINE: u64 = 4 << 30;

/// The encoder with everything that decides an encode's words.
pub struct Encoding {
    pub encoder: Encoder,
    /// Bits per sample that probes are fed with.
    pub bits: u8,
    /// By zone.
    pub rules: Vec<Rules>,
    color: ColorInfo,
}

/// By zone, the metric back end; `None` where nothing is measured.
pub struct Backends {
    by_zone: Vec<Option<Arc<dyn Backend>>>,
    pub color: ResolvedColor,
}

impl Encoding {
    /// Finds the encoder and tries the parameter lists of all zones on it.
    pub fn open(zones: &[Zone], clip: &ClipInfo, events: &Events, cancel: &Cancel) -> Result<Self> {
        let stage = events.stage("Checking the encoder", 0, "trials");
        let program = &zones[0].settings.encoder.program;
        let encoder = Encoder::open(program, cache_folder().as_deref(), cancel)?;
        encoder.identity.check_size(clip.width, clip.height)?;
        let rules = zones.iter().map(|z| Rules::compile(&z.settings.dynamic)).collect::<Result<Vec<_>>>()?;
        let mut encoding = Self { encoder, bits: 10, rules, color: clip.color.clone() };
        let mut tried: Vec<ParameterList> = Vec::new();
        let mut notes = BTreeSet::new();
        for zone in zones {
            let lists = encoding.zone_lists(&zone.settings)?;
            for (purpose, list) in lists {
                if purpose == Purpose::Probing {
                    encoding.agree_on_bits(list.bits(), tried.is_empty())?;
                } else if zone.settings.metric.enable && zone.settings.model.calibrate > 0 {
                    encoding.check_calibration_bits(list.bits())?;
                }
                if tried.contains(&list) {
                    continue;
                }
                preflight(&encoding.encoder, &[(&format!("{} parameters", purpose.key()), &list)], cancel)?;
                notes.extend(list.notes.iter().cloned());
                stage.advance(1);
                tried.push(list);
            }
            encoding.check_crfs(&zone.settings)?;
        }
        for note in notes {
            events.note(note);
        }
        Ok(encoding)
    }

    fn agree_on_bits(&mut self, bits: u8, first: bool) -> Result<()> {
        if !first && bits != self.bits {
            bail!(
                "--input-depth {} and {bits}: the probing parameters of all zones must have the same depth",
                self.bits
            );
        }
        self.bits = bits;
        Ok(())
    }

    fn zone_lists(&self, settings: &Settings) -> Result<Vec<(Purpose, ParameterList)>> {
        let mut lists = Vec::new();
        if settings.metric.enable {
            let words = &self.family(settings)?.probing;
            lists.push((Purpose::Probing, self.probing_list(settings, words)?));
        }
        let words = &self.family(settings)?.final_;
        lists.push((Purpose::Final, self.final_list(settings, words, settings.encoder.final_preset)?));
        Ok(lists)
    }

    fn check_crfs(&self, settings: &Settings) -> Result<()> {
        let metric = &settings.metric;
        if metric.enable {
            self.encoder.check_crf("metric.max_crf", metric.max_crf)
        } else {
            self.encoder.check_crf("metric.base_crf", metric.base_crf)
        }
    }

    fn family<'a>(&self, settings: &'a Settings) -> Result<&'a FamilyParams> {
        let family = self.encoder.identity.family;
        settings
            .encoder
            .params
            .get(&family)
            .with_context(|| format!("the preset has no encoder parameters for {family:?} encoders"))
    }

    fn probing_list(&self, settings: &Settings, words: &[String]) -> Result<ParameterList> {
        let params = self.family(settings)?;
        let by_user = params.probing_by_user || words != params.probing;
        self.list(settings, Purpose::Probing, settings.encoder.probing_preset, words, by_user)
    }

    fn final_list(&self, settings: &Settings, words: &[String], preset: i32) -> Result<ParameterList> {
        let params = self.family(settings)?;
        let by_user = params.final_by_user || words != params.final_;
        self.list(settings, Purpose::Final, preset, words, by_user)
    }

    fn list(
        &self,
        settings: &Settings,
        purpose: Purpose,
        preset: i32,
        words: &[String],
        by_user: bool,
    ) -> Result<ParameterList> {
        let lp = settings.encoder.lp;
        ParameterList::new(
            &self.encoder,
            &Request { purpose, preset, lp, words, by_user, color: &self.color },
        )
    }

    /// The words of a probe encode.
    pub fn probe_words(&self, scene: &PlannedScene<'_>, crf: f64, luma: &LumaStats) -> Result<Vec<String>> {
        let words = &self.family(scene.settings)?.probing;
        let facts = facts(scene, luma);
        let words = self.rules[scene.zone].probing_params(&facts, crf, words)?;
        Ok(self.probing_list(scene.settings, &words)?.words(&self.encoder, crf))
    }

    /// The words of an encode of the scene as the final one would be at this CRF,
    /// without what a metric would count as damage.
    pub fn calibration_words(
        &self,
        scene: &PlannedScene<'_>,
        crf: f64,
        luma: &LumaStats,
    ) -> Result<Vec<String>> {
        let (facts, rules) = (facts(scene, luma), &self.rules[scene.zone]);
        let preset = rules.final_preset(&facts, crf, scene.settings.encoder.final_preset)?;
        let words = rules.final_params(&facts, crf, &self.family(scene.settings)?.final_)?;
        let list = self.final_list(scene.settings, &without_grain(&words), preset)?;
        self.check_calibration_bits(list.bits())?;
        Ok(list.words(&self.encoder, crf))
    }

    fn check_calibration_bits(&self, bits: u8) -> Result<()> {
        if bits != self.bits {
            bail!(
                "--input-depth {bits} in the final parameters, {} in those of the probes: \
                 model.calibrate compares the two, so they must be the same, or set it to 0",
                self.bits
            );
        }
        Ok(())
    }

    /// The scene's `video_params` and the name of its encoder as av1an lists it.
    pub fn final_words(
        &self,
        scene: &PlannedScene<'_>,
        crf: f64,
        preset: i32,
        facts: &SceneFacts,
    ) -> Result<(String, Vec<String>)> {
        const OURS: &str = "svt_av1";
        let rules = &self.rules[scene.zone];
        let name = rules.encoder(facts, crf)?.unwrap_or(OURS);
        if name != OURS {
            // Another encoder takes none of our words: the rule writes them all.
            let words = rules.final_params(facts, crf, &[])?;
            if words.is_empty() {
                bail!(
                    "scene {}: dynamic.encoder says {name}, so dynamic.final_params must give all its parameters",
                    scene.index
                );
            }
            return Ok((name.to_owned(), words));
        }
        let words = rules.final_params(facts, crf, &self.family(scene.settings)?.final_)?;
        let list = self.final_list(scene.settings, &words, preset)?;
        Ok((name.to_owned(), list.words(&self.encoder, crf)))
    }

    /// Changes whenever probes could come out otherwise.
    pub fn key(&self) -> Fingerprint {
        Fingerprint::of(&(
            &self.encoder.identity.hash,
            &self.encoder.identity.version,
            self.bits,
            &self.color,
        ))
    }

    /// One sentence for the summary.
    pub fn describe(&self) -> String {
        let identity = &self.encoder.identity;
        let steps = if self.encoder.capabilities.quarter_steps { "quarter-step" } else { "whole-number" };
        format!("encoder: {} at {}, {steps} CRF", identity.version, identity.path.display())
    }
}

impl Backends {
    /// Opens the back end of every zone; zones with the same settings share one.
    pub fn open(zones: &[Zone], working: &Clip, bits: u8, memory: u64, events: &Events) -> Result<Self> {
        let info = working.info();
        let color = score::reading(&info.color, info.height);
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
                None => score::open(metric, format, working.session(), memory, events)?,
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

    pub fn key(&self) -> Fingerprint {
        Fingerprint::of(&(self.describe(), self.color))
    }
}

/// What dynamic rules may know of a scene.
pub fn facts(scene: &PlannedScene<'_>, luma: &LumaStats) -> SceneFacts {
    let frames = scene.scene.start..scene.scene.end;
    SceneFacts::new(
        scene.index,
        frames.clone(),
        &luma.average[frames.clone()],
        &luma.min[frames.clone()],
        &luma.max[frames.clone()],
        &luma.diff[frames],
    )
}

/// Frames requested ahead of a reader in order: enough for a slow script to
/// render on all cores, few enough to bound memory.
pub fn prefetch() -> usize {
    (cpus() + 1).clamp(2, 12)
}

/// The threads that measure frames side by side.
pub fn scoring_pool() -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(cpus())
        .thread_name(|n| format!("score-{n}"))
        .build()
        .context("cannot start the scoring threads")
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

/// The model that solves a zone's scenes, from the settings.
pub fn model(settings: &Settings, quarter_steps: bool) -> Model {
    let kind = match settings.model.kind {
        ModelKind::Reference => Kind::Reference,
        ModelKind::Adaptive => Kind::Adaptive(Adaptive {
            first_crf: settings.model.first_crf,
            tolerance: settings.model.tolerance.unwrap_or_else(|| tolerance(&settings.metric)),
            quarter_steps,
        }),
    };
    Model { goal: goal(&settings.metric), kind }
}

/// How near to the target is near enough, where the preset does not say.
fn tolerance(metric: &MetricSettings) -> f64 {
    match metric.metric {
        Metric::Ssimu2 => 1.5,
        _ => 0.05 * metric.target,
    }
}

fn goal(metric: &MetricSettings) -> Goal {
    Goal {
        target: metric.target,
        higher_is_better: metric.metric.higher_is_better(),
        min_crf: metric.min_crf,
        max_crf: metric.max_crf,
        unreliable_crf: metric.unreliable_crf.unwrap_or(metric.min_crf + 3.0),
    }
}

/// Where what is known about encoders is kept between runs.
fn cache_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "progression-boost")?;
    Some(folders.cache_dir().join("encoders"))
}
