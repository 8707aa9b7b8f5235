//! Which options no list may hold, by kind of encoder and by what the list is
//! for, and why: the one table that all lists are held against.

use super::{Coder, Options, is_grain};

/// What a list of options is for, and so who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The probing list of a preset, a flag or a rule.
    Probing,
    /// The final list of a preset, a flag or a rule.
    Final,
    /// A boosting list as it is put together, before CRF, preset and threads are added.
    Boosting,
    /// `encode --params`.
    Params,
    /// A file of encoder presets.
    PresetFile,
    /// `video_params` of a scenes file: complete, with quality and preset, and
    /// perhaps by somebody else.
    Scenes,
}

/// An option of no encoder: in the `video_params` of a scene it names the SvtAv1EncApp
/// that the scene is for, where that is not the one of all others. `encode` and the
/// shim for av1an take it out.
pub const PROGRAM_MARK: &str = "--svt-program";

struct Rule {
    coder: Coder,
    uses: &'static [Use],
    /// Long and short; `--name` stands for `-name` too.
    names: &'static [&'static str],
    /// Why not, or what to do instead.
    why: &'static str,
}

const LISTS: &[Use] = &[Use::Probing, Use::Final];
const BOOSTING: &[Use] = &[Use::Probing, Use::Final, Use::Boosting];
const ENCODE: &[Use] = &[Use::Params, Use::PresetFile, Use::Scenes];
/// A scenes file's own depth is that of the boosting run; `encode` sets its own.
const OURS: &[Use] = &[Use::Params, Use::PresetFile];
const NO_SCENES: &[Use] = &[Use::Probing, Use::Final, Use::Boosting, Use::Params, Use::PresetFile];
const ALL: &[Use] = &[Use::Probing, Use::Final, Use::Boosting, Use::Params, Use::PresetFile, Use::Scenes];

const QUALITY: &[&str] = &["--crf", "--qp", "-q", "--cqp", "--quality"];

/// The first rule that fits tells the reason. Files to read that an encode may
/// need, such as grain tables, are not among them.
const RULES: &[Rule] = &[
    svt(LISTS, QUALITY, "the CRF is chosen per scene (metric.base_crf when metric.enable is false)"),
    svt(&[Use::Boosting], QUALITY, "the CRF is what is searched for"),
    svt(BOOSTING, &["--preset", "--speed"], "set encoder.probing_preset or encoder.final_preset"),
    svt(BOOSTING, &["--lp"], "set encoder.lp"),
    svt(BOOSTING, &["--rc", "--tbr", "--mbr"], "scenes are encoded at constant quality"),
    svt(ALL, &["--pass", "--passes", "--stats"], "scenes are encoded in one pass"),
    svt(ALL, &["-i", "--input", "-b", "--output"], "input and output are connected for every scene"),
    svt(
        ALL,
        &["--obu", "--ivf", "-c", "--config", "--errlog", "-o", "--recon"],
        "the files of an encode are this program's",
    ),
    svt(ALL, &["--stat-file", "--stat-report", "--enable-stat-report"], "the result is measured by `verify`"),
    svt(ALL, &["--qpfile", "--use-q-file"], "the CRF alone decides the quality"),
    svt(
        ALL,
        &["--frames", "-n", "--n", "--skip", "--nb", "--width", "-w", "--height", "-h"],
        "the clip decides it",
    ),
    svt(ALL, &["--progress", "--no-progress"], "progress is shown by this program"),
    svt(ALL, &["--help", "--color-help", "--version"], "it encodes nothing"),
    // A list within the list, which could say all of the above.
    svt(ALL, &["--svtav1-params"], "write each of its parameters as an option of its own"),
    svt(
        NO_SCENES,
        &["--roi-map-file"],
        "frame numbers count from each scene's start; Character Boost writes the maps",
    ),
    svt(NO_SCENES, &[PROGRAM_MARK], "encoder.program and dynamic.encoder choose the program"),
    svt(OURS, &["--input-depth"], "--bit-depth of `encode` chooses the depth"),
    aom(
        ENCODE,
        &["-o", "--output", "--ivf", "--webm", "--obu", "--annexb", "-c", "--cfg", "--partition-info-path"],
        "the files of an encode are this program's",
    ),
    aom(
        ENCODE,
        &[
            "-p",
            "--passes",
            "--pass",
            "--fpf",
            "--two-pass-input",
            "--two-pass-output",
            "--second-pass-log",
            "--spf",
        ],
        "chunks are encoded in one pass",
    ),
    aom(ENCODE, &["-w", "--width", "-h", "--height", "--limit", "--skip"], "the clip decides it"),
    aom(
        ENCODE,
        &["--nv12", "--yv12", "--i420", "--i422", "--i440", "--i444", "--rawvideo"],
        "the clip decides it",
    ),
    aom(ENCODE, &["-b"], "--bit-depth of `encode` chooses the depth"),
    aom(OURS, &["--bit-depth", "--input-bit-depth"], "--bit-depth of `encode` chooses the depth"),
    aom(ENCODE, &["--help"], "it encodes nothing"),
];

