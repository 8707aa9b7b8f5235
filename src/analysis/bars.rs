//! Black bars: rows and columns at the edges in which no frame shows anything.

use crate::source::{Frame, Row};

/// Brightest 8-bit code values of black, for limited and full range.
const BLACK: (f64, f64) = (19.875, 3.875);

/// The bars of the frames seen so far.
#[derive(Debug)]
pub(super) struct Bars {
    black: u16,
    /// [left, right, top, bottom]; `None` before a frame shows something.
    sides: Option<[usize; 4]>,
}

impl Bars {
    pub fn new(bits: u8, full_range: bool) -> Self {
        let black = if full_range { BLACK.1 } else { BLACK.0 };
        Self { black: (black * f64::from(1u32 << (bits - 8))) as u16, sides: None }
    }

    /// `brightest` is the largest code value of the frame's luma. A black frame tells nothing.
    pub fn see(&mut self, frame: &Frame, brightest: u16) {
        if brightest <= self.black {
            return;
        }
        let (width, height) = (frame.width(0), frame.height(0));
        let [mut left, mut right, mut top, mut bottom] = self.sides.unwrap_or([width, width, height, height]);
        let black = self.black;
        let shows = |row: Row<'_>| edges(row, black).is_some();
        // Only what was black in all frames before is looked at.
        top = (0..top).find(|&y| shows(frame.row(0, y))).unwrap_or(top);
        bottom = (0..bottom).find(|&y| shows(frame.row(0, height - 1 - y))).unwrap_or(bottom);
        if left > 0 || right > 0 {
            for y in top..height.saturating_sub(bottom) {
                if let Some((before, after)) = edges(frame.row(0, y), black) {
                    (left, right) = (left.min(before), right.min(after));
                }
            }
        }
        self.sides = Some([left, right, top, bottom]);
    }

    /// In even numbers, as 4:2:0 can be cropped; `None` where all frames are black.
    pub fn finish(self) -> Option<[usize; 4]> {
        self.sides.map(|sides| sides.map(|side| side & !1))
    }
}

/// How many samples are black at either end of a row; `None` where all are.
fn edges(row: Row<'_>, black: u16) -> Option<(usize, usize)> {
    fn of<S: Copy + Into<u16>>(row: &[S], black: u16) -> Option<(usize, usize)> {
        let shows = |sample: &S| (*sample).into() > black;
        let before = row.iter().position(shows)?;
        let after = row.iter().rev().position(shows)?;
        Some((before, after))
    }
    match row {
        Row::Bytes(row) => of(row, black),
        Row::Words(row) => of(row, black),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_and_end_where_something_shows() {
        // 8 bits, limited range: up to 19 is black.
        let black = Bars::new(8, false).black;
        assert_eq!((black, Bars::new(10, false).black, Bars::new(10, true).black), (19, 79, 15));
        assert_eq!(edges(Row::Bytes(&[16, 19, 20, 90, 16]), black), Some((2, 1)));
        assert_eq!(edges(Row::Words(&[64, 79, 64]), 79), None);
    }
}
