//! A VapourSynth clip whose frames are pictures from memory, so that plugins
//! can measure what has never been a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use vapoursynth::core::CoreRef;
use vapoursynth::frame::FrameRefMut;
use vapoursynth::function::Function;
use vapoursynth::map::Map;
use vapoursynth::node::Node;

use super::window::Window;
use crate::source::{Arg, Picture, ResolvedColor, Session, format};

/// Frames of the clip: more than a run can ever measure, so that every
/// measurement has a number of its own and nothing cached is ever met again.
const LENGTH: usize = 1 << 30;

/// The clip and the pictures that wait to become its frames.
pub(super) struct Feeder {
    node: Node<'static>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting(Mutex<HashMap<usize, Arc<Picture>>>);

impl Feeder {
    /// A clip of the window's size; its frames carry `color` as properties.
    pub fn new(
        session: Session,
        window: Window,
        color: ResolvedColor,
        fps: Option<(u64, u64)>,
    ) -> Result<Self> {
        let blank = blank_clip(session, window, fps)?;
        let waiting = Arc::new(Waiting::default());
        let pictures = Arc::clone(&waiting);
        // Nothing in here may panic: that would abort the process.
        let function = Function::new(session.api(), session.core()?, move |_, core, input, output| {
            let served = pictures.serve(core, input, output, window, color);
            if let Err(error) = served {
                // Fails only for text with a NUL, of which there is none here.
                let _ = output.set_error(&format!("{error:#}"));
            }
        });
        let node = session.invoke(
            "std",
            "ModifyFrame",
            &[
                ("clip", Arg::Node(&blank)),
                ("clips", Arg::Node(&blank)),
                ("selector", Arg::Function(&function)),
            ],
        )?;
        do_not_cache(session, &node)?;
        Ok(Self { node, waiting })
    }

    pub fn node(&self) -> &Node<'static> {
        &self.node
    }

    /// A frame number for measurement `count` of a run; never 0.
    pub fn number(count: usize) -> usize {
        1 + count % (LENGTH - 1)
    }

    /// Makes `picture` frame `number` until the answer is dropped.
    pub fn lay_out(&self, number: usize, picture: &Arc<Picture>) -> LaidOut<'_> {
        self.waiting.lock().insert(number, Arc::clone(picture));
        LaidOut { number, waiting: &self.waiting }
    }
}

/// A picture that is laid out; dropping it takes the picture away.
pub(super) struct LaidOut<'a> {
    number: usize,
    waiting: &'a Waiting,
}

impl Drop for LaidOut<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<Picture>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request for a frame: `n` and the blank frame `f` come in.
    fn serve<'core>(
        &self,
        core: CoreRef<'core>,
        input: &Map<'core>,
        output: &mut Map<'core>,
        window: Window,
        color: ResolvedColor,
    ) -> Result<()> {
        let number = input.get_int("n")?;
        let blank = input.get_video_frame("f")?;
        let mut frame = FrameRefMut::copy_of(core, &blank);
        // Frame 0 stays blank: filters read its properties when they are created.
        if number != 0 {
            let picture = usize::try_from(number).ok().and_then(|n| self.lock().get(&n).cloned());
            let picture =
                picture.with_context(|| format!("frame {number} was asked for, but not laid out"))?;
            window.check(&picture)?;
            copy_planes(&picture, window, &mut frame)?;
        }
        set_properties(&mut frame, color)?;
        output.set_frame("val", &frame)?;
        Ok(())
    }
}

fn copy_planes(picture: &Picture, window: Window, frame: &mut FrameRefMut<'_>) -> Result<()> {
    let format = frame.format();
    let bytes = usize::from(picture.bits).div_ceil(8);
    if format.plane_count() != 3 || usize::from(format.bytes_per_sample()) != bytes {
        bail!("the clip to be filled is {}, the picture has {} bits", format.name(), picture.bits);
    }
    for plane in 0..3 {
        let (width, height) = window.plane_size(plane);
        let found = (frame.width(plane), frame.height(plane));
        if found != (width, height) {
            bail!("plane {plane} of the clip to be filled is {}x{}, not {width}x{height}", found.0, found.1);
        }
        for y in 0..height {
            let row = window.row(picture, plane, y);
            if bytes == 1 {
                for (out, &sample) in frame.plane_row_mut::<u8>(plane, y).iter_mut().zip(row) {
                    *out = sample as u8;
                }
            } else {
                frame.plane_row_mut::<u16>(plane, y).copy_from_slice(row);
            }
        }
    }
    Ok(())
}

fn set_properties(frame: &mut FrameRefMut<'_>, color: ResolvedColor) -> Result<()> {
    let mut props = frame.props_mut();
    for (key, value) in color.properties() {
        props.set_int(key, value)?;
    }
    Ok(())
}

fn blank_clip(session: Session, window: Window, fps: Option<(u64, u64)>) -> Result<Node<'static>> {
    let (numerator, denominator) = fps.unwrap_or((24, 1));
    let blank = session.invoke(
        "std",
        "BlankClip",
        &[
            ("width", Arg::Int(window.width as i64)),
            ("height", Arg::Int(window.height as i64)),
            ("format", Arg::Int(format::yuv420(window.bits()))),
            ("length", Arg::Int(LENGTH as i64)),
            ("fpsnum", Arg::Int(numerator as i64)),
            ("fpsden", Arg::Int(denominator as i64)),
            // One frame that is copied, not a new one every time.
            ("keep", Arg::Int(1)),
        ],
    )?;
    Ok(blank)
}

/// Every frame is asked for once, so a cache would only hold memory.
pub(super) fn do_not_cache(session: Session, node: &Node<'static>) -> Result<()> {
    session.call("std", "SetVideoCache", &[("clip", Arg::Node(node)), ("mode", Arg::Int(0))])?;
    Ok(())
}
