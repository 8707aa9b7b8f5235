//! Runs every method on a set and counts what it finds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use progression_boost::analysis::{
    Analysis, AnalysisOptions, Detector, FirstPass, Plugin, analyse, unavailable,
};
use progression_boost::source::Clip;
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

use crate::make::{Truth, open};

pub const METHODS: [(&str, Option<Detector>); 7] = [
    ("decoding alone", None),
    ("builtin", Some(Detector::Builtin)),
    ("av1an (standard)", Some(Detector::Av1an)),
    ("av1an_fast", Some(Detector::Av1anFast)),
    ("x264's first pass", Some(Detector::X264)),
    ("scxvid", Some(Detector::Scxvid)),
    ("wwxd", Some(Detector::Wwxd)),
];

/// What a method found in all sets so far.
#[derive(Debug, Default)]
pub struct Score {
    pub found: usize,
    pub missed: usize,
    pub wrong: usize,
    /// Seconds all sets took, one entry a round.
    pub seconds: Vec<f64>,
    /// Why the method cannot run.
    pub unavailable: Option<String>,
}

impl Score {
    pub fn recall(&self) -> f64 {
        self.found as f64 / (self.found + self.missed).max(1) as f64
    }

    pub fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.wrong).max(1) as f64
    }

    pub fn f1(&self) -> f64 {
        let (r, p) = (self.recall(), self.precision());
        if r + p > 0.0 { 2.0 * r * p / (r + p) } else { 0.0 }
    }

    /// Median of the rounds.
    pub fn median_seconds(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Runs one method on all sets and adds the time; the first round counts what it finds, too.
pub fn round(
    detector: Option<Detector>,
    sets: &[(PathBuf, Truth)],
    say: bool,
    score: &mut Score,
) -> Result<()> {
    let mut total = 0.0;
    for (video, truth) in sets {
        // A fresh clip: nothing of the pass before is cached.
        let clip = open(video)?;
        for plugin in [Plugin::Wwxd, Plugin::Scxvid].into_iter().filter(|p| detector == Some(p.detector())) {
            score.unavailable = unavailable(plugin, clip.session());
        }
        let mut first_pass = None;
        if detector == Some(Detector::X264) {
            match FirstPass::open(Path::new("x264"), &Cancel::new()) {
                Ok(pass) => first_pass = Some(pass.with(0..clip.info().frames)),
                Err(error) => score.unavailable = Some(format!("{error:#}")),
            }
        }
        if score.unavailable.is_some() {
            return Ok(());
        }
        let started = Instant::now();
        let Some(detector) = detector else {
            decode(&clip)?;
            total += started.elapsed().as_secs_f64();
            continue;
        };
        let wanted = BTreeSet::from([detector]);
        let options = AnalysisOptions { first_pass: first_pass.as_ref(), ..AnalysisOptions::default() };
        let analysis = analyse(&clip, &wanted, options, &Events::silent(), &Cancel::new())?;
        total += started.elapsed().as_secs_f64();
        if score.seconds.is_empty() {
            count(&frames(&analysis, detector), truth, say, score);
        }
    }
    score.seconds.push(total);
    Ok(())
}

fn decode(clip: &Clip) -> Result<()> {
    for frame in clip.frames(0..clip.info().frames, 32, &Cancel::new()) {
        std::hint::black_box(frame?.width(0));
    }
    Ok(())
}

fn frames(analysis: &Analysis, detector: Detector) -> Vec<usize> {
    let flags: Vec<bool> = match detector {
        Detector::Builtin => analysis.builtin.iter().flat_map(|b| b.cuts.clone()).collect(),
        Detector::Av1an => analysis.av1an.iter().flatten().map(|f| f.cut).collect(),
        Detector::Av1anFast => analysis.av1an_fast.iter().flatten().map(|f| f.cut).collect(),
        Detector::Scxvid => analysis.scxvid.clone().unwrap_or_default(),
        Detector::Wwxd => analysis.wwxd.clone().unwrap_or_default(),
        Detector::X264 => analysis.x264.clone().unwrap_or_default(),
        Detector::Props => analysis.props.clone().unwrap_or_default(),
    };
    // Frame 0 begins the clip, whatever a detector thinks of it.
    flags.iter().enumerate().skip(1).filter(|(_, cut)| **cut).map(|(n, _)| n).collect()
}

/// A cut counts when it is on the very frame.
fn count(cuts: &[usize], truth: &Truth, say: bool, score: &mut Score) {
    let wanted: BTreeSet<usize> = truth.cuts.iter().copied().filter(|&c| c > 0).collect();
    let found: BTreeSet<usize> = cuts.iter().copied().collect();
    score.found += wanted.intersection(&found).count();
    score.missed += wanted.difference(&found).count();
    score.wrong += found.difference(&wanted).count();
    if say {
        let near = |n: usize| {
            let kinds: Vec<&str> = truth
                .stretches
                .iter()
                .filter(|s| s.start <= n + 1 && n <= s.end + 1)
                .map(|s| s.kind.as_str())
                .collect();
            kinds.join(", ")
        };
        for n in wanted.difference(&found) {
            eprintln!("  missed {n} {}", near(*n));
        }
        for n in found.difference(&wanted) {
            eprintln!("  wrong {n} {}", near(*n));
        }
    }
}
