//! The report as one HTML page: statistics, plots, a table of the scenes.
//! Nothing in it is loaded from elsewhere.

use std::fmt::Write;

use super::chart::{Chart, Series, Shape, escape};
use super::report::{MetricSummary, SceneReport, Verification};
use super::text;
use crate::settings::Metric;

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --faint: #8a94a3; --line: #e3e7ed;
  --score: #1f5a96; --target: #e1781e; --crf: #2f7d4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181e; --faint: #8a94a3;
  --line: #2a313b; --score: #6aaee8; --target: #f0a050; --crf: #6cc492; } }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0; } .faint { color: var(--faint); }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--faint); }
svg path { fill: none; stroke-width: 1.6; } svg .grid { stroke: var(--line); stroke-width: 1; }
.score { stroke: var(--score); } .target { stroke: var(--target); stroke-dasharray: 5 3; }
.crf { stroke: var(--crf); } svg .frames { stroke: var(--score); stroke-width: 1; }
.hint { fill: transparent; } .hint:hover { fill: var(--ink); fill-opacity: .08; }
.key { font-weight: 600; } .key.score { color: var(--score); } .key.target { color: var(--target); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:last-child, td:last-child { text-align: left; }";

/// The whole page.
pub fn page(verification: &Verification) -> String {
    let Verification { encoded, source, scenes_file, program, .. } = verification;
    let name = escape(&encoded.file_name().unwrap_or(encoded.as_os_str()).to_string_lossy());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{name}: verification</title>\n<style>\n{STYLE}\n</style></head>\n\
         <body>\n<h1>{name}</h1>\n<p class=\"faint\">{} against {}, scenes of {}, by progression-boost \
         {program}</p>\n<p>{}</p>\n<p>Video: {}</p>\n",
        escape(&encoded.to_string_lossy()),
        escape(&source.to_string_lossy()),
        escape(&scenes_file.to_string_lossy()),
        escape(&text::what(verification)),
        text::video(verification)
    );
    let _ = writeln!(page, "<p>{}</p>", escape(&verification.judged_by));
    for metric in &verification.metrics {
        let _ = writeln!(page, "<p>{}</p>", escape(metric));
    }
    for summary in &verification.summary {
        metric(verification, summary, &mut page);
    }
    crfs(verification, &mut page);
    table(&verification.scenes, &mut page);
    page.push_str("</body></html>\n");
    page
}

fn metric(verification: &Verification, summary: &MetricSummary, page: &mut String) {
    let name = summary.metric.name();
    let direction = if summary.metric.higher_is_better() {
        "higher is better"
    } else {
        "lower is better, 0 is identical"
    };
    let mut near = String::new();
    for line in text::near(summary) {
        let _ = writeln!(near, "<p>{line}</p>");
    }
    let _ = write!(
        page,
        "<h2>{name}</h2>\n<p>Mean absolute error <b>{:.3}</b> ({:.3} by frames)</p>\n{near}<p>Errors of scenes: \
         {}</p>\n<p>Scores of frames: {}</p>\n<h2>Scenes: <span class=\"key score\">score</span> and <span \
         class=\"key target\">target</span></h2>\n<p class=\"faint\">{name}, {direction}; across: \
         frames</p>\n{}\n<h2>Frames</h2>\n{}\n",
        summary.mean_absolute_error,
        summary.mean_absolute_error_by_frames,
        text::distribution(&summary.errors),
        text::distribution(&summary.frame_scores),
        scenes_chart(verification, summary.metric).svg(),
        frames_chart(verification, summary.metric).svg()
    );
}

fn of_metric(verification: &Verification, metric: Metric) -> impl Iterator<Item = &SceneReport> {
    verification.scenes.iter().filter(move |scene| scene.metric == Some(metric))
}

fn scenes_chart(verification: &Verification, metric: Metric) -> Chart {
    let steps = |value: fn(&SceneReport) -> Option<f64>| {
        let step = |scene: &SceneReport| Some((scene.start, scene.end, value(scene)?));
        Shape::Steps(of_metric(verification, metric).filter_map(step).collect())
    };
    Chart {
        frames: verification.frames,
        series: vec![
            Series { class: "target", shape: steps(|scene| scene.target) },
            Series { class: "score", shape: steps(|scene| scene.score) },
        ],
        hints: of_metric(verification, metric).map(hint).collect(),
    }
}

fn frames_chart(verification: &Verification, metric: Metric) -> Chart {
    let points = of_metric(verification, metric)
        .flat_map(|scene| scene.frames.iter().map(|frame| (frame.frame, frame.score)));
    Chart {
        frames: verification.frames,
        series: vec![Series { class: "frames", shape: Shape::Curve(points.collect()) }],
        hints: of_metric(verification, metric).map(hint).collect(),
    }
}

fn crfs(verification: &Verification, page: &mut String) {
    let step = |scene: &SceneReport| Some((scene.start, scene.end, scene.crf?));
    let chart = Chart {
        frames: verification.frames,
        series: vec![Series {
            class: "crf",
            shape: Shape::Steps(verification.scenes.iter().filter_map(step).collect()),
        }],
        hints: verification.scenes.iter().map(hint).collect(),
    };
    let drawn = chart.svg();
    if drawn.is_empty() {
        page.push_str("<h2>CRF</h2>\n<p class=\"faint\">The scenes file gives none.</p>\n");
    } else {
        let _ = write!(page, "<h2>CRF</h2>\n{drawn}\n");
    }
}

/// A scene in a few words.
fn hint(scene: &SceneReport) -> (usize, usize, String) {
    let mut text = format!("scene {}, frames {} to {}", scene.scene, scene.start, scene.end);
    if let (Some(score), Some(target)) = (scene.score, scene.target) {
        let _ = write!(text, ": score {score:.3}, target {target:.3}");
    }
    if let Some(crf) = scene.crf {
        let _ = write!(text, ", CRF {crf:.2}");
    }
    let _ = write!(text, ", {}", text::size(scene.bytes));
    (scene.start, scene.end, text)
}

fn table(scenes: &[SceneReport], page: &mut String) {
    page.push_str(
        "<h2>All scenes</h2>\n<div class=\"scroll\"><table>\n<tr><th>scene</th><th>frames</th><th>score</th>\
         <th>target</th><th>error</th><th>CRF</th><th>size</th><th>zone</th><th>worst frames</th></tr>\n",
    );
    for scene in scenes {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        let error = scene.error.map_or_else(|| "–".to_owned(), |error| format!("{error:+.3}"));
        let worst: Vec<String> =
            scene.worst.iter().map(|frame| format!("{} ({:.2})", frame.frame, frame.score)).collect();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}–{}</td><td>{}</td><td>{}</td><td>{error}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td></tr>",
            scene.scene,
            scene.start,
            scene.end,
            number(scene.score),
            number(scene.target),
            scene.crf.map_or_else(|| "–".to_owned(), |crf| format!("{crf:.2}")),
            text::size(scene.bytes),
            escape(scene.zone.as_deref().unwrap_or_default()),
            worst.join(", ")
        );
    }
    page.push_str("</table></div>\n");
}
