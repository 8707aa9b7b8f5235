//! One encoder process for one scene or chunk: frames in, a verified IVF out.
//! All encodes of all encoders are started, fed, watched and judged here.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::y4m;
use crate::formats::{ivf, sequence};
use crate::options::Coder;
use crate::source::Picture;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::process::{Ended, Failure, Process, Stop};

/// Bytes handed to the pipe at once; the watch sees progress after each.
const WRITE: usize = 1 << 18;

/// How long an encoder may seem idle when nobody says otherwise. A mini-GOP of 32
/// large frames at a slow preset comes out at once, after minutes.
pub const USUAL_STALL: Duration = Duration::from_mins(15);

/// What one process of SvtAv1EncApp has to do.
#[derive(Debug, Clone)]
pub struct EncodeJob {
    pub program: PathBuf,
    /// All options but `-i`, `-b` and `--progress`.
    pub params: Vec<String>,
    /// The IVF to make; its folder exists.
    pub output: PathBuf,
    /// What all pictures are.
    pub format: y4m::Format,
    /// The process is ended when it takes no input and writes no output for
    /// this long, usually [`USUAL_STALL`]; `None`: never.
    pub stall: Option<Duration>,
    /// How far it gives way to other programs, 0 to 19.
    pub nice: u8,
}

/// A finished encode.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    pub path: PathBuf,
    pub frames: usize,
    pub bytes: u64,
    /// Wall time from the start of the process to its end.
    pub seconds: f64,
}

/// How an encode fails through the encoder's fault.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It does not take an option or value; another try will end the same way.
    #[error("the encoder refuses its parameters: {reason}\n{failure}")]
    Refused { reason: String, failure: Failure },
    /// It crashed, was killed or ended with an error.
    #[error("{0}")]
    Crashed(Failure),
    /// It said it was done, but frames are missing.
    #[error("the encoder ended without an error, but {reason}\n{failure}")]
    Short { reason: String, failure: Failure },
    /// It took no input and wrote nothing for too long.
    #[error("{0}")]
    Stalled(Failure),
}

impl EncodeError {
    /// Whether the same encode may succeed when tried once more.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// Encodes `frames` as `job` says. The result lies under its final name only
/// when the exit code is 0 and the file holds exactly the frames that were sent;
/// on any error nothing is left behind. `on_line` gets the encoder's own lines.
///
/// The error is an [`EncodeError`] when the encoder failed, [`Interrupted`] after
/// `cancel`, and whatever `frames` yielded when that failed.
pub fn encode(
    job: &EncodeJob,
    frames: impl Iterator<Item = Result<Arc<Picture>>>,
    cancel: &Cancel,
    on_line: impl FnMut(&str) + Send + 'static,
) -> Result<Encoded> {
    let stream = Stream {
        coder: Coder::SvtAv1,
        program: &job.program,
        words: &job.params,
        full_range: false,
        format: job.format,
        output: &job.output,
        stall: job.stall,
        nice: job.nice,
    };
    encode_stream(&stream, frames, cancel, on_line)
}

/// An encode by a program of any kind.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    pub coder: Coder,
    pub program: &'a Path,
    /// All options but those for input, output, passes and progress, as `coder` takes them.
    pub words: &'a [String],
    /// What the stream's header says of the code range, where the encoder reads it there.
    pub full_range: bool,
    /// As in [`EncodeJob`].
    pub format: y4m::Format,
    pub output: &'a Path,
    pub stall: Option<Duration>,
    /// As in [`EncodeJob`].
    pub nice: u8,
}

impl Stream<'_> {
    /// The command line that encodes y4m from standard input to `output`.
    fn command(&self, output: &Path) -> Command {
        let mut command = Command::new(self.program);
        match self.coder {
            Coder::Aom => {
                command.args(["--ivf", "--quiet", "--passes=1"]).args(self.words);
                command.arg("-o").arg(output).arg("-")
            }
            Coder::SvtAv1 => {
                command.args(["-i", "stdin", "-b"]).arg(output).args(["--progress", "0"]).args(self.words)
            }
        };
        command
    }

    /// What goes before the first frame; aomenc learns the code range only from it.
    fn header(&self) -> String {
        let header = self.format.header();
        match self.coder {
            Coder::Aom if self.full_range => header.trim_end().to_owned() + " XCOLORRANGE=FULL\n",
            _ => header,
        }
    }
}

/// [`encode`] for any kind of program, with the same promises and errors.
pub fn encode_stream(
    stream: &Stream<'_>,
    frames: impl Iterator<Item = Result<Arc<Picture>>>,
    cancel: &Cancel,
    on_line: impl FnMut(&str) + Send + 'static,
) -> Result<Encoded> {
    cancel.check()?;
    ensure!(matches!(stream.format.bits, 8 | 10), "{} bits a sample: must be 8 or 10", stream.format.bits);
    let started = Instant::now();
    let partial = PartialFile::beside(stream.output)?;
    let mut command = stream.command(&partial.path);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut process = Process::spawn_nice(&mut command, stream.nice, on_line)?;
    let stdin = process.take_stdin().context("the encoder has no standard input")?;
    let gauge = Arc::new(Gauge::default());
    process.watch(cancel, stream.stall, {
        let (gauge, output) = (Arc::clone(&gauge), partial.path.clone());
        move || gauge.progress(&output)
    })?;
    let sent = feed(stdin, stream, frames, &gauge)?;
    let ended = process.wait()?;
    if ended.stopped == Some(Stop::Interrupted) {
        return Err(Interrupted.into());
    }
    let bytes = judge(&process, &ended, &partial.path, sent)?;
    partial.finish(stream.output)?;
    let path = stream.output.to_path_buf();
    Ok(Encoded { path, frames: sent, bytes, seconds: started.elapsed().as_secs_f64() })
}

