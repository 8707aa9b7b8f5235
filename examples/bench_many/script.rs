//! Scripts of a still picture behind filters that wait.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A clip and the filters before its output.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    pub size: (usize, usize),
    pub frames: usize,
    /// VapourSynth's.
    pub threads: usize,
    /// Filters one after the other, and how long each takes for a frame.
    pub stages: usize,
    pub ms: f64,
    /// Frames on either side that the last of them needs.
    pub radius: usize,
    /// The stages work on RGB in 32 bits.
    pub rgbs: bool,
}

impl Script {
    pub fn write(&self, path: PathBuf) -> Result<PathBuf> {
        let Self { size: (width, height), frames, threads, stages, ms, radius, rgbs } = *self;
        let plugin = super::filter()?;
        let plugin = plugin.to_str().context("the folder of this program is not Unicode")?;
        let (before, after) = if rgbs {
            (
                "clip = clip.resize.Bicubic(format=vs.RGBS, matrix_in=1)\n",
                "clip = clip.resize.Bicubic(format=vs.YUV420P10, matrix=1)\n",
            )
        } else {
            ("", "")
        };
        // Seeded noise, softened: like a picture, it loses more the higher the CRF.
        let text = format!(
            "import ctypes, random\nimport vapoursynth as vs\ncore = vs.core\ncore.num_threads = {threads}\n\
             core.std.LoadPlugin({plugin:?})\n\
             one = core.std.BlankClip(format=vs.YUV420P8, width={width}, height={height}, length=1, color=[90, 120, 140])\n\
             frame = one.get_frame(0).copy()\n\
             noise = random.Random(1).randbytes(frame.get_stride(0) * {height})\n\
             ctypes.memmove(frame.get_write_ptr(0), noise, len(noise))\n\
             one = one.std.ModifyFrame(one, lambda n, f: frame)\n\
             for _ in range(3):\n    one = one.std.Convolution(matrix=[1] * 9, planes=0)\n\
             one = one.resize.Point(format=vs.YUV420P10)\n\
             clip = core.std.Loop(one, {frames}).std.AssumeFPS(fpsnum=24, fpsden=1)\n{before}\
             for stage in range({stages}):\n    \
                 last = stage == {stages} - 1\n    \
                 clip = clip.slow.Wait({ms}, radius={radius} if last else 0, name=f'{{stage}}')\n\
             {after}clip.set_output()\n"
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// Scenes of `length` frames each, as a file to start from.
pub fn scenes(path: &Path, frames: usize, length: usize) -> Result<()> {
    let scenes: Vec<_> = (0..frames)
        .step_by(length)
        .map(|start| serde_json::json!({"start_frame": start, "end_frame": (start + length).min(frames)}))
        .collect();
    std::fs::write(path, serde_json::json!({"frames": frames, "scenes": scenes}).to_string())?;
    Ok(())
}
