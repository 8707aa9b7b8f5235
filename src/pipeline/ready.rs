//! What every run that boosts settles before its first probe.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Request;
use super::backends::Backends;
use super::chains::Chains;
use super::encoding::Encoding;
use super::input::{Input, working};
use super::plan::{PlannedScene, plan};
use super::remembered::{Memory, Now};
use super::segmentation::{self, Segmentation};
use super::store::{ANALYSIS, Manifest, Store};
use crate::analysis::{Analysis, AnalysisOptions, analyse};
use crate::character::SceneMasks;
use crate::output::summary::{SceneResult, Summary};
use crate::scenes;
use crate::settings::Zone;
use crate::source::Clip;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::{Fingerprint, PROGRAM};
use crate::support::machine;

/// Everything that a run settles before its first probe.
pub struct Ready {
    clock: Clock,
    memory: u64,
    pub input: Input,
    zones: Vec<Zone>,
    pub encoding: Encoding,
    pub working: Clip,
    backends: Backends,
    segmentation: Option<Segmentation>,
    pub store: Store,
    scene_plan: scenes::Plan,
    found: Option<(Analysis, scenes::Detection)>,
}

impl Ready {
    /// Opens and checks what `request` names.
    pub fn open(request: &Request, events: &Events, cancel: &Cancel) -> Result<Self> {
        let mut clock = Clock::default();
        let memory = machine::memory(request.memory);
        let input = clock.time("opening", || Input::open(request, memory, events))?;
        let mut warnings = Vec::new();
        let zones = request.settings.zones(input.clip.info().frames, &mut warnings)?;
        for warning in &warnings {
            events.warn(warning);
        }
        let encoding = clock
            .time("checking the encoder", || Encoding::open(&zones, input.clip.info(), events, cancel))?;
        let working = working(&input.clip, encoding.bits, events)?;
        let open_backends = || Backends::open(&zones, &working, encoding.bits, memory / 2, events);
        let backends = clock.time("opening the metric", open_backends)?;
        let has_roi = encoding.encoder.capabilities.roi_map;
        let segmentation =
            Segmentation::find(&zones, &input.analysed, has_roi, &request.segmentation, events)?;
        let scene_plan = scenes::plan(&zones, input.analysed.session(), events)?;
        let store = Store::open(&request.folder, request.earlier)?;
        let mut manifest = manifest(&input, &encoding, &backends, &zones);
        if let Some(segmentation) = &segmentation {
            manifest.insert("the segmentation network".to_owned(), segmentation.key().clone());
        }
        store.update_manifest(&manifest, events)?;
        Ok(Self {
            clock,
            memory,
            input,
            zones,
            encoding,
            working,
            backends,
            segmentation,
            store,
            scene_plan,
            found: None,
        })
    }

    /// Reads the clip and finds its scenes.
    pub fn analyse(&mut self, events: &Events, cancel: &Cancel) -> Result<()> {
        let Self { clock, store, input, zones, scene_plan, .. } = self;
        let analysis = clock.time("analysis", || analysed(store, input, scene_plan, events, cancel))?;
        let detection = clock.time("scenes", || scenes::detect(zones, scene_plan, &analysis, events))?;
        // Nothing that is finished goes before all the rest has proved right.
        store.begin(events)?;
        self.found = Some((analysis, detection));
        Ok(())
    }

    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// What [`Self::analyse`] found.
    pub fn analysis(&self) -> Result<&Analysis> {
        self.found.as_ref().map(|(analysis, _)| analysis).context("the clip was not analysed")
    }