const fn svt(uses: &'static [Use], names: &'static [&'static str], why: &'static str) -> Rule {
    Rule { coder: Coder::SvtAv1, uses, names, why }
}

const fn aom(uses: &'static [Use], names: &'static [&'static str], why: &'static str) -> Rule {
    Rule { coder: Coder::Aom, uses, names, why }
}

/// Why a list for `used` may not hold the option `name`; `None`: it may.
pub fn reason(coder: Coder, used: Use, name: &str) -> Option<&'static str> {
    // Ours is the reading of `-b=file`; nobody knows that of every encoder.
    let name = name.split('=').next().unwrap_or(name);
    // Some programs take a long name after one dash, too.
    let long = name.strip_prefix('-').filter(|rest| rest.len() > 1 && !rest.starts_with('-'));
    let long = long.map(|rest| format!("--{rest}"));
    let is = |known: &&str| *known == name || long.as_deref() == Some(*known);
    let fits = |rule: &&Rule| rule.coder == coder && rule.uses.contains(&used) && rule.names.iter().any(is);
    RULES.iter().find(fits).map(|rule| rule.why)
}

/// Refuses what a list of SVT-AV1 in a preset, a flag or a rule may not hold.
/// Values are looked at as well: none of them is spelt as an option.
pub fn check_words(used: Use, words: &[String]) -> Result<(), String> {
    for word in words {
        // "--crf=30" names the option too.
        let name = word.split('=').next().unwrap_or(word);
        if let Some(why) = reason(Coder::SvtAv1, used, name) {
            return Err(format!("{name} cannot be given here: {why}"));
        }
    }
    match words.iter().find(|word| used == Use::Probing && is_grain(word)) {
        Some(word) => Err(format!("{word} cannot be used in probes: put it into the final list")),
        None => Ok(()),
    }
}

/// Refuses what the options for `used` may not hold.
pub fn check(coder: Coder, used: Use, options: &Options) -> anyhow::Result<()> {
    for option in options.iter() {
        if let Some(why) = reason(coder, used, &option.name) {
            anyhow::bail!("{} cannot be a parameter: {why}", option.name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Origin;

    /// Written down from the encoders' own help texts: whatever writes a file,
    /// or says where frames come from or how many there are.
    const WRITES: [(Coder, &str); 2] = [
        (
            Coder::SvtAv1,
            "-b --output -i --input -c --config --errlog -o --recon --stat-file --stats --pass --passes \
             -n --frames --skip --obu --svtav1-params -output -recon",
        ),
        (
            Coder::Aom,
            "-o --output -c --cfg --fpf -p --passes --pass --limit --skip --webm --obu \
             --partition-info-path --two-pass-output --second-pass-log -spf",
        ),
    ];

    #[test]
    fn no_list_of_an_encode_may_write_files_or_choose_frames() {
        for (coder, names) in WRITES {
            for name in names.split_whitespace() {
                for used in ENCODE {
                    let options = Options::parse_line(&format!("{name} x"), Origin::User).unwrap();
                    let error = check(coder, *used, &options).unwrap_err().to_string();
                    assert!(error.starts_with(&format!("{name} cannot be a parameter: ")), "{error}");
                }
            }
        }
        let words = WRITES[0].1.split_whitespace().map(str::to_owned);
        for word in words {
            assert!(check_words(Use::Final, std::slice::from_ref(&word)).is_err(), "{word}");
        }
    }

    #[test]
    fn a_value_behind_an_equals_sign_hides_no_name() {
        for line in ["-b=/x", "--keyint=-1 -o=/x", "--output=/x", "-output=/x"] {
            let options = Options::parse_line(line, Origin::User).unwrap();
            assert!(check(Coder::SvtAv1, Use::Scenes, &options).is_err(), "{line}");
        }
        // `--fpf` of aomenc is refused, what only begins like it is not.
        assert!(reason(Coder::Aom, Use::Scenes, "--fpf=x").is_some());
        assert_eq!(reason(Coder::Aom, Use::Scenes, "--fpfx"), None);
        // A name of one letter is no long one.
        assert_eq!(reason(Coder::SvtAv1, Use::Scenes, "-q"), None);
    }

    /// As `boost` and av1an write them.
    #[test]
    fn scenes_files_keep_their_quality_their_depth_and_the_files_they_read() {
        for (coder, line) in [
            (
                Coder::SvtAv1,
                "--crf 27.50 --preset 2 --lp 3 --input-depth 10 --roi-map-file roi.txt --fgs-table g.tbl",
            ),
            (Coder::SvtAv1, "--preset 4 --keyint 240 --rc 0 --crf 25"),
            (Coder::Aom, "--threads=8 --cpu-used=6 --end-usage=q --cq-level=30 --bit-depth=10"),
        ] {
            let options = Options::parse_line(line, Origin::User).unwrap();
            check(coder, Use::Scenes, &options).unwrap();
        }
        let map = Options::parse_line("--roi-map-file roi.txt", Origin::User).unwrap();
        check(Coder::SvtAv1, Use::Params, &map).unwrap_err();
    }

    #[test]
    fn every_rule_names_options() {
        for rule in RULES {
            assert!(rule.names.iter().all(|name| name.starts_with('-')) && !rule.why.is_empty());
        }
    }
}
