//! A decoded picture in the one layout that the encoder is fed with and the
//! metrics compare: planar 4:2:0, 16 bits a sample, rows without padding.

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
    /// # Panics
    /// When the two differ in size or depth.
    pub fn luma_difference(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height, self.bits), (other.width, other.height, other.bits));
        let sum: u64 = self.planes[0]
            .chunks(1 << 14)
            .zip(other.planes[0].chunks(1 << 14))
            // 2^14 differences below 2^16 fit 32 bits, which vectorises well.
            .map(|(a, b)| u64::from(a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum::<u32>()))
            .sum();
        let range = f64::from((1u32 << self.bits) - 1);
        sum as f64 / self.planes[0].len() as f64 / range
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
        assert!(black.luma_difference(&other).abs() < 1e-12);
        other.planes[0][..12].fill(1023);
        assert!((black.luma_difference(&other) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn chroma_of_odd_sizes_is_rounded_up() {
        assert_eq!(Picture::filled(5, 3, 8, 0, 0).plane_size(1), (3, 2));
    }
}
