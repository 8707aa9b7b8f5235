//! The scene-change plugins WWXD and Scxvid, on the detection clip of spec 01.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;

use super::{AnalysisOptions, Detector};
use crate::source::{Arg, Clip, Family, Session, format};
use crate::support::cancel::Cancel;
use crate::support::events::{Events, Stage};

/// VapourSynth's identifier of YUV420P8: family YUV (3), integer, 8 bits, 4:2:0.
const YUV420P8: i64 = format::yuv420(8);
/// A clip shorter than two of these is not cut into segments.
const SHORTEST_SEGMENT: usize = 1500;
/// Frames a segment sees before those it judges, so that it has settled by then.
const OVERLAP: usize = 120;
/// Since this release VapourSynth loads no API 3 plugins (spec 09).
const NO_API_3: i32 = 80;

/// A plugin that marks cuts in a frame property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    Wwxd,
    Scxvid,
}

struct Facts {
    detector: Detector,
    name: &'static str,
    namespace: &'static str,
    function: &'static str,
    property: &'static str,
    /// Must get its frames in order, one at a time.
    sequential: bool,
    install: &'static str,
}

impl Plugin {
    fn facts(self) -> Facts {
        match self {
            Self::Wwxd => Facts {
                detector: Detector::Wwxd,
                name: "WWXD",
                namespace: "wwxd",
                function: "WWXD",
                property: "Scenechange",
                sequential: false,
                install: "put its library into VapourSynth's plugin folder or name it with --load-plugin",
            },
            Self::Scxvid => Facts {
                detector: Detector::Scxvid,
                name: "Scxvid",
                namespace: "scxvid",
                function: "Scxvid",
                property: "_SceneChangePrev",
                sequential: true,
                install: "`pip install vapoursynth-scxvid` in VapourSynth's environment brings it",
            },
        }
    }

    pub fn detector(self) -> Detector {
        self.facts().detector
    }
}

/// Why `plugin` cannot run here, as a clause without a full stop; `None` when it can.
pub fn unavailable(plugin: Plugin, session: Session) -> Option<String> {
    let facts = plugin.facts();
    if session.has_function(facts.namespace, facts.function) {
        return None;
    }
    let name = facts.name;
    match (plugin, session.release()) {
        (Plugin::Wwxd, Ok(release)) if release >= NO_API_3 => Some(format!(
            "{name} is an API 3 plugin, which VapourSynth R{release} no longer loads (R79 was the last)"
        )),
        _ => Some(format!("the plugin {name} is not installed ({})", facts.install)),
    }
}

