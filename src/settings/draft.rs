//! Settings in the making: presets, zone tables and flags are applied to a
//! draft one after the other, and it remembers who wrote what.

use std::collections::BTreeMap;

use super::problem::{Origin, Place};
use super::{
    CharacterBackend, CharacterSettings, Crop, Devices, DynamicRules, EncoderSettings, FinalSettings,
    FrameSelection, Metric, MetricBackend, MetricSettings, MixCoefficients, ModelKind, ModelSettings,
    Pooling, ProgressiveLengths, Repeats, Sampling, SceneMethod, SceneSettings, Settings, SourceProvider,
    SourceSettings, Tail,
};

#[derive(Debug, Clone)]
pub struct Draft {
    pub source: SourceSettings,
    pub settings: Settings,
    /// When (a running number) and where each key's value was written.
    pub places: BTreeMap<&'static str, (usize, Place)>,
    written: usize,
}

impl Draft {
    /// Before any preset: the values are placeholders, the preset at the root
    /// of every `extends` chain states all of them (see the tests of `schema`).
    pub fn blank() -> Self {
        Self {
            source: SourceSettings { provider: SourceProvider::Auto },
            places: BTreeMap::new(),
            written: 0,
            settings: Settings {
                scenes: SceneSettings {
                    method: SceneMethod::Builtin,
                    strict: false,
                    full_range: None,
                    rules: None,
                    extra_split: 0,
                    min_scene_len: 0,
                    target_split: 0,
                    progressive: ProgressiveLengths {
                        target_18: 0,
                        target_12: 0,
                        target_27: 0,
                        still_0042: 0,
                        still_0012: 0,
                    },
                    x264: std::path::PathBuf::new(),
                    input_scenes: None,
                },
                encoder: EncoderSettings {
                    program: std::path::PathBuf::new(),
                    probing_preset: 0,
                    final_preset: 0,
                    lp: 0,
                    workers: None,
                    slow_options: Vec::new(),
                    params: BTreeMap::new(),
                },
                encoders: BTreeMap::new(),
                metric: blank_metric(),
                model: ModelSettings {
                    kind: ModelKind::Reference,
                    calibrate: None,
                    tolerance: None,
                    first_crf: None,
                },
                character: CharacterSettings {
                    enable: false,
                    backend: CharacterBackend::Auto,
                    roi_boost_max: 0.0,
                    crf_boost_max: 0.0,
                    crf_curve: 0,
                    motion_boost_max: 0.0,
                    model: None,
                },
                output: FinalSettings {
                    min_crf: 0.0,
                    photon_noise: None,
                    photon_noise_height: None,
                    photon_noise_width: None,
                    chroma_noise: false,
                },
                dynamic: DynamicRules::default(),
            },
        }
    }

    /// From settings that were finished before; all of `keys` come from `place`.
    pub fn of(
        source: SourceSettings,
        settings: Settings,
        keys: impl Iterator<Item = &'static str>,
        place: &Place,
    ) -> Self {
        let places = keys.map(|key| (key, (0, place.clone()))).collect();
        Self { source, settings, places, written: 0 }
    }

    /// The settings as the stages get them: with what follows from who wrote a value.
    pub fn finish(&self) -> Settings {
        let mut settings = self.settings.clone();
        settings.scenes.strict = matches!(self.origin("scenes.method"), Some(Origin::Flag(_)));
        settings.metric.settle();
        for (family, params) in &mut settings.encoder.params {
            let by_user = |list: &str| {
                let key = format!("encoder.params.{}.{list}", family.name());
                matches!(self.origin(&key), Some(Origin::File(_) | Origin::Flag(_)))
            };
            params.probing_by_user = by_user("probing");
            params.final_by_user = by_user("final");
        }
        settings
    }

    /// Remembers that `key` was written at `place`.
    pub fn wrote(&mut self, key: &'static str, place: Place) {
        self.written += 1;
        self.places.insert(key, (self.written, place));
    }

    fn origin(&self, key: &str) -> Option<&Origin> {
        self.places.get(key).map(|(_, place)| &place.origin)
    }
}

fn blank_metric() -> MetricSettings {
    MetricSettings {
        enable: false,
        metric: Metric::Ssimu2,
        backend: MetricBackend::Auto,
        pooling: Pooling::Mean,
        percentile: 0.0,
        target: 0.0,
        panning_rejection: 0.0,
        intensity: 0.0,
        crop: Crop::Sides([0; 4]),
        min_crf: 0.0,
        max_crf: 0.0,
        unreliable_crf: None,
        base_crf: 0.0,
        mix: MixCoefficients::default(),
        tail: Tail { weight: 0.0, share: 0.0 },
        sample: Sampling { frames: 0, most_frames: 0, precision: None, repeats: Repeats::Count },
        devices: Devices::default(),
        frames: FrameSelection {
            peak_frames: 0,
            highest_diff_frames: 0,
            highest_diff_min_separation: 0,
            highest_probing_diff_frames: 0,
            upper_bracket_frames: 0,
            bracket_min_separation: 0,
            lower_bracket_frames: 0,
            upper_bracket_fallback_frames: 0,
            first_frame: false,
            last_frame: false,
        },
    }
}
