//! Model `adaptive` and the measured offset, worked by hand and by properties.

// Places that are exact by construction.
#![allow(clippy::float_cmp)]

use progression_boost::model::{
    Adaptive, Goal, How, Kind, Learned, Lessons, Model, Next, Pair, Presets, Ratios, Role, Scored, Slopes,
    qstep, reference,
};
use proptest::prelude::*;

const GOAL: Goal =
    Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };
const ADAPTIVE: Adaptive =
    Adaptive { first_crf: Some(24.0), tolerance: 1.5, quarter_steps: true, expected_factor: 1.0 };
const MODEL: Model = Model { goal: GOAL, kind: Kind::Adaptive(ADAPTIVE), ease: 0.0 };
const SLOPES: Slopes = Slopes { typical: 0.5, low: 0.25, high: 1.0 };
const LESSONS: Lessons = Lessons { slopes: SLOPES, start: 27.1, spread: 0.06 };
const PRESETS: Presets = Presets { probing: 7, final_: 2 };
/// A final encode like the probes: there is nothing to correct by.
const SAME: Presets = Presets { probing: 7, final_: 7 };

fn at(crf: f64, score: f64) -> Scored {
    Scored::new(crf, score)
}

fn other(scored: &[Scored]) -> Next {
    MODEL.next(scored, Role::Other, Some(&LESSONS))
}

fn pilot(scored: &[Scored]) -> Next {
    MODEL.next(scored, Role::Pilot, None)
}

#[track_caller]
fn solved(scored: &[Scored]) -> (f64, How) {
    let answer = MODEL.uncorrected(scored, Some(&LESSONS)).unwrap();
    assert_eq!(MODEL.solve(scored, &learned(&[]), SAME), Some(answer), "there is nothing to correct by");
    (answer.crf, answer.how)
}

/// What the pilots taught, and calibrated scenes whose final encodes had so many times the damage.
fn learned(factors: &[f64]) -> Learned {
    let pair = |factor| Pair { crf: 24.0, probe: 80.0, final_: 100.0 - 20.0 * factor, reach: 0.0 };
    let ratios = Ratios::new(factors.iter().copied().map(pair), &GOAL);
    Learned { lessons: Some(LESSONS), ratios, finals: Vec::new() }
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
}

/// The quantiser step of CRF 24.
const Q24: f64 = 343.0;

#[test]
fn a_pilot_begins_where_the_preset_says_within_the_limits() {
    let first = |adaptive, goal| {
        let model = Model { goal, kind: Kind::Adaptive(adaptive), ease: 0.0 };
        match model.next(&[], Role::Pilot, None) {
            Next::Probe(crf) => crf,
            next => panic!("{next:?}"),
        }
    };
    let at = |crf| Adaptive { first_crf: Some(crf), ..ADAPTIVE };
    assert_eq!(first(at(28.0), GOAL), 28.0);
    assert_eq!(first(at(28.0), Goal { max_crf: 20.0, ..GOAL }), 20.0);
    assert_eq!(first(Adaptive { quarter_steps: false, ..at(24.25) }, GOAL), 24.0);
    // Where the preset does not say: a usual picture has the damage 19 at 343, so that 20 is at
    // 343 · (20 / 19)^(1 / 0.55) = 376.53; the table has 375 at CRF 25.25 and 381 at 25.5.
    let unsaid = Adaptive { first_crf: None, ..ADAPTIVE };
    assert_eq!(first(unsaid, GOAL), 25.25);
    // Where the final encode is expected to have a fifth less damage, 25 of a probe are wanted:
    // 343 · (25 / 19)^(1 / 0.55) = 564.9, between 559 (32) and 567 (32.25).
    assert_eq!(first(Adaptive { expected_factor: 0.8, ..unsaid }, GOAL), 32.25);
    // Butteraugli: 0.9 at 343, so 0.95 at 378.4, between 375 (25.25) and 381 (25.5).
    assert_eq!(first(unsaid, Goal { target: 0.95, higher_is_better: false, ..GOAL }), 25.5);
}

