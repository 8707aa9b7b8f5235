//! CRF and quantiser step.
//!
//! CRF is not linear in quality; the AV1 quantiser step nearly is.

/// The 10-bit DC quantiser lookup table of the AV1 specification
/// (`Dc_Qlookup[1]`, section 7.12.2); index i stands for CRF i / 4.
#[rustfmt::skip]
const DC_QLOOKUP_10BIT: [u16; 256] = [
    4, 9, 10, 13, 15, 17, 20, 22, 25, 28, 31, 34, 37, 40, 43, 47,
    50, 53, 57, 60, 64, 68, 71, 75, 78, 82, 86, 90, 93, 97, 101, 105,
    109, 113, 116, 120, 124, 128, 132, 136, 140, 143, 147, 151, 155, 159, 163, 166,
    170, 174, 178, 182, 185, 189, 193, 197, 200, 204, 208, 212, 215, 219, 223, 226,
    230, 233, 237, 241, 244, 248, 251, 255, 259, 262, 266, 269, 273, 276, 280, 283,
    287, 290, 293, 297, 300, 304, 307, 310, 314, 317, 321, 324, 327, 331, 334, 337,
    343, 350, 356, 362, 369, 375, 381, 387, 394, 400, 406, 412, 418, 424, 430, 436,
    442, 448, 454, 460, 466, 472, 478, 484, 490, 499, 507, 516, 525, 533, 542, 550,
    559, 567, 576, 584, 592, 601, 609, 617, 625, 634, 644, 655, 666, 676, 687, 698,
    708, 718, 729, 739, 749, 759, 770, 782, 795, 807, 819, 831, 844, 856, 868, 880,
    891, 906, 920, 933, 947, 961, 975, 988, 1001, 1015, 1030, 1045, 1061, 1076, 1090, 1105,
    1120, 1137, 1153, 1170, 1186, 1202, 1218, 1236, 1253, 1271, 1288, 1306, 1323, 1342, 1361, 1379,
    1398, 1416, 1436, 1456, 1476, 1496, 1516, 1537, 1559, 1580, 1601, 1624, 1647, 1670, 1692, 1717,
    1741, 1766, 1791, 1817, 1844, 1871, 1900, 1929, 1958, 1990, 2021, 2054, 2088, 2123, 2159, 2197,
    2236, 2276, 2319, 2363, 2410, 2458, 2508, 2561, 2616, 2675, 2737, 2802, 2871, 2944, 3020, 3102,
    3188, 3280, 3375, 3478, 3586, 3702, 3823, 3953, 4089, 4236, 4394, 4559, 4737, 4929, 5130, 5347,
];

/// Largest CRF the table reaches.
pub const MAX_CRF: f64 = 63.75;

/// The quantiser step of a CRF in 0..=63.75 (clamped), linear between table entries.
pub fn from_crf(crf: f64) -> f64 {
    let index = (crf * 4.0).clamp(0.0, 255.0);
    let low = index.floor() as usize;
    let high = (low + 1).min(255);
    let (a, b) = (f64::from(DC_QLOOKUP_10BIT[low]), f64::from(DC_QLOOKUP_10BIT[high]));
    a + (b - a) * (index - low as f64)
}

/// How far two CRFs are apart: |ln of the ratio of their quantiser steps|.
pub fn distance(a: f64, b: f64) -> f64 {
    (from_crf(a) / from_crf(b)).ln().abs()
}

/// The CRF of a quantiser step, the inverse of [`from_crf`]; steps outside
/// the table give its ends.
pub fn to_crf(qstep: f64) -> f64 {
    let high = DC_QLOOKUP_10BIT.partition_point(|&q| f64::from(q) < qstep);
    match high {
        0 => 0.0,
        256 => MAX_CRF,
        _ => {
            let (a, b) = (f64::from(DC_QLOOKUP_10BIT[high - 1]), f64::from(DC_QLOOKUP_10BIT[high]));
            ((high - 1) as f64 + (qstep - a) / (b - a)) / 4.0
        }
    }
}
