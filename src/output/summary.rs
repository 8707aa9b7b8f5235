//! The closing summary of a run, for people.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use crate::scenes::Scene;

/// What a boosting run found and used.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub output: PathBuf,
    pub scenes: Vec<SceneResult>,
    /// Sentences: which detector, metric back end and encoder, and why.
    pub used: Vec<String>,
    /// Stage and its seconds, in order.
    pub stages: Vec<(String, f64)>,
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

/// Characters of the longest bar.
const BAR: usize = 40;

impl Summary {
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
