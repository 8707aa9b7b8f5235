//! Scene detection for the chunk encoder: our own methods, or ffmpeg's filter.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::analysis::{AnalysisOptions, analyse};
use crate::encoder::y4m;
use crate::scenes;
use crate::settings::Resolved;
use crate::source::{Arg, Clip};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;
use crate::support::process::{Process, Stop};

/// Frames requested ahead; they are small and leave at once.
const PREFETCH: usize = 16;

/// Starts of the scenes that the settings' method finds; the first is 0.
pub fn by_settings(clip: &Clip, settings: &Resolved, events: &Events, cancel: &Cancel) -> Result<Vec<usize>> {
    let mut warnings = Vec::new();
    let zones = settings.zones(clip.info().frames, &mut warnings)?;
    for warning in warnings {
        events.warn(warning);
    }
    let plan = scenes::plan(&zones, clip.session(), events, cancel)?;
    let options = AnalysisOptions { first_pass: plan.first_pass.as_ref(), ..AnalysisOptions::default() };
    let analysis = analyse(clip, &plan.detectors, options, events, cancel)?;
    let detection = scenes::detect(&zones, &plan, &analysis, events)?;
    Ok(detection.scenes.iter().map(|scene| scene.start).collect())
}

/// Starts of the scenes at whose first frame ffmpeg's scene score is above
/// `threshold`. The frames go to ffmpeg from here, so scripts are detected as
/// they are encoded; `half` halves both sides first.
pub fn by_ffmpeg(
    clip: &Clip,
    threshold: f64,
    half: bool,
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    let program = which::which("ffmpeg").map_err(|_| {
        anyhow!(
            "ffmpeg is not on the PATH, which --scene-method ffmpeg needs; install it or choose `builtin`"
        )
    })?;
    let small = reduced(&clip.working(8)?.clip, half)?;
    let info = small.info();
    let format =
        y4m::Format { width: info.width, height: info.height, bits: 8, fps: y4m::frame_rate(info.fps) };
    let filter = format!("select='gt(scene,{threshold})',metadata=print:file=-");
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-loglevel", "error", "-f", "yuv4mpegpipe", "-i", "pipe:0"]);
    command.args(["-an", "-vf", &filter, "-f", "null", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::spawn(&mut command, |_| {})?;
    process.watch(cancel, None, || None)?;
    let mut stdin = process.take_stdin().context("ffmpeg has no standard input")?;
    let stage = events.stage("Scene detection", info.frames as u64, "frames");
    let mut open = stdin.write_all(format.header().as_bytes()).is_ok();
    let mut buffer = y4m::Frames::default();
    for frame in small.frames(0..info.frames, PREFETCH, cancel) {
        // Why ffmpeg stopped reading, its end will tell.
        open = open && stdin.write_all(buffer.bytes_of(&frame?.to_picture())).is_ok();
        if !open {
            break;
        }
        stage.advance(1);
    }
    drop(stdin);
    let ended = process.wait()?;
    if ended.stopped == Some(Stop::Interrupted) {
        return Err(Interrupted.into());
    }
    if !ended.status.success() || !open {
        return Err(anyhow!(process.failure(&ended)).context("scene detection by ffmpeg failed"));
    }
    starts(&String::from_utf8_lossy(&ended.stdout), info.frames)
}

fn reduced(clip: &Clip, half: bool) -> Result<Clip> {
    if !half {
        return Ok(clip.clone());
    }
    // 4:2:0 wants even sides.
    let side = |side: usize| Arg::Int((side / 4 * 2).max(2) as i64);
    let (width, height) = (side(clip.info().width), side(clip.info().height));
    clip.filtered("resize", "Bilinear", &[("width", width), ("height", height)])
}

/// The frames in lines such as `frame:3    pts:120     pts_time:5`: the stream's
/// time base is one frame, so `pts` is the frame number.
fn starts(printed: &str, frames: usize) -> Result<Vec<usize>> {
    let mut starts = vec![0];
    for line in printed.lines().filter(|line| line.starts_with("frame:")) {
        let pts = line.split_whitespace().find_map(|word| word.strip_prefix("pts:"));
        let frame = pts.and_then(|pts| pts.parse().ok());
        match frame {
            Some(0) => {}
            Some(frame) if frame < frames && starts.last().is_some_and(|&last| last < frame) => {
                starts.push(frame);
            }
            _ => bail!("ffmpeg printed `{line}`, which is no later frame of {frames}"),
        }
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ffmpeg 5.1 prints it.
    #[test]
    fn printed_frames_are_scene_starts() {
        let printed = "frame:0    pts:73      pts_time:3.04167\nlavfi.scene_score=0.428571\n\
                       frame:1    pts:120     pts_time:5\nlavfi.scene_score=0.812000\n";
        assert_eq!(starts(printed, 200).unwrap(), [0, 73, 120]);
        assert_eq!(starts("", 200).unwrap(), [0]);
        assert!(starts(printed, 100).unwrap_err().to_string().contains("pts:120"));
    }
}
