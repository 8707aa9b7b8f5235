//! Decodes AV1 in-process, once and in order: no index, no second program.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use re_rav1d::dav1d::{self, Decoder, PixelLayout, PlanarImageComponent};

use crate::formats::ivf::Reader;
use crate::source::Picture;

/// The temporal units of a stream, in order.
type Packets = Box<dyn Iterator<Item = Result<Vec<u8>>>>;

/// What the stream holds is no whole AV1, whatever its container says.
#[derive(Debug, thiserror::Error)]
#[error("the probe cannot be decoded")]
pub struct Undecodable;

/// The wanted frames of a stream as `(offset, picture)`, in order. All frames
/// up to the last wanted one are decoded, only wanted ones are copied. Film grain
/// is not applied: a metric would take it for damage.
pub struct ProbeFrames {
    name: String,
    packets: Packets,
    decoder: Decoder,
    /// Sorted, without duplicates.
    wanted: std::vec::IntoIter<usize>,
    next_wanted: Option<usize>,
    /// Offset of the next picture the decoder gives.
    offset: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The decoder takes the next packet.
    Hungry,
    /// The decoder holds a packet it has not begun.
    Pending,
    /// There are no more packets; the decoder gives what it still has.
    Draining,
}

impl std::fmt::Debug for ProbeFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProbeFrames")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl ProbeFrames {
    /// Opens the IVF file `path` for the frames at the offsets `wanted` (any
    /// order, from 0), decoding with `threads` threads, 0 = one a logical CPU.
    pub fn open(path: &Path, wanted: Vec<usize>, threads: u32) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        let packets = std::iter::from_fn(move || reader.next_packet().transpose());
        Self::of(path, packets.map(|packet| Ok(packet?.data)), wanted, threads)
    }

    /// The same for the temporal units `packets` of the file `path`.
    pub fn of(
        path: &Path,
        packets: impl Iterator<Item = Result<Vec<u8>>> + 'static,
        mut wanted: Vec<usize>,
        threads: u32,
    ) -> Result<Self> {
        wanted.sort_unstable();
        wanted.dedup();
        let mut wanted = wanted.into_iter();
        let mut settings = dav1d::Settings::new();
        settings.set_n_threads(threads);
        settings.set_apply_grain(false);
        settings.set_all_layers(false);
        let decoder = Decoder::with_settings(&settings)
            .with_context(|| format!("the AV1 decoder does not start with {threads} threads"))?;
        Ok(Self {
            name: path.display().to_string(),
            packets: Box::new(packets),
            decoder,
            next_wanted: wanted.next(),
            wanted,
            offset: 0,
            state: State::Hungry,
        })
    }

    /// The next picture, wanted or not; `None` at the end of the stream.
    fn decode(&mut self) -> Result<Option<dav1d::Picture>> {
        let mut drained = false;
        loop {
            // Most packets are a picture. To ask before sending would be in vain,
            // and the decoder leaks some bytes every time it is asked in vain.
            if self.state != State::Draining {
                self.send()?;
            }
            match self.decoder.get_picture() {
                Ok(picture) => return Ok(Some(picture)),
                // With several threads the first answer after the last packet
                // may be "again" although pictures are on their way.
                Err(dav1d::Error::Again) if self.state == State::Draining && drained => return Ok(None),
                Err(dav1d::Error::Again) if self.state == State::Draining => drained = true,
                Err(dav1d::Error::Again) => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    fn send(&mut self) -> Result<()> {
        let sent = if self.state == State::Pending {
            self.decoder.send_pending_data()
        } else {
            match self.packets.next().transpose()? {
                // The decoder takes an empty packet for a mistake of ours.
                Some(packet) if packet.is_empty() => return Ok(()),
                Some(packet) => self.decoder.send_data(packet, None, None, None),
                None => {
                    self.state = State::Draining;
                    return Ok(());
                }
            }
        };
        self.state = match sent {
            Ok(()) => State::Hungry,
            Err(dav1d::Error::Again) => State::Pending,
            Err(error) => return Err(self.broken(error)),
        };
        Ok(())
    }

    fn broken(&self, error: dav1d::Error) -> anyhow::Error {
        anyhow::anyhow!("{}: frame {} cannot be decoded: {error}", self.name, self.offset)
    }

    fn next_frame(&mut self) -> Result<Option<(usize, Picture)>> {
        while let Some(wanted) = self.next_wanted {
            let Some(picture) = self.decode()? else {
                bail!("{} has {} frames, frame {wanted} is wanted", self.name, self.offset);
            };
            let offset = self.offset;
            self.offset += 1;
            if offset == wanted {
                self.next_wanted = self.wanted.next();
                let copied = copy(&picture).with_context(|| format!("{}: frame {offset}", self.name))?;
                return Ok(Some((offset, copied)));
            }
        }
        Ok(None)
    }
}

impl Iterator for ProbeFrames {
    type Item = Result<(usize, Picture)>;

    /// After an error the iterator is at its end.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_frame().transpose();
        if matches!(next, Some(Err(_))) {
            self.next_wanted = None;
        }
        next
    }
}

fn copy(decoded: &dav1d::Picture) -> Result<Picture> {
    let bits = decoded.bit_depth() as u8;
    ensure!(decoded.pixel_layout() == PixelLayout::I420, "{:?} is not 4:2:0", decoded.pixel_layout());
    ensure!(bits == 8 || bits == 10, "{bits} bits are neither 8 nor 10");
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let mut picture = Picture { width, height, bits, planes: [Vec::new(), Vec::new(), Vec::new()] };
    for (index, component) in
        [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V].into_iter().enumerate()
    {
        let (w, h) = picture.plane_size(index);
        let plane = decoded.plane(component);
        let stride = decoded.stride(component) as usize;
        let samples = &mut picture.planes[index];
        samples.reserve_exact(w * h);
        for row in plane.chunks(stride).take(h) {
            if bits == 8 {
                samples.extend(row[..w].iter().map(|&sample| u16::from(sample)));
            } else {
                samples.extend(row[..2 * w].chunks_exact(2).map(|s| u16::from_ne_bytes([s[0], s[1]])));
            }
        }
    }
    Ok(picture)
}
