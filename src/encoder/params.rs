//! The complete argument list of an encode, checked against the encoder.

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::capabilities::Encoder;
use super::color;
use crate::source::ColorInfo;

/// What an encode is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
}

/// What a [`ParameterList`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub purpose: Purpose,
    pub preset: i32,
    pub lp: usize,
    /// Words of the family's list, without CRF, preset and `--lp`.
    pub words: &'a [String],
    /// The user wrote them: an unknown option is an error, not a note.
    pub by_user: bool,
    pub color: &'a ColorInfo,
}

/// Everything but the CRF: it alone differs from scene to scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterList {
    preset: i32,
    lp: usize,
    flags: Vec<Flag>,
    bits: u8,
    /// What was left out and why, one sentence each.
    pub notes: Vec<String>,
}

/// An option and its value; a few options have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag {
    pub option: String,
    pub value: Option<String>,
}

impl Flag {
    pub fn words(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.option.clone()).chain(self.value.clone())
    }
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.option)?;
        self.value.iter().try_for_each(|value| write!(f, " {value}"))
    }
}

/// Depth of an encode whose list has no `--input-depth`.
const DEFAULT_DEPTH: &str = "10";

/// Options that are not the parameter list's, and where they belong.
const RESERVED: [(&[&str], &str); 9] = [
    (&["--crf", "--qp", "-q", "--cqp", "--quality"], "the CRF is what is searched for"),
    (&["--preset", "--speed"], "set encoder.probing_preset or encoder.final_preset"),
    (&["--lp"], "set encoder.lp"),
    (&["--rc", "--tbr", "--pass", "--passes", "--stats"], "only single-pass CRF can be boosted"),
    (&["--input", "-i", "--width", "-w", "--height", "-h"], "the frames come from the clip"),
    (&["--output", "-b", "--obu", "--ivf", "--config", "-c", "--errlog"], "the files are ours"),
    (&["--frames", "-n", "--n", "--skip", "--nb"], "every scene is encoded whole"),
    (&["--roi-map-file"], "frame numbers count from each scene's start; Character Boost writes the maps"),
    (&["--progress", "--no-progress", "--help", "--color-help", "--version"], "it encodes nothing"),
];

/// Grain is laid over the decoded picture: a metric would measure it as damage.
const GRAIN: [&str; 4] = ["--film-grain", "--film-grain-denoise", "--fgs-table", "--adaptive-film-grain"];

/// Options whose value is a number. SVT-AV1 1.4 silently reads anything else as 0.
const NUMERIC: [&str; 30] = [
    "--ac-bias",
    "--aq-mode",
    "--chroma-qm-max",
    "--chroma-qm-min",
    "--complex-hvs",
    "--enable-cdef",
    "--enable-dlf",
    "--enable-overlays",
    "--enable-qm",
    "--enable-restoration",
    "--enable-tf",
    "--enable-variance-boost",
    "--film-grain",
    "--film-grain-denoise",
    "--hierarchical-levels",
    "--input-depth",
    "--irefresh-type",
    "--lookahead",
    "--luminance-qp-bias",
    "--noise-norm-strength",
    "--psy-rd",
    "--qm-max",
    "--qm-min",
    "--scd",
    "--scm",
    "--sharpness",
    "--spy-rd",
    "--tile-columns",
    "--tile-rows",
    "--tune",
];

impl ParameterList {
    /// Puts the list together. Errors name the option and what to do about it.
    pub fn new(encoder: &Encoder, request: &Request<'_>) -> Result<Self> {
        let key = request.purpose.key();
        encoder.check_preset(&format!("encoder.{key}_preset"), request.preset)?;
        let mut notes = Vec::new();
        let flags = split(request.words)
            .and_then(|flags| accepted(encoder, request, flags, &mut notes))
            .with_context(|| format!("{key} parameters `{}`", shell_words::join(request.words)))?;
        let mut list = Self { preset: request.preset, lp: request.lp, flags, bits: 0, notes };
        list.bits = list.depth()?;
        list.add_color(encoder, request.color);
        Ok(list)
    }

    /// The words of an encode at `crf`: av1an's `video_params`, and what
    /// [`super::EncodeJob::params`] takes.
    pub fn words(&self, encoder: &Encoder, crf: f64) -> Vec<String> {
        let mut words = self.base(encoder, crf);
        words.extend(self.flags.iter().flat_map(Flag::words));
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

    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    pub fn preset(&self) -> i32 {
        self.preset
    }

    /// Bits per sample that the encoder is to be fed with, 8 or 10.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    fn value_of(&self, option: &str) -> Option<&str> {
        self.flags.iter().find(|flag| flag.option == option)?.value.as_deref()
    }

