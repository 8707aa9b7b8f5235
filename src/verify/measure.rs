//! Both clips side by side, once and in order: what is read ahead is bounded,
//! whatever the length of the clip and of its scenes.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Error, Result, ensure};

use super::encoded::Encoded;
use super::report::FrameScore;
use crate::pipeline::backends::{self, Backends};
use crate::pipeline::plan::PlannedScene;
use crate::score::{self, Backend};
use crate::source::{Clip, PackedPicture, Picture, ResolvedColor};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::panics::caught;
use crate::support::permits::Permits;

/// What is measured.
pub struct Measuring<'a> {
    /// In the format of the metrics.
    pub source: &'a Clip,
    pub encoded: &'a Encoded,
    pub color: ResolvedColor,
    pub scenes: &'a [PlannedScene<'a>],
    pub backends: &'a Backends,
    /// Of every scene the first frame is measured and every n-th after it.
    pub every: usize,
    /// Called once a scene, with its scores in order, when the last is there.
    pub finished: &'a (dyn Fn(usize, Vec<FrameScore>) -> Result<()> + Sync),
}

/// A scene while it is measured.
struct Open<'a> {
    scene: &'a PlannedScene<'a>,
    backend: &'a Arc<dyn Backend>,
    frames: usize,
    scores: Mutex<Vec<FrameScore>>,
}

impl Measuring<'_> {
    pub fn run(&self, events: &Events, cancel: &Cancel) -> Result<()> {
        let open = self.open();
        ensure!(!open.is_empty(), "the settings measure nothing: metric.enable is false everywhere");
        let order: Vec<(usize, usize)> = open
            .iter()
            .enumerate()
            .flat_map(|(index, open)| self.frames(open.scene).map(move |frame| (index, frame)))
            .collect();
        let numbers = || order.iter().map(|(_, frame)| *frame).collect::<Vec<_>>();
        let pool = backends::scoring_pool()?;
        let stage = events.stage("Measuring", order.len() as u64, "frames");
        let info = self.source.info();
        let mut references = self.source.frames_at(numbers(), cancel);
        let mut distorted =
            self.encoded.pictures(numbers(), (info.width, info.height), self.color, cancel)?;
        // The first error ends the loop below as well.
        let failed: Mutex<Option<Error>> = Mutex::default();
        let fail = |error| {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        };
        let permits = Permits::new(2 * pool.current_num_threads());
        let mut before = Before::new(self.every == 1);
        pool.in_place_scope(|scope| -> Result<()> {
            for &(index, frame) in &order {
                let permit = permits.acquire();
                cancel.check()?;
                if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    break;
                }
                let reference = references.next().context("the source ends early")??.to_picture().pack();
                let reference = Arc::new(reference);
                let repeats = before.repeated_by(&reference, frame > open[index].scene.scene.start);
                let picture = distorted
                    .next()
                    .with_context(|| format!("the encode ends before frame {frame}"))?
                    .with_context(|| format!("frame {frame} of {}", self.encoded.path.display()))?;
                let (open, stage, fail) = (&open[index], &stage, &fail);
                scope.spawn(move |_| {
                    let _permit = permit;
                    match self.frame(open, (frame, repeats), reference, picture) {
                        Ok(()) => stage.advance(1),
                        Err(error) => fail(error),
                    }
                });
            }
            Ok(())
        })?;
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn open(&self) -> Vec<Open<'_>> {
        let mut open = Vec::new();
        for scene in self.scenes {
            let Some(backend) = self.backends.of_zone(scene.zone) else { continue };
            open.push(Open { scene, backend, frames: self.frames(scene).count(), scores: Mutex::default() });
        }
        open
    }

    /// The frames of a scene that are measured.
    fn frames(&self, scene: &PlannedScene<'_>) -> impl Iterator<Item = usize> + use<> {
        (scene.scene.start..scene.scene.end).step_by(self.every)
    }

    /// Measures a frame; the last one of its scene finishes it.
    fn frame(
        &self,
        open: &Open<'_>,
        (frame, repeats): (usize, bool),
        reference: Arc<PackedPicture>,
        distorted: Picture,
    ) -> Result<()> {
        let (index, metric) = (open.scene.index, &open.scene.settings.metric);
        let measure = || open.backend.scene(&[reference])?.measure(0, &Arc::new(distorted));
        let measured = caught(measure).with_context(|| format!("scene {index}, frame {frame}"))?;
        let score = score::frame_score(&measured, metric.metric, &metric.mix);
        let score = score::check_finite(score, index, frame, || open.backend.describe())?;
        let mut scores = open.scores.lock().unwrap_or_else(PoisonError::into_inner);
        scores.push(FrameScore { frame, score, repeats });
        if scores.len() < open.frames {
            return Ok(());
        }
        let mut scores = std::mem::take(&mut *scores);
        scores.sort_by_key(|score| score.frame);
        (self.finished)(index, scores)
    }
}

/// The source picture before, where all are read.
struct Before {
    followed: bool,
    picture: Option<Arc<PackedPicture>>,
}

impl Before {
    fn new(followed: bool) -> Self {
        Self { followed, picture: None }
    }

    /// Whether `next` has the luma of the picture before, which counts where that is
    /// in its scene.
    fn repeated_by(&mut self, next: &Arc<PackedPicture>, inside: bool) -> bool {
        if !self.followed {
            return false;
        }
        let before = self.picture.replace(Arc::clone(next));
        inside && before.is_some_and(|before| before.same_luma(next))
    }
}
