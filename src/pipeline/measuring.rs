//! Measures an encode of a scene: decodes it once, in order, while the frames
//! that are wanted are compared with the source side by side.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use super::candidate::Candidate;
use super::frames::{self, Keep};
use super::readers::Readers;
use super::selection::{FrameScores, Measured, Sample, Selection};
use crate::encoder::Purpose;
use crate::probe::decode::{ProbeFrames, Undecodable};
use crate::score::{Measurement, SceneReference, select};
use crate::source::{LumaGrid, LumaSample, Picture};
use crate::support::cancel::Cancel;
use crate::support::permits::Permits;

/// What measuring needs of a run.
#[derive(Clone, Copy)]
pub struct Measuring<'a> {
    /// The clip as the encoder takes it.
    pub readers: &'a Readers<'a>,
    /// Measures frames side by side.
    pub pool: &'a rayon::ThreadPool,
    /// Bounds the pictures that are decoded and wait, of all scenes together.
    pub decoded: &'a Permits,
    pub cancel: &'a Cancel,
}

/// What was measured, by offset, and the mean squared luma error of every frame.
type Pass = (Vec<(usize, Measurement)>, Vec<f32>);

/// The luma of the source at every frame of a scene, to compare an encode with.
struct SourceLuma<'a> {
    grid: &'a LumaGrid,
    samples: Arc<Vec<LumaSample>>,
}

