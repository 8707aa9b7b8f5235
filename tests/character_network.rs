//! Character Boost with a real network on the real ONNX Runtime, on drawn clips
//! whose figure has the colour that the network marks.

mod drawn;

use std::path::Path;
use std::sync::{Arc, Mutex};

use drawn::{Drawing, settings, write_network};
use progression_boost::character::{self, Options, SceneMasks, Segmenter};
use progression_boost::formats::blocks::Blocks;
use progression_boost::scenes::Scene;
use progression_boost::settings::{CharacterBackend, CharacterSettings};
use progression_boost::source::{Clip, OpenOptions};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::{Event, Events};

fn open(settings: &CharacterSettings, clip: &Clip, events: &Events) -> anyhow::Result<Segmenter> {
    Segmenter::open(settings, clip, Options::default(), events, &Cancel::new())
}

fn segment(drawing: &Drawing) -> SceneMasks {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    let clip = drawing.open(folder.path());
    let segmenter = open(&settings(&model, CharacterBackend::Ort), &clip, &Events::silent()).unwrap();
    let scene = Scene { start: 0, end: drawing.frames };
    segmenter.scene(scene, &drawing.luma_diff(), &Cancel::new()).unwrap()
}

/// Notes and warnings, in order.
fn listener() -> (Events, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let events = Events::new({
        let seen = Arc::clone(&seen);
        move |event| {
            if let Event::Note { text } | Event::Warning { text } = event {
                seen.lock().unwrap().push(text.clone());
            }
        }
    });
    (events, seen)
}

const MOVING: Drawing =
    Drawing { width: 640, height: 320, frames: 41, figure: (128, 192), at: (64, 64), speed: 8 };

#[test]
fn the_map_sits_on_the_figure_and_follows_it() {
    let masks = segment(&MOVING);
    assert_eq!(masks.blocks(), Blocks { columns: 10, rows: 5 });
    let offsets: Vec<usize> = masks.maps().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, (0..41).step_by(4).collect::<Vec<_>>());
    for (offset, map) in masks.maps().filter(|(offset, _)| offset.is_multiple_of(8)) {
        // Every eighth frame the figure covers 2 × 3 blocks exactly.
        let first = MOVING.left(offset) / 64;
        for ((row, column), &value) in map.indexed_iter() {
            let inside = (1..4).contains(&row) && (first..first + 2).contains(&column);
            let far = column + 2 < first || column > first + 3;
            assert!(!inside || value > 0.9, "offset {offset}, block {row},{column}: {value}\n{map:.2}");
            assert!(!far || value == 0.0, "offset {offset}, block {row},{column}: {value}\n{map:.2}");
        }
    }
    // 128 × 192 of 640 × 320, all of it marked fully.
    let share = (128.0 * 192.0) / (640.0 * 320.0);
    assert!((masks.coverage() - share).abs() < 0.004, "{} for {share}", masks.coverage());
}

#[test]
fn roi_values_are_better_on_the_figure_and_worse_off_it() {
    let masks = segment(&MOVING);
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("unused.onnx");
    let boosted =
        character::boost(&masks, &MOVING.luma_diff(), &settings(&model, CharacterBackend::Ort), 30.0, true)
            .unwrap();
    let roi = boosted.roi.unwrap();
    let path = folder.path().join("roi.txt");
    roi.write(&path).unwrap();
    for offset in [0, 16, 32] {
        let values = roi.at(offset).unwrap();
        let left = MOVING.left(offset) / 64;
        assert!(values[2 * 10 + left] < -8 && values[2 * 10 + left + 1] < -8, "{offset}: {values:?}");
        let away = if left < 5 { 9 } else { 0 };
        assert!(values[2 * 10 + away] > 0, "{offset}: {values:?}");
    }
}

#[test]
fn the_larger_figure_gets_the_lower_crf() {
    let crf = |figure: (usize, usize)| {
        let drawing = Drawing { width: 320, height: 192, frames: 9, figure, at: (64, 32), speed: 0 };
        let masks = segment(&drawing);
        let unused = Path::new("unused.onnx");
        let settings = settings(unused, CharacterBackend::Ort);
        character::boost(&masks, &drawing.luma_diff(), &settings, 30.0, true).unwrap().crf
    };
    // Shares of 2.5, 6.7 and 20 %: by curve 0, boosts of 0.05, 0.47 and 1 of 3.
    let (small, middle, large) = (crf((48, 32)), crf((64, 64)), crf((96, 128)));
    assert!((small - 29.85).abs() < 0.1, "{small}");
    assert!((middle - 28.6).abs() < 0.1, "{middle}");
    assert!((large - 27.0).abs() < 0.01, "{large}");
}

