//! The work folder: finished chunks and the journal that says which they are.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::plan::Chunk;
use super::share::AGREED;
use crate::encoder::is_cache_file;
use crate::formats::ivf;
use crate::support::atomic;
use crate::support::fingerprint::Fingerprint;
use crate::support::journal::Journal;
use crate::support::lock::{Earlier, FolderLock, LOCK_FILE, STATUS_FILE};
use crate::support::space::{self, NoRoom};
use crate::support::units::show_bytes;

// Names that nothing else in a folder of the user's is likely to have.
const CHUNKS: &str = "encoded-chunks";
const GRAIN: &str = "grain-tables";
const JOURNAL: &str = "encode.journal";
const SCENES: &str = "detected-scenes.json";
const JOINED: &str = "joined.ivf";
const INDEX: &str = "source-index";
const PARTIAL: &str = "partial-result";
/// Of a folder that several machines share: a journal of each, and how the names of
/// folders begin that are of one process alone.
const JOURNALS: &str = "encode-journals";
const PRIVATE: &str = "private-";

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

/// Held by one run at a time, or shared by several machines. Then it is not locked,
/// because locks are not to be relied on there: each has a journal and a folder of its
/// own, and chunks get their names when they are whole.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
    finished: HashMap<Fingerprint, Finished>,
    journal: Mutex<Journal<Finished>>,
    /// Finished chunks that [`WorkFolder::begin`] throws away.
    unwanted: usize,
    /// The names of other machines' journals.
    journals: Vec<String>,
    /// What no other machine sees, where the folder is shared.
    private: Option<TempDir>,
    _lock: Option<FolderLock>,
}

impl WorkFolder {
    /// Locks `path` and reads what is finished there. Nothing finished is removed
    /// before [`WorkFolder::begin`]: what else the run needs may yet prove wrong.
    pub fn open(path: &Path, earlier: Earlier) -> Result<Self> {
        let lock = FolderLock::acquire(path)?;
        let path = std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        for folder in [CHUNKS, GRAIN, INDEX] {
            std::fs::create_dir_all(path.join(folder))
                .with_context(|| format!("cannot create the work folder {}", path.display()))?;
        }
        remove_remains(&path);
        let (journal, records) = Journal::open(&path.join(JOURNAL))?;
        let finished = records.into_iter().map(|record: Finished| (record.key.clone(), record)).collect();
        let mut folder = Self {
            path,
            finished,
            journal: Mutex::new(journal),
            unwanted: 0,
            journals: Vec::new(),
            private: None,
            _lock: Some(lock),
        };
        if earlier != Earlier::Resume {
            folder.disown(earlier)?;
        }
        Ok(folder)
    }

