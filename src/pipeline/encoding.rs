//! The words of every encode: the encoders, their parameters by zone and the
//! dynamic rules, checked before any work is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::forks::Fork;
use super::plan::PlannedScene;
use crate::analysis::LumaStats;
use crate::encoder::{Encoder, ParameterList, Purpose, preflight};
use crate::options::without_grain;
use crate::settings::dynamic::{Named, Rules, SceneFacts};
use crate::settings::{EncoderSettings, Settings, Zone};
use crate::source::{Clip, ColorInfo};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// The encoders with everything that decides an encode's words.
pub struct Encoding {
    /// Bits per sample that probes are fed with.
    pub bits: u8,
    /// By zone.
    pub rules: Vec<Rules>,
    /// By zone.
    own: Vec<Arc<Fork>>,
    /// Those that rules named, by zone and name.
    named: Mutex<BTreeMap<(usize, String), Arc<Fork>>>,
    opened: Mutex<BTreeMap<PathBuf, Encoder>>,
    /// The program of scenes outside all zones.
    usual: PathBuf,
    color: ColorInfo,
    /// `None` where all was tried by an earlier run.
    trials: Option<Trials>,
}

/// An [`Encoding`] as it is kept: all that the encoders were asked, and no need to ask again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// By program, as settings name it.
    pub encoders: Vec<(PathBuf, Encoder)>,
    pub usual: PathBuf,
    pub bits: u8,
    pub color: ColorInfo,
}

/// What makes the final encode of a scene.
pub enum Coded {
    Svt(Arc<Fork>),
    /// Another encoder of av1an's.
    Other(&'static str),
}

/// What is tried out on programs as they come up.
struct Trials {
    size: (usize, usize),
    tried: Mutex<Vec<(PathBuf, ParameterList)>>,
    /// Notes that were told.
    told: Mutex<BTreeSet<String>>,
    events: Events,
    cancel: Cancel,
}

impl Encoding {
    pub fn record(&self) -> Recorded {
        let encoders = lock(&self.opened).iter().map(|(path, found)| (path.clone(), found.clone())).collect();
        Recorded { encoders, usual: self.usual.clone(), bits: self.bits, color: self.color.clone() }
    }

    /// For other settings of the same clip and encoders, which need no trial: their
    /// parameter lists are those that were tried.
    pub fn recorded(recorded: &Recorded, zones: &[Zone]) -> Result<Self> {
        let Recorded { encoders, usual, bits, color } = recorded.clone();
        let encoding = Self::new(zones, &usual, color, encoders.into_iter().collect(), None)?;
        for (zone, fork) in zones.iter().zip(&encoding.own) {
            fork.check_crfs(&zone.settings)?;
        }
        Ok(Self { bits, ..encoding })
    }

    /// Finds the encoders of all zones and tries their parameter lists. `usual` is the
    /// program of scenes outside all zones.
    pub fn open(zones: &[Zone], usual: &Path, clip: &Clip, events: &Events, cancel: &Cancel) -> Result<Self> {
        let stage = events.stage("Checking the encoder", 0, "trials");
        let info = clip.info();
        let trials = Trials {
            size: (info.width, info.height),
            tried: Mutex::default(),
            told: Mutex::default(),
            events: events.clone(),
            cancel: cancel.clone(),
        };
        let mut encoding = Self::new(zones, usual, clip.color()?.clone(), BTreeMap::new(), Some(trials))?;
        let measured = zones.iter().zip(&encoding.own).find(|(zone, _)| zone.settings.metric.enable);
        if let Some((_, fork)) = measured {
            encoding.bits = fork.probing_list(&fork.family()?.probing, &encoding.color)?.bits();
        }
        for (number, zone) in zones.iter().enumerate() {
            encoding.check(&encoding.own[number], &zone.settings)?;
            let rules = &zone.settings.dynamic;
            if rules.encoder.is_some() || rules.probing_encoder.is_some() {
                for name in zone.settings.encoders.keys() {
                    encoding.fork(number, &zone.settings, name)?;
                }
            }
            stage.advance(1);
        }
        Ok(encoding)
    }

    fn new(
        zones: &[Zone],
        usual: &Path,
        color: ColorInfo,
        opened: BTreeMap<PathBuf, Encoder>,
        trials: Option<Trials>,
    ) -> Result<Self> {
        let rules = zones.iter().map(|zone| Rules::of(&zone.settings)).collect::<Result<_>>()?;
        let mut encoding = Self {
            bits: 10,
            rules,
            own: Vec::new(),
            named: Mutex::default(),
            opened: Mutex::new(opened),
            usual: usual.to_path_buf(),
            color,
            trials,
        };
        for zone in zones {
            let own = Arc::new(encoding.start(zone.settings.encoder.clone())?);
            encoding.own.push(own);
        }
        Ok(encoding)
    }

