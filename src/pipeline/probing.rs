//! A scene's chain for real: encode a probe while the frames to measure are
//! kept, decode it, measure it, decide what comes next.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::frames::{self, Keep, Kept};
use super::plan::PlannedScene;
use super::scheduler::{self, Step, Work};
use super::store::{ProbeRecord, ScoreRecord, Store};
use crate::analysis::LumaStats;
use crate::encoder::{EncodeError, EncodeJob, encode, ivf, y4m};
use crate::model::{Goal, Scored, reference};
use crate::probe::decode::ProbeFrames;
use crate::score::{self, Backend, Measurement, SceneReference, select};
use crate::source::{Clip, Picture};
use crate::support::cancel::Cancel;
use crate::support::events::{Event, Events, Stage};
use crate::support::fingerprint::Fingerprint;

/// A scene and what its probes need; made before probing starts.
pub struct Candidate<'a> {
    pub planned: PlannedScene<'a>,
    pub goal: Goal,
    pub backend: Arc<dyn Backend>,
    /// Luma differences of the scene's frames, one entry a frame.
    pub diff: &'a [f64],
    /// Luma statistics, settings, colour: all that scores depend on besides the probes.
    pub score_key: Fingerprint,
    keep: Keep,
    kept: Kept,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Offsets that are measured, rising; known once the selection could be made.
    offsets: Option<Vec<usize>>,
    reference: Option<Arc<dyn SceneReference>>,
    scored: Vec<Scored>,
    unreliable: bool,
}

/// What a finished chain tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    pub scored: Vec<Scored>,
    pub unreliable: bool,
}

/// A place among the pictures that wait to be measured; free again on drop.
struct Place(Sender<()>);

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody waits any more when the scene has ended with an error.
        let _ = self.0.send(());
    }
}

/// What all chains of a run share.
pub struct Probing<'a> {
    /// The clip as the encoder takes it.
    pub clip: &'a Clip,
    pub format: y4m::Format,
    pub program: &'a Path,
    /// The words of one probe encode: all but input and output.
    pub params: &'a (dyn Fn(&PlannedScene<'_>, f64) -> Result<Vec<String>> + Sync),
    pub candidates: Vec<Candidate<'a>>,
    pub store: &'a Store,
    /// The source, what renders it, and the encoder.
    pub probe_key: Fingerprint,
    /// Measures the frames of a probe side by side.
    pub pool: &'a rayon::ThreadPool,
    pub keep_probes: bool,
    pub stall: Option<Duration>,
    pub events: &'a Events,
    pub stage: &'a Stage,
    pub cancel: &'a Cancel,
}

impl<'a> Candidate<'a> {
    /// `memory` bounds what the scene may keep, `picture` is the size of one
    /// picture, both in bytes.
    pub fn new(
        planned: PlannedScene<'a>,
        goal: Goal,
        backend: Arc<dyn Backend>,
        luma: &'a LumaStats,
        score_key: Fingerprint,
        memory: u64,
        picture: usize,
    ) -> Result<Self> {
        let scene = planned.scene;
        let diff = &luma.diff[scene.start..scene.end];
        let selection = &planned.settings.metric.frames;
        let mut progress = Progress::default();
        let mut keep = Keep::All;
        if !select::needs_probe(selection) {
            let known = select::SceneDiffs { start: scene.start, diff, probe_diff: None };
            let offsets = select::frames(&known, selection)?;
            keep = Keep::Offsets(offsets.clone());
            progress.offsets = Some(offsets);
        }
        if keep.bytes(scene.frames(), picture) > memory {
            keep = Keep::Nothing;
        }
        Ok(Self {
            planned,
            goal,
            backend,
            diff,
            score_key,
            keep,
            kept: Kept::default(),
            progress: Mutex::new(progress),
        })
    }

    /// The scene's weight and memory for the scheduler.
    pub fn chain(&self, picture: usize) -> scheduler::Chain {
        let frames = self.planned.scene.frames();
        scheduler::Chain { weight: frames as u64, bytes: self.keep.bytes(frames, picture) }
    }

    pub fn probed(&self) -> Probed {
        let progress = self.progress();
        Probed { scored: progress.scored.clone(), unreliable: progress.unreliable }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next step by what is scored; the probes so far decide.
    fn next(&self, scored: &[Scored]) -> Step {
        match scored {
            [] => Step::Encode { probe: 0, crf: reference::FIRST_CRF },
            [first] => Step::Encode { probe: 1, crf: reference::second_crf(first.score, &self.goal) },
            _ => Step::Done,
        }
    }
}

impl Probing<'_> {
    /// Key of a probe: everything that its bytes depend on.
    fn probe_key(&self, candidate: &Candidate<'_>, crf: f64) -> Result<Fingerprint> {
        let params = (self.params)(&candidate.planned, crf)?;
        Ok(Fingerprint::of(&(&self.probe_key, candidate.planned.scene, params)))
    }

