//! Scene detection and panning rejection as in December 2025, with the real x264,
//! VapourSynth and encoder.

mod common;

use std::path::Path;

use common::Ended;
use progression_boost::analysis::{Analysis, AnalysisOptions, Detector, FirstPass, analyse};
use progression_boost::scenes::{self, Plan};
use progression_boost::settings::{Request, SceneMethod, Typed, Zone, ZoneList, resolve};
use progression_boost::source::{self, Clip, OpenOptions};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

/// Cuts of [`script`]'s film.
const CUTS: [usize; 2] = [60, 140];

fn script(folder: &Path, end: &str) -> Clip {
    let path = folder.join("clip.vpy");
    std::fs::write(&path, format!("{}{end}\n", common::three_shots([60, 80, 100]))).unwrap();
    source::open(&path, &OpenOptions::default()).unwrap()
}

fn zones(frames: usize, typed: &[&str], list: &str) -> Vec<Zone> {
    common::require("x264");
    let request = Request {
        preset: Some("balanced-ssimu2".to_owned()),
        typed: typed.iter().map(|typed| Typed::set(typed)).collect(),
        zones: (!list.is_empty()).then(|| ZoneList::Text(list.to_owned())),
        ..Request::default()
    };
    resolve(&request).unwrap().zones(frames, &mut Vec::new()).unwrap()
}

fn planned(clip: &Clip, zones: &[Zone]) -> Plan {
    scenes::plan(zones, clip.session(), &Events::silent(), &Cancel::new()).unwrap()
}

fn analysed(clip: &Clip, plan: &Plan) -> anyhow::Result<Analysis> {
    let options = AnalysisOptions { first_pass: plan.first_pass.as_ref(), ..AnalysisOptions::default() };
    analyse(clip, &plan.detectors, options, &Events::silent(), &Cancel::new())
}

/// The scene starts that these settings find.
fn starts(clip: &Clip, typed: &[&str]) -> Vec<usize> {
    let zones = zones(clip.info().frames, typed, "");
    let plan = planned(clip, &zones);
    let analysis = analysed(clip, &plan).unwrap();
    let found = scenes::detect(&zones, &plan, &analysis, &Events::silent()).unwrap();
    found.scenes.iter().map(|scene| scene.start).collect()
}

fn set(flags: &[bool]) -> Vec<usize> {
    (0..flags.len()).filter(|&n| flags[n]).collect()
}

#[test]
fn x264_sees_the_cuts_in_clips_of_every_format() {
    for format in [
        "",
        "format=vs.YUV420P10",
        "format=vs.YUV444P16, width=127, height=95",
        "format=vs.GRAY8, width=127, height=95",
        "format=vs.RGB24, matrix_in_s='709'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let clip = script(folder.path(), &format!("clip.resize.Point({format}).set_output()"));
        let zones = zones(clip.info().frames, &[], "");
        let plan = planned(&clip, &zones);
        // WWXD does not load in the VapourSynth of the tests.
        assert!(plan.zones[0].fallback.as_deref().unwrap().contains("`builtin` takes the place of `wwxd`"));
        assert!(plan.detectors.contains(&Detector::X264) && plan.detectors.contains(&Detector::Builtin));
        assert_eq!(plan.zones[0].method, SceneMethod::Progressive);
        let found = set(&analysed(&clip, &plan).unwrap().x264.unwrap());
        assert_eq!(found, [0, CUTS[0], CUTS[1]], "{format}");
    }
}

#[test]
fn x264_sees_only_the_zones_that_ask_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let clip = script(folder.path(), "clip.set_output()");
    let zones = zones(240, &["scenes.method=builtin"], "100 220 max-butteraugli");
    let plan = planned(&clip, &zones);
    let analysis = analysed(&clip, &plan).unwrap();
    assert_eq!(set(analysis.x264.as_ref().unwrap()), [100, CUTS[1]]);
    let found = scenes::detect(&zones, &plan, &analysis, &Events::silent()).unwrap();
    let starts: Vec<usize> = found.scenes.iter().map(|scene| scene.start).collect();
    for start in [0, CUTS[0], 100, CUTS[1], 220] {
        assert!(starts.contains(&start), "{starts:?}");
    }
}

