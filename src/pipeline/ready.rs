//! All that a run settles before its first probe: what it opens, checks and reads.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::Request;
use super::backends::Backends;
use super::bars;
use super::beside::{Beside, looked_at, probe_and_segment};
use super::boost::Clock;
use super::chains::{Chains, Part, Probings, Task};
use super::curves::{Curves, GroupRecord, SceneCurve};
use super::encoding::Encoding;
use super::input::{Input, working as as_encoded};
use super::memory::{Memory, Now};
use super::plan::{PlannedScene, plan};
use super::segmentation::{self, Segmentation};
use super::shards::{Origin, Plan};
use super::shares::Shares;
use super::store::{ANALYSIS, Manifest, Store};
use crate::analysis::{Analysis, AnalysisOptions, analyse};
use crate::character::SceneMasks;
use crate::output::summary::{Clipped, SceneResult, Summary};
use crate::scenes::{self, Scene};
use crate::settings::{Resolved, Zone};
use crate::source::Clip;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::{Fingerprint, PROGRAM};
use crate::support::lock::Earlier;
use crate::support::machine;

/// Everything that a run settles before its first probe.
pub struct Ready {
    clock: Clock,
    shares: Shares,
    pub input: Input,
    /// Those of the request, with what only the clip could tell.
    pub settings: Resolved,
    zones: Vec<Zone>,
    pub encoding: Encoding,
    /// What probes are made from and measured against, as the encoder takes it.
    pub working: Clip,
    /// What chunks of the final encode are; another clip where there is a stand-in for probes.
    pub encoded: Clip,
    backends: Backends,
    segmentation: Option<Segmentation>,
    /// What the analysis that is at hand, or will be made, depends on.
    analysis_key: Fingerprint,
    /// How scenes will be looked for; `None` where a plan has them.
    scene_plan: Option<scenes::Plan>,
    /// What lessons are held against.
    now: Now,
    /// What an earlier title taught.
    remembered: Memory,
    /// What all this is, for other machines.
    origin: Origin,
    pub store: Store,
    found: Option<Found>,
}

/// The clip, read once.
struct Found {
    analysis: Analysis,
    scenes: Vec<Scene>,
    methods: Vec<scenes::ZoneMethod>,
}

/// Where a run works, and for whom.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// In a work folder of its own.
    Own,
    /// In a folder that becomes a plan; its encodes are in another one.
    NewPlan { encodes: &'a Path },
    /// On a share of a plan, which says what this machine must have.
    Plan { plan: &'a Plan, name: &'a str, encodes: &'a Path },
}

impl<'a> Place<'a> {
    fn plan(self) -> Option<&'a Plan> {
        match self {
            Self::Plan { plan, .. } => Some(plan),
            Self::Own | Self::NewPlan { .. } => None,
        }
    }

    fn open(self, request: &Request) -> Result<Store> {
        let folder = &request.folder;
        match self {
            Self::Own => Store::open(folder, request.earlier),
            Self::NewPlan { encodes } => Store::shared(folder, "plan", encodes, request.earlier),
            Self::Plan { name, encodes, .. } => Store::shared(folder, name, encodes, Earlier::Resume),
        }
    }
}

/// What was probed of a clip.
pub struct Probed {
    pub probings: Probings,
    /// By scene; `None` where no characters are boosted, and for scenes of other parts.
    pub masks: Vec<Option<SceneMasks>>,
}