    /// Opens the program of `settings`, unless it is open.
    fn start(&self, settings: EncoderSettings) -> Result<Fork> {
        let mut opened = lock(&self.opened);
        let known = opened.get(&settings.program).cloned();
        let encoder = known.map_or_else(
            || {
                let cancel = self.trials.as_ref().map_or_else(Cancel::new, |trials| trials.cancel.clone());
                Encoder::open(&settings.program, cache_folder().as_deref(), &cancel)
            },
            Ok,
        )?;
        opened.insert(settings.program.clone(), encoder.clone());
        let marked = settings.program != self.usual;
        Ok(Fork { encoder, settings, marked })
    }

    /// Tries out what a fork is used with in a zone of these settings.
    fn check(&self, fork: &Fork, settings: &Settings) -> Result<()> {
        let Some(Trials { size, tried, told, events, cancel }) = &self.trials else { return Ok(()) };
        fork.encoder.identity.check_size(size.0, size.1)?;
        for (purpose, list) in fork.lists(settings.metric.enable, &self.color)? {
            if purpose == Purpose::Probing {
                self.check_bits(list.bits())?;
            } else if settings.metric.enable && settings.model.calibrate.is_some_and(|scenes| scenes > 0) {
                self.check_calibration_bits(list.bits())?;
            }
            let like = (fork.encoder.identity.path.clone(), list);
            if lock(tried).contains(&like) {
                continue;
            }
            preflight(&fork.encoder, &[(&format!("{} parameters", purpose.key()), &like.1)], cancel)?;
            let mut told = lock(told);
            like.1
                .notes
                .iter()
                .filter(|note| told.insert((*note).clone()))
                .for_each(|note| events.note(note));
            lock(tried).push(like);
        }
        fork.check_crfs(settings)
    }

    /// The encoder that a rule names in a zone.
    fn fork(&self, zone: usize, settings: &Settings, name: &str) -> Result<Arc<Fork>> {
        let key = (zone, name.to_owned());
        if let Some(known) = lock(&self.named).get(&key) {
            return Ok(Arc::clone(known));
        }
        let fork = Arc::new(self.start(settings.encoder_named(name))?);
        self.check(&fork, settings)?;
        Ok(Arc::clone(lock(&self.named).entry(key).or_insert(fork)))
    }

    /// The zone's own encoder.
    pub fn own(&self, zone: usize) -> &Arc<Fork> {
        &self.own[zone]
    }

    /// All that were opened, those of the zones first.
    fn forks(&self) -> Vec<Arc<Fork>> {
        self.own.iter().cloned().chain(lock(&self.named).values().cloned()).collect()
    }

    /// What makes a scene's probes.
    pub fn prober(&self, scene: &PlannedScene<'_>, luma: &LumaStats) -> Result<Arc<Fork>> {
        let rules = &self.rules[scene.zone];
        if scene.settings.dynamic.probing_encoder.is_none() {
            return Ok(Arc::clone(self.own(scene.zone)));
        }
        match rules.probing_encoder(&scene.facts(luma))? {
            Some(Named::Svt(name)) => self.fork(scene.zone, scene.settings, &name),
            _ => Ok(Arc::clone(self.own(scene.zone))),
        }
    }

