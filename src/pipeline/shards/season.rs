//! Several titles in one plan: a folder with a plan of each. Their scenes are shared out
//! together, and one machine works on two titles at once, so that its encoders have
//! something to do while the last scenes of a title are finished.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Error, Result, bail};
use serde::{Deserialize, Serialize};

use super::file::{PathMap, Plan};
use super::steps::{Here, Merged, Mine, Planned, Shared, merge_title, plan, run_title};
use crate::pipeline::Request;
use crate::pipeline::chains::workers;
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::support::permits::Permits;
use crate::support::shard::{Shard, share_out};

/// Names the titles of a season, in its folder.
const FILE: &str = "season.json";

/// Titles at once.
const AT_ONCE: usize = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Season {
    /// Folders with plans, in their order.
    titles: Vec<String>,
}

/// A title that was planned.
#[derive(Debug)]
pub struct Title {
    pub folder: PathBuf,
    pub plan: Plan,
}

/// What a folder holds: a plan, or several.
#[derive(Debug)]
pub struct Titles(Vec<Title>);

/// Whether a folder holds the plans of several titles.
pub fn is_one(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

impl Titles {
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let context = || format!("cannot read {}", path.display());
        let folders = if is_one(folder) {
            let bytes = std::fs::read(&path).with_context(context)?;
            let season: Season = serde_json::from_slice(&bytes).with_context(context)?;
            // Scripts are evaluated in their own folders while another title is at work.
            let folder = std::path::absolute(folder)?;
            season.titles.iter().map(|name| folder.join(name)).collect()
        } else {
            vec![folder.to_path_buf()]
        };
        let title = |folder: PathBuf| Ok(Title { plan: Plan::read(&folder)?, folder });
        folders.into_iter().map(title).collect::<Result<_>>().map(Self)
    }

    /// Names of the scenes files that a merge writes.
    pub fn outputs(&self, map: &[PathMap]) -> Vec<PathBuf> {
        self.0.iter().map(|title| PathMap::path(map, &title.plan.output)).collect()
    }

    /// By title and scene, the part of so many.
    fn parts(&self, of: usize) -> Vec<Vec<Option<usize>>> {
        let work: Vec<f64> = self.0.iter().flat_map(|title| title.plan.work.iter().copied()).collect();
        let mut parts = share_out(&work, of).into_iter();
        self.0.iter().map(|title| parts.by_ref().take(title.plan.work.len()).collect()).collect()
    }
}

/// Plans all of `requests` into `folder`, one title each.
pub fn plan_season(
    requests: &[Request],
    folder: &Path,
    shards: usize,
    events: &Events,
    cancel: &Cancel,
) -> Result<Vec<Planned>> {
    let names: Vec<String> = requests
        .iter()
        .map(|request| request.folder.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let mut known = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !known.insert(*name)) {
        bail!("two inputs are called {twice}: a season needs a name for each");
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut planned = Vec::new();
    for (name, request) in names.iter().zip(requests) {
        events.note(format!("{name}: planning"));
        planned.push(plan(request, shards, events, cancel).with_context(|| name.clone())?);
    }
    let season = serde_json::to_vec_pretty(&Season { titles: names })?;
    atomic::write(&folder.join(FILE), &season)?;
    Ok(planned)
}

/// Does a share of what is planned in `folder`.
pub fn run(folder: &Path, shard: Shard, here: &Here, events: &Events, cancel: &Cancel) -> Result<Shared> {
    let titles = Titles::read(folder)?;
    let shares: Vec<Vec<bool>> = titles
        .parts(shard.of())
        .into_iter()
        .map(|parts| parts.into_iter().map(|part| part == Some(shard.number())).collect())
        .collect();
    if let [title] = &titles.0[..] {
        let mine = Mine { shard, scenes: &shares[0], slots: None };
        return run_title(title, mine, here, events, cancel);
    }
    let started = Instant::now();
    let queue = Queue {
        titles: &titles.0,
        shares: &shares,
        shard,
        here,
        slots: Permits::new(here.workers.unwrap_or_else(|| workers(&titles.0[0].plan.settings))),
        next: AtomicUsize::new(0),
        done: Mutex::default(),
        failed: Mutex::default(),
    };
    let stage = events.stage("Titles", titles.0.len() as u64, "titles");
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| queue.serve(&|| stage.advance(1), events, cancel));
        }
    });
    cancel.check()?;
    let failed = queue.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        let told: Vec<String> = failed.iter().map(|(name, error)| format!("{name}: {error:#}")).collect();
        bail!("{} of {} titles failed\n{}", failed.len(), titles.0.len(), told.join("\n"));
    }
    let done = queue.done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sum = |count: fn(&Shared) -> usize| done.iter().map(count).sum();
    let seconds = started.elapsed().as_secs_f64();
    Ok(Shared { scenes: sum(|done| done.scenes), known: sum(|done| done.known), seconds })
}

