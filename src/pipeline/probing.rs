//! A scene's chain for real: encode a probe while the frames to measure are
//! kept, decode it, measure it, decide what comes next.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result};

use super::candidate::{Candidate, References, Take};
use super::curves::Taken;
use super::forks::Fork;
use super::frames;
use super::learning::Learning;
use super::measuring::Measuring;
use super::plan::PlannedScene;
use super::readers::Readers;
use super::scheduler::{Step, Work};
use super::selection::Scores;
use super::store::{MeasuredRecord, ProbeRecord, SceneRecord, Store, TakeRecord};
use crate::encoder::{EncodeError, EncodeJob, Purpose, encode, y4m};
use crate::formats::ivf;
use crate::probe::decode::Undecodable;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events, Stage};
use crate::support::fingerprint::Fingerprint;
use crate::support::panics::caught;
use crate::support::permits::Permits;
use crate::support::space::NoRoom;

/// What all chains of a run share.
pub struct Probing<'a> {
    /// The clip as the encoder takes it.
    pub readers: &'a Readers<'a>,
    pub format: y4m::Format,
    /// What makes the probes of every scene of the clip.
    pub forks: &'a [Arc<Fork>],
    /// The words of one encode: all but input and output.
    pub params: &'a (dyn Fn(&PlannedScene<'_>, Take) -> Result<Vec<String>> + Sync),
    pub candidates: Vec<Candidate<'a>>,
    pub learning: Learning,
    pub store: &'a Store,
    /// The source, what renders it, and how encoders are fed.
    pub probe_key: Fingerprint,
    /// Measures the frames of a probe side by side.
    pub pool: &'a rayon::ThreadPool,
    /// Bounds the pictures that are decoded and wait, of all scenes together.
    pub decoded: Arc<Permits>,
    pub keep_probes: bool,
    pub stall: Option<Duration>,
    /// How far encoders give way, 0 to 19.
    pub nice: u8,
    /// Encoders at once, where other titles have theirs at the same time.
    pub slots: Option<&'a Permits>,
    pub events: &'a Events,
    pub stage: &'a Stage,
    pub cancel: &'a Cancel,
}

