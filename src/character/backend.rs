//! The vs-mlrt plugins that can run a network, and how each is called.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vapoursynth::node::Node;

use super::onnx::Network;
use super::trt::{self, Engine};
use crate::formats::blocks::Blocks;
use crate::settings::CharacterBackend;
use crate::source::{Arg, Session};
use crate::support::cancel::Cancel;
use crate::support::events::Events;

/// Things about this machine that are not settings of a zone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Options {
    /// Number of the GPU.
    pub device: u32,
    /// Frames that are segmented at once; `None`: 2 on a GPU, 1 on the CPU.
    pub streams: Option<usize>,
    /// The program trtexec, when it is neither on the PATH nor beside the plugin.
    pub trtexec: Option<PathBuf>,
    /// Where TensorRT engines are kept; `None`: the user's cache folder.
    pub engines: Option<PathBuf>,
}

/// One way to run a network.
#[derive(Debug)]
pub struct Backend {
    pub kind: CharacterBackend,
    pub name: &'static str,
    /// Of the plugin; also the end of its package's name.
    namespace: &'static str,
    pub on_gpu: bool,
    runner: Runner,
}

#[derive(Debug)]
enum Runner {
    /// Takes an engine that is built first.
    TensorRt,
    /// Takes the network and these arguments besides the common ones.
    Direct { text: &'static [(&'static str, &'static str)], half: bool, numbered: bool, streams: bool },
}

/// In the order in which `auto` tries them.
const BACKENDS: [Backend; 5] = [
    Backend {
        kind: CharacterBackend::Trt,
        name: "TensorRT",
        namespace: "trt",
        on_gpu: true,
        runner: Runner::TensorRt,
    },
    Backend {
        kind: CharacterBackend::OrtCuda,
        name: "ONNX Runtime (CUDA)",
        namespace: "ort",
        on_gpu: true,
        runner: Runner::Direct { text: &[("provider", "CUDA")], half: true, numbered: true, streams: true },
    },
    Backend {
        kind: CharacterBackend::Ort,
        name: "ONNX Runtime (CPU)",
        namespace: "ort",
        on_gpu: false,
        // The empty provider is the CPU.
        runner: Runner::Direct { text: &[("provider", "")], half: false, numbered: false, streams: true },
    },
    Backend {
        kind: CharacterBackend::Ov,
        name: "OpenVINO (CPU)",
        namespace: "ov",
        on_gpu: false,
        runner: Runner::Direct { text: &[("device", "CPU")], half: false, numbered: false, streams: false },
    },
    Backend {
        kind: CharacterBackend::Ncnn,
        name: "ncnn (Vulkan)",
        namespace: "ncnn",
        on_gpu: true,
        runner: Runner::Direct { text: &[], half: true, numbered: true, streams: true },
    },
];

/// The back ends to try for a setting, in order.
pub fn candidates(wanted: CharacterBackend) -> Vec<&'static Backend> {
    BACKENDS.iter().filter(|b| wanted == CharacterBackend::Auto || b.kind == wanted).collect()
}

/// What a back end is to run, and on what.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    pub session: Session,
    /// The pictures, RGBS over the whole grid of blocks.
    pub pictures: &'a Node<'static>,
    pub blocks: Blocks,
    pub model: &'a Path,
    pub network: &'a Network,
    pub options: &'a Options,
}

impl Backend {
    pub fn streams(&self, options: &Options) -> usize {
        // A CPU is busy with probes; a second frame at once would only take more of it.
        options.streams.unwrap_or(if self.on_gpu { 2 } else { 1 }).max(1)
    }

    /// The clip of masks. Nothing has been computed yet when this returns, so
    /// a frame of it must be tried.
    pub fn masks(&self, job: &Job<'_>, events: &Events, cancel: &Cancel) -> Result<Node<'static>> {
        if !job.session.has_function(self.namespace, "Model") {
            bail!("the plugin `{0}` is not installed (pip install vapoursynth-mlrt-{0})", self.namespace);
        }
        match self.runner {
            Runner::TensorRt => self.on_engine(job, events, cancel),
            Runner::Direct { .. } => self.invoke(job, job.model),
        }
    }

    /// Hands `file`, the network or an engine made of it, to the plugin.
    fn invoke(&self, job: &Job<'_>, file: &Path) -> Result<Node<'static>> {
        let streams = Arg::Int(self.streams(job.options) as i64);
        let device = Arg::Int(i64::from(job.options.device));
        let mut args = vec![("clips", Arg::Node(job.pictures))];
        let file = file
            .to_str()
            .with_context(|| format!("{}: plugins take only paths that are valid Unicode", file.display()))?;
        match &self.runner {
            Runner::TensorRt => {
                args.extend([
                    ("engine_path", Arg::Text(file)),
                    ("device_id", device),
                    ("num_streams", streams),
                ]);
            }
            Runner::Direct { text, half, numbered, streams: takes_streams } => {
                args.extend([("network_path", Arg::Text(file)), ("fp16", Arg::Int(i64::from(*half)))]);
                args.extend(text.iter().map(|&(key, value)| (key, Arg::Text(value))));
                args.extend(numbered.then_some(("device_id", device)));
                args.extend(takes_streams.then_some(("num_streams", streams)));
            }
        }
        job.session.invoke(self.namespace, "Model", &args)
    }

    fn on_engine(&self, job: &Job<'_>, events: &Events, cancel: &Cancel) -> Result<Node<'static>> {
        let (gpu, version) = trt::runtime(job.session, job.options.device)?;
        let plugin = job.session.plugin_path(self.namespace);
        let trtexec = trt::find_trtexec(job.options.trtexec.as_deref(), plugin.as_deref())?;
        let folder = match &job.options.engines {
            Some(folder) => folder.clone(),
            None => directories::ProjectDirs::from("", "", "progression-boost")
                .context("there is no user folder to keep TensorRT engines in")?
                .cache_dir()
                .join("engines"),
        };
        let (width, height) = job.blocks.pixels();
        let engine = Engine {
            model: job.model,
            network: job.network,
            width,
            height,
            device: job.options.device,
            gpu,
            version,
        };
        engine.load(&folder, &trtexec, events, cancel, |file| self.invoke(job, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_tries_all_in_the_order_of_the_specification() {
        use CharacterBackend::{Auto, Ncnn, Ort, OrtCuda, Ov, Trt};
        let kinds: Vec<_> = candidates(Auto).iter().map(|b| b.kind).collect();
        assert_eq!(kinds, [Trt, OrtCuda, Ort, Ov, Ncnn]);
        for kind in kinds {
            let only: Vec<_> = candidates(kind).iter().map(|b| b.kind).collect();
            assert_eq!(only, [kind]);
        }
    }
}