/// Titles that one machine works on, with one count of encoders for all.
struct Queue<'a> {
    titles: &'a [Title],
    shares: &'a [Vec<bool>],
    shard: Shard,
    here: &'a Here,
    slots: Permits,
    next: AtomicUsize,
    done: Mutex<Vec<Shared>>,
    failed: Mutex<Vec<(String, Error)>>,
}

impl Queue<'_> {
    fn serve(&self, advance: &dyn Fn(), events: &Events, cancel: &Cancel) {
        while let Some(index) = Some(self.next.fetch_add(1, Ordering::SeqCst))
            && let Some(title) = self.titles.get(index)
            && !cancel.is_cancelled()
        {
            let name = title.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mine = Mine { shard: self.shard, scenes: &self.shares[index], slots: Some(&self.slots) };
            match run_title(title, mine, self.here, &quieter(&name, events), cancel) {
                Ok(done) => {
                    events.note(format!("{name}: {} scenes are done", done.scenes));
                    self.done.lock().unwrap_or_else(PoisonError::into_inner).push(done);
                }
                Err(error) if error.is::<Interrupted>() => {}
                Err(error) => {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((name, error));
                }
            }
            advance();
        }
    }
}

/// Events of a title beside another one: the same stages twice would be nobody's.
fn quieter(name: &str, events: &Events) -> Events {
    let (name, events) = (name.to_owned(), events.clone());
    Events::new(move |event| match event {
        Event::Warning { text } => events.warn(format!("{name}: {text}")),
        Event::Note { text } | Event::Detail { text } => events.detail(format!("{name}: {text}")),
        _ => {}
    })
}

/// Writes the scenes files of what is planned in `folder`; `output` is for one title.
pub fn merge(folder: &Path, output: Option<&Path>, map: &[PathMap], events: &Events) -> Result<Vec<Merged>> {
    let titles = Titles::read(folder)?;
    if output.is_some() && titles.0.len() > 1 {
        bail!(
            "{} has {} titles, and each its own scenes file: leave out -o, or merge one of its folders",
            folder.display(),
            titles.0.len()
        );
    }
    let of_title: Vec<Vec<f64>> = titles.0.iter().map(|title| title.plan.work.clone()).collect();
    let before = |index: usize| of_title[..index].iter().map(Vec::len).sum::<usize>();
    let (mut merged, mut failed) = (Vec::new(), Vec::new());
    for (index, title) in titles.0.into_iter().enumerate() {
        let name = title.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let scenes = title.plan.work.len();
        let parts = |of: usize| share_out(&of_title.concat(), of)[before(index)..][..scenes].to_vec();
        match merge_title(title, output, map, (folder, &parts), events) {
            Ok(done) => merged.push(done),
            Err(error) => failed.push((name, error)),
        }
    }
    match failed.pop() {
        None => Ok(merged),
        Some((_, error)) if of_title.len() == 1 => Err(error),
        Some(last) => {
            failed.push(last);
            let told: Vec<String> = failed.iter().map(|(name, error)| format!("{name}: {error:#}")).collect();
            bail!("{}", told.join("\n"))
        }
    }
}
