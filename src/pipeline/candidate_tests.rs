use super::*;
use crate::model::{Adaptive, Goal, Kind, Slopes};
use crate::scenes::Scene;
use crate::score;
use crate::score::{Format, Measurement};
use crate::settings::{self, MetricBackend, Repeats, Settings};
use crate::source::{OpenOptions, ResolvedColor, Session};
use crate::support::events::Events;

const FRAMES: usize = 100;

const GOAL: Goal =
    Goal { target: 80.0, higher_is_better: true, min_crf: 8.0, max_crf: 50.0, unreliable_crf: 11.0 };
const ADAPTIVE: Adaptive =
    Adaptive { first_crf: Some(24.0), tolerance: 1.5, quarter_steps: true, expected_factor: 1.0 };
const LESSONS: Lessons =
    Lessons { slopes: Slopes { typical: 0.5, low: 0.25, high: 1.0 }, start: 27.0, spread: 0.06 };

/// SSIMULACRA2 on the CPU: eight frames and at most 14, all alike.
fn settings(precision: f64) -> Settings {
    let request = settings::Request { preset: Some("ssimu2-mean".to_owned()), ..Default::default() };
    let mut settings = settings::resolve(&request).unwrap().base;
    settings.metric.backend = MetricBackend::Native;
    settings.metric.tail.weight = 0.0;
    settings.metric.sample.frames = 8;
    settings.metric.sample.most_frames = 14;
    settings.metric.sample.precision = Some(precision);
    settings
}

fn luma() -> LumaStats {
    LumaStats {
        bits: 10,
        full_range: false,
        average: vec![0.4; FRAMES],
        min: vec![64; FRAMES],
        max: vec![900; FRAMES],
        diff: vec![0.01; FRAMES],
    }
}

