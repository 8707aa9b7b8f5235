//! Chooses pieces of the inputs, joins them and writes down where the cuts are.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use progression_boost::source::{self, Clip, OpenOptions};
use progression_boost::support::cancel::Cancel;
use serde::{Deserialize, Serialize};

/// Shots or joins of a kind that must not be taken for a cut, beside plain ones.
const KINDS: [(&str, u64); 8] = [
    ("plain", 56),
    ("flash", 10),
    ("stray", 6),
    ("fade_out", 6),
    ("fade_in", 4),
    ("pan", 6),
    ("zoom", 6),
    ("grain", 6),
];
/// Of 100 joins as many are dissolves.
const DISSOLVES: u64 = 7;
const LENGTHS: Range<usize> = 24..80;
/// Pieces of one input lie at least as far apart, in frames.
const APART: usize = 48;

/// A video and what is known of its own cuts.
#[derive(Debug)]
pub struct Input {
    pub path: PathBuf,
    pub frames: usize,
    /// First frames of its shots, as far as a list beside it says.
    pub cuts: Vec<usize>,
}

/// The cuts of a video, and the stretches that only look like cuts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Truth {
    pub frames: usize,
    pub cuts: Vec<usize>,
    #[serde(default)]
    pub stretches: Vec<Stretch>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stretch {
    pub kind: String,
    pub start: usize,
    pub end: usize,
}

/// One piece as `set.py` takes it.
#[derive(Debug, Serialize)]
struct Piece {
    kind: &'static str,
    source: usize,
    start: usize,
    end: usize,
    /// Length of the dissolve from the piece before, 0 for a cut.
    dissolve: usize,
    at: usize,
    length: usize,
    out: usize,
    other: usize,
    frame: usize,
    speed: f64,
    strength: f64,
    seed: u64,
}

/// SplitMix64: the same pieces from the same seed, on every platform.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn within(&mut self, range: Range<usize>) -> usize {
        range.start + self.below(range.len())
    }
}

/// Opens `path` to count its frames, and reads `STEM.cuts.json` from `known`, else from beside it.
pub fn input(path: &Path, known: Option<&Path>) -> Result<Input> {
    let path = std::path::absolute(path)?;
    let clip = open(&path)?;
    let stem = path.file_stem().context("an input needs a file name")?;
    let name = Path::new(stem).with_extension("cuts.json");
    let list = known.map(|folder| folder.join(&name)).filter(|list| list.exists());
    let list = list.unwrap_or_else(|| path.with_file_name(&name));
    let cuts = if list.exists() {
        let text = std::fs::read_to_string(&list)?;
        let truth: Truth = serde_json::from_str(&text).with_context(|| list.display().to_string())?;
        truth.cuts
    } else {
        Vec::new()
    };
    Ok(Input { frames: clip.info().frames, path, cuts })
}

pub fn open(path: &Path) -> Result<Clip> {
    let index = std::env::temp_dir();
    source::open(path, &OpenOptions { index_folder: Some(index), ..OpenOptions::default() })
}

/// Makes `set-SEED.mkv` with `set-SEED.cuts.json` in `folder` and returns both.
pub fn set(inputs: &[Input], seed: u64, pieces: usize, folder: &Path) -> Result<(PathBuf, Truth)> {
    let video = folder.join(format!("set-{seed}.mkv"));
    let list = folder.join(format!("set-{seed}.cuts.json"));
    let (chosen, truth) = choose(inputs, seed, pieces)?;
    let script = folder.join(format!("set-{seed}.vpy"));
    let sources: Vec<_> = inputs.iter().map(|input| &input.path).collect();
    let text = format!(
        "sources = {}\npieces = {}\n\n{}",
        serde_json::to_string(&sources)?,
        serde_json::to_string_pretty(&chosen)?,
        include_str!("set.py")
    );
    std::fs::write(&script, text).with_context(|| script.display().to_string())?;
    let clip = open(&script)?;
    ensure!(
        clip.info().frames == truth.frames,
        "{} has {} frames, expected {}",
        script.display(),
        clip.info().frames,
        truth.frames
    );
    render(&clip, &video)?;
    std::fs::write(&list, serde_json::to_string_pretty(&truth)?)?;
    Ok((video, truth))
}

