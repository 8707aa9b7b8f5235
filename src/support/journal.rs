//! An append-only file of JSON lines that survives `kill -9`: a torn last line
//! is ignored, everything before it counts.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends records of one type; each is on disk when [`Journal::append`] returns.
#[derive(Debug)]
pub struct Journal<T> {
    file: File,
    _record: PhantomData<fn(T)>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens or creates `path` and returns what it holds. Records that cannot
    /// be read (of another version, or torn) are left out.
    pub fn open(path: &Path) -> Result<(Self, Vec<T>)> {
        let context = || format!("cannot use the journal {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(context)?;
        let (records, whole) = read(BufReader::new(&file)).with_context(context)?;
        // The torn end would otherwise run into the next record.
        file.set_len(whole).with_context(context)?;
        file.seek(SeekFrom::End(0)).with_context(context)?;
        Ok((Self { file, _record: PhantomData }, records))
    }

    /// Adds a record, flushed to the disk.
    pub fn append(&mut self, record: &T) -> Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).context("cannot write the journal")
    }
}

/// The records of a journal and the length in bytes of its whole lines; what
/// cannot be read as a record is left out.
pub fn read<T: DeserializeOwned>(mut reader: impl BufRead) -> std::io::Result<(Vec<T>, u64)> {
    let mut records = Vec::new();
    let mut whole = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok((records, whole));
        }
        whole += length as u64;
        records.extend(serde_json::from_slice(&line).ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_dropped_and_appending_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, old) = Journal::<(u32, String)>::open(&path).unwrap();
        assert!(old.is_empty());
        journal.append(&(1, "one".into())).unwrap();
        journal.append(&(2, "two".into())).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, old) = Journal::<(u32, String)>::open(&path).unwrap();
            let lines = whole[..cut].split(|&b| b == b'\n').count() - 1;
            assert_eq!(old.len(), lines, "cut at {cut}");
            journal.append(&(3, "three".into())).unwrap();
            let (_, again) = Journal::<(u32, String)>::open(&path).unwrap();
            assert_eq!(again.len(), lines + 1);
            assert_eq!(again.last().unwrap().0, 3);
        }
    }
}