fn candidate<'a>(settings: &'a Settings, luma: &'a LumaStats) -> Candidate<'a> {
    let color = ResolvedColor { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
    let format = Format { size: (64, 64), bits: 10, color, fps: None };
    let session = Session::empty(None, &OpenOptions::default()).unwrap();
    let backend = score::open(&settings.metric, format, session, 0, &Events::silent()).unwrap();
    let scene = Scene { start: 0, end: FRAMES };
    let planned = PlannedScene { index: 0, scene, zone: 0, zone_name: None, settings };
    let model = Model { goal: GOAL, kind: Kind::Adaptive(ADAPTIVE), ease: 0.0 };
    let picture = PictureFacts { bytes: 1, grid: Arc::new(LumaGrid::new(64, 64)) };
    Candidate::new(planned, model, backend, luma, 1 << 20, &picture).unwrap()
}

/// The first `count` frames of the sample with these scores; every frame of the
/// scene has the same luma error.
fn measured(candidate: &Candidate<'_>, count: usize, score: impl Fn(usize) -> f64) -> Measured {
    let Selection::Sampled(sample) = &candidate.selection else { panic!("pooling mean samples") };
    let of_frame = |&offset: &usize| (offset, Measurement::Ssimulacra2(score(offset)));
    let frames = sample.beginning(count).iter().map(of_frame).collect();
    Measured { frames, suspects: Vec::new(), errors: vec![1.0; FRAMES] }
}

fn enter(candidate: &Candidate<'_>, purpose: Purpose, crf: f64, score: f64) {
    let measured = measured(candidate, 8, |_| score);
    candidate.enter(Take { purpose, crf }, &measured).unwrap();
}

/// The same for the encode that the scene wants next.
fn make(candidate: &Candidate<'_>, purpose: Purpose, crf: f64, score: f64) {
    assert!(matches!(candidate.next(Some(&LESSONS)), Step::Encode { .. }));
    enter(candidate, purpose, crf, score);
}

fn crfs(lesson: &[Scored]) -> Vec<f64> {
    lesson.iter().map(|probe| probe.crf).collect()
}

#[test]
fn a_pilot_teaches_what_it_found_alone() {
    let (settings, luma) = (settings(20.0), luma());
    let mut pilot = candidate(&settings, &luma);
    pilot.role = Role::Pilot;
    assert!(!pilot.has_taught());
    enter(&pilot, Purpose::Probing, 24.0, 70.0);
    assert!(!pilot.has_taught(), "its second probe is still to come");
    enter(&pilot, Purpose::Probing, 16.0, 70.1);
    assert!(pilot.has_taught());
    assert_eq!(crfs(&pilot.taught(pilot.lesson())), [24.0, 16.0]);
    // The third is made with the help of the others.
    assert!(matches!(pilot.next(Some(&LESSONS)), Step::Encode { take: 2, .. }));
    enter(&pilot, Purpose::Probing, 8.0, 79.0);
    assert_eq!(crfs(&pilot.taught(pilot.lesson())), [24.0, 16.0]);
}

#[test]
fn a_pilot_whose_first_probe_hit_or_that_failed_keeps_nobody_waiting() {
    let (settings, luma) = (settings(20.0), luma());
    let mut pilot = candidate(&settings, &luma);
    pilot.role = Role::Pilot;
    enter(&pilot, Purpose::Probing, 24.0, 80.5);
    assert!(pilot.has_taught());
    assert_eq!(crfs(&pilot.taught(pilot.lesson())), [24.0]);
    let mut failed = candidate(&settings, &luma);
    failed.role = Role::Pilot;
    failed.give_up();
    assert!(failed.has_taught() && failed.taught(failed.lesson()).is_empty());
}

#[test]
fn a_calibrated_pilot_ends_with_an_encode_as_the_final_one_at_its_best_probe() {
    let (settings, luma) = (settings(20.0), luma());
    let mut pilot = candidate(&settings, &luma);
    (pilot.role, pilot.calibrated) = (Role::Pilot, true);
    make(&pilot, Purpose::Probing, 24.0, 70.0);
    make(&pilot, Purpose::Probing, 13.0, 79.0);
    assert_eq!(pilot.pair(Some(&LESSONS)), None);
    assert_eq!(pilot.next(Some(&LESSONS)), Step::Encode { take: 2, crf: 13.0 });
    assert_eq!(pilot.take(2).unwrap(), Take { purpose: Purpose::Final, crf: 13.0 });
    make(&pilot, Purpose::Final, 13.0, 80.0);
    assert_eq!(pilot.next(Some(&LESSONS)), Step::Done);
    let Pair { crf, probe, final_, reach } = pilot.pair(Some(&LESSONS)).unwrap();
    assert!((crf - 13.0).abs() < 1e-9 && (probe - 79.0).abs() < 1e-6 && (final_ - 80.0).abs() < 1e-6);
    assert!(reach.abs() < 1e-12);
}

#[test]
fn the_second_probe_of_a_closing_scene_is_made_as_the_final_encode() {
    let (settings, luma) = (settings(20.0), luma());
    let mut scene = candidate(&settings, &luma);
    scene.second = Second::AsFinal;
    assert_eq!(scene.next(None), Step::Wait);
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 0, crf: 27.0 });
    assert_eq!(scene.take(0).unwrap().purpose, Purpose::Probing);
    enter(&scene, Purpose::Probing, 27.0, 70.0);
    // From 30 at 418 to 20: 418 · (20 / 30)² = 185.8; the table has 185 at CRF 13.
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 1, crf: 13.0 });
    assert_eq!(scene.take(1).unwrap(), Take { purpose: Purpose::Final, crf: 13.0 });
    enter(&scene, Purpose::Final, 13.0, 78.2);
    assert_eq!(scene.next(Some(&LESSONS)), Step::Done, "within 1.25 times the tolerance of 1.5");
    // A probe there would have had the damage 30 · √(185 / 418) = 19.958.
    let pair = scene.exemplary_pair(Some(&LESSONS)).unwrap();
    assert!((pair.probe - 80.042).abs() < 1e-3 && (pair.final_ - 78.2).abs() < 1e-6, "{pair:?}");
    assert!((pair.reach - (185.0_f64 / 418.0).ln()).abs() < 1e-9);
}

