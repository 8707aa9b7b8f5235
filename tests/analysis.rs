//! Luma statistics and detectors through the real VapourSynth, against its own
//! filters and the original crate.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use av_scenechange::av_decoders::{Decoder, DecoderImpl, Y4mDecoder};
use av_scenechange::{DetectionOptions, SceneDetectionSpeed, detect_scene_changes};
use progression_boost::analysis::{Analysis, AnalysisOptions, Detector, Plugin, analyse, unavailable};
use progression_boost::source::{self, Clip, OpenOptions, Row};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::{Event, Events};
use serde::Deserialize;

/// Shots of 30 frames that differ in everything, drawn from formulas; `size`
/// and `format` are Python, `fps` is 24. Frames 45 and 46 are a flash, 75 to 90 a pan.
const SHOTS: &str = r"
def draw(width, height, length=180):
    base = core.std.BlankClip(format=vs.GRAY8, width=width, height=height, length=length)
    def paint(n, f):
        f = f.copy()
        shot = n // 30
        a, b, c = [(3, 5, 40), (7, 2, 90), (1, 9, 20), (11, 13, 130), (2, 2, 70), (5, 8, 10)][shot]
        shift = (n - 75) * 4 if 75 <= n < 90 else 0
        plane = f[0]
        for y in range(height):
            for x in range(width):
                v = c + (((x + shift) * a // 8) ^ (y * b // 8)) % 97
                plane[y, x] = 235 - v // 8 if n in (45, 46) else 16 + v % 219
        return f
    return core.std.ModifyFrame(base, base, paint)
";

fn open(folder: &Path, script: &str) -> Clip {
    let path = folder.join("clip.vpy");
    std::fs::write(&path, format!("import vapoursynth as vs\ncore = vs.core\n{SHOTS}\n{script}\n")).unwrap();
    source::open(&path, &OpenOptions::default()).unwrap()
}

fn run(clip: &Clip, wanted: &[Detector]) -> Analysis {
    let wanted: BTreeSet<Detector> = wanted.iter().copied().collect();
    analyse(clip, &wanted, AnalysisOptions::default(), &Events::silent(), &Cancel::new()).unwrap()
}

#[derive(Deserialize)]
struct PlaneStats {
    average: Vec<f64>,
    min: Vec<u16>,
    max: Vec<u16>,
    diff: Vec<f64>,
}

#[test]
fn luma_statistics_are_those_of_plane_stats() {
    for (format, width, height) in [
        ("YUV420P8", 66, 50),
        ("YUV420P10", 64, 48),
        ("YUV444P16", 33, 27),
        ("GRAY8", 65, 49),
        ("GRAY12", 31, 30),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let clip = open(
            folder.path(),
            &format!(
                "import json\n\
                 c = core.resize.Point(draw({width}, {height}), format=vs.{format}, range_in_s='full', range_s='full')\n\
                 before = c[0] + c[:-1]\n\
                 p = [dict(f.props) for f in core.std.PlaneStats(c, before).frames()]\n\
                 keys = dict(average='PlaneStatsAverage', min='PlaneStatsMin', max='PlaneStatsMax', diff='PlaneStatsDiff')\n\
                 json.dump({{k: [q[v] for q in p] for k, v in keys.items()}}, open('stats.json', 'w'))\n\
                 c.set_output()"
            ),
        );
        let wanted: PlaneStats =
            serde_json::from_slice(&std::fs::read(folder.path().join("stats.json")).unwrap()).unwrap();
        let found = run(&clip, &[]).luma;
        assert_eq!((found.min, found.max), (wanted.min, wanted.max), "{format}");
        assert_eq!(found.bits, clip.info().bits);
        assert!(found.full_range, "{format}");
        for (found, wanted) in
            found.average.iter().zip(&wanted.average).chain(found.diff.iter().zip(&wanted.diff))
        {
            assert!((found - wanted).abs() < 1e-9, "{format}: {found} is not {wanted}");
        }
        assert_eq!(found.diff.len(), wanted.diff.len());
    }
}

#[test]
fn rgb_and_float_clips_are_read_as_ten_bits() {
    for format in ["RGB24", "RGBS", "YUV444PS"] {
        let folder = tempfile::tempdir().unwrap();
        let clip = open(
            folder.path(),
            &format!("core.std.BlankClip(format=vs.{format}, width=33, height=19, length=3).set_output()"),
        );
        let luma = run(&clip, &[Detector::Builtin]).luma;
        assert_eq!((luma.bits, luma.average.len()), (10, 3), "{format}");
        // Black.
        assert_eq!((luma.min[2], luma.max[2]), (64, 64), "{format}");
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(
        folder.path(),
        "core.resize.Point(draw(160, 96), format=vs.YUV420P8, matrix_s='709').set_output()",
    );
    let all = [Detector::Builtin, Detector::Av1an, Detector::Av1anFast];
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&clip, &all))
    };
    let one = with(1);
    // More threads than the usual batch has frames make batches of another length.
    for threads in [3, 64, 150] {
        assert!(with(threads) == one, "{threads} threads");
    }
    let cuts: Vec<usize> = frames(&one.builtin.unwrap().cuts);
    assert_eq!(cuts, [30, 60, 90, 120, 150]);
}

