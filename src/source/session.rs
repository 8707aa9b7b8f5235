//! An in-process VapourSynth environment: evaluates scripts, opens videos,
//! calls plugins.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use vapoursynth::api::API;
use vapoursynth::core::CoreRef;
use vapoursynth::map::{Map, OwnedMap};
use vapoursynth::node::Node;
use vapoursynth::vsscript::{Environment, EvalFlags};

use super::clip::Clip;
use super::runtime;
use crate::settings::SourceProvider;
use crate::support::machine;

/// How to open an input.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// `key=value` pairs set as string variables before the script runs.
    pub variables: Vec<(String, String)>,
    /// Which of the script's outputs to take.
    pub output_index: i32,
    pub provider: SourceProvider,
    /// Plugin files loaded besides the auto-loaded ones.
    pub plugins: Vec<PathBuf>,
    /// Limit of VapourSynth's own frame cache in bytes.
    pub cache_limit: Option<u64>,
    /// Folder for the index files of source plugins; beside the input otherwise.
    pub index_folder: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            output_index: 0,
            provider: SourceProvider::Auto,
            plugins: Vec::new(),
            cache_limit: None,
            index_folder: None,
        }
    }
}

/// A VapourSynth core with its script environment; copies share it.
///
/// It lives as long as the process. Freeing a core while plugins hold threads
/// is what crashes at exit, and a run opens one or two, so nothing is gained.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    environment: &'static Environment,
    api: API,
}

/// An argument of a plugin function.
#[derive(Debug, Clone)]
pub enum Arg<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f64),
    Text(&'a str),
    Node(&'a Node<'static>),
    Nodes(&'a [Node<'static>]),
    Function(&'a vapoursynth::function::Function<'static>),
}

/// What a script set as one output; asked in Python, because the bindings
/// assume every output to be a video of constant format.
#[derive(Debug, Deserialize)]
struct Output {
    index: i32,
    kind: String,
    alpha: bool,
    format: Option<String>,
    width: usize,
    height: usize,
    frames: usize,
}

const DESCRIBE_OUTPUTS: &str = r#"
def _progression_boost_describe():
    import json
    import vapoursynth as vs
    found = []
    for index, output in vs.get_outputs().items():
        clip = getattr(output, "clip", output)
        if isinstance(clip, vs.VideoNode):
            known = clip.format is not None and clip.format.id != 0
            found.append(dict(index=index, kind="video", alpha=getattr(output, "alpha", None) is not None,
                              format=clip.format.name if known else None,
                              width=clip.width, height=clip.height, frames=clip.num_frames))
        else:
            found.append(dict(index=index, kind="audio", alpha=False, format=None, width=0, height=0, frames=0))
    return json.dumps(found)
_progression_boost_outputs = _progression_boost_describe()
"#;

impl Session {
    /// An environment without any script, for its core and plugins.
    pub fn empty(near: Option<&Path>, options: &OpenOptions) -> Result<Self> {
        let api = runtime::load(near)?;
        let environment = Environment::from_script("import vapoursynth\n")
            .map_err(|e| anyhow!("VapourSynth's Python did not start: {}", explain(&e)))?;
        let session = Self { environment: Box::leak(Box::new(environment)), api };
        session.prepare(options)?;
        Ok(session)
    }

    /// Evaluates `path` with its own folder as the working directory and
    /// returns its output `options.output_index`.
    pub fn open_script(path: &Path, options: &OpenOptions) -> Result<Clip> {
        let api = runtime::load(path.parent())?;
        let mut environment = Environment::new().context("VapourSynth made no script environment")?;
        if !options.variables.is_empty() {
            let mut map = OwnedMap::new(api);
            for (key, value) in &options.variables {
                map.set_data(key, value.as_bytes())
                    .map_err(|_| anyhow!("--vpy-arg {key}={value}: `{key}` is not a Python identifier"))?;
            }
            environment.set_variables(&map).context("VapourSynth refused the --vpy-arg variables")?;
        }
        let absolute = std::path::absolute(path)?;
        environment
            .eval_file(&absolute, EvalFlags::SetWorkingDir)
            .map_err(|e| anyhow!("{} failed:\n{}", path.display(), explain(&e)))?;
        environment
            .eval_script(DESCRIBE_OUTPUTS)
            .map_err(|e| anyhow!("{}: its outputs could not be read: {}", path.display(), explain(&e)))?;
        let session = Self { environment: Box::leak(Box::new(environment)), api };
        session.prepare(options)?;
        session.output(options.output_index).with_context(|| path.display().to_string())
    }

