//! Validated settings, one struct a stage. Stages take these and nothing that
//! was typed; they serialise so that results can be keyed by what made them, and
//! so that what a scenes file was made with can be read again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::SceneSettings;

/// Everything that may differ from zone to zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub scenes: SceneSettings,
    pub encoder: EncoderSettings,
    /// Those that rules may name, by name; each with what it does not say taken from `encoder`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encoders: BTreeMap<String, EncoderSettings>,
    pub metric: MetricSettings,
    pub model: ModelSettings,
    pub character: CharacterSettings,
    pub output: FinalSettings,
    pub dynamic: DynamicRules,
}

/// A part of the clip and the settings that hold there. A list of zones is in
/// order and covers the clip exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Name of the `[zones.NAME]` table or preset; `None` outside all zones.
    pub name: Option<String>,
    /// Frames, end exclusive.
    pub frames: Range<usize>,
    pub settings: Settings,
}

impl Settings {
    /// The settings of every encoder that a scene may have.
    pub fn every_encoder(&mut self) -> impl Iterator<Item = &mut EncoderSettings> {
        std::iter::once(&mut self.encoder).chain(self.encoders.values_mut())
    }

    /// The encoder that a rule names: an entry of `[encoders]`, else the zone's with
    /// `name` as its program.
    pub fn encoder_named(&self, name: &str) -> EncoderSettings {
        let by_path = || EncoderSettings { program: PathBuf::from(name), ..self.encoder.clone() };
        self.encoders.get(name).cloned().unwrap_or_else(by_path)
    }
}

/// The encoder and its parameters (spec 02, 09).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderSettings {
    /// File name or path of the encoder; looked up on the PATH.
    pub program: PathBuf,
    pub probing_preset: i32,
    pub final_preset: i32,
    /// SVT-AV1's level of parallelism for one process.
    pub lp: usize,
    /// Encoder processes at once; `None`: logical CPUs / `lp`, at least 1.
    pub workers: Option<usize>,
    /// Options, with or without dashes, that the final encode may have otherwise
    /// than the probes, because they are slow.
    pub slow_options: Vec<String>,
    /// Parameter lists by encoder family; the found family's list is used.
    pub params: BTreeMap<EncoderFamily, FamilyParams>,
}

/// Kinds of SVT-AV1 that need different parameter lists.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    VariantNames,
    IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum EncoderFamily {
    Mainline,
    /// SVT-AV1-PSY and PSYEX.
    Psyex,
    Hdr,
    Essential,
    /// A fork we do not know: the options it lists decide.
    Other,
}

/// Command-line words, without CRF, preset, `--lp` and colour flags.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FamilyParams {
    pub probing: Vec<String>,
    #[serde(rename = "final")]
    pub final_: Vec<String>,
    /// The user gave `probing`: an option the encoder does not know is an
    /// error, where one of ours is dropped with a note.
    pub probing_by_user: bool,
    /// The same for `final_`.
    pub final_by_user: bool,
}

/// What is measured and how it becomes a target (spec 03).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSettings {
    pub enable: bool,
    pub metric: Metric,
    pub backend: MetricBackend,
    pub pooling: Pooling,
    /// What [`Pooling::Percentile`] holds when it is asked for, 0 to 100.
    pub percentile: f64,
    /// Pooled score wanted for every scene.
    pub target: f64,
    /// How much less is asked of scenes in which everything moves; 0 for nothing.
    pub panning_rejection: f64,
    /// Brightness of the display in cd/m², Butteraugli only.
    pub intensity: f64,
    pub crop: Crop,
    pub min_crf: f64,
    pub max_crf: f64,
    /// CRF of a scene whose scores contradict each other; `None`: `min_crf + 3`.
    pub unreliable_crf: Option<f64>,
    /// CRF of every scene when `enable` is false.
    pub base_crf: f64,
    pub mix: MixCoefficients,
    /// For [`Pooling::Mean`].
    pub tail: Tail,
    /// For [`Pooling::Mean`].
    pub sample: Sampling,
    /// For the other poolings.
    pub frames: FrameSelection,
    /// A matter of the machine, not of what is measured.
    #[serde(skip)]
    pub devices: Devices,
}

/// What a metric on GPUs works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// By the numbers that the plugin gives them; scenes are spread over them.
    pub gpus: Vec<u32>,
    /// Frames at once on each, at most; `None`: as many as usual.
    pub streams: Option<usize>,
}

impl Default for Devices {
    fn default() -> Self {
        Self { gpus: vec![0], streams: None }
    }
}

impl MetricSettings {
    /// Gives the pooling its percentile, which is a key of its own.
    pub(super) fn settle(&mut self) {
        if let Pooling::Percentile(percentile) = &mut self.pooling {
            *percentile = self.percentile;
        }
    }
}

/// What of the picture is left out of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// The black bars that the analysis finds.
    Auto,
    /// Pixels at [left, right, top, bottom].
    #[serde(untagged)]
    Sides([usize; 4]),
}

/// Per-frame score (spec 03).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    VariantNames,
    IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Metric {
    #[serde(rename = "butteraugli-3norm")]
    #[strum(serialize = "butteraugli-3norm")]
    Butteraugli3Norm,
    ButteraugliMeanMix,
    ButteraugliMaxMix,
    Ssimu2,
}

