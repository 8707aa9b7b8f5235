//! The complete argument list of an encode, checked against the encoder.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::capabilities::Encoder;
use super::color;
use crate::options::{
    Coder, EncoderOption, Options, Origin, Use, check_number, did_you_mean, is_grain, reserved,
};
use crate::settings;
use crate::source::ColorInfo;

/// What an encode is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Probing,
    Final,
}

impl Purpose {
    /// For messages: the key of the preset that sets the parameters.
    pub fn key(self) -> &'static str {
        match self {
            Self::Probing => "probing",
            Self::Final => "final",
        }
    }

    /// Which of the preset's lists it takes its words from.
    fn list(self) -> Use {
        match self {
            Self::Probing => Use::Probing,
            Self::Final => Use::Final,
        }
    }
}

/// What a [`ParameterList`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub purpose: Purpose,
    pub preset: i32,
    pub lp: usize,
    /// Words of the family's list, without CRF, preset and `--lp`.
    pub words: &'a [String],
    /// The user wrote them: an unknown option that is in no shipped list is an
    /// error, not a note.
    pub by_user: bool,
    pub color: &'a ColorInfo,
}

/// Everything but the CRF: it alone differs from scene to scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterList {
    preset: i32,
    lp: usize,
    options: Options,
    bits: u8,
    /// What was left out and why, one sentence each.
    pub notes: Vec<String>,
}

/// Depth of an encode whose list has no `--input-depth`.
const DEFAULT_DEPTH: &str = "10";

impl ParameterList {
    /// Puts the list together. Errors name the option and what to do about it.
    pub fn new(encoder: &Encoder, request: &Request<'_>) -> Result<Self> {
        let key = request.purpose.key();
        encoder.check_preset(&format!("encoder.{key}_preset"), request.preset)?;
        let mut notes = Vec::new();
        let options = accepted(encoder, request, &mut notes)
            .with_context(|| format!("{key} parameters `{}`", shell_words::join(request.words)))?;
        let mut list = Self { preset: request.preset, lp: request.lp, options, bits: 0, notes };
        list.bits = list.depth()?;
        list.add_color(encoder, request.color);
        Ok(list)
    }

    /// The words of an encode at `crf`: av1an's `video_params`, and what
    /// [`super::EncodeJob::params`] takes.
    pub fn words(&self, encoder: &Encoder, crf: f64) -> Vec<String> {
        let mut words = self.base(encoder, crf);
        words.extend(self.options.iter().flat_map(EncoderOption::words));
        words
    }

    /// The words that every list has.
    pub(super) fn base(&self, encoder: &Encoder, crf: f64) -> Vec<String> {
        [
            ("--crf", encoder.crf_text(crf)),
            ("--preset", self.preset.to_string()),
            ("--lp", self.lp.to_string()),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect()
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    pub fn preset(&self) -> i32 {
        self.preset
    }

    /// Bits per sample that the encoder is to be fed with, 8 or 10.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Reads the depth, which is always said to the encoder.
    fn depth(&mut self) -> Result<u8> {
        let option = Coder::SvtAv1.depth_option();
        if self.options.value(option).is_none() {
            self.options.set_ours(option, DEFAULT_DEPTH);
        }
        match self.options.value(option) {
            Some("8") => Ok(8),
            Some("10") => Ok(10),
            other => bail!("{option} {}: must be 8 or 10", other.unwrap_or_default()),
        }
    }

    /// What the user wrote about colour stays; the clip says the rest.
    fn add_color(&mut self, encoder: &Encoder, color: &ColorInfo) {
        let (flags, notes) = color::flags(color);
        self.notes.extend(notes);
        for (option, value) in flags {
            if self.options.get(option).is_some() {
                continue;
            }
            if encoder.identity.has(option) {
                self.options.set_ours(option, value);
            } else {
                self.notes.push(format!("{} has no {option}; left out", encoder.identity.version));
            }
        }
    }
}

/// Who asked for `option`: of a user's list only what no shipped list has is
/// the user's; the rest was inherited or copied.
fn origin(encoder: &Encoder, request: &Request<'_>, option: &EncoderOption) -> Origin {
    let used = request.purpose.list();
    if request.by_user && !settings::is_shipped(encoder.identity.family, used, option) {
        Origin::User
    } else {
        Origin::Ours
    }
}

/// The options the encoder can be given; what of ours it does not know becomes a note.
fn accepted(encoder: &Encoder, request: &Request<'_>, notes: &mut Vec<String>) -> Result<Options> {
    let identity = &encoder.identity;
    let mut kept = Options::default();
    let mut unknown = Vec::new();
    let options = Options::parse_strictly(request.words, Origin::User)?;
    reserved::check(Coder::SvtAv1, Use::Boosting, &options)?;
    for option in options.iter() {
        let origin = origin(encoder, request, option);
        let name = option.name.as_str();
        if !identity.has(name) {
            if origin == Origin::User {
                let near = did_you_mean(name, identity.options.iter().map(String::as_str));
                bail!("{name}: {} does not know it{near}", identity.version);
            }
            unknown.push(option.to_string());
        } else if request.purpose == Purpose::Probing && is_grain(name) {
            notes.push(format!("{option} is left out of the probes: film grain cannot be measured"));
        } else {
            check_number(option)?;
            kept.push(EncoderOption { origin, ..option.clone() });
        }
    }
    if !unknown.is_empty() {
        notes.push(format!("{} does not know {}; left out", identity.version, unknown.join(", ")));
    }
    Ok(kept)
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
