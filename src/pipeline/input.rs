//! The clips that boosting and verifying read.

use std::path::Path;

use anyhow::{Result, bail};

use super::Request;
use crate::source::{self, Clip};
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

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
    /// `memory` are the bytes that VapourSynth may keep for each of the clips.
    pub fn open(request: &Request, memory: u64, events: &Events) -> Result<Self> {
        let options = &request.open;
        let clip = source::open_within(&request.input, options, memory)?;
        let key = source::fingerprint(&request.input, options, &clip)?;
        let (analysed, analysed_key) = match &request.analysis_input {
            None => (clip.clone(), key.clone()),
            Some(path) => {
                let other = source::open_within(path, options, memory)?;
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
                let other = source::open_within(path, options, memory)?;
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
