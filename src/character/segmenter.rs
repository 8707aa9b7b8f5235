//! Runs the network over the scenes of a clip.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use vapoursynth::node::Node;

use super::backend::{self, Backend, Job, Options};
use super::blocks::Blocks;
use super::hierarchy;
use super::infer;
use super::mask::FrameMap;
use super::masks::SceneMasks;
use super::models;
use super::onnx::Network;
use crate::scenes::Scene;
use crate::settings::CharacterSettings;
use crate::source::Clip;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;

/// Finds characters in a clip. Shared between threads by reference; scenes may
/// be asked for from several at once, which share the back end.
#[derive(Debug)]
pub struct Segmenter {
    clip: Clip,
    pictures: Node<'static>,
    blocks: Blocks,
    model: PathBuf,
    network: Network,
    options: Options,
    candidates: Vec<&'static Backend>,
    events: Events,
    running: Mutex<Arc<Running>>,
}

/// The back end in use.
#[derive(Debug)]
struct Running {
    /// Its place among the candidates.
    place: usize,
    masks: Node<'static>,
}

impl Segmenter {
    /// Finds the network and the first back end that segments a frame of `clip`
    /// (the one in `settings`, or any for `auto`), and tells which it is and why
    /// those before it are not. An error when the network is missing, of another
    /// shape, or no back end works.
    pub fn open(
        settings: &CharacterSettings,
        clip: &Clip,
        options: Options,
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Self> {
        let model = models::find(settings.model.as_deref(), &models::places(Some(clip.session())))?;
        let model = std::path::absolute(model)?;
        let network = Network::open(&model)?;
        let blocks = Blocks::over(clip.info().width, clip.info().height);
        let pictures = infer::pictures(clip, blocks).context("Character Boost cannot convert the clip")?;
        let candidates = backend::candidates(settings.backend);
        let job = Job {
            session: clip.session(),
            pictures: &pictures,
            blocks,
            model: &model,
            network: &network,
            options: &options,
        };
        let running = start(&candidates, 0, &job, events, cancel)?;
        Ok(Self {
            clip: clip.clone(),
            pictures,
            blocks,
            model,
            network,
            options,
            candidates,
            events: events.clone(),
            running: Mutex::new(Arc::new(running)),
        })
    }

    /// The name of the back end in use.
    pub fn backend(&self) -> &'static str {
        self.candidates[self.running().place].name
    }

    /// The network file in use.
    pub fn model(&self) -> &std::path::Path {
        &self.model
    }

    /// Segments the frames of `scene` that matter; `luma_diff` are the mean luma
    /// differences (0..1) of the scene's frames. When the back end fails, for
    /// instance out of GPU memory, the next candidate goes on.
    pub fn scene(&self, scene: Scene, luma_diff: &[f64], cancel: &Cancel) -> Result<SceneMasks> {
        ensure!(
            scene.start < scene.end && scene.end <= self.clip.info().frames,
            "scene {}..{} of a clip of {} frames",
            scene.start,
            scene.end,
            self.clip.info().frames
        );
        ensure!(
            luma_diff.len() == scene.frames(),
            "{} luma differences for a scene of {} frames",
            luma_diff.len(),
            scene.frames()
        );
        let frames: Vec<usize> = hierarchy::analysed(luma_diff).iter().map(|n| scene.start + n).collect();
        loop {
            let running = Arc::clone(&self.running());
            let mut analysed = match self.analyse(&running, &frames, cancel) {
                Ok(analysed) => analysed,
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => {
                    self.replace(&running, &error, cancel)?;
                    continue;
                }
            };
            analysed.sort_by_key(|(n, _)| *n);
            let analysed = analysed.into_iter().map(|(n, map)| (n - scene.start, map)).collect();
            return SceneMasks::from_frames(self.blocks, scene.frames(), analysed);
        }
    }

    fn analyse(
        &self,
        running: &Running,
        frames: &[usize],
        cancel: &Cancel,
    ) -> Result<Vec<(usize, FrameMap)>> {
        let info = self.clip.info();
        let at_once = self.candidates[running.place].streams(&self.options);
        let mut maps = Vec::with_capacity(frames.len());
        infer::render(&running.masks, frames, at_once, cancel, |n, frame| {
            maps.push((n, FrameMap::from_mask(infer::mask(frame), info.width, info.height)));
        })?;
        Ok(maps)
    }

    /// Goes on to the next candidate, unless another thread has done so already.
    fn replace(&self, failed: &Arc<Running>, error: &anyhow::Error, cancel: &Cancel) -> Result<()> {
        let mut running = self.running();
        if !Arc::ptr_eq(&running, failed) {
            return Ok(());
        }
        let name = self.candidates[failed.place].name;
        if failed.place + 1 == self.candidates.len() {
            bail!("{name} failed: {error:#}");
        }
        self.events.warn(format!("{name} failed and is given up: {error:#}"));
        let job = Job {
            session: self.clip.session(),
            pictures: &self.pictures,
            blocks: self.blocks,
            model: &self.model,
            network: &self.network,
            options: &self.options,
        };
        *running = Arc::new(start(&self.candidates, failed.place + 1, &job, &self.events, cancel)?);
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Arc<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first candidate from `first` on that segments a frame.
fn start(
    candidates: &[&'static Backend],
    first: usize,
    job: &Job<'_>,
    events: &Events,
    cancel: &Cancel,
) -> Result<Running> {
    let mut lost: Vec<String> = Vec::new();
    for (place, candidate) in candidates.iter().enumerate().skip(first) {
        cancel.check()?;
        match trial(candidate, job, events, cancel) {
            Ok(masks) => {
                let mut text =
                    format!("characters are found by {} with {}", candidate.name, job.model.display());
                for reason in &lost {
                    text += "; ";
                    text += reason;
                }
                events.note(text);
                return Ok(Running { place, masks });
            }
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => lost.push(format!("not by {}: {error:#}", candidate.name)),
        }
    }
    bail!("no back end can run {}:\n  {}", job.model.display(), lost.join("\n  "))
}

fn trial(backend: &Backend, job: &Job<'_>, events: &Events, cancel: &Cancel) -> Result<Node<'static>> {
    let masks = backend.masks(job, events, cancel)?;
    infer::check(&masks, job.blocks)?;
    infer::render(&masks, &[0], 1, cancel, |_, _| {})?;
    Ok(masks)
}