#[test]
fn a_closing_pilot_teaches_by_its_probe_and_its_final_encode() {
    let (settings, luma) = (settings(20.0), luma());
    let mut pilot = candidate(&settings, &luma);
    (pilot.role, pilot.second) = (Role::Pilot, Second::AsFinal);
    make(&pilot, Purpose::Probing, 24.0, 70.0);
    let Step::Encode { take: 1, crf } = pilot.next(None) else { panic!("a pilot waits for nobody") };
    assert_eq!(pilot.take(1).unwrap().purpose, Purpose::Final);
    assert!(!pilot.has_taught());
    make(&pilot, Purpose::Final, crf, 86.0);
    assert!(pilot.has_taught());
    assert_eq!(crfs(&pilot.taught(pilot.lesson())), [24.0, crf]);
    // Whether it needs one more depends on what all pilots taught.
    assert_eq!(pilot.next(None), Step::Wait);
    assert!(matches!(pilot.next(Some(&LESSONS)), Step::Encode { take: 2, .. }));
    make(&pilot, Purpose::Final, 20.0, 80.0);
    assert_eq!(crfs(&pilot.taught(pilot.lesson())), [24.0, crf], "what the others helped with");
}

#[test]
fn a_near_scene_is_encoded_as_the_final_one_unless_the_scenes_of_its_title_are_alike() {
    let (settings, luma) = (settings(20.0), luma());
    let [mut scene, mut pilot] = [(); 2].map(|()| candidate(&settings, &luma));
    (scene.second, pilot.second, pilot.role) = (Second::AsFinal, Second::AsFinal, Role::Pilot);
    make(&scene, Purpose::Probing, 27.0, 79.0);
    make(&pilot, Purpose::Probing, 27.0, 79.0);
    // From 21 at 418 to 20: 418 · (20 / 21)² = 379.1; the table has 375 at CRF 25.25, 381 at 25.5.
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 1, crf: 25.5 });
    assert_eq!(scene.take(1).unwrap().purpose, Purpose::Final);
    assert_eq!(scene.next(None), Step::Wait);
    // 0.3 of the tolerance of 1.5 points are 0.45, that is 0.0225 of the damage 20.
    assert_eq!(scene.next(Some(&Lessons { spread: 0.0224, ..LESSONS })), Step::Done);
    // Pilots are who shows that.
    assert!(!pilot.has_taught() && matches!(pilot.next(None), Step::Encode { take: 1, .. }));
    enter(&pilot, Purpose::Final, 25.5, 80.0);
    assert!(pilot.has_taught() && pilot.alone(&LESSONS).is_some());
    assert_eq!(crfs(&pilot.taught(pilot.lesson())), [27.0], "too near to each other to show a slope");
}

#[test]
fn a_final_encode_that_is_far_off_is_followed_by_one_more_and_teaches_nobody() {
    let (settings, luma) = (settings(20.0), luma());
    let mut scene = candidate(&settings, &luma);
    scene.second = Second::AsFinal;
    make(&scene, Purpose::Probing, 27.0, 70.0);
    make(&scene, Purpose::Final, 13.0, 87.0);
    assert_eq!(scene.exemplary_pair(Some(&LESSONS)), None);
    // The two say 1.026 with the precision 0.815² / (0.06² + 2 · 0.02²) = 151.0, others 0.5 with
    // (2 / (0.5 · ln 2))² = 33.3: 0.9309. From 13 at 185 to 20: 185 · (20 / 13)^(1 / 0.9309) = 293.9;
    // the table has 293 at CRF 20.5 and 287 at 20.25.
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 2, crf: 20.5 });
    assert_eq!(scene.take(2).unwrap().purpose, Purpose::Final);
    make(&scene, Purpose::Final, 20.5, 83.5);
    assert_eq!(scene.next(Some(&LESSONS)), Step::Done, "three encodes are the most");
    // The nearer of the two counts.
    assert!((scene.pair(Some(&LESSONS)).unwrap().final_ - 83.5).abs() < 1e-6);
}

#[test]
fn a_calibrated_scene_that_needs_no_second_probe_has_its_final_encode_all_the_same() {
    let (settings, luma) = (settings(20.0), luma());
    let mut scene = candidate(&settings, &luma);
    scene.calibrated = true;
    make(&scene, Purpose::Probing, 27.0, 80.5);
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 1, crf: 27.0 });
    assert_eq!(scene.take(1).unwrap().purpose, Purpose::Final);
    // Where it fails, the scene does without.
    assert!(scene.does_without(Take { purpose: Purpose::Final, crf: 27.0 }));
    assert_eq!(scene.next(Some(&LESSONS)), Step::Done);
}

