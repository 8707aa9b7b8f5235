//! Reads back what a muxer wrote: tracks, frame counts, times, the video's
//! packets. Matroska as in RFC 9559.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::ebml::{Elements, big_endian};

/// What is in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    pub tracks: Vec<Track>,
    pub chapters: usize,
    pub attachments: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Track {
    pub number: u64,
    pub kind: Kind,
    pub codec: String,
    /// Blocks; for video that is frames.
    pub blocks: usize,
    /// Times of the first and the last block in seconds.
    pub first: f64,
    pub last: f64,
    /// The first block's data, for video only.
    pub head: Vec<u8>,
    /// `CodecPrivate`: what a decoder may need before the first block.
    pub private: Vec<u8>,
    /// Blocks are compressed or encrypted.
    pub encoded: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    Video,
    Audio,
    Subtitles,
    #[default]
    Other,
}

impl Contents {
    pub fn count(&self, kind: Kind) -> usize {
        self.tracks.iter().filter(|track| track.kind == kind).count()
    }

    /// Index of the first video track.
    pub fn first_video(&self) -> Option<usize> {
        self.tracks.iter().position(|track| track.kind == Kind::Video)
    }
}

// Element IDs with their length marker, as RFC 9559 lists them.
const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63A2;
const CONTENT_ENCODINGS: u32 = 0x6D80;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const CHAPTERS: u32 = 0x1043_A770;
const EDITION: u32 = 0x45B9;
const CHAPTER_ATOM: u32 = 0xB6;
const ATTACHMENTS: u32 = 0x1941_A469;
const ATTACHED_FILE: u32 = 0x61A7;

/// Elements whose children are read; all others that are not values are skipped whole.
const MASTERS: [u32; 9] =
    [SEGMENT, INFO, TRACKS, TRACK_ENTRY, CLUSTER, BLOCK_GROUP, CHAPTERS, EDITION, ATTACHMENTS];

/// Bits of a block's flags that say how several frames share it.
const LACING: u8 = 0x06;

/// Every block is looked up among them. mkvmerge writes up to 127.
const MAX_TRACKS: usize = 1000;

/// Reads `path` from front to back, block data left out.
pub fn read(path: &Path) -> Result<Contents> {
    Walk::open(path)?.contents().with_context(|| broken(path))
}

/// [`read`] for an open file.
pub fn contents(file: impl Read + Seek) -> Result<Contents> {
    Walk::of(file)?.contents()
}

/// Bytes of every block of the first video track, in the order in which they
/// are shown.
pub fn frame_sizes(path: &Path) -> Result<Vec<u64>> {
    Walk::open(path)?.frame_sizes().with_context(|| broken(path))
}

/// The blocks of the first video track in the order of the file, one a frame.
pub struct Packets<R = BufReader<File>> {
    path: PathBuf,
    walk: Walk<R>,
    contents: Contents,
}

impl Packets {
    pub fn open(path: &Path) -> Result<Self> {
        let walk = Walk::open(path)?;
        Ok(Self { path: path.to_path_buf(), walk, contents: Contents::default() })
    }
}

impl<R: Read + Seek> Packets<R> {
    /// Reads `file`, which messages call `path`.
    pub fn of(file: R, path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_path_buf(), walk: Walk::of(file)?, contents: Contents::default() })
    }
}

impl<R: Read + Seek> Iterator for Packets<R> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let packet = self.walk.next_packet(&mut self.contents).with_context(|| broken(&self.path));
        packet.transpose()
    }
}

fn broken(path: &Path) -> String {
    format!("{} is no whole Matroska file", path.display())
}

/// A block whose header was read; its `bytes` come next.
struct Block {
    /// Index into the tracks.
    track: usize,
    seconds: f64,
    bytes: u64,
    /// It holds several frames.
    laced: bool,
}

struct Walk<R> {
    elements: Elements<R>,
    /// Nanoseconds a unit of the time stamps lasts.
    scale: u64,
    /// Time stamp of the cluster that is being read.
    cluster: u64,
    /// The EBML header has been met.
    begun: bool,
}

/// Nanoseconds, where the file does not say it.
const USUAL_SCALE: u64 = 1_000_000;

impl Walk<BufReader<File>> {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::of(BufReader::with_capacity(1 << 16, file))
            .with_context(|| format!("cannot read {}", path.display()))
    }
}

impl<R: Read + Seek> Walk<R> {
    fn of(file: R) -> Result<Self> {
        Ok(Self { elements: Elements::of(file)?, scale: USUAL_SCALE, cluster: 0, begun: false })
    }

    fn contents(&mut self) -> Result<Contents> {
        let mut contents = Contents::default();
        while let Some(block) = self.next_block(&mut contents)? {
            let track = &mut contents.tracks[block.track];
            track.blocks += 1;
            if track.blocks == 1 {
                (track.first, track.last) = (block.seconds, block.seconds);
                if track.kind == Kind::Video {
                    track.head = self.elements.bytes(block.bytes)?;
                    continue;
                }
            }
            track.last = track.last.max(block.seconds);
            self.elements.skip(block.bytes)?;
        }
        Ok(contents)
    }

    fn frame_sizes(&mut self) -> Result<Vec<u64>> {
        let mut blocks = self.video_blocks()?;
        blocks.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(blocks.into_iter().map(|(_, bytes)| bytes).collect())
    }

    /// The next block of the first video track.
    fn next_packet(&mut self, contents: &mut Contents) -> Result<Option<Vec<u8>>> {
        while let Some(block) = self.next_block(contents)? {
            if contents.first_video() == Some(block.track) {
                ensure!(!block.laced, "a block holds several frames");
                return self.elements.bytes(block.bytes).map(Some);
            }
            self.elements.skip(block.bytes)?;
        }
        Ok(None)
    }

