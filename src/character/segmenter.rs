//! Runs the network over the scenes of a clip.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use vapoursynth::node::Node;

use super::backend::{self, Backend, Job, Options};
use super::hierarchy;
use super::infer::{self, FrameFailed};
use super::mask::FrameMap;
use super::masks::SceneMasks;
use super::models;
use super::onnx::Network;
use crate::formats::blocks::Blocks;
use crate::scenes::Scene;
use crate::settings::CharacterSettings;
use crate::source::{Clip, Session};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;
use crate::support::priority::with_low_priority;

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

/// The network that `settings` name, or the first that is found. An error tells
/// which file is missing and where to put it.
pub fn find_model(settings: &CharacterSettings, session: Session) -> Result<PathBuf> {
    models::find(settings.model.as_deref(), &models::places(Some(session)))
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
        let model = std::path::absolute(find_model(settings, clip.session())?)?;
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
    pub fn model(&self) -> &Path {
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
        if let Some(failure) = error.downcast_ref::<FrameFailed>() {
            // No other back end helps when the picture itself cannot be rendered.
            infer::render(&self.pictures, &[failure.frame], 1, cancel, |_, _| {})
                .context("the source failed")?;
        }
        let mut running = self.running();
        if !Arc::ptr_eq(&running, failed) {
            return Ok(());
        }
        let failure = format!("{} failed: {error:#}", self.candidates[failed.place].name);
        if failed.place + 1 == self.candidates.len() {
            bail!(failure);
        }
        self.events.warn(format!("{failure}; another back end is tried"));
        let job = Job {
            session: self.clip.session(),
            pictures: &self.pictures,
            blocks: self.blocks,
            model: &self.model,
            network: &self.network,
            options: &self.options,
        };
        let next = start(&self.candidates, failed.place + 1, &job, &self.events, cancel);
        *running = Arc::new(next.context(failure)?);
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
    let masks = if backend.on_gpu {
        backend.masks(job, events, cancel)?
    } else {
        // The network's threads are made here, and the probes' encoders go first.
        with_low_priority(|| backend.masks(job, events, cancel))?
    };
    infer::check(&masks, job.blocks)?;
    infer::render(&masks, &[0], 1, cancel, |_, _| {})?;
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CharacterBackend;
    use crate::source::{self, OpenOptions};

    /// Marks saturated red; tests/character_network.rs says how it is made.
    const RED: &[u8] = include_bytes!("../../tests/data/red.onnx");

    const SCRIPT: &str = "import vapoursynth as vs\ncore = vs.core\n\
        red = core.std.BlankClip(format=vs.YUV444P8, width=128, height=64, length=30, color=[80, 90, 240])\n\
        def memory(n):\n    \
            if n >= 4:\n        \
                raise ValueError('out of GPU memory')\n    \
            return masks\n\
        masks = core.std.BlankClip(format=vs.GRAYS, width=128, height=64, length=30)\n\
        def tape(n):\n    \
            if n >= 8:\n        \
                raise ValueError('tape torn')\n    \
            return red\n\
        red.set_output(0)\n\
        core.std.FrameEval(masks, memory).set_output(1)\n\
        core.std.FrameEval(red, tape).set_output(2)\n";

    struct Fixture {
        folder: tempfile::TempDir,
        warnings: Arc<Mutex<Vec<String>>>,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("red.onnx"), RED).unwrap();
            std::fs::write(folder.path().join("clip.vpy"), SCRIPT).unwrap();
            Self { folder, warnings: Arc::default() }
        }

        fn output(&self, index: i32) -> Clip {
            let options = OpenOptions { output_index: index, ..OpenOptions::default() };
            source::open(&self.folder.path().join("clip.vpy"), &options).unwrap()
        }

        fn segmenter(&self, clip: &Clip) -> Segmenter {
            let settings = CharacterSettings {
                enable: true,
                backend: CharacterBackend::Ort,
                roi_boost_max: 0.0,
                crf_boost_max: 0.0,
                crf_curve: 0,
                motion_boost_max: 0.0,
                model: Some(self.folder.path().join("red.onnx")),
            };
            let warnings = Arc::clone(&self.warnings);
            let events = Events::new(move |event| {
                if let crate::support::events::Event::Warning { text } = event {
                    warnings.lock().unwrap().push(text.clone());
                }
            });
            Segmenter::open(&settings, clip, Options::default(), &events, &Cancel::new()).unwrap()
        }
    }

    const SCENE: Scene = Scene { start: 0, end: 20 };

    #[test]
    fn a_back_end_that_fails_on_the_way_is_replaced_and_its_words_are_passed_on() {
        let fixture = Fixture::new();
        let mut segmenter = fixture.segmenter(&fixture.output(0));
        // Two candidates, the first of which gives out at the fourth frame.
        segmenter.candidates = vec![segmenter.candidates[0]; 2];
        let failing = Running { place: 0, masks: fixture.output(1).node().clone() };
        segmenter.running = Mutex::new(Arc::new(failing));
        let masks = segmenter.scene(SCENE, &[0.02; 20], &Cancel::new()).unwrap();
        assert!((masks.coverage() - 1.0).abs() < 1e-6);
        assert_eq!(masks.maps().count(), 5);
        let warnings = fixture.warnings.lock().unwrap().join("\n");
        assert!(
            warnings.contains("out of GPU memory") && warnings.contains("another back end"),
            "{warnings}"
        );
    }

    #[test]
    fn the_last_back_end_s_failure_is_the_run_s() {
        let fixture = Fixture::new();
        let mut segmenter = fixture.segmenter(&fixture.output(0));
        let failing = Running { place: 0, masks: fixture.output(1).node().clone() };
        segmenter.running = Mutex::new(Arc::new(failing));
        let error = segmenter.scene(SCENE, &[0.02; 20], &Cancel::new()).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("ONNX Runtime (CPU) failed") && error.contains("out of GPU memory"),
            "{error}"
        );
    }

    #[test]
    fn a_broken_source_is_not_blamed_on_the_back_end() {
        let fixture = Fixture::new();
        let segmenter = fixture.segmenter(&fixture.output(2));
        let error = segmenter.scene(SCENE, &[0.02; 20], &Cancel::new()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with("the source failed: frame 8") && error.contains("tape torn"), "{error}");
        assert!(fixture.warnings.lock().unwrap().is_empty());
    }
}
