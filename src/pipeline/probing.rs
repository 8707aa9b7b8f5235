//! A scene's chain for real: encode a probe while the frames to measure are
//! kept, decode it, measure it, decide what comes next.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result};

use super::candidate::{Candidate, Take};
use super::frames::{self, Keep};
use super::learning::Learning;
use super::plan::PlannedScene;
use super::scheduler::{Step, Work};
use super::store::{ProbeRecord, ScoreRecord, Store};
use crate::encoder::{EncodeError, EncodeJob, Purpose, encode, ivf, y4m};
use crate::probe::decode::{ProbeFrames, Undecodable};
use crate::score::{self, Measurement, SceneReference, select};
use crate::source::{Clip, Picture};
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events, Stage};
use crate::support::fingerprint::Fingerprint;
use crate::support::panics::caught;
use crate::support::places::Places;
use crate::support::space::NoRoom;

/// What all chains of a run share.
pub struct Probing<'a> {
    /// The clip as the encoder takes it.
    pub clip: &'a Clip,
    pub format: y4m::Format,
    pub program: &'a Path,
    /// The words of one encode: all but input and output.
    pub params: &'a (dyn Fn(&PlannedScene<'_>, Take) -> Result<Vec<String>> + Sync),
    pub candidates: Vec<Candidate<'a>>,
    pub learning: Learning,
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

