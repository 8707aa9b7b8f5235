//! aomenc as it describes itself: which options it has, and which names it
//! takes as their values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};

use super::color;
use super::trial::{Trial, Verdict};
use crate::options::{Coder, EncoderOption};
use crate::source::ColorInfo;
use crate::support::cancel::Cancel;
use crate::support::process::capture;

/// Frames of lookahead.
pub const LAG: &str = "--lag-in-frames";
/// What the shipped presets ask for.
const MUCH: u32 = 64;

const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// An installed aomenc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aomenc {
    pub path: PathBuf,
    /// For instance `AOMedia Project AV1 Encoder v3.6.0`.
    pub version: String,
    /// The names it takes for each option, by long and short option; empty where
    /// it lists none.
    options: BTreeMap<String, Vec<String>>,
    /// The most frames it looks ahead, where that is known to be less than 3.6 does.
    pub max_lag: Option<u32>,
}

impl Aomenc {
    /// Finds `program` (a path, or a name on the PATH) and reads its help.
    pub fn open(program: &Path, cancel: &Cancel) -> Result<Self> {
        let path = which::which(program).map_err(|_| {
            anyhow!(
                "there is no encoder `{}`; {}, name yours with --encoder-path, or choose --encoder svt-av1",
                program.display(),
                crate::support::install::program("aomenc")
            )
        })?;
        let help = capture(Command::new(&path).arg("--help"), ANSWER_LIMIT, cancel)
            .with_context(|| format!("{} does not work as an encoder", path.display()))?;
        let mut found = Self::parse(&String::from_utf8_lossy(&help))
            .with_context(|| format!("{} does not work as an encoder", path.display()))?;
        found.path = path;
        found.max_lag = found.find_max_lag(cancel)?;
        Ok(found)
    }

    /// Its help does not tell: 3.6 takes 64 and more, 3.12 not above 48.
    fn find_max_lag(&self, cancel: &Cancel) -> Result<Option<u32>> {
        const FEWER: u32 = 48;
        let trial = Trial::new(Coder::Aom, self.path.clone(), 8, cancel)?;
        let looking_ahead = |frames: u32| trial.run(&[format!("{LAG}={frames}"), "--cpu-used=6".to_owned()]);
        let refuses = |frames: u32| Ok::<_, Error>(matches!(looking_ahead(frames)?, Verdict::Refused(_)));
        Ok((refuses(MUCH)? && !refuses(FEWER)?).then_some(FEWER))
    }

    /// What `aomenc --help` tells; the path is left empty.
    pub fn parse(help: &str) -> Result<Self> {
        let mut found =
            Self { path: PathBuf::new(), version: String::new(), options: BTreeMap::new(), max_lag: None };
        let mut current: Vec<String> = Vec::new();
        for line in help.lines() {
            let text = line.trim();
            if let Some((_, version)) = text.split_once(" - ")
                && version.starts_with("AOMedia Project AV1 Encoder")
            {
                version.trim_end_matches(" (default)").clone_into(&mut found.version);
            } else if line.starts_with(' ') && text.starts_with('-') {
                current = names(text);
                found.options.extend(current.iter().map(|name| (name.clone(), Vec::new())));
            } else if line.starts_with(' ') && line.contains('\t') {
                // The values of the option above, as a list of names.
                let values: Vec<String> = text.split(',').map(|value| value.trim().to_owned()).collect();
                for name in &current {
                    found.options.insert(name.clone(), values.clone());
                }
            }
        }
        for required in ["--ivf", "--end-usage", "--cq-level", "--threads", "--output"] {
            if !found.options.contains_key(required) {
                bail!("its help lists no {required}, so it is no aomenc that can be used");
            }
        }
        if found.version.is_empty() {
            bail!("its help names no `AOMedia Project AV1 Encoder`");
        }
        Ok(found)
    }

    pub fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// What this aomenc does not know about `option`; `None` when all is well.
    pub fn misfit(&self, option: &EncoderOption) -> Option<String> {
        let Some(names) = self.options.get(&option.name) else {
            return Some(format!("{} has no {}", self.version, option.name));
        };
        let value = option.value.as_deref()?;
        // Numbers stand for the names in their order; the trial encode judges them.
        if names.is_empty() || names.iter().any(|name| name == value) || value.parse::<u32>().is_ok() {
            return None;
        }
        Some(format!("{} takes {} of {}, not `{value}`", self.version, option.name, names.join(", ")))
    }

    pub fn option_names(&self) -> impl Iterator<Item = &str> {
        self.options.keys().map(String::as_str)
    }
}

/// The option names at the start of a help line: `-t <arg>, --threads=<arg>  Max …`.
fn names(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for word in line.split_whitespace() {
        if word.starts_with('-') {
            let end = word.find(['=', ',']).unwrap_or(word.len());
            names.push(word[..end].to_owned());
        }
        // The long name is the last one; what follows is prose.
        if !(word.starts_with("<arg>") || word.starts_with('-')) || word.starts_with("--") {
            break;
        }
    }
    names
}

/// aomenc's names for H.273 code points.
struct Names {
    option: &'static str,
    names: &'static [(&'static str, &'static str)],
}

