//! One colour meaning on both sides: what an encoder writes about the colour of
//! its stream must not reach a score.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{data, metric_settings, read_y4m, session, ten_bits};
use progression_boost::score::{self, Measurement};
use progression_boost::settings::{Metric, MetricBackend};
use progression_boost::source::{self, Clip, ColorInfo, OpenOptions, Picture, ResolvedColor};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

/// Encodes the synthetic clip with the real encoder and these flags.
fn encode(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let output = folder.join(format!("{name}.ivf"));
    let result = common::tool("SvtAv1EncApp")
        .arg("-i")
        .arg(data("metric-parity/synthetic-ref.y4m"))
        .arg("-b")
        .arg(&output)
        .args(["--crf", "45", "--preset", "8", "--lp", "1"])
        .args(flags)
        .output()
        .expect("SvtAv1EncApp starts");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    output
}

fn open(path: &Path, folder: &Path) -> Clip {
    let options = OpenOptions { index_folder: Some(folder.to_owned()), ..OpenOptions::default() };
    source::open(path, &options).unwrap()
}

fn pictures(clip: &Clip) -> Vec<Arc<Picture>> {
    let working = clip.working(10).unwrap().clip;
    let frames = working.frames(0..working.info().frames, 4, &Cancel::new());
    frames.map(|f| Arc::new(f.unwrap().to_picture())).collect()
}

fn scores(
    metric: Metric,
    backend: MetricBackend,
    color: ResolvedColor,
    references: &[Arc<Picture>],
    distorted: &[Arc<Picture>],
) -> Vec<Measurement> {
    let settings = metric_settings(metric, backend);
    let size = (references[0].width, references[0].height);
    let backend = score::open(
        &settings,
        score::Format { size, bits: 10, color, fps: None },
        session(),
        1 << 30,
        &Events::silent(),
    )
    .unwrap();
    let references: Vec<_> = references.iter().map(|picture| Arc::new(picture.pack())).collect();
    let scene = backend.scene(&references).unwrap();
    distorted.iter().enumerate().map(|(i, d)| scene.measure(i, d).unwrap()).collect()
}

const BACKENDS: [(Metric, MetricBackend); 3] = [
    (Metric::Butteraugli3Norm, MetricBackend::Native),
    (Metric::Ssimu2, MetricBackend::Native),
    (Metric::Ssimu2, MetricBackend::Vszip),
];

#[test]
fn an_encode_flagged_differently_from_its_source_scores_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let flags = |code| {
        let keys = ["--color-primaries", "--transfer-characteristics", "--matrix-coefficients"];
        keys.into_iter().flat_map(move |key| [key, code]).collect::<Vec<_>>()
    };
    let bt709 = open(&encode(folder.path(), "bt709", &flags("1")), folder.path());
    let smpte = open(&encode(folder.path(), "smpte", &flags("6")), folder.path());
    assert_eq!(
        (bt709.color().unwrap().matrix, smpte.color().unwrap().matrix),
        (1, 6),
        "the flags must be in the streams"
    );
    let (a, b) = (pictures(&bt709), pictures(&smpte));
    let references: Vec<_> =
        read_y4m(&data("metric-parity/synthetic-ref.y4m")).iter().map(|p| ten_bits(p)).collect();
    assert_eq!(a.len(), references.len());
    let color = ColorInfo { matrix: 1, transfer: 1, primaries: 1, ..ColorInfo::default() }.resolve();
    for (metric, backend) in BACKENDS {
        let first = scores(metric, backend, color, &references, &a);
        assert_eq!(first, scores(metric, backend, color, &references, &b), "{metric:?} {backend:?}");
        // And the flags would matter if they were obeyed.
        let misread = ResolvedColor { matrix: 6, ..color };
        assert_ne!(first, scores(metric, backend, misread, &references, &a), "{metric:?} {backend:?}");
    }
}

#[test]
fn a_clip_tagged_bt709_scores_like_the_untagged_one() {
    let tagged = ColorInfo { matrix: 1, transfer: 1, primaries: 1, ..ColorInfo::default() };
    let untagged = ColorInfo::default();
    let references: Vec<_> =
        read_y4m(&data("metric-parity/synthetic-ref.y4m")).iter().map(|p| ten_bits(p)).collect();
    let distorted: Vec<_> =
        read_y4m(&data("metric-parity/synthetic-dist.y4m")).iter().map(|p| ten_bits(p)).collect();
    for (metric, backend) in BACKENDS {
        let of = |color: &ColorInfo| scores(metric, backend, color.resolve(), &references, &distorted);
        assert_eq!(of(&tagged), of(&untagged), "{metric:?} {backend:?}");
    }
}

#[test]
fn a_colour_that_is_declared_is_never_overruled() {
    let declared =
        ColorInfo { matrix: 6, transfer: 6, primaries: 5, full_range: Some(true), ..ColorInfo::default() };
    let read = declared.resolve();
    assert_eq!((read.matrix, read.transfer, read.primaries, read.full_range), (6, 6, 5, true));
}
