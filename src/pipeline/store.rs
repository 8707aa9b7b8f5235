//! The work folder: everything finished, found again by what it depends on.
//!
//! Results are keyed by a hash over all their inputs, so a resumed run asks
//! "is the result of exactly this there?" and redoes what changed, whatever
//! that was. The manifest only serves to tell the user what changed.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::selection::Measured;
use crate::encoder::Purpose;
use crate::support::atomic;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;
use crate::support::journal::Journal;
use crate::support::lock::{Earlier, FolderLock, STATUS_FILE};
use crate::support::space::{self, NoRoom};

const MANIFEST: &str = "manifest.json";
const JOURNAL: &str = "journal.ndjson";
/// Those of a shared folder, one a process.
const JOURNALS: &str = "journals";
const PROBES: &str = "probes";
const MASKS: &str = "masks";
/// Luma statistics and detector verdicts.
pub const ANALYSIS: &str = "analysis.json";
/// What `retarget` needs.
pub const CURVES: &str = "curves.json";
/// What costs a pass over the clip at most.
const QUICKLY_REDONE: [&str; 4] = [MANIFEST, MASKS, ANALYSIS, CURVES];

/// What results depend on, part by part, for the message about what changed.
pub type Manifest = BTreeMap<String, Fingerprint>;

/// A line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    Probe(ProbeRecord),
    Measured(MeasuredRecord),
    Scene(SceneRecord),
}

/// A finished probe encode; its file is there until it is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRecord {
    pub key: Fingerprint,
    pub crf: f64,
    pub bytes: u64,
    pub seconds: f64,
}

/// A measured encode. Only what the metric said is kept; mix and pooling are
/// worked out anew from it, so that a run with others finds it as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredRecord {
    pub key: Fingerprint,
    pub crf: f64,
    #[serde(flatten)]
    pub measured: Measured,
}

/// A scene that a machine is done with, for those that have to go by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneRecord {
    /// The plan that it was probed for.
    pub plan: Fingerprint,
    pub scene: usize,
    /// In the order they were made.
    pub takes: Vec<TakeRecord>,
    /// Why it has too few probes.
    pub failed: Option<String>,
}

/// An encode that was made, and where it and what it measures are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakeRecord {
    pub purpose: Purpose,
    pub crf: f64,
    pub encode: Fingerprint,
    pub measured: Fingerprint,
}

/// Where this process adds what it finished.
#[derive(Debug)]
enum Log {
    Open(Journal<Record>),
    /// In a journal of its own, whose name begins so, once there is something.
    Named(String),
}

/// An open work folder, for this run alone or shared.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Where encodes are until they are measured.
    encodes: PathBuf,
    /// `None` where the folder is shared.
    lock: Option<FolderLock>,
    /// The names of other processes' journals.
    others: Vec<String>,
    /// By number.
    scenes: Mutex<HashMap<usize, Vec<SceneRecord>>>,
    /// There are finished probes that [`Store::begin`] throws away.
    unwanted: bool,
    log: Mutex<Log>,
    probes: Mutex<HashMap<Fingerprint, ProbeRecord>>,
    measured: Mutex<HashMap<Fingerprint, MeasuredRecord>>,
}

impl Store {
    /// Locks `folder` and reads what an earlier run finished, or removes it, as
    /// `earlier` says. Where nobody said and there are finished probes, that is an
    /// error and they stay. Those to be removed go with [`Store::begin`] only: what
    /// else the run needs may yet prove wrong.
    pub fn open(folder: &Path, earlier: Earlier) -> Result<Self> {
        let lock = FolderLock::acquire(folder)?;
        let journal_path = folder.join(JOURNAL);
        remove_remains(folder);
        if earlier == Earlier::Discard {
            clear(folder, &QUICKLY_REDONE)?;
        }
        for name in [PROBES, MASKS] {
            make(&folder.join(name))?;
        }
        let (journal, records) = Journal::open(&journal_path)?;
        if earlier == Earlier::Refuse && !records.is_empty() {
            bail!(
                "an earlier run finished {} steps of probing in {}: --resume continues it, also with other \
                 settings (what does not fit them is redone), --force starts over without them, and --temp \
                 names another folder; nothing was changed",
                records.len(),
                folder.display()
            );
        }
        let unwanted = earlier == Earlier::Discard && !records.is_empty();
        let mut store = Self {
            folder: folder.to_path_buf(),
            encodes: folder.join(PROBES),
            lock: Some(lock),
            others: Vec::new(),
            unwanted,
            log: Mutex::new(Log::Open(journal)),
            scenes: Mutex::default(),
            probes: Mutex::default(),
            measured: Mutex::default(),
        };
        if !unwanted {
            store.take_up(records);
        }
        Ok(store)
    }

