//! VapourSynth's format numbers: colour family, sample type, bits and the log2 of
//! the chroma subsampling, packed as its API defines them.

/// Planar RGB in 32-bit floats.
pub const RGBS: i64 = of(RGB, 1, 32, 0);
/// Planar RGB of 8 bits.
pub const RGB24: i64 = of(RGB, 0, 8, 0);

const RGB: i64 = 2;
const YUV: i64 = 3;

/// Integer YUV 4:2:0 of `bits`.
pub const fn yuv420(bits: u8) -> i64 {
    of(YUV, 0, bits, 1)
}

const fn of(family: i64, float: i64, bits: u8, subsampling: i64) -> i64 {
    family << 28 | float << 24 | (bits as i64) << 16 | subsampling << 8 | subsampling
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of `VSPresetVideoFormat` in VapourSynth4.h (pfYUV420P8, …).
    #[test]
    fn they_are_vapoursynth_s_own() {
        assert_eq!(yuv420(8), 0x3008_0101);
        assert_eq!(yuv420(10), 0x300a_0101);
        assert_eq!((RGB24, RGBS), (0x2008_0000, 0x2120_0000));
    }
}
