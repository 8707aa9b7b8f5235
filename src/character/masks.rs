//! The maps of a scene, and how they are kept for a later run.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use half::f16;
use ndarray::Array2;

use super::hierarchy::STEP;
use super::mask::FrameMap;
use crate::formats::blocks::Blocks;
use crate::support::atomic;
use crate::support::fingerprint::Fingerprint;

/// What segmentation found in a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneMasks {
    blocks: Blocks,
    frames: usize,
    coverage: f64,
    /// Rising offsets from the scene's start, beginning with 0, and their maps.
    maps: Vec<(usize, Array2<f32>)>,
}

/// Begins every stored file; the digit is the version of the layout.
const MAGIC: &[u8; 4] = b"PBM1";

/// Names the masks that the network `model` makes of a given source: stored
/// ones are good for a later run as long as this and the source stay the same.
pub fn masks_key(model: &Path) -> Result<Fingerprint> {
    Ok(Fingerprint::of(&(MAGIC, Fingerprint::of_file(model)?)))
}

/// Larger grids are no picture that AV1 can carry (65536 pixels a side).
const MAX_BLOCKS_A_SIDE: usize = 1024;

impl SceneMasks {
    /// The maps of a scene of `frames` frames at their offsets from its start.
    ///
    /// Values are kept in half precision, so that a run which reads them back
    /// decides exactly as the one that made them. `coverage` is the share of
    /// the screen that characters fill, 0 to 1.
    pub fn new(
        blocks: Blocks,
        frames: usize,
        coverage: f64,
        mut maps: Vec<(usize, Array2<f32>)>,
    ) -> Result<Self> {
        ensure!(
            blocks.count() > 0 && blocks.columns.max(blocks.rows) <= MAX_BLOCKS_A_SIDE,
            "a grid of {} x {} blocks: must be 1 to {MAX_BLOCKS_A_SIDE} a side",
            blocks.columns,
            blocks.rows
        );
        ensure!((0.0..=1.0).contains(&coverage), "coverage {coverage}: must be 0 to 1");
        ensure!(maps.first().is_some_and(|m| m.0 == 0), "a scene has a map of its first frame");
        ensure!(maps.is_sorted_by(|a, b| a.0 < b.0), "the offsets of maps must rise");
        for (offset, map) in &mut maps {
            ensure!(
                offset.is_multiple_of(STEP) && *offset < frames,
                "a map at offset {offset} of {frames} frames: must be a multiple of {STEP} inside the scene"
            );
            ensure!(map.dim() == blocks.shape(), "the map at offset {offset} is not of the grid's size");
            map.mapv_inplace(|v| f16::from_f32(v).to_f32());
            ensure!(
                map.iter().all(|v| (0.0..=1.0).contains(v)),
                "the map at offset {offset} has values outside 0 to 1"
            );
        }
        Ok(Self { blocks, frames, coverage, maps })
    }

    /// From the analysed frames of a scene; its coverage is the largest of theirs.
    pub fn from_frames(blocks: Blocks, frames: usize, analysed: Vec<(usize, FrameMap)>) -> Result<Self> {
        let coverage = analysed.iter().map(|(_, frame)| frame.coverage).fold(0.0, f64::max);
        let maps = analysed.into_iter().map(|(offset, frame)| (offset, frame.map)).collect();
        Self::new(blocks, frames, coverage.min(1.0), maps)
    }

    pub fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// Frames of the scene.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Largest share of the screen that characters fill in a frame, 0 to 1.
    pub fn coverage(&self) -> f64 {
        self.coverage
    }

    /// The analysed offsets and their maps, rising.
    pub fn maps(&self) -> impl ExactSizeIterator<Item = (usize, &Array2<f32>)> {
        self.maps.iter().map(|(offset, map)| (*offset, map))
    }

    /// The map in force at every multiple of [`STEP`]: its own or the last before it.
    pub fn held_forward(&self) -> impl Iterator<Item = &Array2<f32>> {
        let mut at = 0;
        (0..self.frames).step_by(STEP).map(move |offset| {
            while self.maps.get(at + 1).is_some_and(|next| next.0 <= offset) {
                at += 1;
            }
            &self.maps[at].1
        })
    }