    /// A folder that other processes, perhaps on other machines, are using as well. What
    /// this one finishes goes into a journal whose name begins with `name`, its encodes into
    /// `encodes`, a folder of its own.
    pub fn shared(folder: &Path, name: &str, encodes: &Path, earlier: Earlier) -> Result<Self> {
        for name in [JOURNALS, MASKS] {
            make(&folder.join(name))?;
        }
        let journals = Journal::read_all(&folder.join(JOURNALS))?;
        let finished: usize = journals.iter().map(|(_, records)| records.len()).sum();
        if earlier == Earlier::Refuse && finished > 0 {
            bail!(
                "{} is a plan with {finished} finished steps of probing: --resume makes it anew and keeps what \
                 fits it, --force starts over without them, and -o names another folder; nothing was changed",
                folder.display()
            );
        }
        let mut store = Self {
            folder: folder.to_path_buf(),
            encodes: encodes.to_path_buf(),
            lock: None,
            others: journals.iter().map(|(name, _)| name.clone()).collect(),
            unwanted: earlier == Earlier::Discard && finished > 0,
            log: Mutex::new(Log::Named(name.to_owned())),
            scenes: Mutex::default(),
            probes: Mutex::default(),
            measured: Mutex::default(),
        };
        if !store.unwanted {
            for (_, records) in journals {
                store.take_up(records);
            }
        }
        Ok(store)
    }

