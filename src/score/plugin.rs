//! The back ends that are VapourSynth plugins: Vship (GPU) and vszip (CPU).

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use vapoursynth::frame::FrameRef;
use vapoursynth::node::Node;

use super::curve::{HLG, PQ};
use super::feeder::{Feeder, do_not_cache};
use super::identity::{By, Identity};
use super::window::Window;
use super::{Backend, Measurement, SceneReference};
use crate::settings::{MetricBackend, MetricSettings};
use crate::source::{Arg, PackedPicture, Picture, ResolvedColor, Session, format};
use crate::support::fingerprint::Fingerprint;

/// A plugin's filter for one metric: `function(reference, distorted, …)`
/// returns the distorted clip with its scores as frame properties.
struct Filter {
    backend: MetricBackend,
    ssimu2: bool,
    namespace: &'static str,
    function: &'static str,
    /// Arguments it must have.
    needs: &'static [&'static str],
    /// 3-norm and maximum, or the score.
    properties: &'static [&'static str],
}

/// Vship 2.2 to 4.1 have these properties; its signatures differ in arguments
/// that are not used here (`qnorm`) or may be left out (`numStream`).
const FILTERS: [Filter; 3] = [
    Filter {
        backend: MetricBackend::Vship,
        ssimu2: false,
        namespace: "vship",
        function: "BUTTERAUGLI",
        needs: &["reference", "distorted", "intensity_multiplier"],
        properties: &["_BUTTERAUGLI_3Norm", "_BUTTERAUGLI_INFNorm"],
    },
    Filter {
        backend: MetricBackend::Vship,
        ssimu2: true,
        namespace: "vship",
        function: "SSIMULACRA2",
        needs: &["reference", "distorted"],
        properties: &["_SSIMULACRA2"],
    },
    Filter {
        backend: MetricBackend::Vszip,
        ssimu2: true,
        namespace: "vszip",
        function: "SSIMULACRA2",
        needs: &["reference", "distorted"],
        properties: &["SSIMULACRA2"],
    },
];

/// Frames that Vship works on at once, where nobody says otherwise and its memory lets it.
const STREAMS: usize = 4;

/// Sides of the picture on which a plugin for CPUs is tried.
const TRIAL: usize = 64;

/// Begins Vship's words when a GPU's memory is full.
const OUT_OF_MEMORY: &str = "OutOfVRAM";

/// What every picture of a run has in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pictures {
    pub window: Window,
    pub color: ResolvedColor,
    pub fps: Option<(u64, u64)>,
    pub session: Session,
}

/// A plugin that measures; a filter on every device serves the scenes in turn, each
/// measurement is a frame of its own.
pub(super) struct Plugin {
    devices: Vec<Arc<Device>>,
    next: AtomicUsize,
    identity: Identity,
    description: String,
}

/// A device with its filter, which another one with fewer streams takes the place of
/// when the device's memory is full.
struct Device {
    make: Make,
    /// `None` after one could not be made.
    filter: RwLock<Option<Arc<Shared>>>,
}

/// All that a filter is made of, but its streams.
#[derive(Clone)]
struct Make {
    filter: &'static Filter,
    settings: MetricSettings,
    pictures: Pictures,
    gpu: u32,
}

struct Shared {
    filter: &'static Filter,
    streams: usize,
    reference: Feeder,
    distorted: Feeder,
    output: Node<'static>,
    next: AtomicUsize,
    window: Window,
}

struct Scene {
    device: Arc<Device>,
    references: Vec<Arc<PackedPicture>>,
}

