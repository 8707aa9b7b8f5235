//! The report as one HTML page that needs no other file: a headline, plots, the
//! worst frames as pictures, a table, and how it was made.
//!
//! What is shown is plain data here; commands fill it in. Plots are drawn by
//! uPlot, whose file and licence are beside this one.

mod picture;

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

pub use self::picture::{Pair, Side, pair};
use crate::settings::Metric;
use crate::support::atomic;
use crate::support::units::show_bytes;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const PLOT_SCRIPT: &str = include_str!("uplot/uPlot.iife.min.js");
const PLOT_STYLE: &str = include_str!("uplot/uPlot.min.css");
const PLOT_LICENCE: &str = include_str!("uplot/LICENSE");

/// All that a page shows.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    pub title: String,
    /// What a person would quote.
    pub headline: String,
    /// Sentences below it.
    #[serde(skip)]
    pub about: Vec<String>,
    /// Of the clip.
    pub frames: usize,
    /// Frames per second as a fraction; `None` when it varies.
    pub fps: Option<(u64, u64)>,
    /// `None` where nothing was measured.
    pub metric: Option<MetricInfo>,
    /// One, or two that are compared.
    pub runs: Vec<Run>,
    pub pictures: Vec<Pair>,
    /// Settings, versions and timings, by name.
    pub facts: Vec<(String, String)>,
}

/// The metric of the plots.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricInfo {
    pub name: String,
    pub higher_is_better: bool,
    /// How far from its target a scene may be to be near it, in the metric's unit.
    pub near: f64,
}

/// An encode.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub name: String,
    /// Frames between two that were measured, where [`SceneRow::at`] does not say.
    pub every: usize,
    pub scenes: Vec<SceneRow>,
}

/// A scene of an encode; scores in the metric's unit.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SceneRow {
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    pub zone: Option<String>,
    pub score: Option<f64>,
    pub standard_error: Option<f64>,
    pub target: Option<f64>,
    /// `score - target`.
    pub error: Option<f64>,
    pub crf: Option<f64>,
    pub bytes: Option<u64>,
    /// What is worth knowing of it, in words; empty for most.
    pub state: String,
    /// It is farther from its target than near.
    pub misses: bool,
    /// Scores of its measured frames, in order.
    pub frames: Vec<f64>,
    /// Their numbers; `None`: from `start` on, every [`Run::every`]th.
    pub at: Option<Vec<usize>>,
    /// Its worst frames with their scores, the worst first.
    pub worst: Vec<(usize, f64)>,
}

/// Frames named for every scene.
const WORST: usize = 3;

/// One point of SSIMULACRA2 about 80 and 5 % of Butteraugli are equally easy to see.
const NEAR_POINTS: f64 = 1.0;
const NEAR_SHARE: f64 = 0.05;

impl MetricInfo {
    /// For scenes that aim at about `target`.
    pub fn of(metric: Metric, target: f64) -> Self {
        let higher_is_better = metric.higher_is_better();
        let near = if higher_is_better { NEAR_POINTS } else { NEAR_SHARE * target };
        let name: &str = metric.into();
        Self { name: name.to_owned(), higher_is_better, near }
    }

    /// `±1` or `±5 %`.
    pub fn near_text(&self) -> String {
        if self.higher_is_better { format!("±{NEAR_POINTS}") } else { format!("±{} %", 100.0 * NEAR_SHARE) }
    }
}

impl SceneRow {
    /// Sets the error and whether it misses, from score and target. Butteraugli is
    /// judged by the scene's own target.
    pub fn judge(&mut self, metric: &MetricInfo) {
        self.error = self.score.zip(self.target).map(|(score, target)| score - target);
        let near =
            if metric.higher_is_better { metric.near } else { NEAR_SHARE * self.target.unwrap_or_default() };
        self.misses = self.error.is_some_and(|error| error.abs() > near + 1e-9);
    }