/// Writes the stream and closes it; returns the number of frames sent. A child
/// that no longer reads is no error here: how it ended tells more.
fn feed(
    mut stdin: ChildStdin,
    stream: &Stream<'_>,
    mut frames: impl Iterator<Item = Result<Arc<Picture>>>,
    gauge: &Gauge,
) -> Result<usize> {
    let format = stream.format;
    let mut buffer = y4m::Frames::default();
    let mut sent = 0;
    let mut open = gauge.write(&mut stdin, stream.header().as_bytes());
    while open {
        let Some(picture) = gauge.while_rendering(|| frames.next()) else { break };
        let picture = picture?;
        ensure!(
            format.fits(&picture),
            "frame {sent} is {}x{} of {} bits in a stream of {}x{} of {} bits",
            picture.width,
            picture.height,
            picture.bits,
            format.width,
            format.height,
            format.bits
        );
        open = gauge.write(&mut stdin, buffer.bytes_of(&picture));
        // A frame that did not get through whole still counts: it was meant to
        // be in the file.
        sent += 1;
    }
    ensure!(sent > 0 || !open, "there are no frames to encode");
    Ok(sent)
}

/// Size of the file in bytes when the encode succeeded.
fn judge(process: &Process, ended: &Ended, output: &Path, sent: usize) -> Result<u64, EncodeError> {
    if ended.stopped.is_some() {
        return Err(EncodeError::Stalled(process.failure(ended)));
    }
    let found = ivf::verify(output).and_then(|found| sequence::verify(output).map(|()| found));
    match &found {
        Ok((frames, bytes)) if ended.status.success() && *frames == sent && sent > 0 => return Ok(*bytes),
        _ => {}
    }
    let failure = process.failure(ended);
    let wrote_frames = std::fs::metadata(output).is_ok_and(|m| m.len() > ivf::HEADER as u64);
    // Exit code 0 does not mean that it took its parameters: presets out of
    // range end with 0 and without a file.
    if !wrote_frames
        && ended.status.code().is_some()
        && let Some(reason) = refusal(&failure.lines)
    {
        return Err(EncodeError::Refused { reason, failure });
    }
    if !ended.status.success() {
        return Err(EncodeError::Crashed(failure));
    }
    let reason = match found {
        Ok((frames, _)) => format!("the file has {frames} of {sent} frames"),
        Err(error) => format!("its file is not whole (is the disk full?): {error:#}"),
    };
    Err(EncodeError::Short { reason, failure })
}

/// The line in which SvtAv1EncApp (or aomenc, the last mark) says what it does not take.
fn refusal(lines: &[String]) -> Option<String> {
    let has = |line: &str, marks: &[&str]| marks.iter().any(|mark| line.contains(mark));
    let says = |line: &&String| has(line, &REFUSALS) && !has(&line.to_lowercase(), &SHORTAGES);
    Some(lines.iter().find(says)?.trim().to_owned())
}

const REFUSALS: [&str; 6] = [
    "Unprocessed tokens:",
    "Unprocessed arguments:",
    "Invalid parameter",
    "Svt[error]:",
    "Error:",
    "Invalid value",
];
/// Errors at start-up that another try may not meet.
const SHORTAGES: [&str; 3] = ["memory", "resource", "thread"];

/// What the watch reads about the feeding thread.
#[derive(Debug, Default)]
struct Gauge {
    accepted: AtomicU64,
    /// The encoder waits for us, not we for it.
    rendering: AtomicBool,
}

impl Gauge {
    /// Bytes that went in and came out; `None` while the source renders.
    fn progress(&self, output: &Path) -> Option<u64> {
        if self.rendering.load(Ordering::Relaxed) {
            return None;
        }
        let written = std::fs::metadata(output).map_or(0, |file| file.len());
        Some(self.accepted.load(Ordering::Relaxed) + written)
    }

    fn while_rendering<T>(&self, render: impl FnOnce() -> T) -> T {
        self.rendering.store(true, Ordering::Relaxed);
        let rendered = render();
        self.rendering.store(false, Ordering::Relaxed);
        rendered
    }

    /// Whether the child still reads.
    fn write(&self, stdin: &mut ChildStdin, bytes: &[u8]) -> bool {
        bytes.chunks(WRITE).all(|chunk| {
            let written = stdin.write_all(chunk).is_ok();
            self.accepted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            written
        })
    }
}

/// The file the encoder writes, gone when dropped unless finished.
#[derive(Debug)]
struct PartialFile {
    path: PathBuf,
}

impl PartialFile {
    fn beside(output: &Path) -> Result<Self> {
        let name = output
            .file_stem()
            .with_context(|| format!("{}: an encode needs a file name", output.display()))?;
        let mut partial = OsString::from(".");
        partial.push(name);
        // The extension stays: newer encoders choose the container by it.
        partial.push(".part.ivf");
        let path = output.with_file_name(partial);
        // One left by a crash must not pass for output of this encode.
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove the old {}", path.display()))
            }
            _ => Ok(Self { path }),
        }
    }

    fn finish(self, output: &Path) -> Result<()> {
        crate::support::atomic::rename(&self.path, output)
            .with_context(|| format!("cannot rename {} to {}", self.path.display(), output.display()))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After a rename there is nothing under this name.
        let _ = std::fs::remove_file(&self.path);
    }
}
