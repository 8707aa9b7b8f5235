//! The probe chains of all scenes: made from the plan, run by the scheduler,
//! collected.

use std::sync::Arc;

use anyhow::Result;

use super::backends::{Backends, scoring_pool};
use super::candidate::{Candidate, PictureFacts, Probed, Take};
use super::curves::{GroupRecord, Taken};
use super::encoding::Encoding;
use super::finish::SceneOutcome;
use super::input::picture_bytes;
use super::learning::Learning;
use super::memory::Memory;
use super::plan::PlannedScene;
use super::probing::Probing;
use super::scheduler::{self, Chain, Limits};
use super::store::Store;
use super::{Request, modelling};
use crate::analysis::LumaStats;
use crate::encoder::{Purpose, y4m};
use crate::source::{Clip, LumaGrid};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::machine::cpus;

/// What probing needs of a run.
pub struct Chains<'a> {
    pub request: &'a Request,
    /// The clip as the encoder takes it.
    pub working: &'a Clip,
    /// All that its frames depend on.
    pub source_key: &'a Fingerprint,
    pub encoding: &'a Encoding,
    pub backends: &'a Backends,
    pub store: &'a Store,
    /// Bytes for frames that wait to be measured and for prepared references.
    pub memory: u64,
    /// What earlier titles taught.
    pub memory_of_others: &'a Memory,
    pub events: &'a Events,
}

/// How probing ended.
pub struct Probings {
    /// By scene.
    pub outcomes: Vec<SceneOutcome>,
    /// Sentences about what scenes taught each other.
    pub learned: Vec<String>,
    /// By scene, what was measured of it.
    pub taken: Vec<Vec<(Purpose, Taken)>>,
    /// Who learned from whom.
    pub groups: Vec<GroupRecord>,
}

impl Chains<'_> {
    /// Probes every scene whose zone measures; the others need none.
    pub fn run(&self, planned: &[PlannedScene<'_>], luma: &LumaStats, cancel: &Cancel) -> Result<Probings> {
        if planned.iter().all(|scene| self.backends.of_zone(scene.zone).is_none()) {
            let outcomes = planned.iter().map(|_| SceneOutcome::Unmeasured).collect();
            let taken = planned.iter().map(|_| Vec::new()).collect();
            return Ok(Probings { outcomes, learned: Vec::new(), taken, groups: Vec::new() });
        }
        self.with_probing(planned, luma, false, cancel, |probing, chains, limits| {
            let failed = scheduler::run(chains, limits, &probing, cancel)?;
            collect(planned, &probing, failed)
        })
    }

    /// Hands everything that probing needs to `work`: the chains, those of the
    /// measured scenes in order, and what may be done at once. In the closed
    /// loop (`closed`) nothing is encoded for calibration alone.
    pub fn with_probing<T>(
        &self,
        planned: &[PlannedScene<'_>],
        luma: &LumaStats,
        closed: bool,
        cancel: &Cancel,
        work: impl FnOnce(Probing<'_>, &[Chain], &Limits) -> Result<T>,
    ) -> Result<T> {
        let picture = self.picture();
        let mut candidates = self.candidates(planned, luma, &picture)?;
        let mut learning = Learning::plan(&mut candidates, |settings| self.encoding.work_ratio(settings));
        learning.remember(&mut candidates, self.memory_of_others);
        if closed {
            learning.close(&mut candidates);
        }
        let expected = candidates.iter().map(Candidate::expected).sum();
        let stage = self.events.stage("Probing", expected, "probes");
        let chains: Vec<_> = candidates.iter().map(|c| c.chain(&picture)).collect();
        let pool = scoring_pool()?;
        let params = |scene: &PlannedScene<'_>, take: Take| match take.purpose {
            Purpose::Probing => self.encoding.probe_words(scene, take.crf, luma),
            Purpose::Final => self.encoding.calibration_words(scene, take.crf, luma),
        };
        let probing = Probing {
            clip: self.working,
            format: format(self.working, self.encoding.bits),
            program: &self.encoding.encoder.identity.path,
            params: &params,
            candidates,
            learning,
            store: self.store,
            probe_key: Fingerprint::of(&(self.source_key, self.encoding.identity())),
            pool: &pool,
            keep_probes: self.request.keep_probes,
            stall: self.request.stall,
            events: self.events,
            stage: &stage,
            cancel,
        };
        work(probing, &chains, &self.limits())
    }

    /// The scenes to probe.
    fn candidates<'s>(
        &self,
        planned: &[PlannedScene<'s>],
        luma: &'s LumaStats,
        picture: &PictureFacts,
    ) -> Result<Vec<Candidate<'s>>> {
        let quarter_steps = self.encoding.encoder.capabilities.quarter_steps;
        let measured = |scene: &PlannedScene<'s>| {
            let backend = self.backends.of_zone(scene.zone)?;
            let diff = &luma.diff[scene.scene.range()];
            let model = modelling::model(scene.settings, diff, quarter_steps);
            Some(Candidate::new(*scene, model, Arc::clone(backend), luma, self.memory / 2, picture))
        };
        planned.iter().filter_map(measured).collect()
    }

    fn picture(&self) -> PictureFacts {
        let info = self.working.info();
        let grid = Arc::new(LumaGrid::new(info.width, info.height));
        PictureFacts { bytes: picture_bytes(self.working), grid }
    }

    fn limits(&self) -> Limits {
        let encoder = &self.request.settings.base.encoder;
        let workers = encoder.workers.unwrap_or((cpus() / encoder.lp.max(1)).max(1));
        Limits {
            workers,
            // Scorers decode and wait; the measuring itself runs in the pool.
            scorers: (cpus() / 2).max(1),
            // The other half is for prepared references.
            memory: self.memory / 2,
            staged: self.request.staged,
        }
    }
}

/// What the chains found, by scene. `failed` are numbers of candidates.
fn collect(
    planned: &[PlannedScene<'_>],
    probing: &Probing<'_>,
    failed: Vec<(usize, anyhow::Error)>,
) -> Result<Probings> {
    let (candidates, learning) = (&probing.candidates, &probing.learning);
    let mut outcomes: Vec<SceneOutcome> = planned.iter().map(|_| SceneOutcome::Unmeasured).collect();
    for (number, candidate) in candidates.iter().enumerate() {
        let Probed { scored, unreliable } = candidate.probed();
        let (model, learned) = (candidate.model, learning.learned(candidates, number));
        outcomes[candidate.planned.index] = SceneOutcome::Probed { model, scored, unreliable, learned };
    }
    let mut taken: Vec<Vec<_>> = planned.iter().map(|_| Vec::new()).collect();
    for (number, candidate) in candidates.iter().enumerate() {
        taken[candidate.planned.index] = probing.taken(number)?;
    }
    for (number, error) in failed {
        outcomes[candidates[number].planned.index] = SceneOutcome::Failed(error);
    }
    let (learned, groups) = (learning.describe(candidates), learning.record(candidates));
    Ok(Probings { outcomes, learned, taken, groups })
}

fn format(clip: &Clip, bits: u8) -> y4m::Format {
    let info = clip.info();
    y4m::Format { width: info.width, height: info.height, bits, fps: y4m::frame_rate(info.fps) }
}
