//! What an encoder can do, found out by trying, once per binary.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::identify::{Identity, identify};
use super::trial::{self, Trial, Verdict, words};
use crate::options::{self, Coder};
use crate::support::atomic;
use crate::support::cancel::Cancel;

/// What [`Capabilities::probe`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// CRF takes steps of 0.25 instead of 1.
    pub quarter_steps: bool,
    /// Lowest and highest preset that encodes.
    pub presets: (i32, i32),
    /// Highest CRF that encodes.
    pub max_crf: u32,
    /// `--roi-map-file` works.
    pub roi_map: bool,
}

/// An encoder that is known: what it is and what it can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoder {
    pub identity: Identity,
    pub capabilities: Capabilities,
}

/// Presets below 0 are for research and differ most; those above 10 are mapped
/// to lower ones by some versions but taken by all.
const LOWEST_PRESETS: [i32; 4] = [-3, -2, -1, 0];
const HIGHEST_PRESETS: [i32; 4] = [13, 12, 10, 8];
/// The quantiser's whole range is 63, or 70 with the extended CRF of 3.0 and later.
const MAX_CRFS: [u32; 2] = [70, 63];
/// The base of all trials; every version takes this preset.
const TRIAL: &str = "--lp 1 --input-depth 10";

impl Encoder {
    /// Finds `program` and learns what it can do, from a file in `cache` when
    /// the same binary was tried before.
    pub fn open(program: &Path, cache: Option<&Path>, cancel: &Cancel) -> Result<Self> {
        Self::open_within(program, cache, trial::LIMIT, cancel)
    }

    /// [`Encoder::open`] with another limit for each trial.
    fn open_within(program: &Path, cache: Option<&Path>, limit: Duration, cancel: &Cancel) -> Result<Self> {
        let identity = identify(program, cancel)?;
        let cached = cache.map(|folder| CacheFile::of(folder, &identity)).transpose()?;
        if let Some(capabilities) = cached.as_ref().and_then(CacheFile::load) {
            return Ok(Self { identity, capabilities });
        }
        let Findings { capabilities, certain } = Capabilities::probe(&identity, limit, cancel)?;
        // A trial that did not end in time tells about the machine, not the encoder.
        if let Some(file) = cached.filter(|_| certain) {
            // Without it the next run takes a second longer, no more.
            let _ = file.store(&capabilities);
        }
        Ok(Self { identity, capabilities })
    }

    /// `crf` as this encoder takes it: a quarter or whole step within its range.
    pub fn round_crf(&self, crf: f64) -> f64 {
        let within = crf.clamp(0.0, f64::from(self.capabilities.max_crf));
        options::round_crf(within, self.capabilities.quarter_steps)
    }

    /// [`Encoder::round_crf`] in words: `27.50`, or `28` where there are no quarter steps.
    pub fn crf_text(&self, crf: f64) -> String {
        let decimals = if self.capabilities.quarter_steps { 2 } else { 0 };
        format!("{:.decimals$}", self.round_crf(crf))
    }

    /// An error when `value`, set by `key`, is beyond what the encoder takes.
    pub fn check_crf(&self, key: &str, value: f64) -> Result<()> {
        let max = self.capabilities.max_crf;
        if !(0.0..=f64::from(max)).contains(&value) {
            bail!("{key} {value}: {} takes a CRF of 0 to {max}", self.identity.version);
        }
        Ok(())
    }

    /// An error when the encoder has no preset `value`, which `key` asks for.
    pub fn check_preset(&self, key: &str, value: i32) -> Result<()> {
        let (lowest, highest) = self.capabilities.presets;
        if !(lowest..=highest).contains(&value) {
            bail!("{key} {value}: {} takes {lowest} to {highest}", self.identity.version);
        }
        Ok(())
    }
}

/// What trials found.
struct Findings {
    capabilities: Capabilities,
    /// None of the trials timed out.
    certain: bool,
}

/// The trials of one encoder, which remember whether all of them ended.
struct Trials<'a> {
    trial: Trial<'a>,
    certain: bool,
}