impl Plugin {
    /// Makes the filter, after having tried it on two equal pictures of its own.
    ///
    /// # Errors
    /// With the plugin's own message when it is missing, cannot be created
    /// (no GPU, no memory) or fails the trial.
    pub fn new(
        settings: &MetricSettings,
        backend: MetricBackend,
        pictures: &Pictures,
        reason: &str,
    ) -> Result<Self> {
        let filter = find(settings, backend)?;
        let (name, session) = (filter.namespace, pictures.session);
        if !session.has_plugin(name) {
            bail!("the VapourSynth plugin `{name}` is not loaded; install it or give it with --load-plugin");
        }
        if pictures.window.width % 2 + pictures.window.height % 2 > 0 {
            bail!(
                "{name} cannot measure 4:2:0 pictures with odd sides; crop a column or row with metric.crop"
            );
        }
        let what = format!("{name}.{}", filter.function);
        let device = |gpu: &u32| {
            let (settings, pictures) = (settings.clone(), *pictures);
            Device::open(Make { filter, settings, pictures, gpu: *gpu }).map(Arc::new)
        };
        // Others know no devices.
        let gpus = if backend == MetricBackend::Vship { &settings.devices.gpus[..] } else { &[0] };
        let opened: Result<Vec<_>> = gpus.iter().map(device).collect();
        let devices = opened.with_context(|| format!("{what} does not work"))?;
        let path = session.plugin_path(name).unwrap_or_default();
        let file = Fingerprint::of_file(&path).with_context(|| format!("the file of the plugin `{name}`"))?;
        let by = By::Plugin { function: filter.function, file };
        let identity = Identity::new(settings, by, pictures.color, pictures.window.bits());
        let description = describe(settings, filter, session, &path, reason);
        Ok(Self { devices, next: AtomicUsize::new(0), identity, description })
    }
}

impl Backend for Plugin {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn scene(&self, references: &[Arc<PackedPicture>]) -> Result<Box<dyn SceneReference>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let device = &self.devices[turn % self.devices.len()];
        device.make.pictures.window.check_packed(references)?;
        Ok(Box::new(Scene { device: Arc::clone(device), references: references.to_vec() }))
    }
}

impl SceneReference for Scene {
    fn measure(&self, index: usize, distorted: &Arc<Picture>) -> Result<Measurement> {
        let reference = self
            .references
            .get(index)
            .with_context(|| format!("reference {index} of a scene with {}", self.references.len()))?;
        self.device.measure(&Arc::new(reference.unpack()), distorted)
    }
}

impl Device {
    /// Tries the filter: on a GPU with as many frames of full size at once as it will
    /// get, on the CPU, whose memory is not the question, with a small one.
    fn open(make: Make) -> Result<Self> {
        if make.filter.backend != MetricBackend::Vship {
            let window = Window::new((TRIAL, TRIAL), make.pictures.window.bits(), [0; 4])?;
            let small = Make { pictures: Pictures { window, ..make.pictures }, ..make.clone() };
            Shared::new(&small, 1)?.tried()?;
            let filter = RwLock::new(Some(Arc::new(Shared::new(&make, 1)?)));
            return Ok(Self { make, filter });
        }
        let mut streams = make.settings.devices.streams.unwrap_or(STREAMS).max(1);
        loop {
            let opened = Shared::new(&make, streams).and_then(Shared::tried);
            match opened {
                Ok(shared) => return Ok(Self { make, filter: RwLock::new(Some(Arc::new(shared))) }),
                Err(error) if streams > 1 && is_out_of_memory(&error) => streams /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    fn measure(&self, reference: &Arc<Picture>, distorted: &Arc<Picture>) -> Result<Measurement> {
        loop {
            let shared = self.filter()?;
            match shared.measure(reference, distorted) {
                Err(error) if shared.streams > 1 && is_out_of_memory(&error) => self.make_do(shared)?,
                measured => return measured,
            }
        }
    }

    /// The filter that is in use; one of a single stream where there is none.
    fn filter(&self) -> Result<Arc<Shared>> {
        if let Some(shared) = &*self.filter.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(shared));
        }
        let mut filter = self.filter.write().unwrap_or_else(PoisonError::into_inner);
        if filter.is_none() {
            *filter = Some(Arc::new(Shared::new(&self.make, 1)?));
        }
        filter.clone().context("a filter that was just made")
    }

    /// Goes on with half of the streams of `full`, which ran out of memory.
    fn make_do(&self, full: Arc<Shared>) -> Result<()> {
        let mut filter = self.filter.write().unwrap_or_else(PoisonError::into_inner);
        if !filter.as_ref().is_some_and(|current| Arc::ptr_eq(current, &full)) {
            return Ok(());
        }
        *filter = None;
        let streams = full.streams / 2;
        // Its memory is free once nobody measures with it any more; who comes back waits here.
        let mut full = Some(full);
        while let Some(Err(used)) = full.take().map(Arc::try_unwrap) {
            full = Some(used);
            std::thread::sleep(Duration::from_millis(5));
        }
        *filter = Some(Arc::new(Shared::new(&self.make, streams)?));
        Ok(())
    }
}

fn is_out_of_memory(error: &Error) -> bool {
    format!("{error:#}").contains(OUT_OF_MEMORY)
}

impl Shared {
    fn new(make: &Make, streams: usize) -> Result<Self> {
        let Make { filter, settings, pictures, gpu } = make;
        let Pictures { window, color, fps, session } = *pictures;
        let reference = Feeder::new(session, window, color, fps)?;
        let distorted = Feeder::new(session, window, color, fps)?;
        let takes = arguments(session, filter)?;
        let sides = [&reference, &distorted].map(|side| match filter.backend {
            MetricBackend::Vship if is_bright(color) => unclipped(session, side.node()),
            _ => Ok(side.node().clone()),
        });
        let [first, second] = sides;
        let (first, second) = (first?, second?);
        let mut args = vec![("reference", Arg::Node(&first)), ("distorted", Arg::Node(&second))];
        if takes.iter().any(|a| a == "intensity_multiplier") {
            args.push(("intensity_multiplier", Arg::Float(settings.intensity)));
        }
        if takes.iter().any(|a| a == "numStream") {
            args.push(("numStream", Arg::Int(streams as i64)));
        }
        if takes.iter().any(|a| a == "gpu_id") {
            args.push(("gpu_id", Arg::Int(i64::from(*gpu))));
        }
        let output = session
            .invoke(filter.namespace, filter.function, &args)
            .map_err(|error| anyhow::anyhow!(one_line(&format!("{error:#}"))))?;
        drop(args);
        do_not_cache(session, &output)?;
        Ok(Self { filter, streams, reference, distorted, output, next: AtomicUsize::new(0), window })
    }