#[test]
fn auto_falls_to_the_cpu_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    let clip = Drawing { frames: 1, ..MOVING }.open(folder.path());
    let (events, seen) = listener();
    let segmenter = open(&settings(&model, CharacterBackend::Auto), &clip, &events).unwrap();
    let text = seen.lock().unwrap().join("\n");
    assert!(text.contains(segmenter.backend()) && text.contains("network.onnx"), "{text}");
    if segmenter.backend() == "ONNX Runtime (CPU)" {
        assert!(
            text.contains("not by TensorRT: ") && text.contains("not by ONNX Runtime (CUDA): "),
            "{text}"
        );
    }
}

#[test]
fn sizes_of_any_kind_are_segmented() {
    for (width, height) in [(16, 16), (64, 64), (66, 130), (322, 182)] {
        let drawing = Drawing { width, height, frames: 1, figure: (8, 8), at: (4, 4), speed: 0 };
        let masks = segment(&drawing);
        assert_eq!(masks.blocks(), Blocks { columns: width.div_ceil(64), rows: height.div_ceil(64) });
        let share = 64.0 / (width * height) as f64;
        // Chroma of 4:2:0 bleeds by up to two pixels.
        assert!(
            masks.coverage() > share * 0.8 && masks.coverage() < share * 2.3,
            "{} for {share}",
            masks.coverage()
        );
    }
}

#[test]
fn a_clip_with_odd_sides_and_other_formats_is_segmented() {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    for format in ["RGB24", "RGBS", "YUV444P16", "YUV444PS", "GRAY8", "GRAY16"] {
        let path = folder.path().join("odd.vpy");
        let colour = match format {
            "RGB24" => "[220, 10, 10]",
            "RGBS" => "[0.9, 0.05, 0.05]",
            "YUV444P16" => "[20000, 24000, 60000]",
            "YUV444PS" => "[0.3, -0.15, 0.45]",
            _ => "[100]",
        };
        let script = format!(
            "import vapoursynth as vs\nc = vs.core.std.BlankClip(format=vs.{format}, width=67, height=49, length=3, \
             color={colour})\nc.set_output()\n"
        );
        std::fs::write(&path, script).unwrap();
        let clip = progression_boost::source::open(&path, &OpenOptions::default()).unwrap();
        let segmenter = open(&settings(&model, CharacterBackend::Ort), &clip, &Events::silent()).unwrap();
        let masks = segmenter.scene(Scene { start: 1, end: 3 }, &[0.02, 0.0], &Cancel::new()).unwrap();
        let wanted = if format.starts_with("GRAY") { 0.0 } else { 1.0 };
        assert!((masks.coverage() - wanted).abs() < 1e-6, "{format}: {}", masks.coverage());
    }
}

#[test]
fn unusual_colour_and_field_order_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    for props in [
        "_Matrix=9, _Transfer=16, _Primaries=9",
        "_Matrix=9, _Transfer=18, _Primaries=9",
        "_Matrix=2, _Transfer=2, _Primaries=2",
        "_Matrix=1, _Transfer=13, _Primaries=1",
        "_Matrix=6, _Transfer=6, _Primaries=5",
        "_Matrix=1, _Transfer=8, _Primaries=12",
        "_FieldBased=2",
    ] {
        let path = folder.path().join("colour.vpy");
        // Red in limited range, strong enough to be red by every matrix.
        let script = format!(
            "import vapoursynth as vs\nc = vs.core.std.BlankClip(format=vs.YUV420P8, width=66, height=50, length=1, \
             color=[81, 90, 240])\nc = vs.core.std.SetFrameProps(c, {props})\nc.set_output()\n"
        );
        std::fs::write(&path, script).unwrap();
        let clip = progression_boost::source::open(&path, &OpenOptions::default()).unwrap();
        let segmenter = open(&settings(&model, CharacterBackend::Ort), &clip, &Events::silent()).unwrap();
        let masks = segmenter.scene(Scene { start: 0, end: 1 }, &[0.0], &Cancel::new()).unwrap();
        assert!(masks.coverage() > 0.9, "{props}: {}", masks.coverage());
    }
}