/// Pictures of 40 frames each: a stray frame, a flash of one frame, a fade
/// through black, a zoom, grain that is new in every frame, and a dissolve into
/// the last picture. Hard cuts are at 40, 80, 160, 200 and 240.
const TRAPS: &str = r"
import random
W, H = 160, 96
pictures = core.resize.Point(draw(W, H), format=vs.YUV420P8, matrix_s='709')
still = lambda shot, length=40: core.std.Loop(pictures[shot * 30], length)
each = core.std.FrameEval
black = core.std.BlankClip(still(0), color=[16, 128, 128])
stray = still(0)[:20] + still(3)[:1] + still(0)[21:]
flash = still(1)[:15] + core.std.Expr(still(1)[:1], ['x 4 / 170 +', '']) + still(1)[16:]
out = each(still(2), lambda n: core.std.Merge(still(2), black, min(1, max(0, (n - 20) / 19))))
into = each(still(4), lambda n: core.std.Merge(black, still(4), min(1, n / 16)))
def closer(n):
    share = 1.02 ** -n
    w, h = W * share, H * share
    return core.resize.Bicubic(still(5), src_left=(W - w) / 2, src_top=(H - h) / 2, src_width=w, src_height=h)
zoom = each(still(5), closer)
def noise(n, f):
    f = f.copy()
    r = random.Random(n)
    plane = f[0]
    for y in range(H):
        row = r.randbytes(W)
        for x in range(W):
            plane[y, x] = min(235, max(16, plane[y, x] + row[x] // 8 - 16))
    return f
grain = core.std.ModifyFrame(still(0), still(0), noise)
a, b = still(3), still(1)
dissolve = each(a, lambda n: core.std.Merge(a, b, min(1, max(0, (n - 10) / 15))))
(stray + flash + out + into + zoom + grain + dissolve).set_output()
";

#[test]
fn flashes_stray_frames_fades_zooms_grain_and_dissolves_are_no_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(folder.path(), TRAPS);
    let found = frames(&run(&clip, &[Detector::Builtin]).builtin.unwrap().cuts);
    assert_eq!(found, [40, 80, 160, 200, 240]);
}

fn frames(flags: &[bool]) -> Vec<usize> {
    (0..flags.len()).filter(|&n| flags[n]).collect()
}

#[test]
fn every_source_frame_is_requested_once() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(
        folder.path(),
        "import os\nasked = os.path.join(os.path.dirname(__file__), 'asked.txt')\n\
         c = core.std.BlankClip(format=vs.YUV420P8, width=64, height=64, length=120, keep=True)\n\
         def count(n):\n    open(asked, 'a').write(f'{n}\\n')\n    return c\n\
         core.std.FrameEval(c, count).set_output()",
    );
    // Opening reads frame 0 for the colour.
    std::fs::write(folder.path().join("asked.txt"), "").unwrap();
    run(&clip, &[Detector::Builtin, Detector::Av1an, Detector::Av1anFast]);
    let text = std::fs::read_to_string(folder.path().join("asked.txt")).unwrap();
    let mut asked: Vec<usize> = text.lines().map(|n| n.parse().unwrap()).collect();
    asked.sort_unstable();
    // Frame 0 may still be cached from the opening.
    asked.retain(|&n| n > 0);
    assert_eq!(asked, (1..120).collect::<Vec<_>>());
}

