//! The part of a picture that is measured.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::source::{PackedPicture, Picture, chroma_size};

/// Butteraugli's and SSIMULACRA2's smallest picture.
const SMALLEST: usize = 8;

/// A rectangle of a 4:2:0 picture in luma samples; `left` and `top` are even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    /// Width and height of the whole picture.
    picture: (usize, usize),
    bits: u8,
}

impl Window {
    /// What `crop` ([left, right, top, bottom]) leaves of a picture of `size`.
    pub fn new(size: (usize, usize), bits: u8, crop: [usize; 4]) -> Result<Self> {
        let [left, right, top, bottom] = crop;
        if !(8..=16).contains(&bits) {
            bail!("{bits} bits a sample: must be 8 to 16");
        }
        if crop.iter().any(|c| c % 2 == 1) {
            bail!("metric.crop {crop:?}: every value must be even, as the pictures are 4:2:0");
        }
        let width = size.0.saturating_sub(left + right);
        let height = size.1.saturating_sub(top + bottom);
        if width < SMALLEST || height < SMALLEST {
            bail!(
                "metric.crop {crop:?} leaves {width}x{height} of {}x{}: at least {SMALLEST}x{SMALLEST} \
                 must be left to measure",
                size.0,
                size.1
            );
        }
        if 2 * width < size.0 || 2 * height < size.1 {
            bail!(
                "metric.crop {crop:?} leaves {width}x{height} of {}x{}: at least half of either side must be left",
                size.0,
                size.1
            );
        }
        Ok(Self { left, top, width, height, picture: size, bits })
    }

    /// Refuses pictures of another size or depth than was announced.
    pub fn check_format(&self, size: (usize, usize), bits: u8) -> Result<()> {
        if size != self.picture || bits != self.bits {
            bail!(
                "a picture to measure is {}x{} of {bits} bits; the metric was opened for {}x{} of {}",
                size.0,
                size.1,
                self.picture.0,
                self.picture.1,
                self.bits
            );
        }
        Ok(())
    }

    /// The same for all `references` of a scene.
    pub fn check_packed(&self, references: &[Arc<PackedPicture>]) -> Result<()> {
        for (index, picture) in references.iter().enumerate() {
            let size = (picture.width, picture.height);
            self.check_format(size, picture.bits).with_context(|| format!("reference {index}"))?;
        }
        Ok(())
    }

    /// As [`Self::check_format`]; refuses incomplete planes as well.
    pub fn check(&self, picture: &Picture) -> Result<()> {
        self.check_format((picture.width, picture.height), picture.bits)?;
        if let Some(plane) = (0..3).find(|&p| {
            let (w, h) = picture.plane_size(p);
            picture.planes[p].len() != w * h
        }) {
            bail!("plane {plane} of a picture to measure has {} samples", picture.planes[plane].len());
        }
        Ok(())
    }

    /// Width and height of whole pictures.
    pub fn picture(&self) -> (usize, usize) {
        self.picture
    }

    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Width and height of plane 0, 1 or 2 inside the window.
    pub fn plane_size(&self, plane: usize) -> (usize, usize) {
        if plane == 0 { (self.width, self.height) } else { chroma_size(self.width, self.height) }
    }

    /// Row `y` of the window's part of `plane`. The picture passed [`Window::check`].
    pub fn row<'a>(&self, picture: &'a Picture, plane: usize, y: usize) -> &'a [u16] {
        let (stride, _) = picture.plane_size(plane);
        let (width, _) = self.plane_size(plane);
        let (left, top) = if plane == 0 { (self.left, self.top) } else { (self.left / 2, self.top / 2) };
        &picture.planes[plane][(top + y) * stride + left..][..width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_the_cropped_samples_of_every_plane() {
        let mut picture = Picture::filled(24, 16, 10, 0, 0);
        for (i, sample) in picture.planes[0].iter_mut().enumerate() {
            *sample = i as u16;
        }
        for (i, sample) in picture.planes[2].iter_mut().enumerate() {
            *sample = i as u16;
        }
        let window = Window::new((24, 16), 10, [4, 2, 6, 0]).unwrap();
        window.check(&picture).unwrap();
        assert_eq!((window.width, window.height), (18, 10));
        assert_eq!(window.row(&picture, 0, 1)[..2], [7 * 24 + 4, 7 * 24 + 5]);
        assert_eq!(window.row(&picture, 2, 0), (3 * 12 + 2..3 * 12 + 11).collect::<Vec<u16>>());
    }

    #[test]
    fn crops_that_leave_nothing_or_split_chroma_are_refused() {
        for (crop, wanted) in [
            ([1, 0, 0, 0], "must be even"),
            ([0, 0, 8, 4], "leaves 24x4"),
            ([30, 0, 0, 0], "leaves 0x16"),
            ([14, 0, 0, 0], "at least half"),
        ] {
            let error = Window::new((24, 16), 10, crop).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let window = Window::new((24, 16), 10, [0; 4]).unwrap();
        let error = window.check(&Picture::filled(24, 18, 10, 0, 0)).unwrap_err().to_string();
        assert!(error.contains("24x18"), "{error}");
        assert!(window.check(&Picture::filled(24, 16, 8, 0, 0)).is_err());
    }
}