    /// Time in seconds and bytes of every block of the first video track.
    fn video_blocks(&mut self) -> Result<Vec<(f64, u64)>> {
        let mut contents = Contents::default();
        let mut blocks = Vec::new();
        while let Some(block) = self.next_block(&mut contents)? {
            if contents.first_video() == Some(block.track) {
                blocks.push((block.seconds, block.bytes));
            }
            self.elements.skip(block.bytes)?;
        }
        Ok(blocks)
    }

    /// Reads on to the next block and its header; `None` at the end of the file.
    /// What is met on the way goes to `contents`. Masters are entered and their
    /// ends not looked for, which also reads files whose clusters do not tell
    /// their size.
    fn next_block(&mut self, contents: &mut Contents) -> Result<Option<Block>> {
        while self.elements.at < self.elements.size {
            let id = self.elements.id()?;
            let size = self.elements.length()?;
            ensure!(self.begun || id == EBML, "it does not begin with an EBML header");
            self.begun = true;
            if id == TRACK_ENTRY {
                ensure!(contents.tracks.len() < MAX_TRACKS, "it has more than {MAX_TRACKS} tracks");
                contents.tracks.push(Track::default());
            }
            if MASTERS.contains(&id) {
                continue;
            }
            let size = size.context("an element has no size")?;
            ensure!(
                self.elements.at + size <= self.elements.size,
                "it is cut off at byte {}",
                self.elements.size
            );
            match id {
                SIMPLE_BLOCK | BLOCK => return self.block(size, contents).map(Some),
                CHAPTER_ATOM => contents.chapters += 1,
                ATTACHED_FILE => contents.attachments += 1,
                TIMESTAMP_SCALE => {
                    self.scale = self.elements.number(size)?;
                    continue;
                }
                TIMESTAMP => {
                    self.cluster = self.elements.number(size)?;
                    continue;
                }
                TRACK_NUMBER | TRACK_TYPE | CODEC_ID | CODEC_PRIVATE | CONTENT_ENCODINGS => {
                    let value = self.elements.bytes(size)?;
                    let track = contents.tracks.last_mut().context("a track's value is in no track")?;
                    track.set(id, value);
                    continue;
                }
                _ => {}
            }
            self.elements.skip(size)?;
        }
        Ok(None)
    }

    fn block(&mut self, size: u64, contents: &Contents) -> Result<Block> {
        let start = self.elements.at;
        let number = self.elements.length()?.context("a block has no track number")?;
        let header = self.elements.bytes(3)?;
        // Relative to the cluster, signed.
        let relative = i64::from(i16::from_be_bytes([header[0], header[1]]));
        let seconds = (self.cluster as i64).saturating_add(relative) as f64 * self.scale as f64 * 1e-9;
        let bytes =
            (start + size).checked_sub(self.elements.at).context("a block is shorter than its header")?;
        let track = contents.tracks.iter().position(|track| track.number == number);
        let track = track.context("a block belongs to no track")?;
        Ok(Block { track, seconds, bytes, laced: header[2] & LACING != 0 })
    }
}

impl Track {
    fn set(&mut self, id: u32, value: Vec<u8>) {
        match id {
            TRACK_NUMBER => self.number = big_endian(&value),
            TRACK_TYPE => {
                self.kind = match big_endian(&value) {
                    1 => Kind::Video,
                    2 => Kind::Audio,
                    17 => Kind::Subtitles,
                    _ => Kind::Other,
                }
            }
            CODEC_PRIVATE => self.private = value,
            CONTENT_ENCODINGS => self.encoded = true,
            _ => String::from_utf8_lossy(&value).trim_end_matches('\0').clone_into(&mut self.codec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// 50 frames of video at 25 fps and two seconds of sound, by ffmpeg.
    fn film(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("film.mkv");
        let made = Command::new(which::which("ffmpeg").expect("ffmpeg is needed: apt install ffmpeg"))
            .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=2"])
            .args(["-f", "lavfi", "-i", "sine=duration=2", "-c:v", "mpeg4", "-c:a", "flac"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        path
    }

    #[test]
    fn tracks_frames_and_times_are_those_that_ffmpeg_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = film(folder.path());
        let contents = read(&path).unwrap();
        assert_eq!((contents.count(Kind::Video), contents.count(Kind::Audio)), (1, 1));
        let video = contents.tracks.iter().find(|track| track.kind == Kind::Video).unwrap();
        assert_eq!((video.blocks, video.codec.as_str()), (50, "V_MPEG4/ISO/ASP"));
        assert!(video.first.abs() < 1e-9 && (video.last - 1.96).abs() < 1e-9, "{video:?}");
        assert!(video.head.len() > 100);
        let packets: Vec<Vec<u8>> = Packets::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(packets[0], video.head);
        let sizes: Vec<u64> = packets.iter().map(|packet| packet.len() as u64).collect();
        assert_eq!(frame_sizes(&path).unwrap(), sizes);
    }

    #[test]
    fn damaged_files_are_errors_or_shorter_never_panics() {
        let folder = tempfile::tempdir().unwrap();
        let path = film(folder.path());
        let bytes = std::fs::read(&path).unwrap();
        for cut in (1..bytes.len() - 1).step_by(997) {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let frames = read(&path).map_or(0, |c| c.tracks.iter().map(|t| t.blocks).max().unwrap_or(0));
            assert!(frames < 50, "cut at {cut}");
        }
        std::fs::write(&path, b"RIFFxxxxAVI ").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("EBML header"));
    }
}
