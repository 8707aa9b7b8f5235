//! A decoded picture in the one layout that the encoder is fed with and the
//! metrics compare: planar 4:2:0, 16 bits a sample, rows without padding.

use anyhow::{Result, ensure};

/// Planes Y, U, V of a picture; chroma planes are `ceil(w/2) × ceil(h/2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// Significant bits per sample, 8 to 16; values are below `1 << bits`.
    pub bits: u8,
    pub planes: [Vec<u16>; 3],
}

impl Picture {
    /// A picture of one luma and one chroma value.
    pub fn filled(width: usize, height: usize, bits: u8, luma: u16, chroma: u16) -> Self {
        let (cw, ch) = chroma_size(width, height);
        Self {
            width,
            height,
            bits,
            planes: [vec![luma; width * height], vec![chroma; cw * ch], vec![chroma; cw * ch]],
        }
    }

    /// Width and height of plane 0, 1 or 2.
    pub fn plane_size(&self, plane: usize) -> (usize, usize) {
        if plane == 0 { (self.width, self.height) } else { chroma_size(self.width, self.height) }
    }

    /// Bytes the samples take in memory.
    pub fn bytes(&self) -> usize {
        self.planes.iter().map(|p| p.len() * 2).sum()
    }

    /// Mean absolute luma difference to `other`, scaled to 0..1 of the code range.
    ///
    /// # Errors
    /// When the two differ in size or depth.
    pub fn luma_difference(&self, other: &Self) -> Result<f64> {
        let shape = |picture: &Self| (picture.width, picture.height, picture.bits);
        let (ours, theirs) = (shape(self), shape(other));
        ensure!(
            ours == theirs,
            "pictures of {}x{} in {} bits and {}x{} in {} bits cannot be compared; an encoder keeps the size \
             unless it is told not to, for instance with --resize-mode",
            ours.0,
            ours.1,
            ours.2,
            theirs.0,
            theirs.1,
            theirs.2
        );
        let sum: u64 = self.planes[0]
            .chunks(1 << 14)
            .zip(other.planes[0].chunks(1 << 14))
            // 2^14 differences below 2^16 fit 32 bits, which vectorises well.
            .map(|(a, b)| u64::from(a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum::<u32>()))
            .sum();
        let range = f64::from((1u32 << self.bits) - 1);
        Ok(sum as f64 / self.planes[0].len() as f64 / range)
    }
}

/// A picture that waits: samples that were widened from 8 bits are stored as such,
/// which most sources are and which halves the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedPicture {
    pub width: usize,
    pub height: usize,
    pub bits: u8,
    planes: [Samples; 3],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Samples {
    /// The upper 8 of the picture's bits; the others are 0.
    Narrow(Box<[u8]>),
    Wide(Box<[u16]>),
}

impl Picture {
    /// The same picture in as little memory as it needs.
    pub fn pack(&self) -> PackedPicture {
        let shift = self.bits - 8;
        let below = (1 << shift) - 1;
        let planes = self.planes.each_ref().map(|plane| {
            if plane.iter().fold(0, |all, sample| all | sample) & below == 0 {
                Samples::Narrow(plane.iter().map(|sample| (sample >> shift) as u8).collect())
            } else {
                Samples::Wide(plane.as_slice().into())
            }
        });
        PackedPicture { width: self.width, height: self.height, bits: self.bits, planes }
    }
}

impl PackedPicture {
    /// Whether both show the same luma.
    pub fn same_luma(&self, other: &Self) -> bool {
        self.bits == other.bits && self.planes[0] == other.planes[0]
    }

    /// The picture that was packed, sample by sample.
    pub fn unpack(&self) -> Picture {
        let shift = self.bits - 8;
        let planes = self.planes.each_ref().map(|samples| match samples {
            Samples::Narrow(samples) => samples.iter().map(|&sample| u16::from(sample) << shift).collect(),
            Samples::Wide(samples) => samples.to_vec(),
        });
        Picture { width: self.width, height: self.height, bits: self.bits, planes }
    }
}

/// Size of a 4:2:0 chroma plane.
pub fn chroma_size(width: usize, height: usize) -> (usize, usize) {
    (width.div_ceil(2), height.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_difference_is_the_share_of_the_code_range() {
        let black = Picture::filled(6, 4, 10, 0, 512);
        let mut other = black.clone();
        assert!(black.luma_difference(&other).unwrap().abs() < 1e-12);
        other.planes[0][..12].fill(1023);
        assert!((black.luma_difference(&other).unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn pictures_of_other_sizes_or_depths_are_an_error() {
        let picture = Picture::filled(64, 48, 10, 0, 512);
        for (other, shown) in [
            (Picture::filled(32, 24, 10, 0, 512), "64x48 in 10 bits and 32x24 in 10 bits"),
            (Picture::filled(64, 48, 8, 0, 128), "and 64x48 in 8 bits"),
        ] {
            let error = picture.luma_difference(&other).unwrap_err().to_string();
            assert!(error.contains(shown) && error.contains("--resize-mode"), "{error}");
        }
    }

    #[test]
    fn a_picture_is_the_same_after_packing_and_8_bits_take_half() {
        let narrow = Picture::filled(6, 4, 10, 940, 512);
        let mut wide = narrow.clone();
        wide.planes[0][5] = 941;
        for picture in [&narrow, &wide] {
            assert_eq!(&picture.pack().unpack(), picture);
        }
        assert!(narrow.pack().planes.iter().all(|plane| matches!(plane, Samples::Narrow(_))));
        assert!(matches!(wide.pack().planes[0], Samples::Wide(_)));
        let bytes = Picture::filled(6, 4, 8, 255, 0);
        assert_eq!(bytes.pack().unpack(), bytes);
    }

    #[test]
    fn chroma_of_odd_sizes_is_rounded_up() {
        assert_eq!(Picture::filled(5, 3, 8, 0, 0).plane_size(1), (3, 2));
    }
}
