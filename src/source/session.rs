//! An in-process VapourSynth environment: its core and plugins.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use vapoursynth::api::API;
use vapoursynth::core::CoreRef;
use vapoursynth::map::{Map, OwnedMap};
use vapoursynth::node::Node;
use vapoursynth::vsscript::Environment;

use super::room::Room;
use super::runtime;
use crate::settings::SourceProvider;

/// How to open an input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenOptions {
    /// `key=value` pairs set as string variables before the script runs.
    pub variables: Vec<(String, String)>,
    /// Which of the script's outputs to take.
    pub output_index: i32,
    pub provider: SourceProvider,
    /// Plugin files loaded besides the auto-loaded ones.
    pub plugins: Vec<PathBuf>,
    /// Limit of VapourSynth's own frame cache in bytes, unless a script sets one.
    #[serde(skip)]
    pub cache_limit: Option<u64>,
    /// Folder for the index files of source plugins; beside the input otherwise.
    #[serde(skip)]
    pub index_folder: Option<PathBuf>,
    /// What this machine calls folders that a script names, from and to.
    #[serde(skip)]
    pub path_map: Vec<(String, String)>,
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
            path_map: Vec::new(),
        }
    }
}

impl OpenOptions {
    /// A script as this machine has to read it: folders that it names, under their names here.
    pub fn here(&self, script: &str) -> String {
        let mut text = script.to_owned();
        for (from, to) in &self.path_map {
            text = replaced(&text, from, to);
        }
        text
    }
}

/// `text` with every folder `from` as `to`: not where it is a part of a longer name.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let begins = !before.chars().next_back().is_some_and(|c| in_name(c) || c == '/');
        let ends = from.ends_with('/') || !after.chars().next().is_some_and(in_name);
        result.push_str(before);
        result.push_str(if begins && ends { to } else { from });
        rest = after;
    }
    result.push_str(rest);
    result
}

/// A VapourSynth core with its script environment; copies share it.
///
/// It lives as long as the process. Freeing a core while plugins hold threads
/// is what crashes at exit, and a run opens one or two, so nothing is gained.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    environment: &'static Environment,
    api: API,
    core: CoreRef<'static>,
    room: &'static Room,
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

impl Session {
    /// An environment without any script, for its core and plugins.
    pub fn empty(near: Option<&Path>, options: &OpenOptions) -> Result<Self> {
        let api = runtime::load(near)?;
        let environment = Environment::from_script("import vapoursynth\n")
            .map_err(|e| anyhow!("VapourSynth's Python did not start: {}", explain(&e)))?;
        Self::of(environment, api, None, options)
    }

    /// The session of an environment, with the plugins that `options` load. `usual` is
    /// VapourSynth's own limit for frames, as it was before a script ran.
    pub(super) fn of(
        environment: Environment,
        api: API,
        usual: Option<u64>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let environment: &'static Environment = Box::leak(Box::new(environment));
        let core = environment.get_core()?;
        let own = usual.is_some_and(|usual| core.info().max_framebuffer_size != usual);
        let session = Self { environment, api, core, room: Box::leak(Box::new(Room::new(core, own))) };
        session.prepare(options)?;
        Ok(session)
    }

    pub(super) fn environment(self) -> &'static Environment {
        self.environment
    }

    pub(super) fn room(self) -> &'static Room {
        self.room
    }

    /// VapourSynth's threads, as many frames as it can have in work at once.
    pub fn threads(self) -> usize {
        self.room.threads()
    }

    fn prepare(self, options: &OpenOptions) -> Result<()> {
        if let Some(limit) = options.cache_limit {
            self.room.limit(limit, limit);
        }
        for plugin in &options.plugins {
            self.load_plugin(plugin)?;
        }
        Ok(())
    }

    /// VapourSynth's core, for plugins and functions.
    pub fn core(self) -> Result<CoreRef<'static>> {
        Ok(self.core)
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
        let loaded = self.call("std", "LoadPlugin", &[("path", Arg::Text(text))]);
        match loaded {
            // It is in the auto-load folder, or the script has loaded it.
            Err(error) if error.to_string().contains("already loaded") => Ok(()),
            loaded => loaded.map(drop).with_context(|| format!("plugin {} does not load", path.display())),
        }
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

pub(super) fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{}: VapourSynth takes only paths that are valid Unicode", path.display()))
}

/// The Python error of a script, without the frames of VapourSynth's own evaluator.
pub(super) fn explain(error: &vapoursynth::vsscript::Error) -> String {
    let vapoursynth::vsscript::Error::VSScript(error) = error else { return error.to_string() };
    let text = error.to_string();
    text.lines()
        .filter(|line| !(line.contains("vapoursynth.pyx") && line.trim_start().starts_with("File")))
        .collect::<Vec<_>>()
        .join("\n")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_a_script_names_are_replaced_and_longer_names_are_not() {
        let options = OpenOptions {
            path_map: vec![("/mnt/nas".into(), "/home/u/nas".into())],
            ..OpenOptions::default()
        };
        let text = "a = src('/mnt/nas/a.mkv'); b = src(\"/mnt/nas2/b.mkv\"); c = src('/old/mnt/nas/c')\n\
                    d = join('/mnt/nas', 'd') # /mnt/nas";
        let here = "a = src('/home/u/nas/a.mkv'); b = src(\"/mnt/nas2/b.mkv\"); c = src('/old/mnt/nas/c')\n\
                    d = join('/home/u/nas', 'd') # /home/u/nas";
        assert_eq!(options.here(text), here);
        assert_eq!(OpenOptions::default().here(text), text);
    }
}