    /// Itself, once all of its streams have measured a picture against itself at the
    /// same time: creation shows whether the GPU is there, this whether it computes
    /// and has the memory.
    fn tried(self) -> Result<Self> {
        let picture = Arc::new(trial_picture(self.window));
        let measured: Vec<Result<Measurement>> = std::thread::scope(|threads| {
            let work = || self.measure(&picture, &picture);
            let threads: Vec<_> = (0..self.streams).map(|_| threads.spawn(work)).collect();
            let panicked = || Err(anyhow::anyhow!("the trial failed"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
        });
        for same in measured {
            let same = same?;
            let right = match same {
                Measurement::Butteraugli { norm3, inf } => norm3.abs() < 0.01 && inf.abs() < 0.01,
                Measurement::Ssimulacra2(score) => (99.0..=100.1).contains(&score),
            };
            if !right {
                bail!("it finds a picture different from itself ({same:?})");
            }
        }
        Ok(self)
    }

    fn measure(&self, reference: &Arc<Picture>, distorted: &Arc<Picture>) -> Result<Measurement> {
        self.window.check(distorted)?;
        let number = Feeder::number(self.next.fetch_add(1, Ordering::Relaxed));
        let _reference = self.reference.lay_out(number, reference);
        let _distorted = self.distorted.lay_out(number, distorted);
        let Filter { namespace, function, .. } = self.filter;
        match self.output.get_frame(number) {
            Ok(frame) => self.read(&frame),
            Err(error) => bail!("{namespace}.{function}: {}", one_line(&error.to_string())),
        }
    }

    fn read(&self, frame: &FrameRef<'static>) -> Result<Measurement> {
        let Filter { namespace, function, properties, ssimu2, .. } = self.filter;
        let props = frame.props();
        let float = |key: &str| {
            props.get_float(key).with_context(|| {
                format!(
                    "{namespace}.{function} set no property {key}; this version is not supported, Vship 3 \
                     and 4 and vszip 23 are"
                )
            })
        };
        Ok(if *ssimu2 {
            Measurement::Ssimulacra2(float(properties[0])?)
        } else {
            Measurement::Butteraugli { norm3: float(properties[0])?, inf: float(properties[1])? }
        })
    }
}

fn find(settings: &MetricSettings, backend: MetricBackend) -> Result<&'static Filter> {
    let ssimu2 = settings.metric.higher_is_better();
    match FILTERS.iter().find(|f| f.backend == backend && f.ssimu2 == ssimu2) {
        Some(filter) => Ok(filter),
        None => {
            bail!("metric.backend vszip measures SSIMULACRA2 only; use auto, vship or native for Butteraugli")
        }
    }
}

/// Names of the arguments the loaded version of the filter takes.
fn arguments(session: Session, filter: &Filter) -> Result<Vec<String>> {
    let Filter { namespace, function, needs, .. } = filter;
    let plugin = session
        .core()?
        .get_plugin_by_namespace(namespace)?
        .with_context(|| format!("plugin `{namespace}` is not loaded"))?;
    let Some(found) = plugin.get_plugin_function_by_name(function)? else {
        bail!("this version of `{namespace}` has no function {function}");
    };
    let signature = found.arguments().to_string_lossy();
    let names: Vec<String> =
        signature.split(';').filter_map(|a| a.split(':').next()).map(str::to_owned).collect();
    if let Some(missing) = needs.iter().find(|n| !names.iter().any(|a| a == *n)) {
        bail!("{namespace}.{function} takes no `{missing}`, only {signature}; install a newer version");
    }
    Ok(names)
}

/// What a plugin says, in one line: Vship's errors have three.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether light beyond the usual white is told apart, PQ and HLG (H.273).
fn is_bright(color: ResolvedColor) -> bool {
    [PQ, HLG].contains(&color.transfer)
}

/// `clip` in the RGB that Vship takes as it is. Its own conversion approximates curves,
/// which ends at twice the usual white; the metrics would not see what is brighter.
fn unclipped(session: Session, clip: &Node<'static>) -> Result<Node<'static>> {
    let converted = [
        ("clip", Arg::Node(clip)),
        ("format", Arg::Int(format::RGBS)),
        ("matrix", Arg::Int(0)),
        ("transfer", Arg::Int(1)),
        ("primaries", Arg::Int(1)),
        ("range", Arg::Int(1)),
        ("approximate_gamma", Arg::Int(0)),
    ];
    let node = session.invoke("resize", "Bicubic", &converted)?;
    do_not_cache(session, &node)?;
    Ok(node)
}

/// A picture with something in it.
fn trial_picture(window: Window) -> Picture {
    let bits = window.bits();
    let (width, height) = window.picture();
    let mut picture = Picture::filled(width, height, bits, 0, 1 << (bits - 1));
    let (black, range) = (16_usize << (bits - 8), 219_usize << (bits - 8));
    for (i, sample) in picture.planes[0].iter_mut().enumerate() {
        *sample = (black + (i * 7) % range) as u16;
    }
    picture
}

fn describe(
    settings: &MetricSettings,
    filter: &Filter,
    session: Session,
    file: &Path,
    reason: &str,
) -> String {
    let what = if filter.ssimu2 {
        "SSIMULACRA2".to_owned()
    } else {
        format!("Butteraugli at {} cd/m²", settings.intensity)
    };
    let by = match filter.backend {
        MetricBackend::Vship => format!("Vship {} on {}", vship_version(session), device(session)),
        _ => "vszip on the CPU (sRGB curve, scores about a point above Vship's)".to_owned(),
    };
    format!("{what} by {by}, plugin {}: {reason}", file.display())
}

/// What the signature tells; plugins' own version numbers are not within reach.
fn vship_version(session: Session) -> &'static str {
    let newer = arguments(session, &FILTERS[0]).is_ok_and(|a| a.iter().any(|a| a == "qnorm"));
    if newer { "4" } else { "3 or older" }
}

/// The first line of Vship's own list, for instance `GPU 0: NVIDIA …`.
fn device(session: Session) -> String {
    let told = session.call("vship", "GpuInfo", &[]);
    let text = told.ok().and_then(|map| {
        let data = map.get_data("gpu_human_data").ok()?;
        String::from_utf8_lossy(data).lines().next().map(str::to_owned)
    });
    text.filter(|t| !t.is_empty()).unwrap_or_else(|| "an unnamed GPU".to_owned())
}
