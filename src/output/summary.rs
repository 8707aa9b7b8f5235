//! The closing summary of a run, for people.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::page::{MetricInfo, Page, Run, SceneRow};
use crate::scenes::Scene;
use crate::settings::{Metric, Resolved};

/// What a boosting run found and used.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    pub output: PathBuf,
    pub scenes: Vec<SceneResult>,
    /// Sentences: which detector, metric back end and encoder, and why.
    pub used: Vec<String>,
    /// Stage and its seconds, in order.
    pub stages: Vec<(String, f64)>,
    /// What is expected of the final encode, by scene; empty where it is made in the same run.
    #[serde(skip)]
    pub forecast: Vec<SceneRow>,
    pub about: Clipped,
}

/// The clip and what its scenes aim at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Clipped {
    pub input: PathBuf,
    pub preset: String,
    pub frames: usize,
    /// Frames per second as a fraction; `None` when it varies.
    pub fps: Option<(u64, u64)>,
    /// Metric and target outside of zones; `None` where nothing is measured.
    pub metric: Option<(Metric, f64)>,
}

impl Clipped {
    /// A clip of so many frames at so many a second.
    pub fn new(input: &Path, settings: &Resolved, (frames, fps): (usize, Option<(u64, u64)>)) -> Self {
        let base = &settings.base.metric;
        Self {
            input: input.to_path_buf(),
            preset: settings.preset.clone(),
            frames,
            fps,
            metric: base.enable.then_some((base.metric, base.target)),
        }
    }
}

/// One finished scene.
#[derive(Debug, Clone, Serialize)]
pub struct SceneResult {
    pub scene: Scene,
    /// Name of the zone it lies in; `None` outside all zones.
    pub zone: Option<String>,
    pub crf: f64,
    /// (CRF, score) of its probes, in the order they were made.
    pub probes: Vec<(f64, f64)>,
    /// The scores could not be trusted, or the CRF is a fall-back.
    pub doubtful: bool,
    /// The target that it was given instead of its zone's, because everything in it moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eased: Option<f64>,
}

impl Clipped {
    pub(super) fn info(&self) -> Option<MetricInfo> {
        self.metric.map(|(metric, target)| MetricInfo::of(metric, target))
    }
}

/// Characters of the longest bar.
const BAR: usize = 40;

impl Summary {
    /// The report's page, from what is expected of the final encode.
    pub fn page(&self) -> Page {
        let run = Run { name: "forecast".to_owned(), every: 1, scenes: self.forecast.clone() };
        let headline = run.headline(self.about.info().as_ref(), self.about.fps);
        let about = vec![
            "A forecast: scores and sizes are what the probes say of the final encode; `verify --report` measures it."
                .to_owned(),
        ];
        self.page_of(run, format!("expected: {headline}"), about)
    }

    /// A page with what this run used and took.
    pub(super) fn page_of(&self, run: Run, headline: String, about: Vec<String>) -> Page {
        let Clipped { input, preset, frames, fps, .. } = &self.about;
        let name = input.file_name().unwrap_or(input.as_os_str()).to_string_lossy().into_owned();
        let mut facts = vec![
            ("input".to_owned(), input.display().to_string()),
            ("preset".to_owned(), preset.clone()),
            ("scenes file".to_owned(), self.output.display().to_string()),
        ];
        facts.extend(self.used.iter().map(|sentence| match sentence.split_once(": ") {
            Some((what, rest)) => (what.to_owned(), rest.to_owned()),
            None => ("used".to_owned(), sentence.clone()),
        }));
        facts.extend(
            self.stages
                .iter()
                .map(|(stage, seconds)| (format!("time of {stage}"), format!("{seconds:.1} s"))),
        );
        facts.push(("by".to_owned(), format!("progression-boost {}", env!("CARGO_PKG_VERSION"))));
        Page {
            title: name,
            headline,
            about,
            frames: *frames,
            fps: *fps,
            metric: self.about.info(),
            runs: vec![run],
            pictures: Vec::new(),
            facts,
        }
    }

