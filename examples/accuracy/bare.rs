//! Two probe encodes of every scene and nothing else.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use progression_boost::analysis::LumaStats;
use progression_boost::encoder::y4m;
use progression_boost::pipeline::encoding::Encoding;
use progression_boost::pipeline::plan::plan;
use progression_boost::scenes::Scene as Range;
use progression_boost::source::{self, Clip as Source, OpenOptions};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

use super::bench::{Bench, Cost, measured};
use super::clip::Clip;
use super::judge::Scene;

/// Where the reference puts its two probes.
const CRFS: [f64; 2] = [24.0, 40.0];

impl Bench {
    /// The encoders' share of a boost by two fixed probes: frames that are ready
    /// go through a pipe, as many encoders at once as the boost has.
    pub fn bare(&self, clip: &Clip, scenes: &[Scene]) -> Result<Cost> {
        let mut args = Vec::new();
        if let Some(encoder) = &self.options.encoder {
            let path = encoder.to_str().context("the encoder's path is not Unicode")?;
            args.extend(["--set".to_owned(), format!("encoder.program={path}")]);
        }
        let source = source::open(&clip.script, &OpenOptions::default())?;
        let frames = source.info().frames;
        let resolved = self.resolved(&args)?;
        let zones = resolved.zones(frames, &mut Vec::new())?;
        let usual = &resolved.base.encoder.program;
        let encoding = Encoding::open(&zones, usual, &source, &Events::silent(), &Cancel::new())?;
        let ranges: Vec<Range> =
            scenes.iter().map(|scene| Range { start: scene.start, end: scene.end }).collect();
        let luma = unknown_luma(frames);
        let planned = plan(&ranges, &zones);
        let forks = encoding.probers(&planned, &luma)?;
        let mut jobs = Vec::new();
        for (scene, fork) in planned.iter().zip(&forks) {
            let path = self.path(&format!("bare-{}.y4m", scene.index));
            write_y4m(&source, &encoding, scene.scene, &path)?;
            for crf in CRFS {
                let words = encoding.probe_words(scene, fork, crf, &luma)?;
                jobs.push((scene.scene.frames(), path.clone(), fork.encoder.identity.path.clone(), words));
            }
        }
        // The longest are taken first, from the end.
        jobs.sort_unstable();
        let jobs = Mutex::new(jobs);
        let work = || -> Result<()> {
            while let Some((_, input, program, words)) = jobs.lock().map_or(None, |mut jobs| jobs.pop()) {
                encode(&program, &input, &words, self.path("").as_path())?;
            }
            Ok(())
        };
        let (cost, ()) = measured(|| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..self.options.workers).map(|_| scope.spawn(work)).collect();
                threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
            })
        })?;
        for index in 0..scenes.len() {
            std::fs::remove_file(self.path(&format!("bare-{index}.y4m")))?;
        }
        Ok(cost)
    }
}

fn encode(program: &Path, input: &Path, words: &[String], folder: &Path) -> Result<()> {
    let output = tempfile::Builder::new().suffix(".ivf").tempfile_in(folder)?;
    let mut child = Command::new(program)
        .args(["-i", "stdin", "-b"])
        .arg(output.path())
        .args(["--progress", "0"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut pipe = child.stdin.take().context("a pipe was asked for")?;
    std::io::copy(&mut std::fs::File::open(input)?, &mut pipe)?;
    drop(pipe);
    let status = child.wait()?;
    ensure!(status.success(), "bare probe encode with {words:?}: {status}");
    Ok(())
}

fn write_y4m(clip: &Source, encoding: &Encoding, scene: Range, path: &Path) -> Result<()> {
    let working = clip.working(encoding.bits)?.clip;
    let info = working.info();
    let fps = y4m::frame_rate(info.fps);
    let format = y4m::Format { width: info.width, height: info.height, bits: encoding.bits, fps };
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    out.write_all(format.header().as_bytes())?;
    let mut bytes = y4m::Frames::default();
    for frame in working.frames(scene.start..scene.end, 8, &Cancel::new()) {
        out.write_all(bytes.bytes_of(&frame?.to_picture()))?;
    }
    out.flush()?;
    Ok(())
}

/// For parameters that may follow the picture's luma by dynamic rules, of which
/// the shipped presets have none.
fn unknown_luma(frames: usize) -> LumaStats {
    LumaStats {
        bits: 8,
        full_range: false,
        average: vec![0.4; frames],
        min: vec![16; frames],
        max: vec![235; frames],
        diff: vec![0.01; frames],
    }
}