    /// The scenes that [`Self::analyse`] found.
    pub fn planned(&self) -> Result<Vec<PlannedScene<'_>>> {
        let (_, detection) = self.found.as_ref().context("the clip was not analysed")?;
        Ok(plan(&detection.scenes, &self.zones))
    }

    /// What the analysis depends on.
    pub fn analysis_key(&self) -> Fingerprint {
        analysis_key(&self.input, &self.scene_plan)
    }

    /// What is compared with the circumstances of earlier titles.
    pub fn now(&self) -> Now<'_> {
        Now { zones: &self.zones, encoding: &self.encoding, backends: &self.backends }
    }

    /// `remembered` is what earlier titles taught.
    pub fn chains<'a>(
        &'a self,
        request: &'a Request,
        remembered: &'a Memory,
        events: &'a Events,
    ) -> Chains<'a> {
        Chains {
            request,
            working: &self.working,
            source_key: &self.input.key,
            encoding: &self.encoding,
            backends: &self.backends,
            store: &self.store,
            memory: self.memory,
            memory_of_others: remembered,
            events,
        }
    }

    /// Where characters are looked for, if anywhere.
    pub fn looked_at(&self, events: &Events) -> Option<(&Clip, Fingerprint)> {
        self.segmentation.as_ref().map(|_| looked_at(&self.input, &self.working, events))
    }

    /// What is segmented beside the probing, if anything.
    pub fn beside<'a>(
        &'a self,
        looked_at: Option<&'a (&'a Clip, Fingerprint)>,
    ) -> Result<Option<Beside<'a>>> {
        let Some((segmentation, (clip, key))) = self.segmentation.as_ref().zip(looked_at) else {
            return Ok(None);
        };
        let source = segmentation::Source { clip, key, luma: &self.analysis()?.luma };
        Ok(Some(Beside { segmentation, source }))
    }

    /// Character masks by scene, made now.
    pub fn masks(
        &self,
        planned: &[PlannedScene<'_>],
        events: &Events,
        cancel: &Cancel,
    ) -> Result<Vec<Option<SceneMasks>>> {
        match self.beside(self.looked_at(events).as_ref())? {
            None => Ok(planned.iter().map(|_| None).collect()),
            Some(Beside { segmentation, source }) => {
                segmentation.run(planned, &source, &self.store, events, cancel)
            }
        }
    }

    /// What was found and used; `later` is the time of what came after this.
    pub fn summary(
        &self,
        output: PathBuf,
        scenes: Vec<SceneResult>,
        learned: Vec<String>,
        later: Clock,
    ) -> Summary {
        let mut used = self.found.as_ref().map_or_else(Vec::new, |(_, found)| detectors(&found.zones));
        used.extend(self.backends.describe());
        used.extend(self.segmentation.as_ref().map(Segmentation::describe));
        used.push(self.encoding.describe());
        used.extend(learned);
        let stages = self.clock.stages.iter().cloned().chain(later.stages).collect();
        Summary { output, scenes, used, stages }
    }
}

/// What is done beside the probing.
pub struct Beside<'a> {
    pub segmentation: &'a Segmentation,
    pub source: segmentation::Source<'a>,
}

/// A sentence for each scene detection method in use.
fn detectors(zones: &[scenes::ZoneMethod]) -> Vec<String> {
    let mut lines: Vec<String> = zones
        .iter()
        .map(|zone| match &zone.fallback {
            None => format!("scenes: {}", scenes::name(zone.method)),
            Some(why) => format!("scenes: {} ({why})", scenes::name(zone.method)),
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn manifest(input: &Input, encoding: &Encoding, backends: &Backends, zones: &[Zone]) -> Manifest {
    let mut manifest = BTreeMap::from([
        ("the input".to_owned(), input.key.clone()),
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
    section("settings of [metric]", |z| Fingerprint::of(&z.settings.metric));
    section("settings of [model]", |z| Fingerprint::of(&z.settings.model));
    section("settings of [character]", |z| Fingerprint::of(&z.settings.character));
    section("dynamic rules", |z| Fingerprint::of(&z.settings.dynamic));
    manifest
}

/// The analysis of an earlier run when nothing it depends on changed, else a new one.
fn analysed(
    store: &Store,
    input: &Input,
    plan: &scenes::Plan,
    events: &Events,
    cancel: &Cancel,
) -> Result<Analysis> {
    let key = analysis_key(input, plan);
    if let Some(kept) = store.load(ANALYSIS, &key) {
        return Ok(kept);
    }
    let analysis = analyse(&input.analysed, &plan.detectors, AnalysisOptions::default(), events, cancel)?;
    store.save(ANALYSIS, &key, &analysis)?;
    Ok(analysis)
}

fn analysis_key(input: &Input, plan: &scenes::Plan) -> Fingerprint {
    Fingerprint::of(&(&input.analysed_key, &plan.detectors, PROGRAM))
}

/// Where characters are looked for, and what it depends on: in the analysis
/// input, unless its pictures are not of the size that is encoded. A map of
/// another picture, cropped or scaled, would mark the wrong blocks.
fn looked_at<'a>(input: &'a Input, working: &'a Clip, events: &Events) -> (&'a Clip, Fingerprint) {
    let (cheap, encoded) = (input.analysed.info(), working.info());
    if (cheap.width, cheap.height) == (encoded.width, encoded.height) {
        return (&input.analysed, input.analysed_key.clone());
    }
    events.note(format!(
        "characters are looked for in the pictures as they are encoded, {}x{}, and not in those of the \
         analysis, {}x{}",
        encoded.width, encoded.height, cheap.width, cheap.height
    ));
    (working, Fingerprint::of(&(&input.key, encoded)))
}

/// Time by stage for the summary.
#[derive(Default)]
pub struct Clock {
    stages: Vec<(String, f64)>,
}

impl Clock {
    pub fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work();
        self.stages.push((stage.to_owned(), started.elapsed().as_secs_f64()));
        result
    }
}