    /// Reads the depth, which is always said to the encoder.
    fn depth(&mut self) -> Result<u8> {
        if self.value_of("--input-depth").is_none() {
            let value = Some(DEFAULT_DEPTH.to_owned());
            self.flags.push(Flag { option: "--input-depth".to_owned(), value });
        }
        match self.value_of("--input-depth") {
            Some("8") => Ok(8),
            Some("10") => Ok(10),
            other => bail!("--input-depth {}: must be 8 or 10", other.unwrap_or_default()),
        }
    }

    /// What the user wrote about colour stays; the clip says the rest.
    fn add_color(&mut self, encoder: &Encoder, color: &ColorInfo) {
        let (flags, notes) = color::flags(color);
        self.notes.extend(notes);
        for (option, value) in flags {
            if self.flags.iter().any(|flag| flag.option == option) {
                continue;
            }
            if encoder.identity.has(option) {
                self.flags.push(Flag { option: option.to_owned(), value: Some(value) });
            } else {
                self.notes.push(format!("{} has no {option}; left out", encoder.identity.version));
            }
        }
    }
}

/// Groups words into options with their values. A word that begins with a dash
/// and no digit is an option.
fn split(words: &[String]) -> Result<Vec<Flag>> {
    let is_option = |word: &str| {
        word.strip_prefix('-')
            .and_then(|rest| rest.chars().next())
            .is_some_and(|c| c == '-' || c.is_alphabetic())
    };
    let mut flags: Vec<Flag> = Vec::new();
    for word in words {
        match flags.last_mut() {
            _ if is_option(word) => {
                if let Some((option, value)) = word.split_once('=') {
                    bail!("{word}: write `{option} {value}`, with a space");
                }
                if flags.iter().any(|flag| &flag.option == word) {
                    bail!("{word} is given twice");
                }
                flags.push(Flag { option: word.clone(), value: None });
            }
            Some(flag @ Flag { value: None, .. }) => flag.value = Some(word.clone()),
            _ => bail!("`{word}` belongs to no option"),
        }
    }
    Ok(flags)
}

/// The flags the encoder can be given; what of ours it does not know becomes a note.
fn accepted(
    encoder: &Encoder,
    request: &Request<'_>,
    flags: Vec<Flag>,
    notes: &mut Vec<String>,
) -> Result<Vec<Flag>> {
    let identity = &encoder.identity;
    let mut kept = Vec::new();
    let mut unknown = Vec::new();
    for flag in flags {
        let option = flag.option.as_str();
        if let Some((_, why)) = RESERVED.iter().find(|(options, _)| options.contains(&option)) {
            bail!("{option} cannot be a parameter: {why}");
        }
        if !identity.has(option) {
            if request.by_user {
                bail!("{option}: {} does not know it{}", identity.version, nearest(encoder, option));
            }
            unknown.push(flag.to_string());
        } else if request.purpose == Purpose::Probing && GRAIN.contains(&option) {
            notes.push(format!("{flag} is left out of the probes: film grain cannot be measured"));
        } else {
            check_number(&flag)?;
            kept.push(flag);
        }
    }
    if !unknown.is_empty() {
        notes.push(format!("{} does not know {}; left out", identity.version, unknown.join(", ")));
    }
    Ok(kept)
}

fn check_number(flag: &Flag) -> Result<()> {
    if !NUMERIC.contains(&flag.option.as_str()) {
        return Ok(());
    }
    match &flag.value {
        Some(value) if value.parse::<f64>().is_ok_and(f64::is_finite) => Ok(()),
        Some(value) => bail!("{} {value}: must be a number", flag.option),
        None => bail!("{} needs a value", flag.option),
    }
}

/// ` (did you mean …?)` when the encoder has an option of a similar name.
fn nearest(encoder: &Encoder, option: &str) -> String {
    const SIMILAR: f64 = 0.8;
    let likeness =
        |known: &&String| strsim::jaro_winkler(known.trim_start_matches('-'), option.trim_start_matches('-'));
    let best = encoder.identity.options.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|known| likeness(known) >= SIMILAR)
        .map_or_else(String::new, |known| format!(" (did you mean {known}?)"))
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
