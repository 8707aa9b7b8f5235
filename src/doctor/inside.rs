//! The child's part: VapourSynth and its plugins, each tried by a call. What is
//! found is told line by line, before the next thing is tried, so that a crash
//! loses one check only.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Check, State, Verdict, preset};
use crate::analysis::{self, Plugin};
use crate::character::models;
use crate::character::{Options, Segmenter, find_trtexec, runtime as trt_runtime};
use crate::encoder::y4m;
use crate::score;
use crate::settings::{self, CharacterBackend, Crop, Metric, MetricBackend, MetricSettings, SourceProvider};
use crate::source::{
    self, About, Arg, Clip, OpenOptions, Picture, PluginFile, ResolvedColor, Session, format, runtime,
};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::install;

/// Side of the pictures that are tried, in pixels.
const SIDE: usize = 64;
/// Said of a plugin that runs networks where there is none.
const ONLY_LOADED: &str = "loaded; without a network nothing more can be tried";
/// Frames of the clips that are tried.
const FRAMES: usize = 3;

/// A line from the child to its parent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Whatever ends the child now was this item's doing.
    Trying(String),
    Check(Check),
    /// VapourSynth's own Python.
    Python(PathBuf),
    Preset(Verdict),
}

/// What the child is to do.
#[derive(Debug, Default)]
pub struct Task {
    pub preset: Option<String>,
    /// A folder to look for VapourSynth near.
    pub near: Option<PathBuf>,
    /// Plugins that are not auto-loaded.
    pub plugins: Vec<PathBuf>,
    /// Items that ended an earlier child.
    pub skip: Vec<String>,
    /// Beginnings of the names of wanted items; empty: all.
    pub only: Vec<String>,
}

/// Tries everything and tells `out`.
///
/// # Errors
/// When `out` takes no more.
pub fn run(task: &Task, out: &mut dyn Write, cancel: &Cancel) -> Result<()> {
    let mut teller = Teller { task, out };
    let Some((about, session)) = teller.vapoursynth()? else {
        return Ok(());
    };
    teller.tell(&Line::Python(about.executable.clone()))?;
    let tried = Tried { about, session, cancel };
    for (item, attempt) in PLUGINS {
        teller.check(item, || tried.plugin(item, attempt))?;
    }
    teller.check("model", || model(session))?;
    if let Some(name) = &task.preset {
        teller.tell(&Line::Trying("preset".to_owned()))?;
        let verdict = preset::verdict(name, session, cancel);
        teller.tell(&Line::Preset(verdict))?;
    }
    Ok(())
}

struct Teller<'a> {
    task: &'a Task,
    out: &'a mut dyn Write,
}

impl Teller<'_> {
    fn tell(&mut self, line: &Line) -> Result<()> {
        // Plugins may have left a line unfinished on standard output.
        writeln!(self.out, "\n{}", serde_json::to_string(line)?)?;
        Ok(self.out.flush()?)
    }

    fn wants(&self, item: &str) -> bool {
        let Task { skip, only, .. } = self.task;
        !skip.iter().any(|name| name == item)
            && (only.is_empty() || only.iter().any(|only| item.starts_with(only.as_str())))
    }

    /// Tries an item and tells of it.
    fn check(&mut self, item: &str, attempt: impl FnOnce() -> Check) -> Result<()> {
        if !self.wants(item) {
            return Ok(());
        }
        self.tell(&Line::Trying(item.to_owned()))?;
        let check = attempt();
        self.tell(&Line::Check(check))
    }

    /// `None` when VapourSynth does not start.
    fn vapoursynth(&mut self) -> Result<Option<(About, Session)>> {
        self.tell(&Line::Trying("vapoursynth".to_owned()))?;
        let near = self.task.near.as_deref();
        let located = runtime::locate(near);
        let opened = source::about(near).and_then(|about| {
            let options = OpenOptions { plugins: self.task.plugins.clone(), ..OpenOptions::default() };
            let session = Session::empty(near, &options)?;
            Ok((about, session, session.release()?))
        });
        match opened {
            Ok((about, session, release)) => {
                let check = Check::of("vapoursynth", State::Works, "")
                    .version(format!("R{release}"))
                    .path(located.unwrap_or_default());
                self.tell(&Line::Check(check))?;
                let python = Check::of("python", State::Works, "").version(&about.python);
                self.tell(&Line::Check(python.path(&about.executable)))?;
                Ok(Some((about, session)))
            }
            Err(error) => {
                // The loader's own search is what is left when nothing was found.
                let found = located.ok().filter(|path| path.is_file());
                let state = if found.is_some() { State::Broken } else { State::Missing };
                // What to do is told once, for this system.
                let error = format!("{error:#}").replace(install::vapoursynth(), "");
                let error =
                    error.trim_end_matches("; ").trim_end_matches("; otherwise ").trim_end_matches(" or ");
                let check = Check::of("vapoursynth", state, error);
                self.tell(&Line::Check(check.path(found.unwrap_or_default())))?;
                Ok(None)
            }
        }
    }
}

