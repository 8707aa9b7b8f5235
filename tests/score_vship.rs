//! The code that calls Vship, against the stand-in of `tests/stand-in-vship`:
//! no GPU is needed, everything else is real.

mod common;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use common::{BT709, metric_settings};
use progression_boost::score::{self, Backend, Measurement};
use progression_boost::settings::{Crop, Devices, Metric, MetricBackend, MetricSettings};
use progression_boost::source::{OpenOptions, PackedPicture, Picture, ResolvedColor, Session};
use progression_boost::support::events::{Event, Events};

const SIZE: (usize, usize) = (96, 64);

/// A session with a stand-in loaded under a name that says how it behaves.
fn session(example: &'static str, behaviour: &str) -> Session {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let built = BUILT.get_or_init(|| ["stand_in_vship4", "stand_in_vship3"].map(common::example_library));
    let library = &built[usize::from(example == "stand_in_vship3")];
    // It stays in `target`: a plugin's file is read when its back end is opened.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
    let copy = folder.join(format!("{behaviour}{}", std::env::consts::DLL_SUFFIX));
    std::fs::copy(library, &copy).unwrap();
    let options = OpenOptions { plugins: vec![copy], ..OpenOptions::default() };
    Session::empty(None, &options).unwrap()
}

fn open(
    settings: &MetricSettings,
    color: ResolvedColor,
    session: Session,
) -> (anyhow::Result<Arc<dyn Backend>>, Vec<Event>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let events = Events::new({
        let seen = Arc::clone(&seen);
        move |event| seen.lock().unwrap().push(event.clone())
    });
    let backend = score::open(
        settings,
        score::Format { size: SIZE, bits: 10, color, fps: Some((24000, 1001)) },
        session,
        1 << 30,
        &events,
    );
    let seen = seen.lock().unwrap().clone();
    (backend, seen)
}

/// A flat picture; two of them differ by exactly their luma values.
fn flat(luma: u16) -> Arc<Picture> {
    Arc::new(Picture::filled(SIZE.0, SIZE.1, 10, luma, 512))
}

fn packed(luma: u16) -> Arc<PackedPicture> {
    Arc::new(flat(luma).pack())
}

#[test]
fn the_right_frames_are_compared_whatever_the_order_and_number_of_threads() {
    for example in ["stand_in_vship4", "stand_in_vship3"] {
        let settings = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship);
        let (backend, _) = open(&settings, BT709, session(example, "works"));
        let backend = backend.unwrap();
        let scenes: Vec<_> = (0..3)
            .map(|s| {
                let references: Vec<_> = (0..8).map(|i| packed(100 + 64 * s + i)).collect();
                backend.scene(&references).unwrap()
            })
            .collect();
        // Reference (scene, index) has luma 100 + 64·scene + index; its probe 300 + 10·probe.
        std::thread::scope(|threads| {
            for (s, scene) in scenes.iter().enumerate() {
                for probe in 0..2_usize {
                    threads.spawn(move || {
                        for index in [5, 0, 7, 3, 1, 6, 2, 4_usize] {
                            let got = scene.measure(index, &flat(300 + 10 * probe as u16)).unwrap();
                            let apart = (300 + 10 * probe) as f64 - (100 + 64 * s + index) as f64;
                            assert_eq!(got, Measurement::Butteraugli { norm3: apart, inf: apart });
                        }
                    });
                }
            }
        });
    }
}

#[test]
fn ssimulacra2_is_read_from_its_own_property() {
    let settings = metric_settings(Metric::Ssimu2, MetricBackend::Vship);
    let (backend, _) = open(&settings, BT709, session("stand_in_vship4", "works"));
    let scene = backend.unwrap().scene(&[packed(200), packed(210)]).unwrap();
    assert_eq!(scene.measure(1, &flat(235)).unwrap(), Measurement::Ssimulacra2(75.0));
}

