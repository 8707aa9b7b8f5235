//! A video output: what it is, and its conversion to what we work on.

use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use vapoursynth::format::{ColorFamily, SampleType};
use vapoursynth::node::Node;
use vapoursynth::video_info::Property;

use super::color::ColorInfo;
use super::format::yuv420;
use super::frame::Frame;
use super::picture::chroma_size;
use super::pump::Frames;
use super::session::{Arg, Session};
use crate::support::cancel::Cancel;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    Gray,
    Rgb,
    Yuv,
}

/// The facts about a clip that are known without rendering any of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipInfo {
    pub width: usize,
    pub height: usize,
    pub frames: usize,
    /// Frames per second as numerator and denominator; `None` when it varies.
    pub fps: Option<(u64, u64)>,
    /// VapourSynth's name of the format, for messages.
    pub format: String,
    pub family: Family,
    pub float: bool,
    pub bits: u8,
    /// log2 of the horizontal and vertical chroma subsampling.
    pub subsampling: (u8, u8),
}

impl ClipInfo {
    /// Bytes of a decoded frame.
    pub fn frame_bytes(&self) -> usize {
        let luma = self.width * self.height;
        let chroma = match self.family {
            Family::Gray => 0,
            Family::Rgb | Family::Yuv => (luma >> self.subsampling.0) >> self.subsampling.1,
        };
        (luma + 2 * chroma) * usize::from(self.bits).div_ceil(8)
    }
}

/// A clip of constant integer or float format. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Clip {
    session: Session,
    node: Node<'static>,
    info: ClipInfo,
    places: usize,
    /// Shared by all clones.
    first: Arc<OnceLock<FirstFrame>>,
}

/// Frames that filters which look some frames around need, for each of VapourSynth's threads.
const KEPT_FOR_THREAD: u64 = 6;

/// Small clips come from larger ones often enough. With 64 MiB, glibc's heap grew
/// to 450 MiB over 14,400 frames of 320x180; with this it stays at 320.
pub const SMALLEST_CACHE: u64 = 24 << 20;

/// Places of BestSource, which has four decoders; others have one.
const USUAL_PLACES: usize = 4;

/// What only a rendered frame says of a clip.
#[derive(Debug)]
struct FirstFrame {
    color: ColorInfo,
    sample_aspect: Option<(u32, u32)>,
}

/// What is known of a clip without rendering, its colour and the aspect of its samples.
pub type Facts<'a> = (&'a ClipInfo, &'a ColorInfo, Option<(u32, u32)>);

/// A clip converted to what the encoder and the metrics take, and what was done.
#[derive(Debug, Clone)]
pub struct Working {
    pub clip: Clip,
    /// One sentence a change; empty when the clip was right already.
    pub notes: Vec<String>,
}

impl Clip {
    pub(crate) fn new(session: Session, node: Node<'static>) -> Result<Self> {
        let video = node.info();
        let Property::Constant(size) = video.resolution else {
            bail!("the clip has a variable size; make it constant with core.resize");
        };
        let fps = match video.framerate {
            Property::Constant(rate) => Some((rate.numerator, rate.denominator)),
            Property::Variable => None,
        };
        Ok(Self {
            session,
            info: ClipInfo {
                width: size.width,
                height: size.height,
                frames: video.num_frames,
                fps,
                format: video.format.name().to_owned(),
                family: match video.format.color_family() {
                    ColorFamily::Gray => Family::Gray,
                    ColorFamily::RGB => Family::Rgb,
                    ColorFamily::YUV => Family::Yuv,
                    ColorFamily::Undefined => {
                        bail!("the clip has a variable format; make it constant with core.resize")
                    }
                },
                float: video.format.sample_type() == SampleType::Float,
                bits: video.format.bits_per_sample(),
                subsampling: (video.format.sub_sampling_w(), video.format.sub_sampling_h()),
            },
            node,
            places: USUAL_PLACES,
            first: Arc::default(),
        })
    }

    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// The colour that the first frame carries; it is rendered when this or
    /// [`Clip::sample_aspect`] is first asked for.
    ///
    /// # Errors
    /// When the first frame cannot be rendered.
    pub fn color(&self) -> Result<&ColorInfo> {
        Ok(&self.first_frame()?.color)
    }

    /// Width of a sample divided by its height, where the first frame says that
    /// it is not 1; otherwise like [`Clip::color`].
    pub fn sample_aspect(&self) -> Result<Option<(u32, u32)>> {
        Ok(self.first_frame()?.sample_aspect)
    }

