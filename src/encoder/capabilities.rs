//! What an encoder can do, found out by trying, once per binary.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::identify::{Identity, identify};
use super::trial::{Trial, Verdict, words};
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let identity = identify(program, cancel)?;
        let cached = cache.map(|folder| CacheFile::of(folder, &identity)).transpose()?;
        if let Some(capabilities) = cached.as_ref().and_then(CacheFile::load) {
            return Ok(Self { identity, capabilities });
        }
        let capabilities = Capabilities::probe(&identity, cancel)?;
        if let Some(file) = cached {
            file.store(&capabilities)?;
        }
        Ok(Self { identity, capabilities })
    }

    /// `crf` as this encoder takes it: a quarter or whole step within its range.
    pub fn round_crf(&self, crf: f64) -> f64 {
        let steps = if self.capabilities.quarter_steps { 4.0 } else { 1.0 };
        (crf.clamp(0.0, f64::from(self.capabilities.max_crf)) * steps).round() / steps
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

impl Capabilities {
    /// Tries it all out, in about a second.
    pub fn probe(identity: &Identity, cancel: &Cancel) -> Result<Self> {
        // All versions take 10 bits, SVT-AV1-Essential nothing else.
        let trial = Trial::new(identity.path.clone(), 10, cancel)?;
        let base = |crf: &str, preset: i32| words(&format!("--crf {crf} --preset {preset} {TRIAL}"));
        let whole = match trial.run(&base("30", 8))? {
            Verdict::Accepted(bytes) => bytes,
            Verdict::Refused(why) => {
                bail!("{} cannot encode a blank frame: {why}", identity.path.display())
            }
        };
        // 1.4.1 takes 30.25 and encodes with 30.
        let quarter_steps =
            matches!(trial.run(&base("30.25", 8))?, Verdict::Accepted(bytes) if bytes != whole);
        let first = |presets: &[i32]| -> Result<i32> {
            for &preset in presets {
                if trial.accepts(&base("30", preset))? {
                    return Ok(preset);
                }
            }
            bail!("{} takes none of the presets {presets:?}", identity.version)
        };
        let presets = (first(&LOWEST_PRESETS)?, first(&HIGHEST_PRESETS)?);
        let mut max_crf = None;
        for crf in MAX_CRFS {
            if max_crf.is_none() && trial.accepts(&base(&crf.to_string(), 8))? {
                max_crf = Some(crf);
            }
        }
        let max_crf =
            max_crf.with_context(|| format!("{} takes none of the CRFs {MAX_CRFS:?}", identity.version))?;
        let roi_map = identity.has("--roi-map-file") && {
            let map = trial.file("roi.txt");
            std::fs::write(&map, "0 0\n").context("cannot write a trial ROI map")?;
            let mut params = base("30", 8);
            params.extend(["--roi-map-file".to_owned(), map.to_string_lossy().into_owned()]);
            trial.accepts(&params)?
        };
        Ok(Self { quarter_steps, presets, max_crf, roi_map })
    }
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
            format: 1,
            path: identity.path.clone(),
            size: metadata.len(),
            modified: modified.map_or(0, |time| time.as_nanos()),
            hash: identity.hash.clone(),
        };
        let name = blake3::hash(identity.path.as_os_str().as_encoded_bytes()).to_hex();
        Ok(Self { path: folder.join(format!("encoder-{}.json", &name[..16])), key })
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