/// Whether the plugin sees a cut before each frame of `clip`.
pub(super) fn run(
    plugin: Plugin,
    clip: &Clip,
    options: AnalysisOptions<'_>,
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<bool>> {
    if let Some(reason) = unavailable(plugin, clip.session()) {
        bail!("{reason}");
    }
    let facts = plugin.facts();
    let small = detection_clip(clip)?;
    let stage = events.stage(facts.name, clip.info().frames as u64, "frames");
    // More would have the source seek back and forth between them.
    let threads =
        if options.sequential_plugins { 1 } else { rayon::current_num_threads().min(clip.places()) };
    let parts: Vec<Vec<bool>> = segments(clip.info().frames, threads)
        .into_par_iter()
        .map(|segment| judge(&facts, &small, segment, &stage, cancel))
        .collect::<Result<_>>()?;
    Ok(parts.concat())
}

/// Equal parts of the clip, no more than `threads` and none too short.
fn segments(frames: usize, threads: usize) -> Vec<Range<usize>> {
    let count = (frames / SHORTEST_SEGMENT).clamp(1, threads.max(1));
    (0..count).map(|i| frames * i / count..frames * (i + 1) / count).collect()
}

fn judge(
    facts: &Facts,
    clip: &Clip,
    segment: Range<usize>,
    stage: &Stage,
    cancel: &Cancel,
) -> Result<Vec<bool>> {
    let first = segment.start.saturating_sub(OVERLAP);
    let trimmed = clip.filtered(
        "std",
        "Trim",
        &[("first", Arg::Int(first as i64)), ("last", Arg::Int(segment.end as i64 - 1))],
    )?;
    let marked = trimmed.filtered(facts.namespace, facts.function, &[])?;
    let prefetch = if facts.sequential { 1 } else { 8 };
    let mut verdicts = Vec::with_capacity(segment.len());
    for (n, frame) in (first..).zip(marked.frames(0..segment.end - first, prefetch, cancel)) {
        let verdict = frame?
            .int_property(facts.property)
            .with_context(|| format!("{} did not mark frame {n} with {}", facts.name, facts.property))?;
        if n >= segment.start {
            verdicts.push(verdict == 1);
            stage.advance(1);
        }
    }
    Ok(verdicts)
}

/// 8-bit 4:2:0, about 720p where the source is clearly larger (spec 01). Points
/// are picked, not averaged, and nothing is dithered: the detectors want it fast.
fn detection_clip(clip: &Clip) -> Result<Clip> {
    let info = clip.info();
    let mut args = vec![("format", Arg::Int(YUV420P8)), ("dither_type", Arg::Text("none"))];
    match detection_size(info.width, info.height) {
        Some((width, height)) => {
            let window = info.width as f64 * height as f64 / width as f64;
            args.extend([
                ("width", Arg::Int(width as i64)),
                ("height", Arg::Int(height as i64)),
                ("src_top", Arg::Float((info.height as f64 - window) / 2.0)),
                ("src_height", Arg::Float(window)),
            ]);
        }
        None if info.format == "YUV420P8" => return Ok(clip.clone()),
        None => {
            let (width, height) = (info.width & !1, info.height & !1);
            args.extend([
                ("width", Arg::Int(width as i64)),
                ("height", Arg::Int(height as i64)),
                ("src_width", Arg::Float(width as f64)),
                ("src_height", Arg::Float(height as f64)),
            ]);
        }
    }
    if info.family != Family::Yuv {
        args.push(("matrix", Arg::Int(clip.color()?.yuv_matrix())));
    }
    clip.filtered("resize", "Point", &args)
}

/// Width and height of the reduced detection clip; `None` when the source is small enough.
fn detection_size(width: usize, height: usize) -> Option<(usize, usize)> {
    let (w, h) = (width as f64, height as f64);
    let reduced = ((1280.0 * 720.0 / (w * h)).sqrt() * w / 40.0).round() * 40.0;
    if reduced >= 0.9 * w || reduced < 2.0 {
        return None;
    }
    let lines = (reduced / w * h / 2.0).ceil() * 2.0;
    Some((reduced as usize, lines as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sources_are_reduced_to_about_720p_and_others_are_not() {
        // sqrt(1280·720 / (w·h)) · w / 40, by hand: 32, 32, and 37.18 → 37.
        assert_eq!(detection_size(1920, 1080), Some((1280, 720)));
        assert_eq!(detection_size(3840, 2160), Some((1280, 720)));
        assert_eq!(detection_size(1920, 800), Some((1480, 618)));
        assert_eq!(detection_size(1280, 720), None);
        // 1320 is not below 0.9 · 1440.
        assert_eq!(detection_size(1440, 756), None);
        assert_eq!(detection_size(640, 360), None);
    }

    #[test]
    fn segments_cover_the_clip_and_none_is_short() {
        assert_eq!(segments(100, 16), vec![0..100]);
        assert_eq!(segments(0, 16), vec![0..0]);
        let parts = segments(34_000, 16);
        assert_eq!(parts.len(), 16);
        assert!(parts.windows(2).all(|w| w[0].end == w[1].start));
        assert_eq!((parts[0].start, parts[15].end), (0, 34_000));
        assert_eq!(segments(34_000, 1), vec![0..34_000]);
    }
}
