//! Reads back what a muxer wrote: tracks, frame counts, times. Matroska as in
//! RFC 9559, EBML as in RFC 8794.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

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

/// The largest value kept in memory; a first block of video may be some MB.
const MAX_VALUE: u64 = 64 << 20;

/// Reads `path` from front to back, block data left out.
pub fn read(path: &Path) -> Result<Contents> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let size = file.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
    let mut walk =
        Walk { file: BufReader::with_capacity(1 << 16, file), at: 0, size, scale: USUAL_SCALE, cluster: 0 };
    walk.contents().with_context(|| format!("{} is no whole Matroska file", path.display()))
}

struct Walk {
    file: BufReader<File>,
    at: u64,
    size: u64,
    /// Nanoseconds a unit of the time stamps lasts.
    scale: u64,
    /// Time stamp of the cluster that is being read.
    cluster: u64,
}

/// Nanoseconds, where the file does not say it.
const USUAL_SCALE: u64 = 1_000_000;

impl Walk {
    /// Masters are entered and their ends not looked for, which also reads
    /// files whose clusters do not tell their size.
    fn contents(&mut self) -> Result<Contents> {
        let mut contents = Contents::default();
        let mut first = true;
        while self.at < self.size {
            let id = self.id()?;
            let size = self.length()?;
            ensure!(!first || id == EBML, "it does not begin with an EBML header");
            first = false;
            if id == TRACK_ENTRY {
                contents.tracks.push(Track::default());
            }
            if MASTERS.contains(&id) {
                continue;
            }
            let size = size.context("an element has no size")?;
            ensure!(self.at + size <= self.size, "it is cut off at byte {}", self.size);
            match id {
                SIMPLE_BLOCK | BLOCK => self.block(size, &mut contents)?,
                CHAPTER_ATOM => contents.chapters += 1,
                ATTACHED_FILE => contents.attachments += 1,
                TIMESTAMP_SCALE => {
                    self.scale = self.number(size)?;
                    continue;
                }
                TIMESTAMP => {
                    self.cluster = self.number(size)?;
                    continue;
                }
                TRACK_NUMBER | TRACK_TYPE | CODEC_ID => {
                    let value = self.bytes(size)?;
                    let track = contents.tracks.last_mut().context("a track's value is in no track")?;
                    track.set(id, &value);
                    continue;
                }
                _ => {}
            }
            if !matches!(id, SIMPLE_BLOCK | BLOCK) {
                self.skip(size)?;
            }
        }
        Ok(contents)
    }

    fn block(&mut self, size: u64, contents: &mut Contents) -> Result<()> {
        let start = self.at;
        let number = self.length()?.context("a block has no track number")?;
        let header = self.bytes(3)?;
        // Relative to the cluster, signed.
        let relative = i64::from(i16::from_be_bytes([header[0], header[1]]));
        let seconds = (self.cluster as i64).saturating_add(relative) as f64 * self.scale as f64 * 1e-9;
        let left = (start + size).checked_sub(self.at).context("a block is shorter than its header")?;
        let track = contents.tracks.iter_mut().find(|track| track.number == number);
        let track = track.context("a block belongs to no track")?;
        if track.blocks == 0 {
            track.first = seconds;
            if track.kind == Kind::Video {
                track.head = self.bytes(left)?;
                (track.blocks, track.last) = (1, seconds);
                return Ok(());
            }
        }
        track.blocks += 1;
        track.last = track.last.max(seconds);
        self.skip(left)
    }

    /// An ID, marker included.
    fn id(&mut self) -> Result<u32> {
        let first = self.byte()?;
        let more = first.leading_zeros();
        ensure!(more < 4, "byte {} starts no element", self.at - 1);
        let mut id = u32::from(first);
        for _ in 0..more {
            id = id << 8 | u32::from(self.byte()?);
        }
        Ok(id)
    }

    /// A variable-length number without its marker; `None`: all ones, "unknown".
    fn length(&mut self) -> Result<Option<u64>> {
        let first = self.byte()?;
        let more = first.leading_zeros();
        ensure!(more < 8, "byte {} starts no size", self.at - 1);
        let mut value = u64::from(first) & ((1 << (7 - more)) - 1);
        for _ in 0..more {
            value = value << 8 | u64::from(self.byte()?);
        }
        let unknown = (1 << (7 * (more + 1))) - 1;
        Ok((value != unknown).then_some(value))
    }

    fn number(&mut self, size: u64) -> Result<u64> {
        ensure!(size <= 8, "a number of {size} bytes");
        Ok(big_endian(&self.bytes(size)?))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > MAX_VALUE {
            bail!("a value of {count} bytes");
        }
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes).with_context(|| format!("it is cut off at byte {}", self.size))?;
        self.at += count;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        self.at += count;
        match i64::try_from(count) {
            Ok(count) => self.file.seek_relative(count)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(self.at))?),
        }
        Ok(())
    }
}

impl Track {
    fn set(&mut self, id: u32, value: &[u8]) {
        match id {
            TRACK_NUMBER => self.number = big_endian(value),
            TRACK_TYPE => {
                self.kind = match big_endian(value) {
                    1 => Kind::Video,
                    2 => Kind::Audio,
                    17 => Kind::Subtitles,
                    _ => Kind::Other,
                }
            }
            _ => String::from_utf8_lossy(value).trim_end_matches('\0').clone_into(&mut self.codec),
        }
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
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
        let contents = read(&film(folder.path())).unwrap();
        assert_eq!((contents.count(Kind::Video), contents.count(Kind::Audio)), (1, 1));
        let video = contents.tracks.iter().find(|track| track.kind == Kind::Video).unwrap();
        assert_eq!((video.blocks, video.codec.as_str()), (50, "V_MPEG4/ISO/ASP"));
        assert!(video.first.abs() < 1e-9 && (video.last - 1.96).abs() < 1e-9, "{video:?}");
        assert!(video.head.len() > 100);
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
