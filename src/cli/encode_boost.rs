//! `encode --boost`: options of boosting for the command that makes the file.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::boost::parse_memory;
use super::files::{Files, Kind};
use super::input::{InputArgs, ZoneArgs};
use super::machine::DeviceArgs;
use crate::character::Options;
use crate::encode;
use crate::encoder::USUAL_STALL;
use crate::pipeline::{EncodeRequest, OnSceneFailure, Request, Tolerance};
use crate::score;
use crate::settings::{self, Resolved, Typed};
use crate::source::OpenOptions;

/// Share of the frames that may be encoded once more. Spec 11 has 15 %; a quarter keeps the whole
/// run below 1.15 times probing and encoding (docs/accuracy.md).
const MAX_REDO: f64 = 0.25;

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Boosting and encoding in one run")]
pub struct BoostArgs {
    /// Boost by this preset, a name or a TOML file, and encode, in one run
    #[arg(long, value_name = "PRESET")]
    boost: Option<String>,

    /// Score wanted for every scene (metric.target)
    #[arg(long, value_name = "SCORE", requires = "boost")]
    target: Option<String>,

    /// How far a chunk may be from its target before it is encoded again: in the metric's unit, or as
    /// a share of the target such as 4% [default: 0.5 for SSIMULACRA2, 2.5% for Butteraugli]
    #[arg(long, value_name = "SCORE|N%", requires = "boost", value_parser = parse_tolerance, hide_short_help = true)]
    tolerance: Option<Tolerance>,

    /// Share of the frames that may be encoded once more [default: 25%]
    #[arg(long, value_name = "N%", requires = "boost", value_parser = parse_percent, hide_short_help = true)]
    max_redo: Option<f64>,

    /// Override a key, such as metric.tail_weight=0; repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", requires = "boost")]
    sets: Vec<String>,

    /// SVT-AV1 preset of the probes (encoder.probing_preset)
    #[arg(long, value_name = "N", allow_hyphen_values = true, requires = "boost", hide_short_help = true)]
    probing_preset: Option<String>,

    /// SVT-AV1 preset of the final encode (encoder.final_preset)
    #[arg(long, value_name = "N", allow_hyphen_values = true, requires = "boost")]
    final_preset: Option<String>,

    /// Encoder parameters of the probes, instead of the preset's
    #[arg(
        long,
        value_name = "WORDS",
        allow_hyphen_values = true,
        requires = "boost",
        hide_short_help = true
    )]
    probing_params: Option<String>,

    /// Encoder parameters of the final encode, instead of the preset's
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, requires = "boost")]
    final_params: Option<String>,

    /// Cheap, unfiltered source of the same frames for statistics, scene detection and segmentation
    #[arg(long, value_name = "FILE", requires = "boost", hide_short_help = true)]
    analysis_input: Option<PathBuf>,

    /// Fast stand-in for the input, with like frames: probes are encoded from it and measured against it
    #[arg(long, value_name = "FILE", requires = "boost", hide_short_help = true)]
    probe_input: Option<PathBuf>,

    /// Memory for frames that wait to be scored, such as 4GiB [default: a quarter of the RAM]
    #[arg(long, value_name = "SIZE", requires = "boost", value_parser = parse_memory, hide_short_help = true)]
    memory: Option<u64>,

    /// Begin with what earlier titles taught, as in this file, and add to it
    #[arg(long, value_name = "FILE", requires = "boost", hide_short_help = true)]
    learned: Option<PathBuf>,

    #[command(flatten)]
    devices: DeviceArgs,

    #[command(flatten)]
    zones: ZoneArgs,
}

impl BoostArgs {
    pub fn is_given(&self) -> bool {
        self.boost.is_some()
    }

    /// Says which files are read.
    pub fn reads(&self, script: &InputArgs, files: &mut Files) {
        for (option, other) in
            [("--analysis-input", &self.analysis_input), ("--probe-input", &self.probe_input)]
        {
            if let Some(other) = other {
                script.reads(option, other, files);
            }
        }
        files.reads("--boost", &self.boost.as_ref().map(PathBuf::from));
        // It is read, too, and nothing but what was learned is replaced.
        files.writes("--learned", &self.learned, Kind::Guarded);
        self.zones.reads(files);
    }

