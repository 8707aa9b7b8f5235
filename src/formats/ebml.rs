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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn elements(bytes: &[u8]) -> Elements<Cursor<&[u8]>> {
        Elements::of(Cursor::new(bytes)).unwrap()
    }

    /// The examples of RFC 8794, section 4.4: one value, written ever longer.
    #[test]
    fn lengths_are_read_however_long_they_are_written() {
        for bytes in [&[0x82][..], &[0x40, 0x02], &[0x20, 0, 2], &[0x10, 0, 0, 2], &[1, 0, 0, 0, 0, 0, 0, 2]]
        {
            let mut read = elements(bytes);
            assert_eq!(read.length().unwrap(), Some(2), "{bytes:?}");
            assert_eq!(read.at, bytes.len() as u64);
        }
        assert_eq!(elements(&[0x41, 0x23]).length().unwrap(), Some(0x123));
        assert_eq!(elements(&[0x1a, 0xbc, 0xde, 0xf0]).length().unwrap(), Some(0x0abc_def0));
        // All ones are no length.
        for bytes in [&[0xff][..], &[0x7f, 0xff], &[1, 255, 255, 255, 255, 255, 255, 255]] {
            assert_eq!(elements(bytes).length().unwrap(), None, "{bytes:?}");
        }
        assert!(elements(&[0, 0xff]).length().unwrap_err().to_string().contains("byte 0 starts no size"));
    }

    #[test]
    fn ids_keep_their_marker_and_have_at_most_four_bytes() {
        for (bytes, id) in [
            (&[0xa3][..], 0xa3),
            (&[0x42, 0x86], 0x4286),
            (&[0x2a, 0xd7, 0xb1], 0x2a_d7b1),
            (&[0x1a, 0x45, 0xdf, 0xa3], 0x1a45_dfa3),
        ] {
            assert_eq!(elements(bytes).id().unwrap(), id);
        }
        let mut read = elements(&[0x81, 0x08]);
        read.skip(1).unwrap();
        assert!(read.id().unwrap_err().to_string().contains("byte 1 starts no element"));
    }

    #[test]
    fn values_are_big_endian_and_end_with_the_file() {
        let mut read = elements(&[1, 2, 3, 4, 5]);
        assert_eq!((read.number(2).unwrap(), read.at), (0x102, 2));
        read.skip(1).unwrap();
        assert_eq!((read.bytes(2).unwrap(), read.at, read.size), (vec![4, 5], 5, 5));
        assert!(read.bytes(1).unwrap_err().to_string().contains("cut off at byte 5"));
        assert_eq!(read.number(0).unwrap(), 0);
        assert!(elements(&[0; 9]).number(9).is_err());
        let error = elements(&[]).bytes(MAX_VALUE + 1).unwrap_err().to_string();
        assert!(error.contains("a value of 67108865 bytes"), "{error}");
        assert!(elements(&[]).bytes(MAX_VALUE).unwrap_err().to_string().contains("cut off"));
        // Further than the file is long; the next read tells.
        let mut read = elements(&[1]);
        read.skip(u64::MAX / 2 + 2).unwrap();
        assert!(read.bytes(1).is_err());
    }
}
