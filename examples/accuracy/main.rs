//! How close finished scenes come to their target, and what boosting buys.
//!
//! ```text
//! cargo build --release
//! cargo run --release --example accuracy -- CLIP... [OPTIONS]
//! ```
//!
//! Every clip is boosted by every variant, encoded with the scenes found, and
//! **every frame** of the result is scored: SSIMULACRA2 by vszip from a Python of
//! its own (`independent.py`), which shares no code with the program;
//! Butteraugli by `verify --json`, as no other CPU implementation is at hand. A
//! scene's score is what the preset aims at, over all of its frames: M, the harmonic
//! mean (floored at 15) or the root mean cube, with the worst share by
//! `metric.tail_weight`, or the worst frame; its error is score − target. Scenes whose CRF lies on a bound are
//! counted apart. `--av1an` adds av1an's target quality on the same scenes, and
//! `--allocations` compares with one CRF for the whole clip at the same size.
//!
//! Scripts are rendered to a file once, so that drawing a clip counts for nobody.
//! CPU seconds are those of all processes of a step, encoders included, and need Unix.
//! Other work on the machine blurs them, wall time more so.

mod allocations;
mod av1an;
mod bare;
mod bench;
mod clip;
mod judge;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use bench::Bench;
use clip::Clip;

/// How close finished scenes come to their target, and what boosting buys.
#[derive(Debug, Parser)]
pub struct Options {
    /// VapourSynth scripts or videos (read as BT.709, limited range)
    #[arg(required = true)]
    pub clips: Vec<PathBuf>,
    /// SvtAv1EncApp to use [default: the one on the PATH]
    #[arg(long)]
    pub encoder: Option<PathBuf>,
    #[arg(long, default_value = "ssimu2-mean")]
    pub preset: String,
    #[arg(long, default_value_t = 78.0)]
    pub target: f64,
    /// SVT-AV1 preset of the probes
    #[arg(long, default_value_t = 7)]
    pub probing: i32,
    /// SVT-AV1 preset of the final encode
    #[arg(long = "final", default_value_t = 5)]
    pub last: i32,
    /// metric.tail_weight; 0 makes M itself the target
    #[arg(long)]
    pub tail_weight: Option<f64>,
    /// Something to compare: a name and further arguments of progression-boost, such as
    /// "reference=--set model.kind=reference"; with "--boost" as the first argument by `encode --boost`, in one
    /// run ("closed=--boost --max-redo 10%"); repeatable [default: the preset as it is]
    #[arg(long, value_name = "NAME=ARGS")]
    pub variant: Vec<String>,
    /// progression-boost to measure [default: the one beside this example's folder]
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// Compare with this av1an's target quality (SSIMULACRA2 only)
    #[arg(long)]
    pub av1an: Option<PathBuf>,
    /// Python that has VapourSynth, BestSource and vszip
    #[arg(long, default_value = "python3")]
    pub python: PathBuf,
    /// Encoders at once
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Also compare with one CRF for the whole clip at the same size
    #[arg(long)]
    pub allocations: bool,
    /// Write everything, scene by scene, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// Something to compare.
#[derive(Debug, Clone)]
pub struct Variant {
    pub name: String,
    pub args: Vec<String>,
}

impl Variant {
    /// The other arguments of a variant that boosts and encodes in one run.
    pub fn closed(&self) -> Option<&[String]> {
        self.args.split_first().filter(|(first, _)| *first == "--boost").map(|(_, rest)| rest)
    }
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    let variants = variants(&options.variant)?;
    let bench = Bench::new(options)?;
    let (mut rows, mut allocations) = (Vec::new(), Vec::new());
    for path in &bench.options.clips {
        let clip = Clip::prepare(&bench, path).with_context(|| path.display().to_string())?;
        let mut bare = None;
        for variant in &variants {
            eprintln!("{}, {} …", clip.name, variant.name);
            let what = || format!("{}, {}", clip.name, variant.name);
            let row = bench.row(&clip, variant, &mut bare).with_context(what)?;
            if bench.options.allocations {
                allocations.extend(bench.compare_sizes(&clip, &row).with_context(what)?);
            }
            rows.push(row);
        }
        if let (Some(program), Some(row)) = (&bench.options.av1an, rows.last()) {
            eprintln!("{}, av1an …", clip.name);
            // It may be unable to run here, which is worth a line, not the other results.
            match bench.av1an(&clip, program, row) {
                Ok(row) => rows.push(row),
                Err(error) => println!("av1an on {}: {error:#}\n", clip.name),
            }
        }
        bench.write_json(&rows, &allocations)?;
    }
    print!("{}", table::accuracy(&rows));
    if !allocations.is_empty() {
        print!("\n{}", table::allocations(&allocations));
    }
    println!("\n{}", bench.described());
    Ok(())
}

fn variants(typed: &[String]) -> Result<Vec<Variant>> {
    if typed.is_empty() {
        return Ok(vec![Variant { name: "preset".to_owned(), args: Vec::new() }]);
    }
    let parsed = typed.iter().map(|text| {
        let (name, args) = text.split_once('=').unwrap_or((text, ""));
        ensure!(!name.is_empty(), "variant {text:?}: must be NAME=ARGS");
        let args = shell_words::split(args).with_context(|| format!("variant {text:?}"))?;
        Ok(Variant { name: name.to_owned(), args })
    });
    parsed.collect()
}
