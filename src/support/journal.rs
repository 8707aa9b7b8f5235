//! An append-only file of JSON lines that survives `kill -9`: a torn last line
//! is ignored, everything before it counts.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic;

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

    /// A journal of this process alone: under a name that begins with `name`, with
    /// nothing that another process has or will have.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let file = atomic::ordinary(&mut tempfile::Builder::new())
            .prefix(&format!("{name}."))
            .suffix(EXTENSION)
            .tempfile_in(folder)
            .with_context(|| format!("cannot write a journal into {}", folder.display()))?;
        let (file, _) = file.keep().context("cannot keep the journal")?;
        Ok(Self { file, _record: PhantomData })
    }

    /// What all journals of a folder hold, each with its name, though other processes may be adding to them.
    pub fn read_all(folder: &Path) -> Result<Vec<(String, Vec<T>)>> {
        let context = || format!("cannot read the journals in {}", folder.display());
        let mut all = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(context)? {
            let path = entry.with_context(context)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(EXTENSION) {
                let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
                all.push((name, read(BufReader::new(&file)).with_context(context)?.0));
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// Adds a record, flushed to the disk.
    pub fn append(&mut self, record: &T) -> Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).context("cannot write the journal")
    }
}

/// How the names of journals of one process each end.
const EXTENSION: &str = ".ndjson";

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

    #[test]
    fn journals_of_several_processes_are_read_together_while_they_grow() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = Journal::<u32>::create(folder.path(), "1-of-2").unwrap();
        let mut other = Journal::<u32>::create(folder.path(), "1-of-2").unwrap();
        one.append(&7).unwrap();
        other.append(&8).unwrap();
        std::fs::write(folder.path().join("2-of-2.x.ndjson"), "9\n10").unwrap();
        let read = || Journal::<u32>::read_all(folder.path()).unwrap();
        let mut all: Vec<u32> = read().into_iter().flat_map(|(_, records)| records).collect();
        all.sort_unstable();
        assert_eq!(all, [7, 8, 9]);
        // The torn end is another's to finish.
        assert_eq!(std::fs::read(folder.path().join("2-of-2.x.ndjson")).unwrap(), b"9\n10");
        one.append(&11).unwrap();
        assert_eq!(read().iter().map(|(_, records)| records.len()).sum::<usize>(), 4);
        assert!(read().iter().filter(|(name, _)| name.starts_with("1-of-2.")).count() == 2);
    }
}
