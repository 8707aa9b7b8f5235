//! What VapourSynth's installation says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use vapoursynth::map::OwnedMap;
use vapoursynth::vsscript::Environment;

use super::runtime;
use super::session::explain;

/// The Python that VapourSynth runs in, and the plugins that it loaded.
#[derive(Debug, Clone, Deserialize)]
pub struct About {
    /// Such as `3.13.1`.
    pub python: String,
    /// Python's own program; empty where it does not know it.
    pub executable: PathBuf,
    /// By namespace.
    pub plugins: BTreeMap<String, PluginFile>,
}

/// A loaded plugin.
#[derive(Debug, Clone, Deserialize)]
pub struct PluginFile {
    /// As it calls itself, `22.0`.
    pub version: String,
    /// Empty for built-in ones.
    pub path: PathBuf,
}

const DESCRIBE: &str = r#"
def _progression_boost_about():
    import json
    import sys
    import vapoursynth as vs
    plugins = {}
    for plugin in vs.core.plugins():
        version = getattr(plugin, "version", None)
        plugins[plugin.namespace] = dict(version=".".join(str(number) for number in version or ()),
                                         path=str(getattr(plugin, "plugin_path", None) or ""))
    return json.dumps(dict(python=sys.version.split()[0], executable=sys.executable or "", plugins=plugins))
_progression_boost_about = _progression_boost_about()
"#;

/// Asks in an environment of its own; `near` as for [`runtime::load`].
pub fn about(near: Option<&Path>) -> Result<About> {
    let api = runtime::load(near)?;
    let environment = Environment::from_script(DESCRIBE)
        .map_err(|e| anyhow!("VapourSynth's Python did not start: {}", explain(&e)))?;
    let mut map = OwnedMap::new(api);
    environment.get_variable("_progression_boost_about", &mut map)?;
    let about = serde_json::from_slice(map.get_data("_progression_boost_about")?);
    // Freeing a core while plugins hold threads is what crashes at exit.
    std::mem::forget(environment);
    about.context("VapourSynth describes itself in an unknown way")
}
