//! From the joined IVF to Matroska, with what else the source has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow, bail};
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

use crate::source::{ColorInfo, UNSPECIFIED};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::process::{Process, Stop};

/// Which muxer to use; auto is mkvmerge if it is there, else ffmpeg.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, EnumMessage, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum MuxerChoice {
    #[default]
    Auto,
    Mkvmerge,
    Ffmpeg,
}

/// A muxer that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Muxer {
    Mkvmerge(PathBuf),
    Ffmpeg(PathBuf),
}

/// One file to make.
pub struct MuxJob<'a> {
    /// An IVF with right time stamps.
    pub video: &'a Path,
    pub fps: (u32, u32),
    /// Width and height of the picture in samples.
    pub size: (usize, usize),
    /// Width and height of a sample, where they differ; AV1 itself cannot tell.
    pub sample_aspect: Option<(u32, u32)>,
    pub color: &'a ColorInfo,
    /// Audio, subtitles, chapters, attachments and tags come from here.
    pub copy_from: Option<&'a Path>,
    pub output: &'a Path,
}

/// Exit code of mkvmerge for "done, with warnings".
const WITH_WARNINGS: i32 = 1;

impl Muxer {
    /// An error when there is none of `choice` on the PATH.
    pub fn find(choice: MuxerChoice) -> Result<Self> {
        let mkvmerge = || which::which("mkvmerge").ok().map(Self::Mkvmerge);
        let ffmpeg = || which::which("ffmpeg").ok().map(Self::Ffmpeg);
        let (found, wanted) = match choice {
            MuxerChoice::Auto => (mkvmerge().or_else(ffmpeg), "neither mkvmerge nor ffmpeg"),
            MuxerChoice::Mkvmerge => (mkvmerge(), "no mkvmerge"),
            MuxerChoice::Ffmpeg => (ffmpeg(), "no ffmpeg"),
        };
        found.ok_or_else(|| {
            anyhow!("there is {wanted} on the PATH to make the Matroska file; install mkvtoolnix or ffmpeg")
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Mkvmerge(_) => "mkvmerge",
            Self::Ffmpeg(_) => "ffmpeg",
        }
    }

    /// Makes `job.output` and returns the muxer's warnings.
    pub fn run(&self, job: &MuxJob<'_>, cancel: &Cancel) -> Result<Vec<String>> {
        let mut command = match self {
            Self::Mkvmerge(program) => mkvmerge(program, job),
            Self::Ffmpeg(program) => ffmpeg(program, job),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command, |_| {})?;
        process.watch(cancel, None, || None)?;
        let ended = process.wait()?;
        if ended.stopped == Some(Stop::Interrupted) {
            return Err(Interrupted.into());
        }
        // mkvmerge talks on standard output.
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let lines = |mark: &str| -> Vec<String> {
            said.lines().filter(|line| line.starts_with(mark)).map(str::to_owned).collect()
        };
        let done = ended.status.success()
            || (matches!(self, Self::Mkvmerge(_)) && ended.status.code() == Some(WITH_WARNINGS));
        if !done {
            let mut failure = process.failure(&ended);
            failure.lines.extend(lines("Error:"));
            bail!(failure);
        }
        Ok(lines("Warning:"))
    }
}

fn mkvmerge(program: &Path, job: &MuxJob<'_>) -> Command {
    let mut command = Command::new(program);
    command.args(["--quiet", "--ui-language", if cfg!(windows) { "en" } else { "en_US" }]);
    command.arg("--output").arg(plain(job.output));
    let (numerator, denominator) = job.fps;
    command.args(["--default-duration", &format!("0:{numerator}/{denominator}p")]);
    for (option, value) in color_arguments(job.color) {
        command.args([option, &format!("0:{value}")]);
    }
    if let Some((width, height)) = job.sample_aspect {
        command.args(["--aspect-ratio-factor", &format!("0:{width}/{height}")]);
    }
    command.arg(plain(job.video));
    if let Some(source) = job.copy_from {
        command.arg("--no-video").arg(plain(source));
    }
    command
}

/// A name that means nothing but a file: `@x` would be mkvmerge's list of
/// options, `+x` a file to append, and `a:b` ffmpeg's file `b` of protocol `a`.
fn plain(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// What mkvmerge writes beside the stream, for players that read the container only.
fn color_arguments(color: &ColorInfo) -> Vec<(&'static str, String)> {
    let mut arguments = Vec::new();
    for (option, value) in [
        ("--colour-matrix-coefficients", color.matrix),
        ("--colour-transfer-characteristics", color.transfer),
        ("--colour-primaries", color.primaries),
    ] {
        if value != UNSPECIFIED {
            arguments.push((option, value.to_string()));
        }
    }
    if let Some(full) = color.full_range {
        // Matroska counts 1 = limited, 2 = full.
        arguments.push(("--colour-range", if full { "2" } else { "1" }.to_owned()));
    }
    // Matroska's pairs count 1 = on the sample, 2 = between, horizontally and vertically.
    match color.chroma_location {
        Some(0) => arguments.push(("--chroma-siting", "1,2".to_owned())),
        Some(1) => arguments.push(("--chroma-siting", "2,2".to_owned())),
        Some(2) => arguments.push(("--chroma-siting", "1,1".to_owned())),
        _ => {}
    }
    if let Some(display) = &color.mastering {
        let points = display.primaries_x.iter().zip(&display.primaries_y);
        let points: Vec<String> = points.map(|(x, y)| format!("{x},{y}")).collect();
        arguments.push(("--chromaticity-coordinates", points.join(",")));
        arguments.push(("--white-colour-coordinates", format!("{},{}", display.white_x, display.white_y)));
        arguments.push(("--max-luminance", display.max_luminance.to_string()));
        arguments.push(("--min-luminance", display.min_luminance.to_string()));
    }
    if let Some((max, average)) = color.content_light {
        arguments.push(("--max-content-light", max.to_string()));
        arguments.push(("--max-frame-light", average.to_string()));
    }
    arguments
}

fn ffmpeg(program: &Path, job: &MuxJob<'_>) -> Command {
    let mut command = Command::new(program);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-i"]).arg(plain(job.video));
    if let Some(source) = job.copy_from {
        command.arg("-i").arg(plain(source));
    }
    command.args(["-map", "0:v:0"]);
    if job.copy_from.is_some() {
        command.args([
            "-map",
            "1:a?",
            "-map",
            "1:s?",
            "-map",
            "1:t?",
            "-map_chapters",
            "1",
            "-map_metadata",
            "1",
        ]);
    }
    if let Some((width, height)) = job.sample_aspect {
        let shown = |side: usize, factor: u32| side as u64 * u64::from(factor);
        let (width, height) = (shown(job.size.0, width), shown(job.size.1, height));
        command.args(["-aspect", &format!("{width}:{height}")]);
    }
    command.args(["-c", "copy", "-f", "matroska"]).arg(plain(job.output));
    command
}