#[test]
fn the_others_begin_where_the_pilots_were_solved() {
    assert_eq!(MODEL.next(&[], Role::Other, None), Next::Lessons);
    assert_eq!(other(&[]), Next::Probe(27.0));
    let start = |start| {
        let model = Model { goal: Goal { max_crf: 40.0, ..GOAL }, ..MODEL };
        model.next(&[], Role::Other, Some(&Lessons { start, ..LESSONS }))
    };
    assert_eq!(
        (start(27.2), start(60.0), start(3.0)),
        (Next::Probe(27.25), Next::Probe(40.0), Next::Probe(8.0))
    );
}

#[test]
fn the_start_is_the_median_of_what_the_pilots_probes_say() {
    let start = |model: &Model, pilots: &[&[Scored]]| {
        let pilots: Vec<_> = pilots.iter().map(|pilot| pilot.to_vec()).collect();
        model.learn(&pilots).unwrap().start
    };
    // What was assumed, 343 at CRF 24, counts as one pilot more. The others are solved where
    // they were probed: 343, 507 and 891, so it is the middle of the logarithms of 343 and 507.
    let hit = [[at(40.0, 80.0)], [at(24.0, 80.0)], [at(30.5, 80.0)]];
    let three = start(&MODEL, &[&hit[0], &hit[1], &hit[2]]);
    assert_near(qstep::from_crf(three), (Q24 * 507.0).sqrt());
    // Of 343, 343 and 891.
    assert_near(start(&MODEL, &[&hit[0], &hit[1]]), 24.0);
    // One probe alone, along the slope that nobody contradicted: 343 · (20 / 25)^(1 / 0.55).
    let one = Q24 * 0.8_f64.powf(1.0 / 0.55);
    assert_near(qstep::from_crf(start(&MODEL, &[&[at(24.0, 75.0)]])), (one * Q24).sqrt());
    // 10 at 343 and 40 at 891: 20 is half way in the logarithm.
    let around = [at(24.0, 90.0), at(40.0, 60.0)];
    let solved = (Q24 * 891.0).sqrt();
    assert_near(qstep::from_crf(start(&MODEL, &[&around])), (solved * Q24).sqrt());
    // Of a final encode with a fifth less damage, 25 of a probe are what is wanted.
    let better = Model { kind: Kind::Adaptive(Adaptive { expected_factor: 0.8, ..ADAPTIVE }), ..MODEL };
    assert_near(start(&better, &[&[at(24.0, 75.0)]]), 24.0);
    // Where none could be probed it is where a pilot would have begun.
    assert_near(start(&MODEL, &[]), 24.0);
    assert_eq!(MODEL.learn(&[]).unwrap().slopes, Slopes::prior());
    assert_eq!(Model { kind: Kind::Reference, ..MODEL }.learn(&[]), None);
}

#[test]
fn a_first_probe_near_the_target_is_the_last_and_the_slope_does_the_rest() {
    // The distortion 19 may become 20, and grows with the square root of the
    // step: 343 · (20 / 19)² = 380.06.
    let probe = [at(24.0, 81.0)];
    assert_eq!(other(&probe), Next::Done);
    let (crf, how) = solved(&probe);
    assert_eq!(how, How::Slope);
    assert_near(qstep::from_crf(crf), Q24 * (20.0_f64 / 19.0).powi(2));
    // Exactly at the edge of the tolerance, and beyond it.
    assert_eq!(other(&[at(24.0, 78.5)]), Next::Done);
    assert!(matches!(other(&[at(24.0, 78.4)]), Next::Probe(_)));
}

#[test]
fn the_second_probe_goes_where_the_target_is_expected() {
    // From 25 to 20 by the square root: 343 · (20 / 25)² = 219.52; the table has
    // 219 at CRF 15.25 and 223 at 15.5.
    assert_eq!(other(&[at(24.0, 75.0)]), Next::Probe(15.25));
    // From 10 to 20: 343 · 4 = 1372, between 1361 (47.5) and 1379 (47.75).
    assert_eq!(other(&[at(24.0, 90.0)]), Next::Probe(47.75));
    // Out of reach: the ends of the range.
    assert_eq!(other(&[at(24.0, 97.0)]), Next::Probe(50.0));
    assert_eq!(other(&[at(24.0, 40.0)]), Next::Probe(8.0));
    // Near, but not within the tolerance: kept e^0.2 away. 343 · e^0.2 = 418.9; the table has 418 at CRF 27.
    assert_eq!(other(&[at(24.0, 81.6)]), Next::Probe(27.0));
    // Without slopes it has to wait.
    assert_eq!(MODEL.next(&[at(24.0, 75.0)], Role::Other, None), Next::Lessons);
}