impl Ready {
    /// Opens and checks what `request` names.
    ///
    /// # Errors
    /// Where something is otherwise than in the plan that it works on, among others.
    pub fn open(request: &Request, place: Place<'_>, events: &Events, cancel: &Cancel) -> Result<Self> {
        let plan = place.plan();
        let mut clock = Clock::default();
        let shares = Shares(machine::memory(request.memory));
        // What a script does elsewhere is no matter where it is another one.
        let mut origin = Origin::of_files(&request.input, &request.open, plan)?;
        let mut input = clock.time("opening", || Input::open(request, shares.source(), events))?;
        origin.add_clip(&input.clip, &request.input, plan)?;
        if let Some(plan) = plan {
            (input.key, input.analysed_key, input.probed_key) = plan.keys.clone();
        }
        let mut warnings = Vec::new();
        let mut zones = request.settings.zones(input.clip.info().frames, &mut warnings)?;
        for warning in &warnings {
            events.warn(warning);
        }
        let encoding = clock.time("checking the encoder", || {
            Encoding::open(&zones, &request.settings.base.encoder.program, &input.clip, events, cancel)
        })?;
        origin.add_encoder(&encoding, plan)?;
        let working = as_encoded(&input.probed, encoding.bits, events)?;
        let encoded = match request.probe_input {
            Some(_) => as_encoded(&input.clip, encoding.bits, &Events::silent())?,
            None => working.clone(),
        };
        let store = place.open(request)?;
        let mut settings = request.settings.clone();
        let (scene_plan, analysis_key) = if let Some(plan) = plan {
            (None, plan.analysis.clone())
        } else {
            let scene_plan = scenes::plan(&zones, input.analysed.session(), events, cancel)?;
            let key = analysis_key(&input, &scene_plan);
            (Some(scene_plan), key)
        };
        // A plan has its settings with what its clip told.
        if let Some(scene_plan) = scene_plan.as_ref().filter(|_| bars::wanted(&zones)) {
            let look = || analysed(&store, &input, &analysis_key, scene_plan, events, cancel);
            let crop = bars::found(&clock.time("analysis", look)?, &input.analysed, &working, events);
            for zone in &mut zones {
                bars::settle(&mut zone.settings, crop);
            }
            settings.each(|settings| bars::settle(settings, crop));
        }
        let pictures = (&working, encoding.bits);
        let open_backends =
            || Backends::open(request.metric, &zones, pictures, &request.open, shares.metric(), events);
        let backends = clock.time("opening the metric", open_backends)?;
        origin.add_metric(&backends, plan)?;
        let has_roi = encoding.have_roi();
        let segmentation =
            Segmentation::find(&zones, &input.analysed, has_roi, &request.segmentation, events)?;
        if let Some(segmentation) = &segmentation {
            origin.add_network(segmentation, plan)?;
        }
        let now = Now::new(&input.key, &zones, &encoding, &backends)?;
        let learned = request.learned.as_deref();
        let remembered = match plan {
            Some(plan) => plan.memory.clone(),
            None => learned.map_or_else(|| Ok(Memory::default()), |path| Memory::read(path, &now, events))?,
        };
        if plan.is_none() {
            let network = segmentation.as_ref().map(Segmentation::key);
            store.update_manifest(&manifest(&input, &encoding, &backends, &zones, network), events)?;
        }
        Ok(Self {
            clock,
            shares,
            input,
            settings,
            zones,
            encoding,
            working,
            encoded,
            backends,
            segmentation,
            analysis_key,
            scene_plan,
            now,
            remembered,
            origin,
            store,
            found: None,
        })
    }

    /// Reads the clip and finds its scenes.
    pub fn analyse(&mut self, events: &Events, cancel: &Cancel) -> Result<()> {
        let Self { clock, store, input, zones, scene_plan, analysis_key, .. } = self;
        let scene_plan = scene_plan.as_ref().context("the scenes are those of a plan")?;
        let find = || analysed(store, input, analysis_key, scene_plan, events, cancel);
        let analysis = clock.time("analysis", find)?;
        let detection = clock.time("scenes", || scenes::detect(zones, scene_plan, &analysis, events))?;
        store.begin(events)?;
        self.found = Some(Found { analysis, scenes: detection.scenes, methods: detection.zones });
        Ok(())
    }

    /// Takes the scenes of a plan, and the analysis that was made with it.
    pub fn take_scenes(&mut self, scenes: &[Scene]) -> Result<()> {
        let analysis = self.store.load(ANALYSIS, &self.analysis_key).with_context(|| {
            format!("{} lacks the analysis of its clip: plan again", self.store.folder().display())
        })?;
        self.found = Some(Found { analysis, scenes: scenes.to_vec(), methods: Vec::new() });
        Ok(())
    }

