//! x264's first pass as a detector of cuts (spec 10, section 1): it weighs every
//! frame of the whole stretch against those that it could be predicted from.
//!
//! The frames go to x264 as they pass by; its statistics tell which of them became
//! key frames. The interval between key frames is longer than the run, so that each
//! but the first is a cut that was detected.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::source::{Frame, Row};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::process::{Process, Stop, capture};

/// A zone of fewer frames is one run.
const SHORTEST_HALVED: usize = 120;
/// Frames that both halves see.
const SEAM: usize = 4;
/// The interval between key frames exceeds the run by this.
const BEYOND: usize = 240;
/// `--version` takes milliseconds, a trial of blank frames hardly longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Frames that wait for x264; they hold the source's memory.
const WAITING: usize = 8;
const TRIAL: (usize, usize, usize) = (64, 64, 3);

/// Everything but the key frame interval and the files. Whatever does not help to
/// find cuts is off; `subme 2` is needed for it.
const ARGUMENTS: &str = "--stitchable --log-level error --no-progress --demuxer y4m --output-depth 10 \
     --preset veryfast --qp 80 --min-keyint 1 --scenecut 40 --rc-lookahead 120 --ref 1 --aq-mode 0 \
     --no-8x8dct --partitions none --no-weightb --weightp 0 --me dia --subme 2 --no-psy --trellis 0 \
     --no-cabac --no-deblock --slow-firstpass --pass 1";

/// An x264 that works, and the zones whose frames it is to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstPass {
    program: PathBuf,
    /// Its version line, for instance `x264 0.164.3095 baee400`.
    version: String,
    zones: Vec<Range<usize>>,
}

/// Frames that x264 sees as one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub frames: Range<usize>,
    /// Its first frame begins nothing: it lies in the middle of the zone.
    in_the_middle: bool,
}

impl FirstPass {
    /// Finds `program` (a path, or a name on the PATH) and has it look at blank
    /// frames. An error says why it cannot be used, as a clause.
    pub fn open(program: &Path, cancel: &Cancel) -> Result<Self> {
        let place = if program.components().count() > 1 { "" } else { " on the PATH" };
        let program = which::which(program).map_err(|_| {
            anyhow!(
                "there is no x264 `{}`{place} ({}; scenes.x264 names another)",
                program.display(),
                crate::support::install::program("x264")
            )
        })?;
        let answer = capture(Command::new(&program).arg("--version"), ANSWER_LIMIT, cancel)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let version = answer.lines().next().unwrap_or_default().trim().to_owned();
        ensure!(
            version.starts_with("x264"),
            "{} is no x264, its version line is `{version}`",
            program.display()
        );
        let pass = Self { program, version, zones: Vec::new() };
        pass.try_out(cancel).with_context(|| format!("{} does not work", pass.version))?;
        Ok(pass)
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Lets it see another zone.
    #[must_use]
    pub fn with(mut self, zone: Range<usize>) -> Self {
        self.zones.push(zone);
        self
    }

    fn runs(&self) -> Vec<Run> {
        self.zones.iter().cloned().flat_map(runs).collect()
    }

    /// Exit code 0 alone proves little: a build for 8 bits only says so, others may not.
    fn try_out(&self, cancel: &Cancel) -> Result<()> {
        let (width, height, frames) = TRIAL;
        let run = Run { frames: 0..frames, in_the_middle: false };
        let mut stream = Stream::start(self, run, (width, height), cancel)?;
        // Planes of 2-byte samples, half as many again as of luma.
        let blank = vec![0x00; width * height * 3];
        for _ in 0..frames {
            stream.write(&blank);
        }
        let cuts = stream.finish()?;
        ensure!(cuts == [0], "of {frames} blank frames it takes {cuts:?} for cuts");
        Ok(())
    }
}

/// The runs of a zone: two halves that overlap, or all of it where it is short.
pub fn runs(zone: Range<usize>) -> Vec<Run> {
    if zone.len() < SHORTEST_HALVED {
        return vec![Run { frames: zone, in_the_middle: false }];
    }
    let middle = usize::midpoint(zone.start, zone.end);
    vec![
        Run { frames: zone.start..middle + SEAM, in_the_middle: false },
        Run { frames: middle..zone.end, in_the_middle: true },
    ]
}

impl Run {
    /// The frames of the clip that begin something, by the text of a statistics file.
    ///
    /// # Errors
    /// When it tells of a frame that the run does not have.
    pub fn cuts(&self, statistics: &str) -> Result<Vec<usize>> {
        let mut cuts = Vec::new();
        for (number, kind) in statistics.lines().filter_map(coded) {
            ensure!(
                number < self.frames.len(),
                "x264's statistics tell of frame {number} of {}",
                self.frames.len()
            );
            // An `i` is a picture without prediction in the midst of others.
            if kind == "I" && !(self.in_the_middle && number == 0) {
                cuts.push(self.frames.start + number);
            }
        }
        Ok(cuts)
    }
}

/// Display number and type of a frame's line: `in:48 out:50 type:I …`.
fn coded(line: &str) -> Option<(usize, &str)> {
    let mut words = line.split_whitespace();
    let number = words.next()?.strip_prefix("in:")?.parse().ok()?;
    words.next()?.strip_prefix("out:")?;
    Some((number, words.next()?.strip_prefix("type:")?))
}

/// One running x264.
struct Stream {
    run: Run,
    process: Process,
    stdin: Option<BufWriter<ChildStdin>>,
    /// Holds its statistics.
    folder: TempDir,
}

impl Stream {
    fn start(pass: &FirstPass, run: Run, (width, height): (usize, usize), cancel: &Cancel) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut command = Command::new(&pass.program);
        command.args(ARGUMENTS.split_whitespace());
        command.arg("--keyint").arg((run.frames.len() + BEYOND).to_string());
        command.arg("--stats").arg(statistics_in(&folder)).arg("-o").arg(null_device()).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = Process::spawn(&mut command, |_| {})?;
        process.watch(cancel, None, || None)?;
        let stdin = process.take_stdin().context("x264 has no standard input")?;
        let mut stream = Self { run, process, stdin: Some(BufWriter::new(stdin)), folder };
        let header = format!("YUV4MPEG2 W{width} H{height} F24:1 Ip A1:1 C420p10 XYSCSS=420P10\n");
        stream.send(header.as_bytes());
        Ok(stream)
    }

