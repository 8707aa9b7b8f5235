//! The closing summary of `encode --boost`: boosting, and how near the chunks came.

use std::fmt::Write;

use serde::Serialize;

use super::page::{MetricInfo, Page, Run, SceneRow};
use super::summary::{SceneResult, Summary};
use crate::scenes::Scene;
use crate::settings::Metric;

/// What a closed loop found, made and measured.
#[derive(Debug, Clone, Serialize)]
pub struct ClosedSummary {
    pub boosted: Summary,
    /// By scene.
    pub chunks: Vec<ChunkResult>,
    pub redone: Redone,
}

/// The chunk of a scene that is in the file.
#[derive(Debug, Clone, Serialize)]
pub struct ChunkResult {
    pub scene: Scene,
    pub crf: f64,
    /// As its sample of frames says; `None` where nothing is measured.
    pub score: Option<f64>,
    /// The score that it should have: the target, moved where rules or Character
    /// Boost ask for another quality.
    pub target: Option<f64>,
    pub metric: Option<Metric>,
    /// The target of its settings.
    pub wanted: f64,
    pub bytes: u64,
    /// Its CRF lies on a limit.
    pub clamped: bool,
    /// Of the score, 0 where it is not known.
    pub standard_error: f64,
    /// The frames that were measured, with their scores.
    pub frames: Vec<(usize, f64)>,
}

/// What encoding again came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Redone {
    pub chunks: usize,
    pub frames: usize,
    /// Of its encoders, one after the other.
    pub seconds: f64,
    /// Sums over these chunks of their distance from the target, first and as kept.
    pub before: f64,
    pub after: f64,
    /// Chunks that missed and did not fit into the budget.
    pub left: usize,
}

/// Scenes are listed one by one up to so many of them.
const LISTED: usize = 60;

impl ChunkResult {
    /// Score − target, in the metric's unit.
    pub fn error(&self) -> Option<f64> {
        Some(self.score? - self.target?)
    }

    fn row(&self, scene: &SceneResult) -> SceneRow {
        let mut row = SceneRow {
            start: self.scene.start,
            end: self.scene.end,
            zone: scene.zone.clone(),
            score: self.score,
            standard_error: Some(self.standard_error).filter(|error| *error > 0.0),
            target: self.target,
            crf: Some(self.crf),
            bytes: Some(self.bytes),
            state: match (self.clamped, scene.doubtful) {
                (true, _) => "at a limit of the CRF".to_owned(),
                (false, true) => "doubtful".to_owned(),
                (false, false) => String::new(),
            },
            ..SceneRow::default()
        };
        if let Some(metric) = self.metric {
            row.judge(&MetricInfo::of(metric, self.wanted));
            row.measured(metric, self.frames.clone());
        }
        row
    }

    /// The error in points of SSIMULACRA2, for Butteraugli in 5 % of the target,
    /// which is about as much.
    fn points(&self) -> Option<f64> {
        let unit = match self.metric? {
            Metric::Ssimu2 => 1.0,
            _ => 0.05 * self.wanted,
        };
        Some(self.error()? / unit)
    }
}

impl ClosedSummary {
    /// The report's page, from what was measured of the chunks.
    pub fn page(&self) -> Page {
        let scenes =
            self.chunks.iter().zip(&self.boosted.scenes).map(|(chunk, scene)| chunk.row(scene)).collect();
        let run = Run { name: "encode".to_owned(), every: 1, scenes };
        let headline = run.headline(self.boosted.about.info().as_ref(), self.boosted.about.fps);
        let about = vec![
            "Scores are estimated from the measured frames of every chunk; `verify --report` measures all of them."
                .to_owned(),
        ];
        self.boosted.page_of(run, headline, about)
    }

    /// The text shown at the end of a run.
    pub fn text(&self) -> String {
        let mut text = self.boosted.text();
        let measured: Vec<_> = self.chunks.iter().filter(|chunk| chunk.score.is_some()).collect();
        if measured.is_empty() {
            return text;
        }
        if self.chunks.len() <= LISTED {
            self.list(&mut text);
        }
        let free: Vec<&ChunkResult> = measured.into_iter().filter(|chunk| !chunk.clamped).collect();
        accuracy(&mut text, &free);
        self.again(&mut text);
        let clamped: Vec<String> = self
            .chunks
            .iter()
            .enumerate()
            .filter(|(_, chunk)| chunk.clamped)
            .map(|(scene, chunk)| {
                let by =
                    chunk.error().map_or_else(String::new, |error| format!(", {error:+.2} from its target"));
                format!("{scene} (frame {}, CRF {}{by})", chunk.scene.start, chunk.crf)
            })
            .collect();
        if !clamped.is_empty() {
            let _ = writeln!(text, "at a limit of the CRF: scenes {}", clamped.join(", "));
        }
        let bytes: u64 = self.chunks.iter().map(|chunk| chunk.bytes).sum();
        let _ = writeln!(text, "chunks: {bytes} bytes");
        text
    }