    fn take_up(&mut self, records: Vec<Record>) {
        let probes = self.probes.get_mut().unwrap_or_else(PoisonError::into_inner);
        let measured = self.measured.get_mut().unwrap_or_else(PoisonError::into_inner);
        let scenes = self.scenes.get_mut().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            match record {
                Record::Probe(record) => drop(probes.insert(record.key.clone(), record)),
                Record::Measured(record) => drop(measured.insert(record.key.clone(), record)),
                Record::Scene(record) => scenes.entry(record.scene).or_default().push(record),
            }
        }
    }

    /// The run has all that it needs. Removes the probes that it is to start without.
    pub fn begin(&mut self, events: &Events) -> Result<()> {
        if std::mem::take(&mut self.unwanted) {
            events.note(format!(
                "starting over in {}; --resume would have continued the earlier run",
                self.folder.display()
            ));
            if self.lock.is_none() {
                clear(&self.folder, &[JOURNALS])?;
                return make(&self.folder.join(JOURNALS));
            }
            clear(&self.folder, &[JOURNAL, PROBES])?;
            make(&self.folder.join(PROBES))?;
            self.log = Mutex::new(Log::Open(Journal::open(&self.folder.join(JOURNAL))?.0));
        }
        Ok(())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what this and earlier runs left; nothing more can be added.
    pub fn remove(self) -> Result<()> {
        let folder = self.folder.clone();
        clear(&folder, &QUICKLY_REDONE)?;
        clear(&folder, &[JOURNAL, PROBES])?;
        // The lock is released before its file goes, which Windows wants.
        drop(self);
        let _ = fs::remove_file(folder.join("lock"));
        let _ = fs::remove_file(folder.join(STATUS_FILE));
        // Other files of the user's keep the folder alive.
        let _ = fs::remove_dir(&folder);
        Ok(())
    }

    /// Compares with the parts of the earlier run, says what changed and keeps
    /// the new ones.
    pub fn update_manifest(&self, manifest: &Manifest, events: &Events) -> Result<()> {
        let path = self.folder.join(MANIFEST);
        let old: Option<Manifest> = fs::read(&path).ok().and_then(|b| serde_json::from_slice(&b).ok());
        if let Some(old) = old {
            let changed: Vec<&str> = manifest
                .iter()
                .filter(|(part, key)| old.get(*part) != Some(key))
                .map(|(p, _)| &**p)
                .collect();
            if !changed.is_empty() {
                events.note(format!(
                    "changed since the earlier run: {}; what depends on it is redone",
                    changed.join(", ")
                ));
            }
        }
        atomic::write(&path, &serde_json::to_vec_pretty(manifest)?)
    }

    /// A result kept as a file of its own, when it was made from `key`.
    pub fn load<T: DeserializeOwned>(&self, name: &str, key: &Fingerprint) -> Option<T> {
        let file = fs::File::open(self.folder.join(name)).ok()?;
        let kept: Kept<T> = serde_json::from_reader(std::io::BufReader::new(file)).ok()?;
        (kept.key == *key).then_some(kept.value)
    }

    /// Keeps a result as a file of its own.
    pub fn save<T: Serialize>(&self, name: &str, key: &Fingerprint, value: &T) -> Result<()> {
        atomic::write_with(&self.folder.join(name), |out| {
            Ok(serde_json::to_writer(out, &Kept { key: key.clone(), value })?)
        })
    }

    /// Where the encode of this key is written; `take` counts the scene's from 0.
    pub fn probe_path(&self, scene: usize, take: usize, key: &Fingerprint) -> PathBuf {
        self.encodes.join(format!("{scene:05}-{}-{key}.ivf", take + 1))
    }

    /// Where the masks of this key are kept.
    pub fn masks_path(&self, key: &Fingerprint) -> PathBuf {
        masks_path(&self.folder, key)
    }

    pub fn probe(&self, key: &Fingerprint) -> Option<ProbeRecord> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn measured(&self, key: &Fingerprint) -> Option<MeasuredRecord> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn add_probe(&self, record: ProbeRecord) -> Result<()> {
        self.append(&Record::Probe(record.clone()))?;
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).insert(record.key.clone(), record);
        Ok(())
    }

    pub fn add_measured(&self, record: MeasuredRecord) -> Result<()> {
        self.append(&Record::Measured(record.clone()))?;
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).insert(record.key.clone(), record);
        Ok(())
    }

    /// What is known of a scene that was probed for `plan`: the record with the most
    /// encodes, of those that did not fail if there are such.
    pub fn scene(&self, plan: &Fingerprint, scene: usize) -> Option<SceneRecord> {
        let scenes = self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_plan = scenes.get(&scene)?.iter().filter(|record| record.plan == *plan);
        of_plan.max_by_key(|record| (record.failed.is_none(), record.takes.len())).cloned()
    }

    pub fn add_scene(&self, record: SceneRecord) -> Result<()> {
        self.append(&Record::Scene(record.clone()))?;
        let mut scenes = self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        scenes.entry(record.scene).or_default().push(record);
        Ok(())
    }

    /// The names of the journals that were there when this folder was opened, if it is shared.
    pub fn journals(&self) -> &[String] {
        &self.others
    }

    /// An error when nothing more can be written here: then every scene would fail.
    pub fn check_space(&self) -> Result<(), NoRoom> {
        space::check(&self.folder)?;
        if self.encodes.starts_with(&self.folder) { Ok(()) } else { space::check(&self.encodes) }
    }

    fn append(&self, record: &Record) -> Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Log::Named(name) = &*log {
            *log = Log::Open(Journal::create(&self.folder.join(JOURNALS), name)?);
        }
        match &mut *log {
            Log::Open(journal) => journal.append(record),
            Log::Named(_) => unreachable!("it was just opened"),
        }
    }
}

/// A result kept as a file of its own in a folder that no run has open, and its key.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<(Fingerprint, T)> {
    let path = folder.join(name);
    let context = || format!("cannot read {}", path.display());
    let bytes = fs::read(&path).with_context(context)?;
    let Kept { key, value } = serde_json::from_slice(&bytes).with_context(context)?;
    Ok((key, value))
}

/// Where the masks of this key are kept in a work folder.
pub fn masks_path(folder: &Path, key: &Fingerprint) -> PathBuf {
    folder.join(MASKS).join(format!("{key}.masks"))
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    key: Fingerprint,
    value: T,
}

/// Removes what a killed run was writing.
fn remove_remains(folder: &Path) {
    for inner in [folder, &folder.join(MASKS)] {
        for entry in fs::read_dir(inner).into_iter().flatten().flatten() {
            if atomic::is_temporary(&entry.file_name().to_string_lossy()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Removes these of our files and folders.
fn clear(folder: &Path, names: &[&str]) -> Result<()> {
    for path in names.iter().map(|name| folder.join(name)).filter(|path| path.exists()) {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
