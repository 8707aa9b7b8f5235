//! Everything between a path and pictures: the guarded VapourSynth runtime,
//! scripts and videos, and the frame pump.
//!
//! VapourSynth types stay in this module, `score` and `character`; the other
//! stages see [`Picture`], [`ColorInfo`] and [`ClipInfo`].

mod about;
mod clip;
mod color;
pub mod format;
mod frame;
mod identity;
mod luma_sample;
mod open;
mod picture;
mod places;
mod pump;
mod room;
pub mod runtime;
mod session;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail};

pub use about::{About, PluginFile, about};
pub use clip::{Clip, ClipInfo, Family, SMALLEST_CACHE, Working};
pub use color::{ColorInfo, MasteringDisplay, ResolvedColor, UNSPECIFIED};
pub use frame::{Frame, Row};
pub use identity::{files, fingerprint};
pub use luma_sample::{LumaGrid, LumaSample};
pub use picture::{PackedPicture, Picture, chroma_size};
pub use pump::Frames;
pub(crate) use pump::InFlight;
pub use session::{Arg, OpenOptions, Session};

/// Opens a VapourSynth script (`.vpy`, `.py`) in-process, anything else as a video file.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Clip> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?;
    if metadata.is_dir() {
        bail!("{} is a folder; name a .vpy script or a video file", path.display());
    }
    if is_script(path) {
        return open::script(path, options);
    }
    if !options.variables.is_empty() {
        bail!("--vpy-arg is for scripts, {} is opened as a video", path.display());
    }
    open::video(path, options)
}

/// [`open`] within `memory` bytes, see [`Clip::bound`].
pub fn open_within(path: &Path, options: &OpenOptions, memory: u64) -> Result<Clip> {
    let clip = open(path, &OpenOptions { cache_limit: Some(memory), ..options.clone() })?;
    clip.bound(memory);
    Ok(clip)
}

/// Whether [`open`] takes `path` for a script.
pub fn is_script(path: &Path) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|e| e.eq_ignore_ascii_case("vpy") || e.eq_ignore_ascii_case("py"))
}