    /// Opens a video file with a source plugin.
    pub fn open_video(path: &Path, options: &OpenOptions) -> Result<Clip> {
        let session = Self::empty(path.parent(), options)?;
        let source = std::path::absolute(path)?;
        let source = utf8(&source)?;
        let index = options.index_folder.as_deref().map(utf8).transpose()?;
        let mut tried = Vec::new();
        for provider in providers(options.provider) {
            if !session.has_plugin(provider.namespace) {
                tried.push(format!("{} is not installed", provider.package));
                continue;
            }
            let cache = index.map(|folder| provider.cache_argument(folder, source));
            let mut args = vec![("source", Arg::Text(source))];
            if let Some((key, value)) = &cache {
                args.push((key, Arg::Text(value)));
            }
            let opened = session
                .invoke(provider.namespace, provider.function, &args)
                .and_then(|node| Clip::new(session, node))
                .and_then(|clip| provider.bounded(clip, args));
            match opened {
                Ok(clip) => return Ok(clip),
                Err(error) => tried.push(format!("{error:#}")),
            }
        }
        bail!(
            "{} could not be opened: {}. `pip install vapoursynth-bestsource` in VapourSynth's \
             environment brings a plugin that opens most files",
            path.display(),
            tried.join("; ")
        )
    }

    /// Limits the frames that VapourSynth keeps to `bytes`.
    pub fn limit_cache(self, bytes: u64) -> Result<()> {
        self.core()?.set_max_cache_size(bytes as i64);
        Ok(())
    }

    fn prepare(self, options: &OpenOptions) -> Result<()> {
        if let Some(limit) = options.cache_limit {
            self.limit_cache(limit)?;
        }
        for plugin in &options.plugins {
            self.load_plugin(plugin)?;
        }
        Ok(())
    }

    fn output(self, wanted: i32) -> Result<Clip> {
        let mut map = OwnedMap::new(self.api);
        self.environment.get_variable("_progression_boost_outputs", &mut map)?;
        let outputs: Vec<Output> = serde_json::from_slice(map.get_data("_progression_boost_outputs")?)?;
        let Some(output) = outputs.iter().find(|o| o.index == wanted) else {
            if outputs.is_empty() {
                bail!("the script sets no output; end it with `clip.set_output()`");
            }
            let known: Vec<String> = outputs.iter().map(|o| o.index.to_string()).collect();
            bail!(
                "the script has no output {wanted}, only {}; choose one with --output-index",
                known.join(", ")
            );
        };
        let what = format!("output {wanted}");
        if output.kind != "video" {
            bail!("{what} is audio; choose a video output with --output-index");
        }
        if output.alpha {
            bail!("{what} has an alpha clip, which AV1 cannot carry; call `set_output()` without `alpha`");
        }
        if output.format.is_none() || output.width == 0 || output.height == 0 {
            bail!(
                "{what} has a variable format or size; make it constant, for instance with \
                 `core.resize.Bicubic(clip, 1920, 1080, format=vs.YUV420P10)`"
            );
        }
        if output.frames == 0 {
            bail!("{what} has no frames");
        }
        let (node, _) = self.environment.get_output(wanted)?;
        Clip::new(self, node)
    }

