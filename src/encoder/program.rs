//! An installed encoder of either kind: what it knows, how it is called.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::aomenc::{Aomenc, LAG, color_options};
use super::capabilities::Encoder;
use super::run::{EncodeError, Stream};
use super::trial::Trial;
use super::{color, y4m};
use crate::options::{Coder, EncoderOption, Options, Origin, check_number, did_you_mean};
use crate::source::ColorInfo;
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// Complete lists of slow presets on a busy machine.
const TRIAL_LIMIT: Duration = Duration::from_mins(1);

/// An encoder that chunks are encoded with.
#[derive(Debug)]
pub enum Program {
    Aom(Aomenc),
    SvtAv1(Encoder),
}

impl Program {
    /// Opens the encoder `program`, or the usual one; what an SvtAv1EncApp can
    /// do is remembered in `cache`.
    pub fn open(coder: Coder, program: Option<&Path>, cache: &Path, cancel: &Cancel) -> Result<Self> {
        let program = program.unwrap_or(Path::new(coder.program()));
        match coder {
            Coder::Aom => Ok(Self::Aom(Aomenc::open(program, cancel)?)),
            Coder::SvtAv1 => Ok(Self::SvtAv1(Encoder::open(program, Some(cache), cancel)?)),
        }
    }

    pub fn coder(&self) -> Coder {
        match self {
            Self::Aom(_) => Coder::Aom,
            Self::SvtAv1(_) => Coder::SvtAv1,
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Aom(aomenc) => &aomenc.path,
            Self::SvtAv1(encoder) => &encoder.identity.path,
        }
    }