impl Trials<'_> {
    /// The bytes of the encode, `None` when it was refused or did not end.
    fn bytes(&mut self, params: &[String]) -> Result<Option<Vec<u8>>> {
        Ok(match self.trial.run(params)? {
            Verdict::Accepted(bytes) => Some(bytes),
            Verdict::Refused(_) => None,
            Verdict::TimedOut(_) => {
                self.certain = false;
                None
            }
        })
    }

    /// The first of `values` that is accepted, `None` when none is.
    fn first<T: Copy>(&mut self, values: &[T], params: impl Fn(T) -> Vec<String>) -> Result<Option<T>> {
        for &value in values {
            if self.bytes(&params(value))?.is_some() {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl Capabilities {
    /// Tries it all out, in about a second.
    fn probe(identity: &Identity, limit: Duration, cancel: &Cancel) -> Result<Findings> {
        // All versions take 10 bits, SVT-AV1-Essential nothing else.
        let trial = Trial::new(Coder::SvtAv1, identity.path.clone(), 10, cancel)?.within(limit);
        let base = |crf: &str, preset: i32| words(&format!("--crf {crf} --preset {preset} {TRIAL}"));
        let path = identity.path.display();
        let whole = match trial.run(&base("30", 8))? {
            Verdict::Accepted(bytes) => bytes,
            Verdict::Refused(why) => bail!("{path} cannot encode a blank frame: {why}"),
            Verdict::TimedOut(limit) => bail!(
                "{path} made no progress with two blank frames for {} s; try again when the machine is \
                 less busy",
                limit.as_secs()
            ),
        };
        let mut trials = Trials { trial, certain: true };
        // 1.4.1 takes 30.25 and encodes with 30.
        let quarter_steps = trials.bytes(&base("30.25", 8))?.is_some_and(|bytes| bytes != whole);
        let mut preset_of = |presets: &[i32]| -> Result<i32> {
            trials
                .first(presets, |preset| base("30", preset))?
                .with_context(|| format!("{} takes none of the presets {presets:?}", identity.version))
        };
        let presets = (preset_of(&LOWEST_PRESETS)?, preset_of(&HIGHEST_PRESETS)?);
        let max_crf = trials
            .first(&MAX_CRFS, |crf| base(&crf.to_string(), 8))?
            .with_context(|| format!("{} takes none of the CRFs {MAX_CRFS:?}", identity.version))?;
        let roi_map = identity.has("--roi-map-file") && {
            let map = trials.trial.file("roi.txt");
            std::fs::write(&map, "0 0\n").context("cannot write a trial ROI map")?;
            let mut params = base("30", 8);
            params.extend(["--roi-map-file".to_owned(), map.to_string_lossy().into_owned()]);
            trials.bytes(&params)?.is_some()
        };
        let capabilities = Self { quarter_steps, presets, max_crf, roi_map };
        Ok(Findings { capabilities, certain: trials.certain })
    }
}

/// Names of the entries begin and end so.
const ENTRY: (&str, &str) = ("encoder-", ".json");

/// Whether a file of this name is an entry of a cache folder.
pub fn is_cache_file(name: &str) -> bool {
    name.starts_with(ENTRY.0) && name.ends_with(ENTRY.1)
}

/// One binary's entry in the cache folder.
struct CacheFile {
    path: PathBuf,
    key: CacheKey,
}

/// All of it must be the same for the capabilities to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CacheKey {
    /// Of the cache's own content; older entries are tried anew.
    format: u32,
    path: PathBuf,
    size: u64,
    /// Nanoseconds since 1970.
    modified: u128,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct CacheEntry {
    binary: CacheKey,
    capabilities: Capabilities,
}

impl CacheFile {
    fn of(folder: &Path, identity: &Identity) -> Result<Self> {
        let metadata = std::fs::metadata(&identity.path)
            .with_context(|| format!("cannot read {}", identity.path.display()))?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let key = CacheKey {
            format: 2,
            path: identity.path.clone(),
            size: metadata.len(),
            modified: modified.map_or(0, |time| time.as_nanos()),
            hash: identity.hash.clone(),
        };
        let name = blake3::hash(identity.path.as_os_str().as_encoded_bytes()).to_hex();
        Ok(Self { path: folder.join(format!("{}{}{}", ENTRY.0, &name[..16], ENTRY.1)), key })
    }

    /// An unreadable or foreign entry is none.
    fn load(&self) -> Option<Capabilities> {
        let bytes = std::fs::read(&self.path).ok()?;
        let entry: CacheEntry = serde_json::from_slice(&bytes).ok()?;
        (entry.binary == self.key).then_some(entry.capabilities)
    }

    fn store(&self, capabilities: &Capabilities) -> Result<()> {
        let folder = atomic::folder_of(&self.path);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let entry = CacheEntry { binary: self.key.clone(), capabilities: capabilities.clone() };
        atomic::write(&self.path, &serde_json::to_vec_pretty(&entry)?)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Quarter steps hang while the file `busy` is there, as on a machine that
    /// does not get round to it.
    #[test]
    fn a_trial_that_times_out_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (program, busy) = (folder.path().join("svt"), folder.path().join("busy"));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *30.25*) [ -e '{}' ] && exec sleep 60;; esac\nexec SvtAv1EncApp \"$@\"\n",
            busy.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&busy, "").unwrap();
        let cache = folder.path().join("cache");
        let entries = || std::fs::read_dir(&cache).map_or(0, Iterator::count);
        let open = |limit| {
            Encoder::open_within(&program, Some(&cache), Duration::from_secs(limit), &Cancel::new()).unwrap()
        };
        let found = open(5).capabilities;
        assert_eq!((found.quarter_steps, found.presets.1, entries()), (false, 13, 0));
        std::fs::remove_file(&busy).unwrap();
        open(60);
        assert_eq!(entries(), 1);
    }
}
