//! An installed encoder of either kind: what it knows, how it is called.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Coder;
use super::aomenc::{Aomenc, color_options};
use super::options::{EncoderOption, Options, Origin};
use crate::encoder::{EncodeError, Encoder, Stream, color_flags, encode_stream, y4m};
use crate::source::{ColorInfo, Picture};
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// Side of the blank frames of a trial; all versions encode this size.
const TRIAL_SIDE: usize = 64;
const TRIAL_FRAMES: usize = 2;
const TRIAL_LIMIT: Duration = Duration::from_mins(1);
/// How alike names must be to be suggested, of 1.
const SIMILAR: f64 = 0.8;

#[derive(Debug)]
pub enum Tool {
    Aom(Aomenc),
    SvtAv1(Encoder),
}

/// Options that are ours to set, by encoder, and why.
const RESERVED: [(Coder, &[&str], &str); 5] = [
    (Coder::Aom, &["-o", "--output", "--ivf", "--webm", "--obu"], "the files are ours"),
    (Coder::Aom, &["-p", "--passes", "--pass", "--fpf", "-c", "--cfg"], "chunks are encoded in one pass"),
    (
        Coder::Aom,
        &["-w", "--width", "-h", "--height", "-b", "--bit-depth", "--input-bit-depth", "--limit", "--skip"],
        "the clip says it; --bit-depth of `encode` chooses the depth",
    ),
    (Coder::SvtAv1, &["-b", "--output", "-i", "--input", "-c", "--config"], "the files are ours"),
    (
        Coder::SvtAv1,
        &[
            "-n",
            "--frames",
            "--skip",
            "-w",
            "--width",
            "-h",
            "--height",
            "--pass",
            "--passes",
            "--input-depth",
        ],
        "chunks are encoded whole, in one pass; --bit-depth of `encode` chooses the depth",
    ),
];

impl Tool {
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
                encoder.check_crf("--q", q)?;
                if (encoder.round_crf(q) - q).abs() > 1e-9 {
                    bail!(
                        "--q {q}: {} takes steps of {}",
                        self.version(),
                        if encoder.capabilities.quarter_steps { "0.25" } else { "1" }
                    );
                }
                options.set_ours("--crf", encoder.crf_text(q));
            }
        }
        Ok(())
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
            Self::SvtAv1(_) => color_flags(color),
        }
    }

    /// Leaves out what of ours the encoder does not know and returns it as
    /// notes; an error for what the user wrote.
    pub fn fit(&self, options: &mut Options) -> Result<Vec<String>> {
        let mut left_out = Vec::new();
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

    /// An error when `params`, as typed, has an option that is not the user's to set.
    pub fn check_reserved(&self, params: &Options) -> Result<()> {
        for option in params.iter() {
            let hit = |(coder, names, _): &&(Coder, &[&str], &str)| {
                *coder == self.coder() && names.contains(&option.name.as_str())
            };
            if let Some((_, _, why)) = RESERVED.iter().find(hit) {
                bail!("--params: {} cannot be a parameter: {why}", option.name);
            }
        }
        Ok(())
    }

    fn misfit(&self, option: &EncoderOption) -> Option<String> {
        match self {
            Self::Aom(aomenc) => aomenc.misfit(option),
            // Its help lists no short options, but it has some.
            Self::SvtAv1(_) if !option.name.starts_with("--") || self.has(&option.name) => None,
            Self::SvtAv1(_) => Some(format!("{} has no {}", self.version(), option.name)),
        }
    }

    fn nearest(&self, name: &str) -> String {
        let bare = |name: &str| name.trim_start_matches('-').to_owned();
        let likeness = |known: &str| strsim::jaro_winkler(&bare(known), &bare(name));
        let known: Vec<&str> = match self {
            Self::Aom(aomenc) => aomenc.option_names().collect(),
            Self::SvtAv1(encoder) => encoder.identity.options.iter().map(String::as_str).collect(),
        };
        let best = known
            .into_iter()
            .filter(|known| *known != name)
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match best {
            Some(best) if likeness(best) >= SIMILAR && !self.has(name) => format!(" (did you mean {best}?)"),
            _ => String::new(),
        }
    }

    /// The command line that encodes y4m from standard input to `output`.
    pub fn command(&self, options: &Options, output: &Path) -> Command {
        let words = options.words(self.coder());
        match self {
            Self::Aom(aomenc) => {
                let mut command = Command::new(&aomenc.path);
                command.args(["--ivf", "--quiet", "--passes=1"]).args(words).arg("-o").arg(output).arg("-");
                command
            }
            Self::SvtAv1(encoder) => {
                let mut command = Command::new(&encoder.identity.path);
                command.args(["-i", "stdin", "-b"]).arg(output).args(["--progress", "0"]).args(words);
                command
            }
        }
    }

    /// The stream header; aomenc learns the code range only from it.
    pub fn header(&self, format: y4m::Format, full_range: bool) -> String {
        let header = format.header();
        match self {
            Self::Aom(_) if full_range => header.trim_end().to_owned() + " XCOLORRANGE=FULL\n",
            _ => header,
        }
    }

    /// Encodes blank frames with `options`: an error says what the encoder refuses.
    pub fn try_out(&self, options: &Options, bits: u8, cancel: &Cancel) -> Result<()> {
        let folder = tempfile::Builder::new()
            .prefix("progression-boost-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let format = y4m::Format { width: TRIAL_SIDE, height: TRIAL_SIDE, bits, fps: (24, 1) };
        let stream = Stream {
            command: &|output| self.command(options, output),
            header: format.header(),
            format,
            output: &folder.path().join("trial.ivf"),
            stall: Some(TRIAL_LIMIT),
        };
        let (black, grey) = (16 << (bits - 8), 128 << (bits - 8));
        let blank = Arc::new(Picture::filled(TRIAL_SIDE, TRIAL_SIDE, bits, black, grey));
        let frames = (0..TRIAL_FRAMES).map(|_| Ok(Arc::clone(&blank)));
        match encode_stream(&stream, frames, cancel, |_| {}) {
            Ok(_) => Ok(()),
            Err(error) => match error.downcast::<EncodeError>()? {
                EncodeError::Refused { reason, failure } => bail!(
                    "{} does not take its parameters: {reason}\n  command: {}",
                    self.version(),
                    failure.command_line
                ),
                other => Err(other).with_context(|| format!("{} failed on a blank frame", self.version())),
            },
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