    /// All that is known of the clip with what its first frame says, to compare
    /// clips by and for the keys of what depends on them.
    pub fn facts(&self) -> Result<Facts<'_>> {
        Ok((&self.info, self.color()?, self.sample_aspect()?))
    }

    fn first_frame(&self) -> Result<&FirstFrame> {
        if let Some(known) = self.first.get() {
            return Ok(known);
        }
        let frame = self.frame(0)?;
        Ok(self
            .first
            .get_or_init(|| FirstFrame { color: frame.color(), sample_aspect: frame.sample_aspect() }))
    }

    pub fn session(&self) -> Session {
        self.session
    }

    pub(crate) fn node(&self) -> &Node<'static> {
        &self.node
    }

    /// Renders frame `n` and waits for it.
    pub fn frame(&self, n: usize) -> Result<Frame> {
        match self.node.get_frame(n) {
            Ok(frame) => Ok(Frame::new(frame)),
            Err(error) => bail!("frame {n} could not be rendered: {error}"),
        }
    }

    /// The frames `range` in order, with `prefetch` of them requested ahead.
    ///
    /// # Panics
    /// When the range reaches beyond the clip.
    pub fn frames(&self, range: std::ops::Range<usize>, prefetch: usize, cancel: &Cancel) -> Frames {
        self.read(range.collect(), prefetch, cancel)
    }

    /// The frames `wanted`, in that order, with as many of them requested ahead as
    /// VapourSynth has threads, as far as memory and other readers of the session let it.
    ///
    /// # Panics
    /// When one of them is beyond the clip.
    pub fn frames_at(&self, wanted: Vec<usize>, cancel: &Cancel) -> Frames {
        let prefetch = self.session.threads() + 2;
        self.read(wanted, prefetch, cancel).sharing()
    }

    /// [`Clip::frames_at`] for a range.
    ///
    /// # Panics
    /// When the range reaches beyond the clip.
    pub fn frames_of(&self, range: std::ops::Range<usize>, cancel: &Cancel) -> Frames {
        self.frames_at(range.collect(), cancel)
    }

    /// Makes room for frames by the clip's size and VapourSynth's threads, up to `memory`
    /// bytes for what VapourSynth keeps and half of it for frames that readers have
    /// requested. A script's own `core.max_cache_size` stays as it is.
    pub fn bound(&self, memory: u64) {
        let (info, room) = (&self.info, self.session.room());
        let (cw, ch) = chroma_size(info.width, info.height);
        let picture = 2 * (info.width * info.height + 2 * cw * ch) as u64;
        let first = (KEPT_FOR_THREAD * room.threads() as u64 * picture).max(SMALLEST_CACHE);
        room.limit(first.min(memory), memory);
        room.limit_requests((2 * room.threads()).min((memory / 2 / picture.max(1)) as usize));
    }

    /// Places at which its source reads on without a seek, as far as that is known.
    pub fn places(&self) -> usize {
        self.places
    }

    /// The same, read by a source with so many places.
    pub(super) fn with_places(self, places: usize) -> Self {
        Self { places, ..self }
    }

    /// Frames that a single reader of the session may have requested so that all of
    /// VapourSynth's threads are at work while `looked_at` of them wait or are read.
    pub fn ahead(&self, looked_at: usize) -> usize {
        let wanted = self.session.threads() + looked_at;
        let most = self.session.room().most().map_or(usize::MAX, |most| (most / 2) as usize);
        wanted.min(most / self.info.frame_bytes().max(1)).max(looked_at.max(2))
    }

    fn read(&self, wanted: Vec<usize>, prefetch: usize, cancel: &Cancel) -> Frames {
        let frames = self.info.frames;
        assert!(wanted.iter().all(|&frame| frame < frames), "a frame beyond the clip's {frames} is wanted");
        Frames::new(self.node.clone(), self.session.room(), wanted, prefetch, cancel.clone())
    }

    /// The result of a filter on this clip; the colour is read anew.
    pub fn filtered(&self, namespace: &str, function: &str, args: &[(&str, Arg<'_>)]) -> Result<Self> {
        let mut all = vec![("clip", Arg::Node(&self.node))];
        all.extend_from_slice(args);
        let node = self.session.invoke(namespace, function, &all)?;
        Ok(Self::new(self.session, node)?.with_places(self.places))
    }

    /// YUV 4:2:0 integer of `bits` with even sides: what encoders and metrics
    /// take. Colour keeps its meaning; RGB becomes the usual matrix of its height.
    pub fn working(&self, bits: u8) -> Result<Working> {
        let mut clip = self.clone();
        let mut notes = Vec::new();
        let info = &self.info;
        let wanted = match bits {
            8 => "YUV420P8",
            10 => "YUV420P10",
            _ => bail!("bit depth {bits}: must be 8 or 10"),
        };
        if info.format != wanted {
            clip = clip.converted(bits)?;
            if info.family != Family::Yuv || info.float || info.subsampling != (1, 1) || info.bits > bits {
                notes.push(format!("{} is converted to {wanted} for probing", info.format));
            }
        }
        let (odd_w, odd_h) = (info.width % 2, info.height % 2);
        if odd_w + odd_h > 0 {
            notes.push(format!(
                "{}x{} has odd sides, which 4:2:0 cannot have; probes leave the last {} out",
                info.width,
                info.height,
                match (odd_w, odd_h) {
                    (1, 0) => "column",
                    (0, _) => "row",
                    _ => "column and row",
                }
            ));
        }
        Ok(Working { clip, notes })
    }

    fn converted(&self, bits: u8) -> Result<Self> {
        let info = &self.info;
        let (width, height) = (info.width & !1, info.height & !1);
        if width == 0 || height == 0 {
            bail!("{}x{} is too small to be converted to 4:2:0", info.width, info.height);
        }
        let mut args = vec![
            ("format", Arg::Int(yuv420(bits))),
            ("width", Arg::Int(width as i64)),
            ("height", Arg::Int(height as i64)),
            // The window keeps the scale at 1:1 when an odd column or row goes.
            ("src_width", Arg::Float(width as f64)),
            ("src_height", Arg::Float(height as f64)),
            ("filter_param_a", Arg::Float(0.0)),
            ("filter_param_b", Arg::Float(0.0)),
            ("filter_param_a_uv", Arg::Float(0.0)),
            ("filter_param_b_uv", Arg::Float(0.0)),
        ];
        if info.family != Family::Yuv {
            args.push(("matrix", Arg::Int(self.color()?.yuv_matrix())));
        }
        self.filtered("resize", "Bicubic", &args)
    }
}
