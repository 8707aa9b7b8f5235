//! What feeding an encoder and decoding its probe cost beside the encoder.
//!
//! `cargo run --release --example probe_speed -- VIDEO` encodes the first 240
//! frames with SvtAv1EncApp (preset 8, one thread), then decodes them again.
//!
//! Two busy cores of a shared machine, SvtAv1EncApp 1.4.1, 854x480, 10 bits:
//! to y4m 850 to 1190 fps; encode 27 fps, and 27 fps when the encoder reads the
//! same frames from a y4m file itself; decode 450 to 560 fps with one thread.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use progression_boost::encoder::{EncodeJob, encode, y4m};
use progression_boost::probe::ProbeFrames;
use progression_boost::source::{self, OpenOptions};
use progression_boost::support::cancel::Cancel;

const FRAMES: usize = 240;

fn main() -> Result<()> {
    let input = std::env::args_os().nth(1).context("usage: probe_speed VIDEO")?;
    let clip = source::open(Path::new(&input), &OpenOptions::default())?.working(10)?.clip;
    let info = clip.info().clone();
    let frames = FRAMES.min(info.frames);
    let cancel = Cancel::new();
    let pictures = clip
        .frames(0..frames, 4, &cancel)
        .map(|frame| Ok(Arc::new(frame?.to_picture())))
        .collect::<Result<Vec<_>>>()?;

    let mut buffer = y4m::Frames::default();
    report("to y4m", frames, || {
        Ok(pictures.iter().map(|picture| buffer.bytes_of(picture).len()).sum::<usize>())
    })?;
    let folder = tempfile::tempdir()?;
    let params = "--crf 30 --preset 8 --lp 1 --input-depth 10";
    let job = EncodeJob {
        program: "SvtAv1EncApp".into(),
        params: params.split(' ').map(str::to_owned).collect(),
        output: folder.path().join("probe.ivf"),
        format: y4m::Format {
            width: info.width,
            height: info.height,
            bits: 10,
            fps: y4m::frame_rate(info.fps),
        },
        stall: None,
        nice: 0,
    };
    report("encode", frames, || encode(&job, pictures.iter().cloned().map(Ok), &cancel, |_| {}))?;
    for (threads, step) in [(1, 1), (1, 20), (2, 1), (2, 20)] {
        let wanted: Vec<_> = (0..frames).step_by(step).collect();
        let name = format!("decode, {threads} threads, every {step}. frame copied");
        report(&name, frames, || {
            ProbeFrames::open(&job.output, wanted, threads)?.try_for_each(|frame| frame.map(|_| ()))
        })?;
    }
    Ok(())
}

fn report<T>(what: &str, frames: usize, work: impl FnOnce() -> Result<T>) -> Result<()> {
    let begun = Instant::now();
    work()?;
    println!("{what}: {:.0} fps", frames as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}
