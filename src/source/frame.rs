//! A rendered VapourSynth frame, read row by row.

use std::sync::Arc;

use vapoursynth::frame::FrameRef;
use vapoursynth::map::Map;

use super::color::{ColorInfo, MasteringDisplay, UNSPECIFIED};
use super::picture::Picture;

/// One frame of an integer clip, shared by reference count.
#[derive(Debug, Clone)]
pub struct Frame {
    frame: Arc<FrameRef<'static>>,
}

/// A row of samples as they lie in memory.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    Bytes(&'a [u8]),
    Words(&'a [u16]),
}

impl Frame {
    pub(crate) fn new(frame: FrameRef<'static>) -> Self {
        Self { frame: Arc::new(frame) }
    }

    pub fn width(&self, plane: usize) -> usize {
        self.frame.width(plane)
    }

    pub fn height(&self, plane: usize) -> usize {
        self.frame.height(plane)
    }

    /// Three of YUV and RGB, one of grey.
    pub fn planes(&self) -> usize {
        self.frame.format().plane_count()
    }

    /// Significant bits per sample.
    pub fn bits(&self) -> u8 {
        self.frame.format().bits_per_sample()
    }

    /// Row `y` of `plane`.
    ///
    /// # Panics
    /// On a float clip or a row outside the plane; clips are converted to
    /// integers before frames are read.
    pub fn row(&self, plane: usize, y: usize) -> Row<'_> {
        if self.frame.format().bytes_per_sample() == 1 {
            Row::Bytes(self.frame.plane_row(plane, y))
        } else {
            Row::Words(self.frame.plane_row(plane, y))
        }
    }

    /// An integer frame property.
    pub fn int_property(&self, key: &str) -> Option<i64> {
        self.frame.props().get_int(key).ok()
    }

    /// Width by height of a sample, unless they are equal or unknown.
    pub fn sample_aspect(&self) -> Option<(u32, u32)> {
        let positive = |key| u32::try_from(self.int_property(key)?).ok().filter(|&value| value > 0);
        positive("_SARNum").zip(positive("_SARDen")).filter(|(width, height)| width != height)
    }

    /// A copy in the layout of the encoder and the metrics; the clip is 4:2:0.
    pub fn to_picture(&self) -> Picture {
        let plane = |p: usize| {
            let (w, h) = (self.width(p), self.height(p));
            let mut samples = Vec::with_capacity(w * h);
            for y in 0..h {
                match self.row(p, y) {
                    Row::Bytes(row) => samples.extend(row.iter().map(|&s| u16::from(s))),
                    Row::Words(row) => samples.extend_from_slice(row),
                }
            }
            samples
        };
        Picture {
            width: self.width(0),
            height: self.height(0),
            bits: self.bits(),
            planes: [plane(0), plane(1), plane(2)],
        }
    }

    /// The colour properties this frame carries.
    pub fn color(&self) -> ColorInfo {
        let props = self.frame.props();
        let int = |key: &str| props.get_int(key).ok();
        let known = |key: &str| int(key).filter(|&v| v >= 0).unwrap_or(UNSPECIFIED);
        // The two count the other way around: `_Range` 1 = full (H.273),
        // `_ColorRange` 1 = limited. The newer one wins.
        let full_range = match (int("_Range"), int("_ColorRange")) {
            (Some(range), _) => Some(range == 1),
            (None, Some(range)) => Some(range == 0),
            (None, None) => None,
        };
        ColorInfo {
            primaries: known("_Primaries"),
            transfer: known("_Transfer"),
            matrix: known("_Matrix"),
            full_range,
            chroma_location: int("_ChromaLocation").filter(|v| (0..=5).contains(v)),
            mastering: mastering(&props),
            content_light: int("ContentLightLevelMax").zip(int("ContentLightLevelAverage")),
        }
    }
}

fn mastering(props: &Map<'_>) -> Option<MasteringDisplay> {
    let three = |key: &str| -> Option<[f64; 3]> {
        let values: Vec<f64> = props.get_float_iter(key).ok()?.collect();
        values.try_into().ok()
    };
    let float = |key: &str| props.get_float(key).ok();
    Some(MasteringDisplay {
        primaries_x: three("MasteringDisplayPrimariesX")?,
        primaries_y: three("MasteringDisplayPrimariesY")?,
        white_x: float("MasteringDisplayWhitePointX")?,
        white_y: float("MasteringDisplayWhitePointY")?,
        min_luminance: float("MasteringDisplayMinLuminance")?,
        max_luminance: float("MasteringDisplayMaxLuminance")?,
    })
}