    /// Enters frames of a sample with their scores.
    pub fn measured(&mut self, metric: Metric, mut frames: Vec<(usize, f64)>) {
        frames.sort_by_key(|(frame, _)| *frame);
        self.at = Some(frames.iter().map(|(frame, _)| *frame).collect());
        self.frames = frames.iter().map(|(_, score)| *score).collect();
        frames.sort_by(|a, b| a.1.total_cmp(&b.1));
        if !metric.higher_is_better() {
            frames.reverse();
        }
        frames.truncate(WORST);
        self.worst = frames;
    }

    fn seconds(&self, fps: Option<(u64, u64)>) -> Option<f64> {
        let (numerator, denominator) = fps.filter(|(numerator, _)| *numerator > 0)?;
        Some((self.end - self.start) as f64 * denominator as f64 / numerator as f64)
    }

    /// Numbers as they are shown, so that a page is not full of digits.
    fn short(mut self) -> Self {
        for value in
            [&mut self.score, &mut self.standard_error, &mut self.target, &mut self.error, &mut self.crf]
        {
            *value = value.map(short);
        }
        self.frames.iter_mut().for_each(|score| *score = short(*score));
        self.worst.iter_mut().for_each(|(_, score)| *score = short(*score));
        self
    }
}

fn short(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl Run {
    /// `97 % of 612 scenes within ±1 of 80, 2.1 Mbit/s, 318 MiB`.
    pub fn headline(&self, metric: Option<&MetricInfo>, fps: Option<(u64, u64)>) -> String {
        let judged: Vec<&SceneRow> = self.scenes.iter().filter(|scene| scene.error.is_some()).collect();
        let mut parts = Vec::new();
        match metric.filter(|_| !judged.is_empty()) {
            Some(metric) => {
                let near = judged.iter().filter(|scene| !scene.misses).count();
                let first = judged[0].target;
                let alike = judged.iter().all(|scene| scene.target == first);
                let target = match first {
                    Some(target) if alike => format!("{}", short(target)),
                    _ => "their targets".to_owned(),
                };
                parts.push(format!(
                    "{:.0} % of {} scenes within {} of {target}",
                    100.0 * near as f64 / judged.len() as f64,
                    judged.len(),
                    metric.near_text()
                ));
            }
            None => parts.push(format!("{} scenes", self.scenes.len())),
        }
        let bytes: Option<u64> = self.scenes.iter().map(|scene| scene.bytes).sum();
        let seconds: Option<f64> = self.scenes.iter().map(|scene| scene.seconds(fps)).sum();
        if let Some(bytes) = bytes {
            if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
                parts.push(rate(bytes as f64 * 8.0 / seconds));
            }
            parts.push(show_bytes(bytes));
        }
        parts.join(", ")
    }
}

/// Bits per second in words.
fn rate(bits: f64) -> String {
    if bits >= 1e6 { format!("{:.1} Mbit/s", bits / 1e6) } else { format!("{:.0} kbit/s", bits / 1e3) }
}

impl Page {
    /// Writes the page.
    pub fn write(&self, path: &Path) -> Result<()> {
        atomic::write(path, self.html()?.as_bytes())
    }

    /// The page's text.
    pub fn html(&self) -> Result<String> {
        let mut shown = self.clone();
        for run in &mut shown.runs {
            run.scenes = std::mem::take(&mut run.scenes).into_iter().map(SceneRow::short).collect();
        }
        let data = serde_json::to_string(&shown).context("the report cannot be written as JSON")?;
        // Nothing in it can end the element that it lies in.
        let data = data.replace('<', "\\u003c");
        let about: Vec<String> =
            self.about.iter().map(|sentence| format!("<p>{}</p>", escape(sentence))).collect();
        let rows = || self.runs.iter().flat_map(|run| &run.scenes);
        let direction = match &self.metric {
            Some(metric) if metric.higher_is_better => "Higher is better.",
            Some(_) => "Lower is better, 0 is identical.",
            None => "",
        };
        let near = self.metric.as_ref().map_or_else(String::new, MetricInfo::near_text);
        let bands = if rows().any(|scene| scene.standard_error.is_some()) {
            "; the band is two standard errors to each side"
        } else {
            ""
        };
        let sampled = self.runs.iter().any(|run| run.every > 1) || rows().any(|scene| scene.at.is_some());
        let marks = if sampled { "Measured frames have a mark." } else { "All frames were measured." };
        let pictures = match self.runs.len() {
            1 => "The worst frames, source and encode",
            _ => "The frames that differ most",
        };
        let licence = format!("/*! uPlot\n{PLOT_LICENCE}*/\n{PLOT_SCRIPT}");
        let style = format!("{PLOT_STYLE}\n{STYLE}");
        let (title, headline) = (escape(&self.title), escape(&self.headline));
        Ok(fill(
            PAGE,
            &[
                ("title", &title),
                ("headline", &headline),
                ("about", &about.join("\n")),
                ("style", &style),
                ("direction", direction),
                ("bands", bands),
                ("marks", marks),
                ("near", &near),
                ("pictures", pictures),
                ("data", &data),
                ("library", &licence),
                ("script", SCRIPT),
            ],
        ))
    }
}

