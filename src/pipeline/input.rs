//! The clips that boosting and verifying read.

use std::path::Path;

use anyhow::{Result, bail};

use super::Request;
use crate::source::{self, Clip, OpenOptions};
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// Frames of the clip's size that VapourSynth may keep: what filters that look
/// some frames around need. For a reader in order more is of no use.
const CACHED_FRAMES: usize = 12;

/// VapourSynth's cache beyond this helps no sequential reader.
const LARGEST_CACHE: u64 = 1 << 30;

/// Small clips come from larger ones often enough. With 64 MiB, glibc's heap grew
/// to 450 MiB over 14,400 frames of 320x180; with this it stays at 320.
pub const SMALLEST_CACHE: u64 = 24 << 20;

/// The clips of a boosting run.
pub struct Input {
    /// As the script makes it.
    pub clip: Clip,
    /// What statistics and detection read; usually `clip`.
    pub analysed: Clip,
    /// Everything that its frames depend on.
    pub key: Fingerprint,
    pub analysed_key: Fingerprint,
    /// What probes are encoded from and measured against; usually `clip`.
    pub probed: Clip,
    pub probed_key: Fingerprint,
}

impl Input {
    pub fn open(request: &Request, memory: u64, events: &Events) -> Result<Self> {
        let options = &request.open;
        let clip = open(&request.input, options, memory)?;
        let key = source::fingerprint(&request.input, options, &clip)?;
        let (analysed, analysed_key) = match &request.analysis_input {
            None => (clip.clone(), key.clone()),
            Some(path) => {
                let other = open(path, options, memory)?;
                let (ours, theirs) = (clip.info().frames, other.info().frames);
                if ours != theirs {
                    bail!(
                        "{} has {theirs} frames, {} has {ours}: the analysis input must show the same frames",
                        path.display(),
                        request.input.display()
                    );
                }
                let key = source::fingerprint(path, options, &other)?;
                (other, key)
            }
        };
        let (probed, probed_key) = match &request.probe_input {
            None => (clip.clone(), key.clone()),
            Some(path) => {
                let other = open(path, options, memory)?;
                check_stand_in((path, &other), (&request.input, &clip))?;
                let key = source::fingerprint(path, options, &other)?;
                introduce(path, &other, events);
                (other, key)
            }
        };
        introduce(&request.input, &clip, events);
        Ok(Self { clip, analysed, key, analysed_key, probed, probed_key })
    }
}

/// Whether a clip can be probed in the place of another: a CRF found for other
/// pictures, or for pictures read otherwise, would be that of another encode.
fn check_stand_in((path, stand_in): (&Path, &Clip), (input, clip): (&Path, &Clip)) -> Result<()> {
    let (ours, theirs) = (clip.info(), stand_in.info());
    let differ = |what: &str, theirs: String, ours: String| {
        anyhow::anyhow!(
            "--probe-input {}: {what} is {theirs}, that of {} is {ours}; it must be the same",
            path.display(),
            input.display()
        )
    };
    if theirs.frames != ours.frames {
        return Err(differ(
            "its length",
            format!("{} frames", theirs.frames),
            format!("{} frames", ours.frames),
        ));
    }
    let size = |info: &source::ClipInfo| format!("{}x{}", info.width, info.height);
    if size(theirs) != size(ours) {
        return Err(differ("its size", size(theirs), size(ours)));
    }
    let (their_color, our_color) = (stand_in.color()?.resolve(), clip.color()?.resolve());
    if their_color != our_color {
        return Err(differ("its colour", format!("{their_color:?}"), format!("{our_color:?}")));
    }
    Ok(())
}

/// Opens a clip that is read in order. Frames that VapourSynth caches are in
/// nobody's budget but its own, which is a part of `memory`, in bytes.
pub fn open(path: &Path, options: &OpenOptions, memory: u64) -> Result<Clip> {
    let most = (memory / 4).min(LARGEST_CACHE);
    let clip = source::open(path, &OpenOptions { cache_limit: Some(most), ..options.clone() })?;
    let frames = (CACHED_FRAMES * picture_bytes(&clip)) as u64;
    let bytes = frames.clamp(SMALLEST_CACHE, LARGEST_CACHE);
    clip.session().limit_cache(bytes.min(memory / 4))?;
    Ok(clip)
}

/// Says what was opened.
pub fn introduce(path: &Path, clip: &Clip, events: &Events) {
    let info = clip.info();
    events.note(format!(
        "{}: {} frames, {}x{}, {}",
        path.display(),
        info.frames,
        info.width,
        info.height,
        info.format
    ));
}

/// What the encoder takes and the metrics compare; says what had to be changed.
pub fn working(clip: &Clip, bits: u8, events: &Events) -> Result<Clip> {
    let working = clip.working(bits)?;
    for note in &working.notes {
        events.note(note);
    }
    Ok(working.clip)
}

/// Bytes of one picture in the encoder's layout.
pub fn picture_bytes(clip: &Clip) -> usize {
    let info = clip.info();
    let (cw, ch) = source::chroma_size(info.width, info.height);
    2 * (info.width * info.height + 2 * cw * ch)
}
