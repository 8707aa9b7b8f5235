//! From coded values to linear light: transfer characteristics by their H.273
//! code point.

use anyhow::{Result, bail};
use multiversion::multiversion;

/// Entries of a curve's table: 32 KiB, which stays in the first-level cache.
const ENTRIES: usize = 8192;

/// Coded values of wide-gamut chroma reach 2.2 (luma 1.09 plus 1.88 × 0.57).
const HEADROOM: f64 = 2.25;

/// Luminance that is 1.0 in linear light, in cd/m², for the absolute curves.
/// Vship and zimg (`nominal_luminance`) use it too.
const NOMINAL_LUMINANCE: f64 = 100.0;

struct Transfer {
    codes: &'static [i64],
    to_linear: fn(f64) -> f64,
    /// Coded values above are clipped: there the curve ends (PQ, HLG).
    end: f64,
}

/// BT.709 and its relatives are decoded as they are displayed, by the pure 2.4
/// power of BT.1886, as Vship does.
const TRANSFERS: [Transfer; 10] = [
    Transfer { codes: &[1, 6, 7, 11, 14, 15], to_linear: |v| v.powf(2.4), end: HEADROOM },
    Transfer { codes: &[4], to_linear: |v| v.powf(2.2), end: HEADROOM },
    Transfer { codes: &[5], to_linear: |v| v.powf(2.8), end: HEADROOM },
    Transfer { codes: &[8], to_linear: |v| v, end: HEADROOM },
    Transfer { codes: &[9], to_linear: |v| 100.0_f64.powf(v.max(0.0) - 1.0), end: HEADROOM },
    Transfer { codes: &[10], to_linear: |v| 100_000.0_f64.sqrt().powf(v.max(0.0) - 1.0), end: HEADROOM },
    Transfer { codes: &[13], to_linear: srgb, end: HEADROOM },
    Transfer { codes: &[PQ], to_linear: pq, end: 1.0 },
    Transfer { codes: &[17], to_linear: |v| v.powf(2.6) * 52.37 / 48.0, end: HEADROOM },
    Transfer { codes: &[HLG], to_linear: hlg_scene, end: 1.0 },
];

/// SMPTE ST 2084.
pub(super) const PQ: i64 = 16;

/// ARIB STD-B67. Its display light depends on the pixel's luminance, see [`hlg_display`].
pub(super) const HLG: i64 = 18;

/// A transfer characteristic as a table, read with linear interpolation. Odd:
/// negative values (super-black, out-of-gamut chroma) mirror positive ones.
#[derive(Debug)]
pub(super) struct Curve {
    table: Box<[f32; ENTRIES]>,
    /// Table entries per unit of coded value.
    density: f32,
}

impl Curve {
    pub fn new(transfer: i64) -> Result<Self> {
        let Some(found) = TRANSFERS.iter().find(|t| t.codes.contains(&transfer)) else {
            let mut known: Vec<i64> = TRANSFERS.iter().flat_map(|t| t.codes).copied().collect();
            known.sort_unstable();
            bail!(
                "transfer characteristics {transfer} (H.273) cannot be measured, only {known:?}; set \
                 _Transfer in the script, for instance with `std.SetFrameProps(_Transfer=1)`"
            );
        };
        let step = found.end / (ENTRIES - 1) as f64;
        Ok(Self {
            table: Box::new(std::array::from_fn(|i| (found.to_linear)(i as f64 * step) as f32)),
            density: step.recip() as f32,
        })
    }

    /// Replaces coded values by linear light.
    pub fn apply(&self, row: &mut [f32]) {
        interpolate(&self.table, self.density, row);
    }
}

#[multiversion(targets = "simd")]
fn interpolate(table: &[f32; ENTRIES], density: f32, row: &mut [f32]) {
    for value in row {
        let position = (value.abs() * density).min((ENTRIES - 1) as f32);
        let below = (position as usize).min(ENTRIES - 2);
        let (a, b) = (table[below], table[below + 1]);
        *value = (a + (b - a) * (position - below as f32)).copysign(*value);
    }
}

