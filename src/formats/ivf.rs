//! IVF: the little container around the encoder's output.
//!
//! A header of 32 bytes (signature `DKIF`, version, header length, codec, size,
//! time base, frame count), then per frame 4 bytes length, 8 bytes time stamp
//! and the data; all little endian.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Bytes of the file in front of its frames.
pub const HEADER: usize = 32;
const FRAME_HEADER: usize = 12;
/// A temporal delimiter opens every frame of AV1 in IVF; Matroska has none.
const DELIMITER: usize = 2;

/// What the first 32 bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub width: u16,
    pub height: u16,
    /// Time stamps count in `time_base.0 / time_base.1` seconds.
    pub time_base: (u32, u32),
    /// 0 while the encoder still writes.
    pub frames: u32,
}

/// The data of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub time: u64,
    pub data: Vec<u8>,
}

/// Reads an AV1 IVF file from front to back.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    /// For messages.
    path: PathBuf,
    file: R,
    header: Header,
    /// Frames read so far.
    read: usize,
}

impl Reader {
    /// Opens `path` and checks its header.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::of(BufReader::with_capacity(1 << 16, file), path)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads `file`, which messages call `path`, and checks its header.
    pub fn of(mut file: R, path: &Path) -> Result<Self> {
        let mut bytes = [0; HEADER];
        let header = read_up_to(&mut file, &mut bytes)
            .map_err(anyhow::Error::from)
            .and_then(|n| parse_header(&bytes[..n]))
            .with_context(|| format!("{} is no AV1 IVF file", path.display()))?;
        Ok(Self { path: path.to_path_buf(), file, header, read: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn header(&self) -> Header {
        self.header
    }

    /// The next frame; `None` at the end of the file.
    pub fn next_packet(&mut self) -> Result<Option<Packet>> {
        let Some((size, time)) = self.frame_header()? else { return Ok(None) };
        let mut data = Vec::new();
        // `take` rather than a buffer of `size`: a damaged length must not
        // allocate gigabytes.
        self.file
            .by_ref()
            .take(u64::from(size))
            .read_to_end(&mut data)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        if data.len() != size as usize {
            return Err(self.cut_off(&format!("{} of {size} bytes", data.len())));
        }
        self.read += 1;
        Ok(Some(Packet { time, data }))
    }

    /// Steps over the next frame and tells its size; `None` at the end of the file.
    fn skip_packet(&mut self, file_size: u64) -> Result<Option<u64>> {
        let Some((size, _)) = self.frame_header()? else { return Ok(None) };
        let at = self.file.stream_position()?;
        if at + u64::from(size) > file_size {
            return Err(self.cut_off(&format!("{} of {size} bytes", file_size - at)));
        }
        self.file.seek_relative(i64::from(size))?;
        self.read += 1;
        Ok(Some(u64::from(size)))
    }

    /// See [`verify`].
    pub fn verify(self) -> Result<(usize, u64)> {
        let (header, path) = (self.header, self.path.clone());
        let (sizes, bytes) = self.walk()?;
        if sizes.len() != header.frames as usize {
            bail!("{} holds {} frames, its header says {}", path.display(), sizes.len(), header.frames);
        }
        Ok((sizes.len(), bytes))
    }

    /// Bytes of every frame, and of the whole file.
    fn walk(mut self) -> Result<(Vec<u64>, u64)> {
        let bytes = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(HEADER as u64))?;
        let mut sizes = Vec::new();
        while let Some(size) = self.skip_packet(bytes)? {
            sizes.push(size);
        }
        Ok((sizes, bytes))
    }

    fn frame_header(&mut self) -> Result<Option<(u32, u64)>> {
        let mut bytes = [0; FRAME_HEADER];
        let n = read_up_to(&mut self.file, &mut bytes)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        match n {
            0 => Ok(None),
            FRAME_HEADER => Ok(Some((u32_at(&bytes, 0), u64_at(&bytes, 4)))),
            _ => Err(self.cut_off(&format!("{n} of {FRAME_HEADER} bytes of its header"))),
        }
    }

    fn cut_off(&self, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{} is cut off: frame {} has {what}", self.path.display(), self.read)
    }
}

impl Header {
    /// The beginning of a file.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..12].copy_from_slice(b"DKIF\0\0\x20\0AV01");
        bytes[12..14].copy_from_slice(&self.width.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.height.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.time_base.1.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.time_base.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.frames.to_le_bytes());
        bytes
    }
}

/// Bytes of a file's frames in Matroska, of a file of `bytes` with one AV1 frame shown by each.
pub fn bare(bytes: u64, frames: usize) -> u64 {
    bytes.saturating_sub((HEADER + frames * (FRAME_HEADER + DELIMITER)) as u64)
}

/// Writes one frame, at `time` in the file's time base.
pub fn write_packet(out: &mut dyn Write, time: u64, data: &[u8]) -> Result<()> {
    out.write_all(&u32::try_from(data.len())?.to_le_bytes())?;
    out.write_all(&time.to_le_bytes())?;
    Ok(out.write_all(data)?)
}

/// Frames that are really there and the size of the file in bytes. The count
/// in the header must agree; alone it proves nothing: on a full disk 1.4.1, 2.3.0
/// and 4.2.0 all write the full count over the header of a file that is cut off.
pub fn verify(path: &Path) -> Result<(usize, u64)> {
    Reader::open(path)?.verify()
}

/// Bytes of every frame, in order, whatever the header counts.
pub fn frame_sizes(path: &Path) -> Result<Vec<u64>> {
    Reader::open(path)?.walk().map(|(sizes, _)| sizes)
}

fn parse_header(bytes: &[u8]) -> Result<Header> {
    if bytes.len() < HEADER {
        bail!("it has {} bytes, the header alone takes {HEADER}", bytes.len());
    }
    if &bytes[..4] != b"DKIF" {
        bail!("the signature is {:?} instead of \"DKIF\"", String::from_utf8_lossy(&bytes[..4]));
    }
    let length = u16_at(bytes, 6);
    if usize::from(length) != HEADER {
        bail!("the header claims {length} bytes instead of {HEADER}");
    }
    if &bytes[8..12] != b"AV01" {
        bail!("the codec is {:?} instead of \"AV01\"", String::from_utf8_lossy(&bytes[8..12]));
    }
    Ok(Header {
        width: u16_at(bytes, 12),
        height: u16_at(bytes, 14),
        time_base: (u32_at(bytes, 20), u32_at(bytes, 16)),
        frames: u32_at(bytes, 24),
    })
}

/// Fills as much of `bytes` as the reader has.
fn read_up_to(reader: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header as SvtAv1EncApp 1.4.1 writes it for 64×48 at 24 fps.
    fn file(frames: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"DKIF\x00\x00\x20\x00AV01\x40\x00\x30\x00\x18\x00\x00\x00\x01\x00\x00\x00".to_vec();
        bytes.extend(frames.to_le_bytes());
        bytes.extend([0; 4]);
        for (n, packet) in packets.iter().enumerate() {
            bytes.extend((packet.len() as u32).to_le_bytes());
            bytes.extend((n as u64).to_le_bytes());
            bytes.extend(*packet);
        }
        bytes
    }

    fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn packets_come_with_time_and_data() {
        let file = on_disk(&file(2, &[b"abc", b"defgh"]));
        let mut reader = Reader::open(file.path()).unwrap();
        assert_eq!(reader.header(), Header { width: 64, height: 48, time_base: (1, 24), frames: 2 });
        assert_eq!(reader.next_packet().unwrap().unwrap().data, b"abc");
        assert_eq!(reader.next_packet().unwrap(), Some(Packet { time: 1, data: b"defgh".to_vec() }));
        assert_eq!(reader.next_packet().unwrap(), None);
        assert_eq!(verify(file.path()).unwrap(), (2, 32 + 24 + 8));
        assert_eq!(frame_sizes(file.path()).unwrap(), [3, 5]);
    }

    #[test]
    fn what_is_written_is_what_the_encoder_writes() {
        let mut written = Header { width: 64, height: 48, time_base: (1, 24), frames: 2 }.to_bytes().to_vec();
        write_packet(&mut written, 0, b"abc").unwrap();
        write_packet(&mut written, 1, b"defgh").unwrap();
        assert_eq!(written, file(2, &[b"abc", b"defgh"]));
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let whole = file(2, &[b"abc", b"defgh"]);
        for (bytes, wanted) in [
            (&whole[..whole.len() - 2], "is cut off: frame 1 has 3 of 5 bytes"),
            (&whole[..32 + 15 + 7], "is cut off: frame 1 has 7 of 12 bytes of its header"),
            (&whole[..32 + 15], "holds 1 frames, its header says 2"),
            (&file(0, &[b"abc"]), "holds 1 frames, its header says 0"),
            (&whole[..20], "no AV1 IVF file: it has 20 bytes"),
            (b"RIFFxxxxAVI xxxxxxxxxxxxxxxxxxxxxx".as_slice(), "signature is \"RIFF\""),
        ] {
            let file = on_disk(bytes);
            let error = format!("{:#}", verify(file.path()).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
        let file = on_disk(&whole[..whole.len() - 2]);
        let mut reader = Reader::open(file.path()).unwrap();
        reader.next_packet().unwrap();
        assert!(reader.next_packet().unwrap_err().to_string().contains("frame 1 has 3 of 5 bytes"));
    }

    #[test]
    fn a_damaged_length_allocates_nothing() {
        let mut bytes = file(1, &[b"abc"]);
        bytes[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        let file = on_disk(&bytes);
        let error = Reader::open(file.path()).unwrap().next_packet().unwrap_err();
        assert!(error.to_string().contains("3 of 4294967295 bytes"), "{error}");
    }
}
