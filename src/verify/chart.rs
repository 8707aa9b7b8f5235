//! Plots over the frames of a clip, as SVG without scripts. Colours are classes
//! that the page defines.

use std::fmt::Write;

/// Picture and margins in the SVG's own unit; the page scales it.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// Part of the range of values that is left free above and below.
const AIR: f64 = 0.06;

/// Values over frames.
pub struct Chart {
    /// Frames of the clip.
    pub frames: usize,
    pub series: Vec<Series>,
    /// Text that is shown over frames `start..end`.
    pub hints: Vec<(usize, usize, String)>,
}

/// One curve.
pub struct Series {
    /// The class that colours it.
    pub class: &'static str,
    pub shape: Shape,
}

pub enum Shape {
    /// One value for frames `start..end`.
    Steps(Vec<(usize, usize, f64)>),
    /// A value for a frame, in order of frames.
    Curve(Vec<(usize, f64)>),
}

impl Chart {
    /// Empty when there are no values.
    pub fn svg(&self) -> String {
        let values = || self.series.iter().flat_map(|series| series.shape.values());
        let (low, high) =
            values().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return String::new();
        }
        // A flat curve needs room as well.
        let air = ((high - low) * AIR).max(high.abs() * 0.01).max(0.01);
        let scale = Scale { frames: self.frames.max(1) as f64, low: low - air, high: high + air };
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
        scale.grid(&mut svg);
        for series in &self.series {
            series.draw(&scale, &mut svg);
        }
        for (start, end, text) in &self.hints {
            let (from, to) = (scale.x(*start as f64), scale.x(*end as f64));
            let _ = write!(
                svg,
                "<rect class=\"hint\" x=\"{from:.2}\" y=\"{TOP}\" width=\"{:.2}\" height=\"{:.2}\"><title>{}\
                 </title></rect>",
                to - from,
                HEIGHT - TOP - BOTTOM,
                escape(text)
            );
        }
        svg.push_str("</svg>");
        svg
    }
}

impl Shape {
    fn values(&self) -> Vec<f64> {
        match self {
            Self::Steps(steps) => steps.iter().map(|(.., value)| *value).collect(),
            Self::Curve(points) => points.iter().map(|(_, value)| *value).collect(),
        }
    }
}

impl Series {
    fn draw(&self, scale: &Scale, svg: &mut String) {
        let mut path = String::new();
        match &self.shape {
            Shape::Steps(steps) => {
                for (start, end, value) in steps {
                    let (from, to) = (scale.x(*start as f64), scale.x(*end as f64));
                    let _ = write!(path, "M{from:.2} {:.2}H{to:.2}", scale.y(*value));
                }
            }
            Shape::Curve(points) => {
                for (index, (frame, value)) in extremes(points).into_iter().enumerate() {
                    let command = if index == 0 { 'M' } else { 'L' };
                    let (x, y) = (scale.x(frame as f64 + 0.5), scale.y(value));
                    let _ = write!(path, "{command}{x:.2} {y:.2}");
                }
            }
        }
        let _ = write!(svg, "<path class=\"{}\" d=\"{path}\"/>", self.class);
    }
}

/// Of the points that share a pixel the lowest and the highest, so that a long
/// clip makes no large file and no peak is lost.
fn extremes(points: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let step = points.len().div_ceil(WIDTH as usize).max(1);
    let mut kept = Vec::new();
    for bucket in points.chunks(step) {
        let order = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) = (bucket.iter().min_by(order), bucket.iter().max_by(order)) else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        kept.push(*first);
        if first.0 != second.0 {
            kept.push(*second);
        }
    }
    kept
}

/// From frames and values to places in the picture.
struct Scale {
    frames: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, frame: f64) -> f64 {
        LEFT + frame / self.frames * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    fn grid(&self, svg: &mut String) {
        for (value, label) in ticks(self.low, self.high, 5.0) {
            let y = self.y(value);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.2}H{:.2}\"/><text x=\"{:.2}\" y=\"{:.2}\" \
                 text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0
            );
        }
        for (frame, label) in ticks(0.0, self.frames, 10.0) {
            let _ = write!(
                svg,
                "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\">{label}</text>",
                self.x(frame),
                HEIGHT - 8.0
            );
        }
    }
}

/// Round numbers between `low` and `high`, about `count` of them, as they are written.
fn ticks(low: f64, high: f64, count: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / count;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|n| (n as f64 * step, format!("{:.digits$}", n as f64 * step))).collect()
}

/// Text between tags.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, count: f64) -> Vec<String> {
        ticks(low, high, count).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(0.0, 720.0, 10.0), ["0", "100", "200", "300", "400", "500", "600", "700"]);
        assert_eq!(labels(77.3, 82.1, 5.0), ["78", "79", "80", "81", "82"]);
        assert_eq!(labels(-0.021, 0.021, 5.0), ["-0.02", "-0.01", "0.00", "0.01", "0.02"]);
    }

    #[test]
    fn a_long_curve_keeps_its_peaks_in_few_points() {
        let points: Vec<(usize, f64)> =
            (0..34_000).map(|n| (n, if n % 997 == 0 { 9.0 } else { 1.0 })).collect();
        let kept = extremes(&points);
        assert!(kept.len() <= 2 * WIDTH as usize && kept.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(kept.iter().filter(|(_, value)| *value > 5.0).count(), 35);
    }

    #[test]
    fn places_are_those_worked_by_hand() {
        let steps = Shape::Steps(vec![(0, 50, 10.0), (50, 100, 20.0)]);
        let chart = Chart {
            frames: 100,
            series: vec![Series { class: "score", shape: steps }],
            hints: vec![(0, 50, "a < b".to_owned())],
        };
        let svg = chart.svg();
        // 936 of 1000 wide, from 56 on; 204 high, the values 10 to 20 with 0.6 of air on both sides.
        assert!(svg.contains("M56.00 203.07H524.00M524.00 20.93H992.00"), "{svg}");
        assert!(svg.contains("a &lt; b"), "{svg}");
        let nothing = Chart { frames: 100, series: Vec::new(), hints: Vec::new() };
        assert_eq!(nothing.svg(), "");
    }
}
