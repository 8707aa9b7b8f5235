//! What kind of SvtAv1EncApp a program is, by its own words: the version line
//! and the options it lists, never by its file name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use serde::{Deserialize, Serialize};

use crate::settings::EncoderFamily;
use crate::support::cancel::Cancel;
use crate::support::lacks::Lacks;
use crate::support::lines::without_terminal_codes;
use crate::support::process::capture;

/// `--version` and `--help` take milliseconds; a slow disk some more.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// An encoder as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub path: PathBuf,
    pub family: EncoderFamily,
    /// Its version line, for instance `SVT-AV1 v4.2.0 (release)`.
    pub version: String,
    /// The long option names of its help, with `--`.
    pub options: BTreeSet<String>,
    /// Least width and height it encodes, in pixels.
    pub min_size: (usize, usize),
    /// BLAKE3 of the program file and of its version and help texts: a shared
    /// library changes the latter only.
    pub hash: String,
}

impl Identity {
    /// Whether it lists `option` (with `--`).
    pub fn has(&self, option: &str) -> bool {
        self.options.contains(option)
    }

    /// An error when it cannot encode pictures of this size.
    pub fn check_size(&self, width: usize, height: usize) -> Result<()> {
        let (min_width, min_height) = self.min_size;
        if width < min_width || height < min_height {
            bail!(
                "the clip is {width}x{height}: {} takes at least {min_width}x{min_height}; \
                 use a larger clip or a newer encoder",
                self.version
            );
        }
        Ok(())
    }
}

/// Finds `program` (a path, or a name on the PATH) and asks what it is.
pub fn identify(program: &Path, cancel: &Cancel) -> Result<Identity> {
    let path = find(program)?;
    let ask = |question: &str| -> Result<String> {
        let answer = capture(Command::new(&path).arg(question), ANSWER_LIMIT, cancel)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let named = || format!("{} does not work as an encoder", path.display());
    let (version, help) = (ask("--version").with_context(named)?, ask("--help").with_context(named)?);
    let mut hasher = blake3::Hasher::new();
    let file = std::fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    hasher.update_reader(file).with_context(|| format!("cannot read {}", path.display()))?;
    hasher.update(version.as_bytes()).update(help.as_bytes());
    let mut identity = parse(&version, &help).with_context(named)?;
    identity.hash = hasher.finalize().to_hex().to_string();
    identity.path = path;
    Ok(identity)
}

fn find(program: &Path) -> Result<PathBuf> {
    which::which(program).map_err(|_| {
        let place = if program.components().count() > 1 { "" } else { " on the PATH" };
        let text = format!(
            "there is no encoder `{}`{place}; {} or name yours with --encoder-path",
            program.display(),
            crate::support::install::program("SvtAv1EncApp")
        );
        Error::new(Lacks { item: "encoder.svt-av1", text })
    })
}

/// The identity that the two texts tell; path and hash are left empty.
pub fn parse(version: &str, help: &str) -> Result<Identity> {
    let version = without_terminal_codes_by_line(version)
        .find(|line| line.starts_with("SVT-AV1"))
        .with_context(|| match version.trim().lines().next() {
            Some(line) => format!("its version line `{line}` does not begin with `SVT-AV1`"),
            None => "`--version` printed nothing; is it older than 1.0?".to_owned(),
        })?;
    let options: BTreeSet<String> = help.lines().filter_map(option_of).map(str::to_owned).collect();
    let missing: Vec<_> = REQUIRED.iter().filter(|option| !options.contains(**option)).copied().collect();
    if !missing.is_empty() {
        bail!("{version} lists no {}; version 1.4 or newer is needed", missing.join(", "));
    }
    let least = |option: &str| {
        let line = help.lines().find(|line| option_of(line) == Some(option));
        line.and_then(least_value).unwrap_or(USUAL_MIN_SIZE)
    };
    Ok(Identity {
        path: PathBuf::new(),
        family: family_of(&version, &options),
        min_size: (least("--width"), least("--height")),
        version,
        options,
        hash: String::new(),
    })
}

/// Without these the program cannot be used at all.
const REQUIRED: [&str; 7] =
    ["--input", "--output", "--progress", "--crf", "--preset", "--lp", "--input-depth"];
/// All versions before 4.0.
const USUAL_MIN_SIZE: usize = 64;

fn without_terminal_codes_by_line(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(|line| without_terminal_codes(line).trim().to_owned())
}

/// The long option a help line describes: `  -i, --input   …` or `      --crf   …`.
fn option_of(line: &str) -> Option<&str> {
    let mut words = line.starts_with(' ').then(|| line.split_whitespace())?;
    let first = words.next()?;
    let short = first.len() == 3 && first.starts_with('-') && first.ends_with(',');
    let option = if short { words.next()? } else { first };
    let name = option.strip_prefix("--")?;
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!name.is_empty() && name.chars().all(valid)).then_some(option)
}

