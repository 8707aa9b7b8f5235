//! What was measured and decided of every frame, as a table and as a picture.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::progressive::PROGRESSIVE_THRESHOLDS;
use super::split::THRESHOLDS;
use super::{Detection, Scene};
use crate::analysis::{Analysis, Av1anFrame};
use crate::settings::SplitRules;
use crate::support::atomic;

/// Writes one line a frame: statistics, score, whether a scene starts there, and
/// a column for every detector that ran. Comma-separated, with a header.
pub fn write_stats(path: &Path, analysis: &Analysis, detection: &Detection) -> Result<()> {
    let starts = starts(&detection.scenes, detection.scores.len());
    let mut columns: Vec<(&str, Column<'_>)> = vec![
        ("average", decimals(&analysis.luma.average)),
        ("min", Box::new(|n| analysis.luma.min[n].to_string())),
        ("max", Box::new(|n| analysis.luma.max[n].to_string())),
        ("diff", decimals(&analysis.luma.diff)),
        ("score", decimals(&detection.scores)),
        ("scene_start", flags(&starts)),
    ];
    if let Some(builtin) = &analysis.builtin {
        columns.push(("builtin_contrast", decimals(&builtin.contrast)));
        columns.push(("builtin", flags(&builtin.cuts)));
    }
    for (name, verdicts) in [
        ("wwxd", &analysis.wwxd),
        ("scxvid", &analysis.scxvid),
        ("x264", &analysis.x264),
        ("props", &analysis.props),
    ] {
        columns.extend(verdicts.as_ref().map(|verdicts| (name, flags(verdicts))));
    }
    for (name, list) in [("av1an", &analysis.av1an), ("av1an_fast", &analysis.av1an_fast)] {
        columns.extend(list.as_ref().map(|frames| (name, cuts(frames))));
    }
    let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    atomic::write_with(path, |out| {
        writeln!(out, "frame,{}", header.join(","))?;
        let mut line = String::new();
        for n in 0..detection.scores.len() {
            line.clear();
            write!(line, "{n}")?;
            for (_, value) in &columns {
                write!(line, ",{}", value(n))?;
            }
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}

/// What a column holds for a frame.
type Column<'a> = Box<dyn Fn(usize) -> String + 'a>;

fn decimals(values: &[f64]) -> Column<'_> {
    Box::new(|n| format!("{:.6}", values[n]))
}

fn flags(values: &[bool]) -> Column<'_> {
    Box::new(|n| u8::from(values[n]).to_string())
}

fn cuts(frames: &[Av1anFrame]) -> Column<'_> {
    Box::new(|n| u8::from(frames[n].cut).to_string())
}

fn starts(scenes: &[Scene], frames: usize) -> Vec<bool> {
    let mut starts = vec![false; frames];
    for scene in scenes {
        starts[scene.start] = true;
    }
    starts
}

/// Size of the picture's rows in pixels, and how many frames one shows.
const WIDTH: u32 = 1600;
const ROW_HEIGHT: u32 = 150;
const HEADER: u32 = 34;
const FRAMES_PER_ROW: usize = 3000;
/// Height of a row in highest scores: scene starts show above every peak.
const HEADROOM: f64 = 1.2;

const CURVE: RGBColor = RGBColor(31, 90, 150);
const SCENE_START: RGBColor = RGBColor(225, 120, 30);
const THRESHOLD: RGBColor = RGBColor(150, 150, 150);

/// Draws the scores of all frames as an SVG: rows of 3000 frames, orange lines
/// where scenes start, grey lines at the thresholds of the splitting rules.
pub fn write_plot(path: &Path, detection: &Detection) -> Result<()> {
    let rows = detection.scores.len().div_ceil(FRAMES_PER_ROW).max(1);
    let mut svg = String::new();
    draw(&mut svg, rows, detection).map_err(|error| anyhow!("the plot could not be drawn: {error}"))?;
    atomic::write(path, svg.as_bytes())
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, rows: usize, detection: &Detection) -> Drawn {
    let size = (WIDTH, HEADER + rows as u32 * ROW_HEIGHT);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (header, body) = root.split_vertically(HEADER);
    let thresholds: Vec<String> = thresholds(detection).iter().map(f64::to_string).collect();
    let title = format!(
        "{} frames, {} scenes: score of every frame (blue), scene starts (orange, to the top), thresholds {} (grey)",
        detection.scores.len(),
        detection.scenes.len(),
        thresholds.join(", ")
    );
    header.draw_text(&title, &("sans-serif", 16).into_text_style(&header), (10, 8))?;
    let highest = detection.scores.iter().copied().fold(1.4, f64::max);
    // Rows are as long as each other, so that lengths can be compared.
    let length = detection.scores.len().clamp(2, FRAMES_PER_ROW);
    for (row, area) in body.split_evenly((rows, 1)).iter().enumerate() {
        draw_row(area, row * length, length, highest, detection)?;
    }
    root.present()?;
    Ok(())
}

