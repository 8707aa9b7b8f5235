//! Real tools and the example film, for the integration tests.
//!
//! `scripts/test.sh` prepares what a distribution does not offer in a cache
//! folder outside the clone and names it in the environment; without it the
//! usual place of that folder is searched. A missing tool fails the test.

// Each test file compiles this module and uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use progression_boost::settings::{
    FrameSelection, Metric, MetricBackend, MetricSettings, MixCoefficients, Pooling,
};
use progression_boost::source::{OpenOptions, Picture, ResolvedColor, Session, runtime};
use serde::Deserialize;
use serde_json::Value;

/// What `examples/ep01.cuts.json` says about `examples/ep01.vpy`; ends are exclusive.
#[derive(Debug, Deserialize)]
pub struct Truth {
    pub frames: usize,
    /// First frames of the shots that begin with a hard cut.
    pub cuts: Vec<usize>,
    pub transitions: Vec<Transition>,
    pub shots: Vec<Shot>,
}

#[derive(Debug, Deserialize)]
pub struct Transition {
    pub kind: String,
    pub start: usize,
    pub end: usize,
    /// The frames that are nothing but black.
    pub black: Vec<usize>,
}

#[derive(Debug, Deserialize)]
pub struct Shot {
    pub start: usize,
    pub end: usize,
    pub name: String,
    /// In a still shot, the frames that differ from the one before.
    pub moving: Option<Vec<usize>>,
}

/// `examples/name` of this clone.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The true structure of the example film.
pub fn truth() -> Truth {
    let text = std::fs::read(example("ep01.cuts.json")).expect("examples/ep01.cuts.json is readable");
    serde_json::from_slice(&text).expect("examples/ep01.cuts.json has the known fields")
}

/// A program of the distribution, from the PATH.
pub fn require(program: &str) -> PathBuf {
    which::which(program).unwrap_or_else(|_| {
        panic!("`{program}` is not on the PATH; scripts/test.sh installs it or says how to")
    })
}

/// The program, to be started in `folder`.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_progression-boost"));
    command
        .current_dir(folder)
        // What is learned of encoders is kept between tests, but not in the user's cache.
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("RUST_BACKTRACE", "0");
    command
}

/// What ffprobe says of the first video track's `entries`, as JSON.
pub fn ffprobe(video: &Path, entries: &str) -> Value {
    let result = Command::new(require("ffprobe"))
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json"])
        .arg(video)
        .output()
        .expect("ffprobe starts");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    serde_json::from_slice(&result.stdout).unwrap()
}

/// How a run of the program ended, and what it printed.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Failed with `code`, telling all of `says`, and without a panic.
    #[track_caller]
    pub fn failed(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for text in says {
            assert!(self.stderr.contains(text), "no `{text}` in:\n{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// av1an 0.5.2, to be started with the environment of [`vapoursynth_folder`].
pub fn av1an() -> PathBuf {
    prepared("PROGRESSION_BOOST_TEST_AV1AN", "av1an-0.5.2/bin/av1an")
}

/// `SvtAv1EncApp` of another version than the distribution's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Svt {
    /// 2.3.0: integer CRF up to 63, ROI maps.
    V2_3,
    /// 4.2.0: quarter-step CRF up to 70, ROI maps.
    V4_2,
}

pub fn svt(version: Svt) -> PathBuf {
    match version {
        Svt::V2_3 => prepared("PROGRESSION_BOOST_TEST_SVT_2_3", "svt-av1-2.3.0/SvtAv1EncApp"),
        Svt::V4_2 => prepared("PROGRESSION_BOOST_TEST_SVT_4_2", "svt-av1-4.2.0/SvtAv1EncApp"),
    }
}

/// The folder with VapourSynth's libraries and `vspipe`, which av1an wants on
/// the loader's path and on the PATH.
pub fn vapoursynth_folder() -> PathBuf {
    let library = runtime::locate(Some(&example("ep01.vpy"))).expect("VapourSynth is installed");
    library.parent().expect("VSScript lies in a folder").to_owned()
}

/// The file named by `variable`, else `place` in the usual cache folder.
fn prepared(variable: &str, place: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map_or_else(|| cache_folder().join(place), PathBuf::from);
    assert!(path.is_file(), "{} is missing; run scripts/test.sh, which prepares it", path.display());
    path
}

/// Where `scripts/test.sh` keeps its tools; the same rule as there.
fn cache_folder() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("PROGRESSION_BOOST_TEST_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("progression-boost-tests")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/progression-boost-tests")))
        .unwrap_or_else(|| {
            panic!("neither PROGRESSION_BOOST_TEST_CACHE nor HOME is set; run scripts/test.sh")
        })
}

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
