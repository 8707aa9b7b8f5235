//! Allocations against brute force over all combinations, on real scenes and by hand.

use progression_boost::model::Goal;
use progression_boost::model::allocate::{
    Allocation, Choice, Held, OutOfReach, Scene, even, even_of_size, grid, slope, slope_of_size,
};
use progression_boost::model::estimate::Estimate;
use serde_json::Value;

const GOAL: Goal =
    Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };

/// (CRF, damage, bytes) as known for certain.
fn scene(frames: f64, choices: &[(f64, f64, f64)]) -> Scene {
    let choice = |&(crf, damage, bytes): &(f64, f64, f64)| Choice {
        crf,
        damage: Estimate::exact(damage),
        bytes: Estimate::exact(bytes),
    };
    Scene::new(frames, choices.iter().map(choice).collect()).unwrap()
}

fn crfs(allocation: &Allocation) -> Vec<f64> {
    allocation.scenes.iter().map(|share| share.crf).collect()
}

/// A scene's frames, and CRF, damage and bytes of its choices.
type Shot = (f64, Vec<(f64, f64, f64)>);

/// Of each scene of Big Buck Bunny its frames, and CRF, damage and bytes at preset 5.
fn lab() -> Vec<Shot> {
    let lab: Value = serde_json::from_str(include_str!("data/lab/bbb480-scenes.json")).unwrap();
    let runs: Vec<&Value> = lab["runs"].as_array().unwrap().iter().filter(|run| run["preset"] == 5).collect();
    assert_eq!(runs.len(), 9);
    let point = |run: &Value, scene: usize| {
        let number = |key: &str| run[key][scene].as_f64().unwrap();
        (run["crf"].as_f64().unwrap(), 100.0 - number("scene_scores"), number("scene_bytes"))
    };
    lab["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, range)| {
            let frames = range[1].as_f64().unwrap() - range[0].as_f64().unwrap();
            (frames, runs.iter().map(|run| point(run, index)).collect())
        })
        .collect()
}

/// (bytes, mean damage) of every combination of three scenes' choices.
fn combinations(scenes: &[Shot]) -> Vec<(f64, f64)> {
    let [a, b, c] = scenes else { panic!("three scenes") };
    let frames = a.0 + b.0 + c.0;
    let mut all = Vec::new();
    for x in &a.1 {
        for y in &b.1 {
            for z in &c.1 {
                let damage = (a.0 * x.1 + b.0 * y.1 + c.0 * z.1) / frames;
                all.push((x.2 + y.2 + z.2, damage));
            }
        }
    }
    all
}

/// Every three of the five scenes.
fn triples() -> Vec<Vec<Shot>> {
    let lab = lab();
    let mut triples = Vec::new();
    for a in 0..lab.len() {
        for b in a + 1..lab.len() {
            for c in b + 1..lab.len() {
                triples.push(vec![lab[a].clone(), lab[b].clone(), lab[c].clone()]);
            }
        }
    }
    triples
}

fn scenes_of(data: &[Shot]) -> Vec<Scene> {
    data.iter().map(|(frames, choices)| scene(*frames, choices)).collect()
}

/// The corners of the lower convex hull, by gift wrapping from the smallest.
fn corners(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let first = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    let mut corners = vec![*points.iter().min_by(first).unwrap()];
    loop {
        let at = corners[corners.len() - 1];
        let steepness = |p: &(f64, f64)| (p.1 - at.1) / (p.0 - at.0);
        let next = points
            .iter()
            .filter(|p| p.0 > at.0 && p.1 < at.1)
            .min_by(|a, b| steepness(a).total_cmp(&steepness(b)).then(a.0.total_cmp(&b.0)));
        let Some(next) = next else { return corners };
        corners.push(*next);
    }
}

#[test]
fn slope_is_the_optimum_at_every_corner_of_the_hull_of_all_combinations() {
    for data in triples() {
        let scenes = scenes_of(&data);
        let corners = corners(&combinations(&data));
        assert!(corners.len() > 10, "{} corners", corners.len());
        for (bytes, damage) in corners {
            let found = slope_of_size(&scenes, &GOAL, None, bytes).unwrap();
            assert!((found.bytes.value - bytes).abs() < 0.5, "{} for {bytes}", found.bytes.value);
            assert!((100.0 - found.score - damage).abs() < 1e-9, "{} for {damage}", found.score);
            let aimed = slope(&scenes, &Goal { target: 100.0 - damage, ..GOAL }, None);
            assert!((aimed.bytes.value - bytes).abs() < 0.5, "{} for {bytes}", aimed.bytes.value);
        }
    }
}

