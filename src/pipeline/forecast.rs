//! What the final encode of every scene is expected to be, as rows of a report's page.

use super::curves::{Known, SceneCurve};
use super::plan::PlannedScene;
use super::selection::FrameScores;
use crate::output::page::{MetricInfo, SceneRow};
use crate::output::summary::SceneResult;

/// A row for each scene: the score that its model expects with the standard error
/// of that, its expected size, and the frames that were measured of the probe
/// nearest to its CRF.
pub fn rows(
    planned: &[PlannedScene<'_>],
    known: &[Option<Known>],
    curves: &[SceneCurve],
    results: &[SceneResult],
) -> Vec<SceneRow> {
    let parts = planned.iter().zip(known).zip(curves).zip(results);
    parts.map(|(((planned, known), curve), result)| row(planned, known.as_ref(), curve, result)).collect()
}

fn row(
    planned: &PlannedScene<'_>,
    known: Option<&Known>,
    curve: &SceneCurve,
    result: &SceneResult,
) -> SceneRow {
    let metric = &planned.settings.metric;
    let mut row = SceneRow {
        start: planned.scene.start,
        end: planned.scene.end,
        zone: result.zone.clone(),
        crf: Some(result.crf),
        state: if result.doubtful { "doubtful".to_owned() } else { String::new() },
        ..SceneRow::default()
    };
    let Some(known) = known else { return row };
    let damage = known.damages.at(result.crf);
    row.score = Some(known.model.goal.score_of(damage.value));
    // Of the logarithm; it is small where it is of use.
    row.standard_error = Some(damage.value * damage.error());
    row.target = Some(metric.target);
    row.bytes = Some(known.sizes.last(result.crf, &known.ratio).value.round() as u64);
    let goal = &known.model.goal;
    if result.crf <= goal.min_crf || result.crf >= goal.max_crf {
        row.state = "at a limit of the CRF".to_owned();
    }
    row.judge(&MetricInfo::of(metric.metric, metric.target));
    let nearest = curve.probes.iter().min_by(|a, b| {
        let distance = |crf: f64| (crf - result.crf).abs();
        distance(a.crf).total_cmp(&distance(b.crf))
    });
    let place = (planned.index, planned.scene.start);
    let scores = nearest.and_then(|probe| FrameScores::of(&probe.measured, metric, place, String::new).ok());
    if let Some(scores) = scores {
        let frames = scores.frames.iter().chain(&scores.suspects);
        row.measured(metric.metric, frames.map(|(offset, score)| (row.start + offset, *score)).collect());
    }
    row
}