/// A program that calls itself x264 and succeeds in everything, but looks at nothing.
#[test]
#[cfg(unix)]
fn an_x264_that_does_not_look_is_found_out_before_anything_is_analysed() {
    use std::os::unix::fs::PermissionsExt;
    common::require("sh");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x264");
    std::fs::write(&path, "#!/bin/sh\necho 'x264 0.1 fake'\ncat > /dev/null\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = format!("{:#}", FirstPass::open(&path, &Cancel::new()).unwrap_err());
    assert!(error.contains("x264 0.1 fake does not work") && error.contains("left no statistics"), "{error}");
    let typed = format!("scenes.x264={}", path.display());
    let zones = zones(240, &[&typed], "");
    let clip = script(folder.path(), "clip.set_output()");
    let plan = planned(&clip, &zones);
    assert_eq!((plan.zones[0].method, plan.first_pass), (SceneMethod::Builtin, None));
    assert!(plan.zones[0].fallback.as_deref().unwrap().contains("left no statistics"));
}

#[test]
fn cuts_are_where_frame_properties_say() {
    let folder = tempfile::tempdir().unwrap();
    let typed = ["scenes.method=props", "scenes.rules=extra-split"];
    let marked = "marks = {50: '_SceneChangePrev', 139: '_SceneChangeNext'}
def mark(n, f):
    f = f.copy()
    f.props['_SceneChangePrev'] = 0
    if n in marks: f.props[marks[n]] = 1
    return f
clip.std.ModifyFrame(clip, mark).set_output()";
    let clip = script(folder.path(), marked);
    let zones = zones(240, &typed, "");
    let plan = planned(&clip, &zones);
    assert_eq!(set(&analysed(&clip, &plan).unwrap().props.unwrap()), [50, 140]);
    assert_eq!(starts(&clip, &typed), [0, 50, 140]);
    // A script that marks nothing was hardly meant.
    let clip = script(folder.path(), "clip.set_output()");
    let analysis = analysed(&clip, &plan).unwrap();
    let error = scenes::detect(&zones, &plan, &analysis, &Events::silent()).unwrap_err().to_string();
    assert!(error.contains("no frame has the property _SceneChangePrev"), "{error}");
}

/// `examples/clips/rules.vpy`: a still dialogue of 300 frames with blinking eyes, a pan,
/// a shot that fades to black and one that fades in, a busy shot.
#[test]
fn a_drawn_film_is_cut_at_its_shots_and_a_still_dialogue_stays_whole() {
    let clip = source::open(&common::example("clips/rules.vpy"), &OpenOptions::default()).unwrap();
    let found = starts(&clip, &[]);
    let within = |from: usize, to: usize| found.iter().filter(|&&n| n > from && n < to).count();
    for cut in [0, 300, 460, 652] {
        assert!(found.contains(&cut), "{found:?}");
    }
    assert_eq!(within(0, 300), 0, "nothing moves but eyes and mouth: {found:?}");
    assert!((1..=2).contains(&within(540, 575)), "around black: {found:?}");
    assert_eq!(within(652, 748), 0, "busy, not cut: {found:?}");
    // No scene of the other table is longer than extra_split.
    let typed = ["scenes.method=builtin", "scenes.rules=extra-split", "scenes.extra_split=264"];
    assert!(starts(&clip, &typed).iter().any(|&n| n > 0 && n < 300));
}

/// The bars of every shot move all the time.
#[test]
fn a_scene_that_pans_gets_a_higher_crf_and_the_summary_says_so() {
    common::require("SvtAv1EncApp");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("clip.vpy"),
        format!("{}clip.set_output()\n", common::three_shots([24; 3])),
    )
    .unwrap();
    let boost = |name: &str, panning: &str| {
        let output = format!("{name}.json");
        let mut command = common::program(folder.path());
        command.args(["clip.vpy", "--preset", "balanced-ssimu2", "-o", &output, "--temp", name, "--lp", "1"]);
        command.args(["--probing-preset", "12", "--final-preset", "12", "--set", panning, "--target", "70"]);
        command.args([
            "--set",
            "scenes.method=builtin",
            "--set",
            "metric.min_crf=1",
            "--set",
            "final.min_crf=1",
        ]);
        command.args([
            "--set",
            "metric.max_crf=63",
            "--set",
            "model.kind=reference-2025",
            "--set",
            "model.calibrate=0",
        ]);
        let ended = Ended::of(&command.output().unwrap()).ok();
        let text = std::fs::read_to_string(folder.path().join(output)).unwrap();
        let scenes: serde_json::Value = serde_json::from_str(&text).unwrap();
        let crf = |scene: &serde_json::Value| {
            let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
            let at = words.iter().position(|word| word == "--crf").unwrap();
            words[at + 1].as_str().unwrap().parse::<f64>().unwrap()
        };
        let crfs: Vec<f64> = scenes["scenes"].as_array().unwrap().iter().map(crf).collect();
        (crfs, format!("{}{}", ended.stdout, ended.stderr))
    };
    let (without, said) = boost("without", "metric.panning_rejection=0");
    assert!(!said.contains("easier target"), "{said}");
    let (with, said) = boost("with", "metric.panning_rejection=2");
    assert!(said.contains("panning scenes with an easier target: 0 (frame 0, to "), "{said}");
    assert_eq!(with.len(), without.len());
    assert!(with.iter().zip(&without).all(|(with, without)| with >= without), "{with:?} {without:?}");
    assert!(with.iter().sum::<f64>() > without.iter().sum::<f64>() + 1.0, "{with:?} {without:?}");
    // What was wanted is remembered by scene, for `verify`.
    let text = std::fs::read_to_string(folder.path().join("with.settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    let targets = settings["targets"].as_array().unwrap();
    assert_eq!(targets.len(), with.len());
    assert!(targets.iter().all(|target| target.as_f64().unwrap() <= 70.0), "{targets:?}");
}