    /// A frame of 10-bit 4:2:0, planes one after the other. One that does not go
    /// through is told of at the end, in x264's own words.
    fn write(&mut self, frame: &[u8]) {
        self.send(b"FRAME\n");
        self.send(frame);
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.stdin.as_mut().is_some_and(|stdin| stdin.write_all(bytes).is_err()) {
            self.stdin = None;
        }
    }

    /// Tells it that there is no more; it goes on with what it has.
    fn close(&mut self) {
        if let Some(Err(_)) = self.stdin.as_mut().map(Write::flush) {
            self.stdin = None;
        }
        self.stdin = None;
    }

    /// The cuts, once it has ended.
    fn finish(mut self) -> Result<Vec<usize>> {
        self.close();
        let ended = self.process.wait()?;
        if ended.stopped == Some(Stop::Interrupted) {
            return Err(Interrupted.into());
        }
        if !ended.status.success() {
            return Err(self.process.failure(&ended).into());
        }
        let path = statistics_in(&self.folder);
        let statistics = std::fs::read_to_string(&path)
            .with_context(|| self.process.failed("left no statistics".to_owned()).to_string())?;
        let (told, sent) = (statistics.lines().filter_map(coded).count(), self.run.frames.len());
        if told != sent {
            bail!(self.process.failed(format!("told of {told} of {sent} frames")));
        }
        self.run.cuts(&statistics)
    }
}

fn statistics_in(folder: &TempDir) -> PathBuf {
    folder.path().join("x264.stats")
}

fn null_device() -> &'static str {
    if cfg!(windows) { "NUL" } else { "/dev/null" }
}

/// x264 beside the analysis: frames are handed over as they pass by.
pub(super) struct Watcher {
    frames: SyncSender<Frame>,
    thread: JoinHandle<Result<Vec<bool>>>,
}

impl Watcher {
    /// For a clip of `frames` frames.
    pub fn start(pass: &FirstPass, frames: usize, cancel: &Cancel) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let (pass, cancel) = (pass.clone(), cancel.clone());
        let work = move || watch(&pass, &receiver, frames, &cancel);
        let thread = thread::Builder::new().name("x264".to_owned()).spawn(work)?;
        Ok(Self { frames: sender, thread })
    }

    /// The next frame of the clip; waits while x264 lags behind.
    pub fn see(&self, frame: &Frame) {
        // Where the thread has ended there is an error, which `finish` returns.
        let _ = self.frames.send(frame.clone());
    }

    /// Whether x264 sees a cut before each frame.
    pub fn finish(self) -> Result<Vec<bool>> {
        drop(self.frames);
        self.thread.join().map_err(|_| anyhow!("the thread that feeds x264 failed"))?
    }
}

fn watch(pass: &FirstPass, frames: &Receiver<Frame>, count: usize, cancel: &Cancel) -> Result<Vec<bool>> {
    let mut waiting = pass.runs();
    // Those that still look ahead when their last frame was sent, too.
    let mut streams: Vec<Stream> = Vec::new();
    let mut bytes = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let (begin, later) = waiting.into_iter().partition::<Vec<Run>, _>(|run| run.frames.start == n);
        waiting = later;
        for run in begin {
            streams.push(Stream::start(pass, run, even_size(&frame), cancel)?);
        }
        if streams.iter().any(|stream| stream.run.frames.contains(&n)) {
            ten_bits(&frame, &mut bytes);
        }
        for stream in &mut streams {
            if stream.run.frames.contains(&n) {
                stream.write(&bytes);
            }
            if stream.run.frames.end == n + 1 {
                stream.close();
            }
        }
    }
    let mut cuts = vec![false; count];
    for stream in streams {
        for cut in stream.finish()? {
            cuts[cut] = true;
        }
    }
    Ok(cuts)
}

