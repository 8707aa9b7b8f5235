//! The finished encode: its length, size, colour, the bytes of its frames, and
//! its pictures in order.
//!
//! AV1 in IVF and Matroska is decoded here, without an index and without film
//! grain; everything else goes through a source plugin.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::BITS;
use crate::formats::ivf;
use crate::formats::matroska::{self, Track};
use crate::formats::sequence::Sequence;
use crate::probe::ProbeFrames;
use crate::source::{self, Arg, Clip, ColorInfo, OpenOptions, Picture, ResolvedColor};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::machine;

/// An encode that can be read.
pub struct Encoded {
    pub path: PathBuf,
    pub frames: usize,
    /// Width and height.
    pub size: (usize, usize),
    pub color: ColorInfo,
    /// Bytes by frame, in the order in which frames are shown, or why they are
    /// not known.
    pub sizes: Result<Vec<u64>, String>,
    stream: Stream,
}

enum Stream {
    Ivf,
    /// With what comes before its first packet.
    Matroska(Vec<u8>),
    Clip(Box<Clip>),
}

/// The beginnings of the two containers.
const IVF: [u8; 4] = *b"DKIF";
const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];

/// Bytes of the `av1C` record in front of its OBUs (AV1 in ISOBMFF, 2.3.3).
const RECORD_HEADER: usize = 4;

impl Encoded {
    /// Opens `path`. `options` are the source's: plugins and provider count
    /// here, too.
    pub fn open(path: &Path, options: &OpenOptions, events: &Events) -> Result<Self> {
        let own = match start(path)? {
            IVF => Self::ivf(path)?,
            EBML => Self::matroska(path)?,
            _ => None,
        };
        let (encoded, how) = match own {
            Some(encoded) => (encoded, "decoded without film grain"),
            None => (Self::by_plugin(path, options)?, "rendered by VapourSynth"),
        };
        let (width, height) = encoded.size;
        events.note(format!("{}: {} frames, {width}x{height}, {how}", path.display(), encoded.frames));
        if let Stream::Clip(_) = &encoded.stream {
            events.note("what film grain its decoder adds is measured as damage");
        }
        if let Err(why) = &encoded.sizes {
            events.warn(format!("the size of its scenes is unknown: {why}"));
        }
        Ok(encoded)
    }

    /// `None`: the file does not hold AV1.
    fn ivf(path: &Path) -> Result<Option<Self>> {
        let Ok(mut reader) = ivf::Reader::open(path) else { return Ok(None) };
        let sizes = ivf::frame_sizes(path)?;
        let first = reader.next_packet()?.with_context(|| format!("{} has no frames", path.display()))?;
        let sequence = Sequence::of_unit(&first.data).with_context(|| path.display().to_string())?;
        Ok(Some(Self::of_sequence(path, sequence, sizes, Stream::Ivf)))
    }

    /// `None`: the first video track is not AV1, or is stored in a way of its own.
    fn matroska(path: &Path) -> Result<Option<Self>> {
        let contents = matroska::read(path)?;
        let Some(track) = contents.first_video().map(|index| &contents.tracks[index]) else {
            bail!("{} has no video track", path.display());
        };
        if track.codec != "V_AV1" || track.encoded {
            return Ok(None);
        }
        let (before, sequence) = beginning(track).with_context(|| path.display().to_string())?;
        let sizes = matroska::frame_sizes(path)?;
        Ok(Some(Self::of_sequence(path, sequence, sizes, Stream::Matroska(before))))
    }

    fn of_sequence(path: &Path, sequence: Sequence, sizes: Vec<u64>, stream: Stream) -> Self {
        let Sequence { width, height, primaries, transfer, matrix, full_range, .. } = sequence;
        let color =
            ColorInfo { primaries, transfer, matrix, full_range: Some(full_range), ..ColorInfo::default() };
        let frames = sizes.len();
        Self { path: path.to_path_buf(), frames, size: (width, height), color, sizes: Ok(sizes), stream }
    }

    fn by_plugin(path: &Path, options: &OpenOptions) -> Result<Self> {
        let OpenOptions { provider, plugins, .. } = options.clone();
        let options = OpenOptions {
            provider,
            plugins,
            cache_limit: Some(source::SMALLEST_CACHE),
            ..OpenOptions::default()
        };
        let clip = source::open(path, &options)?;
        let info = clip.info();
        let sizes = if start(path)? == EBML {
            matroska::frame_sizes(path).map_err(|error| format!("{error:#}"))
        } else {
            Err("packets are read from Matroska and IVF files only".to_owned())
        };
        let sizes = sizes.and_then(|sizes| match sizes.len() {
            count if count == info.frames => Ok(sizes),
            count => Err(format!("it has {count} packets for {} frames", info.frames)),
        });
        Ok(Self {
            path: path.to_path_buf(),
            frames: info.frames,
            size: (info.width, info.height),
            color: clip.color()?.clone(),
            sizes,
            stream: Stream::Clip(Box::new(clip)),
        })
    }

