//! From the mask of a frame, one value a pixel, to its map, one value a block
//! (spec 04, "Mask to map").

use ndarray::{Array2, ArrayView1, Axis, Zip, s};

use crate::formats::blocks::{BLOCK, Blocks};

/// Values up to this are no character.
const THRESHOLD: f32 = 0.25;

/// What the mask of one frame says.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameMap {
    /// Share of the picture that characters fill, 0 to 1.
    pub coverage: f64,
    /// `rows × columns` values of 0 (no character) to 1.
    pub map: Array2<f32>,
}

impl FrameMap {
    /// From a mask over the whole grid of blocks (`64·rows × 64·columns`, values
    /// of 0 to 1); only the `width × height` pixels at its top left are picture.
    /// The padding counts as empty: it is on no screen, whatever the network saw in it.
    ///
    /// # Panics
    /// When the mask is not of the grid's size.
    pub fn from_mask(mut mask: Array2<f32>, width: usize, height: usize) -> Self {
        let blocks = Blocks::over(width, height);
        let (grid_width, grid_height) = blocks.pixels();
        assert_eq!(mask.dim(), (grid_height, grid_width), "a mask covers the grid of blocks");
        // Written so that a NaN becomes 0 as well.
        mask.mapv_inplace(|v| if v > THRESHOLD { v.min(1.0) } else { 0.0 });
        mask.slice_mut(s![height.., ..]).fill(0.0);
        mask.slice_mut(s![.., width..]).fill(0.0);
        let sum: f64 =
            mask.rows().into_iter().map(|row| row.iter().map(|&v| f64::from(v)).sum::<f64>()).sum();
        let reduced = reduce(&maximum_3x3(&mask), blocks);
        Self { coverage: sum / (width * height) as f64, map: neighbourhood(&reduced) }
    }
}

/// Every pixel becomes the largest of itself and its eight neighbours.
pub fn maximum_3x3(mask: &Array2<f32>) -> Array2<f32> {
    let along = |from: &Array2<f32>, axis: Axis| {
        let mut to = from.clone();
        let last = from.len_of(axis) - 1;
        let mut raise = |to_part: ndarray::Slice, from_part: ndarray::Slice| {
            Zip::from(to.slice_axis_mut(axis, to_part))
                .and(from.slice_axis(axis, from_part))
                .for_each(|a, &b| *a = a.max(b));
        };
        raise((..last).into(), (1..).into());
        raise((1..).into(), (..last).into());
        to
    };
    along(&along(mask, Axis(1)), Axis(0))
}

/// Bicubic reduction with b = 0, c = 0 from pixels to blocks: every block is the
/// mean of the pixels up to 64 away from its centre, weighted by
/// `2d³ − 3d² + 1` of their distance d in blocks (Mitchell and Netravali 1988).
/// Beyond the border the picture is mirrored, as VapourSynth's resizers do.
pub fn reduce(mask: &Array2<f32>, blocks: Blocks) -> Array2<f32> {
    let kernel = kernel();
    let mut narrow = Array2::zeros((mask.nrows(), blocks.columns));
    for (row, mut to) in mask.rows().into_iter().zip(narrow.rows_mut()) {
        to.iter_mut().enumerate().for_each(|(block, v)| *v = weighted(&row, block, &kernel));
    }
    let mut map = Array2::zeros(blocks.shape());
    for (column, mut to) in narrow.columns().into_iter().zip(map.columns_mut()) {
        to.iter_mut().enumerate().for_each(|(block, v)| *v = weighted(&column, block, &kernel));
    }
    map
}

/// Weights of the 128 pixels around a block's centre; they add up to 1.
fn kernel() -> [f32; 2 * BLOCK] {
    let side = BLOCK as f64;
    std::array::from_fn(|i| {
        let d = ((i as f64 + 0.5 - side) / side).abs();
        ((2.0 * d.powi(3) - 3.0 * d.powi(2) + 1.0) / side) as f32
    })
}

