//! The encoder presets file: defaults, 720p, 1080p and the user's own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::options::{Coder, Options, Origin};

/// Compiled in, so that it is always there.
const BUILT_IN: &str = include_str!("../../presets/encoders/presets.toml");

/// Pictures of at most so many lines get the preset `720p` when none is named.
const SMALL: usize = 720;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Tables,
    #[serde(default)]
    presets: BTreeMap<String, Preset>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Tables {
    #[serde(default)]
    aom: toml::Table,
    #[serde(default)]
    svt_av1: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Preset {
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    aom: toml::Table,
    #[serde(default)]
    svt_av1: toml::Table,
}

/// The options of preset `name` for `coder`: built-in defaults, the built-in
/// preset, then what the user's file `own` has of both. Without a name the
/// height of the picture chooses.
pub fn options(coder: Coder, name: Option<&str>, own: Option<&Path>, height: usize) -> Result<Options> {
    let built_in = parse(BUILT_IN).context("presets/encoders/presets.toml, which is compiled in")?;
    let own = own.map(read).transpose()?;
    let name = name.unwrap_or(if height <= SMALL { "720p" } else { "1080p" });
    let files = [(Some(&built_in), Origin::Ours), (own.as_ref(), Origin::User)];
    let presets = files.map(|(file, origin)| (file.and_then(|file| file.presets.get(name)), origin));
    if presets.iter().all(|(preset, _)| preset.is_none()) {
        let mut known: Vec<&str> = built_in.presets.keys().map(String::as_str).collect();
        known.extend(own.iter().flat_map(|file| file.presets.keys().map(String::as_str)));
        bail!(
            "encoder preset `{name}`: there is none of that name, only {}; your own come from --encoder-presets FILE",
            known.join(", ")
        );
    }
    let mut options = Options::default();
    for (file, origin) in files {
        let Some(file) = file else { continue };
        add(&mut options, pick(coder, &file.defaults.aom, &file.defaults.svt_av1), origin)?;
    }
    for (preset, origin) in presets {
        let Some(preset) = preset else { continue };
        add(&mut options, pick(coder, &preset.aom, &preset.svt_av1), origin)
            .with_context(|| format!("encoder preset `{name}`"))?;
    }
    Ok(options)
}

fn read(path: &Path) -> Result<File> {
    let text = crate::support::text::read(path)
        .with_context(|| format!("cannot read the encoder presets {}", path.display()))?;
    parse(&text).with_context(|| format!("encoder presets {}", path.display()))
}

fn parse(text: &str) -> Result<File> {
    Ok(toml::from_str(text)?)
}

fn pick<'a>(coder: Coder, aom: &'a toml::Table, svt_av1: &'a toml::Table) -> &'a toml::Table {
    match coder {
        Coder::Aom => aom,
        Coder::SvtAv1 => svt_av1,
    }
}

fn add(options: &mut Options, table: &toml::Table, origin: Origin) -> Result<()> {
    for (key, value) in table {
        let value = match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Float(number) => Some(number.to_string()),
            // `true` is a flag; encoders spell their own truth values 0 and 1.
            toml::Value::Boolean(true) => None,
            other => {
                bail!("{key} = {other}: must be a number, a text, or `true` for an option without a value")
            }
        };
        options.set(&format!("--{key}"), value, origin);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(coder: Coder, name: Option<&str>, own: Option<&str>, height: usize) -> Result<Vec<String>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), own.unwrap_or("")).unwrap();
        Ok(options(coder, name, own.map(|_| file.path()), height)?.words(coder))
    }

    /// The list of spec 08, `bit-depth` excepted, which follows the input.
    #[test]
    fn the_defaults_of_aomenc_are_those_of_the_specification() {
        let mut found = words(Coder::Aom, Some("720p"), None, 0).unwrap();
        found.sort();
        let mut expected: Vec<&str> = "--cpu-used=3 --aq-mode=0 --deltaq-mode=1 --enable-chroma-deltaq=1 \
            --tune-content=psy --tune=ssim --lag-in-frames=64 --enable-qm=1 --qm-min=0 --qm-max=8 --row-mt=1 \
            --kf-min-dist=5 --kf-max-dist=480 --disable-trellis-quant=0 --enable-dnl-denoising=0 \
            --enable-keyframe-filtering=1 --tile-columns=0 --tile-rows=0 --sharpness=2 --enable-cdef=0 \
            --enable-fwd-kf=1 --arnr-strength=0 --arnr-maxframes=5 --quant-b-adapt=1 --sb-size=64"
            .split_whitespace()
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_height_chooses_when_no_preset_is_named() {
        let has_tiles =
            |height| words(Coder::Aom, None, None, height).unwrap().contains(&"--tile-columns=1".to_owned());
        assert!(!has_tiles(480) && !has_tiles(720) && has_tiles(816) && has_tiles(2160));
    }

    #[test]
    fn a_file_of_one_s_own_adds_and_replaces() {
        let own = "[defaults.aom]\ncpu-used = 4\n[presets.grainy]\naom = { sharpness = 0, disable-kf = true }\n\
                   svt-av1 = { film-grain = 8 }\n";
        let found = words(Coder::Aom, Some("grainy"), Some(own), 480).unwrap();
        for word in ["--cpu-used=4", "--sharpness=0", "--disable-kf", "--lag-in-frames=64"] {
            assert!(found.contains(&word.to_owned()), "{word} in {found:?}");
        }
        let found = words(Coder::SvtAv1, Some("grainy"), Some(own), 480).unwrap().join(" ");
        assert!(found.contains("--film-grain 8") && found.contains("--preset 4"), "{found}");
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        for (own, wanted) in [
            ("[presets.x]\nx264 = {}\n", "unknown field `x264`"),
            ("[presets.x]\naom = { cpu-used = [3] }\n", "cpu-used = [3]: must be a number"),
            ("[presets.x\n", "line 1"),
        ] {
            let error = format!("{:#}", words(Coder::Aom, Some("x"), Some(own), 480).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
        let error = format!("{:#}", words(Coder::Aom, Some("4k"), None, 480).unwrap_err());
        assert!(error.contains("`4k`") && error.contains("1080p, 720p"), "{error}");
    }
}