impl Metric {
    /// Butteraugli counts distortion, SSIMULACRA2 quality.
    pub fn higher_is_better(self) -> bool {
        self == Self::Ssimu2
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, EnumString, VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum MetricBackend {
    /// Vship when it works, else native.
    Auto,
    Vship,
    Native,
    Vszip,
    Ffvship,
}

/// From the frames of a scene to one score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all frames with the worst share of them (spec 11),
    /// estimated from a representative sample.
    Mean,
    Worst,
    /// The mean of the frames that [`FrameSelection`] picks, with a term for
    /// outliers, as Progression Boost has it (spec 03).
    ReferenceMean,
    /// The mean over the curve through the picked frames but for the best ones,
    /// made worse by how much it deviates, as in December 2025 (spec 10).
    TrimmedMean,
    /// The value that this percentage of the frames is worse than, 0 to 100.
    Percentile(f64),
}

/// Coefficients of the Butteraugli mixes: `n3 + max(0, mean_inf·inf − mean_n3·n3)`
/// and `n3 + max(0, max_inf·inf − max_n3·n3)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MixCoefficients {
    pub mean_inf: f64,
    pub mean_n3: f64,
    pub max_inf: f64,
    pub max_n3: f64,
}

impl Default for MixCoefficients {
    fn default() -> Self {
        Self { mean_inf: 0.030, mean_n3: 0.30, max_inf: 0.027, max_n3: 0.0 }
    }
}

/// How much the worst frames count (spec 11).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// τ: what the mean of the worst share weighs against that of all frames, 0 to 1.
    pub weight: f64,
    /// The worst share, of 1.
    pub share: f64,
}

/// The representative sample of a scene's frames (spec 11).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Frames measured at first.
    pub frames: usize,
    /// Frames measured when that is not precise enough.
    pub most_frames: usize,
    /// Standard error that is precise enough, in the metric's unit; `None`: by metric.
    pub precision: Option<f64>,
    /// What frames count that repeat the one before.
    pub repeats: Repeats,
}

/// Frames whose picture repeats the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Repeats {
    /// They count like all others.
    Count,
    /// They count nothing, because nothing new is seen.
    Skip,
}

/// How many frames of a scene are measured and which (spec 03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSelection {
    /// Peaks of the smoothed difference (spec 10).
    pub peak_frames: usize,
    pub highest_diff_frames: usize,
    pub highest_diff_min_separation: usize,
    pub highest_probing_diff_frames: usize,
    pub upper_bracket_frames: usize,
    pub bracket_min_separation: usize,
    pub lower_bracket_frames: usize,
    pub upper_bracket_fallback_frames: usize,
    pub first_frame: bool,
    pub last_frame: bool,
}

/// How scores become a CRF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ModelKind {
    /// Two probes and a straight line in quantiser steps.
    Reference,
    /// The same with the corrections for slower final presets of December 2025.
    #[serde(rename = "reference-2025")]
    #[strum(serialize = "reference-2025")]
    Reference2025,
    /// One to three probes, placed by the first score and the slopes of pilot scenes.
    Adaptive,
}

/// From scores to a CRF (spec 02).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSettings {
    pub kind: ModelKind,
    /// Scenes that are also encoded as in the final encode; 0 = none, `None`: as
    /// many as are worth their time.
    pub calibrate: Option<usize>,
    /// How near to the target a score is near enough, in its own unit, for
    /// [`ModelKind::Adaptive`]; `None`: by metric.
    pub tolerance: Option<f64>,
    /// CRF of the pilots' first probes of [`ModelKind::Adaptive`]; `None`: by
    /// metric and target.
    pub first_crf: Option<f64>,
}

/// Character Boost (spec 04).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CharacterSettings {
    pub enable: bool,
    pub backend: CharacterBackend,
    /// CRF-scale strength of the ROI map; 0 = no map.
    pub roi_boost_max: f64,
    pub crf_boost_max: f64,
    /// 0 or 1, the curve from coverage to boost.
    pub crf_curve: u8,
    pub motion_boost_max: f64,
    pub model: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CharacterBackend {
    Auto,
    Trt,
    OrtCuda,
    Ort,
    Ov,
    Ncnn,
}

/// How an input that is no script is opened; the same for the whole clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSettings {
    pub provider: SourceProvider,
}

/// The VapourSynth plugin that reads video files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum SourceProvider {
    /// The first of the others that is installed.
    Auto,
    Bestsource,
    Lsmash,
    Ffms2,
}

/// What the final encode gets besides the CRF.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalSettings {
    /// Lowest CRF written, after all boosts.
    pub min_crf: f64,
    /// av1an's photon noise strength, 1 to 64, hundreds of ISO; `None` = off.
    pub photon_noise: Option<u32>,
    pub photon_noise_height: Option<u32>,
    pub photon_noise_width: Option<u32>,
    pub chroma_noise: bool,
}

/// Expressions evaluated per scene (spec 05, 10); `None` = no rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DynamicRules {
    pub crf: Option<String>,
    pub final_preset: Option<String>,
    pub final_params: Option<String>,
    pub probing_params: Option<String>,
    pub photon_noise: Option<String>,
    pub encoder: Option<String>,
    pub probing_encoder: Option<String>,
}

impl DynamicRules {
    /// Whether the probes of a scene and its final encode are certain to have the same encoder.
    pub fn one_encoder(&self) -> bool {
        self.encoder == self.probing_encoder
    }
}