fn choose(inputs: &[Input], seed: u64, count: usize) -> Result<(Vec<Piece>, Truth)> {
    let mut random = Random(seed);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut truth = Truth { frames: 0, cuts: vec![0], stretches: Vec::new() };
    for number in 0..count {
        let (source, range) = stretch(inputs, &mut random, pieces.last())?;
        let length = range.len();
        let mut kind = pick(&mut random);
        let at = random.within(8..length - 10);
        let flash = random.within(1..3);
        // Over a cut of the source, where the new shot begins would be anyone's guess.
        let seam = |c: &usize| (range.start + at..range.start + at + 6).contains(&(c + 2));
        if matches!(kind, "flash" | "stray") && inputs[source].cuts.iter().any(seam) {
            kind = "plain";
        }
        let (other, frame) = foreign(inputs, &mut random, source, &range);
        let fade = random.within(8..20);
        let mut dissolve = 0;
        if number > 0 && kind == "plain" && (random.next() % 100) < DISSOLVES {
            dissolve = random.within(8..20);
        }
        let start = truth.frames - dissolve;
        if number > 0 {
            if dissolve > 0 {
                truth.add("dissolve", start..start + dissolve);
            } else {
                truth.cuts.push(start);
            }
        }
        match kind {
            "flash" | "stray" => truth.add(kind, start + at..start + at + flash),
            "fade_out" => truth.add(kind, start + length - fade..start + length),
            "fade_in" => truth.add(kind, start..start + fade),
            "pan" | "zoom" | "grain" => truth.add(kind, start..start + length),
            _ => {}
        }
        // Pans and zooms are drawn from one frame, so they hold no cut of the source.
        if !matches!(kind, "pan" | "zoom") {
            let own = inputs[source].cuts.iter().filter(|c| range.contains(c) && **c > range.start);
            truth.cuts.extend(own.map(|c| start + c - range.start));
        }
        truth.frames = start + length;
        let out = usize::from(kind == "fade_out");
        if kind.starts_with("fade") {
            kind = "fade";
        }
        pieces.push(Piece {
            kind,
            source,
            start: range.start,
            end: range.end,
            dissolve,
            at,
            length: if kind == "fade" { fade } else { flash },
            out,
            other,
            frame,
            speed: if kind == "zoom" {
                1.005 + random.below(20) as f64 / 1000.0
            } else {
                2.0 + random.below(30) as f64
            },
            strength: 3.0 + random.below(10) as f64,
            seed: random.next() >> 32,
        });
    }
    truth.cuts.sort_unstable();
    truth.cuts.dedup();
    Ok((pieces, truth))
}

impl Truth {
    fn add(&mut self, kind: &str, frames: Range<usize>) {
        self.stretches.push(Stretch { kind: kind.to_owned(), start: frames.start, end: frames.end });
    }
}

fn pick(random: &mut Random) -> &'static str {
    let total: u64 = KINDS.iter().map(|k| k.1).sum();
    let mut drawn = random.next() % total;
    for (kind, share) in KINDS {
        if drawn < share {
            return kind;
        }
        drawn -= share;
    }
    KINDS[0].0
}

/// A stretch of an input that does not continue, or nearly repeat, the piece before.
fn stretch(inputs: &[Input], random: &mut Random, before: Option<&Piece>) -> Result<(usize, Range<usize>)> {
    for _ in 0..10_000 {
        let source = random.below(inputs.len());
        let input = &inputs[source];
        let length = random.within(LENGTHS);
        if input.frames <= length {
            continue;
        }
        let start = random.below(input.frames - length);
        // A shot of a few frames at an end would be a flash.
        let near = |edge: usize| input.cuts.iter().any(|&c| c != start && c.abs_diff(edge) < 8);
        if near(start) || near(start + length) {
            continue;
        }
        let similar = before.is_some_and(|b| {
            let same_shot = !input.cuts.is_empty() && input.shot(b.end - 1) == input.shot(start);
            b.source == source && (start < b.end + APART && b.start < start + length + APART || same_shot)
        });
        if !similar {
            return Ok((source, start..start + length));
        }
    }
    anyhow::bail!("the inputs are too short or too few to choose different pieces from")
}

impl Input {
    /// Which of its known shots a frame is in.
    fn shot(&self, frame: usize) -> usize {
        self.cuts.iter().filter(|&&c| c > 0 && c <= frame).count()
    }
}

/// A frame that is not of this stretch.
fn foreign(inputs: &[Input], random: &mut Random, source: usize, range: &Range<usize>) -> (usize, usize) {
    let other = random.below(inputs.len());
    let mut frame = random.below(inputs[other].frames);
    if other == source && (range.start.saturating_sub(APART)..range.end + APART).contains(&frame) {
        frame = (range.end + inputs[other].frames / 2) % inputs[other].frames;
    }
    (other, frame)
}

/// H.264 of good quality, so that detectors meet a decoder's noise and speed.
fn render(clip: &Clip, video: &Path) -> Result<()> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "libx264", "-crf", "20"])
        .args(["-preset", "veryfast"])
        .arg(video)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run ffmpeg, which writes the set; install it")?;
    let mut out = std::io::BufWriter::new(child.stdin.take().context("ffmpeg has no input")?);
    let info = clip.info();
    writeln!(out, "YUV4MPEG2 W{} H{} F24:1 Ip A1:1 C420mpeg2", info.width, info.height)?;
    for frame in clip.frames(0..info.frames, 16, &Cancel::new()) {
        out.write_all(b"FRAME\n")?;
        for plane in frame?.to_picture().planes {
            let bytes: Vec<u8> = plane.iter().map(|&s| s as u8).collect();
            out.write_all(&bytes)?;
        }
    }
    drop(out);
    ensure!(child.wait()?.success(), "ffmpeg failed on {}", video.display());
    Ok(())
}