    /// VapourSynth's core, for plugins and functions.
    pub fn core(self) -> Result<CoreRef<'static>> {
        Ok(self.environment.get_core()?)
    }

    pub fn api(self) -> API {
        self.api
    }

    /// The release number, 81 for R81.
    pub fn release(self) -> Result<i32> {
        Ok(self.core()?.info().core_version)
    }

    pub fn has_plugin(self, namespace: &str) -> bool {
        self.plugin_path(namespace).is_some()
    }

    /// Whether `namespace.function` exists.
    pub fn has_function(self, namespace: &str, function: &str) -> bool {
        self.core()
            .ok()
            .and_then(|core| core.get_plugin_by_namespace(namespace).ok().flatten())
            .and_then(|plugin| plugin.get_plugin_function_by_name(function).ok().flatten())
            .is_some()
    }

    /// The file a plugin was loaded from; empty for built-in ones, `None` when not loaded.
    pub fn plugin_path(self, namespace: &str) -> Option<PathBuf> {
        let plugin = self.core().ok()?.get_plugin_by_namespace(namespace).ok()??;
        Some(plugin.path().map_or_else(PathBuf::new, |p| PathBuf::from(p.to_string_lossy().as_ref())))
    }

    /// Loads a plugin that is not in the auto-load folder.
    pub fn load_plugin(self, path: &Path) -> Result<()> {
        let absolute = std::path::absolute(path)?;
        let text = utf8(&absolute)?;
        self.call("std", "LoadPlugin", &[("path", Arg::Text(text))])
            .map(drop)
            .with_context(|| format!("plugin {} does not load", path.display()))
    }

    /// Calls `namespace.function(args)` and returns the clip it makes.
    pub fn invoke(self, namespace: &str, function: &str, args: &[(&str, Arg<'_>)]) -> Result<Node<'static>> {
        let result = self.call(namespace, function, args)?;
        result.get_video_node("clip").with_context(|| format!("{namespace}.{function} returned no clip"))
    }

    /// Calls `namespace.function(args)` and returns everything it answers.
    pub fn call(
        self,
        namespace: &str,
        function: &str,
        args: &[(&str, Arg<'_>)],
    ) -> Result<OwnedMap<'static>> {
        let plugin = self
            .core()?
            .get_plugin_by_namespace(namespace)?
            .with_context(|| format!("VapourSynth plugin `{namespace}` is not installed"))?;
        let mut map = OwnedMap::new(self.api);
        for (key, value) in args {
            set(&mut map, key, value)
                .with_context(|| format!("argument `{key}` of {namespace}.{function}"))?;
        }
        let result = plugin.invoke(function, &map)?;
        if let Some(error) = result.error() {
            bail!("{namespace}.{function}: {error}");
        }
        Ok(result)
    }
}

fn set(map: &mut Map<'static>, key: &str, value: &Arg<'_>) -> Result<()> {
    match value {
        Arg::Int(v) => map.set_int(key, *v)?,
        Arg::Ints(v) => map.set_int_array(key, v)?,
        Arg::Float(v) => map.set_float(key, *v)?,
        Arg::Text(v) => map.set_data(key, v.as_bytes())?,
        Arg::Node(v) => map.set_node(key, v)?,
        Arg::Nodes(v) => {
            for node in *v {
                map.append_node(key, node)?;
            }
        }
        Arg::Function(v) => map.set_function(key, v)?,
    }
    Ok(())
}

struct SourcePlugin {
    provider: SourceProvider,
    namespace: &'static str,
    function: &'static str,
    package: &'static str,
    cache: CacheArgument,
    /// The argument that bounds the decoded frames it keeps, in MiB.
    frame_cache: Option<&'static str>,
}

enum CacheArgument {
    /// The argument names a folder.
    Folder(&'static str),
    /// The argument names the index file itself, with this extension.
    File(&'static str, &'static str),
}

const SOURCE_PLUGINS: [SourcePlugin; 3] = [
    SourcePlugin {
        provider: SourceProvider::Bestsource,
        namespace: "bs",
        function: "VideoSource",
        package: "vapoursynth-bestsource",
        cache: CacheArgument::Folder("cachepath"),
        frame_cache: Some("cachesize"),
    },
    SourcePlugin {
        provider: SourceProvider::Lsmash,
        namespace: "lsmas",
        function: "LWLibavSource",
        package: "vapoursynth-lsmas",
        cache: CacheArgument::File("cachefile", "lwi"),
        frame_cache: None,
    },
    SourcePlugin {
        provider: SourceProvider::Ffms2,
        namespace: "ffms2",
        function: "Source",
        package: "vapoursynth-ffms2",
        cache: CacheArgument::File("cachefile", "ffindex"),
        frame_cache: None,
    },
];

/// Decoded frames a logical CPU that a source plugin may keep: what readers at
/// several places of the clip ask for out of order, and no more.
const KEPT_FRAMES: usize = 12;

impl SourcePlugin {
    /// The clip with a bound on the frames that the plugin keeps, where it has
    /// one: BestSource's is 1 GiB unless told otherwise, for every decoder that
    /// it runs. How large frames are is known only once the clip is open.
    fn bounded<'a>(&self, clip: Clip, mut args: Vec<(&'a str, Arg<'a>)>) -> Result<Clip> {
        let Some(argument) = self.frame_cache else { return Ok(clip) };
        let mebibytes = (KEPT_FRAMES * machine::cpus() * clip.info().frame_bytes()).div_ceil(1 << 20);
        args.push((argument, Arg::Int(mebibytes.min(1024) as i64)));
        let session = clip.session();
        match session.invoke(self.namespace, self.function, &args) {
            Ok(node) => Clip::new(session, node),
            // A version that does not know the argument.
            Err(_) => Ok(clip),
        }
    }

    fn cache_argument(&self, folder: &str, source: &str) -> (&'static str, String) {
        let name = Path::new(source).file_name().and_then(OsStr::to_str).unwrap_or("input");
        match self.cache {
            CacheArgument::Folder(key) => (key, folder.to_owned()),
            CacheArgument::File(key, extension) => {
                let file = Path::new(folder).join(format!("{name}.{extension}"));
                (key, file.to_string_lossy().into_owned())
            }
        }
    }
}

fn providers(wanted: SourceProvider) -> impl Iterator<Item = &'static SourcePlugin> {
    SOURCE_PLUGINS.iter().filter(move |p| wanted == SourceProvider::Auto || p.provider == wanted)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{}: VapourSynth takes only paths that are valid Unicode", path.display()))
}

/// The Python error of a script, without the frames of VapourSynth's own evaluator.
fn explain(error: &vapoursynth::vsscript::Error) -> String {
    let vapoursynth::vsscript::Error::VSScript(error) = error else { return error.to_string() };
    let text = error.to_string();
    text.lines()
        .filter(|line| !(line.contains("vapoursynth.pyx") && line.trim_start().starts_with("File")))
        .collect::<Vec<_>>()
        .join("\n")
        .trim_end()
        .to_owned()
}