/// What is tried of a plugin.
#[derive(Clone, Copy)]
enum Attempt {
    Source(SourceProvider),
    Cuts(Plugin, &'static str),
    Metric(MetricBackend, &'static [Metric]),
    Network(CharacterBackend),
}

const PLUGINS: [(&str, Attempt); 12] = [
    ("plugin.bs", Attempt::Source(SourceProvider::Bestsource)),
    ("plugin.lsmas", Attempt::Source(SourceProvider::Lsmash)),
    ("plugin.ffms2", Attempt::Source(SourceProvider::Ffms2)),
    ("plugin.wwxd", Attempt::Cuts(Plugin::Wwxd, "WWXD")),
    ("plugin.scxvid", Attempt::Cuts(Plugin::Scxvid, "Scxvid")),
    ("plugin.vszip", Attempt::Metric(MetricBackend::Vszip, &[Metric::Ssimu2])),
    ("plugin.vship", Attempt::Metric(MetricBackend::Vship, &[Metric::Butteraugli3Norm, Metric::Ssimu2])),
    ("plugin.trt", Attempt::Network(CharacterBackend::Trt)),
    ("plugin.ort-cuda", Attempt::Network(CharacterBackend::OrtCuda)),
    ("plugin.ort", Attempt::Network(CharacterBackend::Ort)),
    ("plugin.ov", Attempt::Network(CharacterBackend::Ov)),
    ("plugin.ncnn", Attempt::Network(CharacterBackend::Ncnn)),
];

struct Tried<'a> {
    about: About,
    session: Session,
    cancel: &'a Cancel,
}

impl Tried<'_> {
    fn plugin(&self, item: &str, attempt: Attempt) -> Check {
        let namespace = item.trim_start_matches("plugin.").trim_end_matches("-cuda");
        let named = self.session.plugin_path(namespace);
        // One that --load-plugin named is not among those of a fresh core.
        let named = named.map(|path| PluginFile { version: String::new(), path });
        let Some(file) = self.about.plugins.get(namespace).cloned().or(named) else {
            let missing = match attempt {
                Attempt::Cuts(plugin, _) => analysis::unavailable(plugin, self.session),
                _ => None,
            };
            return Check::of(item, State::Missing, missing.unwrap_or_default());
        };
        let outcome = match attempt {
            Attempt::Source(provider) => opens(provider),
            Attempt::Cuts(_, function) => self.marks(namespace, function),
            Attempt::Metric(backend, metrics) => self.measures(backend, metrics),
            Attempt::Network(kind) => self.segments(namespace, kind),
        };
        let (state, detail) = match outcome {
            Ok(detail) if detail == ONLY_LOADED => (State::Notice, detail),
            Ok(detail) => (State::Works, detail),
            Err(error) => (State::Broken, format!("{error:#}")),
        };
        Check::of(item, state, detail).version(file.version).path(file.path)
    }

    /// Renders frames of the detector over a blank clip.
    fn marks(&self, namespace: &str, function: &str) -> Result<String> {
        let blank = blank(self.session, SIDE)?;
        let marked = self.session.invoke(namespace, function, &[("clip", Arg::Node(blank.node()))])?;
        for number in 0..FRAMES {
            marked.get_frame(number).map_err(|error| anyhow::anyhow!("{namespace}.{function}: {error}"))?;
        }
        Ok("looked at a clip".to_owned())
    }