/// IEC 61966-2-1.
fn srgb(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// SMPTE ST 2084, in units of [`NOMINAL_LUMINANCE`].
fn pq(v: f64) -> f64 {
    const M1: f64 = 2610.0 / 16384.0;
    const M2: f64 = 2523.0 / 4096.0 * 128.0;
    const C1: f64 = 3424.0 / 4096.0;
    const C2: f64 = 2413.0 / 4096.0 * 32.0;
    const C3: f64 = 2392.0 / 4096.0 * 32.0;
    let power = v.powf(M2.recip());
    10_000.0 / NOMINAL_LUMINANCE * ((power - C1).max(0.0) / (C2 - C3 * power)).powf(M1.recip())
}

/// Inverse OETF of ARIB STD-B67 (BT.2100): scene light, 0 to 1.
fn hlg_scene(v: f64) -> f64 {
    const A: f64 = 0.178_832_77;
    const B: f64 = 1.0 - 4.0 * A;
    let c = 0.5 - A * (4.0 * A).ln();
    if v <= 0.5 { v * v / 3.0 } else { (((v - c) / A).exp() + B) / 12.0 }
}

/// The OOTF of BT.2100 for a display of 1000 cd/m² (system gamma 1.2): scene
/// light to display light in units of [`NOMINAL_LUMINANCE`], in place.
pub(super) fn hlg_display(rows: [&mut [f32]; 3]) {
    const PEAK: f32 = (1000.0 / NOMINAL_LUMINANCE) as f32;
    let [red, green, blue] = rows;
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let luminance = (0.2627 * *r + 0.6780 * *g + 0.0593 * *b).max(0.0);
        let gain = PEAK * luminance.powf(0.2);
        *r *= gain;
        *g *= gain;
        *b *= gain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(transfer: i64, value: f32) -> f32 {
        let mut row = [value];
        Curve::new(transfer).unwrap().apply(&mut row);
        row[0]
    }

    /// Values from the standards: ST 2084's own table (cd/m² over 100), HLG's
    /// knee at 1/12, sRGB mid-grey.
    #[test]
    fn curves_pass_through_the_points_their_standards_give() {
        for (transfer, coded, wanted) in [
            (1, 0.5, 0.5_f32.powf(2.4)),
            (6, 0.5, 0.5_f32.powf(2.4)),
            (4, 0.5, 0.217_637),
            (5, 0.5, 0.143_587),
            (8, 0.3, 0.3),
            (13, 0.5, 0.214_041),
            (13, 0.02, 0.02 / 12.92),
            (16, 0.508_08, 1.0),
            (16, 0.751_83, 10.0),
            (16, 1.0, 100.0),
            (18, 0.5, 1.0 / 12.0),
            (18, 1.0, 1.0),
        ] {
            let got = linear(transfer, coded);
            assert!((got - wanted).abs() < 2e-4 * wanted.max(0.01), "{transfer}: {coded} gave {got}");
            assert!((linear(transfer, -coded) + got).abs() < 1e-9, "{transfer} is not odd");
        }
    }

    #[test]
    fn the_table_is_as_good_as_the_formula() {
        for (transfer, formula) in [(1, (|v| v.powf(2.4)) as fn(f64) -> f64), (16, pq), (13, srgb)] {
            for i in 1..1000 {
                let coded = f64::from(i) / 1000.0;
                let wanted = formula(coded);
                let error = (f64::from(linear(transfer, coded as f32)) - wanted).abs();
                assert!(error < 1e-4 * wanted + 1e-6, "{transfer}: {coded} is off by {error}");
            }
        }
    }

    #[test]
    fn an_unknown_transfer_is_named_with_those_that_are_known() {
        let error = Curve::new(3).map(drop).unwrap_err().to_string();
        assert!(error.contains("transfer characteristics 3") && error.contains("16"), "{error}");
    }
}