impl Probing<'_> {
    /// Key of an encode: everything that its bytes depend on.
    pub fn encode_key(&self, candidate: &Candidate<'_>, take: Take) -> Result<Fingerprint> {
        let params = (self.params)(&candidate.planned, take)?;
        let program = self.forks[candidate.planned.index].identity();
        Ok(Fingerprint::of(&(&self.probe_key, program, candidate.planned.scene, params)))
    }

    /// Key of what an encode measures.
    fn measured_key(&self, candidate: &Candidate<'_>, take: Take) -> Result<Fingerprint> {
        let encode = self.encode_key(candidate, take)?;
        let first = candidate.first_take().unwrap_or(take);
        Ok(candidate.measured_key(&encode, &self.encode_key(candidate, first)?))
    }

    /// What was measured of all scenes, to be kept. Number `index` of the candidates.
    pub fn taken(&self, index: usize) -> Result<Vec<(Purpose, Taken)>> {
        let candidate = &self.candidates[index];
        let known = |take: Take| {
            let place = || place(candidate, 0, take);
            let probe = self.store.probe(&self.encode_key(candidate, take)?).with_context(place)?;
            let record = self.store.measured(&self.measured_key(candidate, take)?).with_context(place)?;
            let bytes = ivf::bare(probe.bytes, candidate.planned.scene.frames());
            Ok((take.purpose, Taken { crf: take.crf, bytes, measured: record.measured }))
        };
        candidate.entered().into_iter().map(known).collect()
    }

    /// What was entered of a scene, to be found again by those that go by it.
    pub fn recorded(&self, index: usize, plan: &Fingerprint, failed: Option<String>) -> Result<SceneRecord> {
        let candidate = &self.candidates[index];
        let take = |take: Take| {
            let (encode, measured) = (self.encode_key(candidate, take)?, self.measured_key(candidate, take)?);
            Ok(TakeRecord { purpose: take.purpose, crf: take.crf, encode, measured })
        };
        let takes = candidate.entered().into_iter().map(take).collect::<Result<_>>()?;
        Ok(SceneRecord { plan: plan.clone(), scene: candidate.planned.index, takes, failed })
    }

    /// Takes a scene for done with what another machine recorded of it.
    pub fn recall(&self, index: usize, record: &SceneRecord) -> Result<()> {
        let candidate = &self.candidates[index];
        for TakeRecord { purpose, crf, measured, .. } in &record.takes {
            let take = Take { purpose: *purpose, crf: *crf };
            let found = self.store.measured(measured).with_context(|| place(candidate, 0, take))?;
            candidate.enter(take, &found.measured)?;
        }
        candidate.give_up();
        Ok(())
    }

    pub fn measuring(&self) -> Measuring<'_> {
        Measuring { readers: self.readers, pool: self.pool, decoded: &self.decoded, cancel: self.cancel }
    }

    /// The next step of a scene.
    fn next(&self, scene: usize) -> Step {
        let lessons = self.learning.lessons(&self.candidates, scene);
        let candidate = &self.candidates[scene];
        let mut step = candidate.next(lessons.as_ref());
        while let Some((take, error)) = self.impossible(candidate, step)
            && self.goes_without(candidate, take, &error)
        {
            step = candidate.next(lessons.as_ref());
        }
        match candidate.unreported() {
            0 => {}
            news => self.stage.advance(news),
        }
        step
    }

    /// The encode as the final one that cannot be compared with a probe, and why:
    /// parameters may depend on the scene.
    fn impossible(&self, candidate: &Candidate<'_>, step: Step) -> Option<(Take, Error)> {
        let Step::Encode { take, .. } = step else { return None };
        let take = candidate.take(take).ok().filter(|take| take.purpose == Purpose::Final)?;
        let error = (self.params)(&candidate.planned, take).err()?;
        Some((take, error.context(place(candidate, 0, take))))
    }

    /// Follows the chain as far as an earlier run went.
    fn resumed(&self, scene: usize) -> Result<Step> {
        let candidate = &self.candidates[scene];
        loop {
            let step = self.next(scene);
            let Step::Encode { take, crf } = step else { return Ok(step) };
            let planned = candidate.take(take)?;
            if let Some(record) = self.store.measured(&self.measured_key(candidate, planned)?)
                && candidate.is_enough(&record.measured, planned.purpose)?
            {
                candidate.enter(planned, &record.measured)?;
                continue;
            }
            let key = self.encode_key(candidate, planned)?;
            let path = self.store.probe_path(candidate.planned.index, take, &key);
            let frames = candidate.planned.scene.frames();
            let whole = ivf::verify(&path).is_ok_and(|(found, _)| found == frames);
            if whole && self.store.probe(&key).is_some() {
                return Ok(Step::Score { take, crf });
            }
            return Ok(step);
        }
    }

    /// One encode, tried again once when that can help.
    fn encode_once_more(
        &self,
        candidate: &Candidate<'_>,
        purpose: Purpose,
        job: &EncodeJob,
    ) -> Result<crate::encoder::Encoded> {
        let keep = candidate.keep(purpose);
        let index = candidate.planned.index;
        let attempt = || {
            let (scene, grid) = (candidate.planned.scene, candidate.luma_grid());
            let reader = self.readers.take();
            let frames = frames::pass_by(&reader.clip, scene, &keep, grid, &candidate.kept, self.cancel);
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

    fn encode_take(&self, candidate: &Candidate<'_>, take: usize, planned: Take) -> Result<()> {
        let key = self.encode_key(candidate, planned)?;
        let job = EncodeJob {
            program: self.forks[candidate.planned.index].encoder.identity.path.clone(),
            params: (self.params)(&candidate.planned, planned)?,
            output: self.store.probe_path(candidate.planned.index, take, &key),
            format: self.format,
            stall: self.stall,
            nice: self.nice,
        };
        let encoded = {
            let _slot = self.slots.map(Permits::acquire);
            self.encode_once_more(candidate, planned.purpose, &job)?
        };
        let (crf, bytes, seconds) = (planned.crf, encoded.bytes, encoded.seconds);
        self.store.add_probe(ProbeRecord { key, crf, bytes, seconds })?;
        let (scene, calibration) = (candidate.planned.index, planned.purpose == Purpose::Final);
        self.events.emit(&Event::Probe { scene, probe: take, calibration, crf, bytes, seconds });
        Ok(())
    }

    fn score_take(&self, candidate: &Candidate<'_>, take: usize, planned: Take) -> Result<()> {
        let scene = candidate.planned.index;
        let path = self.store.probe_path(scene, take, &self.encode_key(candidate, planned)?);
        let measured = self.measuring().measure(candidate, &path, planned.purpose)?;
        // What cannot be pooled must not be found again by a resumed run.
        let Scores { pooled, error } = candidate.scores(&measured)?;
        let score = pooled.score;
        let (key, crf) = (self.measured_key(candidate, planned)?, planned.crf);
        self.store.add_measured(MeasuredRecord { key, crf, measured: measured.clone() })?;
        let calibration = planned.purpose == Purpose::Final;
        self.events.emit(&Event::Score { scene, probe: take, calibration, crf, score, error });
        if !self.keep_probes {
            // Measured and recorded: the file is not needed, nor missed if it stays.
            let _ = std::fs::remove_file(&path);
        }
        candidate.enter(planned, &measured)?;
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

    fn encode(&self, scene: usize, take: usize, _: f64) -> Result<()> {
        let candidate = &self.candidates[scene];
        let planned = candidate.take(take)?;
        let encoded = caught(|| self.encode_take(candidate, take, planned))
            .with_context(|| place(candidate, take, planned));
        match encoded.map_err(|error| self.explained(error)) {
            Err(error) if self.goes_without(candidate, planned, &error) => {
                candidate.skip(take);
                Ok(())
            }
            encoded => encoded,
        }
    }

    fn score(&self, scene: usize, take: usize, crf: f64) -> Result<Step> {
        let candidate = &self.candidates[scene];
        if candidate.was_skipped(take) {
            return Ok(self.next(scene));
        }
        let planned = candidate.take(take)?;
        let scored = caught(|| self.score_take(candidate, take, planned))
            .with_context(|| place(candidate, take, planned));
        match scored.map_err(|error| self.explained(error)) {
            Err(error) if error.is::<Undecodable>() && self.redoes(candidate, take, planned, &error)? => {
                Ok(Step::Encode { take, crf })
            }
            Err(error) if !self.goes_without(candidate, planned, &error) => Err(error),
            _ => Ok(self.next(scene)),
        }
    }

    fn release(&self, scene: usize) {
        let candidate = &self.candidates[scene];
        candidate.kept.clear();
        candidate.progress().references = References::default();
    }

    fn give_up(&self, scene: usize) {
        self.candidates[scene].give_up();
    }
}

/// For messages: which encode of which scene.
fn place(candidate: &Candidate<'_>, take: usize, planned: Take) -> String {
    let PlannedScene { index, scene, .. } = candidate.planned;
    let what = match planned.purpose {
        Purpose::Probing => format!("probe {}", take + 1),
        Purpose::Final => "calibration".to_owned(),
    };
    format!("scene {index} (frames {} to {}), {what} at CRF {}", scene.start, scene.end, planned.crf)
}
