//! From settings to the model that solves a zone's scenes.

use super::forks::Fork;
use crate::model::{Adaptive, Goal, Kind, Model, Offset, panning};
use crate::settings::{Metric, MetricSettings, ModelKind, Settings};

/// The model that solves a zone's scene, from the settings. `diff` are the luma
/// differences of the scene's frames, `fork` makes its probes.
pub fn model(settings: &Settings, fork: &Fork, diff: &[f64]) -> Model {
    let kind = match settings.model.kind {
        ModelKind::Reference => Kind::Reference,
        ModelKind::Reference2025 => Kind::Reference2025,
        ModelKind::Adaptive => Kind::Adaptive(Adaptive {
            first_crf: settings.model.first_crf,
            expected_factor: Offset::prior(fork.presets()).factor(),
            tolerance: settings.model.tolerance.unwrap_or_else(|| tolerance(&settings.metric)),
            quarter_steps: fork.encoder.capabilities.quarter_steps,
        }),
    };
    let ease = settings.metric.panning_rejection * panning::weight(diff);
    Model { goal: goal(&settings.metric), kind, ease }
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
