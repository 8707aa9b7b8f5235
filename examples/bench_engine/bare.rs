//! The probe encodes of a run and nothing else.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use progression_boost::encoder::y4m;
use progression_boost::pipeline::encoding::Encoding;
use progression_boost::pipeline::plan::plan;
use progression_boost::scenes::Scene;
use progression_boost::source::{self, Clip, OpenOptions};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

use super::{Bench, Ran, cpu_seconds, number, resolved, some_luma};

impl Bench {
    /// CPU and wall seconds of the probe encodes of `ran` and nothing else: the
    /// same frames through a pipe into the same encoder, two at a time.
    pub(super) fn bare(&self, ran: &Ran) -> Result<(f64, f64)> {
        let settings = resolved(&[&format!("encoder.probing_preset={}", self.probing_preset())], None)?;
        let clip = source::open(&self.clip, &OpenOptions::default())?;
        let frames = clip.info().frames;
        let zones = settings.zones(frames, &mut Vec::new())?;
        let encoding =
            Encoding::open(&zones, &settings.base.encoder.program, &clip, &Events::silent(), &Cancel::new())?;
        let luma = some_luma(frames);
        let scenes: Vec<Scene> = ran
            .of("scene")
            .map(|e| Scene { start: number(e, "start") as usize, end: number(e, "end") as usize })
            .collect();
        for (index, &scene) in scenes.iter().enumerate() {
            write_y4m(&clip, &encoding, scene, &self.path(&format!("{index}.y4m")))?;
        }
        let planned = plan(&scenes, &zones);
        let forks = encoding.probers(&planned, &luma)?;
        let mut jobs = Vec::new();
        for event in ran.of("probe") {
            let scene = &planned[number(event, "scene") as usize];
            let words = encoding.probe_words(scene, &forks[scene.index], number(event, "crf"), &luma)?;
            jobs.push((scene.scene.frames(), scene.index, words, number(event, "bytes") as u64));
        }
        ensure!(jobs.len() == 2 * scenes.len(), "{} probes of {} scenes", jobs.len(), scenes.len());
        // The longest are taken first, from the end.
        jobs.sort_unstable();
        let (before, started) = (cpu_seconds(), Instant::now());
        let jobs = Mutex::new(jobs);
        std::thread::scope(|scope| {
            let work = || -> Result<()> {
                while let Some((_, scene, words, bytes)) = jobs.lock().map_or(None, |mut jobs| jobs.pop()) {
                    self.encode_bare(&forks[scene].encoder.identity.path, scene, &words, bytes)?;
                }
                Ok(())
            };
            let threads = [scope.spawn(work), scope.spawn(work)];
            threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
        })?;
        Ok((cpu_seconds() - before, started.elapsed().as_secs_f64()))
    }

    fn encode_bare(&self, program: &Path, scene: usize, words: &[String], bytes: u64) -> Result<()> {
        let output = tempfile::Builder::new().suffix(".ivf").tempfile_in(self.folder.path())?;
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
        std::io::copy(&mut std::fs::File::open(self.path(&format!("{scene}.y4m")))?, &mut pipe)?;
        drop(pipe);
        child.wait()?;
        let found = output.path().metadata()?.len();
        ensure!(found == bytes, "bare encode of scene {scene}: {found} bytes, the run's has {bytes}");
        Ok(())
    }
}

fn write_y4m(clip: &Clip, encoding: &Encoding, scene: Scene, path: &Path) -> Result<()> {
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
