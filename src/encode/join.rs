//! One IVF from the chunks' files, time stamps counted through.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::encoder::ivf;
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
    let size = ivf::Reader::open(first)?.header();
    atomic::write_with(output, |out| {
        out.write_all(&header(size.width, size.height, fps, total)?)?;
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
        out.write_all(&u32::try_from(packet.data.len())?.to_le_bytes())?;
        out.write_all(&(start + copied).to_le_bytes())?;
        out.write_all(&packet.data)?;
        copied += 1;
    }
    Ok(copied)
}

fn header(width: u16, height: u16, (numerator, denominator): (u32, u32), frames: usize) -> Result<[u8; 32]> {
    let mut header = [0; 32];
    header[..8].copy_from_slice(b"DKIF\0\0\x20\0");
    header[8..12].copy_from_slice(b"AV01");
    header[12..14].copy_from_slice(&width.to_le_bytes());
    header[14..16].copy_from_slice(&height.to_le_bytes());
    header[16..20].copy_from_slice(&numerator.to_le_bytes());
    header[20..24].copy_from_slice(&denominator.to_le_bytes());
    header[24..28].copy_from_slice(&u32::try_from(frames)?.to_le_bytes());
    Ok(header)
}
