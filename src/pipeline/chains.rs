//! The probe chains of all scenes: made from the plan, run by the scheduler,
//! collected.

use std::sync::Arc;

use anyhow::{Context, Error, Result, ensure};

use super::backends::{Backends, scoring_pool};
use super::candidate::{Candidate, PictureFacts, Take};
use super::curves::{GroupRecord, Taken};
use super::encoding::Encoding;
use super::forks::Fork;
use super::input::picture_bytes;
use super::learning::Learning;
use super::memory::Memory;
use super::plan::PlannedScene;
use super::probing::Probing;
use super::readers::{self, Readers};
use super::scheduler::{self, Chain, Limits, Step, Work};
use super::shares::Shares;
use super::store::Store;
use super::{Request, modelling};
use crate::analysis::LumaStats;
use crate::dispatch::crew::{self, Crew};
use crate::encoder::{Purpose, y4m};
use crate::settings::Resolved;
use crate::source::{self, Clip, LumaGrid};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::machine::cpus;
use crate::support::permits::Permits;

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
    pub shares: Shares,
    /// What earlier titles taught.
    pub memory_of_others: &'a Memory,
    pub task: Task<'a>,
    pub events: &'a Events,
}

/// What is to be probed, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    pub part: Part<'a>,
    /// The plan for which finished scenes are recorded, if for any.
    pub plan: Option<&'a Fingerprint>,
    /// Encoders at once, where other titles are probed at the same time.
    pub slots: Option<&'a Permits>,
}

impl Task<'_> {
    /// All scenes, for nobody else.
    pub const WHOLE: Self = Self { part: Part::Whole, plan: None, slots: None };
}

/// Which scenes of a clip are probed.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    Whole,
    /// Those that the others learn from.
    First,
    /// By scene whether it is done here; those of [`Part::First`] were probed, for the same plan.
    Share(&'a [bool]),
}

/// Whether chains end with their probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    Open,
    /// They go on with chunks, so that nothing is encoded for calibration alone.
    Closed {
        /// Chunks that miss may be made again.
        redoes: bool,
    },
}

/// How probing ended.
pub struct Probings {
    /// The scenes that failed, in order, and why.
    pub failed: Vec<(usize, Error)>,
    /// Sentences about what scenes taught each other.
    pub learned: Vec<String>,
    /// By scene, what was measured of it; nothing of those of other parts.
    pub taken: Vec<Vec<(Purpose, Taken)>>,
    /// Who learned from whom.
    pub groups: Vec<GroupRecord>,
    /// The scenes that were probed, in order.
    pub scenes: Vec<usize>,
}