impl Probing<'_> {
    /// Key of an encode: everything that its bytes depend on.
    fn encode_key(&self, candidate: &Candidate<'_>, take: Take) -> Result<Fingerprint> {
        let params = (self.params)(&candidate.planned, take)?;
        Ok(Fingerprint::of(&(&self.probe_key, candidate.planned.scene, params)))
    }

    /// Key of a score. Which frames are measured can depend on the first probe.
    fn score_key(&self, candidate: &Candidate<'_>, take: Take) -> Result<Fingerprint> {
        let encode = self.encode_key(candidate, take)?;
        let first = self.encode_key(candidate, candidate.first_take())?;
        Ok(Fingerprint::of(&(&candidate.score_key, encode, first)))
    }

    /// The next step of a scene.
    fn next(&self, scene: usize) -> Step {
        let slopes = self.learning.slopes(&self.candidates, scene);
        let candidate = &self.candidates[scene];
        let step = candidate.next(slopes.as_ref());
        match candidate.unreported() {
            0 => {}
            news => self.stage.advance(news),
        }
        step
    }

    /// Follows the chain as far as an earlier run went.
    fn resumed(&self, scene: usize) -> Result<Step> {
        let candidate = &self.candidates[scene];
        loop {
            let step = self.next(scene);
            let Step::Encode { probe, crf } = step else { return Ok(step) };
            let take = candidate.take(probe)?;
            if let Some(record) = self.store.score(&self.score_key(candidate, take)?) {
                candidate.enter(take.purpose, &record);
                continue;
            }
            let key = self.encode_key(candidate, take)?;
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
                self.store.check_space()?;
                self.events.warn(format!("scene {index}: trying its encode once more: {error:#}"));
                attempt()
            }
            result => result,
        }
    }

    fn encode_take(&self, candidate: &Candidate<'_>, probe: usize, take: Take) -> Result<()> {
        let key = self.encode_key(candidate, take)?;
        let job = EncodeJob {
            program: self.program.to_path_buf(),
            params: (self.params)(&candidate.planned, take)?,
            output: self.store.probe_path(candidate.planned.index, probe, &key),
            format: self.format,
            stall: self.stall,
        };
        let encoded = self.encode_once_more(candidate, probe, &job)?;
        let (crf, bytes, seconds) = (take.crf, encoded.bytes, encoded.seconds);
        self.store.add_probe(ProbeRecord { key, crf, bytes, seconds })?;
        let (scene, calibration) = (candidate.planned.index, take.purpose == Purpose::Final);
        self.events.emit(&Event::Probe { scene, probe, calibration, crf, bytes, seconds });
        Ok(())
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
        let mut decoded = ProbeFrames::open(path, all.clone(), 1).context(Undecodable)?;
        let mut diffs = Vec::with_capacity(all.len());
        let nothing = Keep::Nothing;
        let mut again = None;
        for offset in all {
            let probe = decoded.next().context("the probe is shorter than its scene").flatten();
            let (_, probe) = probe.context(Undecodable)?;
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
            diffs.push(source.luma_difference(&probe)?);
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
        let decoded = ProbeFrames::open(path, offsets.to_vec(), 1).context(Undecodable)?;
        // Decoding is faster than measuring, so what waits is bounded.
        let places = Places::new(self.pool.current_num_threads() + 1);
        self.pool.in_place_scope(|scope| -> Result<()> {
            for (index, item) in decoded.enumerate() {
                let place = places.take()?;
                self.cancel.check()?;
                let (_, picture) = item.context(Undecodable)?;
                let slot = results.get(index).context("the probe has more frames than were asked for")?;
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

    fn score_take(&self, candidate: &Candidate<'_>, probe: usize, take: Take) -> Result<()> {
        let planned = &candidate.planned;
        let path = self.store.probe_path(planned.index, probe, &self.encode_key(candidate, take)?);
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
        let Take { purpose, crf } = take;
        let record = ScoreRecord {
            key: self.score_key(candidate, take)?,
            crf,
            score: pooled.score,
            unreliable: pooled.unreliable,
            frames,
        };
        self.store.add_score(record.clone())?;
        let calibration = purpose == Purpose::Final;
        self.events.emit(&Event::Score {
            scene: planned.index,
            probe,
            calibration,
            crf,
            score: pooled.score,
        });
        if !self.keep_probes {
            // Scored and recorded: the file is not needed, nor missed if it stays.
            let _ = std::fs::remove_file(&path);
        }
        candidate.enter(purpose, &record);
        Ok(())
    }
}

/// When something fails.
impl Probing<'_> {
    /// The error, or what every scene would fail of.
    fn explained(&self, error: Error) -> Error {
        if error.is::<Interrupted>() {
            return error;
        }
        self.store.check_space().map_or_else(Error::from, |()| error)
    }

    /// Whether the scene is solved without the encode that failed; says so.
    fn goes_without(&self, candidate: &Candidate<'_>, take: Take, error: &Error) -> bool {
        let of_scene = !error.is::<Interrupted>() && !error.is::<NoRoom>();
        let goes = of_scene && candidate.does_without(take);
        if goes {
            self.events.warn(format!("{error:#}; the scene does without it"));
        }
        goes
    }

    /// Removes an encode that cannot be decoded: kept, it would fail every run
    /// that resumes. Whether it is to be made once more.
    fn redoes(&self, candidate: &Candidate<'_>, probe: usize, take: Take, error: &Error) -> Result<bool> {
        let path = self.store.probe_path(candidate.planned.index, probe, &self.encode_key(candidate, take)?);
        let _ = std::fs::remove_file(path);
        let redoes = candidate.may_redo(probe);
        if redoes {
            self.events.warn(format!("{error:#}; it is encoded once more"));
        }
        Ok(redoes)
    }
}

impl Work for Probing<'_> {
    fn proceed(&self, scene: usize) -> Result<Step> {
        self.resumed(scene)
    }

    fn encode(&self, scene: usize, probe: usize, _: f64) -> Result<()> {
        let candidate = &self.candidates[scene];
        let take = candidate.take(probe)?;
        let encoded = caught(|| self.encode_take(candidate, probe, take))
            .with_context(|| place(candidate, probe, take));
        match encoded.map_err(|error| self.explained(error)) {
            Err(error) if self.goes_without(candidate, take, &error) => {
                candidate.skip(probe);
                Ok(())
            }
            encoded => encoded,
        }
    }

    fn score(&self, scene: usize, probe: usize, crf: f64) -> Result<Step> {
        let candidate = &self.candidates[scene];
        if candidate.was_skipped(probe) {
            return Ok(self.next(scene));
        }
        let take = candidate.take(probe)?;
        let scored =
            caught(|| self.score_take(candidate, probe, take)).with_context(|| place(candidate, probe, take));
        match scored.map_err(|error| self.explained(error)) {
            Err(error) if error.is::<Undecodable>() && self.redoes(candidate, probe, take, &error)? => {
                Ok(Step::Encode { probe, crf })
            }
            Err(error) if !self.goes_without(candidate, take, &error) => Err(error),
            _ => Ok(self.next(scene)),
        }
    }

    fn release(&self, scene: usize) {
        let candidate = &self.candidates[scene];
        candidate.kept.clear();
        candidate.progress().reference = None;
    }

    fn give_up(&self, scene: usize) {
        self.candidates[scene].give_up();
    }
}

/// For messages: which encode of which scene.
fn place(candidate: &Candidate<'_>, probe: usize, take: Take) -> String {
    let PlannedScene { index, scene, .. } = candidate.planned;
    let what = match take.purpose {
        Purpose::Probing => format!("probe {}", probe + 1),
        Purpose::Final => "calibration".to_owned(),
    };
    format!("scene {index} (frames {} to {}), {what} at CRF {}", scene.start, scene.end, take.crf)
}
