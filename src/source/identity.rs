//! What a clip's frames depend on, as a key for stored results.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ClipInfo, OpenOptions, is_script};
use crate::support::fingerprint::Fingerprint;

/// Key of an opened input: a script's text, its variables and the files it
/// names; a video's identity; and what came out of opening it. What a script
/// imports or computes from elsewhere cannot be seen, save through the clip.
pub fn fingerprint(path: &Path, options: &OpenOptions, info: &ClipInfo) -> Result<Fingerprint> {
    if !is_script(path) {
        let media = Fingerprint::of_media(path)?;
        return Ok(Fingerprint::of(&(media, format!("{:?}", options.provider), info)));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for name in named_files(&text, folder) {
        files.push((Fingerprint::of_media(&name)?, name));
    }
    Ok(Fingerprint::of(&(text, &options.variables, options.output_index, &options.plugins, files, info)))
}

/// The quoted strings of a script that are existing files, as paths.
fn named_files(text: &str, folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = text
        .lines()
        .flat_map(|line| line.split(['"', '\'']).skip(1).step_by(2))
        .filter(|quoted| !quoted.is_empty())
        .map(|quoted| folder.join(quoted))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_script_names_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("ep 01.mkv");
        std::fs::write(&media, b"x").unwrap();
        let text = "a = core.bs.VideoSource(r\"ep 01.mkv\")\nb = f('no.mkv', \"also not\")\nc('ep 01.mkv')";
        assert_eq!(named_files(text, folder.path()), [media]);
    }
}