impl Chains<'_> {
    /// Probes every scene of the task whose zone measures; the others need none.
    pub fn run(&self, planned: &[PlannedScene<'_>], luma: &LumaStats, cancel: &Cancel) -> Result<Probings> {
        if planned.iter().all(|scene| self.backends.of_zone(scene.zone).is_none()) {
            let taken = planned.iter().map(|_| Vec::new()).collect();
            let (failed, learned, groups, scenes) = Default::default();
            return Ok(Probings { failed, learned, taken, groups, scenes });
        }
        self.with_probing(planned, luma, Loop::Open, cancel, |probing, chains, limits| {
            let selected = Selected::new(&probing, self.task)?;
            let chains: Vec<Chain> = selected.numbers.iter().map(|&number| chains[number]).collect();
            let failed = scheduler::run(&chains, limits, &selected, cancel)?;
            selected.collect(planned.len(), failed)
        })
    }

    /// Hands everything that probing needs to `work`: the chains, those of the
    /// measured scenes in order, and what may be done at once.
    pub fn with_probing<T>(
        &self,
        planned: &[PlannedScene<'_>],
        luma: &LumaStats,
        ends: Loop,
        cancel: &Cancel,
        work: impl FnOnce(Probing<'_>, &[Chain], &Limits) -> Result<T>,
    ) -> Result<T> {
        let picture = self.picture();
        let forks = self.encoding.probers(planned, luma)?;
        let mut candidates = self.candidates(planned, &forks, luma, &picture)?;
        let mut learning = Learning::plan(&mut candidates, &forks, |settings, fork| {
            self.encoding.work_ratio(settings, fork)
        });
        learning.remember(&mut candidates, self.memory_of_others);
        if let Loop::Closed { redoes } = ends {
            learning.close(&mut candidates, redoes);
        }
        let expected = candidates.iter().filter(|c| self.task.part.has(c)).map(Candidate::expected).sum();
        let stage = self.events.stage("Probing", expected, "frames");
        let chains: Vec<_> = candidates.iter().map(|c| c.chain(&picture)).collect();
        let pool = scoring_pool()?;
        let limits = self.limits(picture.bytes);
        let sessions = limits.workers.div_ceil(self.working.places()).min(readers::MOST);
        self.working.bound(self.shares.source() / sessions as u64);
        let open = || self.another(self.shares.source() / sessions as u64);
        let readers = Readers::new(self.working.clone(), self.working.places(), Box::new(open), self.events);
        let params = |scene: &PlannedScene<'_>, take: Take| {
            let fork = &forks[scene.index];
            match take.purpose {
                Purpose::Probing => self.encoding.probe_words(scene, fork, take.crf, luma),
                Purpose::Final => self.encoding.calibration_words(scene, fork, take.crf, luma),
            }
        };
        let probing = Probing {
            readers: &readers,
            format: format(self.working, self.encoding.bits),
            forks: &forks,
            params: &params,
            candidates,
            learning,
            store: self.store,
            probe_key: Fingerprint::of(&(self.source_key, self.encoding.feed())),
            pool: &pool,
            decoded: self.shares.decoded(picture.bytes),
            keep_probes: self.request.keep_probes,
            stall: self.request.stall,
            nice: self.request.nice,
            slots: self.task.slots,
            events: self.events,
            stage: &stage,
            cancel,
        };
        work(probing, &chains, &limits)
    }

    /// The working clip in another session, which may keep so many bytes.
    fn another(&self, memory: u64) -> Result<Clip> {
        let Request { input, probe_input, open, .. } = self.request;
        let path = probe_input.as_ref().unwrap_or(input);
        let clip = source::open_within(path, open, memory)?.working(self.encoding.bits)?.clip;
        ensure!(
            clip.facts()? == self.working.facts()?,
            "{} became another clip when it was opened again",
            path.display()
        );
        Ok(clip)
    }

    /// The scenes to probe.
    fn candidates<'s>(
        &self,
        planned: &[PlannedScene<'s>],
        forks: &[Arc<Fork>],
        luma: &'s LumaStats,
        picture: &PictureFacts,
    ) -> Result<Vec<Candidate<'s>>> {
        let measured = |scene: &PlannedScene<'s>| {
            let backend = self.backends.of_zone(scene.zone)?;
            let diff = &luma.diff[scene.scene.range()];
            let model = modelling::model(scene.settings, &forks[scene.index], diff);
            Some(Candidate::new(*scene, model, Arc::clone(backend), luma, self.shares.kept(), picture))
        };
        planned.iter().filter_map(measured).collect()
    }

    fn picture(&self) -> PictureFacts {
        let info = self.working.info();
        let grid = Arc::new(LumaGrid::new(info.width, info.height));
        PictureFacts { bytes: picture_bytes(self.working), grid }
    }

    /// Who decides how many of `most` encoders work, unless the user did.
    fn crew(&self, most: usize) -> Option<Arc<Crew>> {
        let settings = &self.request.settings;
        if settings.base.encoder.workers.is_some() || self.request.staged {
            return None;
        }
        let info = self.working.info();
        let share = crew::Share::of(settings.base.encoder.lp, (info.width, info.height));
        Some(Crew::start(workers(settings).min(most), most, share, self.events))
    }

    fn limits(&self, picture: usize) -> Limits {
        let settings = &self.request.settings;
        let most = crew::most(workers(settings), settings.base.encoder.workers.is_some());
        let workers = self.shares.workers(most, picture);
        Limits {
            workers,
            crew: self.crew(workers),
            scorers: self.shares.scorers(picture),
            memory: self.shares.kept(),
            staged: self.request.staged,
        }
    }
}