#[test]
fn a_chunk_takes_the_place_of_a_second_probe_but_not_of_a_pilots() {
    let (settings, luma) = (settings(20.0), luma());
    let [mut scene, mut near, mut pilot] = [(); 3].map(|()| candidate(&settings, &luma));
    for one in [&mut scene, &mut near, &mut pilot] {
        one.second = Second::Chunk;
    }
    pilot.role = Role::Pilot;
    make(&scene, Purpose::Probing, 27.0, 70.0);
    make(&near, Purpose::Probing, 27.0, 80.5);
    make(&pilot, Purpose::Probing, 24.0, 70.0);
    assert_eq!((scene.next(Some(&LESSONS)), near.next(Some(&LESSONS))), (Step::Done, Step::Done));
    assert!(matches!(pilot.next(None), Step::Encode { take: 1, .. }));
    // What was saved may be spent on chunks that miss.
    let spared = [&scene, &near, &pilot].map(|one| one.was_spared(Some(&LESSONS)));
    assert_eq!(spared, [true, false, false]);
}

#[test]
fn where_the_final_encode_fails_a_probe_takes_its_place() {
    let (settings, luma) = (settings(20.0), luma());
    let mut scene = candidate(&settings, &luma);
    scene.second = Second::AsFinal;
    enter(&scene, Purpose::Probing, 27.0, 70.0);
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 1, crf: 13.0 });
    assert!(scene.does_without(Take { purpose: Purpose::Final, crf: 13.0 }));
    assert_eq!(scene.next(Some(&LESSONS)), Step::Encode { take: 1, crf: 13.0 });
    assert_eq!(scene.take(1).unwrap().purpose, Purpose::Probing);
}

#[test]
fn what_an_earlier_run_measured_is_enough_when_it_is_as_precise_as_wanted_now() {
    let luma = luma();
    let (loose, strict) = (settings(20.0), settings(0.05));
    let (loose, strict) = (candidate(&loose, &luma), candidate(&strict, &luma));
    let restless = |offset: usize| 80.0 + (offset % 5) as f64 * 2.0;
    let eight = measured(&loose, 8, restless);
    assert!(loose.is_enough(&eight, Purpose::Probing).unwrap());
    assert!(!strict.is_enough(&eight, Purpose::Probing).unwrap());
    assert!(
        strict.is_enough(&measured(&strict, 14, restless), Purpose::Probing).unwrap(),
        "there are no more"
    );
    // More than would be measured now is as good.
    assert!(loose.is_enough(&measured(&loose, 14, restless), Purpose::Probing).unwrap());
    // It is found whatever was wanted then.
    let key = Fingerprint::of(&"an encode");
    assert_eq!(loose.measured_key(&key, &key), strict.measured_key(&key, &key));
}

#[test]
fn what_an_earlier_run_measured_otherwise_is_not_enough() {
    let (settings, luma) = (settings(20.0), luma());
    let scene = candidate(&settings, &luma);
    let good = measured(&scene, 8, |_| 80.0);
    assert!(scene.is_enough(&good, Purpose::Probing).unwrap());
    assert!(
        !scene.is_enough(&measured(&scene, 7, |_| 80.0), Purpose::Probing).unwrap(),
        "less than the first frames"
    );
    let mut others = good.clone();
    others.frames.swap(0, 1);
    assert!(!scene.is_enough(&others, Purpose::Probing).unwrap(), "not the beginning of the sample");
    let mut short = good;
    short.errors.pop();
    assert!(!scene.is_enough(&short, Purpose::Probing).unwrap(), "a frame's luma error is missing");
    // Frames that repeat the one before count nothing now.
    let mut skipping = settings.clone();
    skipping.metric.sample.repeats = Repeats::Skip;
    let key = Fingerprint::of(&"an encode");
    assert_ne!(candidate(&skipping, &luma).measured_key(&key, &key), scene.measured_key(&key, &key));
}
