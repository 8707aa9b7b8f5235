//! The grid of 64×64 blocks in which encoders take regions of interest.

use serde::{Deserialize, Serialize};

/// Pixels per side of a block.
pub const BLOCK: usize = 64;

/// How many blocks cover a picture, the last ones partly outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blocks {
    pub columns: usize,
    pub rows: usize,
}

impl Blocks {
    /// The grid over a picture of `width × height` pixels.
    pub fn over(width: usize, height: usize) -> Self {
        Self { columns: width.div_ceil(BLOCK), rows: height.div_ceil(BLOCK) }
    }

    pub fn count(self) -> usize {
        self.columns * self.rows
    }

    /// Width and height in pixels of the whole grid.
    pub fn pixels(self) -> (usize, usize) {
        (self.columns * BLOCK, self.rows * BLOCK)
    }

    /// `(rows, columns)`, the shape of an array in raster order.
    pub fn shape(self) -> (usize, usize) {
        (self.rows, self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_the_picture_and_its_last_blocks_lie_partly_outside() {
        let blocks = Blocks::over(640, 360);
        assert_eq!(blocks, Blocks { columns: 10, rows: 6 });
        assert_eq!((blocks.count(), blocks.pixels(), blocks.shape()), (60, (640, 384), (6, 10)));
        assert_eq!(Blocks::over(64, 65), Blocks { columns: 1, rows: 2 });
    }
}
