//! Milliseconds per frame of the CPU metrics, with the reference prepared for
//! every comparison and prepared once, side by side in one run:
//!
//! ```text
//! cargo run --release --example bench_metrics
//! ```
//!
//! On two cores of a virtual Xeon that fifteen other processes shared (so the
//! ratios mean more than the milliseconds):
//!
//! ```text
//! metric            size       anew ms  prepared ms  ratio  kept bytes/pixel
//! Butteraugli3Norm  854x480      385.0        147.0   2.62               174
//! Butteraugli3Norm  1920x1080   1549.8        558.8   2.77               161
//! Ssimu2            854x480      146.8         95.9   1.53                22
//! Ssimu2            1920x1080    917.1        520.7   1.76                26
//! ```

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use progression_boost::score::{self, SceneReference};
use progression_boost::settings::{self, Metric, MetricBackend, MetricSettings};
use progression_boost::source::{OpenOptions, Picture, ResolvedColor, Session};
use progression_boost::support::events::Events;

const SIZES: [(usize, usize); 2] = [(854, 480), (1920, 1080)];
const ROUNDS: usize = 8;

/// References held at once to see what one takes.
const HELD: usize = 4;

fn main() -> Result<()> {
    let session = Session::empty(None, &OpenOptions::default())?;
    println!("metric            size       anew ms  prepared ms  ratio  kept bytes/pixel");
    for metric in [Metric::Butteraugli3Norm, Metric::Ssimu2] {
        for size in SIZES {
            let color =
                ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
            let backend = score::open(
                &settings(metric)?,
                score::Format { size, bits: 10, color, fps: None },
                session,
                1 << 30,
                &Events::silent(),
            )?;
            let reference = Arc::new(picture(size, 0).pack());
            let distorted = Arc::new(picture(size, 9));
            let measure = |scene: &dyn SceneReference| scene.measure(0, &distorted);

            let before = resident()?;
            let held: Vec<_> =
                (0..HELD).map(|_| backend.scene(std::slice::from_ref(&reference))).collect::<Result<_>>()?;
            for scene in &held {
                measure(&**scene)?;
            }
            let kept = resident()?.saturating_sub(before) as f64 / (HELD * size.0 * size.1) as f64;

            // In turn and the best of all rounds: least disturbed by other work.
            let (mut anew, mut prepared) = (f64::MAX, f64::MAX);
            for _ in 0..ROUNDS {
                let start = Instant::now();
                measure(&*backend.scene(std::slice::from_ref(&reference))?)?;
                anew = f64::min(anew, milliseconds(start));
                let start = Instant::now();
                measure(&*held[0])?;
                prepared = f64::min(prepared, milliseconds(start));
            }
            println!(
                "{:<17} {:<10} {:>7.1} {:>12.1} {:>6.2} {:>17.0}",
                format!("{metric:?}"),
                format!("{}x{}", size.0, size.1),
                anew,
                prepared,
                anew / prepared,
                kept
            );
        }
    }
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64> {
    let mut system = sysinfo::System::new().context("the system does not tell memory")?;
    let id = sysinfo::get_current_pid().map_err(|e| anyhow::anyhow!("{e}"))?;
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[id]), true);
    Ok(system.process(id).context("this process is not listed")?.memory())
}

/// Waves and a little noise that differs from seed to seed.
fn picture((width, height): (usize, usize), seed: u32) -> Picture {
    let mut picture = Picture::filled(width, height, 10, 0, 0);
    let mut noise = 12_345 + seed;
    for plane in 0..3 {
        let (stride, _) = picture.plane_size(plane);
        for (i, sample) in picture.planes[plane].iter_mut().enumerate() {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = (0.05 * (i % stride) as f64).sin() * (0.03 * (i / stride) as f64).cos();
            *sample = (500.0 + 300.0 * wave) as u16 + (noise >> 24) as u16 / 8;
        }
    }
    picture
}

/// A shipped preset's, on the CPU.
fn settings(metric: Metric) -> Result<MetricSettings> {
    let preset = settings::resolve(&settings::Request::default())?.base.metric;
    Ok(MetricSettings { metric, backend: MetricBackend::Native, ..preset })
}