    fn measures(&self, backend: MetricBackend, metrics: &[Metric]) -> Result<String> {
        let usual = settings::resolve(&settings::Request::default())?.base.metric;
        let bt709 =
            ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
        let layout = score::Format { size: (SIDE, SIDE), bits: 10, color: bt709, fps: Some((24, 1)) };
        let mut found = String::new();
        for &metric in metrics {
            let wanted = MetricSettings { metric, backend, crop: Crop::Sides([0; 4]), ..usual.clone() };
            let opened = score::open(&wanted, layout, self.session, 0, &Events::silent())?;
            let text = opened.describe();
            found = String::from(text.split(", plugin ").next().unwrap_or(&text));
        }
        Ok(format!("measured a picture: {found}"))
    }

    /// Runs the network that Character Boost would take on a blank picture.
    fn segments(&self, namespace: &str, kind: CharacterBackend) -> Result<String> {
        if !self.session.has_function(namespace, "Model") {
            bail!("its function Model is missing");
        }
        if kind == CharacterBackend::Trt {
            // An engine for a blank picture would take minutes to build.
            let (gpu, version) = trt_runtime(self.session, 0)?;
            let trtexec = find_trtexec(None, self.session.plugin_path(namespace).as_deref())?;
            return Ok(format!("TensorRT {version} on {gpu}, {}", trtexec.display()));
        }
        let version = self.session.call(namespace, "Version", &[]);
        version.context("it does not tell its version")?;
        let Ok(network) = models::find(None, &models::places(Some(self.session))) else {
            return Ok(ONLY_LOADED.to_owned());
        };
        let mut wanted = settings::resolve(&settings::Request::default())?.base.character;
        (wanted.enable, wanted.backend, wanted.model) = (true, kind, Some(network));
        let clip = blank(self.session, SIDE)?;
        Segmenter::open(&wanted, &clip, Options::default(), &Events::silent(), self.cancel)?;
        Ok("segmented a picture".to_owned())
    }
}

/// Opens a video that we write, and decodes its first frame.
fn opens(provider: SourceProvider) -> Result<String> {
    let folder = tempfile::Builder::new().prefix("progression-boost-").tempdir()?;
    let video = folder.path().join("blank.y4m");
    let frames: Vec<Picture> = (0..FRAMES).map(|_| Picture::filled(SIDE, SIDE, 8, 16, 128)).collect();
    let layout = y4m::Format { width: SIDE, height: SIDE, bits: 8, fps: (24, 1) };
    let mut file = std::fs::File::create(&video)?;
    y4m::write(&mut file, layout, frames.iter())?;
    let options =
        OpenOptions { provider, index_folder: Some(folder.path().to_owned()), ..OpenOptions::default() };
    let clip = source::open(&video, &options)?;
    if clip.info().frames != FRAMES {
        bail!("it finds {} frames in a video of {FRAMES}", clip.info().frames);
    }
    Ok("opened a video".to_owned())
}

/// A clip of VapourSynth's own, 4:2:0 of 8 bits.
pub(super) fn blank(session: Session, side: usize) -> Result<Clip> {
    let node = session.invoke(
        "std",
        "BlankClip",
        &[
            ("format", Arg::Int(format::yuv420(8))),
            ("width", Arg::Int(side as i64)),
            ("height", Arg::Int(side as i64)),
            ("length", Arg::Int(FRAMES as i64)),
            ("fpsnum", Arg::Int(24)),
            ("fpsden", Arg::Int(1)),
        ],
    )?;
    Clip::new(session, node)
}

fn model(session: Session) -> Check {
    let places = models::places(Some(session));
    let Ok(path) = models::find(None, &places) else {
        let folders: Vec<String> = places.iter().map(|place| shown(&place.path)).collect();
        return Check::of("model", State::Missing, format!("looked for in {}", folders.join(", ")));
    };
    match crate::character::Network::open(&path) {
        Ok(network) => Check::of("model", State::Works, network.to_string()).path(path),
        Err(error) => Check::of("model", State::Broken, format!("{error:#}")).path(path),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