    fn list(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "{:>5} {:>7} {:>7} {:>7} {:>8} {:>8} {:>10}",
            "scene", "frames", "CRF", "score", "target", "error", "bytes"
        );
        for (number, chunk) in self.chunks.iter().enumerate() {
            let shown = |value: Option<f64>, sign: bool| match value {
                Some(value) if sign => format!("{value:+.3}"),
                Some(value) => format!("{value:.3}"),
                None => "–".to_owned(),
            };
            let (score, target) = (shown(chunk.score, false), shown(chunk.target, false));
            let error = shown(chunk.error(), true);
            let frames = chunk.scene.frames();
            let _ = writeln!(
                text,
                "{number:>5} {frames:>7} {:>7.2} {score:>7} {target:>8} {error:>8} {:>10}",
                chunk.crf, chunk.bytes
            );
        }
    }

    fn again(&self, text: &mut String) {
        let Redone { chunks, frames, seconds, before, after, left } = self.redone;
        let all: usize = self.chunks.iter().map(|chunk| chunk.scene.frames()).sum();
        if chunks > 0 {
            let share = 100.0 * frames as f64 / all as f64;
            let (before, after) = (before / chunks as f64, after / chunks as f64);
            let _ = writeln!(
                text,
                "encoded again: {chunks} scenes, {frames} frames ({share:.1} %), {seconds:.1} s of encoders; they \
                 missed by {before:.3} and miss by {after:.3} on average"
            );
        }
        if left > 0 {
            let _ = writeln!(text, "{left} scenes miss by more than --tolerance: --max-redo was used up");
        }
    }
}

/// How near the scenes came, as measured.
fn accuracy(text: &mut String, chunks: &[&ChunkResult]) {
    let errors: Vec<f64> = chunks.iter().filter_map(|chunk| chunk.error()).collect();
    let points: Vec<f64> = chunks.iter().filter_map(|chunk| chunk.points()).collect();
    if errors.is_empty() {
        return;
    }
    let count = errors.len() as f64;
    let bias = errors.iter().sum::<f64>() / count;
    let mae = errors.iter().map(|error| error.abs()).sum::<f64>() / count;
    let within = |limit: f64| {
        let inside = points.iter().filter(|error| error.abs() <= limit).count();
        100.0 * inside as f64 / count
    };
    let butteraugli = chunks.iter().any(|chunk| chunk.metric.is_some_and(|metric| metric != Metric::Ssimu2));
    let unit = if butteraugli { ["5 %", "10 %"] } else { ["1", "2"] };
    let _ = writeln!(
        text,
        "measured chunks: mean error {bias:+.3}, mean absolute error {mae:.3}, {:.0} % of scenes within ±{}, \
         {:.0} % within ±{}",
        within(1.0),
        unit[0],
        within(2.0),
        unit[1]
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(start: usize, score: f64, clamped: bool) -> ChunkResult {
        ChunkResult {
            scene: Scene { start, end: start + 50 },
            crf: 24.25,
            score: Some(score),
            target: Some(78.0),
            metric: Some(Metric::Ssimu2),
            wanted: 78.0,
            bytes: 1000,
            clamped,
            standard_error: 0.0,
            frames: Vec::new(),
        }
    }

    #[test]
    fn both_halves_are_summed_up() {
        let boosted = Summary { output: "x.json".into(), ..Summary::default() };
        let redone = Redone { chunks: 2, frames: 100, seconds: 3.0, before: 5.0, after: 1.0, left: 1 };
        let chunks = vec![
            chunk(0, 78.5, false),
            chunk(50, 76.0, false),
            chunk(100, 90.0, true),
            chunk(150, 79.5, false),
        ];
        let text = ClosedSummary { boosted, chunks, redone }.text();
        // Errors +0.5, −2, +1.5 of those that are not clamped.
        assert!(
            text.contains(
                "mean error +0.000, mean absolute error 1.333, 33 % of scenes within ±1, 100 % within ±2"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "2 scenes, 100 frames (50.0 %), 3.0 s of encoders; they missed by 2.500 and miss by 0.500"
            ),
            "{text}"
        );
        assert!(text.contains("1 scenes miss by more than --tolerance"), "{text}");
        assert!(
            text.contains("at a limit of the CRF: scenes 2 (frame 100, CRF 24.25, +12.00 from its target)"),
            "{text}"
        );
        assert!(text.contains("    1      50   24.25  76.000   78.000   -2.000       1000\n"), "{text}");
        assert!(text.contains("chunks: 4000 bytes"), "{text}");
    }

    #[test]
    fn butteraugli_is_judged_by_its_target() {
        let boosted = Summary { output: "x.json".into(), ..Summary::default() };
        let of = |start, score| ChunkResult {
            target: Some(2.0),
            wanted: 2.0,
            metric: Some(Metric::ButteraugliMeanMix),
            ..chunk(start, score, false)
        };
        // 4 % and 8 % off.
        let chunks = vec![of(0, 2.08), of(50, 1.84)];
        let text = ClosedSummary { boosted, chunks, redone: Redone::default() }.text();
        assert!(text.contains("50 % of scenes within ±5 %, 100 % within ±10 %"), "{text}");
        assert!(!text.contains("encoded again"), "{text}");
    }
}
