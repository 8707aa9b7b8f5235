//! A run from the input to the checked Matroska file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::bind::{self, Binding};
use super::mux::Muxer;
use super::plan::{join as join_scenes, longest_first};
use super::queue::{self, Done, Job, Shop};
use super::recipe::{self, Recipe, Resolved, Resolver};
use super::scenes;
use super::share::{self, Part, Share, ShareOutcome};
use super::tools::Tools;
use super::work::WorkFolder;
use super::{Outcome, Request};
use crate::dispatch::crew::{self, Crew};
use crate::encoder::y4m;
use crate::formats::matroska::Contents;
use crate::formats::scenes_json::SceneEntry;
use crate::source::{self, Clip, ClipInfo, ColorInfo, OpenOptions};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::machine;

/// Encodes as `request` says. On failure and interruption the finished chunks
/// are kept for a run that resumes; the output appears checked or not at all.
/// Where several machines share the encode, this puts together what they made.
pub fn run(request: &Request, events: &Events, cancel: &Cancel) -> Result<Outcome> {
    bind::check_paths(request)?;
    let muxer = Muxer::find(request.muxer)?;
    events.note(format!("muxing with {}", muxer.name()));
    let run = Run::open(request, events, cancel)?;
    let (chunks, resumed) = run.encode()?;
    let contents = run.mux(&muxer, &chunks)?;
    let counts = (run.input.info().frames, resumed);
    let files: Vec<&Path> = chunks.iter().map(|job| job.file.as_path()).collect();
    bind::finish(request, run.work, &contents, &files, &[], counts, events)
}

/// Makes one machine's part of the chunks of an encode.
pub fn run_share(request: &Request, events: &Events, cancel: &Cancel) -> Result<ShareOutcome> {
    let (chunks, known) = Run::open(request, events, cancel)?.encode()?;
    Ok(ShareOutcome { chunks: chunks.len(), known })
}

/// The clip as it is encoded.
struct Input {
    clip: Clip,
    working: Clip,
    options: OpenOptions,
    key: Fingerprint,
    fps: (u32, u32),
    /// Bytes that VapourSynth may keep in the session of each worker.
    memory: u64,
}

impl Input {
    fn open(request: &Request, work: &WorkFolder, events: &Events) -> Result<Self> {
        let mut options = request.open.clone();
        // All workers' sessions together have half of what a run may hold.
        let sessions = request.parallel.unwrap_or_else(machine::cpus).max(1);
        let memory = machine::memory(None) / 2 / sessions as u64;
        // Machines that share a folder would write one another's index; that of the plan
        // lies beside the source.
        options.index_folder = request.share.is_none().then(|| work.index());
        let clip = source::open_within(&request.input, &options, memory)?;
        let key = match &request.share {
            Some(share) => share.clip.clone(),
            None => source::fingerprint(&request.input, &options, &clip)?,
        };
        let info = clip.info();
        let fps = bind::frame_rate(&request.input, info)?;
        let working = clip.working(request.bits)?.clip;
        let (from, to) = (info, working.info());
        if from.format != to.format || (from.width, from.height) != (to.width, to.height) {
            events.note(format!(
                "the clip is {} {}x{}, it is encoded as {} {}x{}",
                from.format, from.width, from.height, to.format, to.width, to.height
            ));
        }
        Ok(Self { clip, working, options, key, fps, memory })
    }

    fn info(&self) -> &ClipInfo {
        self.working.info()
    }

    fn color(&self) -> Result<&ColorInfo> {
        self.working.color()
    }

    /// The same clip in a session of its own.
    fn again(&self, path: &Path, bits: u8) -> Result<Clip> {
        let clip = source::open_within(path, &self.options, self.memory)?.working(bits)?.clip;
        ensure!(
            clip.facts()? == self.working.facts()?,
            "{} became another clip when it was opened again; a script must not depend on the time",
            path.display()
        );
        Ok(clip)
    }
}

