//! Which frames of a scene are measured, and how they become its score.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::encoder::Purpose;
use crate::scenes::Scene;
use crate::score::estimate::{self, Estimate};
use crate::score::functional::Functional;
use crate::score::{self, Measurement, Pooled, sample, select};
use crate::settings::{FrameSelection, Metric, MetricSettings, Pooling, Repeats};

/// From this tail weight on, frames that are expected to be worst are measured
/// besides the sample. They have to be rendered again, because nobody knew of them
/// when they passed by: below, further frames of the sample are worth more
/// (docs/accuracy.md).
const SUSPECTED_FROM: f64 = 0.5;
/// Suspects for each frame of the sample.
const SUSPECTS: f64 = 0.5;
/// An encode as the final one is measured by up to this many times the frames of a
/// probe, until the error is this much smaller: it is what a scene's solution goes
/// by, and costs far more than measuring it.
const FINER: usize = 2;

/// What the metric said about an encode of a scene, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Offset from the scene's first frame, and what was measured there.
    pub frames: Vec<(usize, Measurement)>,
    /// The same of frames that were measured because they were expected to be bad.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<(usize, Measurement)>,
    /// Mean squared luma error of every frame of the scene; empty where frames are picked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<f32>,
}

/// The score of an encode of a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    pub pooled: Pooled,
    /// Its standard error in the metric's unit; 0 where it is not known.
    pub error: f64,
}

/// How a scene is measured.
#[derive(Debug)]
pub enum Selection {
    /// Frames picked by their differences and pooled (spec 03).
    Picked(FrameSelection),
    /// A representative sample that stands for all frames (spec 11).
    Sampled(Sample),
}

/// The representative sample of a scene.
#[derive(Debug)]
pub struct Sample {
    functional: Functional,
    /// By frame.
    weights: Vec<f64>,
    /// Offsets in the order in which they are measured.
    order: Vec<usize>,
    /// How many of them are measured at first.
    first: usize,
    /// How many a probe is measured by at most.
    most: usize,
    /// The standard error that is small enough for a probe, in the metric's unit.
    precision: f64,
}

/// Frames to measure besides those that were.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct More {
    pub sample: Vec<usize>,
    /// Rising.
    pub suspects: Vec<usize>,
}

impl More {
    pub fn is_empty(&self) -> bool {
        self.sample.is_empty() && self.suspects.is_empty()
    }
}

impl Selection {
    /// For a scene whose frames differ by `diff` from the ones before (the first
    /// one's belongs to the scene before).
    pub fn new(scene: Scene, diff: &[f64], settings: &MetricSettings) -> Self {
        if settings.pooling != Pooling::Mean {
            return Self::Picked(settings.frames);
        }
        let weights = weights(diff, settings.sample.repeats);
        let sampling = settings.sample;
        let most = sampling.most_frames.max(sampling.frames);
        let order = sample::frames(scene.start, &weights, FINER * most);
        Self::Sampled(Sample {
            functional: Functional::new(settings.metric, settings.tail),
            first: sampling.frames.min(order.len()),
            most: most.min(order.len()),
            weights,
            order,
            precision: sampling.precision.unwrap_or_else(|| precision(settings)),
        })
    }

    /// The score of an encode whose frames scored so.
    pub fn score(&self, scores: &FrameScores, errors: &[f32], settings: &MetricSettings) -> Result<Scores> {
        match self {
            Self::Picked(_) => Ok(Scores { pooled: score::pool(&scores.frames, settings)?, error: 0.0 }),
            Self::Sampled(sample) => {
                let estimate = sample.estimate(scores, errors);
                Ok(Scores { pooled: estimate.parts.pooled, error: estimate.error })
            }
        }
    }

    /// The offsets that can be told before anything is encoded, rising; `None`
    /// when they depend on the first probe.
    pub fn known(&self, scene: Scene, diff: &[f64]) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Picked(selection) if select::needs_probe(selection) => Ok(None),
            Self::Picked(selection) => {
                let known = select::SceneDiffs { start: scene.start, diff, probe_diff: None };
                Ok(Some(select::frames(&known, selection)?))
            }
            Self::Sampled(sample) => Ok(Some(sample.all(Purpose::Probing))),
        }
    }
}

