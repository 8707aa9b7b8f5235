//! A clip whose frames tell their number, runs of the real program, and what
//! ffprobe and ffmpeg say about the results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::common::{self, Ended, tool};

/// Luma of frame `n` in 8-bit code values: a ramp that repeats after 160 frames.
pub fn luma(n: usize) -> u8 {
    40 + (n % 160) as u8
}

/// A folder with `clip.vpy`: flat frames of [`luma`], 64x64, 23.976 fps, BT.709.
pub struct Clip {
    pub folder: TempDir,
    pub frames: usize,
}

impl Clip {
    pub fn new(frames: usize) -> Self {
        Self::with_properties(frames, "_Matrix=1, _Primaries=1, _Transfer=1, _Range=0")
    }

    /// With other frame properties, as arguments of `std.SetFrameProps`.
    pub fn with_properties(frames: usize, properties: &str) -> Self {
        let clip = Self { folder: tempfile::tempdir().unwrap(), frames };
        let script = format!(
            "import vapoursynth as vs\ncore = vs.core\n\
             blank = core.std.BlankClip(format=vs.YUV420P8, width=64, height=64, length={frames}, \
             fpsnum=24000, fpsden=1001)\n\
             tagged = blank.std.SetFrameProps({properties})\n\
             def draw(n):\n    \
             return tagged.std.BlankClip(length=1, color=[40 + n % 160, 128, 128], keep=True)\n\
             core.std.FrameEval(tagged, draw).std.CopyFrameProps(tagged).set_output()\n"
        );
        std::fs::write(clip.script(), script).unwrap();
        clip
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn script(&self) -> PathBuf {
        self.path("clip.vpy")
    }

    pub fn output(&self) -> PathBuf {
        self.path("out.mkv")
    }

    /// A QP file with a scene every `length` frames.
    pub fn scenes_every(&self, length: usize) {
        let lines: Vec<String> = (0..self.frames).step_by(length).map(|n| format!("{n} I")).collect();
        std::fs::write(self.path("clip.qp.txt"), lines.join("\n")).unwrap();
    }

    /// `encode` with quick settings and `args`.
    pub fn command(&self, args: &str) -> Command {
        let mut command = common::program(self.folder.path());
        command.arg("encode").arg(self.script()).arg("-o").arg(self.output()).arg("--force");
        command.args(shell_words::split(args).unwrap());
        command
    }

    /// `encode` that must succeed; its standard error.
    #[track_caller]
    pub fn encode_well(&self, args: &str) -> String {
        Ended::of(&self.command(args).output().unwrap()).ok().stderr
    }

    /// `encode` that must fail with `code`; its standard error.
    #[track_caller]
    pub fn encode_badly(&self, args: &str, code: i32) -> String {
        let ended = Ended::of(&self.command(args).output().unwrap());
        ended.failed(code, &[]);
        ended.stderr
    }

    /// Bytes of the finished chunks, by first frame.
    pub fn sizes(&self) -> BTreeMap<usize, u64> {
        let records = self.records().into_iter();
        records.map(|r| (r["start"].as_u64().unwrap() as usize, r["bytes"].as_u64().unwrap())).collect()
    }

    /// First frames of the finished chunks, in the order in which they were finished.
    pub fn journal(&self) -> Vec<usize> {
        self.records().iter().map(|record| record["start"].as_u64().unwrap() as usize).collect()
    }

    fn records(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path("clip.chunks/encode.journal")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The frame ranges of the chunk files, in order.
    pub fn chunks(&self) -> Vec<(usize, usize)> {
        let entries = std::fs::read_dir(self.path("clip.chunks/encoded-chunks")).unwrap();
        let range = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            let (range, _) = name.split_once('.').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            (start.parse().unwrap(), end.parse().unwrap())
        };
        let mut ranges: Vec<_> = entries.flatten().map(range).collect();
        ranges.sort_unstable();
        ranges
    }

    /// The finished file decodes, by ffmpeg, to every frame in its place.
    pub fn assert_every_frame(&self) {
        self.assert_every_frame_within(2.0);
    }

    /// [`Clip::assert_every_frame`] for coarser encodes, which move flat frames
    /// by some code values of 8 bits.
    pub fn assert_every_frame_within(&self, tolerance: f64) {
        let decoded = decode(&self.output());
        assert_eq!(decoded.len(), self.frames);
        for (n, frame) in decoded.iter().enumerate() {
            let mean = mean(frame);
            assert!(
                (mean - f64::from(luma(n))).abs() < tolerance,
                "frame {n} has luma {mean}, not {}",
                luma(n)
            );
        }
    }
}

pub fn mean(samples: &[u8]) -> f64 {
    samples.iter().map(|&s| f64::from(s)).sum::<f64>() / samples.len() as f64
}

/// Luma of every frame as 8 bit, limited range as it is in the file.
pub fn decode(path: &Path) -> Vec<Vec<u8>> {
    let output = tool("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks(64 * 64 * 3 / 2).map(|frame| frame[..64 * 64].to_vec()).collect()
}

/// What ffprobe says of the video stream, and how many streams of each kind there are.
pub fn probe(path: &Path) -> (BTreeMap<String, String>, BTreeMap<String, usize>, usize) {
    let output = tool("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_streams", "-show_chapters", "-of", "json"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let streams = json["streams"].as_array().unwrap();
    let mut kinds = BTreeMap::new();
    for stream in streams {
        *kinds.entry(stream["codec_type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let video = streams.iter().find(|stream| stream["codec_type"] == "video").unwrap();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let facts = video.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect();
    (facts, kinds, json["chapters"].as_array().unwrap().len())
}