/// Writes the clip's frames as y4m, which the original crate reads.
fn y4m(clip: &Clip, path: &Path) {
    let info = clip.info();
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let chroma = if info.bits > 8 { "C420p10 XYSCSS=420P10" } else { "C420mpeg2" };
    writeln!(out, "YUV4MPEG2 W{} H{} F24:1 Ip A1:1 {chroma}", info.width, info.height).unwrap();
    for frame in clip.frames(0..info.frames, 8, &Cancel::new()) {
        let frame = frame.unwrap();
        out.write_all(b"FRAME\n").unwrap();
        for plane in 0..3 {
            for y in 0..frame.height(plane) {
                match frame.row(plane, y) {
                    Row::Bytes(row) => out.write_all(row).unwrap(),
                    Row::Words(row) => row.iter().for_each(|s| out.write_all(&s.to_le_bytes()).unwrap()),
                }
            }
        }
    }
}

#[test]
fn av1an_s_lists_are_those_of_the_original_crate() {
    // Sizes that fill no superblock, one that fast analysis reduces, and 10 bits.
    for (format, width, height) in [("YUV420P8", 200, 122), ("YUV420P10", 200, 122), ("YUV420P8", 322, 260)] {
        let folder = tempfile::tempdir().unwrap();
        let clip = open(
            folder.path(),
            &format!(
                "c = core.resize.Point(draw({width} // 2, {height} // 2), {width}, {height}, format=vs.{format}, matrix_s='709')\n\
                 core.std.AssumeFPS(c, fpsnum=24).set_output()"
            ),
        );
        let path: PathBuf = folder.path().join("clip.y4m");
        y4m(&clip, &path);
        let ours = run(&clip, &[Detector::Av1an, Detector::Av1anFast]);
        for (speed, ours) in [
            (SceneDetectionSpeed::Standard, ours.av1an.unwrap()),
            (SceneDetectionSpeed::Fast, ours.av1an_fast.unwrap()),
        ] {
            let file = Box::new(std::fs::File::open(&path).unwrap()) as Box<dyn std::io::Read>;
            let mut decoder =
                Decoder::from_decoder_impl(DecoderImpl::Y4m(Y4mDecoder::new(file).unwrap())).unwrap();
            let options = DetectionOptions { analysis_speed: speed, ..DetectionOptions::default() };
            let theirs = if format == "YUV420P8" {
                detect_scene_changes::<u8>(&mut decoder, options, None, None, None)
            } else {
                detect_scene_changes::<u16>(&mut decoder, options, None, None, None)
            }
            .unwrap();
            assert_eq!(theirs.frame_count, 180);
            assert!(theirs.scene_changes.len() >= 5, "{:?}", theirs.scene_changes);
            let cuts: Vec<usize> = (0..ours.len()).filter(|&n| ours[n].cut).collect();
            assert_eq!(cuts, theirs.scene_changes, "{format} {width}x{height} {speed:?}");
            for (n, frame) in ours.iter().enumerate() {
                let cost = theirs.scores.get(&n).map(|s| s.inter_cost / s.threshold);
                assert_eq!(frame.cost, cost.filter(|c| c.is_finite()), "{format} {speed:?} frame {n}");
            }
        }
    }
}

