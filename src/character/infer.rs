//! Pictures for a network, and its masks frame by frame.

use anyhow::{Result, bail};
use ndarray::{Array2, ArrayView1};
use vapoursynth::format::SampleType;
use vapoursynth::frame::FrameRef;
use vapoursynth::node::Node;
use vapoursynth::video_info::Property;

use crate::formats::blocks::Blocks;
use crate::source::format::RGBS;
use crate::source::{Arg, Clip, Family, InFlight};
use crate::support::cancel::Cancel;

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
    let said = clip.color()?;
    let color = said.resolve();
    let mut args = vec![
        ("clip", Arg::Node(&whole)),
        ("format", Arg::Int(RGBS)),
        ("transfer_in", Arg::Int(color.transfer)),
        ("transfer", Arg::Int(SRGB)),
        ("primaries_in", Arg::Int(color.primaries)),
        ("primaries", Arg::Int(color.primaries)),
    ];
    if info.family == Family::Rgb {
        args.push(("range_in", Arg::Int(i64::from(said.full_range.unwrap_or(true)))));
    } else {
        args.push(("matrix_in", Arg::Int(said.yuv_matrix())));
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

/// Renders `frames` of `node`, `at_once` of them at a time, and hands each with
/// its number to `take` in the order in which they are ready.
pub fn render(
    node: &Node<'static>,
    frames: &[usize],
    at_once: usize,
    cancel: &Cancel,
    mut take: impl FnMut(usize, &FrameRef<'static>),
) -> Result<()> {
    let mut pending = InFlight::new(node.clone());
    let mut waiting = frames.iter();
    loop {
        while pending.count() < at_once.max(1)
            && let Some(&n) = waiting.next()
        {
            pending.request(n, n);
        }
        if pending.count() == 0 {
            return Ok(());
        }
        let (n, frame) = pending.wait(cancel)?;
        take(n, &frame.map_err(|text| FrameFailed { frame: n, text })?);
    }
}
