//! Pictures for a network, and its masks frame by frame.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Result, bail};
use ndarray::{Array2, ArrayView1};
use vapoursynth::format::SampleType;
use vapoursynth::frame::FrameRef;
use vapoursynth::node::Node;
use vapoursynth::video_info::Property;

use crate::formats::blocks::Blocks;
use crate::source::{Arg, Clip, Family};
use crate::support::cancel::Cancel;

/// VapourSynth's number for planar RGB in 32-bit floats: family 2, float 1, 32 bits.
const RGBS: i64 = 2 << 28 | 1 << 24 | 32 << 16;

/// H.273: the transfer characteristics of sRGB.
const SRGB: i64 = 13;

/// What networks see: RGBS with sRGB's transfer, black beyond the picture up to
/// whole blocks.
pub fn pictures(clip: &Clip, blocks: Blocks) -> Result<Node<'static>> {
    let (info, session) = (clip.info(), clip.session());
    // A frame that says it is interlaced would be converted field by field,
    // which not every height allows; it is encoded as a whole picture anyway.
    let whole = session.invoke(
        "std",
        "SetFieldBased",
        &[("clip", Arg::Node(clip.node())), ("value", Arg::Int(0))],
    )?;
    // Said outright for every clip, because an unspecified side of a conversion is an error.
    let color = info.color.resolve(info.height);
    let mut args = vec![
        ("clip", Arg::Node(&whole)),
        ("format", Arg::Int(RGBS)),
        ("transfer_in", Arg::Int(color.transfer)),
        ("transfer", Arg::Int(SRGB)),
        ("primaries_in", Arg::Int(color.primaries)),
        ("primaries", Arg::Int(color.primaries)),
    ];
    if info.family == Family::Rgb {
        args.push(("range_in", Arg::Int(i64::from(info.color.full_range.unwrap_or(true)))));
    } else {
        args.push(("matrix_in", Arg::Int(info.color.resolve_yuv_matrix(info.height))));
        args.push(("range_in", Arg::Int(i64::from(color.full_range))));
        args.push(("chromaloc_in", Arg::Int(color.chroma_location)));
    }
    let rgb = session.invoke("resize", "Bicubic", &args)?;
    let (width, height) = blocks.pixels();
    let padding = [
        ("clip", Arg::Node(&rgb)),
        ("right", Arg::Int((width - info.width) as i64)),
        ("bottom", Arg::Int((height - info.height) as i64)),
    ];
    session.invoke("std", "AddBorders", &padding)
}

/// Makes sure that `masks` holds one float for each pixel of the grid.
pub fn check(masks: &Node<'static>, blocks: Blocks) -> Result<()> {
    let info = masks.info();
    let (width, height) = blocks.pixels();
    let Property::Constant(size) = info.resolution else {
        bail!("the network's masks vary in size");
    };
    let format = info.format;
    let right = (size.width, size.height, format.plane_count()) == (width, height, 1)
        && format.sample_type() == SampleType::Float
        && format.bits_per_sample() == 32;
    if !right {
        bail!(
            "the network made {} of {} x {} from a picture of {width} x {height}; a mask of the same size is needed",
            format.name(),
            size.width,
            size.height
        );
    }
    Ok(())
}

/// The mask of a frame.
pub fn mask(frame: &FrameRef<'static>) -> Array2<f32> {
    let (width, height) = (frame.width(0), frame.height(0));
    let mut mask = Array2::zeros((height, width));
    for (y, mut row) in mask.rows_mut().into_iter().enumerate() {
        row.assign(&ArrayView1::from(frame.plane_row::<f32>(0, y)));
    }
    mask
}

/// A frame could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("frame {frame}: {text}")]
pub struct FrameFailed {
    /// Counted from the clip's first one.
    pub frame: usize,
    text: String,
}

type Rendered = (usize, std::result::Result<FrameRef<'static>, String>);

/// Renders `frames` of `node`, `at_once` of them at a time, and hands each with
/// its number to `take` in the order in which they are ready.
pub fn render(
    node: &Node<'static>,
    frames: &[usize],
    at_once: usize,
    cancel: &Cancel,
    mut take: impl FnMut(usize, &FrameRef<'static>),
) -> Result<()> {
    let mut pending = Pending::new();
    let mut waiting = frames.iter();
    loop {
        while pending.count < at_once.max(1)
            && let Some(&n) = waiting.next()
        {
            pending.request(node, n);
        }
        if pending.count == 0 {
            return Ok(());
        }
        let (n, frame) = pending.wait(cancel)?;
        take(n, &frame.map_err(|text| FrameFailed { frame: n, text })?);
    }
}

/// Frames that were requested. Dropping it waits for them: a filter must not
/// be freed while it renders.
struct Pending {
    sender: Sender<Rendered>,
    receiver: Receiver<Rendered>,
    count: usize,
}

impl Pending {
    fn new() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver, count: 0 }
    }

    fn request(&mut self, node: &Node<'static>, n: usize) {
        let sender = self.sender.clone();
        self.count += 1;
        node.get_frame_async(n, move |result, n, _| {
            // A panic here would abort the process, so nothing may.
            let _ = sender.send((n, result.map_err(|error| error.to_string())));
        });
    }

    fn wait(&mut self, cancel: &Cancel) -> Result<Rendered> {
        loop {
            cancel.check()?;
            match self.receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(rendered) => {
                    self.count -= 1;
                    return Ok(rendered);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the plugin lost its frames"),
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        while self.count > 0 && self.receiver.recv().is_ok() {
            self.count -= 1;
        }
    }
}