#[test]
fn probes_are_placed_where_the_final_encode_is_expected_to_hit() {
    let model = Model { kind: Kind::Adaptive(Adaptive { expected_factor: 0.8, ..ADAPTIVE }), ..MODEL };
    let other = |scored: &[Scored]| model.next(scored, Role::Other, Some(&LESSONS));
    // A probe of 75 is a final encode of 80.
    assert_eq!((other(&[at(24.0, 75.0)]), other(&[at(24.0, 76.5)])), (Next::Done, Next::Done));
    // From 30 to 25: 343 · (25 / 30)² = 238.2; the table has 237 at CRF 16.5 and 241 at 16.75.
    assert_eq!(other(&[at(24.0, 70.0)]), Next::Probe(16.5));
    // What hits the target as a probe does not: 343 · (25 / 20)² = 535.9, between 533 (31.25) and 542.
    assert_eq!(other(&[at(24.0, 80.0)]), Next::Probe(31.25));
    // It is solved by what is measured of the final encode, not by what was expected.
    assert_near(model.solve(&[at(24.0, 80.0)], &learned(&[]), SAME).unwrap().crf, 24.0);
}

#[test]
fn a_pilot_takes_a_second_probe_only_when_its_first_missed_and_waits_for_nobody() {
    assert_eq!((pilot(&[at(24.0, 80.1)]), pilot(&[at(24.0, 78.5)])), (Next::Done, Next::Done));
    // From 21.6 to 20 by what is usual, 343 · (20 / 21.6)^(1 / 0.55) = 298, is nearer than e^0.2, so
    // 343 / e^0.2 = 280.8: CRF 19.5 has 280.
    assert_eq!(pilot(&[at(24.0, 78.4)]), Next::Probe(19.5));
    // From 30: 343 · (20 / 30)^(1 / 0.55) = 164.1; the table has 163 at CRF 11.5 and 166 at 11.75.
    assert_eq!(pilot(&[at(24.0, 70.0)]), Next::Probe(11.5));
    // Its third depends on what all pilots taught.
    assert_eq!(pilot(&[at(24.0, 90.0), at(40.0, 91.0)]), Next::Lessons);
    assert_eq!(pilot(&[at(24.0, 90.0), at(40.0, 80.5)]), Next::Done);
}

#[test]
fn the_final_encode_is_compared_with_the_probe_that_is_nearest_to_the_target() {
    let exemplary = |scored: &[Scored]| GOAL.exemplary(scored);
    assert_eq!(exemplary(&[at(24.0, 90.0), at(40.0, 78.0), at(30.0, 84.0)]), Some(40.0));
    // By the ratio of damage: 22 / 20 = 1.1 is further than 20 / 18.2 and nearer than 20 / 18.
    assert_eq!(exemplary(&[at(24.0, 78.0), at(16.0, 81.8)]), Some(16.0));
    assert_eq!(exemplary(&[at(24.0, 78.0), at(16.0, 82.0)]), Some(24.0));
    // e^0.3 is 1.35: 27.1 is too much damage for a scene that says anything about 20.
    assert_eq!((exemplary(&[at(24.0, 73.1)]), exemplary(&[at(24.0, 72.9)])), (Some(24.0), None));
    // Better than wanted at the coarsest CRF, or worse at the finest: no CRF would hit the target.
    assert_eq!((exemplary(&[at(50.0, 81.0)]), exemplary(&[at(50.0, 79.0)])), (None, Some(50.0)));
    assert_eq!((exemplary(&[at(8.0, 79.0)]), exemplary(&[at(8.0, 81.0)])), (None, Some(8.0)));
    let damage = Goal { target: 1.0, higher_is_better: false, ..GOAL };
    assert_eq!(damage.exemplary(&[at(24.0, 1.3), at(40.0, 0.8)]), Some(40.0));
    assert_eq!(exemplary(&[]), None);
}

