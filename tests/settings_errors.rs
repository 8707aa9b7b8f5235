//! What is wrong in a preset or on the command line is said all at once, with
//! its place and what is allowed.

// Values are copied from presets, not computed.
#![allow(clippy::float_cmp)]

use std::path::{Path, PathBuf};

use progression_boost::settings::{
    Crop, EncoderFamily, Problems, Request, Resolved, SceneMethod, Typed, ZoneList, resolve,
};
use proptest::prelude::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn request(preset: &Path) -> Request {
    Request { preset: Some(preset.to_str().unwrap().to_owned()), ..Request::default() }
}

/// "line:column text" of every problem of a preset with this text.
fn problems_of(text: &str) -> Vec<String> {
    let folder = Folder::new();
    let path = folder.write("mine.toml", text);
    let error = resolve(&request(&path)).unwrap_err();
    let start = format!("{}:", path.display());
    let problems = error.downcast::<Problems>().unwrap();
    problems
        .list
        .iter()
        .map(|p| format!("{} {}", p.place.to_string().strip_prefix(&start).unwrap(), p.text))
        .collect()
}

/// The only problem of a preset with this text.
fn problem_of(text: &str) -> String {
    let all = problems_of(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

fn typed(typed: Vec<Typed>) -> Result<Resolved, String> {
    resolve(&Request { typed, ..Request::default() }).map_err(|e| format!("{e:#}"))
}

fn refused(argument: &str) -> String {
    typed(vec![Typed::set(argument)]).unwrap_err()
}

#[test]
fn unknown_keys_are_answered_with_the_nearest() {
    assert_eq!(
        problem_of("[metric]\ntaget = 1.0\n"),
        "2:1 metric.taget is not a key; did you mean metric.target?"
    );
    assert_eq!(
        problem_of("extra_split = 9\n"),
        "1:1 extra_split is not a key; did you mean scenes.extra_split?"
    );
    assert_eq!(
        problem_of("[scenes]\n  minscenelen = 9\n"),
        "2:3 scenes.minscenelen is not a key; did you mean scenes.min_scene_len?"
    );
    assert_eq!(
        problem_of("[model]\nfoo = 1\n"),
        "2:1 model.foo is not a key; [model] has kind, calibrate, tolerance, first_crf"
    );
    assert_eq!(problem_of("[scens]\nmethod = 1\n"), "1:2 scens is not a key; did you mean scenes?");
    assert_eq!(
        problem_of("[banana]\nx = 1\n"),
        "1:2 banana is not a section or key; the sections are source, scenes, encoder, metric, model, \
         character, final, dynamic, encoders, zones"
    );
    assert_eq!(
        problem_of("[encoder.params.psyx]\nfinal = \"\"\n"),
        "1:17 encoder.params.psyx is not a key; did you mean encoder.params.psyex?"
    );
}

#[test]
fn wrong_types_say_what_is_allowed() {
    for (text, expected) in [
        ("[metric]\ntarget = \"high\"\n", "2:10 target \"high\": must be a number, 0.01 to 100"),
        ("[metric]\nenable = 1\n", "2:10 enable 1: must be true or false"),
        ("[scenes]\nextra_split = 200.5\n", "2:15 extra_split 200.5: must be an integer, 2 to 100000"),
        (
            "[encoder]\nworkers = \"all\"\n",
            "2:11 workers \"all\": must be an integer, 1 to 1024, or \"auto\"",
        ),
        (
            "[encoder.params.psyex]\nfinal = 3\n",
            "2:9 final 3: must be the encoder's parameters in quotes, or { append = \"…\", set = { option = value } }",
        ),
        ("description = 1\n", "1:15 description must be a text in quotes"),
        ("extends = 1\n", "1:11 extends must be a text in quotes"),
        ("metric = 1\n", "1:1 metric is a section: write [metric] and its keys below it"),
        ("[scenes]\ninput_scenes = 1\n", "2:16 input_scenes 1: must be a path in quotes"),
        ("[encoder]\nprogram = \"\"\n", "2:11 program \"\": must be a program's name or path"),
        (
            "[metric]\ncrop = [0, 0, 1, 0]\n",
            "2:8 crop [0, 0, 1, 0]: must be [left, right, top, bottom], four even numbers of pixels from 0 to 65536, or \"auto\"",
        ),
        (
            "[model]\ntolerance = \"some\"\n",
            "2:13 tolerance \"some\": must be a number, 0 to 20, or \"auto\"",
        ),
        ("[model]\ncalibrate = 1.5\n", "2:13 calibrate 1.5: must be an integer, 0 to 1000, or \"auto\""),
        (
            "[model]\nkind = \"adaptiv\"\n",
            "2:8 kind \"adaptiv\": must be one of reference, reference-2025, adaptive; did you mean adaptive?",
        ),
        ("zones = 1\n", "1:9 zones holds tables: write [zones.NAME] or [zones.NAME.metric]"),
    ] {
        assert_eq!(problem_of(text), expected);
    }
}

#[test]
fn values_out_of_range_say_the_range() {
    for (text, expected) in [
        ("[scenes]\nmin_scene_len = 0\n", "2:17 min_scene_len 0: must be 1 to 1000"),
        ("[encoder]\nfinal_preset = 14\n", "2:16 final_preset 14: must be -3 to 13"),
        ("[encoder]\nlp = -1\n", "2:6 lp -1: must be 1 to 64"),
        ("[metric]\nmax_crf = 70.25\n", "2:11 max_crf 70.25: must be 0 to 70"),
        ("[metric]\ntarget = nan\n", "2:10 target nan: must be 0.01 to 100"),
        ("[metric]\nunreliable_crf = 99\n", "2:18 unreliable_crf 99: must be 0 to 70, or \"auto\""),
        ("[final]\nphoton_noise = 400\n", "2:16 photon_noise 400: must be 1 to 64, or \"off\""),
        ("[character]\ncrf_curve = 2\n", "2:13 crf_curve 2: must be 0 to 1"),
        (
            "[metric]\nmetric = \"ssimulacra2\"\n",
            "2:10 metric \"ssimulacra2\": must be one of butteraugli-3norm, butteraugli-mean-mix, \
             butteraugli-max-mix, ssimu2",
        ),
        (
            "[metric]\npooling = \"means\"\n",
            "2:11 pooling \"means\": must be one of mean, worst, reference-mean, trimmed-mean, percentile; did you mean mean?",
        ),
    ] {
        assert_eq!(problem_of(text), expected);
    }
}

#[test]
fn parameters_that_the_program_sets_are_refused() {
    let final_ = |words: &str| problem_of(&format!("[encoder.params.psyex]\nfinal = \"{words}\"\n"));
    let probing = |words: &str| problem_of(&format!("[encoder.params]\nprobing = \"{words}\"\n"));
    assert!(final_("--tune 3 --crf 20").ends_with(
        "--crf cannot be given here: the CRF is chosen per scene (metric.base_crf when metric.enable is false)"
    ));
    assert!(final_("--preset=4").ends_with("set encoder.probing_preset or encoder.final_preset"));
    assert!(final_("--tune '3").ends_with("has a quote that is not closed"));
    assert!(
        probing("--film-grain 8")
            .ends_with("--film-grain cannot be used in probes: put it into the final list")
    );
}

#[test]
fn contradicting_keys_are_found_where_the_last_was_written() {
    for (text, expected) in [
        (
            "[scenes]\nextra_split = 30\nmin_scene_len = 16\n",
            "3:17 scenes.extra_split 30: must be at least twice scenes.min_scene_len 16, so that a scene \
             that is too long can be split",
        ),
        (
            "[scenes]\nmethod = \"external\"\n",
            "2:10 scenes.method external: set scenes.input_scenes to the scene list (--input-scenes FILE)",
        ),
        ("[metric]\nmin_crf = 51\n", "2:11 metric.min_crf 51: must not be above metric.max_crf 50"),
        ("[final]\nmin_crf = 51\n", "2:11 final.min_crf 51: must not be above metric.max_crf 50"),
        (
            "extends = \"scene-detection\"\n[metric]\nbase_crf = 6\n",
            "3:12 final.min_crf 6.5: must not be above metric.base_crf 6",
        ),
        (
            "[metric]\nmetric = \"ssimu2\"\n",
            "2:10 metric.target 0.95: must be 15 to 100 with metric.metric ssimu2 (80 looks very good)",
        ),
        (
            "[metric]\ntarget = 80\n",
            "2:10 metric.target 80: must be 0.01 to 15 with Butteraugli (0.95 looks very good)",
        ),
        (
            "[metric]\nbackend = \"vszip\"\n",
            "2:11 metric.backend vszip: measures only ssimu2; Butteraugli needs auto, vship, native or ffvship",
        ),
        (
            "[model]\ncalibrate = 2\n[dynamic]\nencoder = \"\\\"x265\\\"\"\n",
            "4:11 model.calibrate 2: must be 0 where dynamic.encoder and dynamic.probing_encoder are not the \
             same, because probes are compared with the final encode of the same encoder",
        ),
        (
            "[metric.frames]\nhighest_diff_frames = 0\nupper_bracket_frames = 0\n\
             upper_bracket_fallback_frames = 0\nfirst_frame = false\nlast_frame = false\n",
            "6:14 metric.frames selects no frame: at least one of its counts must be above 0",
        ),
    ] {
        assert_eq!(problem_of(text), expected);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "[scenes]\nmin_scene_len = 0\nextra_split = \"x\"\n[metric]\ntaget = 2\nmin_crf = 60\nmax_crf = 20\n[dynamic]\ncrf = \"crf +\"\n";
    let all = problems_of(text);
    let (rule, rest) = (&all[3], [&all[..3], &all[4..]].concat());
    assert_eq!(
        rest,
        [
            "2:17 min_scene_len 0: must be 1 to 1000",
            "3:15 extra_split \"x\": must be an integer, 2 to 100000",
            "5:1 metric.taget is not a key; did you mean metric.target?",
            "7:11 metric.min_crf 60: must not be above metric.max_crf 20",
        ]
    );
    assert!(rule.starts_with("9:7 crf \"crf +\": the expression does not parse: "), "{rule}");
}

#[test]
fn several_problems_are_shown_one_a_line_with_their_files() {
    let folder = Folder::new();
    let base = folder.write("base.toml", "[metric]\ntaget = 1\n");
    let mine = folder.write("mine.toml", "extends = \"base.toml\"\n[model]\nkind = \"fast\"\n");
    let mut request = request(&mine);
    request.typed.push(Typed::flag("--final-preset", "encoder.final_preset", "slow"));
    request.zones = Some(ZoneList::Text("0 10".to_owned()));
    let text = resolve(&request).unwrap_err().to_string();
    let expected = format!(
        "4 problems in the settings:\n  \
         {}:3:8: kind \"fast\": must be one of reference, reference-2025, adaptive\n  \
         {}:2:1: metric.taget is not a key; did you mean metric.target?\n  \
         --final-preset: final_preset \"slow\": must be an integer, -3 to 13\n  \
         --zones-string:1:1: \"0 10\" is left over: every zone is `start end name`",
        mine.display(),
        base.display()
    );
    assert_eq!(text, expected);
}

#[test]
fn broken_toml_is_placed_and_the_rest_still_read() {
    let all = problems_of("[metric]\ntarget = = 1\nmax_crf = 99\n");
    assert!(all.iter().any(|line| line.starts_with("2:")), "{all:#?}");
    assert!(all.contains(&"3:11 max_crf 99: must be 0 to 70".to_owned()), "{all:#?}");
    let all = problems_of("[metric]\ntarget = 1\ntarget = 2\n");
    assert!(all[0].starts_with("3:1 "), "{all:#?}");
}

#[test]
fn columns_count_characters() {
    let text = "model = { kind = \"ä\", foo = 1 }\n";
    let all = problems_of(text);
    assert_eq!(all[0], "1:18 kind \"ä\": must be one of reference, reference-2025, adaptive");
    assert!(all[1].starts_with("1:23 model.foo is not a key"), "{all:#?}");
}

#[test]
fn what_is_typed_overrides_the_preset_and_is_named_in_errors() {
    let resolved = typed(vec![
        Typed::set("metric.target=0.8"),
        Typed::set("metric.pooling = percentile"),
        Typed::set("metric.percentile=10"),
        Typed::set("metric.crop=[0, 0, 20, 20]"),
        Typed::set("encoder.workers=4"),
        Typed::flag("--method", "scenes.method", "scxvid"),
        Typed::flag("--target", "metric.target", "0.7"),
        Typed::set("dynamic.crf=crf - 1"),
    ])
    .unwrap()
    .base;
    assert_eq!((resolved.metric.target, resolved.metric.crop), (0.7, Crop::Sides([0, 0, 20, 20])));
    assert_eq!(resolved.metric.pooling, progression_boost::settings::Pooling::Percentile(10.0));
    assert_eq!((resolved.encoder.workers, resolved.scenes.strict), (Some(4), true));
    assert_eq!(resolved.dynamic.crf.as_deref(), Some("crf - 1"));
    assert_eq!(refused("metric.target"), "--set metric.target: write section.key=value");
    assert_eq!(
        refused("metric.taget=1"),
        "--set metric.taget: metric.taget is not a key; did you mean metric.target?"
    );
    assert_eq!(
        refused("metric.target=x"),
        "--set metric.target: target \"x\": must be a number, 0.01 to 100"
    );
    assert_eq!(
        refused("scenes.extra_split=20"),
        "--set scenes.extra_split: scenes.extra_split 20: must be at least twice scenes.min_scene_len 12, \
         so that a scene that is too long can be split"
    );
    assert_eq!(
        refused("zones.a.metric.target=1"),
        "--set zones.a.metric.target: the preset has no [zones.a]"
    );
}

#[test]
fn method_auto_is_the_presets_own_which_may_fall_back() {
    let scenes = typed(vec![Typed::flag("--method", "scenes.method", "auto")]).unwrap().base.scenes;
    assert_eq!((scenes.method, scenes.strict), (SceneMethod::Wwxd, false));
    let scenes = typed(vec![Typed::flag("--method", "scenes.method", "wwxd")]).unwrap().base.scenes;
    assert_eq!((scenes.method, scenes.strict), (SceneMethod::Wwxd, true));
}

#[test]
fn typed_parameters_replace_those_of_every_family_and_are_the_users() {
    let resolved = typed(vec![Typed::final_params("--tune 2 --sharpness '3'")]).unwrap().base;
    assert_eq!(resolved.encoder.params.len(), 5);
    for params in resolved.encoder.params.values() {
        assert_eq!(params.final_, ["--tune", "2", "--sharpness", "3"]);
        assert!(params.final_by_user && !params.probing_by_user);
        assert!(params.probing.contains(&"--input-depth".to_owned()));
    }
    let twice = vec![Typed::final_params("--tune 1"), Typed::final_params("--tune 2")];
    assert_eq!(typed(twice).unwrap().base.encoder.params[&EncoderFamily::Other].final_, ["--tune", "2"]);
    let error = typed(vec![Typed::probing_params("--lp 2")]).unwrap_err();
    assert_eq!(error, "--probing-params: probing \"--lp 2\": --lp cannot be given here: set encoder.lp");
}

#[test]
fn a_doubtful_target_split_is_a_warning() {
    let resolved = typed(vec![Typed::set("scenes.extra_split=40")]).unwrap();
    assert_eq!(
        resolved.warnings,
        ["scenes.target_split 60 is above scenes.extra_split 40: scenes up to the former stay whole"]
    );
}

#[test]
fn extends_inherits_from_presets_files_and_the_users_folder() {
    let folder = Folder::new();
    folder.write("sub/b.toml", "extends = \"ssimu2-mean\"\n[metric]\ntarget = 70\nmax_crf = 45\n");
    let a = folder.write("a.toml", "extends = \"sub/b.toml\"\n[metric]\ntarget = 72\n");
    let settings = resolve(&request(&a)).unwrap().base;
    assert_eq!((settings.metric.target, settings.metric.max_crf), (72.0, 45.0));
    assert_eq!(settings.encoder.probing_preset, 8);
    folder.write("grain.toml", "extends = \"./sub/b.toml\"\n[metric]\nmin_crf = 10\n");
    let by_name = Request {
        preset: Some("grain".to_owned()),
        preset_folder: Some(folder.0.path().to_path_buf()),
        ..Request::default()
    };
    let settings = resolve(&by_name).unwrap().base;
    assert_eq!((settings.metric.target, settings.metric.min_crf), (70.0, 10.0));
}

#[test]
fn a_preset_that_extends_nothing_extends_the_default() {
    let folder = Folder::new();
    let path = folder.write("a.toml", "[metric]\ntarget = 0.5\n");
    let resolved = resolve(&request(&path)).unwrap();
    assert_eq!(resolved.description, "");
    assert_eq!((resolved.base.metric.target, resolved.base.scenes.extra_split), (0.5, 264));
}

#[test]
fn relative_paths_in_a_preset_start_at_its_folder() {
    let folder = Folder::new();
    let path = folder.write(
        "a.toml",
        "[scenes]\nmethod = \"external\"\ninput_scenes = \"s.json\"\n[encoder]\nprogram = \"bin/SvtAv1EncApp\"\n",
    );
    let settings = resolve(&request(&path)).unwrap().base;
    assert_eq!(settings.scenes.input_scenes, Some(folder.0.path().join("s.json")));
    assert_eq!(settings.encoder.program, folder.0.path().join("bin/SvtAv1EncApp"));
}

#[test]
fn a_circle_of_extends_is_named() {
    let folder = Folder::new();
    let a = folder.write("a.toml", "extends = \"b.toml\"\n");
    let b = folder.write("b.toml", "extends = \"./a.toml\"\n");
    let text = resolve(&request(&a)).unwrap_err().to_string();
    assert!(
        text.starts_with(&format!(
            "{}:1:11: extends goes round in a circle: {} → ",
            b.display(),
            a.display()
        )),
        "{text}"
    );
}

#[test]
fn unknown_presets_are_answered_with_the_nearest_and_the_list() {
    let folder = Folder::new();
    folder.write("mygrain.toml", "");
    let ask = |name: &str| {
        let request = Request {
            preset: Some(name.to_owned()),
            preset_folder: Some(folder.0.path().to_path_buf()),
            ..Request::default()
        };
        resolve(&request).unwrap_err().to_string()
    };
    let text = ask("butteraugli-maen");
    assert!(
        text.starts_with("--preset: there is no preset \"butteraugli-maen\"; did you mean butteraugli-mean? (there are butteraugli-max, "),
        "{text}"
    );
    assert!(text.contains("scene-detection-av1an, mygrain)"), "{text}");
    assert!(ask("mygrian").contains("did you mean mygrain?"));
    assert!(ask("nosuch.toml").starts_with("--preset: cannot read preset nosuch.toml: "));
}

/// The fuzzer's: the TOML parser recovers with a date that cannot be printed.
#[test]
fn half_a_time_of_day_is_an_error_with_its_place() {
    let folder = Folder::new();
    let path = folder.write("a.toml", "[scenes]\ntarget_split = 4:9\n");
    let error = resolve(&request(&path)).unwrap_err().to_string();
    assert!(error.contains("a.toml:2:16: "), "{error}");
    let path = folder.write("b.toml", "[scenes]\ntarget_split = 04:09:00\n");
    let error = resolve(&request(&path)).unwrap_err().to_string();
    assert!(error.contains("b.toml:2:16: ") && error.contains("04:09:00"), "{error}");
}

/// What takes for ever or fills the screen is no preset.
#[test]
fn very_large_files_are_refused_and_of_very_many_faults_the_first_are_told() {
    let folder = Folder::new();
    let large = folder.write("large.toml", &"# a\n".repeat(70_000));
    let error = resolve(&request(&large)).unwrap_err().to_string();
    assert!(error.contains("large.toml: it is larger than 256 KiB"), "{error}");
    let keys = (0..3000).map(|n| format!("k{n} = 1")).collect::<Vec<_>>().join("\n");
    let wrong = folder.write("wrong.toml", &keys);
    let error = resolve(&request(&wrong)).unwrap_err().to_string();
    assert!(error.starts_with("1000 problems in the settings:\n"), "{error}");
    assert!(error.contains("wrong.toml:1000:1: k999 is not") && !error.contains("k1000"), "{error}");
}

proptest! {
    #[test]
    fn no_preset_and_no_flag_panics(
        text in "([a-z_.\"'=\\[\\]{}\n 0-9é#-]{0,12}(metric|zones|encoder|params|=|target|extends)?){0,6}",
        key in "(metric|encoder|zones)[.][a-z_.é]{0,12}",
        value in ".{0,20}",
    ) {
        let folder = Folder::new();
        let mut request = request(&folder.write("mine.toml", &text));
        request.typed = vec![Typed::set(&format!("{key}={value}")), Typed::final_params(value.clone()), Typed::set(&format!("dynamic.crf={value}"))];
        if let Err(e) = resolve(&request) {
            prop_assert!(e.downcast_ref::<Problems>().is_some_and(|problems| !problems.list.is_empty()), "{e:#}");
        }
    }
}
