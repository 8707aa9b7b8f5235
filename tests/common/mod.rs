//! What several tests need: a VapourSynth session and y4m clips.
#![allow(dead_code, reason = "every test binary uses its own part of this module")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use progression_boost::settings::{
    FrameSelection, Metric, MetricBackend, MetricSettings, MixCoefficients, Pooling,
};
use progression_boost::source::{OpenOptions, Picture, ResolvedColor, Session};

/// BT.709, limited range: how the clips of `metric-parity` were read.
pub const BT709: ResolvedColor =
    ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };

/// One session for all tests of a binary.
pub fn session() -> Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    *SESSION.get_or_init(|| Session::empty(None, &OpenOptions::default()).expect("VapourSynth"))
}

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Metric settings as a preset would have them.
pub fn metric_settings(metric: Metric, backend: MetricBackend) -> MetricSettings {
    MetricSettings {
        enable: true,
        metric,
        backend,
        pooling: Pooling::Mean,
        target: 80.0,
        intensity: 203.0,
        crop: [0; 4],
        min_crf: 8.0,
        max_crf: 50.0,
        unreliable_crf: None,
        base_crf: 30.0,
        mix: MixCoefficients::default(),
        frames: FrameSelection {
            highest_diff_frames: 0,
            highest_diff_min_separation: 0,
            highest_probing_diff_frames: 0,
            upper_bracket_frames: 0,
            bracket_min_separation: 0,
            lower_bracket_frames: 0,
            upper_bracket_fallback_frames: 0,
            first_frame: true,
            last_frame: true,
        },
    }
}

/// The frames of a 4:2:0 y4m file of 8 or 10 bits.
pub fn read_y4m(path: &Path) -> Vec<Arc<Picture>> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header_end = bytes.iter().position(|&b| b == b'\n').unwrap();
    let header = std::str::from_utf8(&bytes[..header_end]).unwrap();
    let field = |key| header.split(' ').find_map(|f| f.strip_prefix(key)).unwrap();
    let (width, height): (usize, usize) = (field("W").parse().unwrap(), field("H").parse().unwrap());
    let bits = if field("C").starts_with("420p10") { 10 } else { 8 };
    let mut pictures = Vec::new();
    let mut rest = &bytes[header_end + 1..];
    while let Some(after) = rest.strip_prefix(b"FRAME\n") {
        rest = after;
        let mut picture = Picture::filled(width, height, bits, 0, 0);
        for plane in &mut picture.planes {
            let (samples, after) = rest.split_at(plane.len() * usize::from(bits).div_ceil(8));
            rest = after;
            for (i, sample) in plane.iter_mut().enumerate() {
                *sample = match bits {
                    8 => u16::from(samples[i]),
                    _ => u16::from_le_bytes([samples[2 * i], samples[2 * i + 1]]),
                };
            }
        }
        pictures.push(Arc::new(picture));
    }
    assert!(!pictures.is_empty(), "{} has no frames", path.display());
    pictures
}

/// The same picture in 10 bits, as the pipeline works.
pub fn ten_bits(picture: &Picture) -> Arc<Picture> {
    let mut picture = picture.clone();
    let shift = 10 - picture.bits;
    picture.planes.iter_mut().flatten().for_each(|s| *s <<= shift);
    picture.bits = 10;
    Arc::new(picture)
}
