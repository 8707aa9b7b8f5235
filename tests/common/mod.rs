//! Real tools, example films and runs of the program, for the integration tests.
//! A missing tool fails the test.

// Each test file compiles this module and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod built;
pub mod programs;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

pub use built::{example_library, example_program};
pub use programs::{Svt, av1an, interrupt, require, running, svt, tool, vapoursynth_folder};
use progression_boost::settings::{Metric, MetricBackend, MetricSettings, Request, resolve};
use progression_boost::source::{OpenOptions, Picture, ResolvedColor, Session};
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

/// The start of a script: three shots of 128x96 at 24 frames a second, as long as
/// `lengths` says. Bars of another direction, width and colour in each, which move.
pub fn three_shots(lengths: [usize; 3]) -> String {
    let [first, second, third] = lengths;
    format!(
        "\
import vapoursynth as vs
core = vs.core
def bars(light, dark, size, count):
    one = core.std.BlankClip(format=vs.YUV420P8, width=size, height=160, length=1, color=light)
    return core.std.StackHorizontal([one, core.std.BlankClip(one, color=dark)] * count)
def shot(picture, length, step):
    moving = core.std.Loop(picture, length)
    return moving.std.CropAbs(128, 96).std.FrameEval(
        lambda n: core.std.CropAbs(moving, 128, 96, left=(n * step) % 32 // 2 * 2))
clip = shot(bars([60, 90, 140], [40, 120, 120], 16, 5), {first}, 3)
clip += shot(bars([200, 128, 128], [120, 150, 100], 4, 20).std.Transpose(), {second}, 2)
clip += shot(bars([150, 100, 160], [140, 90, 170], 40, 2), {third}, 5)
clip = clip.std.AssumeFPS(fpsnum=24, fpsden=1)
"
    )
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
    let result = tool("ffprobe")
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

/// The metric settings of a shipped preset, for another metric and back end.
pub fn metric_settings(metric: Metric, backend: MetricBackend) -> MetricSettings {
    let request = Request { preset: Some("ssimu2-mean".to_owned()), ..Request::default() };
    MetricSettings { metric, backend, ..resolve(&request).unwrap().base.metric }
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