    /// Half floats in a zlib stream, whose checksum tells a torn file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        for number in [self.blocks.columns, self.blocks.rows, self.frames, self.maps.len()] {
            plain.extend_from_slice(&(number as u32).to_le_bytes());
        }
        plain.extend_from_slice(&self.coverage.to_le_bytes());
        for (offset, map) in &self.maps {
            plain.extend_from_slice(&(*offset as u32).to_le_bytes());
            plain.extend(map.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()));
        }
        let mut out = ZlibEncoder::new(MAGIC.to_vec(), Compression::default());
        out.write_all(&plain).and_then(|()| out.finish()).expect("a Vec takes every byte")
    }

    /// Reads what [`SceneMasks::to_bytes`] made; an error for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let Some(packed) = bytes.strip_prefix(MAGIC) else {
            bail!("these are no masks of this version; they are made anew without --resume");
        };
        let mut plain = Vec::new();
        ZlibDecoder::new(packed).read_to_end(&mut plain).context("the masks are damaged")?;
        Self::parse(&plain).context("the masks are damaged")
    }

    fn parse(mut plain: &[u8]) -> Result<Self> {
        let plain = &mut plain;
        let mut number = || take::<4>(plain).map(|b| u32::from_le_bytes(b) as usize);
        let (blocks, frames, count) = (Blocks { columns: number()?, rows: number()? }, number()?, number()?);
        let coverage = f64::from_le_bytes(take(plain)?);
        // Sizes are believed only as far as there are bytes for them.
        let size = blocks.columns.checked_mul(blocks.rows).and_then(|n| n.checked_mul(2));
        ensure!(
            size.and_then(|n| n.checked_add(4)).and_then(|n| n.checked_mul(count)) == Some(plain.len()),
            "they have the wrong length"
        );
        let mut maps = Vec::with_capacity(count);
        for _ in 0..count {
            let offset = u32::from_le_bytes(take(plain)?) as usize;
            let values = (0..blocks.count()).map(|_| Ok(f16::from_le_bytes(take(plain)?).to_f32()));
            maps.push((offset, Array2::from_shape_vec(blocks.shape(), values.collect::<Result<_>>()?)?));
        }
        Self::new(blocks, frames, coverage, maps)
    }

    /// Writes the masks to `path`, complete or not at all.
    pub fn store(&self, path: &Path) -> Result<()> {
        atomic::write(path, &self.to_bytes())
    }

    /// Reads what [`SceneMasks::store`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let context = || format!("cannot read the masks {}", path.display());
        Self::from_bytes(&std::fs::read(path).with_context(context)?).with_context(context)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk().context("they end too early")?;
    *bytes = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn example() -> SceneMasks {
        let blocks = Blocks { columns: 3, rows: 2 };
        let first = array![[0.0, 0.1, 1.0], [0.5, 0.333, 0.0]];
        let second = array![[0.0, 0.0, 0.9], [0.25, 0.0, 0.0]];
        SceneMasks::new(blocks, 21, 0.123_456_789, vec![(0, first), (12, second)]).unwrap()
    }

    #[test]
    fn stored_masks_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.masks");
        example().store(&path).unwrap();
        assert_eq!(SceneMasks::load(&path).unwrap(), example());
    }

    #[test]
    fn another_network_has_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("a.onnx");
        std::fs::write(&model, b"one").unwrap();
        let key = masks_key(&model).unwrap();
        assert_eq!(masks_key(&model).unwrap(), key);
        std::fs::write(&model, b"two").unwrap();
        assert_ne!(masks_key(&model).unwrap(), key);
        assert!(masks_key(folder.path().join("none").as_path()).is_err());
    }

    #[test]
    fn every_damage_is_an_error() {
        let bytes = example().to_bytes();
        for cut in 0..bytes.len() {
            assert!(SceneMasks::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            // The level hint of the zlib header is the only byte nobody needs.
            if let Ok(read) = SceneMasks::from_bytes(&flipped) {
                assert_eq!(read, example(), "byte {at}");
            }
        }
    }

    #[test]
    fn a_map_holds_until_the_next_one() {
        let masks = example();
        let held: Vec<f32> = masks.held_forward().map(|map| map[(0, 2)]).collect();
        let (one, nine) = (1.0, f16::from_f32(0.9).to_f32());
        // Offsets 0, 4, 8 | 12, 16, 20.
        assert_eq!(held, [one, one, one, nine, nine, nine]);
    }

    #[test]
    fn nonsense_is_refused() {
        let blocks = Blocks { columns: 1, rows: 1 };
        let map = || array![[0.5f32]];
        for (coverage, maps, wanted) in [
            (1.5, vec![(0, map())], "coverage 1.5"),
            (0.5, vec![], "first frame"),
            (0.5, vec![(4, map())], "first frame"),
            (0.5, vec![(0, map()), (8, map()), (4, map())], "must rise"),
            (0.5, vec![(0, map()), (3, map())], "multiple of 4"),
            (0.5, vec![(0, map()), (20, map())], "inside the scene"),
            (0.5, vec![(0, array![[0.5, 0.5]])], "size"),
            (0.5, vec![(0, array![[1.5]])], "outside 0 to 1"),
        ] {
            let error = format!("{:#}", SceneMasks::new(blocks, 20, coverage, maps).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
