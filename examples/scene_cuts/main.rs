//! How well do the scene detectors find cuts?
//!
//! Joins pieces of the videos it is given (any that VapourSynth opens, scripts
//! too) into test clips with known cuts, dissolves, fades, flashes, pans, zooms
//! and grain; then runs every method and prints recall, precision, F1, frames per
//! second and the time as a multiple of bare decoding's, as a Markdown table. The
//! same seeds and inputs make the same clips. Methods take turns, round by round,
//! so that whatever else the machine does hits all alike; medians count.
//!
//! ```text
//! cargo run --release --example scene_cuts -- examples/ep01.vpy VIDEO... --known examples/scene_cuts/known
//! ```
//!
//! A video's own cuts are taken from `NAME.cuts.json` in `--known` or beside it:
//! `{"frames": 480, "cuts": [60, 108]}`. Without that file they
//! count as wrong for every method alike, so give it for videos that have cuts.

mod judge;
mod make;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use progression_boost::analysis::Detector;

use judge::{METHODS, Score};

#[derive(Parser)]
struct Args {
    /// Videos and scripts to take pieces from.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// One test clip is made from each.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// Pieces in a test clip.
    #[arg(long, default_value_t = 60)]
    pieces: usize,
    /// Where the test clips go.
    #[arg(long, default_value = "target/scene-cuts")]
    out: PathBuf,
    /// Folder of NAME.cuts.json files.
    #[arg(long)]
    known: Option<PathBuf>,
    /// Only methods whose name contains this.
    #[arg(long, default_value = "")]
    method: String,
    /// Times every method runs on every clip.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Say which cuts are missed and which are wrong.
    #[arg(long)]
    say: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    let inputs = args
        .inputs
        .iter()
        .map(|path| make::input(path, args.known.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    let mut sets = Vec::new();
    for &seed in &args.seeds {
        let (video, truth) = make::set(&inputs, seed, args.pieces, &args.out)?;
        eprintln!("{}: {} frames, {} cuts", video.display(), truth.frames, truth.cuts.len() - 1);
        sets.push((video, truth));
    }
    let chosen = METHODS.iter().filter(|(name, detector)| detector.is_none() || name.contains(&args.method));
    let mut methods: Vec<_> = chosen.map(|&(name, detector)| (name, detector, Score::default())).collect();
    for round in 1..=args.rounds.max(1) {
        for (name, detector, score) in &mut methods {
            eprintln!("round {round}: {name}");
            judge::round(*detector, &sets, args.say, score)?;
        }
    }
    let frames: usize = sets.iter().map(|(_, truth)| truth.frames).sum();
    print(&methods, frames);
    Ok(())
}

/// The Markdown table; the first method is decoding alone.
fn print(methods: &[(&str, Option<Detector>, Score)], frames: usize) {
    println!("| method | recall | precision | F1 | frames per second | time against decoding |");
    println!("|---|---|---|---|---|---|");
    for (name, detector, score) in methods {
        if let Some(reason) = &score.unavailable {
            println!("| {name} | – | – | – | – | {reason} |");
            continue;
        }
        let seconds = score.median_seconds();
        let found = if detector.is_some() {
            format!("{:.3} | {:.3} | {:.3}", score.recall(), score.precision(), score.f1())
        } else {
            "– | – | –".to_owned()
        };
        let times = seconds / methods[0].2.median_seconds();
        println!("| {name} | {found} | {:.0} | {times:.2}× |", frames as f64 / seconds);
    }
}
