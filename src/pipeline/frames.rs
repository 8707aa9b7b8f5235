//! The source side of scoring: frames kept as they pass by on their way to the
//! first probe, or fetched again when they were not kept.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::scenes::Scene;
use crate::source::{Clip, LumaGrid, LumaSample, PackedPicture, Picture};
use crate::support::cancel::Cancel;

/// Which frames of a scene to keep while they pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    /// Offsets from the scene's first frame, rising.
    Offsets(Vec<usize>),
    All,
}

impl Keep {
    /// Bytes this keeps of a scene with `frames` pictures of `picture` bytes.
    pub fn bytes(&self, frames: usize, picture: usize) -> u64 {
        let count = match self {
            Self::Nothing => 0,
            Self::Offsets(offsets) => offsets.len(),
            Self::All => frames,
        };
        (count * picture) as u64
    }

    fn wants(&self, offset: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Offsets(offsets) => offsets.binary_search(&offset).is_ok(),
            Self::All => true,
        }
    }
}

/// What is kept of one scene's source; shared between the threads that work on it.
#[derive(Debug, Default)]
pub struct Kept {
    /// By offset.
    pictures: Mutex<BTreeMap<usize, Arc<PackedPicture>>>,
    /// Of the first frames that passed, all of them in the end.
    luma: Mutex<Arc<Vec<LumaSample>>>,
}

impl Kept {
    fn insert(&self, offset: usize, picture: Arc<PackedPicture>) {
        self.pictures().insert(offset, picture);
    }

    fn pictures(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<PackedPicture>>> {
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the luma of a frame that passes by, if it is the next one.
    fn see(&self, offset: usize, grid: &LumaGrid, picture: &Picture) -> Result<()> {
        let mut luma = self.luma.lock().unwrap_or_else(PoisonError::into_inner);
        if luma.len() == offset {
            Arc::make_mut(&mut luma).push(grid.sample(picture)?);
        }
        Ok(())
    }

    /// The luma of all `frames` of the scene, if they passed by.
    pub fn luma(&self, frames: usize) -> Option<Arc<Vec<LumaSample>>> {
        let luma = self.luma.lock().unwrap_or_else(PoisonError::into_inner);
        (luma.len() == frames).then(|| Arc::clone(&luma))
    }

    pub fn get(&self, offset: usize) -> Option<Arc<PackedPicture>> {
        self.pictures().get(&offset).cloned()
    }

    /// Lets everything but `offsets` (rising) go.
    pub fn retain(&self, offsets: &[usize]) {
        self.pictures().retain(|offset, _| offsets.binary_search(offset).is_ok());
    }

    /// Lets `offsets` (rising) go.
    pub fn remove(&self, offsets: &[usize]) {
        self.pictures().retain(|offset, _| offsets.binary_search(offset).is_err());
    }

    pub fn clear(&self) {
        self.pictures().clear();
        *self.luma.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }
}

/// The pictures of a scene in order, each kept if wanted, and its luma at the
/// places of `grid`.
pub fn pass_by<'a>(
    clip: &Clip,
    scene: Scene,
    keep: &'a Keep,
    grid: Option<&'a LumaGrid>,
    kept: &'a Kept,
    cancel: &Cancel,
) -> impl Iterator<Item = Result<Arc<Picture>>> + use<'a> {
    let frames = clip.frames_of(scene.start..scene.end, cancel);
    frames.enumerate().map(move |(offset, frame)| {
        let picture = Arc::new(frame?.to_picture());
        if let Some(grid) = grid {
            kept.see(offset, grid, &picture)?;
        }
        if keep.wants(offset) {
            kept.insert(offset, Arc::new(picture.pack()));
        }
        Ok(picture)
    })
}

/// The pictures at `offsets` (rising): kept ones, the others rendered again.
pub fn collect(
    clip: &Clip,
    scene: Scene,
    offsets: &[usize],
    kept: &Kept,
    cancel: &Cancel,
) -> Result<Vec<Arc<PackedPicture>>> {
    let mut pictures: Vec<Option<Arc<PackedPicture>>> = offsets.iter().map(|&o| kept.get(o)).collect();
    for range in runs(offsets, &pictures) {
        let first = scene.start + offsets[range.start];
        let end = first + range.len();
        let frames = clip.frames_of(first..end, cancel);
        for (slot, frame) in pictures[range].iter_mut().zip(frames) {
            *slot = Some(Arc::new(frame?.to_picture().pack()));
        }
    }
    pictures.into_iter().collect::<Option<Vec<_>>>().context("a source frame was not rendered")
}

/// Stretches of missing pictures with consecutive offsets, as index ranges.
fn runs(offsets: &[usize], pictures: &[Option<Arc<PackedPicture>>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for index in (0..offsets.len()).filter(|&i| pictures[i].is_none()) {
        match found.last_mut() {
            Some(run) if run.end == index && offsets[index - 1] + 1 == offsets[index] => run.end += 1,
            _ => found.push(index..index + 1),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_frames_are_fetched_in_consecutive_runs() {
        let here = Some(Arc::new(Picture::filled(2, 2, 8, 0, 0).pack()));
        let offsets = [0, 3, 4, 5, 9, 10];
        let pictures = [None, None, None, here, None, None];
        assert_eq!(runs(&offsets, &pictures), [0..1, 1..3, 4..6]);
    }

    #[test]
    fn what_is_kept_is_counted() {
        assert_eq!(Keep::All.bytes(100, 10), 1000);
        assert_eq!(Keep::Offsets(vec![1, 5]).bytes(100, 10), 20);
        assert!(Keep::Offsets(vec![1, 5]).wants(5) && !Keep::Offsets(vec![1, 5]).wants(4));
    }
}