#[test]
fn slope_is_never_worse_than_even_and_near_the_best_combination_of_any_size() {
    let (mut gaps, mut gains) = (Vec::new(), Vec::new());
    for data in triples() {
        let scenes = scenes_of(&data);
        let all = combinations(&data);
        let corners = corners(&all);
        for (bytes, _) in all.iter().step_by(7) {
            let found = slope_of_size(&scenes, &GOAL, None, *bytes).unwrap();
            let damage = 100.0 - found.score;
            assert!(found.bytes.value <= bytes + 0.5);
            let best = all.iter().filter(|p| p.0 <= *bytes).map(|p| p.1).fold(f64::MAX, f64::min);
            // No combination is better than the best …
            assert!(damage >= best - 1e-9);
            // … and the best lies above the hull, of which `slope` reaches the next corner
            // that fits.
            let reached = corners.iter().rfind(|corner| corner.0 <= *bytes).unwrap();
            assert!(damage <= reached.1 + 1e-9, "{damage}, {reached:?}");
            gaps.push(damage - best);
            let even = even_of_size(&scenes, &GOAL, *bytes).unwrap();
            assert!(even.bytes.value <= bytes + 0.5);
            assert!(damage <= 100.0 - even.score + 1e-9, "{damage} with {bytes}, even {}", even.score);
            gains.push(100.0 - even.score - damage);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    println!("mean gap {:.3}, mean gain {:.3} points", mean(&gaps), mean(&gains));
    // Steps of 2 to 8 CRF are 1 to 3 points of a scene; the gap must stay well below one.
    assert!(mean(&gaps) < 0.5, "{}", mean(&gaps));
}

/// Broken lines in logarithms through the lab's points, on a grid of quarter steps.
fn fine(data: &[Shot]) -> Vec<Scene> {
    use progression_boost::model::qstep::from_crf;
    data.iter()
        .map(|(frames, points)| {
            let at = |crf: f64, y: fn(&(f64, f64, f64)) -> f64| {
                let next = points.partition_point(|point| point.0 < crf).clamp(1, points.len() - 1);
                let (a, b) = (&points[next - 1], &points[next]);
                let part = (from_crf(crf) / from_crf(a.0)).ln() / (from_crf(b.0) / from_crf(a.0)).ln();
                Estimate::exact(y(a) * (y(b) / y(a)).powf(part))
            };
            Scene::over(*frames, &grid(14.0, 48.0, 0.25), |crf| (at(crf, |p| p.1), at(crf, |p| p.2))).unwrap()
        })
        .collect()
}

#[test]
fn even_gives_every_scene_the_same_score_and_its_inverse_finds_the_target_again() {
    let scenes = fine(&lab());
    for target in [74.0, 77.0, 80.0, 82.0] {
        let even = even(&scenes, &Goal { target, ..GOAL });
        for share in &even.scenes {
            // A quarter of CRF is up to 0.3 points here, so half of it to either side.
            assert!((share.score - target).abs() < 0.16, "{share:?} for {target}");
            assert_eq!(share.held, None);
            assert!((share.crf * 4.0).fract().abs() < 1e-9);
        }
        assert!((even.score - target).abs() < 0.1, "{}", even.score);
        let again = even_of_size(&scenes, &GOAL, even.bytes.value).unwrap();
        assert_eq!(crfs(&again), crfs(&even));
        assert!((again.target - target).abs() < 0.16, "{} for {target}", again.target);
    }
}

#[test]
fn more_bytes_are_never_worse_and_the_floor_holds() {
    let lab = lab();
    for scenes in [fine(&lab), scenes_of(&lab)] {
        for floor in [None, Some(66.0), Some(75.0)] {
            let aims: Vec<_> = (0..60).map(|i| 1.0e6 * 1.04_f64.powi(i)).collect();
            let mut before: Option<Allocation> = None;
            for bytes in aims {
                let Ok(found) = slope_of_size(&scenes, &GOAL, floor, bytes) else { continue };
                assert!(found.bytes.value <= bytes + 0.5);
                for share in &found.scenes {
                    assert!(share.score >= floor.unwrap_or(0.0), "{share:?} below {floor:?}");
                }
                if let Some(before) = before {
                    assert!(found.score >= before.score - 1e-9, "{bytes}: {}, {}", found.score, before.score);
                }
                before = Some(found);
            }
            assert!(before.is_some_and(|last| last.score > 85.0));
            let mut before = f64::MAX;
            for target in (60..=88).rev() {
                let found = slope(&scenes, &Goal { target: f64::from(target), ..GOAL }, floor);
                assert!(found.bytes.value <= before, "{target}");
                before = found.bytes.value;
                assert!(found.scenes.iter().all(|share| share.score >= floor.unwrap_or(0.0)));
            }
        }
    }
}

#[test]
fn at_an_equal_mean_slope_needs_fewer_bytes_and_unequal_scores() {
    let scenes = fine(&lab());
    let (even, slope) = (even(&scenes, &GOAL), slope(&scenes, &GOAL, None));
    assert!((slope.score - 80.0).abs() < 0.1, "{}", slope.score);
    let saved = 1.0 - slope.bytes.value / even.bytes.value;
    println!("even {:.0}, slope {:.0} bytes", even.bytes.value, slope.bytes.value);
    println!("worst scenes {:?}, {:?}", even.worst(&GOAL), slope.worst(&GOAL));
    assert!(saved > 0.02, "{saved}");
    assert!(slope.worst(&GOAL).unwrap() < even.worst(&GOAL).unwrap());
}

/// Two scenes of 100 frames, worked by hand. Savings of damage for each byte, A: 40 to 30 20/200,
/// 30 to 20 10/600; B: 40 to 30 5/500, 30 to 20 5/2000.
fn two() -> [Scene; 2] {
    [
        scene(100.0, &[(20.0, 10.0, 1000.0), (30.0, 20.0, 400.0), (40.0, 40.0, 200.0)]),
        scene(100.0, &[(20.0, 15.0, 3000.0), (30.0, 20.0, 1000.0), (40.0, 25.0, 500.0)]),
    ]
}

#[test]
fn two_scenes_by_hand() {
    let scenes = two();
    let even = even(&scenes, &GOAL);
    assert_eq!((crfs(&even), even.bytes.value, even.score), (vec![30.0, 30.0], 1400.0, 80.0));
    // The steps in their order: A to 30 (900 bytes), A to 20 (1500), B to 30 (2000), B to 20 (4000).
    let of = |bytes: f64| slope_of_size(&scenes, &GOAL, None, bytes).unwrap();
    for (bytes, wanted, score) in [
        (700.0, [40.0, 40.0], 67.5),
        (900.0, [30.0, 40.0], 77.5),
        (1399.0, [30.0, 40.0], 77.5),
        // Off the hull's corners `even` is at hand.
        (1400.0, [30.0, 30.0], 80.0),
        (1500.0, [20.0, 40.0], 82.5),
        (1999.0, [20.0, 40.0], 82.5),
        (2000.0, [20.0, 30.0], 85.0),
        (4000.0, [20.0, 20.0], 87.5),
    ] {
        let found = of(bytes);
        assert_eq!((crfs(&found), found.score), (wanted.to_vec(), score), "{bytes}");
    }
    let floored = slope_of_size(&scenes, &GOAL, Some(80.0), 1500.0).unwrap();
    assert_eq!(crfs(&floored), [30.0, 30.0]);
    assert_eq!(floored.scenes[1].held, Some(Held::Floor));
    assert_eq!(floored.scenes[0].held, Some(Held::Floor));
}

#[test]
fn a_size_out_of_reach_is_refused_with_what_can_be_had() {
    let scenes = two();
    let text = |result: Result<Allocation, OutOfReach>| result.map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        text(even_of_size(&scenes, &GOAL, 650.0)),
        "size 650 bytes: must be 700 to 4000, or allow coarser scenes (a higher max_crf, a lower floor)"
    );
    assert_eq!(
        text(slope_of_size(&scenes, &GOAL, Some(80.0), 1300.0)),
        "size 1300 bytes: must be 1400 to 4000, or allow coarser scenes (a higher max_crf, a lower floor)"
    );
    assert_eq!(
        text(slope_of_size(&scenes, &GOAL, None, 5000.0)),
        "size 5000 bytes: must be 700 to 4000, or allow finer scenes (a lower min_crf)"
    );
    assert_eq!(crfs(&even_of_size(&scenes, &GOAL, 4000.0).unwrap()), [20.0, 20.0]);
    assert_eq!(crfs(&even_of_size(&scenes, &GOAL, 700.0).unwrap()), [40.0, 40.0]);
}

#[test]
fn scenes_that_cannot_reach_the_target_are_named() {
    let scenes = two();
    let high = even(&scenes, &Goal { target: 88.0, ..GOAL });
    assert_eq!(high.scenes.iter().map(|s| s.held).collect::<Vec<_>>(), [None, Some(Held::Finest)]);
    let low = even(&scenes, &Goal { target: 50.0, ..GOAL });
    assert!(low.scenes.iter().all(|share| share.held == Some(Held::Coarsest)));
    assert_eq!(crfs(&low), [40.0, 40.0]);
    assert_eq!(crfs(&slope(&scenes, &Goal { target: 99.0, ..GOAL }, None)), [20.0, 20.0]);
    assert_eq!(crfs(&slope(&scenes, &Goal { target: 20.0, ..GOAL }, None)), [40.0, 40.0]);
    // A floor that no choice reaches gives the finest.
    let floored = slope(&scenes, &Goal { target: 20.0, ..GOAL }, Some(95.0));
    assert!(floored.scenes.iter().all(|share| share.held == Some(Held::Finest)));
}

#[test]
fn a_single_scene_gets_what_even_gives_also_where_its_curve_is_not_convex() {
    // Damage falls faster and faster: only the ends are on the hull.
    let bulging =
        [scene(50.0, &[(20.0, 5.0, 400.0), (30.0, 20.0, 300.0), (40.0, 25.0, 200.0), (45.0, 27.0, 100.0)])];
    assert_eq!(crfs(&slope(&bulging, &GOAL, None)), [30.0]);
    assert_eq!(crfs(&even(&bulging, &GOAL)), [30.0]);
    assert_eq!(crfs(&slope_of_size(&bulging, &GOAL, None, 399.0).unwrap()), [30.0]);
    assert_eq!(crfs(&slope_of_size(&bulging, &GOAL, None, 250.0).unwrap()), [40.0]);
    for data in fine(&lab()) {
        // What all of them can have.
        for target in [74.0, 77.3, 82.0] {
            let goal = Goal { target, ..GOAL };
            let one = std::slice::from_ref(&data);
            let (even, slope) = (even(one, &goal).scenes[0], slope(one, &goal, None).scenes[0]);
            assert!((even.crf - slope.crf).abs() <= 0.25, "{even:?}, {slope:?}");
            assert!((slope.score - target).abs() < 0.2, "{slope:?} for {target}");
        }
    }
}

#[test]
fn cubes_of_butteraugli_count() {
    let goal = Goal { target: 1.5, higher_is_better: false, ..GOAL };
    let scenes = [
        scene(10.0, &[(20.0, 1.0, 200.0), (30.0, 2.0, 100.0)]),
        scene(30.0, &[(20.0, 1.0, 200.0), (30.0, 1.2, 100.0)]),
    ];
    // Saved for 100 bytes: 10·(8 − 1) = 70, and 30·(1.728 − 1) = 21.84; by the plain sum it
    // would be 10 and 6.
    let found = slope_of_size(&scenes, &goal, None, 300.0).unwrap();
    assert_eq!(crfs(&found), [20.0, 30.0]);
    // ((10 · 1 + 30 · 1.728) / 40)^(1/3) = 1.546^(1/3).
    assert!((found.score - 1.1563).abs() < 1e-4, "{}", found.score);
    assert_eq!(found.worst(&goal), Some(1.2));
    let floored = slope_of_size(&scenes, &goal, Some(1.1), 400.0).unwrap();
    assert_eq!(crfs(&floored), [20.0, 20.0]);
}

#[test]
fn bands_of_the_whole_are_narrower_than_those_of_its_scenes() {
    let choice = |crf: f64, damage: f64, bytes: f64| Choice {
        crf,
        damage: Estimate { value: damage, own: 0.05, common: 0.0 },
        bytes: Estimate { value: bytes, own: 0.10, common: 0.03 },
    };
    let one = Scene::new(100.0, vec![choice(30.0, 20.0, 1000.0), choice(40.0, 30.0, 500.0)]).unwrap();
    let found = even(&vec![one; 25], &GOAL);
    // Own errors over √25: 2 % and 3 % make 3.606 %; 1 % of 20 points is 0.2.
    assert!((found.bytes.error() - 0.036_06).abs() < 1e-4, "{:?}", found.bytes);
    assert!((found.scores.0 - (100.0 - 20.0 * 0.02_f64.exp())).abs() < 1e-9, "{:?}", found.scores);
    assert!((found.scenes[0].scores.0 - (100.0 - 20.0 * 0.1_f64.exp())).abs() < 1e-9);
    assert!(found.scores.0 < 80.0 && found.scores.1 > 80.0);
}

#[test]
fn the_grid_holds_the_multiples_within_the_limits() {
    assert_eq!(grid(8.1, 9.0, 0.25), [8.25, 8.5, 8.75, 9.0]);
    assert_eq!(grid(8.0, 10.0, 1.0), [8.0, 9.0, 10.0]);
    assert_eq!(grid(8.3, 8.4, 1.0), [8.0]);
}