#[test]
fn two_probes_around_the_target_are_interpolated_in_logarithms() {
    // 10 at 343 and 40 at 891: 20 is half way in the logarithm.
    let probes = [at(24.0, 90.0), at(40.0, 60.0)];
    let (crf, how) = solved(&probes);
    assert_eq!(how, How::Probes);
    assert_near(qstep::from_crf(crf), (Q24 * 891.0).sqrt());
    assert_eq!(solved(&[probes[1], probes[0]]).0, crf, "whichever came first");
}

#[test]
fn beyond_the_probes_their_own_slope_holds_within_what_was_learned() {
    // 25 at 343, 22 at 230 (CRF 16): slope 0.3199, so that 20 is at
    // 230 · (20 / 22)^(1 / 0.3199).
    let slope = (25.0_f64 / 22.0).ln() / (Q24 / 230.0).ln();
    let (crf, _) = solved(&[at(24.0, 75.0), at(16.0, 78.0)]);
    assert_near(qstep::from_crf(crf), 230.0 * (20.0_f64 / 22.0).powf(1.0 / slope));
    // 21.2 and 21: slope 0.02, less than any scene of these: 0.25 holds.
    let (crf, _) = solved(&[at(24.0, 78.8), at(16.0, 79.0)]);
    assert_near(qstep::from_crf(crf), 230.0 * (20.0_f64 / 21.0).powf(4.0));
}

#[test]
fn a_third_probe_is_for_scenes_whose_two_disagree_with_the_others() {
    // As steep as expected: nothing more.
    assert_eq!(other(&[at(24.0, 75.0), at(16.0, 78.0)]), Next::Done);
    // As flat as none, so it goes on from 22 at 230 by 0.25: 230 · (20 / 22)⁴ = 157.1; the table
    // has 155 at CRF 11 and 159 at 11.25.
    assert_eq!(other(&[at(24.0, 77.5), at(16.0, 78.0)]), Next::Probe(11.25));
    // And from 24.5 by 102.1, which is below CRF 8.
    assert_eq!(other(&[at(24.0, 75.0), at(16.0, 75.5)]), Next::Probe(8.0));
    // Steeper than any: 10 at 343, 40 at 466 (CRF 29). Interpolated: √(343 · 466) = 399.8; the
    // table has 400 at CRF 26.25.
    assert_eq!(other(&[at(24.0, 90.0), at(29.0, 60.0)]), Next::Probe(26.25));
    // The coarser probe scored better: as if one probe of 27.98 had been made at √(343 · 230) =
    // 280.9, so 280.9 · (20 / 27.98)² = 143.5, CRF 10.25.
    assert_eq!(other(&[at(24.0, 73.0), at(16.0, 71.0)]), Next::Probe(10.25));
    // Contradicting, but one of them is what is wanted.
    assert_eq!(other(&[at(24.0, 80.5), at(31.0, 82.0)]), Next::Done);
    // Three are all there are.
    assert_eq!(other(&[at(24.0, 73.0), at(16.0, 71.0), at(10.25, 70.0)]), Next::Done);
}

#[test]
fn where_a_limit_leaves_no_room_no_probe_is_made() {
    let narrow = Model { goal: Goal { min_crf: 23.0, ..GOAL }, ..MODEL };
    assert_eq!(narrow.next(&[at(24.0, 60.0)], Role::Other, Some(&LESSONS)), Next::Done);
    assert_eq!(narrow.next(&[at(24.0, 60.0)], Role::Pilot, None), Next::Done);
    let answer = narrow.uncorrected(&[at(24.0, 60.0)], Some(&LESSONS)).unwrap();
    assert_eq!((answer.crf, answer.how), (23.0, How::Slope));
}