/// `64` of a help line that ends with `[64-16384]`.
fn least_value(line: &str) -> Option<usize> {
    let (_, range) = line.rsplit_once('[')?;
    range.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

struct FamilyRule {
    family: EncoderFamily,
    /// Part of the product's name in capitals; empty: any.
    name: &'static str,
    /// All of them are listed.
    options: &'static [&'static str],
}

/// The first rule that fits decides. Names come first; the options tell forks
/// whose builds call themselves plain `SVT-AV1`.
const FAMILIES: [FamilyRule; 6] = [
    FamilyRule { family: EncoderFamily::Essential, name: "ESSENTIAL", options: &[] },
    FamilyRule { family: EncoderFamily::Hdr, name: "HDR", options: &[] },
    FamilyRule { family: EncoderFamily::Psyex, name: "PSY", options: &[] },
    FamilyRule { family: EncoderFamily::Psyex, name: "", options: &["--psy-rd"] },
    FamilyRule { family: EncoderFamily::Essential, name: "", options: &["--speed", "--quality"] },
    FamilyRule { family: EncoderFamily::Hdr, name: "", options: &["--tx-bias", "--complex-hvs"] },
];

fn family_of(version: &str, options: &BTreeSet<String>) -> EncoderFamily {
    let mut words = version.split_whitespace();
    let product = words.next().unwrap_or_default().to_uppercase();
    let fits = |rule: &&FamilyRule| {
        product.contains(rule.name) && rule.options.iter().all(|option| options.contains(*option))
    };
    if let Some(rule) = FAMILIES.iter().find(fits) {
        return rule.family;
    }
    // Mainline says `SVT-AV1 v4.2.0 (release)` or `(debug)`, nothing else.
    let number = words.next().unwrap_or_default();
    let plain =
        number.trim_start_matches('v').split(['.', '-']).next().is_some_and(|n| n.parse::<u32>().is_ok());
    let build = words.next().is_none_or(|word| word.starts_with('('));
    if product == "SVT-AV1" && plain && build && words.next().is_none() {
        EncoderFamily::Mainline
    } else {
        EncoderFamily::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V141: [&str; 2] = [
        include_str!("../../tests/data/encoder-help/mainline_1.4.1.version.txt"),
        include_str!("../../tests/data/encoder-help/mainline_1.4.1.help.txt"),
    ];
    const V230: [&str; 2] = [
        include_str!("../../tests/data/encoder-help/mainline_2.3.0.version.txt"),
        include_str!("../../tests/data/encoder-help/mainline_2.3.0.help.txt"),
    ];
    const V420: [&str; 2] = [
        include_str!("../../tests/data/encoder-help/mainline_4.2.0.version.txt"),
        include_str!("../../tests/data/encoder-help/mainline_4.2.0.help.txt"),
    ];

    fn help_of(names: &str) -> String {
        names.lines().filter(|l| l.starts_with("--")).fold(String::new(), |t, l| t + "      " + l + "  …\n")
    }

    #[test]
    fn recorded_texts_of_mainline_are_understood() {
        for ([version, help], line, options, min_size, roi) in [
            (V141, "SVT-AV1 v1.4.1 (release)", 110, (64, 64), false),
            (V230, "SVT-AV1 v2.3.0 (release)", 121, (64, 64), true),
            (V420, "SVT-AV1 v4.2.0 (release)", 141, (4, 4), true),
        ] {
            let identity = parse(version, help).unwrap();
            assert_eq!(identity.version, line);
            assert_eq!(identity.family, EncoderFamily::Mainline);
            assert_eq!(identity.min_size, min_size, "{line}");
            assert_eq!(identity.has("--roi-map-file"), roi, "{line}");
            assert_eq!(identity.options.len(), options, "{line}");
            assert!(identity.has("--svtav1-params") && !identity.has("--psy-rd"), "{line}");
        }
    }

    #[test]
    fn forks_are_told_apart_by_name_and_by_options() {
        let psyex = include_str!("../../tests/data/encoder-help/psyex_3.0.2-B.options.txt");
        let plain = V420[1];
        let with = |options: &str| plain.to_owned() + help_of(options).as_str();
        for (version, help, family) in [
            (
                "SVT-AV1-PSYEX v3.0.2-B (release)\nPSYEX Release: \x1b[32mB\x1b[0m\n",
                help_of(psyex),
                EncoderFamily::Psyex,
            ),
            ("\x1b[1mSVT-AV1-PSY v2.3.0-B (release)\x1b[0m", with(""), EncoderFamily::Psyex),
            ("SVT-AV1-HDR v4.1.0 (release)", with("--tx-bias\n--complex-hvs"), EncoderFamily::Hdr),
            ("SVT-AV1-Essential v4.0.1 (release)", with("--speed\n--quality"), EncoderFamily::Essential),
            ("SVT-AV1 v2.1.0 (release)", with("--psy-rd"), EncoderFamily::Psyex),
            ("SVT-AV1 v4.0.1 (release)", with("--speed\n--quality\n--tx-bias"), EncoderFamily::Essential),
            ("SVT-AV1 v4.0.1 (release)", with("--tx-bias\n--complex-hvs"), EncoderFamily::Hdr),
            ("SVT-AV1 v4.2.0-17-gabcdef (debug)", with(""), EncoderFamily::Mainline),
            ("SVT-AV1 v4.2.0 [5fish] (release)", with(""), EncoderFamily::Other),
            ("SVT-AV1-TRITIUM v4.2.0 (release)", with(""), EncoderFamily::Other),
        ] {
            assert_eq!(parse(version, &help).unwrap().family, family, "{version}");
        }
    }

    #[test]
    fn what_is_no_usable_encoder_is_refused_with_the_reason() {
        let old = V141[1].replace("      --progress ", "      --show ");
        for (version, help, wanted) in [
            ("x264 0.164.3095 baee400", "", "`x264 0.164.3095 baee400` does not begin with `SVT-AV1`"),
            ("", "", "printed nothing"),
            ("SVT-AV1 v0.8.6", old.as_str(), "lists no --progress; version 1.4 or newer"),
        ] {
            let error = parse(version, help).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn only_option_lines_count_as_options() {
        assert_eq!(option_of("  -i, --input           Input"), Some("--input"));
        assert_eq!(option_of("      --color-help      Extra"), Some("--color-help"));
        for line in ["Usage: X <--stats a> --passes 2", "    SvtAv1EncApp --rc 1", "  --", "      --Foo", ""]
        {
            assert_eq!(option_of(line), None, "{line}");
        }
    }

    #[test]
    fn a_missing_encoder_is_an_error_that_helps() {
        let error = identify(Path::new("no-such-encoder"), &Cancel::new()).unwrap_err().to_string();
        assert!(
            error.contains("`no-such-encoder` on the PATH") && error.contains("--encoder-path"),
            "{error}"
        );
    }
}
