//! The parts of the chunk encoder for someone who decides chunk by chunk what is
//! encoded: the closed loop of boosting.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::bind::{self, Binding};
use super::mux::Muxer;
use super::plan::Chunk;
use super::queue::words;
use super::recipe::{Recipe, Resolver};
use super::tools::Tools;
use super::work::{Finished, WorkFolder};
use super::{Outcome, Request};
use crate::encoder::{Encoded, Encoder, Program, Stream, encode_stream, y4m};
use crate::formats::scenes_json::SceneEntry;
use crate::options::Coder;
use crate::source::{Clip, ClipInfo, ColorInfo, Picture};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::space::NoRoom;

/// A muxer, an encoder and a work folder, ready for chunks of one clip.
pub struct Workshop {
    request: Request,
    info: ClipInfo,
    color: ColorInfo,
    sample_aspect: Option<(u32, u32)>,
    fps: (u32, u32),
    /// All that the clip's frames depend on.
    key: Fingerprint,
    tools: Tools,
    muxer: Muxer,
    work: WorkFolder,
}

/// A chunk that can be encoded: one scene with its parameters.
#[derive(Debug)]
pub struct Order {
    chunk: Chunk,
    recipe: Recipe,
    /// Of all that the chunk's bytes depend on.
    pub key: Fingerprint,
    file: PathBuf,
}

impl Order {
    /// Where the chunk lies once it is encoded, an IVF.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn frames(&self) -> usize {
        self.chunk.frames.len()
    }
}

impl Workshop {
    /// Opens the work folder of `request` for `clip`, which is encoded as it is and
    /// whose frames depend on what `key` stands for. What `request` says of scenes and quality
    /// has no effect. `programs` are encoders that are open, by path, the usual one as `None`.
    pub fn open(
        request: Request,
        clip: &Clip,
        key: &Fingerprint,
        programs: Vec<(Option<PathBuf>, Encoder)>,
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Self> {
        bind::check_paths(&request)?;
        let muxer = Muxer::find(request.muxer)?;
        let fps = bind::frame_rate(&request.input, clip.info())?;
        let work = WorkFolder::open(&request.work, request.earlier)?;
        let versions: Vec<&str> =
            programs.iter().map(|(_, encoder)| encoder.identity.version.as_str()).collect();
        events.note(format!("encoding with {}, muxing with {}", versions.join(" and "), muxer.name()));
        let tools =
            programs.into_iter().fold(Tools::new(None, work.path(), cancel), |tools, (path, encoder)| {
                tools.with((Coder::SvtAv1, path), Program::SvtAv1(encoder))
            });
        let (info, color, sample_aspect) =
            (clip.info().clone(), clip.color()?.clone(), clip.sample_aspect()?);
        Ok(Self { request, info, color, sample_aspect, fps, key: key.clone(), tools, muxer, work })
    }

    /// Lets go of what an earlier run finished, unless this one continues it: all
    /// else has proved right.
    pub fn begin(&mut self, events: &Events) -> Result<()> {
        let cleared = self.work.begin()?;
        if cleared > 0 {
            events.note(format!("{cleared} chunks of an earlier run were cleared; --resume keeps them"));
        }
        Ok(())
    }

    /// What a scene with these parameters of its own is encoded with.
    pub fn order(&self, scene: &SceneEntry) -> Result<Order> {
        let mut resolved = self.resolver(&Events::silent()).resolve(std::slice::from_ref(scene))?;
        let (Some(recipe), Some(chunk)) = (resolved.recipes.pop(), resolved.scenes.pop()) else {
            unreachable!("one scene has one recipe")
        };
        let parts =
            (&self.key, &chunk.frames, recipe.key()?, self.tools.identity(&recipe)?, self.request.bits);
        let key = Fingerprint::of(&(parts, &self.color));
        let file = self.work.chunk_file(&chunk, &key);
        Ok(Order { chunk, recipe, key, file })
    }

    fn resolver<'a>(&'a self, events: &'a Events) -> Resolver<'a> {
        Resolver {
            request: &self.request,
            base: Coder::SvtAv1,
            tools: &self.tools,
            info: &self.info,
            color: &self.color,
            events,
        }
    }

    /// Bytes and seconds of a chunk that an earlier run finished.
    pub fn finished(&self, order: &Order) -> Option<(u64, f64)> {
        self.work.finished(&order.chunk, &order.key).map(|record| (record.bytes, record.seconds))
    }

    /// Encodes `frames`, which are those of the order, and records the chunk.
    ///
    /// # Errors
    /// As [`crate::encoder::encode`].
    pub fn encode(
        &self,
        order: &Order,
        frames: impl Iterator<Item = Result<Arc<Picture>>>,
        cancel: &Cancel,
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Encoded> {
        let words = words(&order.recipe, &order.chunk, &self.work, self.fps)?;
        let format = y4m::Format {
            width: self.info.width,
            height: self.info.height,
            bits: self.request.bits,
            fps: self.fps,
        };
        let tool = self.tools.of(&order.recipe)?;
        let plain = tool.stream(&words, format, &order.file);
        let full_range = self.color.is_full_range();
        let stream = Stream { full_range, stall: self.request.stall, nice: self.request.nice, ..plain };
        let encoded = encode_stream(&stream, frames, cancel, on_line)?;
        let &Encoded { frames, bytes, seconds, .. } = &encoded;
        ensure!(frames == order.frames(), "the source gave {frames} of {} frames", order.frames());
        let (start, end) = (order.chunk.frames.start, order.chunk.frames.end);
        self.work.record(&Finished { key: order.key.clone(), start, end, bytes, seconds })?;
        Ok(encoded)
    }

    /// An error when nothing more can be written.
    pub fn check_space(&self) -> Result<(), NoRoom> {
        self.work.check_space()
    }

    /// Makes the result of all chunks in the order of the clip, `scenes` being what
    /// they were ordered by. `resumed` of them were finished before.
    /// Those of `spare` stay in the work folder as well.
    pub fn bind(
        self,
        scenes: &[SceneEntry],
        orders: &[Arc<Order>],
        spare: &[Arc<Order>],
        resumed: usize,
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Outcome> {
        let color = self.resolver(&Events::silent()).resolve(scenes)?.color;
        let files: Vec<_> = orders.iter().map(|order| (order.file.clone(), order.frames())).collect();
        let binding = Binding {
            request: &self.request,
            info: &self.info,
            sample_aspect: self.sample_aspect,
            fps: self.fps,
            color: &color,
            work: &self.work,
            muxer: &self.muxer,
            events,
            cancel,
        };
        let contents = binding.bind(&files)?;
        let paths = |orders: &'_ [Arc<Order>]| orders.iter().map(|order| order.file.clone()).collect();
        let (files, spare): (Vec<PathBuf>, Vec<PathBuf>) = (paths(orders), paths(spare));
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let spare: Vec<&Path> = spare.iter().map(PathBuf::as_path).collect();
        let counts = (self.info.frames, resumed);
        bind::finish(&self.request, self.work, &contents, &files, &spare, counts, events)
    }
}
