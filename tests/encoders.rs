//! What real encoders of three generations are, can and take.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Svt, svt};

use progression_boost::encoder::{
    Capabilities, EncodeJob, Encoder, ParameterList, Purpose, Request, encode, preflight, y4m,
};
use progression_boost::settings::{self, EncoderFamily};
use progression_boost::source::{ColorInfo, MasteringDisplay, Picture};
use progression_boost::support::cancel::Cancel;

fn open(version: Svt) -> Encoder {
    Encoder::open(&svt(version), None, &Cancel::new()).unwrap()
}

fn list(encoder: &Encoder, purpose: Purpose, line: &str, color: &ColorInfo) -> anyhow::Result<ParameterList> {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let request = Request { purpose, preset: 8, lp: 1, words: &words, by_user: true, color };
    ParameterList::new(encoder, &request)
}

#[test]
fn capabilities_are_those_of_the_versions() {
    let expected = [
        Capabilities { quarter_steps: false, presets: (0, 13), max_crf: 63, roi_map: false },
        Capabilities { quarter_steps: false, presets: (-1, 13), max_crf: 63, roi_map: true },
        Capabilities { quarter_steps: true, presets: (-1, 13), max_crf: 70, roi_map: true },
    ];
    for (version, expected) in Svt::ALL.into_iter().zip(expected) {
        let encoder = open(version);
        assert_eq!(encoder.identity.version, format!("SVT-AV1 v{} (release)", version.version()));
        assert_eq!(encoder.identity.family, EncoderFamily::Mainline);
        assert_eq!(encoder.capabilities, expected, "{version:?}");
    }
}

#[test]
fn sizes_below_the_encoder_s_least_are_refused_before_work() {
    let old = open(Svt::V1_4);
    let error = old.identity.check_size(62, 64).unwrap_err().to_string();
    assert!(error.starts_with("the clip is 62x64: SVT-AV1 v1.4.1 (release) takes at least 64x64"), "{error}");
    old.identity.check_size(64, 64).unwrap();
    open(Svt::V4_2).identity.check_size(16, 16).unwrap();
}

#[test]
fn the_shipped_lists_pass_the_preflight_everywhere() {
    let color = ColorInfo { primaries: 1, transfer: 1, matrix: 1, ..ColorInfo::default() };
    for version in Svt::ALL {
        let encoder = open(version);
        for preset in ["butteraugli-mean", "butteraugli-max", "ssimu2-mean"] {
            let request = settings::Request { preset: Some(preset.into()), ..settings::Request::default() };
            let shipped = settings::resolve(&request).unwrap().base;
            let list = |purpose| {
                let params = &shipped.encoder.params[&encoder.identity.family];
                let words = if purpose == Purpose::Final { &params.final_ } else { &params.probing };
                let request = Request { purpose, preset: 8, lp: 2, words, by_user: false, color: &color };
                ParameterList::new(&encoder, &request).unwrap()
            };
            let (probing, last) = (list(Purpose::Probing), list(Purpose::Final));
            assert_eq!((probing.bits(), last.bits()), (10, 10));
            let lists = [("probing parameters", &probing), ("final parameters", &last)];
            preflight(&encoder, &lists, &Cancel::new()).unwrap();
        }
        let eight = list(&encoder, Purpose::Final, "--input-depth 8", &color).unwrap();
        assert_eq!(eight.bits(), 8);
        preflight(&encoder, &[("final parameters", &eight)], &Cancel::new()).unwrap();
    }
}

#[test]
fn a_refused_value_is_named_with_the_encoder_s_own_words() {
    let untagged = ColorInfo::default();
    for version in Svt::ALL {
        let encoder = open(version);
        for (line, names) in [
            ("--tune 9 --qm-min 8", &["refuses `--tune 9`:", "your input: 9"][..]),
            (
                "--lookahead 500 --tune 0 --tile-rows 9",
                &["`--lookahead 500` and `--tile-rows 9`:", "[0 - 120]"],
            ),
        ] {
            let list = list(&encoder, Purpose::Final, line, &untagged).unwrap();
            let lists = [("final parameters", &list)];
            let error = preflight(&encoder, &lists, &Cancel::new()).unwrap_err().to_string();
            for name in names {
                assert!(error.contains(name), "{version:?} {line}: {error}");
            }
            assert!(error.starts_with("final parameters: SVT-AV1 v"), "{error}");
        }
    }
}

