//! From a path to a clip: scripts are evaluated, videos opened with a source plugin.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Error, Result, anyhow, bail};
use serde::Deserialize;
use vapoursynth::map::OwnedMap;
use vapoursynth::vsscript::{Environment, EvalFlags};

use super::clip::Clip;
use super::runtime;
use super::session::{Arg, OpenOptions, Session, explain, utf8};
use crate::settings::SourceProvider;
use crate::support::lacks::Lacks;
use crate::support::machine;

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

/// Held while a script is evaluated.
static EVALUATING: Mutex<()> = Mutex::new(());

/// Evaluates `path` with its own folder as the working directory and
/// returns its output `options.output_index`.
pub fn script(path: &Path, options: &OpenOptions) -> Result<Clip> {
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
    let usual = environment.get_core().context("VapourSynth has no core")?.info().max_framebuffer_size;
    let absolute = std::path::absolute(path)?;
    // The working directory is that of the process.
    let _alone = EVALUATING.lock().unwrap_or_else(PoisonError::into_inner);
    let evaluated = if options.path_map.is_empty() {
        environment.eval_file(&absolute, EvalFlags::SetWorkingDir)
    } else {
        environment.eval_script(&elsewhere(&absolute, options)?)
    };
    evaluated.map_err(|e| anyhow!("{} failed:\n{}", path.display(), explain(&e)))?;
    environment
        .eval_script(DESCRIBE_OUTPUTS)
        .map_err(|e| anyhow!("{}: its outputs could not be read: {}", path.display(), explain(&e)))?;
    let session = Session::of(environment, api, Some(usual), options)?;
    let clip = output(session, options.output_index).with_context(|| path.display().to_string())?;
    Ok(clip.with_places(places_of(&std::fs::read_to_string(&absolute).unwrap_or_default())))
}

/// Places at which the sources that a script names read on: the fewest of any.
fn places_of(script: &str) -> usize {
    let named = SOURCE_PLUGINS.iter().filter(|plugin| script.contains(&format!(".{}.", plugin.namespace)));
    named.map(|plugin| plugin.places).min().unwrap_or(SOURCE_PLUGINS[0].places)
}

/// A script that runs the one at `path` in its folder as [`OpenOptions::here`] reads it.
fn elsewhere(path: &Path, options: &OpenOptions) -> Result<String> {
    let context = || format!("cannot read {}", path.display());
    let text = options.here(&crate::support::text::read(path).with_context(context)?);
    let folder = path.parent().unwrap_or(Path::new("."));
    // JSON's strings are Python's.
    let quoted = |text: &str| serde_json::to_string(text);
    let (text, file, folder) = (quoted(&text)?, quoted(utf8(path)?)?, quoted(utf8(folder)?)?);
    Ok(format!(
        "import os as _progression_boost_os\n\
         _progression_boost_folder = _progression_boost_os.getcwd()\n\
         _progression_boost_os.chdir({folder})\n\
         __file__ = {file}\n\
         try:\n    exec(compile({text}, __file__, 'exec'), globals())\n\
         finally:\n    _progression_boost_os.chdir(_progression_boost_folder)\n"
    ))
}

/// Opens a video file with a source plugin.
pub fn video(path: &Path, options: &OpenOptions) -> Result<Clip> {
    let session = Session::empty(path.parent(), options)?;
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
            .and_then(|clip| provider.bounded(clip, args))
            // A plugin that opens a file and cannot decode it gives way to the next.
            .and_then(|clip| clip.color().map(drop).map(|()| clip));
        match opened {
            Ok(clip) => return Ok(clip.with_places(provider.places)),
            Err(error) => tried.push(format!("{error:#}")),
        }
    }
    let text = format!(
        "{} could not be opened: {}. `pip install vapoursynth-bestsource` in VapourSynth's \
         environment brings a plugin that opens most files",
        path.display(),
        tried.join("; ")
    );
    Err(Error::new(Lacks { item: "source", text }))
}

fn output(session: Session, wanted: i32) -> Result<Clip> {
    let mut map = OwnedMap::new(session.api());
    session.environment().get_variable("_progression_boost_outputs", &mut map)?;
    let outputs: Vec<Output> = serde_json::from_slice(map.get_data("_progression_boost_outputs")?)?;
    let Some(output) = outputs.iter().find(|o| o.index == wanted) else {
        if outputs.is_empty() {
            bail!("the script sets no output; end it with `clip.set_output()`");
        }
        let known: Vec<String> = outputs.iter().map(|o| o.index.to_string()).collect();
        bail!("the script has no output {wanted}, only {}; choose one with --output-index", known.join(", "));
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
    let (node, _) = session.environment().get_output(wanted)?;
    Clip::new(session, node)
}

struct SourcePlugin {
    provider: SourceProvider,
    namespace: &'static str,
    function: &'static str,
    package: &'static str,
    cache: CacheArgument,
    /// The argument that bounds the decoded frames it keeps, in MiB.
    frame_cache: Option<&'static str>,
    /// Its decoders: places of a video at which it reads on without a seek.
    places: usize,
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
        places: 4,
    },
    SourcePlugin {
        provider: SourceProvider::Lsmash,
        namespace: "lsmas",
        function: "LWLibavSource",
        package: "vapoursynth-lsmas",
        cache: CacheArgument::File("cachefile", "lwi"),
        frame_cache: None,
        places: 1,
    },
    SourcePlugin {
        provider: SourceProvider::Ffms2,
        namespace: "ffms2",
        function: "Source",
        package: "vapoursynth-ffms2",
        cache: CacheArgument::File("cachefile", "ffindex"),
        frame_cache: None,
        places: 1,
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
