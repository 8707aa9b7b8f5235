//! EBML, the elements that Matroska is made of (RFC 8794).

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};

/// The largest value kept in memory; a first block of video may be some MB.
const MAX_VALUE: u64 = 64 << 20;

/// A file whose elements are read from front to back.
pub(super) struct Elements<R> {
    file: R,
    /// Where in the file it is.
    pub at: u64,
    /// Bytes of the file.
    pub size: u64,
}

impl<R: Read + Seek> Elements<R> {
    pub fn of(mut file: R) -> Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        Ok(Self { file, at: 0, size })
    }

    /// An ID, marker included.
    pub fn id(&mut self) -> Result<u32> {
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
    pub fn length(&mut self) -> Result<Option<u64>> {
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

    pub fn number(&mut self, size: u64) -> Result<u64> {
        ensure!(size <= 8, "a number of {size} bytes");
        Ok(big_endian(&self.bytes(size)?))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    pub fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > MAX_VALUE {
            bail!("a value of {count} bytes");
        }
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes).with_context(|| format!("it is cut off at byte {}", self.size))?;
        self.at += count;
        Ok(bytes)
    }

    pub fn skip(&mut self, count: u64) -> Result<()> {
        self.at += count;
        match i64::try_from(count) {
            Ok(count) => self.file.seek_relative(count)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(self.at))?),
        }
        Ok(())
    }
}

/// A number of any length.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