#[test]
fn both_sides_carry_the_colour_and_the_filter_the_intensity() {
    let color = ResolvedColor { primaries: 9, transfer: 14, matrix: 9, full_range: true, chroma_location: 2 };
    let settings = MetricSettings {
        intensity: 123.0,
        ..metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship)
    };
    for (color, digits) in [
        // Chroma location, _ColorRange (1 = limited), _Range (1 = full), primaries, transfer, matrix.
        (color, 2_00_01_09_14_09.0),
        (BT709, 1_00_01_01_01.0),
    ] {
        let (backend, _) = open(&settings, color, session("stand_in_vship4", "echo"));
        let scene = backend.unwrap().scene(&[packed(200)]).unwrap();
        let got = scene.measure(0, &flat(300)).unwrap();
        assert_eq!(got, Measurement::Butteraugli { norm3: 123.0, inf: digits });
    }
}

/// Vship's own conversion ends at 200 cd/m², 2.0 in linear light and 1.33 as it is coded for a display.
#[test]
fn light_of_hdr_reaches_the_plugin_unclipped() {
    let settings = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship);
    // PQ's 0.75183 is 1,000 cd/m² (ST 2084), 10.0 in linear light; in 10 bits of limited range 64 + 876 * it.
    let (pq, bright) = (16, 723);
    let color = ResolvedColor { primaries: 9, transfer: pq, matrix: 9, ..BT709 };
    let (backend, _) = open(&settings, color, session("stand_in_vship4", "works"));
    let scene = backend.unwrap().scene(&[packed(600)]).unwrap();
    let Measurement::Butteraugli { inf, .. } = scene.measure(0, &flat(bright)).unwrap() else { panic!() };
    let coded = 10_f64.powf(1.0 / 2.4);
    assert!((inf / coded - 1.0).abs() < 0.01, "{inf}, not {coded}");
}

#[test]
fn a_gpu_whose_memory_is_full_has_fewer_frames_at_once() {
    let settings = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Auto);
    let (backend, events) = open(&settings, BT709, session("stand_in_vship4", "2-streams"));
    let backend = backend.unwrap();
    assert!(backend.describe().contains("Vship 4") && events.len() == 1, "{events:?}");
    let scene = backend.scene(&[packed(200)]).unwrap();
    assert_eq!(scene.measure(0, &flat(210)).unwrap(), Measurement::Butteraugli { norm3: 10.0, inf: 10.0 });
}

#[test]
fn scenes_are_spread_over_the_gpus_that_are_asked_for() {
    let devices = Devices { gpus: vec![0, 3], streams: Some(1) };
    let settings =
        MetricSettings { devices, ..metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship) };
    let (backend, _) = open(&settings, BT709, session("stand_in_vship4", "which-gpu"));
    let backend = backend.unwrap();
    let on = |_| {
        let scene = backend.scene(&[packed(200)]).unwrap();
        let Measurement::Butteraugli { inf, .. } = scene.measure(0, &flat(300)).unwrap() else { panic!() };
        inf as u32
    };
    assert_eq!([0, 1, 2, 3].map(on), [0, 3, 0, 3]);
    // What is measured does not depend on the device.
    let usual = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship);
    let (other, _) = open(&usual, BT709, session("stand_in_vship4", "which-gpu"));
    assert_eq!(other.unwrap().identity(), backend.identity());
}

#[test]
fn only_what_the_crop_leaves_is_measured() {
    let settings = MetricSettings {
        crop: Crop::Sides([8, 0, 16, 2]),
        ..metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship)
    };
    let (backend, _) = open(&settings, BT709, session("stand_in_vship4", "works"));
    let scene = backend.unwrap().scene(&[packed(200)]).unwrap();
    let mut distorted = Picture::clone(&flat(200));
    for (i, sample) in distorted.planes[0].iter_mut().enumerate() {
        let (x, y) = (i % SIZE.0, i / SIZE.0);
        let outside = x < 8 || !(16..62).contains(&y);
        *sample += if outside { 500 } else { 3 };
    }
    let got = scene.measure(0, &Arc::new(distorted)).unwrap();
    assert_eq!(got, Measurement::Butteraugli { norm3: 3.0, inf: 3.0 });
}

#[test]
fn auto_takes_a_vship_that_works_and_says_on_what() {
    for (example, version) in [("stand_in_vship4", "Vship 4"), ("stand_in_vship3", "Vship 3")] {
        let settings = metric_settings(Metric::ButteraugliMeanMix, MetricBackend::Auto);
        let (backend, events) = open(&settings, BT709, session(example, "works"));
        let text = backend.unwrap().describe();
        assert!(text.contains(version) && text.contains("GPU 0: stand-in for a GPU"), "{text}");
        assert_eq!(events, [Event::Note { text: format!("Metric: {text}") }]);
    }
}

