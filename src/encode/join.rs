//! One IVF from the chunks' files, time stamps counted through.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::formats::hdr::{self, Metadata};
use crate::formats::ivf;
use crate::source::ColorInfo;
use crate::support::atomic;
use crate::support::cancel::Cancel;
use crate::support::events::Stage;

/// Writes the frames of `chunks` (files and the frames each must have), in
/// order, to `output`. `fps` is what the container will say; each chunk's own
/// time stamps, which differ between encoders, are not used. `metadata` goes to
/// every start of a chunk that has none of its kind. Advances `stage` by frames.
pub fn join(
    chunks: &[(PathBuf, usize)],
    fps: (u32, u32),
    metadata: &[Metadata],
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
            let copied = append(out, path, time, metadata)?;
            ensure!(copied == *frames as u64, "{} holds {copied} of {frames} frames", path.display());
            time += copied;
            stage.advance(copied);
        }
        Ok(())
    })
}

fn append(out: &mut dyn Write, path: &Path, start: u64, metadata: &[Metadata]) -> Result<u64> {
    let mut reader = ivf::Reader::open(path)?;
    let mut copied = 0;
    while let Some(packet) = reader.next_packet()? {
        let unit = hdr::insert(&packet.data, metadata)
            .with_context(|| format!("frame {copied} of {} is damaged", path.display()))?;
        ivf::write_packet(out, start + copied, &unit)?;
        copied += 1;
    }
    Ok(copied)
}

/// The clip's HDR10 metadata. aomenc cannot write it into its stream, and not
/// every muxer beside it.
pub fn hdr10(color: &ColorInfo) -> Vec<Metadata> {
    let word = |value: i64| value.clamp(0, i64::from(u16::MAX)) as u16;
    let light = color.content_light.map(|(max, mean)| Metadata::content_light(word(max), word(mean)));
    let display = color.mastering.as_ref().map(|display| {
        let [red, green, blue] = [0, 1, 2].map(|i| (display.primaries_x[i], display.primaries_y[i]));
        let white = (display.white_x, display.white_y);
        let luminance = (display.max_luminance, display.min_luminance);
        Metadata::mastering_display([red, green, blue, white], luminance)
    });
    display.into_iter().chain(light).collect()
}