    /// The text shown at the end of a run, without the scenes file's name.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let frames: usize = self.scenes.iter().map(|s| s.scene.frames()).sum();
        let probes: usize = self.scenes.iter().map(|s| s.probes.len()).sum();
        let made = if probes == 0 { String::new() } else { format!(", {probes} probes") };
        let _ = writeln!(text, "{} scenes, {frames} frames{made}", self.scenes.len());
        for sentence in &self.used {
            let _ = writeln!(text, "  {sentence}");
        }
        text.push_str(&self.histogram());
        let doubtful: Vec<String> = self
            .scenes
            .iter()
            .enumerate()
            .filter(|(_, s)| s.doubtful)
            .map(|(index, s)| format!("{index} (frame {})", s.scene.start))
            .collect();
        if !doubtful.is_empty() {
            let _ =
                writeln!(text, "look at these scenes, their scores are doubtful: {}", doubtful.join(", "));
        }
        let eased: Vec<String> = self
            .scenes
            .iter()
            .enumerate()
            .filter_map(|(index, s)| {
                Some(format!("{index} (frame {}, to {:.3}, CRF {})", s.scene.start, s.eased?, s.crf))
            })
            .collect();
        if !eased.is_empty() {
            let _ = writeln!(text, "panning scenes with an easier target: {}", eased.join(", "));
        }
        for zone in self.zones() {
            let _ = writeln!(text, "{zone}");
        }
        let stages: Vec<String> =
            self.stages.iter().map(|(name, seconds)| format!("{name} {seconds:.1} s")).collect();
        let _ = writeln!(text, "time: {}", stages.join(", "));
        text
    }

    /// Frames by CRF, in steps that give at most a dozen lines.
    fn histogram(&self) -> String {
        let crfs = || self.scenes.iter().map(|s| s.crf);
        let (low, high) = (crfs().fold(f64::MAX, f64::min), crfs().fold(f64::MIN, f64::max));
        if self.scenes.is_empty() {
            return String::new();
        }
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|step| (high / step).floor() - (low / step).floor() < 12.0)
            .unwrap_or(10.0);
        let first = (low / step).floor() as usize;
        let mut frames = vec![0usize; (high / step).floor() as usize - first + 1];
        for scene in &self.scenes {
            frames[(scene.crf / step).floor() as usize - first] += scene.scene.frames();
        }
        let most = frames.iter().copied().max().unwrap_or(1).max(1);
        let mut text = String::from("frames by CRF\n");
        for (index, count) in frames.into_iter().enumerate() {
            let from = (first + index) as f64 * step;
            let label =
                if step > 1.0 { format!("{from:.0}-{:.0}", from + step - 1.0) } else { format!("{from:.0}") };
            let bar = "#".repeat((count * BAR).div_ceil(most));
            let _ = writeln!(text, "{label:>7} {count:>7} {bar}");
        }
        text
    }

    /// A line for each named zone: its scenes and mean CRF weighted by frames.
    fn zones(&self) -> Vec<String> {
        let mut names: Vec<&str> = self.scenes.iter().filter_map(|s| s.zone.as_deref()).collect();
        names.dedup();
        names
            .into_iter()
            .map(|name| {
                let inside = || self.scenes.iter().filter(|s| s.zone.as_deref() == Some(name));
                let frames: usize = inside().map(|s| s.scene.frames()).sum();
                let crf: f64 = inside().map(|s| s.crf * s.scene.frames() as f64).sum::<f64>() / frames as f64;
                format!("zone {name}: {} scenes, {frames} frames, mean CRF {crf:.2}", inside().count())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(start: usize, end: usize, crf: f64, zone: Option<&str>) -> SceneResult {
        SceneResult {
            scene: Scene { start, end },
            zone: zone.map(String::from),
            crf,
            probes: Vec::new(),
            doubtful: crf > 30.0,
            eased: (start == 150).then_some(1.0625),
        }
    }

    #[test]
    fn frames_are_counted_by_crf_and_zone() {
        let probed = SceneResult { probes: vec![(24.0, 0.9), (27.0, 1.0)], ..scene(0, 100, 24.25, None) };
        let summary = Summary {
            output: "x.json".into(),
            scenes: vec![
                probed,
                scene(100, 150, 24.75, Some("opening")),
                scene(150, 350, 27.0, Some("opening")),
                scene(350, 360, 31.0, None),
            ],
            used: vec!["encoder: SVT-AV1 v4.2.0".into()],
            stages: vec![("Analysis".into(), 1.25)],
            forecast: Vec::new(),
            about: Clipped::default(),
        };
        let text = summary.text();
        assert!(text.starts_with("4 scenes, 360 frames, 2 probes\n"), "{text}");
        assert!(text.contains(&format!("     24     150 {}\n", "#".repeat(30))), "{text}");
        assert!(text.contains(&format!("     27     200 {}\n", "#".repeat(40))), "{text}");
        assert!(text.contains("     25       0 \n"), "{text}");
        // (50 · 24.75 + 200 · 27) / 250 = 26.55
        assert!(text.contains("zone opening: 2 scenes, 250 frames, mean CRF 26.55"), "{text}");
        assert!(text.contains("doubtful: 3 (frame 350)"), "{text}");
        assert!(text.contains("easier target: 2 (frame 150, to 1.062, CRF 27)"), "{text}");
        assert!(text.contains("Analysis 1.2 s") || text.contains("Analysis 1.3 s"), "{text}");
    }
}
