//! The time from a list of scenes to the first job of each.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use progression_boost::encoder::y4m;
use progression_boost::pipeline::backends::Backends;
use progression_boost::pipeline::candidate::{Candidate, PictureFacts, Take};
use progression_boost::pipeline::encoding::Encoding;
use progression_boost::pipeline::forks::Fork;
use progression_boost::pipeline::learning::Learning;
use progression_boost::pipeline::modelling;
use progression_boost::pipeline::plan::{PlannedScene, plan};
use progression_boost::pipeline::probing::Probing;
use progression_boost::pipeline::readers::Readers;
use progression_boost::pipeline::scheduler::{self, Limits};
use progression_boost::pipeline::store::Store;
use progression_boost::scenes::Scene;
use progression_boost::score;
use progression_boost::settings::Settings;
use progression_boost::source::{self, LumaGrid, OpenOptions, Picture};
use progression_boost::support::cancel::{Cancel, Interrupted};
use progression_boost::support::events::Events;
use progression_boost::support::lock::Earlier;
use progression_boost::support::permits::Permits;

use super::{Bench, Row, resolved, some_luma};

impl Bench {
    /// From scenes to the first job of each, for 200,000 frames in zones.
    pub(super) fn plan(&self) -> Result<Vec<Row>> {
        const FRAMES: usize = 200_000;
        const LENGTHS: [usize; 5] = [24, 37, 60, 18, 41];
        let clip = source::open(&self.clip, &OpenOptions::default())?;
        let events = Events::silent();
        let cancel = Cancel::new();
        let settings = resolved(&[], Some("0 40000 ssimu2-mean 90000 120000 ssimu2-mean"))?;
        let zones = settings.zones(FRAMES, &mut Vec::new())?;
        let encoding = Encoding::open(&zones, &settings.base.encoder.program, &clip, &events, &cancel)?;
        let working = clip.working(encoding.bits)?.clip;
        let backends = Backends::open(
            score::open,
            &zones,
            (&working, encoding.bits),
            &OpenOptions::default(),
            1 << 30,
            &events,
        )?;
        let store = Store::open(&self.path("plan.boost"), Earlier::Discard)?;
        let luma = some_luma(FRAMES);
        let mut scenes = Vec::new();
        while scenes.last().map_or(0, |scene: &Scene| scene.end) < FRAMES {
            let start = scenes.last().map_or(0, |scene: &Scene| scene.end);
            let length = LENGTHS[scenes.len() % LENGTHS.len()];
            scenes.push(Scene { start, end: (start + length).min(FRAMES) });
        }

        let (width, height) = (working.info().width, working.info().height);
        let picture = PictureFacts {
            bytes: Picture::filled(width, height, 10, 0, 0).bytes(),
            grid: Arc::new(LumaGrid::new(width, height)),
        };
        let started = Instant::now();
        let planned = plan(&scenes, &zones);
        let forks = encoding.probers(&planned, &luma)?;
        let mut candidates = Vec::new();
        for scene in planned {
            let backend = backends.of_zone(scene.zone).context("every zone measures")?;
            let diff = &luma.diff[scene.scene.range()];
            let model = modelling::model(scene.settings, &forks[scene.index], diff);
            candidates.push(Candidate::new(scene, model, Arc::clone(backend), &luma, 1 << 30, &picture)?);
        }
        let ratio = |settings: &Settings, fork: &Fork| encoding.work_ratio(settings, fork);
        let learning = Learning::plan(&mut candidates, &forks, ratio);
        let chains: Vec<_> = candidates.iter().map(|candidate| candidate.chain(&picture)).collect();
        let info = working.info();
        let fps = y4m::frame_rate(info.fps);
        let probing = Probing {
            readers: &Readers::new(
                working.clone(),
                1,
                Box::new(|| -> Result<source::Clip> { bail!("one is enough") }),
                &events,
            ),
            format: y4m::Format { width: info.width, height: info.height, bits: encoding.bits, fps },
            forks: &forks,
            params: &|scene: &PlannedScene<'_>, take: Take| {
                encoding.probe_words(scene, &forks[scene.index], take.crf, &luma)
            },
            candidates,
            learning,
            store: &store,
            probe_key: encoding.feed(),
            pool: &rayon::ThreadPoolBuilder::new().num_threads(1).build()?,
            keep_probes: false,
            decoded: Arc::new(Permits::new(1)),
            slots: None,
            stall: None,
            nice: 0,
            events: &events,
            stage: &events.stage("Probing", 0, "probes"),
            cancel: &cancel,
        };
        // The scheduler asks every chain for its first job, then sees that it is to stop.
        cancel.cancel();
        let limits = Limits { workers: 2, crew: None, scorers: 1, memory: 1 << 30, staged: false };
        match scheduler::run(&chains, &limits, &probing, &cancel) {
            Err(error) if error.is::<Interrupted>() => {}
            Err(error) => return Err(error),
            Ok(_) => bail!("the scheduler did not see that it was to stop"),
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(vec![Self::row(
            format!("plan of {FRAMES} frames: {} scenes in {} zones to jobs", scenes.len(), zones.len()),
            format!("{seconds:.2} s"),
            "≤ 1 s",
        )])
    }
}