    /// A folder that other machines use as well; what this one finishes goes into a
    /// journal whose name begins with `name`.
    pub fn shared(path: &Path, name: &str) -> Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        let context = || format!("cannot create the work folder {}", path.display());
        for folder in [CHUNKS, JOURNALS] {
            std::fs::create_dir_all(path.join(folder)).with_context(context)?;
        }
        let all = Journal::<Finished>::read_all(&path.join(JOURNALS))?;
        let journals = all.iter().map(|(name, _)| name.clone()).collect();
        let records = all.into_iter().flat_map(|(_, records)| records);
        let finished = records.map(|record| (record.key.clone(), record)).collect();
        let private = tempfile::Builder::new().prefix(PRIVATE).tempdir_in(&path).with_context(context)?;
        std::fs::create_dir(private.path().join(GRAIN)).with_context(context)?;
        let journal = Mutex::new(Journal::create(&path.join(JOURNALS), name)?);
        Ok(Self { path, finished, journal, unwanted: 0, journals, private: Some(private), _lock: None })
    }

    /// The names of the journals that were there when this shared folder was opened.
    pub fn journals(&self) -> &[String] {
        &self.journals
    }

    /// Where the chunk `file` is encoded to, until it is published.
    pub fn encode_to(&self, file: &Path) -> PathBuf {
        match (&self.private, file.file_name()) {
            (Some(private), Some(name)) => private.path().join(name),
            _ => file.to_path_buf(),
        }
    }

    /// Gives a finished chunk its name. Another machine may have made the same.
    pub fn publish(encoded: &Path, file: &Path) -> Result<()> {
        if encoded == file {
            return Ok(());
        }
        atomic::rename(encoded, file)
            .with_context(|| format!("cannot rename {} to {}", encoded.display(), file.display()))
    }

    /// Where things lie that only this process needs.
    fn own(&self) -> &Path {
        self.private.as_ref().map_or(&self.path, |private| private.path())
    }

    /// Takes no notice of what is finished, which is an error unless that was asked for.
    fn disown(&mut self, earlier: Earlier) -> Result<()> {
        let sizes = self.finished.values().map(|record| std::fs::metadata(self.file_of(record)));
        let sizes: Vec<u64> = sizes.flatten().map(|file| file.len()).collect();
        if earlier == Earlier::Refuse && !sizes.is_empty() {
            let (path, bytes) = (self.path.display(), show_bytes(sizes.iter().sum()));
            bail!(
                "an earlier run finished {} chunks, {bytes}, in {path}: --resume continues it, also with other \
                 settings (what does not fit them is encoded anew), --force starts over without them, and \
                 --temp names another folder; nothing was changed",
                sizes.len()
            );
        }
        self.unwanted = sizes.len();
        self.finished.clear();
        Ok(())
    }

    /// The run has all that it needs. Removes what it is to start without, and
    /// returns the number of finished chunks among it.
    pub fn begin(&mut self) -> Result<usize> {
        if self.unwanted > 0 {
            clear(&self.path)?;
            for folder in [CHUNKS, GRAIN] {
                std::fs::create_dir_all(self.path.join(folder))
                    .with_context(|| format!("cannot create the work folder {}", self.path.display()))?;
            }
            self.journal = Mutex::new(Journal::open(&self.path.join(JOURNAL))?.0);
        }
        Ok(std::mem::take(&mut self.unwanted))
    }

    fn file_of(&self, record: &Finished) -> PathBuf {
        self.named(record.start, record.end, &record.key)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the source plugins keep their index.
    pub fn index(&self) -> PathBuf {
        self.path.join(INDEX)
    }

    pub fn joined(&self) -> PathBuf {
        self.own().join(JOINED)
    }

    /// The final name of a chunk's file. Chunks of other settings have other names.
    pub fn chunk_file(&self, chunk: &Chunk, key: &Fingerprint) -> PathBuf {
        self.named(chunk.frames.start, chunk.frames.end, key)
    }

    fn named(&self, start: usize, end: usize, key: &Fingerprint) -> PathBuf {
        let short = &key.to_string()[..8];
        self.path.join(CHUNKS).join(format!("{start:07}-{end:07}.{short}.ivf"))
    }

    pub fn grain_file(&self, chunk: &Chunk) -> PathBuf {
        self.own().join(GRAIN).join(format!("{:07}.tbl", chunk.frames.start))
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
        atomic::write(&self.path.join(SCENES), &serde_json::to_vec(&detected)?)
    }

    /// An error when nothing more can be written here: then every chunk would fail.
    pub fn check_space(&self) -> Result<(), NoRoom> {
        space::check(&self.path)
    }

    /// Notes that an unfinished file is about to appear under `path`, outside of
    /// this folder: should the run be killed, the next one removes it.
    pub fn note_partial(&self, path: &Path) -> Result<()> {
        if self.private.is_some() {
            return Ok(());
        }
        let path = std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        atomic::write(&self.path.join(PARTIAL), path.as_os_str().as_encoded_bytes())
    }

    /// The file of [`WorkFolder::note_partial`] has become a result, or is gone.
    pub fn forget_partial(&self) {
        let _ = std::fs::remove_file(self.path.join(PARTIAL));
    }

    /// Removes finished chunks other than `needed`: those of other settings,
    /// which pile up over runs that resume. Returns how many there were, and
    /// their bytes.
    pub fn prune(&self, needed: &HashSet<&Path>) -> (usize, u64) {
        if self.private.is_some() {
            // They may be another machine's, at work.
            return (0, 0);
        }
        let Ok(entries) = std::fs::read_dir(self.path.join(CHUNKS)) else { return (0, 0) };
        let old = entries.flatten().filter(|entry| !needed.contains(entry.path().as_path()));
        let removed = old.filter_map(|entry| {
            let bytes = entry.metadata().ok()?.len();
            std::fs::remove_file(entry.path()).ok().map(|()| bytes)
        });
        removed.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
    }

    /// Removes the whole folder, index included.
    pub fn remove(self) -> Result<()> {
        let path = self.path.clone();
        clear(&path)?;
        if self.private.is_some() {
            gone(std::fs::remove_dir_all(path.join(JOURNALS)), &path.join(JOURNALS))?;
            remove_private(&path);
        }
        // The lock is released before its file goes, which Windows wants.
        drop(self);
        let _ = std::fs::remove_dir_all(path.join(INDEX));
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            if is_ours(&entry.file_name().to_string_lossy()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        // Other files of the user's keep the folder alive.
        let _ = std::fs::remove_dir(&path);
        Ok(())
    }
}

/// Removes what processes left that were killed.
fn remove_private(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PRIVATE) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Removes chunks and what belongs to them.
fn clear(path: &Path) -> Result<()> {
    for folder in [CHUNKS, GRAIN] {
        gone(std::fs::remove_dir_all(path.join(folder)), &path.join(folder))?;
    }
    for file in [JOURNAL, JOINED] {
        gone(std::fs::remove_file(path.join(file)), &path.join(file))?;
    }
    Ok(())
}

fn gone(removed: std::io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot clear {}: {error}", path.display())
        }
        _ => Ok(()),
    }
}

/// Files of a run besides the chunks: the lock, detected scenes, and what was
/// learned of encoders.
fn is_ours(name: &str) -> bool {
    [SCENES, PARTIAL, LOCK_FILE, AGREED, STATUS_FILE].contains(&name)
        || is_cache_file(name)
        || atomic::is_temporary(name)
}

/// What a killed run was writing: a part of a chunk, the joined stream, or the
/// result, the last two as large as the film. An encoder that outlived it may
/// still hold its file open; that one is dealt with when the chunk is encoded.
fn remove_remains(path: &Path) {
    let in_folder = |folder: &Path, is_partial: fn(&str) -> bool| {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if is_partial(&entry.file_name().to_string_lossy()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    };
    in_folder(&path.join(CHUNKS), |name| name.starts_with('.'));
    in_folder(path, |name| name == JOINED || atomic::is_temporary(name));
    let note = path.join(PARTIAL);
    let Some(partial) = std::fs::read(&note).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return;
    };
    let partial = Path::new(&partial);
    // Only a file that can be no result of anybody's.
    if partial.file_name().is_some_and(|name| atomic::is_temporary(&name.to_string_lossy())) {
        let _ = std::fs::remove_file(partial);
    }
    let _ = std::fs::remove_file(note);
}
