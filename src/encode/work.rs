//! The work folder: finished chunks and the journal that says which they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::plan::Chunk;
use crate::formats::ivf;
use crate::support::fingerprint::Fingerprint;
use crate::support::journal::Journal;
use crate::support::lock::FolderLock;
use crate::support::space::{self, NoRoom};

// Names that nothing else in a folder of the user's is likely to have.
const CHUNKS: &str = "encoded-chunks";
const GRAIN: &str = "grain-tables";
const JOURNAL: &str = "encode.journal";
const SCENES: &str = "detected-scenes.json";
const JOINED: &str = "joined.ivf";
const INDEX: &str = "source-index";

/// A finished chunk. It counts when its file is there, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Of everything the chunk's bytes depend on.
    pub key: Fingerprint,
    pub start: usize,
    pub end: usize,
    pub bytes: u64,
    pub seconds: f64,
}

/// Scenes that an earlier run detected.
#[derive(Debug, Serialize, Deserialize)]
struct Detected {
    key: Fingerprint,
    starts: Vec<usize>,
}

/// Held by one run at a time.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
    finished: HashMap<Fingerprint, Finished>,
    journal: Mutex<Journal<Finished>>,
    /// Chunks that a fresh run threw away.
    pub cleared: usize,
    _lock: FolderLock,
}

impl WorkFolder {
    /// Locks `path` and reads what is finished; a fresh run (`resume` false)
    /// clears it. The source's index stays.
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        let lock = FolderLock::acquire(path)?;
        let path = std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        let mut cleared = 0;
        if !resume {
            cleared = clear(&path)?;
        }
        for folder in [CHUNKS, GRAIN, INDEX] {
            std::fs::create_dir_all(path.join(folder))
                .with_context(|| format!("cannot create the work folder {}", path.display()))?;
        }
        remove_partial_files(&path.join(CHUNKS));
        let (journal, records) = Journal::open(&path.join(JOURNAL))?;
        let finished = records.into_iter().map(|record: Finished| (record.key.clone(), record)).collect();
        Ok(Self { path, finished, journal: Mutex::new(journal), cleared, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the source plugins keep their index.
    pub fn index(&self) -> PathBuf {
        self.path.join(INDEX)
    }

    pub fn joined(&self) -> PathBuf {
        self.path.join(JOINED)
    }

    /// The final name of a chunk's file. Chunks of other settings have other names.
    pub fn chunk_file(&self, chunk: &Chunk, key: &Fingerprint) -> PathBuf {
        let short = &key.to_string()[..8];
        self.path.join(CHUNKS).join(format!("{:07}-{:07}.{short}.ivf", chunk.frames.start, chunk.frames.end))
    }

    pub fn grain_file(&self, chunk: &Chunk) -> PathBuf {
        self.path.join(GRAIN).join(format!("{:07}.tbl", chunk.frames.start))
    }

    /// The record of a chunk that need not be encoded again: it is in the
    /// journal, and its file is as long as then and holds all frames.
    pub fn finished(&self, chunk: &Chunk, key: &Fingerprint) -> Option<&Finished> {
        let record = self.finished.get(key)?;
        let whole = ivf::verify(&self.chunk_file(chunk, key))
            .is_ok_and(|(frames, bytes)| frames == chunk.frames.len() && bytes == record.bytes);
        whole.then_some(record)
    }

    /// Records a chunk whose file lies under its final name.
    pub fn record(&self, finished: &Finished) -> Result<()> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(finished)
    }

    /// The scene starts that a run with the same `key` detected.
    pub fn detected(&self, key: &Fingerprint) -> Option<Vec<usize>> {
        let bytes = std::fs::read(self.path.join(SCENES)).ok()?;
        let detected: Detected = serde_json::from_slice(&bytes).ok()?;
        (detected.key == *key).then_some(detected.starts)
    }

    pub fn store_detected(&self, key: &Fingerprint, starts: Vec<usize>) -> Result<()> {
        let detected = Detected { key: key.clone(), starts };
        crate::support::atomic::write(&self.path.join(SCENES), &serde_json::to_vec(&detected)?)
    }

    /// An error when nothing more can be written here: then every chunk would fail.
    pub fn check_space(&self) -> Result<(), NoRoom> {
        space::check(&self.path)
    }

    /// Removes the whole folder, index included.
    pub fn remove(self) -> Result<()> {
        let path = self.path.clone();
        clear(&path)?;
        // The lock is released before its file goes, which Windows wants.
        drop(self);
        let _ = std::fs::remove_dir_all(path.join(INDEX));
        let _ = std::fs::remove_file(path.join("lock"));
        // Other files of the user's keep the folder alive.
        let _ = std::fs::remove_dir(&path);
        Ok(())
    }
}

/// Removes what earlier runs left and returns the number of finished chunks among it.
fn clear(path: &Path) -> Result<usize> {
    let chunks = std::fs::read_dir(path.join(CHUNKS)).map_or(0, |entries| {
        entries.flatten().filter(|e| !e.file_name().to_string_lossy().starts_with('.')).count()
    });
    for folder in [CHUNKS, GRAIN] {
        gone(std::fs::remove_dir_all(path.join(folder)), &path.join(folder))?;
    }
    for file in [JOURNAL, SCENES, JOINED] {
        gone(std::fs::remove_file(path.join(file)), &path.join(file))?;
    }
    Ok(chunks)
}

fn gone(removed: std::io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot clear {}: {error}", path.display())
        }
        _ => Ok(()),
    }
}

/// What a killed run was writing. An encoder that outlived it may still hold
/// its file open; that one is dealt with when the chunk is encoded.
fn remove_partial_files(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with('.') {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
