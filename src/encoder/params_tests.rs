use super::*;
use crate::encoder::Capabilities;
use crate::encoder::identify::parse;
use crate::encoder::trial::words;
use crate::settings::{self, EncoderFamily};

/// An encoder as its recorded texts and the table of spec 09 describe it.
fn encoder(name: &str) -> Encoder {
    const HELP_141: &str = include_str!("../../tests/data/encoder-help/mainline_1.4.1.help.txt");
    const HELP_230: &str = include_str!("../../tests/data/encoder-help/mainline_2.3.0.help.txt");
    const HELP_420: &str = include_str!("../../tests/data/encoder-help/mainline_4.2.0.help.txt");
    const PSYEX: &str = include_str!("../../tests/data/encoder-help/psyex_3.0.2-B.options.txt");
    let fork = |extra: &str| format!("{HELP_420}\n{}", extra.replace("--", "      --"));
    let (version, help, quarter_steps, presets) = match name {
        "mainline 1.4.1" => ("SVT-AV1 v1.4.1 (release)", HELP_141.to_owned(), false, (0, 13)),
        "mainline 2.3.0" => ("SVT-AV1 v2.3.0 (release)", HELP_230.to_owned(), false, (-1, 13)),
        "mainline 4.2.0" => ("SVT-AV1 v4.2.0 (release)", HELP_420.to_owned(), true, (-1, 13)),
        "psyex" => ("SVT-AV1-PSYEX v3.0.2-B (release)", PSYEX.replace("--", "      --"), true, (-3, 13)),
        // Mainline 4 and the options their Docs/Parameters.md add.
        "hdr" => ("SVT-AV1-HDR v4.1.0 (release)", fork("--tx-bias\n--complex-hvs"), true, (-3, 13)),
        "essential" => (
            "SVT-AV1-Essential v4.0.1 (release)",
            fork("--tx-bias\n--complex-hvs\n--speed\n--quality"),
            true,
            (-1, 13),
        ),
        _ => ("SVT-AV1-TRITIUM v4.0.0", fork("--psycho"), true, (-1, 13)),
    };
    let max_crf = if quarter_steps { 70 } else { 63 };
    Encoder {
        identity: parse(version, &help).unwrap(),
        capabilities: Capabilities { quarter_steps, presets, max_crf, roi_map: name != "mainline 1.4.1" },
    }
}

fn tagged() -> ColorInfo {
    ColorInfo {
        primaries: 1,
        transfer: 1,
        matrix: 1,
        full_range: Some(false),
        chroma_location: Some(0),
        ..ColorInfo::default()
    }
}

const TAGS: &str = "--color-primaries 1 --transfer-characteristics 1 --matrix-coefficients 1 --color-range 0 \
                    --chroma-sample-position left";

/// The list of a preset that comes with the program.
fn shipped(preset: &str, family: EncoderFamily, purpose: Purpose) -> Vec<String> {
    let request = settings::Request { preset: Some(preset.to_owned()), ..settings::Request::default() };
    let params = &settings::resolve(&request).unwrap().base.encoder.params[&family];
    match purpose {
        Purpose::Probing => params.probing.clone(),
        Purpose::Final => params.final_.clone(),
    }
}

