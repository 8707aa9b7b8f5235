//! The CPU back ends against Vship's and vszip's own scores.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{BT709, data, metric_settings, read_y4m, session};
use progression_boost::score::{self, Measurement};
use progression_boost::settings::{Metric, MetricBackend};
use progression_boost::source::ResolvedColor;
use progression_boost::support::events::Events;
use serde::Deserialize;

#[derive(Deserialize)]
struct Truth {
    pair: String,
    frame: usize,
    vship_butteraugli_3norm: f64,
    vship_butteraugli_inf: f64,
    vship_ssimulacra2: f64,
    vszip_ssimulacra2: f64,
}

/// The scores of one folder, by pair.
fn truths(folder: &Path) -> Vec<(String, Vec<Truth>)> {
    let text = std::fs::read_to_string(folder.join("scores.json")).unwrap();
    let mut pairs: Vec<(String, Vec<Truth>)> = Vec::new();
    for truth in serde_json::from_str::<Vec<Truth>>(&text).unwrap() {
        match pairs.last_mut() {
            Some((name, list)) if *name == truth.pair => list.push(truth),
            _ => pairs.push((truth.pair.clone(), vec![truth])),
        }
    }
    pairs
}

/// The committed pair and, where this project is developed, the others.
fn folders() -> Vec<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let shared = above.map(|folder| folder.join("shared/metric-parity")).find(|folder| folder.is_dir());
    [data("metric-parity")].into_iter().chain(shared).collect()
}

fn measure(
    folder: &Path,
    pair: &str,
    metric: Metric,
    backend: MetricBackend,
    color: ResolvedColor,
) -> Vec<Measurement> {
    let references = read_y4m(&folder.join(format!("{pair}-ref.y4m")));
    let distorted = read_y4m(&folder.join(format!("{pair}-dist.y4m")));
    assert_eq!(references.len(), distorted.len());
    let (size, bits) = ((references[0].width, references[0].height), references[0].bits);
    let settings = metric_settings(metric, backend);
    let backend = score::open(
        &settings,
        score::Format { size, bits, color, fps: Some((24, 1)) },
        session(),
        1 << 30,
        &Events::silent(),
    )
    .unwrap();
    let references: Vec<_> = references.iter().map(|picture| Arc::new(picture.pack())).collect();
    let scene = backend.scene(&references).unwrap();
    (0..distorted.len()).map(|i| scene.measure(i, &distorted[i]).unwrap()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Asserts that no error is above `worst` and their median is not above `middle`.
fn assert_tolerance(what: &str, errors: &[f64], worst: f64, middle: f64) {
    let highest = errors.iter().copied().fold(0.0, f64::max);
    println!("{what}: at most {highest:.4}, median {:.4}", median(errors.to_vec()));
    assert!(highest <= worst, "{what}: {errors:?}");
    assert!(median(errors.to_vec()) <= middle, "{what}: {errors:?}");
}

/// Share of the true value; identical frames must score exactly nothing.
fn relative(got: f64, truth: f64) -> f64 {
    if truth == 0.0 { got.abs() } else { (got - truth).abs() / truth }
}

#[test]
fn native_butteraugli_agrees_with_vship() {
    for folder in folders() {
        let (mut norms, mut maxima) = (Vec::new(), Vec::new());
        for (pair, truths) in truths(&folder) {
            let got = measure(&folder, &pair, Metric::Butteraugli3Norm, MetricBackend::Native, BT709);
            for truth in truths {
                let Measurement::Butteraugli { norm3, inf } = got[truth.frame] else { panic!() };
                norms.push(relative(norm3, truth.vship_butteraugli_3norm));
                maxima.push(relative(inf, truth.vship_butteraugli_inf));
            }
        }
        assert_tolerance("3-norm", &norms, 0.06, 0.03);
        assert_tolerance("maximum", &maxima, 0.12, 0.04);
    }
}

#[test]
fn native_ssimulacra2_agrees_with_vship() {
    for folder in folders() {
        let mut errors = Vec::new();
        for (pair, truths) in truths(&folder) {
            let got = measure(&folder, &pair, Metric::Ssimu2, MetricBackend::Native, BT709);
            for truth in truths {
                let Measurement::Ssimulacra2(score) = got[truth.frame] else { panic!() };
                errors.push((score - truth.vship_ssimulacra2).abs());
            }
        }
        assert_tolerance("SSIMULACRA2", &errors, 0.5, 0.25);
    }
}

/// The real plugin, fed with pictures from memory: its own scores must come
/// back to the last digit that the truth was written with.
#[test]
fn vszip_fed_from_memory_gives_its_own_scores() {
    for folder in folders() {
        for (pair, truths) in truths(&folder) {
            let got = measure(&folder, &pair, Metric::Ssimu2, MetricBackend::Vszip, BT709);
            for truth in truths {
                let Measurement::Ssimulacra2(score) = got[truth.frame] else { panic!() };
                let wanted = truth.vszip_ssimulacra2;
                // The wheel has a build for each kind of CPU; those differ by up to 0.004 among themselves.
                assert!((score - wanted).abs() < 5e-3, "{pair} {}: {score}, not {wanted}", truth.frame);
            }
        }
    }
}