    /// The pictures of the frames `wanted` (rising) in `size`, with [`BITS`] bits,
    /// read as `color`.
    pub fn pictures(
        &self,
        wanted: Vec<usize>,
        size: (usize, usize),
        color: ResolvedColor,
        cancel: &Cancel,
    ) -> Result<Pictures> {
        let threads = machine::cpus() as u32;
        let decoded = match &self.stream {
            Stream::Ivf => ProbeFrames::open(&self.path, wanted, threads)?,
            Stream::Matroska(before) => {
                let before = Some(before.clone()).filter(|units| !units.is_empty());
                let packets = matroska::Packets::open(&self.path)?;
                let packets = before.into_iter().map(Ok).chain(packets);
                ProbeFrames::of(&self.path, packets, wanted, threads)?
            }
            Stream::Clip(clip) => {
                let frames = read_as(clip, color)?.frames_at(wanted, cancel);
                return Ok(Box::new(frames.map(move |frame| fit(frame?.to_picture(), size, false))));
            }
        };
        Ok(Box::new(decoded.map(move |item| fit(item?.1, size, color.full_range))))
    }
}

/// Pictures in order.
pub type Pictures = Box<dyn Iterator<Item = Result<Picture>>>;

fn start(path: &Path) -> Result<[u8; 4]> {
    let mut bytes = [0; 4];
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            bail!("{} is no video, it has less than 4 bytes", path.display())
        }
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    }
    Ok(bytes)
}

/// The sequence header, and the units that must be decoded before the first
/// block when it is only in the track's header.
fn beginning(track: &Track) -> Result<(Vec<u8>, Sequence)> {
    if let Ok(sequence) = Sequence::of_unit(&track.head) {
        return Ok((Vec::new(), sequence));
    }
    let units = track.private.get(RECORD_HEADER..).unwrap_or_default().to_vec();
    let sequence = Sequence::of_unit(&units)?;
    Ok((units, sequence))
}

/// The clip with `color` as its frames' properties, converted like the source.
fn read_as(clip: &Clip, color: ResolvedColor) -> Result<Clip> {
    let properties = color.properties().map(|(key, value)| (key, Arg::Int(value)));
    let tagged = clip.filtered("std", "SetFrameProps", &properties)?;
    Ok(tagged.working(BITS)?.clip)
}

/// The picture in `size`, at most an odd last column and row smaller, and in
/// [`BITS`] bits, as VapourSynth converts the source.
fn fit(mut picture: Picture, size: (usize, usize), full_range: bool) -> Result<Picture> {
    let (width, height) = size;
    ensure!(
        (picture.width & !1, picture.height & !1) == (width & !1, height & !1),
        "it is {}x{}, not {width}x{height}",
        picture.width,
        picture.height
    );
    if (picture.width, picture.height) != size {
        let mut cut = Picture::filled(width, height, picture.bits, 0, 0);
        for plane in 0..3 {
            let ((from, _), (to, _)) = (picture.plane_size(plane), cut.plane_size(plane));
            let rows = picture.planes[plane].chunks(from);
            for (out, row) in cut.planes[plane].chunks_mut(to).zip(rows) {
                out.copy_from_slice(&row[..to]);
            }
        }
        picture = cut;
    }
    if picture.bits < BITS {
        widen(&mut picture, full_range);
    }
    Ok(picture)
}

/// 8 to [`BITS`] bits: limited range is shifted, full range is stretched.
fn widen(picture: &mut Picture, full_range: bool) {
    let shift = BITS - picture.bits;
    let (from, to) = (f64::from((1_u32 << picture.bits) - 1), f64::from((1_u32 << BITS) - 1));
    let (center, wide_center) = (f64::from(1_u32 << (picture.bits - 1)), f64::from(1_u32 << (BITS - 1)));
    for (plane, samples) in picture.planes.iter_mut().enumerate() {
        for sample in samples {
            *sample = match (full_range, plane) {
                (false, _) => *sample << shift,
                (true, 0) => (f64::from(*sample) * to / from).round() as u16,
                (true, _) => {
                    ((f64::from(*sample) - center) * to / from + wide_center).round().clamp(0.0, to) as u16
                }
            };
        }
    }
    picture.bits = BITS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_become_ten_by_hand() {
        let picture = |luma, chroma| Picture::filled(2, 2, 8, luma, chroma);
        let limited = fit(picture(235, 240), (2, 2), false).unwrap();
        assert_eq!((limited.bits, limited.planes[0][0], limited.planes[1][0]), (10, 940, 960));
        // 100 · 1023 / 255 = 401.18; (28 − 128) · 1023 / 255 + 512 = 110.82.
        let full = fit(picture(100, 28), (2, 2), true).unwrap();
        assert_eq!((full.planes[0][0], full.planes[2][0]), (401, 111));
        let white = fit(picture(255, 0), (2, 2), true).unwrap();
        assert_eq!((white.planes[0][0], white.planes[1][0]), (1023, 0));
    }

    #[test]
    fn an_odd_last_column_is_left_out_and_other_sizes_are_refused() {
        let mut odd = Picture::filled(5, 2, 10, 0, 512);
        odd.planes[0] = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        odd.planes[1] = vec![1, 2, 3];
        let even = fit(odd.clone(), (4, 2), false).unwrap();
        assert_eq!(even.planes[0], [1, 2, 3, 4, 6, 7, 8, 9]);
        assert_eq!(even.planes[1], [1, 2]);
        assert!(fit(odd, (6, 2), false).unwrap_err().to_string().contains("5x2, not 6x2"));
    }
}