    pub fn version(&self) -> &str {
        match self {
            Self::Aom(aomenc) => &aomenc.version,
            Self::SvtAv1(encoder) => &encoder.identity.version,
        }
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Aom(aomenc) => aomenc.has(name),
            Self::SvtAv1(encoder) => encoder.identity.has(name),
        }
    }

    /// Adds constant quality `q`, which must be one the encoder has.
    pub fn set_quality(&self, options: &mut Options, q: f64) -> Result<()> {
        match self {
            Self::Aom(_) => {
                if !(0.0..=63.0).contains(&q) || q.fract() != 0.0 {
                    bail!("--q {q}: aomenc takes whole numbers from 0 to 63");
                }
                options.set_ours("--end-usage", "q");
                options.set_ours("--cq-level", q.to_string());
            }
            Self::SvtAv1(encoder) => {
                check_step(encoder, "--q", q)?;
                options.set_ours("--crf", encoder.crf_text(q));
            }
        }
        Ok(())
    }

    /// An error when `params`, as typed, asks for a CRF that this encoder would
    /// cut down silently.
    pub fn check_quality(&self, params: &Options) -> Result<()> {
        match (self, params.value("--crf").and_then(|crf| crf.parse().ok())) {
            (Self::SvtAv1(encoder), Some(crf)) => check_step(encoder, "--params: --crf", crf),
            _ => Ok(()),
        }
    }

    /// A CRF that this encoder would cut down silently is rounded, with a note.
    pub fn round_quality(&self, options: &mut Options, events: &Events) {
        let Self::SvtAv1(encoder) = self else { return };
        let Some(EncoderOption { value: Some(text), origin, .. }) = options.get("--crf").cloned() else {
            return;
        };
        let rounded = match text.parse::<f64>() {
            Ok(crf) if (encoder.round_crf(crf) - crf).abs() > 1e-9 => encoder.crf_text(crf),
            _ => return,
        };
        events.warn(format!(
            "{} has no CRF {text}, scenes of that CRF get {rounded}; a newer SVT-AV1 has quarter steps",
            self.version()
        ));
        options.set("--crf", Some(rounded), origin);
    }

    /// The options that tell the encoder the clip's colour, and notes on what AV1 cannot carry.
    pub fn color_options(&self, color: &ColorInfo, bits: u8) -> (Vec<(&'static str, String)>, Vec<String>) {
        match self {
            Self::Aom(_) => color_options(color, bits),
            Self::SvtAv1(_) => color::flags(color),
        }
    }

    /// Leaves out what of ours the encoder does not know and returns it as
    /// notes; an error for what the user wrote.
    pub fn fit(&self, options: &mut Options) -> Result<Vec<String>> {
        let mut left_out = self.shorten_lag(options);
        let mut wrong = None;
        options.retain(|option| {
            let Some(why) = self.misfit(option) else { return true };
            if option.origin == Origin::User {
                wrong.get_or_insert(why + self.nearest(&option.name).as_str());
            } else {
                let value = option.value.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
                left_out.push(format!("{}{value}", option.name));
            }
            false
        });
        if let Some(wrong) = wrong {
            bail!(wrong);
        }
        Ok(left_out)
    }

    /// Less lookahead of ours where this aomenc has less, with a note.
    fn shorten_lag(&self, options: &mut Options) -> Vec<String> {
        let Self::Aom(Aomenc { max_lag: Some(most), .. }) = self else { return Vec::new() };
        let Some(option) = options.get(LAG).filter(|option| option.origin == Origin::Ours) else {
            return Vec::new();
        };
        let frames: Option<u32> = option.value.as_ref().and_then(|value| value.parse().ok());
        let Some(frames) = frames.filter(|frames| frames > most) else { return Vec::new() };
        options.set_ours(LAG, most.to_string());
        vec![format!("{LAG} {frames} (it gets {most})")]
    }

    fn misfit(&self, option: &EncoderOption) -> Option<String> {
        match self {
            Self::Aom(aomenc) => aomenc.misfit(option),
            // Its help lists no short options, but it has some.
            Self::SvtAv1(_) if option.name.starts_with("--") && !self.has(&option.name) => {
                Some(format!("{} has no {}", self.version(), option.name))
            }
            Self::SvtAv1(_) => check_number(option).err().map(|error| error.to_string()),
        }
    }

    fn nearest(&self, name: &str) -> String {
        match self {
            _ if self.has(name) => String::new(),
            Self::Aom(aomenc) => did_you_mean(name, aomenc.option_names()),
            Self::SvtAv1(encoder) => did_you_mean(name, encoder.identity.options.iter().map(String::as_str)),
        }
    }

    /// The encode of one chunk to `output` with `words`, which are [`Options::words`].
    pub fn stream<'a>(&'a self, words: &'a [String], format: y4m::Format, output: &'a Path) -> Stream<'a> {
        Stream {
            coder: self.coder(),
            program: self.path(),
            words,
            full_range: false,
            format,
            output,
            stall: None,
            nice: 0,
        }
    }

    /// Encodes blank frames with `options`: an error says what the encoder refuses.
    pub fn try_out(&self, options: &Options, bits: u8, cancel: &Cancel) -> Result<()> {
        let coder = self.coder();
        let trial = Trial::new(coder, self.path().to_path_buf(), bits, cancel)?.within(TRIAL_LIMIT);
        let Err(error) = trial.attempt(&options.words(coder)) else { return Ok(()) };
        match error.downcast::<EncodeError>()? {
            EncodeError::Refused { reason, failure } => bail!(
                "{} does not take its parameters: {reason}\n  command: {}",
                self.version(),
                failure.command_line
            ),
            other => Err(other).with_context(|| format!("{} failed on a blank frame", self.version())),
        }
    }

    /// An error when the encoder cannot encode pictures of this size.
    pub fn check_size(&self, width: usize, height: usize) -> Result<()> {
        match self {
            Self::Aom(_) => Ok(()),
            Self::SvtAv1(encoder) => encoder.identity.check_size(width, height),
        }
    }
}

/// An error when `crf`, which `key` asks for, is between the encoder's steps.
fn check_step(encoder: &Encoder, key: &str, crf: f64) -> Result<()> {
    encoder.check_crf(key, crf)?;
    if (encoder.round_crf(crf) - crf).abs() > 1e-9 {
        let step = if encoder.capabilities.quarter_steps { "0.25" } else { "1" };
        bail!("{key} {crf}: {} takes steps of {step}", encoder.identity.version);
    }
    Ok(())
}
