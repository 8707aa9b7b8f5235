//! The CPU back ends: Butteraugli and SSIMULACRA2 with the reference side of a
//! frame prepared once and used by every probe, as far as memory allows.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use butteraugli::{ButteraugliParams, ButteraugliReference};

use super::budget::{Budget, Share};
use super::identity::{By, Identity};
use super::linear::Linear;
use super::ssimulacra2::{self, Against};
use super::window::Window;
use super::{Backend, Measurement, SceneReference};
use crate::settings::MetricSettings;
use crate::source::{PackedPicture, Picture, ResolvedColor};

/// Memory of a prepared Butteraugli reference per pixel, the buffers that it
/// keeps for its comparisons included: 160 to 175 bytes by
/// `examples/bench_metrics.rs`, more when two comparisons overlap.
const BUTTERAUGLI_BYTES: usize = 200;

/// Bytes worth spending on prepared SSIMULACRA2 references: four frames at 480p,
/// none at 1080p. One spares its frame a third of the work of a second
/// comparison, which is hardly noticed beside the encodes and takes seven times
/// the memory of its picture; a Butteraugli reference spares more than half of
/// far more work.
const SSIMULACRA2_KEPT: usize = 40 << 20;

/// Vship's (and `butteraugli_main`'s) weight of new artifacts against lost
/// detail; the crate's own default is 1.
const HF_ASYMMETRY: f32 = 0.8;

/// Raised with every change to what is measured here, so that kept figures of an
/// older one are not taken for its own.
const REVISION: u32 = 1;

/// The native back end of one metric.
pub(super) struct Native {
    shared: Arc<Shared>,
    identity: Identity,
    reason: String,
}

struct Shared {
    metric: Metric,
    linear: Linear,
    budget: Arc<Budget>,
}

enum Metric {
    Butteraugli(ButteraugliParams),
    Ssimulacra2,
}

struct Scene {
    shared: Arc<Shared>,
    frames: Vec<Mutex<Reference>>,
}

/// The reference side of one frame.
#[derive(Clone)]
enum Reference {
    Picture(Arc<PackedPicture>),
    Prepared(Arc<Kept>),
}

/// A prepared reference and its share of the budget.
struct Kept {
    prepared: Prepared,
    _share: Share,
}

enum Prepared {
    Butteraugli(Box<ButteraugliReference>),
    Ssimulacra2(ssimulacra2::Reference),
}

impl Native {
    /// `reason` says why this back end runs, for [`Backend::describe`].
    pub fn new(
        settings: &MetricSettings,
        color: ResolvedColor,
        window: Window,
        budget: Budget,
        reason: String,
    ) -> Result<Self> {
        let (metric, budget) = if settings.metric.higher_is_better() {
            (Metric::Ssimulacra2, budget.at_most(SSIMULACRA2_KEPT))
        } else {
            let params = ButteraugliParams::new()
                .with_intensity_target(settings.intensity as f32)
                .with_hf_asymmetry(HF_ASYMMETRY);
            params.validate().map_err(|e| anyhow!("metric.intensity {}: {e}", settings.intensity))?;
            // Frames without a prepared reference need as much while they are compared.
            (Metric::Butteraugli(params), budget.half_for_work())
        };
        let linear = Linear::new(color, window)?;
        let identity = Identity::new(settings, By::Native(REVISION), color, window.bits());
        let shared = Arc::new(Shared { metric, linear, budget: Arc::new(budget) });
        Ok(Self { shared, identity, reason })
    }
}

impl Backend for Native {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn describe(&self) -> String {
        let metric = match &self.shared.metric {
            Metric::Butteraugli(params) => format!("Butteraugli at {} cd/m²", params.intensity_target()),
            Metric::Ssimulacra2 => "SSIMULACRA2".to_owned(),
        };
        format!(
            "{metric} on the CPU (native, progression-boost {}): {}",
            env!("CARGO_PKG_VERSION"),
            self.reason
        )
    }

    fn scene(&self, references: &[Arc<PackedPicture>]) -> Result<Box<dyn SceneReference>> {
        self.shared.linear.window().check_packed(references)?;
        let frames = references.iter().map(|p| Mutex::new(Reference::Picture(Arc::clone(p)))).collect();
        Ok(Box::new(Scene { shared: Arc::clone(&self.shared), frames }))
    }
}

impl SceneReference for Scene {
    fn measure(&self, index: usize, distorted: &Arc<Picture>) -> Result<Measurement> {
        let frame = self
            .frames
            .get(index)
            .with_context(|| format!("reference {index} of a scene with {}", self.frames.len()))?;
        self.shared.linear.window().check(distorted)?;
        self.shared.measure(frame, distorted)
    }
}

impl Shared {
    fn measure(&self, frame: &Mutex<Reference>, distorted: &Picture) -> Result<Measurement> {
        match (self.reference(frame)?, &self.metric) {
            (Reference::Prepared(kept), _) => self.compare(&kept.prepared, distorted),
            (Reference::Picture(picture), Metric::Butteraugli(_)) => {
                let _share = Budget::wait(&self.budget, self.prepared_bytes());
                self.compare(&self.prepare(&picture)?, distorted)
            }
            (Reference::Picture(picture), Metric::Ssimulacra2) => {
                let picture = self.unpack(&picture)?;
                Ok(self.ssimulacra2(Against::Picture(&picture), distorted))
            }
        }
    }