#[test]
fn clips_of_any_size_and_length_are_analysed() {
    for (width, height, length) in [(2, 2, 1), (16, 2, 2), (2, 16, 5), (8, 8, 7), (90, 10, 4), (130, 70, 13)]
    {
        let folder = tempfile::tempdir().unwrap();
        let clip = open(
            folder.path(),
            &format!(
                "core.std.BlankClip(format=vs.YUV420P8, width={width}, height={height}, length={length}, color=[90, 128, 128]).set_output()"
            ),
        );
        let analysis = run(&clip, &[Detector::Builtin, Detector::Av1an, Detector::Av1anFast]);
        let builtin = analysis.builtin.unwrap();
        assert_eq!(builtin.contrast, vec![0.0; length], "{width}x{height}");
        assert_eq!(builtin.cuts, vec![false; length]);
        assert_eq!(analysis.av1an.unwrap().len(), length);
        assert_eq!(analysis.av1an_fast.unwrap().len(), length);
        assert_eq!(analysis.luma.max, vec![90; length]);
    }
}

#[test]
fn scxvid_marks_the_hard_cuts_of_a_ten_bit_clip() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(
        folder.path(),
        "core.resize.Point(draw(160, 96), format=vs.YUV422P10, matrix_s='709').set_output()",
    );
    if let Some(reason) = unavailable(Plugin::Scxvid, clip.session()) {
        panic!("{reason}");
    }
    let cuts = frames(&run(&clip, &[Detector::Scxvid]).scxvid.unwrap());
    for cut in [30, 60, 90, 120, 150] {
        assert!(cuts.contains(&cut), "{cut} is not in {cuts:?}");
    }
}

#[test]
fn plugins_find_the_cuts_of_a_long_clip_in_segments_as_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(
        folder.path(),
        "c = core.resize.Point(draw(64, 48), format=vs.YUV420P8, matrix_s='709')\n\
         core.std.Loop(c, 18).set_output()",
    );
    let with = |sequential_plugins: bool| {
        let wanted = BTreeSet::from([Detector::Scxvid]);
        let options = AnalysisOptions { sequential_plugins, ..AnalysisOptions::default() };
        let analysis = analyse(&clip, &wanted, options, &Events::silent(), &Cancel::new()).unwrap();
        analysis.scxvid.unwrap()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (segments, one_pass) = (pool.install(|| with(false)), with(true));
    assert_eq!((segments.len(), one_pass.len()), (18 * 180, 18 * 180));
    let cuts: Vec<usize> = (30..18 * 180).step_by(30).collect();
    let found = cuts.iter().filter(|&&cut| one_pass[cut]).count();
    assert!(found * 10 >= cuts.len() * 8, "{found} of {}", cuts.len());
    for cut in cuts {
        assert_eq!(segments[cut], one_pass[cut], "frame {cut}");
    }
}

#[test]
fn a_plugin_that_does_not_load_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(folder.path(), "core.std.BlankClip(format=vs.YUV420P8, length=4).set_output()");
    let release = clip.session().release().unwrap();
    let reason = unavailable(Plugin::Wwxd, clip.session()).expect("WWXD does not load on R80 and later");
    assert!(release >= 80, "the tests need VapourSynth R80 or later, this is R{release}");
    assert!(reason.contains("API 3") && reason.contains(&format!("R{release}")), "{reason}");
    let wanted = BTreeSet::from([Detector::Wwxd]);
    let error = analyse(&clip, &wanted, AnalysisOptions::default(), &Events::silent(), &Cancel::new());
    assert!(format!("{:#}", error.unwrap_err()).contains("API 3"));
}

#[test]
fn the_analysis_stops_when_asked_and_reports_its_progress() {
    let folder = tempfile::tempdir().unwrap();
    let clip = open(
        folder.path(),
        "core.std.BlankClip(format=vs.YUV420P8, width=64, height=64, length=4000).set_output()",
    );
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let events = Events::new(move |event| {
        if matches!(event, Event::StageProgress { stage: "Analysis", done } if *done >= 100) {
            stop.cancel();
        }
    });
    let error = analyse(&clip, &BTreeSet::new(), AnalysisOptions::default(), &events, &cancel).unwrap_err();
    assert!(error.is::<progression_boost::support::cancel::Interrupted>(), "{error:#}");
}
