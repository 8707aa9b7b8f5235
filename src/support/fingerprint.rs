//! Keys for stored results: a hash over everything a result depends on.

use std::fmt;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// This program's version: a part of the keys of everything that it computes
/// itself, so that a newer one does not take an older one's results for its own.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A BLAKE3 hash in hexadecimal, shortened to 128 bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of any value that serialises; equal values give equal keys on every platform.
    pub fn of(value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).expect("settings and facts serialise to JSON");
        Self::of_bytes(&bytes)
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex()[..32].to_owned())
    }

    /// Of a whole file.
    pub fn of_file(path: &Path) -> Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let context = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        std::io::copy(&mut file, &mut hasher).with_context(context)?;
        Ok(Self(hasher.finalize().to_hex()[..32].to_owned()))
    }

    /// Of what is in a file, wherever and however old its copy is: of all of it up to 64 MiB,
    /// else of its size and 16 MiB at either end.
    pub fn of_content(path: &Path) -> Result<Self> {
        use std::io::{Read, Seek, SeekFrom};
        const WHOLE: u64 = 64 << 20;
        const END: u64 = 16 << 20;
        let context = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        let size = file.metadata().with_context(context)?.len();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&size.to_le_bytes());
        if size <= WHOLE {
            std::io::copy(&mut file, &mut hasher).with_context(context)?;
        } else {
            std::io::copy(&mut (&file).take(END), &mut hasher).with_context(context)?;
            file.seek(SeekFrom::Start(size - END)).with_context(context)?;
            std::io::copy(&mut file, &mut hasher).with_context(context)?;
        }
        Ok(Self(hasher.finalize().to_hex()[..32].to_owned()))
    }

    /// Of a large media file: its size, modification time and both ends, which
    /// tell versions apart without reading gigabytes.
    pub fn of_media(path: &Path) -> Result<Self> {
        use std::io::{Read, Seek, SeekFrom};
        const END: u64 = 1 << 20;
        let context = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        let metadata = file.metadata().with_context(context)?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_nanos());
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&metadata.len().to_le_bytes());
        bytes.extend_from_slice(&modified.to_le_bytes());
        file.by_ref().take(END).read_to_end(&mut bytes).with_context(context)?;
        if metadata.len() > END {
            file.seek(SeekFrom::End(-(END as i64))).with_context(context)?;
            file.take(END).read_to_end(&mut bytes).with_context(context)?;
        }
        Ok(Self::of_bytes(&bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published BLAKE3 hash of the empty input starts with af1349b9f5f9a1a6.
    #[test]
    fn it_is_the_start_of_blake3() {
        assert_eq!(Fingerprint::of_bytes(b"").to_string(), "af1349b9f5f9a1a6a0404dea36dcc949");
    }

    #[test]
    fn a_media_file_changes_with_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![7u8; 3 << 20];
        std::fs::write(file.path(), &bytes).unwrap();
        let modified = std::fs::metadata(file.path()).unwrap().modified().unwrap();
        let before = Fingerprint::of_media(file.path()).unwrap();
        *bytes.last_mut().unwrap() = 8;
        std::fs::write(file.path(), &bytes).unwrap();
        File::options().write(true).open(file.path()).unwrap().set_modified(modified).unwrap();
        assert_ne!(before, Fingerprint::of_media(file.path()).unwrap());
    }
}