    /// The reference side of a frame, prepared if it may be kept. Threads that
    /// need the same frame wait for the one that prepares it, on this thread alone.
    fn reference(&self, frame: &Mutex<Reference>) -> Result<Reference> {
        let mut frame = frame.lock().unwrap_or_else(PoisonError::into_inner);
        if let Reference::Picture(picture) = &*frame
            && let Some(share) = Budget::keep(&self.budget, self.prepared_bytes())
        {
            let prepared = self.prepare(picture)?;
            *frame = Reference::Prepared(Arc::new(Kept { prepared, _share: share }));
        }
        Ok(frame.clone())
    }

    fn prepared_bytes(&self) -> usize {
        let window = self.linear.window();
        window.width * window.height * self.metric.bytes_per_pixel()
    }

    fn prepare(&self, picture: &PackedPicture) -> Result<Prepared> {
        let picture = self.unpack(picture)?;
        let Window { width, height, .. } = self.linear.window();
        Ok(match &self.metric {
            Metric::Butteraugli(params) => {
                let [r, g, b] = self.planes(&picture);
                let params = params.clone();
                let reference =
                    ButteraugliReference::new_linear_planar(&r, &g, &b, width, height, width, params)?;
                Prepared::Butteraugli(Box::new(reference))
            }
            Metric::Ssimulacra2 => Prepared::Ssimulacra2(ssimulacra2::Reference::new(&self.linear, &picture)),
        })
    }

    fn compare(&self, reference: &Prepared, distorted: &Picture) -> Result<Measurement> {
        match reference {
            Prepared::Butteraugli(reference) => {
                let [r, g, b] = self.planes(distorted);
                let mut map = Vec::new();
                reference.compare_linear_planar_into(&r, &g, &b, self.linear.window().width, &mut map)?;
                Ok(norms(&map))
            }
            Prepared::Ssimulacra2(reference) => {
                Ok(self.ssimulacra2(Against::Reference(reference), distorted))
            }
        }
    }

    fn ssimulacra2(&self, against: Against<'_>, distorted: &Picture) -> Measurement {
        Measurement::Ssimulacra2(ssimulacra2::compare(&self.linear, against, distorted))
    }

    fn unpack(&self, picture: &PackedPicture) -> Result<Picture> {
        let picture = picture.unpack();
        self.linear.window().check(&picture).context("the reference")?;
        Ok(picture)
    }

    /// Linear RGB as three planes.
    fn planes(&self, picture: &Picture) -> [Vec<f32>; 3] {
        let window = self.linear.window();
        let mut planes = [(); 3].map(|()| Vec::with_capacity(window.width * window.height));
        let mut rows = self.linear.read(picture);
        while let Some(row) = rows.next() {
            for (plane, row) in planes.iter_mut().zip([row.r, row.g, row.b]) {
                plane.extend_from_slice(row);
            }
        }
        planes
    }
}

impl Metric {
    fn bytes_per_pixel(&self) -> usize {
        match self {
            Self::Butteraugli(_) => BUTTERAUGLI_BYTES,
            Self::Ssimulacra2 => ssimulacra2::Reference::BYTES_PER_PIXEL,
        }
    }
}

/// Pure 3-norm `(mean d³)^⅓` and maximum of a distortion map.
fn norms(map: &[f32]) -> Measurement {
    let cubes: f64 = map.iter().map(|&d| f64::from(d).powi(3)).sum();
    let highest = map.iter().fold(0.0_f32, |a, &d| a.max(d));
    Measurement::Butteraugli { norm3: (cubes / map.len() as f64).cbrt(), inf: f64::from(highest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norms_of_a_map_are_those_worked_by_hand() {
        // (0 + 1 + 8 + 27) / 4 = 9.
        let Measurement::Butteraugli { norm3, inf } = norms(&[0.0, 1.0, 2.0, 3.0]) else { panic!() };
        assert!((norm3 - 9_f64.cbrt()).abs() < 1e-12);
        assert!((inf - 3.0).abs() < 1e-12);
    }

    #[test]
    fn without_memory_references_are_prepared_anew_with_the_same_result() {
        let color =
            ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
        let window = Window::new((48, 32), 10, [0; 4]).unwrap();
        let score = |bytes: usize| {
            let shared = Arc::new(Shared {
                metric: Metric::Ssimulacra2,
                linear: Linear::new(color, window).unwrap(),
                budget: Arc::new(Budget::new(bytes as u64)),
            });
            let mut distorted = Picture::filled(48, 32, 10, 300, 512);
            distorted.planes[0].iter_mut().step_by(7).for_each(|s| *s += 90);
            let reference = Reference::Picture(Arc::new(Picture::filled(48, 32, 10, 300, 512).pack()));
            let scene = Scene { shared: Arc::clone(&shared), frames: vec![Mutex::new(reference)] };
            let scores = [(), ()].map(|()| scene.measure(0, &Arc::new(distorted.clone())).unwrap());
            (scores, bytes - shared.budget.left())
        };
        let (kept, taken) = score(1 << 20);
        let (anew, none) = score(0);
        assert_eq!((kept, none), (anew, 0));
        assert_eq!(taken, 48 * 32 * ssimulacra2::Reference::BYTES_PER_PIXEL);
        assert!(kept[0] != Measurement::Ssimulacra2(100.0));
    }
}