/// Options that have no effect when every scene brings its own parameters.
fn warn_about_unused(request: &Request, scenes: &[SceneEntry], events: &Events) {
    if scenes.iter().any(|scene| scene.zone_overrides.is_none()) {
        return;
    }
    let unused = [("--q", request.q.is_some()), ("--encoder-preset", request.preset.is_some())];
    for (option, _) in unused.iter().filter(|(_, given)| *given) {
        events.warn(format!("{option} has no effect: all scenes of the file have parameters of their own"));
    }
    if scenes.iter().flat_map(|scene| &scene.zone_overrides).any(|o| o.passes > 1) {
        events.note("the scenes ask for two passes; at constant quality one gives the same, so one is made");
    }
}

/// Everything that a run has settled before the first chunk.
struct Run<'a> {
    request: &'a Request,
    input: Input,
    work: WorkFolder,
    tools: Tools,
    resolved: Resolved,
    events: &'a Events,
    cancel: &'a Cancel,
}

impl<'a> Run<'a> {
    /// Opens and checks all that is needed before the first chunk.
    fn open(request: &'a Request, events: &'a Events, cancel: &'a Cancel) -> Result<Self> {
        let mut work = match &request.share {
            None => WorkFolder::open(&request.work, request.earlier)?,
            Some(Share { part: Part::Shard(shard), .. }) => {
                WorkFolder::shared(&request.work, &shard.journal())?
            }
            Some(Share { part: Part::Merge, .. }) => WorkFolder::shared(&request.work, "merge")?,
        };
        let input = Input::open(request, &work, events)?;
        events.note(request.scenes.describe());
        let found = scenes::find(&request.scenes, &input.clip, &input.key, &work, events, cancel)?;
        let (base, wanted) = recipe::encoders(request, &found)?;
        let usual = request.program.clone().map(|program| (base, program));
        let tools = Tools::new(usual, work.path(), cancel);
        for wanted in &wanted {
            let tool = tools.get(wanted)?;
            tool.check_size(input.info().width, input.info().height)?;
            events.note(format!("encoding with {}", tool.version()));
        }
        warn_about_unused(request, &found, events);
        let (info, color) = (input.info(), input.color()?);
        let resolver = Resolver { request, base, tools: &tools, info, color, events };
        let resolved = resolver.resolve(&found)?;
        recipe::try_out(&resolved.recipes, &tools, request.bits, cancel)?;
        // Nothing that is finished goes before all the rest has proved right.
        let cleared = work.begin()?;
        if cleared > 0 {
            events.note(format!("{cleared} chunks of an earlier run were cleared; --resume keeps them"));
        }
        Ok(Self { request, input, work, tools, resolved, events, cancel })
    }

    /// The chunks that are made here, once all machines agree on all of them.
    fn shared_out(&self, share: &Share, jobs: Vec<Job>) -> Result<Vec<Job>> {
        let tools = self.tools.all();
        let with: Vec<&str> = tools.iter().map(|tool| tool.version()).collect();
        let options = self.request.describe();
        share::agree(self.work.path(), &jobs, format!("{}, {options}", with.join(" and ")))?;
        let Part::Shard(shard) = share.part else {
            let is_open = |(_, job): &(usize, &Job)| self.work.finished(&job.chunk, &job.key).is_none();
            let open: Vec<usize> =
                jobs.iter().enumerate().filter(is_open).map(|(number, _)| number).collect();
            share::demand_all(share, &jobs, &open, self.work.journals())?;
            return Ok(jobs);
        };
        let mine = share::mine(&jobs, shard);
        Ok(jobs.into_iter().zip(mine).filter_map(|(job, mine)| mine.then_some(job)).collect())
    }

