//! One IVF from the chunks' files, time stamps counted through.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::formats::ivf;
use crate::support::atomic;
use crate::support::cancel::Cancel;
use crate::support::events::Stage;

/// Writes the frames of `chunks` (files and the frames each must have), in
/// order, to `output`. `fps` is what the container will say; each chunk's own
/// time stamps, which differ between encoders, are not used. Advances `stage`
/// by frames.
pub fn join(
    chunks: &[(PathBuf, usize)],
    fps: (u32, u32),
    output: &Path,
    stage: &Stage,
    cancel: &Cancel,
) -> Result<()> {
    let total: usize = chunks.iter().map(|(_, frames)| frames).sum();
    let (first, _) = chunks.first().context("there is no chunk to join")?;
    let header = ivf::Header {
        time_base: (fps.1, fps.0),
        frames: u32::try_from(total)?,
        ..ivf::Reader::open(first)?.header()
    };
    atomic::write_with(output, |out| {
        out.write_all(&header.to_bytes())?;
        let mut time = 0u64;
        for (path, frames) in chunks {
            cancel.check()?;
            let copied = append(out, path, time)?;
            ensure!(copied == *frames as u64, "{} holds {copied} of {frames} frames", path.display());
            time += copied;
            stage.advance(copied);
        }
        Ok(())
    })
}

fn append(out: &mut dyn Write, path: &Path, start: u64) -> Result<u64> {
    let mut reader = ivf::Reader::open(path)?;
    let mut copied = 0;
    while let Some(packet) = reader.next_packet()? {
        ivf::write_packet(out, start + copied, &packet.data)?;
        copied += 1;
    }
    Ok(copied)
}