#[test]
fn a_back_end_is_what_its_file_is_and_not_why_or_whence_it_was_taken() {
    let asked = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship);
    let auto = metric_settings(Metric::ButteraugliMaxMix, MetricBackend::Auto);
    let opened = |settings, example| open(settings, BT709, session(example, "works")).0.unwrap();
    let (one, other) = (opened(&asked, "stand_in_vship4"), opened(&auto, "stand_in_vship4"));
    assert_ne!(one.describe(), other.describe());
    assert_eq!(one.identity(), other.identity());
    assert_ne!(one.identity(), opened(&asked, "stand_in_vship3").identity());
    let brighter = MetricSettings { intensity: 123.0, ..asked.clone() };
    assert_ne!(one.identity(), opened(&brighter, "stand_in_vship4").identity());
}

#[test]
fn auto_falls_back_to_the_cpu_with_vship_s_own_words() {
    for (behaviour, words) in [
        ("no-gpu", "No GPU was found on the system"),
        ("bad-frame", "not able to perform GPU memory allocation"),
        ("garbage", "a picture different from itself"),
    ] {
        let session = session("stand_in_vship4", behaviour);
        let settings = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Auto);
        let (backend, events) = open(&settings, BT709, session);
        let backend = backend.unwrap();
        let text = backend.describe();
        assert!(text.contains("native") && text.contains(words) && !text.contains('\n'), "{text}");
        let warned = events.iter().any(|e| matches!(e, Event::Warning { text } if text.contains(words)));
        assert!(warned, "{events:?}");
        let scene = backend.scene(&[packed(300)]).unwrap();
        let same = scene.measure(0, &flat(300)).unwrap();
        assert_eq!(same, Measurement::Butteraugli { norm3: 0.0, inf: 0.0 });

        let asked = metric_settings(Metric::Ssimu2, MetricBackend::Vship);
        let error = format!("{:#}", open(&asked, BT709, session).0.err().unwrap());
        assert!(error.contains("vship.SSIMULACRA2") && error.contains(words), "{error}");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_what_to_do() {
    let bare = common::session();
    let asked = metric_settings(Metric::Ssimu2, MetricBackend::Vship);
    let error = format!("{:#}", open(&asked, BT709, bare).0.err().unwrap());
    assert!(error.contains("`vship` is not loaded") && error.contains("--load-plugin"), "{error}");
    let auto = metric_settings(Metric::Ssimu2, MetricBackend::Auto);
    let (backend, events) = open(&auto, BT709, bare);
    let text = backend.unwrap().describe();
    assert!(text.contains("native") && text.contains("Vship is not installed"), "{text}");
    assert_eq!(events.len(), 1, "nothing to warn of: {events:?}");
    let other = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vszip);
    let error = format!("{:#}", open(&other, BT709, bare).0.err().unwrap());
    assert!(error.contains("SSIMULACRA2 only"), "{error}");
    let program = metric_settings(Metric::Ssimu2, MetricBackend::Ffvship);
    let error = format!("{:#}", open(&program, BT709, bare).0.err().unwrap());
    assert!(error.contains("native"), "{error}");
}

#[test]
fn pictures_of_another_size_and_frames_that_do_not_exist_are_refused() {
    let settings = metric_settings(Metric::Butteraugli3Norm, MetricBackend::Vship);
    let (backend, _) = open(&settings, BT709, session("stand_in_vship4", "works"));
    let backend = backend.unwrap();
    let small = Arc::new(Picture::filled(64, 64, 10, 200, 512));
    assert!(backend.scene(&[Arc::new(small.pack())]).is_err());
    let scene = backend.scene(&[packed(200)]).unwrap();
    let error = scene.measure(0, &small).unwrap_err().to_string();
    assert!(error.contains("64x64"), "{error}");
    let error = scene.measure(1, &flat(200)).unwrap_err().to_string();
    assert!(error.contains("reference 1"), "{error}");
}