    /// Encodes what is not finished; all chunks in order, and how many were.
    fn encode(&self) -> Result<(Vec<Job>, usize)> {
        let recipes = &self.resolved.recipes;
        let jobs = match &self.request.share {
            Some(share) => self.shared_out(share, self.jobs()?)?,
            None => self.jobs()?,
        };
        let frames = self.input.info().frames;
        let mut done = Done { chunks: 0, frames: 0, bytes: 0, of_frames: frames };
        let (mut ready, mut open): (Vec<Job>, Vec<Job>) = (Vec::new(), Vec::new());
        for job in jobs {
            match self.work.finished(&job.chunk, &job.key) {
                Some(record) => {
                    done.chunks += 1;
                    done.frames += job.chunk.frames.len();
                    done.bytes += record.bytes;
                    ready.push(job);
                }
                None => open.push(job),
            }
        }
        let resumed = ready.len();
        if resumed > 0 {
            self.events.note(format!(
                "{resumed} of {} chunks, {} of {frames} frames, are finished already",
                resumed + open.len(),
                done.frames
            ));
        }
        if !open.is_empty() {
            longest_first(&mut open, |job| &job.chunk);
            let parallel = self.parallel(recipes);
            self.events.note(format!(
                "{} chunks to encode, {} at once",
                open.len(),
                parallel.min(open.len())
            ));
            let again = || self.input.again(&self.request.input, self.request.bits);
            queue::run(&open, self.most(parallel), self.input.working.clone(), done, &self.shop(&again)?)?;
        }
        ready.append(&mut open);
        ready.sort_by_key(|job| job.number);
        Ok((ready, resumed))
    }

    fn jobs(&self) -> Result<Vec<Job>> {
        let chunks = join_scenes(&self.resolved.scenes, self.request.min_chunk_length);
        let keys: Vec<Fingerprint> = self.resolved.recipes.iter().map(Recipe::key).collect::<Result<_>>()?;
        let color = self.input.color()?;
        let job = |(number, chunk): (usize, super::plan::Chunk)| {
            let made_by = self.tools.identity(&self.resolved.recipes[chunk.recipe])?;
            let parts =
                (&self.input.key, &chunk.frames, &keys[chunk.recipe], made_by, self.request.bits, color);
            let key = Fingerprint::of(&parts);
            let file = self.work.chunk_file(&chunk, &key);
            Ok(Job { number, chunk, key, file })
        };
        chunks.into_iter().enumerate().map(job).collect()
    }

    fn parallel(&self, recipes: &[Recipe]) -> usize {
        self.request.parallel.unwrap_or(machine::cpus() / recipe::threads(recipes)).max(1)
    }

    /// Workers that there may be: others wait until the machine has room for them.
    fn most(&self, parallel: usize) -> usize {
        crew::most(parallel, self.request.parallel.is_some())
    }

    /// Who decides how many work, unless the user did.
    fn crew(&self) -> Option<Arc<Crew>> {
        if self.request.parallel.is_some() {
            return None;
        }
        let (recipes, info) = (&self.resolved.recipes, self.input.info());
        let share = crew::Share::of(recipe::threads(recipes), (info.width, info.height));
        let usual = self.parallel(recipes);
        Some(Crew::start(usual, self.most(usual), share, self.events))
    }

    fn shop<'s>(&'s self, open: &'s (dyn Fn() -> Result<Clip> + Sync)) -> Result<Shop<'s>> {
        let info = self.input.info();
        Ok(Shop {
            recipes: &self.resolved.recipes,
            tools: &self.tools,
            work: &self.work,
            format: y4m::Format {
                width: info.width,
                height: info.height,
                bits: self.request.bits,
                fps: y4m::frame_rate(info.fps),
            },
            full_range: self.input.color()?.is_full_range(),
            fps: y4m::frame_rate(info.fps),
            stall: self.request.stall,
            nice: self.request.nice,
            crew: self.crew(),
            open,
            events: self.events,
            cancel: self.cancel,
        })
    }

    fn mux(&self, muxer: &Muxer, jobs: &[Job]) -> Result<Contents> {
        let files: Vec<_> = jobs.iter().map(|job| (job.file.clone(), job.chunk.frames.len())).collect();
        let binding = Binding {
            request: self.request,
            info: self.input.info(),
            sample_aspect: self.input.clip.sample_aspect()?,
            fps: self.input.fps,
            color: &self.resolved.color,
            work: &self.work,
            muxer,
            events: self.events,
            cancel: self.cancel,
        };
        binding.bind(&files)
    }
}
