//! The words of every encode: the encoder, its parameters by zone and the
//! dynamic rules, checked before any work is done.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::plan::PlannedScene;
use crate::analysis::LumaStats;
use crate::encoder::{Encoder, ParameterList, Purpose, Request, preflight};
use crate::options::without_grain;
use crate::settings::dynamic::{Rules, SceneFacts};
use crate::settings::{FamilyParams, Settings, Zone};
use crate::source::{Clip, ColorInfo};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// The encoder with everything that decides an encode's words.
pub struct Encoding {
    pub encoder: Encoder,
    /// Bits per sample that probes are fed with.
    pub bits: u8,
    /// By zone.
    pub rules: Vec<Rules>,
    color: ColorInfo,
}

/// An [`Encoding`] as it is kept: all that the encoder was asked, and no need to ask again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub encoder: Encoder,
    pub bits: u8,
    pub color: ColorInfo,
}

impl Encoding {
    pub fn record(&self) -> Recorded {
        Recorded { encoder: self.encoder.clone(), bits: self.bits, color: self.color.clone() }
    }

    /// For other settings of the same clip and encoder, which need no trial: their
    /// parameter lists are those that were tried.
    pub fn recorded(recorded: &Recorded, zones: &[Zone]) -> Result<Self> {
        let rules = zones.iter().map(|z| Rules::compile(&z.settings.dynamic)).collect::<Result<_>>()?;
        let Recorded { encoder, bits, color } = recorded.clone();
        let encoding = Self { encoder, bits, rules, color };
        zones.iter().try_for_each(|zone| encoding.check_crfs(&zone.settings))?;
        Ok(encoding)
    }

    /// Finds the encoder and tries the parameter lists of all zones on it.
    pub fn open(zones: &[Zone], clip: &Clip, events: &Events, cancel: &Cancel) -> Result<Self> {
        let stage = events.stage("Checking the encoder", 0, "trials");
        let program = &zones[0].settings.encoder.program;
        let encoder = Encoder::open(program, cache_folder().as_deref(), cancel)?;
        encoder.identity.check_size(clip.info().width, clip.info().height)?;
        let rules = zones.iter().map(|z| Rules::compile(&z.settings.dynamic)).collect::<Result<Vec<_>>>()?;
        let mut encoding = Self { encoder, bits: 10, rules, color: clip.color()?.clone() };
        let mut tried: Vec<ParameterList> = Vec::new();
        let mut notes = BTreeSet::new();
        for zone in zones {
            let lists = encoding.zone_lists(&zone.settings)?;
            for (purpose, list) in lists {
                if purpose == Purpose::Probing {
                    encoding.agree_on_bits(list.bits(), tried.is_empty())?;
                } else if zone.settings.metric.enable
                    && zone.settings.model.calibrate.is_some_and(|scenes| scenes > 0)
                {
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

    pub(super) fn family<'a>(&self, settings: &'a Settings) -> Result<&'a FamilyParams> {
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
        let facts = scene.facts(luma);
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
        let (facts, rules) = (scene.facts(luma), &self.rules[scene.zone]);
        let preset = rules.final_preset(&facts, crf, scene.settings.encoder.final_preset)?;
        let words = rules.final_params(&facts, crf, &self.family(scene.settings)?.final_)?;
        let list = self.final_list(scene.settings, &without_grain(&words), preset)?;
        self.check_calibration_bits(list.bits())?;
        Ok(list.words(&self.encoder, crf))
    }

    /// How much more work the final encode has than a probe, as far as it can be told
    /// before; `None` where the two cannot be compared: another encoder may make it, or it
    /// is fed with another depth.
    pub fn work_ratio(&self, settings: &Settings) -> Option<f64> {
        let comparable = settings.dynamic.encoder.is_none() && self.check_final_bits(settings).is_ok();
        let work = |preset| self.encoder.identity.work(preset);
        comparable.then(|| work(settings.encoder.final_preset) / work(settings.encoder.probing_preset))
    }

    /// An error unless the final encode is fed with the depth that is measured.
    pub fn check_final_bits(&self, settings: &Settings) -> Result<()> {
        let words = &self.family(settings)?.final_;
        let bits = self.final_list(settings, words, settings.encoder.final_preset)?.bits();
        if bits != self.bits {
            bail!(
                "--input-depth {bits} in the final parameters, {} in those of the probes: encode --boost compares \
                 the two, so they must be the same",
                self.bits
            );
        }
        Ok(())
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

    /// What the encoder is and how it is fed, for the keys of its encodes: its
    /// file's hash and its version, not where it lies.
    pub fn identity(&self) -> Fingerprint {
        Fingerprint::of(&(
            &self.encoder.identity.hash,
            &self.encoder.identity.version,
            self.bits,
            &self.color,
        ))
    }

    /// One sentence for people.
    pub fn describe(&self) -> String {
        let identity = &self.encoder.identity;
        let steps = if self.encoder.capabilities.quarter_steps { "quarter-step" } else { "whole-number" };
        format!("encoder: {} at {}, {steps} CRF", identity.version, identity.path.display())
    }
}

/// Where what is known about encoders is kept between runs.
fn cache_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "progression-boost")?;
    Some(folders.cache_dir().join("encoders"))
}