/// Puts values where `{name}` stands; what is put in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        text.push_str(before);
        let value = values.iter().find_map(|(name, value)| {
            let tail = after[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((value, tail))
        });
        match value {
            Some((value, tail)) => {
                text.push_str(value);
                rest = tail;
            }
            None => {
                text.push('{');
                rest = &after[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// For text and attributes of HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(start: usize, score: f64, target: f64, bytes: u64, metric: &MetricInfo) -> SceneRow {
        let mut row = SceneRow {
            start,
            end: start + 48,
            score: Some(score),
            target: Some(target),
            bytes: Some(bytes),
            ..SceneRow::default()
        };
        row.judge(metric);
        row
    }

    #[test]
    fn the_headline_counts_what_is_near_its_target() {
        let metric = MetricInfo::of(Metric::Ssimu2, 80.0);
        let scores = [80.5, 79.0, 81.2, 80.0];
        let scenes: Vec<_> =
            scores.iter().enumerate().map(|(i, s)| scene(48 * i, *s, 80.0, 250_000, &metric)).collect();
        let run = Run { name: "a".into(), every: 1, scenes };
        // 3 of 4; 8 Mbit in 8 s; 1,000,000 bytes are 976.6 KiB.
        assert_eq!(
            run.headline(Some(&metric), Some((24, 1))),
            "75 % of 4 scenes within ±1 of 80, 1.0 Mbit/s, 976.6 KiB"
        );
        assert_eq!(run.headline(Some(&metric), None), "75 % of 4 scenes within ±1 of 80, 976.6 KiB");
        // Five per cent of 1 and of 2.
        let metric = MetricInfo::of(Metric::ButteraugliMeanMix, 1.0);
        let scenes = vec![
            scene(0, 1.04, 1.0, 1, &metric),
            scene(48, 2.09, 2.0, 1, &metric),
            scene(96, 1.06, 1.0, 1, &metric),
        ];
        let run = Run { name: "a".into(), every: 1, scenes };
        assert!(
            run.headline(Some(&metric), None).starts_with("67 % of 3 scenes within ±5 % of their targets")
        );
    }

    #[test]
    fn nothing_that_is_shown_can_become_part_of_the_page() {
        let evil = "</script><script>alert(1)</script>{script}";
        let run = Run {
            name: evil.into(),
            every: 1,
            scenes: vec![SceneRow { zone: Some(evil.into()), ..SceneRow::default() }],
        };
        let page = Page {
            title: evil.into(),
            headline: evil.into(),
            about: vec![evil.into()],
            frames: 1,
            fps: None,
            metric: None,
            runs: vec![run],
            pictures: Vec::new(),
            facts: vec![(evil.into(), evil.into())],
        };
        let html = page.html().unwrap();
        assert!(!html.contains("<script>alert"), "{html}");
        assert_eq!(html.matches("</script>").count(), 3);
        assert_eq!(html.matches(SCRIPT).count(), 1);
        // Only the library's own address, in its comment.
        assert_eq!(html.matches("http").count() - PLOT_SCRIPT.matches("http").count(), 1, "http-equiv alone");
        assert!(html.contains("default-src 'none'") && html.contains("Permission is hereby granted"));
        let data = html.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["runs"][0]["scenes"][0]["zone"], evil);
    }
}
