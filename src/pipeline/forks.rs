//! An encoder with the lists that go with it: a zone's, or another one that a rule names.

use anyhow::{Context, Result};

use crate::encoder::{Encoder, ParameterList, Purpose, Request};
use crate::model::Presets;
use crate::options::PROGRAM_MARK;
use crate::settings::{EncoderSettings, FamilyParams, Settings};
use crate::source::ColorInfo;
use crate::support::fingerprint::Fingerprint;

/// An opened program and the settings that it is used with.
#[derive(Debug)]
pub struct Fork {
    pub encoder: Encoder,
    pub settings: EncoderSettings,
    /// It is not the program of scenes outside all zones, so that its scenes say so.
    pub marked: bool,
}

impl Fork {
    /// Its family's lists.
    pub fn family(&self) -> Result<&FamilyParams> {
        let family = self.encoder.identity.family;
        self.settings
            .params
            .get(&family)
            .with_context(|| format!("the preset has no encoder parameters for {family:?} encoders"))
    }

    /// The list of a probe; `words` are the family's, or what a rule made of them.
    pub fn probing_list(&self, words: &[String], color: &ColorInfo) -> Result<ParameterList> {
        let params = self.family()?;
        let by_user = params.probing_by_user || words != params.probing;
        self.list(Purpose::Probing, self.settings.probing_preset, words, by_user, color)
    }

    /// The list of a final encode, likewise.
    pub fn final_list(&self, words: &[String], preset: i32, color: &ColorInfo) -> Result<ParameterList> {
        let params = self.family()?;
        let by_user = params.final_by_user || words != params.final_;
        self.list(Purpose::Final, preset, words, by_user, color)
    }

    /// The lists as they are without rules; that of probes only where there are any.
    pub fn lists(&self, probes: bool, color: &ColorInfo) -> Result<Vec<(Purpose, ParameterList)>> {
        let mut lists = Vec::new();
        if probes {
            lists.push((Purpose::Probing, self.probing_list(&self.family()?.probing, color)?));
        }
        let words = &self.family()?.final_;
        lists.push((Purpose::Final, self.final_list(words, self.settings.final_preset, color)?));
        Ok(lists)
    }

    fn list(
        &self,
        purpose: Purpose,
        preset: i32,
        words: &[String],
        by_user: bool,
        color: &ColorInfo,
    ) -> Result<ParameterList> {
        let lp = self.settings.lp;
        ParameterList::new(&self.encoder, &Request { purpose, preset, lp, words, by_user, color })
    }

    pub fn check_crfs(&self, settings: &Settings) -> Result<()> {
        let metric = &settings.metric;
        if metric.enable {
            self.encoder.check_crf("metric.max_crf", metric.max_crf)
        } else {
            self.encoder.check_crf("metric.base_crf", metric.base_crf)
        }
    }

    /// The presets that the final encode is compared with, where no rule says otherwise.
    pub fn presets(&self) -> Presets {
        Presets { probing: self.settings.probing_preset, final_: self.settings.final_preset }
    }

    /// What its encodes depend on besides their words: its file's hash and its version,
    /// not where it lies.
    pub fn identity(&self) -> Fingerprint {
        Fingerprint::of(&(&self.encoder.identity.hash, &self.encoder.identity.version))
    }

    /// The words that tell whoever encodes the scene which program it is for.
    pub fn mark(&self) -> Result<Vec<String>> {
        if !self.marked {
            return Ok(Vec::new());
        }
        let path = &self.encoder.identity.path;
        let path = std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        let path = path.to_str().with_context(|| {
            format!("{}: scenes.json is text, so this path must be valid Unicode", path.display())
        })?;
        Ok(vec![PROGRAM_MARK.to_owned(), path.to_owned()])
    }

    /// One sentence for people.
    pub fn describe(&self) -> String {
        let identity = &self.encoder.identity;
        let steps = if self.encoder.capabilities.quarter_steps { "quarter-step" } else { "whole-number" };
        format!("encoder: {} at {}, {steps} CRF", identity.version, identity.path.display())
    }
}
