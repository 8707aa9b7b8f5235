//! TensorRT engines: built once by `trtexec`, kept under a name that changes
//! with everything an engine depends on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::onnx::Network;
use crate::source::{Arg, Session};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::process;

/// A build takes minutes; one that takes this long hangs.
const BUILD_LIMIT: Duration = Duration::from_hours(1);

/// A smaller file is no engine.
const SMALLEST_ENGINE: u64 = 1024;

/// The first TensorRT whose trtexec has no `--fp16`, as `getInferLibVersion` counts.
const TYPED_ONLY: u64 = 110_000;

/// What an engine is built from and for.
#[derive(Debug, Clone)]
pub struct Engine<'a> {
    pub model: &'a Path,
    pub network: &'a Network,
    /// Pixels of the pictures; the engine takes no other size.
    pub width: usize,
    pub height: usize,
    pub device: u32,
    /// As the driver names it.
    pub gpu: String,
    /// `getInferLibVersion`: 8601 is 8.6.1, 100805 is 10.8.5.
    pub version: u64,
}

/// Asks the plugin about the GPU and TensorRT.
pub fn runtime(session: Session, device: u32) -> Result<(String, u64)> {
    let gpu = session.call("trt", "DeviceProperties", &[("device_id", Arg::Int(i64::from(device)))])?;
    let gpu = String::from_utf8_lossy(gpu.get_data("name")?).into_owned();
    let version = session.call("trt", "Version", &[])?;
    let version = String::from_utf8_lossy(version.get_data("tensorrt_version")?).into_owned();
    let version = version
        .parse()
        .with_context(|| format!("the trt plugin says that TensorRT's version is `{version}`"))?;
    Ok((gpu, version))
}

/// trtexec: `explicit`, else beside the plugin, else on the PATH. An engine is
/// for the very TensorRT that built it, and the plugin's is the one beside it.
pub fn find_trtexec(explicit: Option<&Path>, plugin: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = explicit {
        return which::which(path).with_context(|| format!("--trtexec {} is no program", path.display()));
    }
    let folder = plugin.and_then(Path::parent);
    let beside = folder.into_iter().flat_map(|folder| [folder.join("vsmlrt-cuda"), folder.to_path_buf()]);
    for candidate in beside {
        if let Ok(path) = which::which_in("trtexec", Some(&candidate), &candidate) {
            return Ok(path);
        }
    }
    if let Ok(path) = which::which("trtexec") {
        return Ok(path);
    }
    bail!(
        "trtexec was not found on the PATH nor beside the trt plugin; it comes with TensorRT, or name it with --trtexec"
    )
}

impl Engine<'_> {
    fn half(&self) -> bool {
        self.version < TYPED_ONLY
    }

    /// The engine's file name: readable, and different for every model, shape,
    /// precision, GPU and TensorRT version.
    pub fn file_name(&self) -> Result<String> {
        let model = Fingerprint::of_file(self.model)?;
        let precision = if self.half() { "fp16" } else { "fp32" };
        let key = Fingerprint::of(&(&model, self.width, self.height, precision, &self.gpu, self.version));
        let stem = self.model.file_stem().unwrap_or_default().to_string_lossy();
        Ok(format!("{stem}-{}x{}-{precision}-{key}.engine", self.width, self.height))
    }

    /// What trtexec is asked to do.
    pub fn arguments(&self, save_as: &Path) -> Vec<OsString> {
        let path = |option: &str, path: &Path| {
            let mut word = OsString::from(option);
            word.push(path);
            word
        };
        let mut words = vec![path("--onnx=", self.model)];
        if self.half() {
            words.push("--fp16".into());
        }
        // trtexec refuses shapes for a network that has its own.
        if !self.network.picture().is_fixed_size() {
            let shape = format!("={}:1x3x{}x{}", self.network.picture().name, self.height, self.width);
            words.extend(
                ["--minShapes", "--optShapes", "--maxShapes"].map(|option| format!("{option}{shape}").into()),
            );
        }
        words.push(format!("--device={}", self.device).into());
        words.push("--skipInference".into());
        words.push(path("--saveEngine=", save_as));
        words
    }

    /// What `load` makes of the engine. A kept one that it refuses was built by
    /// another TensorRT than its name says, so it is built anew, once.
    pub fn load<T>(
        &self,
        folder: &Path,
        trtexec: &Path,
        events: &Events,
        cancel: &Cancel,
        load: impl Fn(&Path) -> Result<T>,
    ) -> Result<T> {
        let kept = folder.join(self.file_name()?).is_file();
        let file = self.ready(folder, trtexec, events, cancel)?;
        match load(&file) {
            Err(error) if kept => {
                events.warn(format!(
                    "TensorRT refuses its engine {}: {error:#}; it is built anew",
                    file.display()
                ));
                std::fs::remove_file(&file)
                    .with_context(|| format!("cannot remove the engine {}", file.display()))?;
                load(&self.ready(folder, trtexec, events, cancel)?)
            }
            loaded => loaded,
        }
        .with_context(|| format!("engines are built by {}; --trtexec names another", trtexec.display()))
    }

    /// The engine in `folder`, built by `trtexec` when it is not there. It
    /// appears there complete or not at all.
    pub fn ready(&self, folder: &Path, trtexec: &Path, events: &Events, cancel: &Cancel) -> Result<PathBuf> {
        let target = folder.join(self.file_name()?);
        if size(&target) >= SMALLEST_ENGINE {
            return Ok(target);
        }
        let context = || format!("cannot write the TensorRT engine to {}", folder.display());
        std::fs::create_dir_all(folder).with_context(context)?;
        let unfinished =
            tempfile::Builder::new().prefix(".building-").tempdir_in(folder).with_context(context)?;
        let built = unfinished.path().join("engine");
        events.note(format!(
            "TensorRT builds its engine for {} x {} on {}; this takes minutes, once",
            self.width, self.height, self.gpu
        ));
        let _stage = events.stage("TensorRT engine", 0, "engines");
        let mut command = Command::new(trtexec);
        command.args(self.arguments(&built)).env("CUDA_MODULE_LOADING", "LAZY");
        process::capture(&mut command, BUILD_LIMIT, cancel).context("no TensorRT engine was built")?;
        if size(&built) < SMALLEST_ENGINE {
            bail!(
                "no TensorRT engine was built: trtexec ended well but wrote no engine\n  command: {}",
                process::quoted(&command)
            );
        }
        crate::support::atomic::rename(&built, &target).with_context(context)?;
        Ok(target)
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