    pub fn has_zones(&self) -> bool {
        self.zones.list().is_some()
    }

    /// The whole run: `encode` says how the file is made, `scenes` where its
    /// scenes file goes, `counts` are the threads of an encoder and the encoders at once.
    pub fn request(
        self,
        encode: encode::Request,
        metric: score::Opener,
        open: OpenOptions,
        scenes: PathBuf,
        counts: [Option<usize>; 2],
        program: Option<PathBuf>,
    ) -> Result<EncodeRequest> {
        let mut settings = self.resolve(counts, program)?;
        self.devices.put(&mut settings);
        let boost = Request {
            input: encode.input.clone(),
            open: OpenOptions { provider: settings.source.provider, ..open },
            analysis_input: self.analysis_input,
            probe_input: self.probe_input,
            output: scenes,
            folder: encode.work.join("probing"),
            settings,
            metric,
            segmentation: Options::default(),
            earlier: encode.earlier,
            learned: self.learned,
            keep_probes: false,
            nice: encode.nice,
            memory: self.memory,
            on_scene_failure: OnSceneFailure::Fail,
            stall: Some(USUAL_STALL),
            staged: false,
        };
        Ok(EncodeRequest {
            boost,
            encode,
            tolerance: self.tolerance,
            max_redo: self.max_redo.unwrap_or(MAX_REDO),
        })
    }

    fn resolve(&self, [lp, workers]: [Option<usize>; 2], program: Option<PathBuf>) -> Result<Resolved> {
        let mut typed: Vec<Typed> = self.sets.iter().map(|set| Typed::set(set)).collect();
        let program = match program {
            Some(path) => Some(path.to_str().context("--encoder-path must be valid Unicode")?.to_owned()),
            None => None,
        };
        let number = |count: Option<usize>| count.map(|count| count.to_string());
        for (flag, key, value) in [
            ("--target", "metric.target", self.target.clone()),
            ("--probing-preset", "encoder.probing_preset", self.probing_preset.clone()),
            ("--final-preset", "encoder.final_preset", self.final_preset.clone()),
            ("--encoder-path", "encoder.program", program),
            ("--threads", "encoder.lp", number(lp)),
            ("--max-parallel-encodes", "encoder.workers", number(workers)),
        ] {
            typed.extend(value.map(|value| Typed::flag(flag, key, &value)));
        }
        typed.extend(self.probing_params.as_ref().map(Typed::probing_params));
        typed.extend(self.final_params.as_ref().map(Typed::final_params));
        let (preset, zones) = (self.boost.clone(), self.zones.list());
        settings::resolve(&settings::Request { preset, typed, zones, ..settings::Request::default() })
    }
}

/// A number above 0, or a share of the target in per cent.
fn parse_tolerance(text: &str) -> Result<Tolerance> {
    let (number, share) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    match number.trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => {
            Ok(if share { Tolerance::OfTarget(value / 100.0) } else { Tolerance::Points(value) })
        }
        _ => bail!("{text}: must be a score such as 1.0, or a share such as 4%, above 0"),
    }
}

/// Per cent, with or without the sign, as a share of 0 to 1.
fn parse_percent(text: &str) -> Result<f64> {
    match text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value / 100.0),
        _ => bail!("{text}: must be 0% to 100%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_scores_or_shares() {
        assert_eq!(parse_tolerance("0.75").unwrap(), Tolerance::Points(0.75));
        assert_eq!(parse_tolerance("4%").unwrap(), Tolerance::OfTarget(0.04));
        for wrong in ["0", "-1", "%", "1x", "inf", "NaN%", ""] {
            assert!(parse_tolerance(wrong).is_err(), "{wrong}");
        }
        assert!((parse_percent("15%").unwrap() - 0.15).abs() < 1e-12);
        assert!((parse_percent("100").unwrap() - 1.0).abs() < 1e-12);
        for wrong in ["101%", "-1", "x", "NaN"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }
}