struct Case {
    encoder: &'static str,
    purpose: Purpose,
    preset: &'static str,
    expected: &'static str,
    left_out: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        encoder: "psyex",
        purpose: Purpose::Probing,
        preset: "butteraugli-mean",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 3 \
                   --luminance-qp-bias 12 --qm-min 8 --chroma-qm-min 10 --psy-rd 1.0 --spy-rd 0 --complex-hvs 0",
        left_out: "",
    },
    Case {
        encoder: "psyex",
        purpose: Purpose::Final,
        preset: "butteraugli-max",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 3 \
                   --luminance-qp-bias 12 --qm-min 8 --chroma-qm-min 10 --psy-rd 2.0 --spy-rd 0 --complex-hvs 1",
        left_out: "",
    },
    Case {
        encoder: "mainline 1.4.1",
        purpose: Purpose::Final,
        preset: "butteraugli-mean",
        expected: "--crf 28 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 0 --enable-qm 1 \
                   --qm-min 8",
        left_out: "SVT-AV1 v1.4.1 (release) does not know --enable-variance-boost 1, \
                   --luminance-qp-bias 12, --chroma-qm-min 10, --ac-bias 1.0; left out",
    },
    Case {
        encoder: "mainline 2.3.0",
        purpose: Purpose::Probing,
        preset: "butteraugli-mean",
        expected: "--crf 28 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 0 \
                   --enable-variance-boost 1 --enable-qm 1 --qm-min 8",
        left_out: "SVT-AV1 v2.3.0 (release) does not know --luminance-qp-bias 12, --chroma-qm-min 10, \
                   --ac-bias 1.0; left out",
    },
    Case {
        encoder: "mainline 4.2.0",
        purpose: Purpose::Final,
        preset: "butteraugli-mean",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 0 \
                   --enable-variance-boost 1 --luminance-qp-bias 12 --enable-qm 1 --qm-min 8 \
                   --chroma-qm-min 10 --ac-bias 1.0",
        left_out: "",
    },
    Case {
        encoder: "hdr",
        purpose: Purpose::Final,
        preset: "butteraugli-max",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 0 \
                   --luminance-qp-bias 12 --qm-min 8 --chroma-qm-min 10 --ac-bias 2.0 --complex-hvs 1",
        left_out: "",
    },
    Case {
        encoder: "essential",
        purpose: Purpose::Probing,
        preset: "butteraugli-mean",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint 0 --scd 0 --input-depth 10 --scm 0 --tune 0 \
                   --luminance-qp-bias 12 --qm-min 8 --chroma-qm-min 10 --ac-bias 1.0 --complex-hvs 0",
        left_out: "",
    },
    Case {
        encoder: "unknown",
        purpose: Purpose::Final,
        preset: "butteraugli-mean",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 0 --enable-qm 1 \
                   --qm-min 8",
        left_out: "",
    },
    Case {
        encoder: "mainline 4.2.0",
        purpose: Purpose::Probing,
        preset: "butteraugli-max",
        expected: "--crf 27.50 --preset 7 --lp 3 --keyint -1 --input-depth 10 --scm 0 --tune 0 \
                   --enable-variance-boost 1 --luminance-qp-bias 12 --enable-qm 1 --qm-min 8 \
                   --chroma-qm-min 10 --ac-bias 2.0",
        left_out: "",
    },
];

#[test]
fn every_family_gets_the_list_that_is_written_here() {
    for case in &CASES {
        let encoder = encoder(case.encoder);
        let words = shipped(case.preset, encoder.identity.family, case.purpose);
        let color = tagged();
        let request =
            Request { purpose: case.purpose, preset: 7, lp: 3, words: &words, by_user: false, color: &color };
        let list = ParameterList::new(&encoder, &request).unwrap();
        let expected = format!("{} {TAGS}", case.expected);
        assert_eq!(list.words(&encoder, 27.52).join(" "), expected, "{}", case.encoder);
        assert_eq!(list.notes.join("\n"), case.left_out, "{}", case.encoder);
        assert_eq!(list.bits(), 10);
    }
}

fn list(name: &str, purpose: Purpose, line: &str, color: &ColorInfo) -> Result<ParameterList> {
    let request = Request { purpose, preset: 7, lp: 1, words: &words(line), by_user: true, color };
    ParameterList::new(&encoder(name), &request)
}

#[test]
fn the_user_s_own_mistakes_are_errors_that_name_the_option() {
    for (line, wanted) in [
        ("--psy-rd 1.0", "--psy-rd: SVT-AV1 v4.2.0 (release) does not know it"),
        ("--luminence-qp-bias 12", "(did you mean --luminance-qp-bias?)"),
        ("--crf 20", "--crf cannot be a parameter: the CRF is what is searched for"),
        ("--preset 2", "set encoder.probing_preset or encoder.final_preset"),
        ("--tune=2", "--tune=2: write `--tune 2`, with a space"),
        ("--tune 2 --tune 1", "--tune is given twice"),
        ("--tune 2 1", "`1` belongs to no option"),
        ("fast", "`fast` belongs to no option"),
        ("--tune x", "--tune x: must be a number"),
        ("--tune --scm 0", "--tune needs a value"),
        ("--input-depth 12", "--input-depth 12: must be 8 or 10"),
    ] {
        let error = list("mainline 4.2.0", Purpose::Final, line, &ColorInfo::default()).unwrap_err();
        assert!(format!("{error:#}").contains(wanted), "{line}: {error:#}");
    }
}

