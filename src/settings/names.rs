//! The words that stand for the values of the settings' enums: those of their
//! declarations, in presets as in files of results.

use std::str::FromStr;

use super::{EncoderFamily, Metric, SceneMethod, SplitRules};

/// Sets `slot` to the value that `word` stands for; false when there is none.
pub fn pick<T: FromStr>(slot: &mut T, word: &str) -> bool {
    word.parse().map(|value| *slot = value).is_ok()
}

/// The words of `scenes.range`, which may be left to the clip.
pub const RANGES: &[&str] = &["auto", "limited", "full"];

/// [`pick`] for the words of [`RANGES`].
pub fn pick_range(slot: &mut Option<bool>, word: &str) -> bool {
    *slot = match word {
        "auto" => None,
        "limited" => Some(false),
        "full" => Some(true),
        _ => return false,
    };
    true
}

/// The words of `scenes.rules`, which may be left to the method.
pub const SPLIT_RULES: &[&str] = &["auto", "extra-split", "progressive"];

/// [`pick`] for the words of [`SPLIT_RULES`].
pub fn pick_rules(slot: &mut Option<SplitRules>, word: &str) -> bool {
    *slot = match word {
        "auto" => None,
        "extra-split" => Some(SplitRules::ExtraSplit),
        "progressive" => Some(SplitRules::Progressive),
        _ => return false,
    };
    true
}

impl Metric {
    /// Its name in presets: `metric.metric`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl EncoderFamily {
    /// Its name in presets: `[encoder.params.NAME]`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl SceneMethod {
    /// Its name in presets: `scenes.method`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::Serialize;
    use strum::VariantNames;

    use super::*;
    use crate::settings::{CharacterBackend, MetricBackend, ModelKind, Pooling, Repeats, SourceProvider};

    #[track_caller]
    fn written_as_typed<T: FromStr<Err: Debug> + VariantNames + Serialize>() {
        for word in T::VARIANTS {
            let written = serde_json::to_value(word.parse::<T>().unwrap()).unwrap();
            // A percentile is written with its value.
            let name = written.as_object().map(|object| object.keys().next().unwrap().as_str());
            assert_eq!(written.as_str().or(name), Some(*word));
        }
    }

    #[test]
    fn results_name_values_as_presets_do() {
        written_as_typed::<SourceProvider>();
        written_as_typed::<SceneMethod>();
        written_as_typed::<Metric>();
        written_as_typed::<MetricBackend>();
        written_as_typed::<Pooling>();
        written_as_typed::<Repeats>();
        written_as_typed::<ModelKind>();
        written_as_typed::<CharacterBackend>();
        written_as_typed::<EncoderFamily>();
    }

    /// As people have them in their presets and scripts.
    #[test]
    fn words_stay() {
        assert_eq!(SourceProvider::VARIANTS, ["auto", "bestsource", "lsmash", "ffms2"]);
        let methods = [
            "builtin",
            "wwxd",
            "scxvid",
            "wwxd_scxvid",
            "av1an",
            "av1an_fast",
            "external",
            "props",
            "progressive",
        ];
        assert_eq!(SceneMethod::VARIANTS, methods);
        let metrics = ["butteraugli-3norm", "butteraugli-mean-mix", "butteraugli-max-mix", "ssimu2"];
        assert_eq!(Metric::VARIANTS, metrics);
        assert_eq!(MetricBackend::VARIANTS, ["auto", "vship", "native", "vszip", "ffvship"]);
        assert_eq!(Pooling::VARIANTS, ["mean", "worst", "reference-mean", "trimmed-mean", "percentile"]);
        assert_eq!(Repeats::VARIANTS, ["count", "skip"]);
        assert_eq!(ModelKind::VARIANTS, ["reference", "reference-2025", "adaptive"]);
        assert_eq!(CharacterBackend::VARIANTS, ["auto", "trt", "ort-cuda", "ort", "ov", "ncnn"]);
        assert_eq!(EncoderFamily::VARIANTS, ["mainline", "psyex", "hdr", "essential", "other"]);
    }
}
