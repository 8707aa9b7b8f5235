//! How well do the scene detectors find cuts?
//!
//! Joins pieces of the videos it is given (any that VapourSynth opens, scripts
//! too) into test clips with known cuts, dissolves, fades, flashes, pans, zooms
//! and grain; then runs every method and prints recall, precision, F1 and frames
//! per second as a Markdown table. The same seeds and inputs make the same clips.
//!
//! ```text
//! cargo run --release --example scene_cuts -- examples/ep01.vpy VIDEO...
//! ```
//!
//! A video's own cuts are taken from `NAME.cuts.json` beside it (or in
//! `--known`): `{"frames": 480, "cuts": [60, 108]}`. Without that file they
//! count as wrong for every method alike, so give it for videos that have cuts.

mod judge;
mod make;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

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
    /// Folder of the NAME.cuts.json files.
    #[arg(long)]
    known: Option<PathBuf>,
    /// Only methods whose name contains this.
    #[arg(long, default_value = "")]
    method: String,
    /// Times every method runs on every clip; the median speed counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
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
    println!("| method | recall | precision | F1 | frames per second |");
    println!("|---|---|---|---|---|");
    for (name, detector) in METHODS.iter().filter(|(name, _)| name.contains(&args.method)) {
        let mut score = Score::default();
        let mut reason = None;
        if args.say {
            eprintln!("{name}:");
        }
        for (video, truth) in &sets {
            reason = judge::judge(*detector, video, truth, args.repeats, args.say, &mut score)?;
            if reason.is_some() {
                break;
            }
        }
        if let Some(reason) = reason {
            println!("| {name} | – | – | – | {reason} |");
            continue;
        }
        let speed = score.frames as f64 / score.seconds.iter().sum::<f64>();
        if detector.is_none() {
            println!("| {name} | – | – | – | {speed:.0} |");
        } else {
            let (recall, precision, f1) = (score.recall(), score.precision(), score.f1());
            println!("| {name} | {recall:.3} | {precision:.3} | {f1:.3} | {speed:.0} |");
        }
    }
    Ok(())
}