#[test]
fn contradictions_are_settled_in_the_middle_or_by_the_safe_crf() {
    // Both better than the target: as one probe with √(15 · 14) at √(343 · 430).
    let coarser = 430.0;
    let (crf, how) = solved(&[at(24.0, 85.0), at(qstep::to_crf(coarser), 86.0)]);
    assert_eq!(how, How::Contradiction);
    let damage = 210.0_f64.sqrt();
    assert_near(qstep::from_crf(crf), (Q24 * coarser).sqrt() * (20.0 / damage).powi(2));
    // None good enough and the finest no better than the others: unreliable_crf.
    assert_eq!(solved(&[at(24.0, 70.0), at(16.0, 69.0), at(12.0, 69.5)]), (11.0, How::Unreliable));
    // The finest probe where it is finer still.
    assert_eq!(solved(&[at(24.0, 70.0), at(10.0, 69.0)]), (10.0, How::Unreliable));
    // Three probes of which two contradict each other, and the target beyond them.
    let (crf, how) = solved(&[at(24.0, 75.0), at(16.0, 74.0), at(8.0, 85.0)]);
    assert_eq!(how, How::Contradiction);
    assert!((8.0..16.0).contains(&crf), "{crf}");
}

#[test]
fn a_black_scene_goes_to_the_coarsest_crf_and_is_not_doubtful() {
    assert_eq!(other(&[at(24.0, 100.0)]), Next::Probe(50.0));
    let probes = [at(24.0, 100.0), at(50.0, 100.0)];
    assert_eq!(other(&probes), Next::Done);
    assert_eq!(solved(&probes), (50.0, How::Probes));
}

#[test]
fn what_calibration_measured_is_weighed_against_what_presets_usually_do() {
    // 10 at 343, 40 at 891 for a probe.
    let probes = [at(24.0, 90.0), at(40.0, 60.0)];
    let slope = 4.0_f64.ln() / (891.0 / Q24).ln();
    let moved = |factors: &[f64], presets| {
        let answer = MODEL.solve(&probes, &learned(factors), presets).unwrap();
        // 20 of a final encode are this much of a probe.
        (10.0 * (qstep::from_crf(answer.crf) / Q24).powf(slope) / 20.0).ln()
    };
    // Nothing measured: five presets of 0.01 each.
    assert_near(moved(&[], PRESETS), 0.05);
    // One scene shows 0.2. The prior weighs 1 / 0.135² = 54.870, a scene 1 / 0.06² = 277.778:
    // (54.870 · 0.05 + 277.778 · 0.2) / 332.647.
    assert_near(moved(&[(-0.2_f64).exp()], PRESETS), 0.175_257_73);
    // The same preset is trusted more: 1 / 0.01² = 10000, so 277.778 · 0.2 / 10277.778.
    assert_near(moved(&[(-0.2_f64).exp()], SAME), 0.005_405_41);
}

#[test]
fn a_measured_offset_takes_the_place_of_the_references_constants() {
    let model = Model { kind: Kind::Reference, ..MODEL };
    let probes = [at(24.0, 90.0), at(40.0, 60.0)];
    // Corrected: 92 and 68. A straight line: 343 + 548 · 12 / 24 = 617, CRF 33.75.
    let learned = Learned { lessons: None, ..learned(&[0.8, 0.8]) };
    let answer = model.solve(&probes, &learned, PRESETS).unwrap();
    assert_near(answer.crf, 33.75);
    assert_eq!(answer.how, How::Line);
    // Without one it is the reference, to the bit.
    let plain = model.solve(&probes, &Learned::default(), PRESETS).unwrap();
    let expected = reference::solve(probes[0], probes[1], &GOAL, 7, 2);
    assert_eq!((plain.crf, plain.how), (expected.crf, expected.how));
    assert_eq!(model.next(&probes[..1], Role::Other, None), Next::Probe(40.0));
    assert_eq!(model.next(&probes, Role::Other, None), Next::Done);
    assert_eq!(model.solve(&probes[..1], &Learned::default(), PRESETS), None);
}

fn goals() -> impl Strategy<Value = Goal> {
    (any::<bool>(), 0.05..0.95_f64, 4.0..30.0_f64, 0.0..30.0_f64, 0.0..50.0_f64).prop_map(
        |(higher_is_better, part, min_crf, range, unreliable_crf)| Goal {
            target: if higher_is_better { 100.0 * part } else { 5.0 * part },
            higher_is_better,
            min_crf,
            max_crf: min_crf + range,
            unreliable_crf,
        },
    )
}

fn probes() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((4.0..60.0_f64, 0.0..1.0_f64), 1..=3)
}

