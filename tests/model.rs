//! The reference model against worked examples of the reference implementation.

use progression_boost::model::{Goal, How, Scored, qstep, reference, round_crf};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("data/golden/model.json")).unwrap()
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"))
}

#[test]
fn crf_and_qstep_follow_the_av1_table() {
    let golden = golden();
    for case in golden["crf_to_qstep"].as_array().unwrap() {
        let (crf, expected) = (number(case, "crf"), number(case, "qstep"));
        assert!((qstep::from_crf(crf) - expected).abs() < 5e-4, "CRF {crf}: {}", qstep::from_crf(crf));
    }
    for case in golden["qstep_to_crf"].as_array().unwrap() {
        let (step, expected) = (number(case, "qstep"), number(case, "crf"));
        assert!((qstep::to_crf(step) - expected).abs() < 5e-5, "qstep {step}: {}", qstep::to_crf(step));
    }
}

#[test]
fn every_worked_example_gives_the_same_crf_by_the_same_path() {
    let golden = golden();
    let cases = golden["model"].as_array().unwrap();
    assert_eq!(cases.len(), 91);
    for case in cases {
        let goal = Goal {
            target: number(case, "target"),
            higher_is_better: case["metric"] == "ssimu2",
            min_crf: 8.0,
            max_crf: 50.0,
            unreliable_crf: 11.0,
        };
        let first = Scored::new(reference::FIRST_CRF, number(case, "score1"));
        let second_crf = reference::second_crf(first.score, &goal);
        assert!((second_crf - number(case, "second_crf")).abs() < 1e-9, "{case}");
        let second = Scored::new(second_crf, number(case, "score2"));
        let plain = reference::uncorrected(first, second, &goal);
        assert!((plain.crf - number(case, "uncorrected_crf")).abs() < 6e-5, "{plain:?} {case}");
        let presets = ["probing_preset", "final_preset"].map(|key| number(case, key) as i32);
        let solved = reference::solve(first, second, &goal, presets[0], presets[1]);
        assert!((solved.crf - number(case, "crf")).abs() < 6e-5, "{solved:?} {case}");
        assert!((round_crf(solved.crf, true) - number(case, "rounded")).abs() < 1e-9, "{solved:?} {case}");
        let path = match solved.how {
            How::Line => "line",
            How::Readjusted => "line, readjusted",
            How::CoarserContradicts => "order contradicts, coarser second",
            How::FinerContradicts => "order contradicts, finer second",
            how => panic!("{how:?} is not of the reference model"),
        };
        assert_eq!(path, case["path"], "{case}");
    }
}

#[test]
fn equal_scores_are_a_contradiction_not_a_division_by_zero() {
    let goal =
        Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };
    let at = |crf| Scored::new(crf, 85.0);
    let solved = reference::solve(at(24.0), at(40.0), &goal, 7, 2);
    assert_eq!(solved.how, How::CoarserContradicts);
    // The middle of the quantiser steps 343 and 891 is 617, which is CRF 33.75.
    assert!((solved.crf - 33.75).abs() < 1e-9);
}
