//! Every key a preset may hold: its name, kind, range and the setting it is.
//! Units and effects are described where users read them, in
//! `presets/butteraugli-mean.toml`; a test holds the two together.

use std::collections::BTreeSet;
use std::path::PathBuf;

use strum::VariantNames;

use super::draft::Draft;
use super::names::{RANGES, SPLIT_RULES, pick, pick_range, pick_rules};
use super::{
    CharacterBackend, EncoderFamily, Metric, MetricBackend, ModelKind, Pooling, Repeats, SceneMethod,
};
use super::{Crop, FamilyParams, SourceProvider};

/// A key and what may be written there.
pub struct Key {
    /// `section.key`.
    pub path: &'static str,
    pub scope: Scope,
    pub kind: Kind,
}

/// Where a key may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// From zone to zone.
    Zone,
    /// From zone to zone; but it describes this computer and not the picture,
    /// so that a zone which names another preset does not take it from there.
    Machine,
    /// Nowhere: one value holds for the whole clip.
    Clip,
}

/// What a value may be, and the place in the draft it goes to. Ranges are
/// inclusive; `word` stands for "none".
pub enum Kind {
    Switch(fn(&mut Draft) -> &mut bool),
    Preset(fn(&mut Draft) -> &mut i32),
    Count(usize, usize, fn(&mut Draft) -> &mut usize),
    Curve(fn(&mut Draft) -> &mut u8),
    Number(f64, f64, fn(&mut Draft) -> &mut f64),
    OptionalCount(&'static str, usize, usize, fn(&mut Draft) -> &mut Option<usize>),
    OptionalStrength(&'static str, u32, u32, fn(&mut Draft) -> &mut Option<u32>),
    OptionalNumber(&'static str, f64, f64, fn(&mut Draft) -> &mut Option<f64>),
    /// One of the words; the setter returns false for any other.
    Choice(&'static [&'static str], fn(&mut Draft, &str) -> bool),
    Program(fn(&mut Draft) -> &mut PathBuf),
    /// A path, or `""` for none.
    File(fn(&mut Draft) -> &mut Option<PathBuf>),
    /// Pixels at [left, right, top, bottom], or "auto".
    Crop(fn(&mut Draft) -> &mut Crop),
    /// Command-line words for probes, of one encoder family.
    ProbingParams(EncoderFamily),
    FinalParams(EncoderFamily),
    /// Names with spaces between them.
    Names(fn(&mut Draft) -> &mut Vec<String>),
    /// An expression, or `""` for none.
    Rule(fn(&mut Draft) -> &mut Option<String>),
}

/// Lowest and highest preset of any SVT-AV1; the encoder found may have fewer.
pub const PRESETS: (i32, i32) = (-3, 13);
/// Highest CRF of any SVT-AV1; the encoder found may have fewer.
pub const MAX_CRF: f64 = 70.0;
/// Longest scene that can be asked for, in frames.
const MAX_SCENE: usize = 100_000;
/// Most frames of a kind that can be measured in a scene.
const MAX_FRAMES: usize = 1_000;
/// Most scenes that can be encoded to calibrate the model.
const MAX_CALIBRATED: usize = 1_000;
/// Widest and highest AV1 picture, in pixels.
pub const MAX_SIZE: usize = 65_536;

const fn zone(path: &'static str, kind: Kind) -> Key {
    Key { path, scope: Scope::Zone, kind }
}

const fn machine(path: &'static str, kind: Kind) -> Key {
    Key { path, scope: Scope::Machine, kind }
}

const fn clip(path: &'static str, kind: Kind) -> Key {
    Key { path, scope: Scope::Clip, kind }
}

pub const KEYS: &[Key] = &[
    clip("source.provider", Kind::Choice(SourceProvider::VARIANTS, |d, w| pick(&mut d.source.provider, w))),
    zone("scenes.method", Kind::Choice(SceneMethod::VARIANTS, |d, w| pick(&mut d.settings.scenes.method, w))),
    zone("scenes.range", Kind::Choice(RANGES, |d, w| pick_range(&mut d.settings.scenes.full_range, w))),
    zone("scenes.rules", Kind::Choice(SPLIT_RULES, |d, w| pick_rules(&mut d.settings.scenes.rules, w))),
    zone("scenes.extra_split", Kind::Count(2, MAX_SCENE, |d| &mut d.settings.scenes.extra_split)),
    zone("scenes.min_scene_len", Kind::Count(1, 1_000, |d| &mut d.settings.scenes.min_scene_len)),
    zone("scenes.target_split", Kind::Count(1, MAX_SCENE, |d| &mut d.settings.scenes.target_split)),
    clip("scenes.x264", Kind::Program(|d| &mut d.settings.scenes.x264)),
    zone("scenes.input_scenes", Kind::File(|d| &mut d.settings.scenes.input_scenes)),
    zone(
        "scenes.progressive.target_18",
        Kind::Count(1, MAX_SCENE, |d| &mut d.settings.scenes.progressive.target_18),
    ),
    zone(
        "scenes.progressive.target_12",
        Kind::Count(1, MAX_SCENE, |d| &mut d.settings.scenes.progressive.target_12),
    ),
    zone(
        "scenes.progressive.target_27",
        Kind::Count(1, MAX_SCENE, |d| &mut d.settings.scenes.progressive.target_27),
    ),
    zone(
        "scenes.progressive.still_0042",
        Kind::Count(1, MAX_SCENE, |d| &mut d.settings.scenes.progressive.still_0042),
    ),
    zone(
        "scenes.progressive.still_0012",
        Kind::Count(1, MAX_SCENE, |d| &mut d.settings.scenes.progressive.still_0012),
    ),
    machine("encoder.program", Kind::Program(|d| &mut d.settings.encoder.program)),
    zone("encoder.probing_preset", Kind::Preset(|d| &mut d.settings.encoder.probing_preset)),
    zone("encoder.final_preset", Kind::Preset(|d| &mut d.settings.encoder.final_preset)),
    machine("encoder.lp", Kind::Count(1, 64, |d| &mut d.settings.encoder.lp)),
    clip("encoder.workers", Kind::OptionalCount("auto", 1, 1_024, |d| &mut d.settings.encoder.workers)),
    zone("encoder.slow_options", Kind::Names(|d| &mut d.settings.encoder.slow_options)),
    zone("encoder.params.mainline.probing", Kind::ProbingParams(EncoderFamily::Mainline)),
    zone("encoder.params.mainline.final", Kind::FinalParams(EncoderFamily::Mainline)),
    zone("encoder.params.psyex.probing", Kind::ProbingParams(EncoderFamily::Psyex)),
    zone("encoder.params.psyex.final", Kind::FinalParams(EncoderFamily::Psyex)),
    zone("encoder.params.hdr.probing", Kind::ProbingParams(EncoderFamily::Hdr)),
    zone("encoder.params.hdr.final", Kind::FinalParams(EncoderFamily::Hdr)),
    zone("encoder.params.essential.probing", Kind::ProbingParams(EncoderFamily::Essential)),
    zone("encoder.params.essential.final", Kind::FinalParams(EncoderFamily::Essential)),
    zone("encoder.params.other.probing", Kind::ProbingParams(EncoderFamily::Other)),
    zone("encoder.params.other.final", Kind::FinalParams(EncoderFamily::Other)),
    zone("metric.enable", Kind::Switch(|d| &mut d.settings.metric.enable)),
    zone("metric.metric", Kind::Choice(Metric::VARIANTS, |d, w| pick(&mut d.settings.metric.metric, w))),
    machine(
        "metric.backend",
        Kind::Choice(MetricBackend::VARIANTS, |d, w| pick(&mut d.settings.metric.backend, w)),
    ),
    zone("metric.pooling", Kind::Choice(Pooling::VARIANTS, |d, w| pick(&mut d.settings.metric.pooling, w))),
    zone("metric.percentile", Kind::Number(0.0, 100.0, |d| &mut d.settings.metric.percentile)),
    zone("metric.tail_weight", Kind::Number(0.0, 1.0, |d| &mut d.settings.metric.tail.weight)),
    zone("metric.tail_share", Kind::Number(0.001, 1.0, |d| &mut d.settings.metric.tail.share)),
    zone(
        "metric.precision",
        Kind::OptionalNumber("auto", 0.0, 20.0, |d| &mut d.settings.metric.sample.precision),
    ),
    zone(
        "metric.repeats",
        Kind::Choice(Repeats::VARIANTS, |d, w| pick(&mut d.settings.metric.sample.repeats, w)),
    ),
    zone("metric.sample.frames", Kind::Count(1, MAX_FRAMES, |d| &mut d.settings.metric.sample.frames)),
    zone(
        "metric.sample.most_frames",
        Kind::Count(1, MAX_FRAMES, |d| &mut d.settings.metric.sample.most_frames),
    ),
    zone("metric.target", Kind::Number(0.01, 100.0, |d| &mut d.settings.metric.target)),
    zone("metric.panning_rejection", Kind::Number(0.0, 5.0, |d| &mut d.settings.metric.panning_rejection)),
    zone("metric.intensity", Kind::Number(1.0, 10_000.0, |d| &mut d.settings.metric.intensity)),
    zone("metric.crop", Kind::Crop(|d| &mut d.settings.metric.crop)),
    zone("metric.min_crf", Kind::Number(0.0, MAX_CRF, |d| &mut d.settings.metric.min_crf)),
    zone("metric.max_crf", Kind::Number(0.0, MAX_CRF, |d| &mut d.settings.metric.max_crf)),
    zone(
        "metric.unreliable_crf",
        Kind::OptionalNumber("auto", 0.0, MAX_CRF, |d| &mut d.settings.metric.unreliable_crf),
    ),
    zone("metric.base_crf", Kind::Number(0.0, MAX_CRF, |d| &mut d.settings.metric.base_crf)),
    zone("metric.mix.mean_inf", Kind::Number(0.0, 10.0, |d| &mut d.settings.metric.mix.mean_inf)),
    zone("metric.mix.mean_n3", Kind::Number(0.0, 10.0, |d| &mut d.settings.metric.mix.mean_n3)),
    zone("metric.mix.max_inf", Kind::Number(0.0, 10.0, |d| &mut d.settings.metric.mix.max_inf)),
    zone("metric.mix.max_n3", Kind::Number(0.0, 10.0, |d| &mut d.settings.metric.mix.max_n3)),
    zone(
        "metric.frames.peak_frames",
        Kind::Count(0, MAX_FRAMES, |d| &mut d.settings.metric.frames.peak_frames),
    ),
    zone(
        "metric.frames.highest_diff_frames",
        Kind::Count(0, MAX_FRAMES, |d| &mut d.settings.metric.frames.highest_diff_frames),
    ),
    zone(
        "metric.frames.highest_diff_min_separation",
        Kind::Count(1, MAX_FRAMES, |d| &mut d.settings.metric.frames.highest_diff_min_separation),
    ),
    zone(
        "metric.frames.highest_probing_diff_frames",
        Kind::Count(0, MAX_FRAMES, |d| &mut d.settings.metric.frames.highest_probing_diff_frames),
    ),
    zone(
        "metric.frames.upper_bracket_frames",
        Kind::Count(0, MAX_FRAMES, |d| &mut d.settings.metric.frames.upper_bracket_frames),
    ),
    zone(
        "metric.frames.bracket_min_separation",
        Kind::Count(1, MAX_FRAMES, |d| &mut d.settings.metric.frames.bracket_min_separation),
    ),
    zone(
        "metric.frames.lower_bracket_frames",
        Kind::Count(0, MAX_FRAMES, |d| &mut d.settings.metric.frames.lower_bracket_frames),
    ),
    zone(
        "metric.frames.upper_bracket_fallback_frames",
        Kind::Count(0, MAX_FRAMES, |d| &mut d.settings.metric.frames.upper_bracket_fallback_frames),
    ),
    zone("metric.frames.first_frame", Kind::Switch(|d| &mut d.settings.metric.frames.first_frame)),
    zone("metric.frames.last_frame", Kind::Switch(|d| &mut d.settings.metric.frames.last_frame)),
    zone("model.kind", Kind::Choice(ModelKind::VARIANTS, |d, w| pick(&mut d.settings.model.kind, w))),
    zone(
        "model.calibrate",
        Kind::OptionalCount("auto", 0, MAX_CALIBRATED, |d| &mut d.settings.model.calibrate),
    ),
    zone("model.tolerance", Kind::OptionalNumber("auto", 0.0, 20.0, |d| &mut d.settings.model.tolerance)),
    zone("model.first_crf", Kind::OptionalNumber("auto", 0.0, MAX_CRF, |d| &mut d.settings.model.first_crf)),
    zone("character.enable", Kind::Switch(|d| &mut d.settings.character.enable)),
    clip(
        "character.backend",
        Kind::Choice(CharacterBackend::VARIANTS, |d, w| pick(&mut d.settings.character.backend, w)),
    ),
    clip("character.model", Kind::File(|d| &mut d.settings.character.model)),
    zone("character.roi_boost_max", Kind::Number(0.0, 8.0, |d| &mut d.settings.character.roi_boost_max)),
    zone("character.crf_boost_max", Kind::Number(0.0, 40.0, |d| &mut d.settings.character.crf_boost_max)),
    zone("character.crf_curve", Kind::Curve(|d| &mut d.settings.character.crf_curve)),
    zone(
        "character.motion_boost_max",
        Kind::Number(0.0, 40.0, |d| &mut d.settings.character.motion_boost_max),
    ),
    zone("final.min_crf", Kind::Number(0.0, MAX_CRF, |d| &mut d.settings.output.min_crf)),
    zone("final.photon_noise", Kind::OptionalStrength("off", 1, 64, |d| &mut d.settings.output.photon_noise)),
    zone(
        "final.photon_noise_width",
        Kind::OptionalStrength("auto", 1, MAX_SIZE as u32, |d| &mut d.settings.output.photon_noise_width),
    ),
    zone(
        "final.photon_noise_height",
        Kind::OptionalStrength("auto", 1, MAX_SIZE as u32, |d| &mut d.settings.output.photon_noise_height),
    ),
    zone("final.chroma_noise", Kind::Switch(|d| &mut d.settings.output.chroma_noise)),
    zone("dynamic.crf", Kind::Rule(|d| &mut d.settings.dynamic.crf)),
    zone("dynamic.final_preset", Kind::Rule(|d| &mut d.settings.dynamic.final_preset)),
    zone("dynamic.final_params", Kind::Rule(|d| &mut d.settings.dynamic.final_params)),
    zone("dynamic.probing_params", Kind::Rule(|d| &mut d.settings.dynamic.probing_params)),
    zone("dynamic.photon_noise", Kind::Rule(|d| &mut d.settings.dynamic.photon_noise)),
    zone("dynamic.encoder", Kind::Rule(|d| &mut d.settings.dynamic.encoder)),
    zone("dynamic.probing_encoder", Kind::Rule(|d| &mut d.settings.dynamic.probing_encoder)),
];

/// The two keys that stand for the same key of every encoder family.
pub const EVERY_FAMILY: [&str; 2] = ["encoder.params.probing", "encoder.params.final"];

/// The keys that `path` sets: none, one, or one of each encoder family.
pub fn lookup(path: &str) -> Vec<&'static Key> {
    let of_family = |key: &Key| match key.kind {
        Kind::ProbingParams(_) => path == EVERY_FAMILY[0],
        Kind::FinalParams(_) => path == EVERY_FAMILY[1],
        _ => false,
    };
    KEYS.iter().filter(|key| key.path == path || of_family(key)).collect()
}

/// All keys that can be written.
pub fn paths() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.path).chain(EVERY_FAMILY)
}

/// All tables that hold keys, each once.
pub fn sections() -> Vec<&'static str> {
    let mut all: Vec<_> =
        paths().flat_map(|path| path.match_indices('.').map(|(dot, _)| &path[..dot])).collect();
    let mut seen = BTreeSet::new();
    all.retain(|section| seen.insert(*section));
    all
}

/// Whether `path` is a table that holds keys.
pub fn is_section(path: &str) -> bool {
    sections().contains(&path)
}

/// The list of `family` in the draft.
pub fn family_params(draft: &mut Draft, family: EncoderFamily) -> &mut FamilyParams {
    draft.settings.encoder.params.entry(family).or_default()
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
