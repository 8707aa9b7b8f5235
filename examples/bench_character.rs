//! Time per analysed frame of Character Boost, by back end, network and size.
//!
//! `cargo run --release --example bench_character [-- NETWORK.onnx]`
//!
//! Without a network it uses two that it writes itself: `red`, a 1×1
//! convolution, which shows what everything but the network costs; and `conv`,
//! full-size 3×3 convolutions of 3→16→16→16→16→1 channels without a meaning,
//! 7.5 thousand multiplications a pixel.

#[path = "../tests/drawn/mod.rs"]
mod drawn;

use std::path::PathBuf;
use std::time::Instant;

use drawn::{Drawing, settings};
use ndarray::Array2;
use progression_boost::character::{FrameMap, Options, Segmenter};
use progression_boost::scenes::Scene;
use progression_boost::settings::CharacterBackend;
use progression_boost::source::Clip;
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

const BACKENDS: [CharacterBackend; 5] = [
    CharacterBackend::Trt,
    CharacterBackend::OrtCuda,
    CharacterBackend::Ort,
    CharacterBackend::Ov,
    CharacterBackend::Ncnn,
];

const SIZES: [(usize, usize); 2] = [(854, 480), (1920, 1080)];

/// Analysed frames that are timed.
const FRAMES: usize = 8;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let networks = match std::env::args_os().nth(1) {
        Some(path) => vec![("given", PathBuf::from(path))],
        None => [("red", drawn::red_network()), ("conv", drawn::heavy_network(4, 16))]
            .into_iter()
            .map(|(name, bytes)| {
                let path = folder.path().join(format!("{name}.onnx"));
                std::fs::write(&path, bytes).map(|()| (name, path))
            })
            .collect::<Result<_, _>>()?,
    };
    println!("{} logical CPUs", std::thread::available_parallelism()?);
    for (width, height) in SIZES {
        let clip =
            Drawing { width, height, frames: 4 * FRAMES + 1, figure: (192, 256), at: (64, 64), speed: 8 };
        let clip = clip.open(folder.path());
        let mask = Array2::from_elem((height.next_multiple_of(64), width.next_multiple_of(64)), 0.7);
        let begun = Instant::now();
        for _ in 0..FRAMES {
            std::hint::black_box(FrameMap::from_mask(mask.clone(), width, height));
        }
        let per_frame = begun.elapsed().as_secs_f64() / FRAMES as f64;
        println!("{width}x{height}  mask to map alone: {:.1} ms", per_frame * 1e3);
        for (name, model) in &networks {
            for backend in BACKENDS {
                match time(&clip, model, backend) {
                    Ok(seconds) => println!("{width}x{height}  {name}  {backend:?}: {:.1} ms", seconds * 1e3),
                    Err(error) => {
                        let reason = format!("{error:#}");
                        let reason = reason.lines().last().unwrap_or_default().trim();
                        println!("{width}x{height}  {name}  {backend:?}: {reason}");
                    }
                }
            }
        }
    }
    Ok(())
}

/// Seconds a frame, rendering the source included.
fn time(clip: &Clip, model: &std::path::Path, backend: CharacterBackend) -> anyhow::Result<f64> {
    let cancel = Cancel::new();
    let segmenter =
        Segmenter::open(&settings(model, backend), clip, Options::default(), &Events::silent(), &cancel)?;
    // The first frame was rendered when the back end was tried.
    let scene = Scene { start: 1, end: 4 * FRAMES + 1 };
    let begun = Instant::now();
    segmenter.scene(scene, &[0.02; 4 * FRAMES], &cancel)?;
    Ok(begun.elapsed().as_secs_f64() / FRAMES as f64)
}