/// What the frames of a scene weigh.
pub fn weights(diff: &[f64], repeats: Repeats) -> Vec<f64> {
    let weight = |(offset, diff): (usize, &f64)| match repeats {
        Repeats::Skip if offset > 0 && *diff == 0.0 => 0.0,
        _ => 1.0,
    };
    diff.iter().enumerate().map(weight).collect()
}

/// The standard error that is small enough, where the preset does not say.
fn precision(settings: &MetricSettings) -> f64 {
    match settings.metric {
        Metric::Ssimu2 => 0.35,
        _ => 0.015 * settings.target,
    }
}

impl Sample {
    /// Offsets in the order in which they are measured, `count` of them.
    pub fn beginning(&self, count: usize) -> &[usize] {
        &self.order[..count.min(self.order.len())]
    }

    /// How many frames are measured of a scene that nothing is known about.
    pub fn first(&self) -> usize {
        self.first
    }

    /// How many frames an encode is measured by at most.
    fn most(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Probing => self.most,
            Purpose::Final => self.order.len(),
        }
    }

    /// The standard error that is small enough, in the metric's unit.
    fn precision(&self, purpose: Purpose) -> f64 {
        match purpose {
            Purpose::Probing => self.precision,
            Purpose::Final => self.precision / FINER as f64,
        }
    }

    /// Offsets of all frames that may be measured, rising.
    pub fn all(&self, purpose: Purpose) -> Vec<usize> {
        let mut offsets = self.order[..self.most(purpose)].to_vec();
        offsets.sort_unstable();
        offsets
    }

    pub fn estimate(&self, scores: &FrameScores, errors: &[f32]) -> Estimate {
        let errors: Vec<f64> = errors.iter().map(|&error| f64::from(error)).collect();
        self.functional.estimate(&self.scene(scores, &errors))
    }

    fn scene<'a>(&'a self, scores: &'a FrameScores, errors: &'a [f64]) -> estimate::Scene<'a> {
        let (sample, suspects) = (&scores.frames, &scores.suspects);
        estimate::Scene { weights: &self.weights, errors, sample, suspects }
    }

    /// What has to be measured besides, for the score to be as precise as wanted.
    pub fn more(&self, scores: &FrameScores, errors: &[f32], purpose: Purpose) -> More {
        let found = self.estimate(scores, errors);
        let count = scores.frames.len();
        let unsure = found.error > self.precision(purpose);
        let wanted = if unsure { self.enough(count, found.error, purpose) } else { count };
        let sample = self.order[count..wanted.max(count)].to_vec();
        let mut more = More { sample, suspects: Vec::new() };
        if self.functional.tail_weight() >= SUSPECTED_FROM && scores.suspects.is_empty() {
            let errors: Vec<f64> = errors.iter().map(|&error| f64::from(error)).collect();
            let suspected = (SUSPECTS * wanted as f64).ceil() as usize;
            let scene = self.scene(scores, &errors);
            // Those that the sample takes now anyway are none.
            more.suspects = self.functional.suspects(&scene, suspected + more.sample.len());
            more.suspects.retain(|offset| !more.sample.contains(offset));
            more.suspects.sort_by(|a, b| errors[*b].total_cmp(&errors[*a]));
            more.suspects.truncate(suspected);
            more.suspects.sort_unstable();
        }
        more
    }

    /// How many frames make the standard error small enough, after `count` left `error`.
    pub fn enough(&self, count: usize, error: f64, purpose: Purpose) -> usize {
        let (most, ratio) = (self.most(purpose), error / self.precision(purpose).max(1e-9));
        // Errors fall with the square root of the number.
        let wanted = (count as f64 * ratio * ratio).ceil().min(most as f64) as usize;
        let least = if ratio > 1.0 { count + 1 } else { self.first };
        wanted.max(least).min(most)
    }
}