    /// All that was measured, for `retarget`.
    pub fn curves(
        &self,
        request: &Request,
        scenes: Vec<SceneCurve>,
        groups: Vec<GroupRecord>,
    ) -> Result<Curves> {
        Ok(Curves {
            input: std::path::absolute(&request.input)?,
            output: std::path::absolute(&request.output)?,
            frames: self.input.clip.info().frames,
            settings: self.settings.clone(),
            encoding: self.encoding.record(),
            analysis: self.analysis_key(),
            scenes,
            groups,
        })
    }

    pub fn analysis_key(&self) -> Fingerprint {
        self.analysis_key.clone()
    }

    fn found(&self) -> Result<&Found> {
        self.found.as_ref().context("the clip was not analysed")
    }

    /// Of every frame.
    pub fn analysis(&self) -> Result<&Analysis> {
        Ok(&self.found()?.analysis)
    }

    /// The scenes that were found.
    pub fn planned(&self) -> Result<Vec<PlannedScene<'_>>> {
        Ok(plan(&self.found()?.scenes, &self.zones))
    }

    /// What memories of other titles are held against.
    pub fn now(&self) -> &Now {
        &self.now
    }

    /// What an earlier title taught.
    pub fn remembered(&self) -> &Memory {
        &self.remembered
    }

    /// What this machine works with.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn chains<'a>(&'a self, request: &'a Request, events: &'a Events) -> Chains<'a> {
        Chains {
            request,
            working: &self.working,
            source_key: &self.input.probed_key,
            encoding: &self.encoding,
            backends: &self.backends,
            store: &self.store,
            shares: self.shares,
            memory_of_others: &self.remembered,
            task: Task::WHOLE,
            events,
        }
    }

    /// Where characters are looked for, if anywhere.
    fn looked_at(&self, events: &Events) -> Result<Option<(&Clip, Fingerprint)>> {
        self.segmentation.as_ref().map(|_| looked_at(&self.input, &self.working, events)).transpose()
    }

    fn beside<'a>(&'a self, looked_at: Option<&'a (&'a Clip, Fingerprint)>) -> Result<Option<Beside<'a>>> {
        let Some((segmentation, (clip, key))) = self.segmentation.as_ref().zip(looked_at) else {
            return Ok(None);
        };
        let source = segmentation::Source { clip, key, luma: &self.analysis()?.luma };
        Ok(Some(Beside { segmentation, source }))
    }

    /// Under which the masks of every scene are kept; `None` where no characters are boosted.
    pub fn masks_keys(
        &self,
        planned: &[PlannedScene<'_>],
        events: &Events,
    ) -> Result<Vec<Option<Fingerprint>>> {
        let looked_at = self.looked_at(events)?;
        let beside = self.beside(looked_at.as_ref())?;
        let key = |scene: &PlannedScene<'_>| {
            let Beside { segmentation, source } =
                beside.as_ref().filter(|_| scene.settings.character.enable)?;
            Some(segmentation.key_of(scene, source))
        };
        Ok(planned.iter().map(key).collect())
    }

    /// Probes the scenes of a task and makes their masks.
    pub fn probe(
        &self,
        request: &Request,
        planned: &[PlannedScene<'_>],
        task: Task<'_>,
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Probed> {
        let chains = Chains { task, ..self.chains(request, events) };
        let looked_at = self.looked_at(&Events::silent())?;
        let beside = self.beside(looked_at.as_ref())?;
        let (probings, masks) = probe_and_segment(&chains, beside, planned, &self.analysis()?.luma, cancel)?;
        Ok(Probed { probings, masks })
    }

    /// Character masks by scene, made now.
    pub fn masks(
        &self,
        planned: &[PlannedScene<'_>],
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Vec<Option<SceneMasks>>> {
        match self.beside(self.looked_at(events)?.as_ref())? {
            None => Ok(planned.iter().map(|_| None).collect()),
            Some(Beside { segmentation, source }) => {
                segmentation.run(planned, Part::Whole, &source, &self.store, events, cancel)
            }
        }
    }

    /// A sentence for everything that this machine works with.
    pub fn used(&self) -> Vec<String> {
        let mut used = self.found.as_ref().map_or_else(Vec::new, |found| detectors(&found.methods));
        used.extend(self.backends.describe());
        used.extend(self.segmentation.as_ref().map(Segmentation::describe));
        used.extend(self.encoding.describe());
        used
    }

    /// What was found and used; `later` is the time of what came after this.
    pub fn summary(
        &self,
        request: &Request,
        scenes: Vec<SceneResult>,
        learned: Vec<String>,
        later: Clock,
    ) -> Summary {
        let mut used = self.used();
        used.extend(learned);
        let stages = self.clock.stages.iter().cloned().chain(later.stages).collect();
        let clip = self.input.clip.info();
        let about = Clipped::new(&request.input, &self.settings, (clip.frames, clip.fps));
        Summary { output: request.output.clone(), scenes, used, stages, forecast: Vec::new(), about }
    }
}

/// A sentence for each scene detection method in use.
fn detectors(zones: &[scenes::ZoneMethod]) -> Vec<String> {
    let mut lines: Vec<String> = zones
        .iter()
        .map(|zone| match &zone.fallback {
            None => format!("scenes: {}", zone.method.name()),
            Some(why) => format!("scenes: {} ({why})", zone.method.name()),
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn manifest(
    input: &Input,
    encoding: &Encoding,
    backends: &Backends,
    zones: &[Zone],
    network: Option<&Fingerprint>,
) -> Manifest {
    let mut manifest = BTreeMap::from([
        ("the input".to_owned(), input.key.clone()),
        ("the probe input".to_owned(), input.probed_key.clone()),
        ("the analysis input".to_owned(), input.analysed_key.clone()),
        ("the program".to_owned(), Fingerprint::of(&PROGRAM)),
        ("the encoder".to_owned(), encoding.identity()),
        ("the metric back end".to_owned(), backends.identity()),
    ]);
    let mut section = |name: &str, key: fn(&Zone) -> Fingerprint| {
        let keys: Vec<Fingerprint> = zones.iter().map(key).collect();
        manifest.insert(name.to_owned(), Fingerprint::of(&keys));
    };
    section("settings of [scenes]", |z| Fingerprint::of(&z.settings.scenes));
    section("settings of [encoder]", |z| Fingerprint::of(&z.settings.encoder));
    section("settings of [encoders]", |z| Fingerprint::of(&z.settings.encoders));
    section("settings of [metric]", |z| Fingerprint::of(&z.settings.metric));
    section("settings of [model]", |z| Fingerprint::of(&z.settings.model));
    section("settings of [character]", |z| Fingerprint::of(&z.settings.character));
    section("dynamic rules", |z| Fingerprint::of(&z.settings.dynamic));
    manifest.extend(network.map(|key| ("the segmentation network".to_owned(), key.clone())));
    manifest
}

/// The analysis of an earlier run when nothing it depends on changed, else a new one.
fn analysed(
    store: &Store,
    input: &Input,
    key: &Fingerprint,
    plan: &scenes::Plan,
    events: &Events,
    cancel: &Cancel,
) -> Result<Analysis> {
    if let Some(kept) = store.load(ANALYSIS, key) {
        return Ok(kept);
    }
    let options = AnalysisOptions { first_pass: plan.first_pass.as_ref(), ..AnalysisOptions::default() };
    let analysis = analyse(&input.analysed, &plan.detectors, options, events, cancel)?;
    store.save(ANALYSIS, key, &analysis)?;
    Ok(analysis)
}

fn analysis_key(input: &Input, plan: &scenes::Plan) -> Fingerprint {
    Fingerprint::of(&(&input.analysed_key, &plan.detectors, &plan.first_pass, PROGRAM))
}