/// The scores that the rules of any zone ask for, each once.
fn thresholds(detection: &Detection) -> Vec<f64> {
    let of = |rules| match rules {
        SplitRules::ExtraSplit => &THRESHOLDS[..],
        SplitRules::Progressive => &PROGRESSIVE_THRESHOLDS[..],
    };
    let mut all: Vec<f64> = detection.zones.iter().flat_map(|zone| of(zone.rules)).copied().collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

fn draw_row(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    first: usize,
    length: usize,
    highest: f64,
    detection: &Detection,
) -> Drawn {
    let last = first + length;
    let mut chart = ChartBuilder::on(area)
        .margin_right(16)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(first..last, 0.0..highest * HEADROOM)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(16)
        .y_labels(4)
        .y_label_formatter(&|score| format!("{score:.1}"))
        .draw()?;
    for threshold in thresholds(detection) {
        chart.draw_series(LineSeries::new([(first, threshold), (last, threshold)], THRESHOLD.mix(0.5)))?;
    }
    for scene in detection.scenes.iter().filter(|s| (first..last).contains(&s.start)) {
        let line = [(scene.start, 0.0), (scene.start, highest * HEADROOM)];
        chart.draw_series(LineSeries::new(line, SCENE_START))?;
    }
    let end = last.min(detection.scores.len());
    chart.draw_series(LineSeries::new(curve(&detection.scores, first..end), CURVE))?;
    Ok(())
}

/// The curve in no more points than can be told apart: of the frames that share
/// a pixel the lowest and the highest score, so that no peak is lost.
fn curve(scores: &[f64], frames: std::ops::Range<usize>) -> Vec<(usize, f64)> {
    let step = frames.len().div_ceil(WIDTH as usize).max(1);
    let mut points = Vec::new();
    for start in frames.clone().step_by(step) {
        let bucket = start..(start + step).min(frames.end);
        let order = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]);
        let (Some(low), Some(high)) = (bucket.clone().min_by(order), bucket.max_by(order)) else { continue };
        points.push((low.min(high), scores[low.min(high)]));
        if low != high {
            points.push((low.max(high), scores[low.max(high)]));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Builtin, LumaStats};
    use crate::scenes::{SplitParams, split};

    fn example(frames: usize) -> (Analysis, Detection) {
        let scores: Vec<f64> = (0..frames).map(|n| if n % 97 == 0 { 1.3 } else { 0.02 }).collect();
        let luma = LumaStats {
            bits: 8,
            average: vec![0.25; frames],
            min: vec![16; frames],
            max: vec![235; frames],
            diff: vec![0.02; frames],
            ..LumaStats::default()
        };
        let builtin = Builtin { contrast: vec![0.125; frames], cuts: vec![false; frames] };
        let scenes = split(&scores, SplitParams::new(264, 12, 60).unwrap());
        let analysis = Analysis { luma, builtin: Some(builtin), ..Analysis::default() };
        (analysis, Detection { scenes, scores, zones: Vec::new() })
    }

    #[test]
    fn the_table_has_a_line_a_frame_and_a_column_a_detector() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stats.csv");
        let (analysis, detection) = example(200);
        write_stats(&path, &analysis, &detection).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 201);
        assert_eq!(lines[0], "frame,average,min,max,diff,score,scene_start,builtin_contrast,builtin");
        assert_eq!(lines[1], "0,0.250000,16,235,0.020000,1.300000,1,0.125000,0");
        assert_eq!(lines[98], "97,0.250000,16,235,0.020000,1.300000,1,0.125000,0");
        assert_eq!(lines[99], "98,0.250000,16,235,0.020000,0.020000,0,0.125000,0");
    }

    #[test]
    fn an_episode_fits_a_picture_that_keeps_every_scene_start_and_peak() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        let (_, detection) = example(34_000);
        write_plot(&path, &detection).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(text.len() < 2_000_000, "{} bytes", text.len());
        assert_eq!(text.matches("#E1781E").count(), detection.scenes.len());
        assert!(text.contains(&format!("34000 frames, {} scenes", detection.scenes.len())));
        let points = curve(&detection.scores, 0..3000);
        let peaks = points.iter().filter(|(_, score)| *score > 1.0).count();
        assert_eq!(peaks, detection.scores[..3000].iter().filter(|&&s| s > 1.0).count());
        assert!(points.len() <= 2 * WIDTH as usize && points.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn the_thresholds_are_those_of_the_rules_in_use() {
        let (_, mut detection) = example(10);
        let zone = |rules| crate::scenes::ZoneMethod {
            frames: 0..5,
            method: crate::settings::SceneMethod::Builtin,
            rules,
            fallback: None,
        };
        detection.zones = vec![zone(SplitRules::ExtraSplit)];
        assert_eq!(thresholds(&detection), THRESHOLDS);
        detection.zones.push(zone(SplitRules::Progressive));
        let both = [0.09, 0.84, 0.96, 1.02, 1.08, 1.09, 1.12, 1.15, 1.18, 1.24, 1.27];
        assert_eq!(thresholds(&detection), both);
    }

    #[test]
    fn the_shortest_clip_can_be_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        write_plot(&path, &example(1).1).unwrap();
        assert!(path.exists());
    }
}