/// The scores of measured frames by offset.
#[derive(Debug, Default)]
pub struct FrameScores {
    pub frames: Vec<(usize, f64)>,
    pub suspects: Vec<(usize, f64)>,
}

impl FrameScores {
    /// Of scene number `index`, which begins at frame `start`.
    ///
    /// # Errors
    /// When one is not a number; it names scene, frame and back end.
    pub fn of(
        measured: &Measured,
        settings: &MetricSettings,
        (index, start): (usize, usize),
        describe: impl Fn() -> String,
    ) -> Result<Self> {
        let of_frame = |(offset, measurement): &(usize, Measurement)| {
            let score = score::frame_score(measurement, settings.metric, &settings.mix);
            let score = score::check_finite(score, index, start + offset, &describe)?;
            Ok((*offset, score))
        };
        let all = |frames: &[(usize, Measurement)]| frames.iter().map(of_frame).collect::<Result<Vec<_>>>();
        Ok(Self { frames: all(&measured.frames)?, suspects: all(&measured.suspects)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn sampled(frames: usize, tail: f64) -> Sample {
        let mut metric = settings::resolve(&settings::Request::default()).unwrap().base.metric;
        metric.metric = Metric::Ssimu2;
        metric.pooling = Pooling::Mean;
        metric.tail.weight = tail;
        metric.sample.frames = 8;
        metric.sample.most_frames = 14;
        metric.sample.precision = None;
        let scene = Scene { start: 100, end: 100 + frames };
        match Selection::new(scene, &vec![0.01; frames], &metric) {
            Selection::Sampled(sample) => sample,
            Selection::Picked(_) => panic!("pooling mean samples"),
        }
    }

    fn scores(sample: &Sample, count: usize, score: impl Fn(usize) -> f64) -> FrameScores {
        let frames = sample.beginning(count).iter().map(|&offset| (offset, score(offset))).collect();
        FrameScores { frames, suspects: Vec::new() }
    }

    #[test]
    fn steady_scenes_need_no_more_frames_and_restless_ones_do() {
        let sample = sampled(200, 0.0);
        let steady = scores(&sample, 8, |offset| 80.0 + (offset % 3) as f64 * 0.01);
        // The deviation that is typical for damage 20 counts as two frames of eight.
        assert!(sample.more(&steady, &[1.0; 200], Purpose::Probing).sample.len() <= 2);
        let restless = scores(&sample, 8, |offset| 80.0 + (offset % 5) as f64 * 2.0);
        let more = sample.more(&restless, &[1.0; 200], Purpose::Probing);
        assert_eq!(more.sample, sample.order[8..14], "all that may be measured");
        assert!(more.suspects.is_empty());
        let all = scores(&sample, 14, |offset| 80.0 + (offset % 5) as f64 * 2.0);
        assert!(sample.more(&all, &[1.0; 200], Purpose::Probing).is_empty(), "there are no more");
        // What the scene's solution goes by is worth twice as many.
        let more = sample.more(&all, &[1.0; 200], Purpose::Final);
        assert_eq!((more.sample, sample.order.len()), (sample.order[14..28].to_vec(), 28));
    }

    #[test]
    fn where_the_worst_frames_decide_they_are_looked_for() {
        let sample = sampled(200, 1.0);
        let mut errors = [1.0_f32; 200];
        // Two frames that the sample does not have.
        let bad: Vec<usize> = (0..200).filter(|offset| !sample.order.contains(offset)).take(2).collect();
        for &offset in &bad {
            errors[offset] = 9.0;
        }
        let found = sample.more(&scores(&sample, 8, |_| 80.0), &errors, Purpose::Probing);
        assert!(bad.iter().all(|offset| found.suspects.contains(offset)), "{found:?}");
        assert!(found.suspects.iter().all(|offset| !found.sample.contains(offset)));
    }

    #[test]
    fn repeated_frames_weigh_nothing_when_they_are_skipped() {
        let diff = [0.0, 0.1, 0.0, 0.0, 0.2];
        assert_eq!(weights(&diff, Repeats::Skip), [1.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(weights(&diff, Repeats::Count), [1.0; 5]);
    }
}