#[test]
fn colour_and_hdr10_metadata_arrive_in_the_stream() {
    let color = ColorInfo {
        primaries: 9,
        transfer: 16,
        matrix: 9,
        full_range: Some(true),
        chroma_location: Some(2),
        mastering: Some(MasteringDisplay {
            primaries_x: [0.68, 0.265, 0.15],
            primaries_y: [0.32, 0.69, 0.06],
            white_x: 0.3127,
            white_y: 0.329,
            min_luminance: 0.005,
            max_luminance: 1000.0,
        }),
        content_light: Some((1000, 400)),
    };
    for version in Svt::ALL {
        let encoder = open(version);
        let list = list(&encoder, Purpose::Final, "--tune 0", &color).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("hdr.ivf");
        let format = y4m::Format { width: 64, height: 64, bits: 10, fps: (24, 1) };
        let params = list.words(&encoder, 30.0);
        let job = EncodeJob {
            program: encoder.identity.path.clone(),
            params,
            output,
            format,
            stall: None,
            nice: 0,
        };
        let gray = Arc::new(Picture::filled(64, 64, 10, 500, 512));
        encode(&job, (0..2).map(|_| Ok(Arc::clone(&gray))), &Cancel::new(), |_| {}).unwrap();
        let seen = ffprobe(&job.output);
        for wanted in [
            "color_primaries=bt2020",
            "color_transfer=smpte2084",
            "color_space=bt2020nc",
            "color_range=pc",
            "chroma_location=topleft",
            // 0.68 and 0.69 in units of 1/65536, 0.005 in units of 1/16384.
            "red_x=44564/65536",
            "green_y=45220/65536",
            "min_luminance=82/16384",
            "max_luminance=256000/256",
            "max_content=1000",
            "max_average=400",
        ] {
            assert!(seen.lines().any(|line| line == wanted), "{version:?}: no {wanted} in\n{seen}");
        }
    }
}

fn ffprobe(file: &Path) -> String {
    let output = common::tool("ffprobe")
        .args(["-v", "error", "-show_frames"])
        .arg(file)
        .output()
        .expect("ffprobe starts");
    String::from_utf8(output.stdout).unwrap()
}

/// A wrapper around the real encoder that counts its runs.
#[cfg(unix)]
#[test]
fn capabilities_are_tried_once_per_binary() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (wrapper, log) = (folder.path().join("svt"), folder.path().join("runs"));
    let write = |comment: &str| {
        let script = format!(
            "#!/bin/sh\n# {comment}\necho run >> '{}'\nexec '{}' \"$@\"\n",
            log.display(),
            svt(Svt::V1_4).display()
        );
        std::fs::write(&wrapper, script).unwrap();
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let cache = folder.path().join("cache");
    let runs_of_opening = || {
        let _ = std::fs::remove_file(&log);
        let encoder = Encoder::open(&wrapper, Some(&cache), &Cancel::new()).unwrap();
        assert_eq!(encoder.capabilities, open(Svt::V1_4).capabilities);
        std::fs::read_to_string(&log).unwrap().lines().count()
    };
    write("first");
    assert!(runs_of_opening() > 4);
    assert_eq!(runs_of_opening(), 2, "only --version and --help");
    write("other");
    assert!(runs_of_opening() > 4, "another binary of the same size is tried anew");
    let entry = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    std::fs::write(entry, "{").unwrap();
    assert!(runs_of_opening() > 4, "a damaged entry is no entry");
}

#[cfg(unix)]
#[test]
fn an_encoder_that_hangs_or_lies_is_found_out_before_work() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("svt");
    let help = "for o in input output progress crf preset lp input-depth; do echo \"      --$o  x\"; done";
    for (script, wanted) in [
        ("echo 'x264 0.164'", "does not work as an encoder: its version line `x264 0.164`"),
        ("exit 7", "ended with exit code 7"),
        (
            "[ \"$1\" = --version ] && echo 'SVT-AV1 v9.9.9 (release)' && exit; [ \"$1\" = --help ] && { HELP; exit; }; \
             cat > /dev/null",
            "cannot encode a blank frame: the encoder ended without an error",
        ),
    ] {
        std::fs::write(&fake, format!("#!/bin/sh\n{}\n", script.replace("HELP", help))).unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = format!("{:#}", Encoder::open(&fake, None, &Cancel::new()).unwrap_err());
        assert!(error.contains(wanted), "{error}");
    }
}