#[test]
fn scenes_are_segmented_from_several_threads() {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    let clip = MOVING.open(folder.path());
    let segmenter = open(&settings(&model, CharacterBackend::Ort), &clip, &Events::silent()).unwrap();
    let diff = MOVING.luma_diff();
    let scenes = [Scene { start: 0, end: 20 }, Scene { start: 20, end: 41 }];
    let run = |scene: Scene| segmenter.scene(scene, &diff[scene.start..scene.end], &Cancel::new()).unwrap();
    let parallel: Vec<SceneMasks> = std::thread::scope(|threads| {
        let handles: Vec<_> = scenes.iter().map(|&scene| threads.spawn(move || run(scene))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    // The second scene's first frame is the clip's twentieth: figure from 224 on.
    let (_, map) = parallel[1].maps().next().unwrap();
    assert!(map[(2, 4)] > 0.9 && map[(2, 0)] == 0.0, "{map:.2}");
    assert_eq!(parallel[0], run(scenes[0]));
}

#[test]
fn a_cancelled_run_stops() {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    let clip = MOVING.open(folder.path());
    let segmenter = open(&settings(&model, CharacterBackend::Ort), &clip, &Events::silent()).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = segmenter.scene(Scene { start: 0, end: 41 }, &MOVING.luma_diff(), &cancel).unwrap_err();
    assert!(error.to_string().contains("interrupted"), "{error}");
}

#[test]
fn bad_networks_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let clip = Drawing { frames: 1, ..MOVING }.open(folder.path());
    let error = |bytes: &[u8], backend| {
        let model = write_network(folder.path(), bytes);
        format!("{:#}", open(&settings(&model, backend), &clip, &Events::silent()).unwrap_err())
    };
    let shapes = error(&drawn::colour_network(), CharacterBackend::Ort);
    assert!(shapes.contains("1x3xHxW -> 1x3xHxW") && shapes.contains("1x1xHxW"), "{shapes}");
    let corrupt = error(&drawn::red_network()[..90], CharacterBackend::Ort);
    assert!(corrupt.contains("is no ONNX network"), "{corrupt}");
    let text = error(b"<html>404</html>", CharacterBackend::Ort);
    assert!(text.contains("is no ONNX network"), "{text}");
    // Right shapes, but the runtime does not know the operator: its own words.
    let unknown = error(&drawn::unknown_network(), CharacterBackend::Ort);
    assert!(unknown.contains("MarkEverything") && unknown.contains("ONNX Runtime (CPU)"), "{unknown}");
    let everywhere = error(&drawn::unknown_network(), CharacterBackend::Auto);
    for name in ["TensorRT", "CUDA", "(CPU)", "OpenVINO", "ncnn"] {
        assert!(everywhere.contains(name), "{name}: {everywhere}");
    }
    let missing = settings(&folder.path().join("none.onnx"), CharacterBackend::Auto);
    let missing = format!("{:#}", open(&missing, &clip, &Events::silent()).unwrap_err());
    assert!(missing.contains("none.onnx does not exist") && missing.contains("vs-mlrt"), "{missing}");
}

#[test]
fn a_missing_plugin_is_told_with_its_package() {
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    let clip = Drawing { frames: 1, ..MOVING }.open(folder.path());
    if clip.session().has_plugin("ncnn") {
        return;
    }
    let error = open(&settings(&model, CharacterBackend::Ncnn), &clip, &Events::silent()).unwrap_err();
    assert!(format!("{error:#}").contains("pip install vapoursynth-mlrt-ncnn"), "{error:#}");
}

/// The library's own tests use this network as a file, because they cannot see
/// how it is made.
#[test]
fn the_stored_network_is_the_drawn_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/red.onnx");
    assert_eq!(std::fs::read(path).unwrap(), drawn::red_network());
}

/// Threads of the network give way to the encoders.
#[cfg(target_os = "linux")]
#[test]
fn on_the_cpu_the_networks_threads_are_nice() {
    let nice_threads = || {
        std::fs::read_dir("/proc/self/task")
            .unwrap()
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
            // Field 19 (proc(5)), counted behind the name, which may hold spaces.
            .filter(|stat| {
                let nice = stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(16));
                nice.is_some_and(|nice| nice.parse::<i32>().is_ok_and(|nice| nice >= 10))
            })
            .count()
    };
    let folder = tempfile::tempdir().unwrap();
    let model = write_network(folder.path(), &drawn::red_network());
    let clip = Drawing { frames: 1, ..MOVING }.open(folder.path());
    let _segmenter = open(&settings(&model, CharacterBackend::Ort), &clip, &Events::silent()).unwrap();
    // A pool has one thread less than there are cores: the caller is the last one.
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(cores == 1 || nice_threads() > 0);
}
