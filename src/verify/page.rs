//! A verification, or two, as a report's page.

use super::report::{SceneReport, Verification};
use super::text;
use crate::output::page::{MetricInfo, Page, Run, SceneRow};
use crate::settings::Metric;

/// The metric of most scenes; that of the plots.
fn metric(verification: &Verification) -> Option<Metric> {
    verification.summary.iter().max_by_key(|summary| summary.scenes).map(|summary| summary.metric)
}

fn info(verification: &Verification) -> Option<MetricInfo> {
    let metric = metric(verification)?;
    let target =
        verification.scenes.iter().filter(|scene| scene.metric == Some(metric)).find_map(|s| s.target);
    Some(MetricInfo::of(metric, target.unwrap_or_default()))
}

fn row(scene: &SceneReport, shown: Option<Metric>) -> SceneRow {
    let mut states = Vec::new();
    if scene.clamped {
        states.push("at a limit of the CRF");
    }
    if scene.unreliable {
        states.push("doubtful: frames too bad for their mean");
    }
    let mut row = SceneRow {
        start: scene.start,
        end: scene.end,
        zone: scene.zone.clone(),
        crf: scene.crf,
        bytes: scene.bytes,
        worst: scene.worst.iter().map(|frame| (frame.frame, frame.score)).collect(),
        ..SceneRow::default()
    };
    match scene.metric {
        // Scores of two metrics do not go into one plot.
        Some(other) if Some(other) != shown => {
            states.push("measured by another metric than most");
            row.worst.clear();
        }
        Some(metric) => {
            (row.score, row.target) = (scene.score, scene.target);
            row.frames = scene.frames.iter().map(|frame| frame.score).collect();
            row.judge(&MetricInfo::of(metric, scene.target.unwrap_or_default()));
        }
        None => states.push("not measured"),
    }
    row.state = states.join("; ");
    row
}

fn run(verification: &Verification, name: String) -> Run {
    let shown = metric(verification);
    let scenes = verification.scenes.iter().map(|scene| row(scene, shown)).collect();
    Run { name, every: verification.every, scenes }
}

fn name(verification: &Verification) -> String {
    let path = &verification.encoded;
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn facts(verification: &Verification) -> Vec<(String, String)> {
    let path = |path: &std::path::Path| path.display().to_string();
    let mut facts = vec![
        ("encode".to_owned(), path(&verification.encoded)),
        ("source".to_owned(), path(&verification.source)),
        ("scenes".to_owned(), path(&verification.scenes_file)),
        ("measured".to_owned(), text::what(verification)),
        ("video".to_owned(), text::video(verification)),
    ];
    facts.extend(verification.metrics.iter().map(|metric| ("metric".to_owned(), metric.clone())));
    for summary in &verification.summary {
        let name = summary.metric.name();
        facts.push((
            format!("{name}, mean absolute error"),
            format!(
                "{:.3} ({:.3} by frames)",
                summary.mean_absolute_error, summary.mean_absolute_error_by_frames
            ),
        ));
        facts.push((format!("{name}, errors of scenes"), text::distribution(&summary.errors)));
        facts.push((format!("{name}, scores of frames"), text::distribution(&summary.frame_scores)));
    }
    facts.push(("by".to_owned(), format!("progression-boost {}", verification.program)));
    facts
}

/// The page of one encode.
pub fn page(verification: &Verification) -> Page {
    let run = run(verification, "encode".to_owned());
    let metric = info(verification);
    let mut about = vec![verification.judged_by.clone()];
    about.extend(verification.summary.iter().flat_map(text::near));
    Page {
        title: name(verification),
        headline: run.headline(metric.as_ref(), verification.fps),
        about,
        frames: verification.frames,
        fps: verification.fps,
        metric,
        runs: vec![run],
        pictures: Vec::new(),
        facts: facts(verification),
    }
}

/// The page of two encodes of one source, which [`comparable`] are.
pub fn comparison(a: &Verification, b: &Verification) -> Page {
    let metric = info(a);
    let (mut names, all) = ([name(a), name(b)], [a, b]);
    if names[0] == names[1] {
        names = ["A".to_owned(), "B".to_owned()];
    }
    let runs: Vec<Run> = all.iter().zip(&names).map(|(v, name)| run(v, name.clone())).collect();
    let lines: Vec<String> =
        runs.iter().map(|run| format!("{}: {}", run.name, run.headline(metric.as_ref(), a.fps))).collect();
    let mut all_facts = Vec::new();
    for (verification, name) in all.iter().zip(&names) {
        all_facts
            .extend(facts(verification).into_iter().map(|(fact, value)| (format!("{name}: {fact}"), value)));
    }
    let about = all.iter().zip(&names).map(|(v, name)| format!("{name}: {}", v.judged_by)).collect();
    Page {
        title: format!("{} and {}", names[0], names[1]),
        headline: lines.join(" — "),
        about,
        frames: a.frames,
        fps: a.fps,
        metric,
        runs,
        pictures: Vec::new(),
        facts: all_facts,
    }
}

/// Why two reports cannot be compared; `None` where they can.
pub fn incomparable(a: &Verification, b: &Verification) -> Option<String> {
    if a.frames != b.frames {
        return Some(format!("one is of {} frames, the other of {}", a.frames, b.frames));
    }
    if (a.width, a.height) != (b.width, b.height) {
        return Some(format!("one is of {}x{}, the other of {}x{}", a.width, a.height, b.width, b.height));
    }
    let (ours, theirs) = (metric(a), metric(b));
    if ours != theirs {
        let name = |metric: Option<Metric>| metric.map_or("nothing", Metric::name);
        return Some(format!("one was measured by {}, the other by {}", name(ours), name(theirs)));
    }
    None
}
