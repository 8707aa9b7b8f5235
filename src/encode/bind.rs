//! From finished chunks to the checked Matroska file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::check::{Expected, check};
use super::mux::{MuxJob, Muxer};
use super::work::WorkFolder;
use super::{Outcome, Request, join};
use crate::formats::matroska::{Contents, Kind};
use crate::source::{ClipInfo, ColorInfo};
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::support::units::show_bytes;

/// What the chunks of a run are bound with.
pub struct Binding<'a> {
    pub request: &'a Request,
    /// Of the clip as it was encoded.
    pub info: &'a ClipInfo,
    /// Of the source's pixels, where they are not square.
    pub sample_aspect: Option<(u32, u32)>,
    pub fps: (u32, u32),
    /// What all streams say they have.
    pub color: &'a ColorInfo,
    pub work: &'a WorkFolder,
    pub muxer: &'a Muxer,
    pub events: &'a Events,
    pub cancel: &'a Cancel,
}

impl Binding<'_> {
    /// Joins and muxes `files`, each with its frames, into a temporary file, checks it and gives it its name.
    /// A full disk is the error in place of what came of it.
    pub fn bind(&self, files: &[(PathBuf, usize)]) -> Result<Contents> {
        self.bound(files).map_err(|error| match self.work.check_space() {
            Err(full) if !error.is::<Interrupted>() => full.into(),
            _ => error,
        })
    }

    fn bound(&self, files: &[(PathBuf, usize)]) -> Result<Contents> {
        let Self { info, fps, color, work, .. } = *self;
        let joined = work.joined();
        {
            let stage = self.events.stage("Joining", info.frames as u64, "frames");
            let metadata = join::hdr10(color);
            join::join(files, fps, &metadata, &joined, &stage, self.cancel)?;
        }
        let output = &self.request.output;
        let partial = atomic::ordinary(&mut tempfile::Builder::new())
            .prefix(".progression-boost-")
            .suffix(".mkv")
            .tempfile_in(atomic::folder_of(&atomic::followed(output)))
            .with_context(|| format!("cannot write beside {}", output.display()))?
            .into_temp_path();
        work.note_partial(&partial)?;
        let copy_from = self.request.copy_from.as_deref();
        let job = MuxJob {
            video: &joined,
            fps,
            size: (info.width, info.height),
            sample_aspect: self.sample_aspect,
            color,
            copy_from,
            output: &partial,
        };
        {
            let _stage = self.events.stage("Muxing", 0, "files");
            self.muxer.run(&job, self.cancel)?.iter().for_each(|warning| self.events.warn(warning));
        }
        let expected = Expected {
            frames: info.frames,
            fps,
            width: info.width,
            height: info.height,
            bits: self.request.bits,
            color,
        };
        let contents = check(&partial, &expected)?;
        atomic::keep(partial, output)?;
        work.forget_partial();
        // As large as the result; the chunks it came from are kept.
        let _ = std::fs::remove_file(&joined);
        Ok(contents)
    }
}

/// Says what came of it, and tidies up when that is asked for; else the chunks of `files`, which
/// are in the result, and of `spare` stay.
pub fn finish(
    request: &Request,
    work: WorkFolder,
    contents: &Contents,
    files: &[&Path],
    spare: &[&Path],
    (frames, resumed): (usize, usize),
    events: &Events,
) -> Result<Outcome> {
    let output = request.output.clone();
    let bytes = std::fs::metadata(&output).map_or(0, |file| file.len());
    if let Some(source) = &request.copy_from {
        events.note(format!(
            "from {}: {} audio, {} subtitle tracks, {} chapters, {} attachments",
            source.display(),
            contents.count(Kind::Audio),
            contents.count(Kind::Subtitles),
            contents.chapters,
            contents.attachments
        ));
    }
    if request.clean {
        work.remove()?;
    } else {
        let (old, bytes) = work.prune(&files.iter().chain(spare).copied().collect::<HashSet<_>>());
        if old > 0 {
            events.note(format!("{old} chunks of other settings, {}, are removed", show_bytes(bytes)));
        }
        events.note(format!("the chunks stay in {}; --clean removes them", work.path().display()));
    }
    events.emit(&Event::Result { path: output.display().to_string() });
    Ok(Outcome { output, frames, bytes, chunks: files.len(), resumed })
}

/// Fails early where the output cannot be, or is one of the inputs.
pub fn check_paths(request: &Request) -> Result<()> {
    let output = &request.output;
    let same = |path: &Path| match (std::fs::canonicalize(path), std::fs::canonicalize(output)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    ensure!(!same(&request.input), "the output {} is the input; choose another name", output.display());
    if let Some(source) = &request.copy_from {
        ensure!(source.is_file(), "--copy-from {}: there is no such file", source.display());
        ensure!(!same(source), "the output {} is --copy-from's file; choose another name", output.display());
    }
    // Hours later would be late to find out.
    let folder = atomic::folder_of(output);
    tempfile::tempfile_in(&folder)
        .with_context(|| format!("cannot write {} into {}", output.display(), folder.display()))?;
    Ok(())
}

/// The clip's frame rate, which gives its frames their times.
pub fn frame_rate(input: &Path, info: &ClipInfo) -> Result<(u32, u32)> {
    match info.fps.and_then(|(n, d)| Some((u32::try_from(n).ok()?, u32::try_from(d).ok()?))) {
        Some(fps) => Ok(fps),
        None => bail!(
            "{} has no constant frame rate, so its frames have no times in the result; \
             give it one with `core.std.AssumeFPS` in a script",
            input.display()
        ),
    }
}