    /// Key of a score. Which frames are measured can depend on the first probe.
    fn score_key(&self, candidate: &Candidate<'_>, crf: f64) -> Result<Fingerprint> {
        let probe = self.probe_key(candidate, crf)?;
        let first = self.probe_key(candidate, reference::FIRST_CRF)?;
        Ok(Fingerprint::of(&(&candidate.score_key, probe, first)))
    }

    /// Follows the chain as far as an earlier run went.
    fn resumed(&self, scene: usize) -> Result<Step> {
        let candidate = &self.candidates[scene];
        let mut progress = candidate.progress();
        loop {
            let step = candidate.next(&progress.scored);
            let Step::Encode { probe, crf } = step else { return Ok(step) };
            if let Some(record) = self.store.score(&self.score_key(candidate, crf)?) {
                progress.scored.push(Scored { crf: record.crf, score: record.score });
                progress.unreliable |= record.unreliable;
                if progress.offsets.is_none() {
                    progress.offsets = Some(record.frames.iter().map(|(offset, _)| *offset).collect());
                }
                self.stage.advance(1);
                continue;
            }
            let key = self.probe_key(candidate, crf)?;
            let path = self.store.probe_path(candidate.planned.index, probe, &key);
            let frames = candidate.planned.scene.frames();
            let whole = ivf::verify(&path).is_ok_and(|(found, _)| found == frames);
            if whole && self.store.probe(&key).is_some() {
                return Ok(Step::Score { probe, crf });
            }
            return Ok(step);
        }
    }

    /// One encode, tried again once when that can help.
    fn encode_once_more(
        &self,
        candidate: &Candidate<'_>,
        probe: usize,
        job: &EncodeJob,
    ) -> Result<crate::encoder::Encoded> {
        let keep = if probe == 0 { &candidate.keep } else { &Keep::Nothing };
        let index = candidate.planned.index;
        let attempt = || {
            let frames =
                frames::pass_by(self.clip, candidate.planned.scene, keep, &candidate.kept, self.cancel);
            let events = self.events.clone();
            encode(job, frames, self.cancel, move |line| {
                events.emit(&Event::EncoderLine { scene: index, line: line.to_owned() });
            })
        };
        match attempt() {
            Err(error) if error.downcast_ref::<EncodeError>().is_some_and(EncodeError::is_retryable) => {
                self.events.warn(format!("scene {index}: trying its encode once more: {error:#}"));
                attempt()
            }
            result => result,
        }
    }

    /// The offsets to measure; decides them now when they depend on the probe.
    fn offsets(&self, candidate: &Candidate<'_>, path: &Path) -> Result<Vec<usize>> {
        if let Some(offsets) = &candidate.progress().offsets {
            return Ok(offsets.clone());
        }
        let scene = candidate.planned.scene;
        let probe_diff = self.probe_differences(candidate, path)?;
        let known =
            select::SceneDiffs { start: scene.start, diff: candidate.diff, probe_diff: Some(&probe_diff) };
        let offsets = select::frames(&known, &candidate.planned.settings.metric.frames)?;
        candidate.kept.retain(&offsets);
        candidate.progress().offsets = Some(offsets.clone());
        Ok(offsets)
    }

    /// Mean absolute luma difference between source and probe, every frame.
    fn probe_differences(&self, candidate: &Candidate<'_>, path: &Path) -> Result<Vec<f64>> {
        let scene = candidate.planned.scene;
        let all: Vec<usize> = (0..scene.frames()).collect();
        let mut decoded = ProbeFrames::open(path, all.clone(), 1)?;
        let mut diffs = Vec::with_capacity(all.len());
        let nothing = Keep::Nothing;
        let mut again = None;
        for offset in all {
            let (_, probe) = decoded.next().context("the probe is shorter than its scene")??;
            let source = match candidate.kept.get(offset) {
                Some(kept) => Arc::new(kept.unpack()),
                None => again
                    .get_or_insert_with(|| {
                        let rest = crate::scenes::Scene { start: scene.start + offset, end: scene.end };
                        frames::pass_by(self.clip, rest, &nothing, &candidate.kept, self.cancel)
                    })
                    .next()
                    .context("the source is shorter than its scene")??,
            };
            diffs.push(source.luma_difference(&probe));
        }
        Ok(diffs)
    }

    fn reference(&self, candidate: &Candidate<'_>, offsets: &[usize]) -> Result<Arc<dyn SceneReference>> {
        if let Some(reference) = &candidate.progress().reference {
            return Ok(Arc::clone(reference));
        }
        let scene = candidate.planned.scene;
        let pictures = frames::collect(self.clip, scene, offsets, &candidate.kept, self.cancel)?;
        candidate.kept.clear();
        let reference: Arc<dyn SceneReference> = Arc::from(candidate.backend.scene(&pictures)?);
        candidate.progress().reference = Some(Arc::clone(&reference));
        Ok(reference)
    }