/// 4:2:0 has even sides; the last column and row go.
fn even_size(frame: &Frame) -> (usize, usize) {
    (frame.width(0) & !1, frame.height(0) & !1)
}

/// The bytes of a frame as 10-bit 4:2:0, whatever integer format it has. Depths
/// are shifted: a detector does not mind the last quarter of a code value.
fn ten_bits(frame: &Frame, bytes: &mut Vec<u8>) {
    let (width, height) = even_size(frame);
    bytes.clear();
    bytes.reserve(width * height * 3);
    for y in 0..height {
        push(frame.row(0, y), frame.bits(), 0..width, bytes);
    }
    for plane in 1..3 {
        if plane >= frame.planes() {
            // Grey has no colour.
            bytes.extend((0..width / 2 * (height / 2)).flat_map(|_| GREY.to_le_bytes()));
            continue;
        }
        // Of 4:2:2 and 4:4:4 every other sample stands for its neighbour.
        let (columns, lines) = (frame.width(plane), frame.height(plane));
        for y in 0..height / 2 {
            let row = frame.row(plane, (2 * y * lines / frame.height(0)).min(lines - 1));
            let columns = (0..width / 2).map(|x| (2 * x * columns / frame.width(0)).min(columns - 1));
            push(row, frame.bits(), columns, bytes);
        }
    }
}

/// Chroma of no colour in 10 bits.
const GREY: u16 = 512;

/// The samples of a row at `columns`, in 10 bits.
fn push(row: Row<'_>, bits: u8, columns: impl Iterator<Item = usize>, bytes: &mut Vec<u8>) {
    let ten = |sample: u16| if bits < 10 { sample << (10 - bits) } else { sample >> (bits - 10) };
    match row {
        Row::Bytes(row) => bytes.extend(columns.flat_map(|x| ten(row[x].into()).to_le_bytes())),
        Row::Words(row) => bytes.extend(columns.flat_map(|x| ten(row[x]).to_le_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_seen_in_two_halves_that_overlap_or_whole_when_it_is_short() {
        let seen =
            |zone| runs(zone).into_iter().map(|run| (run.frames, run.in_the_middle)).collect::<Vec<_>>();
        assert_eq!(seen(7..126), [(7..126, false)]);
        assert_eq!(seen(100..341), [(100..224, false), (220..341, true)]);
    }

    /// Lines that x264 0.164 wrote, and others that it could not have.
    #[test]
    fn of_the_statistics_only_frame_lines_count() {
        let run = Run { frames: 100..200, in_the_middle: true };
        let text = "#options: 320x180 fps=24/1 keyint=336\n\
                    in:0 out:0 type:I dur:2 cpbdur:2 q:77.00 aq:63.00 tex:2681 mv:1294 misc:5433 imb:240\n\
                    in:4 out:1 type:P dur:2 cpbdur:2 q:80.00\nin:12 out:2 type:i dur:2\n\
                    in:48 out:48 type:I dur:2 cpbdur:2 q:77.00\nin:x out:3 type:I\nsomething else\nin:5\n\n";
        assert_eq!(run.cuts(text).unwrap(), [148]);
        let whole = Run { in_the_middle: false, ..run.clone() };
        assert_eq!(whole.cuts(text).unwrap(), [100, 148]);
        let error = run.cuts("in:100 out:0 type:P").unwrap_err().to_string();
        assert!(error.contains("frame 100 of 100"), "{error}");
    }

    #[test]
    fn samples_of_every_depth_become_ten_bits() {
        let of = |row, bits, columns: [usize; 2]| {
            let mut bytes = Vec::new();
            push(row, bits, columns.into_iter(), &mut bytes);
            bytes.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>()
        };
        assert_eq!(of(Row::Bytes(&[16, 99, 235]), 8, [0, 2]), [64, 940]);
        assert_eq!(of(Row::Words(&[64, 940, 7]), 10, [0, 1]), [64, 940]);
        assert_eq!(of(Row::Words(&[4096, 60160]), 16, [1, 0]), [940, 64]);
    }

    #[test]
    fn a_program_that_is_missing_or_is_something_else_is_told_of() {
        let error = FirstPass::open(Path::new("no-such-x264"), &Cancel::new()).unwrap_err().to_string();
        assert!(
            error.contains("no x264 `no-such-x264` on the PATH") && error.contains("scenes.x264 names"),
            "{error}"
        );
    }
}
