//! The chunk-parallel final encoder: from a script to a finished Matroska with
//! nothing but this program, an encoder and a muxer.
//!
//! [`scenes`] finds the scenes, [`recipe`] says what each is encoded with and
//! tries it out, [`plan`] joins short ones to chunks, [`queue`] encodes these
//! side by side into the folder of [`work`], which remembers what is finished,
//! [`join`] and [`mux`] put them together, and [`check`] reads the result back,
//! all three called by [`bind`]. [`Workshop`] has the same parts for someone who
//! decides himself what is encoded when.

mod bind;
mod check;
mod detect;
pub mod grain;
mod join;
mod mux;
mod plan;
mod presets;
mod queue;
mod recipe;
mod run;
mod scenes;
mod share;
mod tools;
pub mod work;
mod workshop;

use std::path::PathBuf;
use std::time::Duration;

use crate::options::{Coder, Options};
use crate::source::OpenOptions;
use crate::support::lock::Earlier;
pub use mux::MuxerChoice;
pub use run::{run, run_share};
pub use scenes::{DetectBy, SceneSource};
pub use share::{Part, Share, ShareOutcome};
pub use workshop::{Order, Workshop};

/// What to encode, and how; everything in it has been checked as far as that
/// goes without opening the clip or the encoder.
#[derive(Debug, Clone)]
pub struct Request {
    pub input: PathBuf,
    pub open: OpenOptions,
    /// The Matroska file to make; replaced when it exists.
    pub output: PathBuf,
    /// The work folder.
    pub work: PathBuf,
    /// What becomes of chunks that an earlier run finished.
    pub earlier: Earlier,
    /// Remove the work folder once the result is checked.
    pub clean: bool,
    pub scenes: SceneSource,
    /// Scenes shorter than this many frames are joined, ≥ 1.
    pub min_chunk_length: usize,
    /// Encoders at once; `None`: CPUs / threads.
    pub parallel: Option<usize>,
    /// Threads of one encoder; `None`: what the parameters say, else 2.
    pub threads: Option<usize>,
    /// `None`: as the scenes file says, else aomenc.
    pub coder: Option<Coder>,
    /// The program of `coder` instead of the one on the PATH.
    pub program: Option<PathBuf>,
    /// Constant quality of scenes without parameters of their own.
    pub q: Option<f64>,
    /// Encoder preset; `None`: by the height of the picture.
    pub preset: Option<String>,
    /// The user's encoder presets.
    pub presets_file: Option<PathBuf>,
    /// On top of all other parameters.
    pub params: Options,
    /// Strength of the encoder's film grain, 0 to 50; 0 = off.
    pub noise: u32,
    /// A film grain table; wins over `noise`.
    pub grain_table: Option<PathBuf>,
    /// Bits per sample of the result, 8 or 10.
    pub bits: u8,
    /// An encoder that neither reads nor writes for so long is ended; `None`: never.
    pub stall: Option<Duration>,
    pub muxer: MuxerChoice,
    /// A file whose audio, subtitles, chapters and attachments are copied.
    pub copy_from: Option<PathBuf>,
    /// Where several machines work on it, in a folder that they share.
    pub share: Option<Share>,
    /// How far encoders give way to other programs, 0 to 19.
    pub nice: u8,
}

impl Request {
    /// What decides its chunks besides the scenes, in words.
    pub fn describe(&self) -> String {
        let mut words = vec![format!("{} bits", self.bits)];
        let mut say = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("{name} {value}")));
        };
        say("--encoder", self.coder.map(|coder| coder.name().to_owned()));
        say("--q", self.q.map(|q| q.to_string()));
        say("--encoder-preset", self.preset.clone());
        let params = self.params.words(self.coder.unwrap_or(Coder::SvtAv1)).join(" ");
        say("--params", Some(params).filter(|params| !params.is_empty()));
        say("--noiselevel", (self.noise > 0).then(|| self.noise.to_string()));
        say("--graintable", self.grain_table.as_ref().map(|path| path.display().to_string()));
        say("--min-chunk-length", Some(self.min_chunk_length.to_string()));
        words.join(", ")
    }
}

/// A finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub output: PathBuf,
    pub frames: usize,
    pub bytes: u64,
    pub chunks: usize,
    /// Chunks that an earlier run had finished.
    pub resumed: usize,
}
