//! How the time to split a clip grows with its length.
//!
//! Random motion with a cut every 33 frames on average, so 30,000 cuts in a
//! million frames; a still clip, in which nothing but length decides; and scores
//! that rise throughout, so that every split is at the far end. The median of
//! five runs each.
//!
//! ```text
//! cargo run --release --example splitting
//! ```

use std::time::Instant;

use progression_boost::scenes::{SplitParams, split};

const LENGTHS: [usize; 5] = [10_000, 30_000, 100_000, 300_000, 1_000_000];
const RUNS: usize = 5;

fn main() -> anyhow::Result<()> {
    let params = SplitParams::new(264, 12, 60)?;
    println!("| frames | cuts | scenes | seconds | µs per frame | still, seconds | rising, seconds |");
    println!("|---|---|---|---|---|---|---|");
    for length in LENGTHS {
        let (scores, cuts) = motion(length);
        let scenes = split(&scores, params).len();
        let seconds = median(&scores, params);
        let still = median(&vec![0.0; length], params);
        let rising: Vec<f64> = (0..length).map(|n| 1.0 + n as f64 / length as f64).collect();
        let rising = median(&rising, params);
        println!(
            "| {length} | {cuts} | {scenes} | {seconds:.4} | {:.3} | {still:.4} | {rising:.4} |",
            seconds * 1e6 / length as f64
        );
    }
    Ok(())
}

fn median(scores: &[f64], params: SplitParams) -> f64 {
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(split(std::hint::black_box(scores), params));
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[RUNS / 2]
}

/// Scores of a clip and how many of its frames are cuts; always the same ones.
fn motion(length: usize) -> (Vec<f64>, usize) {
    let mut state = 1u64;
    let mut next = move || {
        // Knuth's MMIX generator; its high bits are good enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut cuts = 0;
    let scores = (0..length)
        .map(|_| {
            let diff = next() * 0.05;
            if next() < 1.0 / 33.3 {
                cuts += 1;
                1.05 + next() * 0.35 + diff
            } else {
                diff
            }
        })
        .collect();
    (scores, cuts)
}