fn weighted(line: &ArrayView1<'_, f32>, block: usize, kernel: &[f32; 2 * BLOCK]) -> f32 {
    let first = (block * BLOCK) as isize - (BLOCK / 2) as isize;
    let length = line.len() as isize;
    let mirrored = |i: isize| {
        let i = if i < 0 { -1 - i } else { i };
        if i < length { i } else { 2 * length - 1 - i }
    };
    (first..).zip(kernel).map(|(i, weight)| line[mirrored(i) as usize] * weight).sum()
}

/// Where characters fill a neighbourhood the blocks around are raised, where
/// they do not a lone block is lowered: with `sur` the sum of the eight
/// neighbours (borders repeat), `min(1, max(x · sur^0.75, sur / 8))`.
pub fn neighbourhood(map: &Array2<f32>) -> Array2<f32> {
    Array2::from_shape_fn(map.dim(), |(row, column)| {
        let x = f64::from(map[(row, column)]);
        let sur = (sum_3x3(map, row, column) - x).max(0.0);
        (x * sur.powf(0.75)).max(sur / 8.0).min(1.0) as f32
    })
}

fn sum_3x3(map: &Array2<f32>, row: usize, column: usize) -> f64 {
    let around = |at: usize, length: usize| [at.saturating_sub(1), at, (at + 1).min(length - 1)];
    let (rows, columns) = map.dim();
    around(row, rows).into_iter().flat_map(|r| around(column, columns).map(|c| f64::from(map[(r, c)]))).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_maximum_grows_a_pixel_by_one_in_every_direction() {
        let grown = maximum_3x3(&array![
            [0.0, 0.0, 0.0, 0.0, 0.9],
            [0.0, 0.5, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [0.2, 0.0, 0.0, 0.0, 0.0]
        ]);
        assert_eq!(
            grown,
            array![
                [0.5, 0.5, 0.5, 0.9, 0.9],
                [0.5, 0.5, 0.5, 0.9, 0.9],
                [0.5, 0.5, 0.5, 0.0, 0.0],
                [0.2, 0.2, 0.0, 0.0, 0.0]
            ]
        );
        assert_eq!(maximum_3x3(&array![[0.3]]), array![[0.3]]);
    }

    #[test]
    fn the_weights_of_a_block_add_up_to_one_and_halve_at_its_border() {
        let kernel = kernel();
        assert!((kernel.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // Half a block from the centre the polynomial is exactly 1/2 (of 1/64).
        let border = f64::from(kernel[BLOCK / 2 - 1] + kernel[BLOCK / 2]) / 2.0 * BLOCK as f64;
        assert!((border - 0.5).abs() < 1e-3, "{border}");
    }

    #[test]
    fn a_full_picture_is_one_everywhere_and_covered_wholly() {
        let full = FrameMap::from_mask(Array2::ones((128, 192)), 192, 128);
        assert!((full.coverage - 1.0).abs() < 1e-9);
        assert!(full.map.iter().all(|&v| (v - 1.0).abs() < 1e-6), "{}", full.map);
    }

    #[test]
    fn faint_values_and_the_padding_are_nothing() {
        // 0.25 is faint, 0.26 is not; the picture is the left 100 of 128 columns.
        let mut mask = Array2::from_elem((64, 128), 0.25);
        mask.slice_mut(s![.., 100..]).fill(1.0);
        mask[(0, 0)] = f32::NAN;
        let empty = FrameMap::from_mask(mask.clone(), 100, 64);
        assert!(empty.coverage == 0.0 && empty.map.iter().all(|&v| v == 0.0), "{empty:?}");
        mask.slice_mut(s![..32, ..50]).fill(0.26);
        let quarter = FrameMap::from_mask(mask, 100, 64);
        assert!((quarter.coverage - 0.26 * 0.25).abs() < 1e-6, "{}", quarter.coverage);
    }

    #[test]
    fn one_block_surrounded_by_nothing_reaches_its_neighbours_only_in_eighths() {
        // By hand: the block has sur 0; its side neighbours see 0.8 once, the
        // corner of the grid sees nothing.
        let map = neighbourhood(&array![[0.0, 0.0, 0.0, 0.0], [0.0, 0.8, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]);
        let tenth = 0.8f32 / 8.0;
        assert_eq!(
            map,
            array![[tenth, tenth, tenth, 0.0], [tenth, 0.0, tenth, 0.0], [tenth, tenth, tenth, 0.0]]
        );
    }
}
