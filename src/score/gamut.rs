//! The geometry of colour: YUV matrices and RGB primaries by their H.273 code
//! points.

use anyhow::{Result, bail};

/// A 3×3 matrix, row by row.
pub(super) type Matrix = [[f64; 3]; 3];

struct Weights {
    codes: &'static [i64],
    kr: f64,
    kb: f64,
}

/// Luma weights of red and blue, H.273 table 4.
const WEIGHTS: [Weights; 5] = [
    Weights { codes: &[1], kr: 0.2126, kb: 0.0722 },
    Weights { codes: &[4], kr: 0.30, kb: 0.11 },
    Weights { codes: &[5, 6], kr: 0.299, kb: 0.114 },
    Weights { codes: &[7], kr: 0.212, kb: 0.087 },
    Weights { codes: &[9], kr: 0.2627, kb: 0.0593 },
];

/// What turns Y, U, V (Y 0..1, U and V −½..½) into R, G, B: `R = Y + rv·V`,
/// `G = Y + gu·U + gv·V`, `B = Y + bu·U`.
#[derive(Debug, Clone, Copy)]
pub(super) struct YuvToRgb {
    pub rv: f32,
    pub gu: f32,
    pub gv: f32,
    pub bu: f32,
}

impl YuvToRgb {
    pub fn new(matrix: i64) -> Result<Self> {
        let Some(w) = WEIGHTS.iter().find(|w| w.codes.contains(&matrix)) else {
            let known: Vec<i64> = WEIGHTS.iter().flat_map(|w| w.codes).copied().collect();
            bail!(
                "matrix coefficients {matrix} (H.273) of a 4:2:0 clip cannot be measured, only {known:?}; \
                 set _Matrix in the script, for instance with `std.SetFrameProps(_Matrix=1)`"
            );
        };
        let kg = 1.0 - w.kr - w.kb;
        Ok(Self {
            rv: (2.0 - 2.0 * w.kr) as f32,
            gu: (-2.0 * (1.0 - w.kb) * w.kb / kg) as f32,
            gv: (-2.0 * (1.0 - w.kr) * w.kr / kg) as f32,
            bu: (2.0 - 2.0 * w.kb) as f32,
        })
    }
}

struct Primaries {
    codes: &'static [i64],
    /// CIE 1931 x and y of red, green, blue and white.
    rgbw: [(f64, f64); 4],
}

const D65: (f64, f64) = (0.3127, 0.3290);
const C: (f64, f64) = (0.310, 0.316);

/// H.273 table 2.
const PRIMARIES: [Primaries; 10] = [
    Primaries { codes: &[1], rgbw: [(0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65] },
    Primaries { codes: &[4], rgbw: [(0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C] },
    Primaries { codes: &[5], rgbw: [(0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65] },
    Primaries { codes: &[6, 7], rgbw: [(0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65] },
    Primaries { codes: &[8], rgbw: [(0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C] },
    Primaries { codes: &[9], rgbw: [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65] },
    // XYZ itself, whose white is that of equal energy.
    Primaries { codes: &[10], rgbw: [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0 / 3.0, 1.0 / 3.0)] },
    Primaries { codes: &[11], rgbw: [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)] },
    Primaries { codes: &[12], rgbw: [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65] },
    Primaries { codes: &[22], rgbw: [(0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65] },
];

/// What turns linear RGB of these primaries into linear RGB of BT.709, the
/// space of both metrics; `None` when they are BT.709's already. As in Vship
/// and zimg colours stay what they are in XYZ: no adaptation to D65.
pub(super) fn to_bt709(primaries: i64) -> Result<Option<Matrix>> {
    if primaries == 1 {
        return Ok(None);
    }
    let Some(found) = PRIMARIES.iter().find(|p| p.codes.contains(&primaries)) else {
        let known: Vec<i64> = PRIMARIES.iter().flat_map(|p| p.codes).copied().collect();
        bail!(
            "colour primaries {primaries} (H.273) cannot be measured, only {known:?}; set _Primaries in \
             the script, for instance with `std.SetFrameProps(_Primaries=1)`"
        );
    };
    Ok(Some(product(&inverse(&to_xyz(&PRIMARIES[0].rgbw)), &to_xyz(&found.rgbw))))
}

/// XYZ of a chromaticity with luminance 1.
fn xyz((x, y): (f64, f64)) -> [f64; 3] {
    [x / y, 1.0, (1.0 - x - y) / y]
}

/// Linear RGB to XYZ: the primaries' columns, scaled so that they add up to white.
fn to_xyz(rgbw: &[(f64, f64); 4]) -> Matrix {
    let columns = [xyz(rgbw[0]), xyz(rgbw[1]), xyz(rgbw[2])];
    let unscaled: Matrix = std::array::from_fn(|row| std::array::from_fn(|column| columns[column][row]));
    let scale = apply(&inverse(&unscaled), xyz(rgbw[3]));
    unscaled.map(|row| std::array::from_fn(|column| row[column] * scale[column]))
}

fn apply(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    m.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    a.map(|row| std::array::from_fn(|column| (0..3).map(|k| row[k] * b[k][column]).sum()))
}

/// The inverse of a matrix that has one, by its cofactors.
fn inverse(m: &Matrix) -> Matrix {
    let cofactor = |row: usize, column: usize| {
        let (r, s) = ((row + 1) % 3, (row + 2) % 3);
        let (c, d) = ((column + 1) % 3, (column + 2) % 3);
        m[r][c] * m[s][d] - m[r][d] * m[s][c]
    };
    let determinant: f64 = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ITU-R BT.2087, M2 inverted: BT.2020 to BT.709.
    #[test]
    fn bt2020_becomes_bt709_by_the_matrix_of_the_itu() {
        let wanted = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];
        let got = to_bt709(9).unwrap().unwrap();
        for (got, wanted) in got.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((got - wanted).abs() < 1e-4, "{got} {wanted}");
        }
    }

    #[test]
    fn white_stays_white_where_it_is_d65() {
        for code in [5, 6, 7, 9, 12] {
            let matrix = to_bt709(code).unwrap().unwrap();
            for channel in apply(&matrix, [1.0; 3]) {
                assert!((channel - 1.0).abs() < 1e-9, "primaries {code} give {channel}");
            }
        }
    }

    /// BT.709 as every text on it prints it.
    #[test]
    fn the_matrix_of_bt709_is_the_published_one() {
        let m = YuvToRgb::new(1).unwrap();
        for (got, wanted) in [(m.rv, 1.5748), (m.gu, -0.1873), (m.gv, -0.4681), (m.bu, 1.8556)] {
            assert!((got - wanted).abs() < 5e-5, "{got} {wanted}");
        }
        let error = YuvToRgb::new(0).unwrap_err().to_string();
        assert!(error.contains("matrix coefficients 0"), "{error}");
    }
}