#[test]
fn film_grain_never_reaches_a_probe() {
    let line = "--tune 0 --film-grain 8 --film-grain-denoise 0";
    let untagged = ColorInfo::default();
    let probing = list("mainline 4.2.0", Purpose::Probing, line, &untagged).unwrap();
    let encoder = encoder("mainline 4.2.0");
    assert_eq!(
        probing.words(&encoder, 30.0).join(" "),
        "--crf 30.00 --preset 7 --lp 1 --tune 0 --input-depth 10"
    );
    assert_eq!(probing.notes.len(), 2);
    let last = list("mainline 4.2.0", Purpose::Final, line, &untagged).unwrap();
    assert!(last.words(&encoder, 30.0).join(" ").contains("--film-grain 8 --film-grain-denoise 0"));
}

#[test]
fn the_user_s_colour_wins_over_the_clip_s() {
    let own = list("psyex", Purpose::Final, "--matrix-coefficients 6 --input-depth 8", &tagged()).unwrap();
    let text = own.words(&encoder("psyex"), 8.13).join(" ");
    assert_eq!(
        text,
        "--crf 8.25 --preset 7 --lp 1 --matrix-coefficients 6 --input-depth 8 --color-primaries 1 \
         --transfer-characteristics 1 --color-range 0 --chroma-sample-position left"
    );
    assert_eq!(own.bits(), 8);
}

#[test]
fn crf_and_preset_stay_within_what_the_encoder_takes() {
    let old = encoder("mainline 2.3.0");
    let new = encoder("mainline 4.2.0");
    assert_eq!([old.crf_text(30.49), old.crf_text(30.5), old.crf_text(70.0)], ["30", "31", "63"]);
    assert_eq!([new.crf_text(30.12), new.crf_text(30.13), new.crf_text(99.0)], ["30.00", "30.25", "70.00"]);
    let error = old.check_crf("metric.max_crf", 70.0).unwrap_err().to_string();
    assert_eq!(error, "metric.max_crf 70: SVT-AV1 v2.3.0 (release) takes a CRF of 0 to 63");
    new.check_crf("metric.max_crf", 70.0).unwrap();
    let request = Request {
        purpose: Purpose::Final,
        preset: -2,
        lp: 1,
        words: &[],
        by_user: false,
        color: &ColorInfo::default(),
    };
    let error = ParameterList::new(&new, &request).unwrap_err().to_string();
    assert_eq!(error, "encoder.final_preset -2: SVT-AV1 v4.2.0 (release) takes -1 to 13");
    assert!(ParameterList::new(&encoder("psyex"), &request).is_ok());
}

/// Of a list in a file of the user's, what a shipped preset has is not the user's.
#[test]
fn what_a_copied_preset_inherits_is_left_out_with_a_note_and_what_it_adds_is_not() {
    for preset in ["butteraugli-mean", "butteraugli-max"] {
        for purpose in [Purpose::Probing, Purpose::Final] {
            let copied = shipped(preset, EncoderFamily::Mainline, purpose).join(" ");
            let list = |line: &str| list("mainline 1.4.1", purpose, line, &ColorInfo::default());
            let notes = list(&copied).unwrap().notes.join(" ");
            assert!(notes.contains("does not know") && notes.contains("--ac-bias"), "{notes}");
            let changed = copied.replace("--ac-bias ", "--ac-bias 1");
            assert_ne!(changed, copied);
            let error = format!("{:#}", list(&changed).unwrap_err());
            assert!(error.contains("--ac-bias: SVT-AV1 v1.4.1 (release) does not know it"), "{error}");
        }
    }
}