fn scored(goal: &Goal, probes: &[(f64, f64)]) -> Vec<Scored> {
    let scale = if goal.higher_is_better { 100.0 } else { 5.0 };
    probes.iter().map(|&(crf, part)| at(crf, part * scale)).collect()
}

fn model(goal: Goal, quarter_steps: bool) -> Model {
    Model {
        goal,
        kind: Kind::Adaptive(Adaptive { quarter_steps, tolerance: goal.target / 50.0, ..ADAPTIVE }),
        ease: 0.0,
    }
}

proptest! {
    #[test]
    fn a_crf_is_within_its_limits_whatever_the_scores(
        goal in goals(), probes in probes(), factor in 0.5..1.5_f64, pilots in prop::collection::vec(probes(), 0..5),
    ) {
        let pilots: Vec<_> = pilots.iter().map(|pilot| scored(&goal, pilot)).collect();
        let lessons = model(goal, true).learn(&pilots).unwrap();
        let Lessons { slopes, start, .. } = lessons;
        prop_assert!(0.0 < slopes.low && slopes.low < slopes.typical && slopes.typical < slopes.high);
        prop_assert!((goal.min_crf - 0.125..=goal.max_crf + 0.125).contains(&start), "{start}");
        for factors in [&[][..], &[factor]] {
            let learned = Learned { lessons: Some(lessons), ..learned(factors) };
            let answer = model(goal, true).solve(&scored(&goal, &probes), &learned, PRESETS).unwrap();
            prop_assert!((goal.min_crf..=goal.max_crf).contains(&answer.crf), "{answer:?}");
        }
    }

    #[test]
    fn a_better_target_never_gets_a_coarser_crf(
        goal in goals(), probes in probes(), other in 0.05..0.95_f64, factor in 0.5..1.5_f64,
    ) {
        let learned = learned(&[factor]);
        let probes = scored(&goal, &probes);
        let second = Goal { target: if goal.higher_is_better { 100.0 * other } else { 5.0 * other }, ..goal };
        let crf = |goal| model(goal, true).solve(&probes, &learned, PRESETS).unwrap().crf;
        let stricter = if goal.higher_is_better { goal.target > second.target } else { goal.target < second.target };
        let (fine, coarse) = if stricter { (crf(goal), crf(second)) } else { (crf(second), crf(goal)) };
        prop_assert!(fine <= coarse + 1e-9, "{fine} {coarse}");
    }

    /// Any scene, however its encodes score, is done after three probes, at
    /// different CRFs that the encoder has.
    #[test]
    fn probing_ends_after_three_different_probes(
        goal in goals(), parts in prop::collection::vec(0.0..1.0_f64, 4), pilot in any::<bool>(), quarter_steps in any::<bool>(),
    ) {
        let model = model(goal, quarter_steps);
        let role = if pilot { Role::Pilot } else { Role::Other };
        let mut made: Vec<Scored> = Vec::new();
        while let Next::Probe(crf) = model.next(&made, role, Some(&LESSONS)) {
            let steps = if quarter_steps { 4.0 } else { 1.0 };
            prop_assert_eq!((crf * steps).fract(), 0.0);
            prop_assert!(crf >= goal.min_crf - 0.5 && crf <= goal.max_crf + 0.5);
            prop_assert!(made.iter().all(|probe| probe.crf != crf), "{crf} again: {made:?}");
            prop_assert!(made.len() < 3);
            made.extend(scored(&goal, &[(crf, parts[made.len()])]));
        }
        prop_assert!(!made.is_empty());
    }

    #[test]
    fn what_pilots_teach_does_not_depend_on_who_was_first(
        goal in goals(), pilots in prop::collection::vec(probes(), 0..6), turn in 0..6_usize,
    ) {
        let mut pilots: Vec<_> = pilots.iter().map(|pilot| scored(&goal, pilot)).collect();
        let learn = |pilots: &[Vec<Scored>]| model(goal, true).learn(pilots);
        let before = learn(&pilots);
        pilots.reverse();
        let turn = turn.min(pilots.len());
        pilots.rotate_left(turn);
        prop_assert_eq!(learn(&pilots), before);
    }
}