impl Measuring<'_> {
    /// Measures an encode of the scene, an IVF at `path`.
    pub fn measure(&self, candidate: &Candidate<'_>, path: &Path, purpose: Purpose) -> Result<Measured> {
        match &candidate.selection {
            Selection::Picked(_) => {
                let offsets = self.picked(candidate, path)?;
                let (frames, _) = self.pass(candidate, path, &offsets, None)?;
                Ok(Measured { frames, ..Measured::default() })
            }
            Selection::Sampled(sample) => self.sampled(candidate, sample, path, purpose),
        }
    }

    /// Measures as many frames as the scene needs for its score to be precise.
    fn sampled(
        &self,
        candidate: &Candidate<'_>,
        sample: &Sample,
        path: &Path,
        purpose: Purpose,
    ) -> Result<Measured> {
        let luma = SourceLuma { grid: &candidate.grid, samples: self.source_luma(candidate)? };
        let first = sample.beginning(candidate.count(purpose));
        let (frames, errors) = self.pass(candidate, path, first, Some(&luma))?;
        let mut measured = Measured { frames, suspects: Vec::new(), errors };
        loop {
            let scores: FrameScores = candidate.frame_scores(&measured)?;
            let more = sample.more(&scores, &measured.errors, purpose);
            if more.is_empty() {
                return Ok(measured);
            }
            let wanted: Vec<usize> = more.sample.iter().chain(&more.suspects).copied().collect();
            let (mut frames, _) = self.pass(candidate, path, &wanted, None)?;
            measured.suspects.extend(frames.split_off(more.sample.len()));
            measured.frames.extend(frames);
        }
    }

    /// Of every frame of the scene; rendered again when it was not kept.
    fn source_luma(&self, candidate: &Candidate<'_>) -> Result<Arc<Vec<LumaSample>>> {
        let frames = candidate.planned.scene.frames();
        if let Some(kept) = candidate.kept.luma(frames) {
            return Ok(kept);
        }
        let grid = Some(&*candidate.grid);
        let scene = candidate.planned.scene;
        let reader = self.readers.take();
        for frame in frames::pass_by(&reader.clip, scene, &Keep::Nothing, grid, &candidate.kept, self.cancel)
        {
            frame?;
        }
        candidate.kept.luma(frames).context("the source is shorter than its scene")
    }

    /// The offsets to measure, rising; decided now when they depend on the probe.
    fn picked(&self, candidate: &Candidate<'_>, path: &Path) -> Result<Vec<usize>> {
        if let Some(offsets) = &candidate.progress().picked {
            return Ok(offsets.clone());
        }
        let Selection::Picked(selection) = &candidate.selection else {
            unreachable!("only picked frames depend on the probe")
        };
        let probe_diff = self.probe_differences(candidate, path)?;
        let start = candidate.planned.scene.start;
        let known = select::SceneDiffs { start, diff: candidate.diff, probe_diff: Some(&probe_diff) };
        let offsets = select::frames(&known, selection)?;
        candidate.kept.retain(&offsets);
        candidate.progress().picked = Some(offsets.clone());
        Ok(offsets)
    }

    /// Mean absolute luma difference between source and probe, every frame.
    fn probe_differences(&self, candidate: &Candidate<'_>, path: &Path) -> Result<Vec<f64>> {
        let scene = candidate.planned.scene;
        let all: Vec<usize> = (0..scene.frames()).collect();
        let mut decoded = ProbeFrames::open(path, all.clone(), 1).context(Undecodable)?;
        let mut diffs = Vec::with_capacity(all.len());
        let nothing = Keep::Nothing;
        let (mut again, mut reader) = (None, None);
        for offset in all {
            let probe = decoded.next().context("the probe is shorter than its scene").flatten();
            let (_, probe) = probe.context(Undecodable)?;
            let source = match candidate.kept.get(offset) {
                Some(kept) => Arc::new(kept.unpack()),
                None => again
                    .get_or_insert_with(|| {
                        let rest = crate::scenes::Scene { start: scene.start + offset, end: scene.end };
                        let reader = reader.insert(self.readers.take());
                        frames::pass_by(&reader.clip, rest, &nothing, None, &candidate.kept, self.cancel)
                    })
                    .next()
                    .context("the source is shorter than its scene")??,
            };
            diffs.push(source.luma_difference(&probe)?);
        }
        Ok(diffs)
    }

    /// For each of `offsets`, the prepared source and its index there.
    fn references(
        &self,
        candidate: &Candidate<'_>,
        offsets: &[usize],
    ) -> Result<Vec<(Arc<dyn SceneReference>, usize)>> {
        let mut missing = candidate.progress().references.missing(offsets);
        if !missing.is_empty() {
            missing.sort_unstable();
            let reader = self.readers.take();
            let pictures = frames::collect(
                &reader.clip,
                candidate.planned.scene,
                &missing,
                &candidate.kept,
                self.cancel,
            )?;
            candidate.kept.remove(&missing);
            let prepared: Arc<dyn SceneReference> = Arc::from(candidate.backend.scene(&pictures)?);
            candidate.progress().references.add(missing, prepared);
        }
        candidate.progress().references.of(offsets).context("a frame of the source was not prepared")
    }

    /// Decodes the encode and measures `offsets`, in any order and given back in
    /// it, while the decoder goes on. With the `luma` of the source every frame
    /// is decoded, and its mean squared error is the second result.
    fn pass(
        &self,
        candidate: &Candidate<'_>,
        path: &Path,
        offsets: &[usize],
        luma: Option<&SourceLuma<'_>>,
    ) -> Result<Pass> {
        let references = self.references(candidate, offsets)?;
        let results: Vec<Mutex<Option<Result<Measurement>>>> =
            offsets.iter().map(|_| Mutex::new(None)).collect();
        let mut errors = Vec::new();
        let decode = match luma {
            Some(luma) => (0..luma.samples.len()).collect(),
            None => offsets.to_vec(),
        };
        let decoded = ProbeFrames::open(path, decode, 1).context(Undecodable)?;
        self.pool.in_place_scope(|scope| -> Result<()> {
            for item in decoded {
                self.cancel.check()?;
                let (offset, picture) = item.context(Undecodable)?;
                if let Some(luma) = luma {
                    let seen = luma.grid.sample(&picture)?;
                    errors.push(luma.samples[offset].mean_squared_error(&seen)? as f32);
                }
                let Some(index) = offsets.iter().position(|wanted| *wanted == offset) else { continue };
                let permit = self.decoded.acquire();
                let (slot, (reference, at)) = (&results[index], &references[index]);
                scope.spawn(move |_| {
                    let _permit = permit;
                    let picture: Arc<Picture> = Arc::new(picture);
                    let measured = reference.measure(*at, &picture);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
                });
            }
            Ok(())
        })?;
        if let Some(luma) = luma {
            let (found, wanted) = (errors.len(), luma.samples.len());
            ensure!(found == wanted, "the encode has {found} of the {wanted} frames of its scene");
        }
        let measured = offsets.iter().zip(results).map(|(&offset, slot)| {
            let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            let measured = result.with_context(|| format!("the probe ends before its frame {offset}"))?;
            Ok((offset, measured.with_context(|| format!("frame {offset} of the scene"))?))
        });
        Ok((measured.collect::<Result<_>>()?, errors))
    }
}