const COLOR_NAMES: [Names; 4] = [
    Names {
        option: "--color-primaries",
        names: &[
            ("1", "bt709"),
            ("4", "bt470m"),
            ("5", "bt470bg"),
            ("6", "bt601"),
            ("7", "smpte240"),
            ("8", "film"),
            ("9", "bt2020"),
            ("10", "xyz"),
            ("11", "smpte431"),
            ("12", "smpte432"),
            ("22", "ebu3213"),
        ],
    },
    Names {
        option: "--transfer-characteristics",
        names: &[
            ("1", "bt709"),
            ("4", "bt470m"),
            ("5", "bt470bg"),
            ("6", "bt601"),
            ("7", "smpte240"),
            ("8", "lin"),
            ("9", "log100"),
            ("10", "log100sq10"),
            ("11", "iec61966"),
            ("12", "bt1361"),
            ("13", "srgb"),
            ("14", "bt2020-10bit"),
            ("15", "bt2020-12bit"),
            ("16", "smpte2084"),
            ("17", "smpte428"),
            ("18", "hlg"),
        ],
    },
    Names {
        option: "--matrix-coefficients",
        names: &[
            ("1", "bt709"),
            ("4", "fcc73"),
            ("5", "bt470bg"),
            ("6", "bt601"),
            ("7", "smpte240"),
            ("8", "ycgco"),
            ("9", "bt2020ncl"),
            ("10", "bt2020cl"),
            ("11", "smpte2085"),
            ("12", "chromncl"),
            ("13", "chromcl"),
            ("14", "ictcp"),
        ],
    },
    Names { option: "--chroma-sample-position", names: &[("left", "vertical"), ("topleft", "colocated")] },
];

/// The options that keep the clip's colour, and a note for what AV1 cannot
/// carry. The range is not among them: aomenc reads it from the y4m header, and
/// has no option for HDR10 metadata, which goes into the joined stream. Chroma on the left
/// it takes only with 8 bits (3.6.0: "only supported for 420mpeg2 input").
pub fn color_options(color: &ColorInfo, bits: u8) -> (Vec<(&'static str, String)>, Vec<String>) {
    let (flags, notes) = color::flags(color);
    let named = flags.into_iter().filter_map(|(option, value)| {
        if option == "--chroma-sample-position" && value == "left" && bits > 8 {
            return None;
        }
        let table = COLOR_NAMES.iter().find(|table| table.option == option)?;
        let (_, name) = table.names.iter().find(|(code, _)| *code == value)?;
        Some((option, (*name).to_owned()))
    });
    (named.collect(), notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Origin;

    const HELP: &str = include_str!("../../tests/data/encoder-help/aomenc_3.6.0.help.txt");

    fn option(name: &str, value: Option<&str>) -> EncoderOption {
        EncoderOption { name: name.into(), value: value.map(Into::into), origin: Origin::Ours }
    }

    #[test]
    fn the_recorded_help_is_understood() {
        let aomenc = Aomenc::parse(HELP).unwrap();
        assert_eq!(aomenc.version, "AOMedia Project AV1 Encoder v3.6.0");
        for name in [
            "--cpu-used",
            "--help",
            "-D",
            "-t",
            "--threads",
            "--ivf",
            "-spf",
            "--sb-size",
            "--forced_max_frame_width",
        ] {
            assert!(aomenc.has(name), "{name}");
        }
        for name in ["--qm", "--dist", "--timebase)", "--use", "--webm=", "-"] {
            assert!(!aomenc.has(name), "{name}");
        }
        assert_eq!(aomenc.options["--end-usage"], ["vbr", "cbr", "cq", "q"]);
        assert_eq!(aomenc.options["--sb-size"], ["dynamic", "64", "128"]);
        assert!(aomenc.options["--cpu-used"].is_empty());
    }

    #[test]
    fn unknown_options_and_values_are_told() {
        let aomenc = Aomenc::parse(HELP).unwrap();
        assert_eq!(aomenc.misfit(&option("--tune", Some("ssim"))), None);
        assert_eq!(aomenc.misfit(&option("--sb-size", Some("64"))), None);
        assert_eq!(aomenc.misfit(&option("--disable-kf", None)), None);
        assert_eq!(
            aomenc.misfit(&option("--tune-content", Some("psy"))).unwrap(),
            "AOMedia Project AV1 Encoder v3.6.0 takes --tune-content of default, screen, film, not `psy`"
        );
        assert_eq!(
            aomenc.misfit(&option("--luma-bias", Some("20"))).unwrap(),
            "AOMedia Project AV1 Encoder v3.6.0 has no --luma-bias"
        );
    }

    #[test]
    fn every_colour_name_is_one_that_aomenc_lists() {
        let aomenc = Aomenc::parse(HELP).unwrap();
        for table in COLOR_NAMES {
            for (_, name) in table.names {
                assert!(aomenc.options[table.option].iter().any(|n| n == name), "{} {name}", table.option);
            }
        }
    }

    #[test]
    fn other_programs_are_refused() {
        let error = Aomenc::parse("usage: x\n  --ivf  Output\n").unwrap_err().to_string();
        assert!(error.contains("lists no --end-usage"), "{error}");
    }
}
