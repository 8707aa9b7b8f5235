//! The clips, made ready: what both sides open is a script in the bench's folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::bench::Bench;

/// A clip to boost.
#[derive(Debug)]
pub struct Clip {
    /// Its file's name without the ending.
    pub name: String,
    /// A script that opens a file and calls it BT.709, limited range.
    pub script: PathBuf,
}

impl Clip {
    /// Renders `path` if it is a script; wraps the video in a script of its own.
    pub fn prepare(bench: &Bench, path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let name = path.file_stem().context("not a file")?.to_string_lossy().into_owned();
        let video = if path.extension().is_some_and(|ending| ending == "vpy") {
            let rendered = bench.path(&format!("{name}.y4m"));
            bench.python(["render".as_ref(), path.as_os_str(), rendered.as_os_str()])?;
            rendered
        } else {
            path
        };
        let text = |path: &Path| -> Result<String> {
            Ok(format!("{:?}", path.to_str().context("the path is not Unicode")?))
        };
        let script = bench.path(&format!("{name}.vpy"));
        let body = format!(
            "import vapoursynth as vs\n\
             clip = vs.core.bs.VideoSource({}, cachesize=16, cachepath={})\n\
             clip.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0).set_output()\n",
            text(&video)?,
            text(&bench.path(&format!("{name}.index")))?,
        );
        std::fs::write(&script, body)?;
        Ok(Self { name, script })
    }
}
