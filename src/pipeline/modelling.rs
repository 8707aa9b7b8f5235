//! From settings to the model that solves a zone's scenes.

use crate::model::{Adaptive, Goal, Kind, Model, Offset, Presets, panning};
use crate::settings::{Metric, MetricSettings, ModelKind, Settings};

/// The model that solves a zone's scene, from the settings. `diff` are the luma
/// differences of the scene's frames.
pub fn model(settings: &Settings, diff: &[f64], quarter_steps: bool) -> Model {
    let kind = match settings.model.kind {
        ModelKind::Reference => Kind::Reference,
        ModelKind::Reference2025 => Kind::Reference2025,
        ModelKind::Adaptive => Kind::Adaptive(Adaptive {
            first_crf: settings.model.first_crf,
            expected_factor: Offset::prior(presets(settings)).factor(),
            tolerance: settings.model.tolerance.unwrap_or_else(|| tolerance(&settings.metric)),
            quarter_steps,
        }),
    };
    let ease = settings.metric.panning_rejection * panning::weight(diff);
    Model { goal: goal(&settings.metric), kind, ease }
}

/// The presets that the final encode is compared with, where no rule says otherwise.
pub fn presets(settings: &Settings) -> Presets {
    Presets { probing: settings.encoder.probing_preset, final_: settings.encoder.final_preset }
}

/// How near to the target is near enough, where the preset does not say.
fn tolerance(metric: &MetricSettings) -> f64 {
    match metric.metric {
        Metric::Ssimu2 => 2.0,
        _ => 0.07 * metric.target,
    }
}

fn goal(metric: &MetricSettings) -> Goal {
    Goal {
        target: metric.target,
        higher_is_better: metric.metric.higher_is_better(),
        min_crf: metric.min_crf,
        max_crf: metric.max_crf,
        unreliable_crf: metric.unreliable_crf.unwrap_or(metric.min_crf + 3.0),
    }
}