    /// The same for all scenes.
    pub fn probers(&self, planned: &[PlannedScene<'_>], luma: &LumaStats) -> Result<Vec<Arc<Fork>>> {
        planned.iter().map(|scene| self.prober(scene, luma)).collect()
    }

    /// What makes a scene's final encode at `crf`.
    pub fn coded(&self, scene: &PlannedScene<'_>, facts: &SceneFacts, crf: f64) -> Result<Coded> {
        Ok(match self.rules[scene.zone].encoder(facts, crf)? {
            None => Coded::Svt(Arc::clone(self.own(scene.zone))),
            Some(Named::Svt(name)) => Coded::Svt(self.fork(scene.zone, scene.settings, &name)?),
            Some(Named::Av1an(name)) => Coded::Other(name),
        })
    }

    /// Asks the rules for the encoders of all scenes, so that a program which is not
    /// there is found before the first probe; those that depend on the CRF are asked for the
    /// middle of its range. `only_ours`: others than SVT-AV1 are an error.
    pub fn rehearse(&self, planned: &[PlannedScene<'_>], luma: &LumaStats, only_ours: bool) -> Result<()> {
        for scene in planned {
            self.prober(scene, luma)?;
            let metric = &scene.settings.metric;
            let crf = if metric.enable { metric.min_crf.midpoint(metric.max_crf) } else { metric.base_crf };
            let coded = self.coded(scene, &scene.facts(luma), crf)?;
            if let (Coded::Other(name), true) = (coded, only_ours) {
                bail!(
                    "scene {}: dynamic.encoder says {name}: encode --boost encodes with SVT-AV1 alone; boost \
                     first, then encode the scenes file with av1an",
                    scene.index
                );
            }
        }
        Ok(())
    }

    fn check_bits(&self, bits: u8) -> Result<()> {
        if bits != self.bits {
            bail!(
                "--input-depth {} and {bits}: the probing parameters of all zones and encoders must have the \
                 same depth",
                self.bits
            );
        }
        Ok(())
    }

    /// The words of a probe encode.
    pub fn probe_words(
        &self,
        scene: &PlannedScene<'_>,
        fork: &Fork,
        crf: f64,
        luma: &LumaStats,
    ) -> Result<Vec<String>> {
        let facts = scene.facts(luma);
        let words = self.rules[scene.zone].probing_params(&facts, crf, &fork.family()?.probing)?;
        Ok(fork.probing_list(&words, &self.color)?.words(&fork.encoder, crf))
    }

    /// The words of an encode of the scene as the final one would be at this CRF,
    /// without what a metric would count as damage.
    pub fn calibration_words(
        &self,
        scene: &PlannedScene<'_>,
        fork: &Fork,
        crf: f64,
        luma: &LumaStats,
    ) -> Result<Vec<String>> {
        let (facts, rules) = (scene.facts(luma), &self.rules[scene.zone]);
        let preset = rules.final_preset(&facts, crf, fork.settings.final_preset)?;
        let words = rules.final_params(&facts, crf, &fork.family()?.final_)?;
        let list = fork.final_list(&without_grain(&words), preset, &self.color)?;
        self.check_calibration_bits(list.bits())?;
        Ok(list.words(&fork.encoder, crf))
    }

    /// How much more work the final encode of a scene that `fork` probes has than a probe,
    /// as far as it can be told before; `None` where the two cannot be compared: another
    /// encoder may make it, or it is fed with another depth.
    pub fn work_ratio(&self, settings: &Settings, fork: &Fork) -> Option<f64> {
        let comparable = settings.dynamic.one_encoder() && self.check_final_bits(fork).is_ok();
        let work = |preset| fork.encoder.identity.work(preset);
        comparable.then(|| work(fork.settings.final_preset) / work(fork.settings.probing_preset))
    }

    /// The work of the final encode by that of a probe, where the clip begins and no rule
    /// says otherwise.
    pub fn usual_work(&self) -> f64 {
        let fork = self.own(0);
        let work = |preset| fork.encoder.identity.work(preset);
        work(fork.settings.final_preset) / work(fork.settings.probing_preset)
    }

    /// An error unless the final encode is fed with the depth that is measured.
    pub fn check_final_bits(&self, fork: &Fork) -> Result<()> {
        let words = &fork.family()?.final_;
        let bits = fork.final_list(words, fork.settings.final_preset, &self.color)?.bits();
        if bits != self.bits {
            bail!(
                "--input-depth {bits} in the final parameters, {} in those of the probes: encode --boost compares \
                 the two, so they must be the same",
                self.bits
            );
        }
        Ok(())
    }

    /// The same for all encoders that are known.
    pub fn check_all_final_bits(&self) -> Result<()> {
        self.forks().iter().try_for_each(|fork| self.check_final_bits(fork))
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

    /// The scene's `video_params`.
    pub fn final_words(
        &self,
        scene: &PlannedScene<'_>,
        coded: &Coded,
        crf: f64,
        preset: i32,
        facts: &SceneFacts,
    ) -> Result<Vec<String>> {
        let rules = &self.rules[scene.zone];
        match coded {
            Coded::Svt(fork) => {
                let words = rules.final_params(facts, crf, &fork.family()?.final_)?;
                let mut words = fork.final_list(&words, preset, &self.color)?.words(&fork.encoder, crf);
                words.extend(fork.mark()?);
                Ok(words)
            }
            // Another encoder takes none of our words: the rule writes them all.
            Coded::Other(name) => {
                let words = rules.final_params(facts, crf, &[])?;
                if words.is_empty() {
                    bail!(
                        "scene {}: dynamic.encoder says {name}, so dynamic.final_params must give all its \
                         parameters",
                        scene.index
                    );
                }
                Ok(words)
            }
        }
    }

    /// Whether any encoder that is known takes steps of 0.25.
    pub fn have_quarter_steps(&self) -> bool {
        self.forks().iter().any(|fork| fork.encoder.capabilities.quarter_steps)
    }

    /// All programs that were opened, that of scenes outside all zones as `None`.
    pub fn programs(&self) -> Vec<(Option<PathBuf>, Encoder)> {
        let named = |(name, encoder): (&PathBuf, &Encoder)| {
            let path = &encoder.identity.path;
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            ((*name != self.usual).then_some(path), encoder.clone())
        };
        lock(&self.opened).iter().map(named).collect()
    }

    /// Whether each encoder that is known takes ROI maps.
    pub fn have_roi(&self) -> bool {
        self.forks().iter().all(|fork| fork.encoder.capabilities.roi_map)
    }

    /// What the encoders of the zones are and how they are fed, for keys.
    pub fn identity(&self) -> Fingerprint {
        let forks: BTreeSet<String> = self.forks().iter().map(|fork| fork.identity().to_string()).collect();
        Fingerprint::of(&(forks, self.feed()))
    }

    /// How encoders are fed, for the keys of encodes.
    pub fn feed(&self) -> Fingerprint {
        Fingerprint::of(&(self.bits, &self.color))
    }

    /// A sentence for each encoder, for people.
    pub fn describe(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for line in self.forks().iter().map(|fork| fork.describe()) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

/// Nothing is left half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where what is known about encoders is kept between runs.
fn cache_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "progression-boost")?;
    Some(folders.cache_dir().join("encoders"))
}
