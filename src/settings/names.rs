//! The words that stand for the values of the settings' enums.

use super::{
    CharacterBackend, EncoderFamily, Metric, MetricBackend, ModelKind, Pooling, Repeats, SceneMethod,
    SourceProvider,
};

/// An enum whose values are written as words in presets and on the command line.
pub trait Named: Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];
}

/// The words of `T`, in the order of its table.
pub fn words<T: Named>() -> Vec<&'static str> {
    T::NAMES.iter().map(|(word, _)| *word).collect()
}

/// Sets `slot` to the value that `word` stands for; false when there is none.
pub fn pick<T: Named>(slot: &mut T, word: &str) -> bool {
    let found = T::NAMES.iter().find(|(name, _)| *name == word);
    if let Some((_, value)) = found {
        *slot = *value;
    }
    found.is_some()
}

impl Named for SourceProvider {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("bestsource", Self::Bestsource),
        ("lsmash", Self::Lsmash),
        ("ffms2", Self::Ffms2),
    ];
}

impl Named for SceneMethod {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("builtin", Self::Builtin),
        ("wwxd", Self::Wwxd),
        ("scxvid", Self::Scxvid),
        ("wwxd_scxvid", Self::WwxdScxvid),
        ("av1an", Self::Av1an),
        ("av1an_fast", Self::Av1anFast),
        ("external", Self::External),
    ];
}

/// The words of `scenes.range`, which may be left to the clip.
impl Named for Option<bool> {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", None), ("limited", Some(false)), ("full", Some(true))];
}

impl Named for Metric {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("butteraugli-3norm", Self::Butteraugli3Norm),
        ("butteraugli-mean-mix", Self::ButteraugliMeanMix),
        ("butteraugli-max-mix", Self::ButteraugliMaxMix),
        ("ssimu2", Self::Ssimu2),
    ];
}

impl Metric {
    /// Its name in presets: `metric.metric`.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, metric)| *metric == self).map_or("", |(name, _)| name)
    }
}

impl Named for MetricBackend {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("vship", Self::Vship),
        ("native", Self::Native),
        ("vszip", Self::Vszip),
        ("ffvship", Self::Ffvship),
    ];
}

/// The percentile itself is the key `metric.percentile`.
impl Named for Pooling {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("mean", Self::Mean),
        ("worst", Self::Worst),
        ("reference-mean", Self::ReferenceMean),
        ("percentile", Self::Percentile(0.0)),
    ];
}

impl Named for Repeats {
    const NAMES: &'static [(&'static str, Self)] = &[("count", Self::Count), ("skip", Self::Skip)];
}

impl Named for ModelKind {
    const NAMES: &'static [(&'static str, Self)] =
        &[("reference", Self::Reference), ("adaptive", Self::Adaptive)];
}

impl Named for CharacterBackend {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("trt", Self::Trt),
        ("ort-cuda", Self::OrtCuda),
        ("ort", Self::Ort),
        ("ov", Self::Ov),
        ("ncnn", Self::Ncnn),
    ];
}

impl Named for EncoderFamily {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("mainline", Self::Mainline),
        ("psyex", Self::Psyex),
        ("hdr", Self::Hdr),
        ("essential", Self::Essential),
        ("other", Self::Other),
    ];
}

impl EncoderFamily {
    /// Its name in presets: `[encoder.params.NAME]`.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, family)| *family == self).map_or("other", |(name, _)| name)
    }
}
