//! The report for people: a line a scene, then the statistics.

use std::fmt::Write;

use super::report::{Distribution, FrameScore, MetricSummary, SceneReport, Unit, Verification, Within};

const HEADER: &str = "scene           frames     score    target     error    crf        size  worst frames";

/// Lines without the last line break.
pub fn text(verification: &Verification) -> String {
    let mut lines = vec![HEADER.to_owned()];
    lines.extend(verification.scenes.iter().map(scene));
    let unreliable: Vec<String> =
        verification.scenes.iter().filter(|s| s.unreliable).map(|s| s.scene.to_string()).collect();
    if !unreliable.is_empty() {
        lines.push(format!(
            "frames too bad for their mean to say how bad are in these scenes: {}",
            unreliable.join(", ")
        ));
    }
    lines.push(String::new());
    lines.push(what(verification));
    lines.push(verification.judged_by.clone());
    lines.extend(verification.metrics.iter().cloned());
    lines.extend(verification.summary.iter().map(summary));
    lines.push(format!("video: {}", video(verification)));
    lines.join("\n")
}

fn scene(report: &SceneReport) -> String {
    let SceneReport { scene, start, end, zone, .. } = report;
    let mut line = format!("{scene:>5} {:>16} ", format!("{start}-{end}"));
    for value in [report.score, report.target] {
        let _ = write!(line, "{:>9} ", or_dash(value.map(|value| format!("{value:.3}"))));
    }
    let error = or_dash(report.error.map(|error| format!("{error:+.3}")));
    let crf = or_dash(report.crf.map(|crf| format!("{crf:.2}")));
    let _ = write!(line, "{error:>9} {crf:>6} {:>11}  ", size(report.bytes));
    let worst: Vec<String> = report.worst.iter().map(worst).collect();
    line.push_str(&or_dash((!worst.is_empty()).then(|| worst.join(", "))));
    if let Some(zone) = zone {
        let _ = write!(line, "  [{zone}]");
    }
    line
}

fn worst(frame: &FrameScore) -> String {
    format!("{} ({:.2})", frame.frame, frame.score)
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// How much was measured.
pub fn what(verification: &Verification) -> String {
    let Verification { scenes, frames, width, height, every, .. } = verification;
    let measured: usize = scenes.iter().map(|scene| scene.frames.len()).sum();
    let step = match every {
        1 => String::new(),
        every => format!(", every {every} frames from each scene's first"),
    };
    format!("{} scenes, {frames} frames of {width}x{height}, {measured} measured{step}", scenes.len())
}

fn summary(summary: &MetricSummary) -> String {
    let MetricSummary { metric, mean_absolute_error, mean_absolute_error_by_frames, .. } = summary;
    format!(
        "{}: mean absolute error {mean_absolute_error:.3} ({mean_absolute_error_by_frames:.3} by frames)\n  \
         errors of scenes: {}\n  scores of frames: {}\n  {}",
        metric.name(),
        distribution(&summary.errors),
        distribution(&summary.frame_scores),
        near(summary).join("\n  ")
    )
}

/// How many scenes are near their target, and which could not be.
pub fn near(summary: &MetricSummary) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(free) = &summary.unclamped {
        let within = free.within.iter().map(within).collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "{} scenes with a free CRF: {within}; mean absolute error {:.3}, mean error {:+.3}",
            free.scenes, free.mean_absolute_error, free.mean_error
        ));
    }
    if !summary.clamped.is_empty() {
        let names: Vec<String> = summary.clamped.iter().map(usize::to_string).collect();
        lines.push(format!(
            "{} scenes at the end of their CRF range, not counted there: {}",
            names.len(),
            names.join(", ")
        ));
    }
    lines
}

fn within(within: &Within) -> String {
    let unit = match within.unit {
        Unit::Points => "",
        Unit::Percent => " %",
    };
    format!("{:.1} % within ±{}{unit}", 100.0 * within.share, within.limit)
}

pub fn distribution(values: &Distribution) -> String {
    let Distribution { mean, standard_deviation, p5, p95 } = values;
    format!("mean {mean:.3}, standard deviation {standard_deviation:.3}, p5 {p5:.3}, p95 {p95:.3}")
}

/// Size and rate of the video.
pub fn video(verification: &Verification) -> String {
    let Some(bytes) = verification.bytes else { return "size unknown".to_owned() };
    let bits = bytes * 8;
    let mut text = format!("{bytes} bytes ({bits} bits)");
    if let Some((numerator, denominator)) = verification.fps.filter(|(numerator, _)| *numerator > 0) {
        let seconds = verification.frames as f64 * denominator as f64 / numerator as f64;
        let _ = write!(text, ", {:.0} kbit/s", bits as f64 / seconds / 1000.0);
    }
    text
}

/// In a unit that leaves at most four digits in front of the point.
pub fn size(bytes: Option<u64>) -> String {
    match bytes {
        None => "unknown".to_owned(),
        Some(bytes) if bytes < 10_000 => format!("{bytes} B"),
        Some(bytes) if bytes < 10_000 << 10 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        Some(bytes) => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