impl Part<'_> {
    fn has(self, candidate: &Candidate<'_>) -> bool {
        match self {
            Self::Whole => true,
            Self::First => candidate.teaches_others(),
            Self::Share(mine) => mine[candidate.planned.index] && !candidate.teaches_others(),
        }
    }
}

/// The chains of a part, numbered by themselves.
struct Selected<'a, 'b> {
    probing: &'a Probing<'b>,
    /// Of the candidates, rising.
    numbers: Vec<usize>,
    plan: Option<&'a Fingerprint>,
}

impl<'a, 'b> Selected<'a, 'b> {
    /// What a share's scenes learn from is looked up.
    fn new(probing: &'a Probing<'b>, task: Task<'a>) -> Result<Self> {
        let Task { part, plan, .. } = task;
        let mut numbers = Vec::new();
        for (number, candidate) in probing.candidates.iter().enumerate() {
            if part.has(candidate) {
                numbers.push(number);
            } else if candidate.teaches_others() {
                let index = candidate.planned.index;
                let record = plan.and_then(|plan| probing.store.scene(plan, index));
                let record =
                    record.with_context(|| format!("the plan has no probes of scene {index}: plan again"))?;
                probing.recall(number, &record)?;
            }
        }
        Ok(Self { probing, numbers, plan })
    }

    fn record(&self, number: usize, failed: Option<String>) -> Result<()> {
        let Some(plan) = self.plan else { return Ok(()) };
        let record = self.probing.recorded(number, plan, failed)?;
        let known = self.probing.store.scene(plan, record.scene);
        if known.as_ref() == Some(&record) { Ok(()) } else { self.probing.store.add_scene(record) }
    }

    fn told(&self, number: usize, step: Step) -> Result<Step> {
        if step == Step::Done {
            self.record(number, None)?;
        }
        Ok(step)
    }

    /// What was found of a clip with so many scenes. `failed` are numbers of chains.
    fn collect(&self, scenes: usize, failed: Vec<(usize, Error)>) -> Result<Probings> {
        let Probing { candidates, learning, .. } = self.probing;
        let mut taken: Vec<Vec<_>> = (0..scenes).map(|_| Vec::new()).collect();
        for &number in &self.numbers {
            taken[candidates[number].planned.index] = self.probing.taken(number)?;
        }
        let index = |number: usize| candidates[number].planned.index;
        let scenes = self.numbers.iter().map(|&number| index(number)).collect();
        let mut failures = Vec::new();
        for (chain, error) in failed {
            let number = self.numbers[chain];
            self.record(number, Some(format!("{error:#}")))?;
            failures.push((index(number), error));
        }
        let (learned, groups) = (learning.describe(candidates), learning.record(candidates));
        Ok(Probings { failed: failures, learned, taken, groups, scenes })
    }
}

impl Work for Selected<'_, '_> {
    fn proceed(&self, chain: usize) -> Result<Step> {
        let number = self.numbers[chain];
        self.told(number, self.probing.proceed(number)?)
    }

    fn encode(&self, chain: usize, take: usize, crf: f64) -> Result<()> {
        self.probing.encode(self.numbers[chain], take, crf)
    }

    fn score(&self, chain: usize, take: usize, crf: f64) -> Result<Step> {
        let number = self.numbers[chain];
        self.told(number, self.probing.score(number, take, crf)?)
    }

    fn release(&self, chain: usize) {
        self.probing.release(self.numbers[chain]);
    }

    fn give_up(&self, chain: usize) {
        self.probing.give_up(self.numbers[chain]);
    }
}

/// Encoders at once.
pub fn workers(settings: &Resolved) -> usize {
    let encoder = &settings.base.encoder;
    encoder.workers.unwrap_or((cpus() / encoder.lp.max(1)).max(1))
}

fn format(clip: &Clip, bits: u8) -> y4m::Format {
    let info = clip.info();
    y4m::Format { width: info.width, height: info.height, bits, fps: y4m::frame_rate(info.fps) }
}