    /// Decodes the probe once, in order, and measures the wanted frames while
    /// the decoder goes on.
    fn measure(
        &self,
        reference: &dyn SceneReference,
        path: &Path,
        probe: usize,
        offsets: &[usize],
    ) -> Result<Vec<(usize, Measurement)>> {
        let results: Vec<Mutex<Option<Result<Measurement>>>> =
            offsets.iter().map(|_| Mutex::new(None)).collect();
        let decoded = ProbeFrames::open(path, offsets.to_vec(), 1)?;
        // Decoding is faster than measuring, so what waits is bounded.
        let (free, places) = channel();
        (0..=self.pool.current_num_threads()).for_each(|_| drop(Place(free.clone())));
        self.pool.in_place_scope(|scope| -> Result<()> {
            for (index, item) in decoded.enumerate() {
                places.recv()?;
                self.cancel.check()?;
                let (_, picture) = item?;
                let slot = results.get(index).context("the probe has more frames than were asked for")?;
                let place = Place(free.clone());
                scope.spawn(move |_| {
                    let _place = place;
                    let picture: Arc<Picture> = Arc::new(picture);
                    let measured = reference.measure(probe, index, &picture);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
                });
            }
            Ok(())
        })?;
        let measured = offsets.iter().zip(results).map(|(&offset, slot)| {
            let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            let measured = result.with_context(|| format!("the probe ends before its frame {offset}"))?;
            Ok((offset, measured.with_context(|| format!("frame {offset} of the scene"))?))
        });
        measured.collect()
    }

    fn score_probe(&self, candidate: &Candidate<'_>, probe: usize, crf: f64) -> Result<()> {
        let planned = &candidate.planned;
        let path = self.store.probe_path(planned.index, probe, &self.probe_key(candidate, crf)?);
        let offsets = self.offsets(candidate, &path)?;
        let reference = self.reference(candidate, &offsets)?;
        let frames = self.measure(reference.as_ref(), &path, probe, &offsets)?;
        let metric = &planned.settings.metric;
        let described = candidate.backend.describe();
        let mut scores = Vec::with_capacity(frames.len());
        for (offset, measured) in &frames {
            let score = score::frame_score(measured, metric.metric, &metric.mix);
            let frame = planned.scene.start + offset;
            scores.push(score::check_finite(score, planned.index, frame, &described)?);
        }
        let pooled = score::pool(&scores, metric.metric, metric.pooling)?;
        self.store.add_score(ScoreRecord {
            key: self.score_key(candidate, crf)?,
            crf,
            score: pooled.score,
            unreliable: pooled.unreliable,
            frames,
        })?;
        self.events.emit(&Event::Score { scene: planned.index, probe, crf, score: pooled.score });
        if !self.keep_probes {
            // Scored and recorded: the file is not needed, nor missed if it stays.
            let _ = std::fs::remove_file(&path);
        }
        let mut progress = candidate.progress();
        progress.scored.push(Scored { crf, score: pooled.score });
        progress.unreliable |= pooled.unreliable;
        Ok(())
    }
}

impl Work for Probing<'_> {
    fn first(&self, scene: usize) -> Result<Step> {
        self.resumed(scene)
    }

    fn encode(&self, scene: usize, probe: usize, crf: f64) -> Result<()> {
        let candidate = &self.candidates[scene];
        let key = self.probe_key(candidate, crf)?;
        let job = EncodeJob {
            program: self.program.to_path_buf(),
            params: (self.params)(&candidate.planned, crf)?,
            output: self.store.probe_path(candidate.planned.index, probe, &key),
            format: self.format,
            stall: self.stall,
        };
        let encoded =
            self.encode_once_more(candidate, probe, &job).with_context(|| place(candidate, probe, crf))?;
        let (bytes, seconds) = (encoded.bytes, encoded.seconds);
        self.store.add_probe(ProbeRecord { key, crf, bytes, seconds })?;
        self.events.emit(&Event::Probe { scene: candidate.planned.index, probe, crf, bytes, seconds });
        Ok(())
    }

    fn score(&self, scene: usize, probe: usize, crf: f64) -> Result<Step> {
        let candidate = &self.candidates[scene];
        self.score_probe(candidate, probe, crf).with_context(|| place(candidate, probe, crf))?;
        self.stage.advance(1);
        let step = candidate.next(&candidate.progress().scored);
        Ok(step)
    }

    fn release(&self, scene: usize) {
        let candidate = &self.candidates[scene];
        candidate.kept.clear();
        candidate.progress().reference = None;
    }
}

/// For messages: which probe of which scene.
fn place(candidate: &Candidate<'_>, probe: usize, crf: f64) -> String {
    let PlannedScene { index, scene, .. } = candidate.planned;
    format!("scene {index} (frames {} to {}), probe {} at CRF {crf}", scene.start, scene.end, probe + 1)
}
