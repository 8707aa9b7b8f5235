//! The example film is what `examples/ep01.cuts.json` says it is; other tests lean on that.

mod common;

use std::sync::OnceLock;

use progression_boost::source::{self, OpenOptions};
use progression_boost::support::cancel::Cancel;

/// What the tests need to know of a frame.
struct Seen {
    /// Mean absolute luma difference to the frame before, in 8-bit steps; 0 for the first.
    step: f64,
    mean_luma: f64,
    black: bool,
    digest: blake3::Hash,
}

fn render() -> Vec<Seen> {
    let clip = source::open(&common::example("ep01.vpy"), &OpenOptions::default()).unwrap();
    let mut before = None;
    clip.frames(0..clip.info().frames, 4, &Cancel::new())
        .map(|frame| {
            let picture = frame.unwrap().to_picture();
            let luma = &picture.planes[0];
            let bytes: Vec<u8> = picture.planes.concat().iter().flat_map(|s| s.to_le_bytes()).collect();
            let seen = Seen {
                step: before.as_ref().map_or(0.0, |b| picture.luma_difference(b).unwrap() * 255.0),
                mean_luma: luma.iter().map(|&s| f64::from(s)).sum::<f64>() / luma.len() as f64,
                black: luma.iter().all(|&s| s == 16),
                digest: blake3::hash(&bytes),
            };
            before = Some(picture);
            seen
        })
        .collect()
}

/// Every frame of the film, rendered once for all tests.
fn film() -> &'static [Seen] {
    static FILM: OnceLock<Vec<Seen>> = OnceLock::new();
    FILM.get_or_init(render)
}

#[test]
fn it_opens_as_bt709_in_8_bit_at_24_frames_a_second() {
    let truth = common::truth();
    let clip = source::open(&common::example("ep01.vpy"), &OpenOptions::default()).unwrap();
    let info = clip.info();
    assert_eq!((info.width, info.height, info.frames), (640, 360, truth.frames));
    assert_eq!((info.format.as_str(), info.fps), ("YUV420P8", Some((24, 1))));
    let color = clip.color().unwrap();
    assert_eq!((color.primaries, color.transfer, color.matrix), (1, 1, 1));
    assert_eq!(color.full_range, Some(false));
}

#[test]
fn its_shots_and_cuts_are_those_of_the_list() {
    let truth = common::truth();
    let film = film();
    assert_eq!(film.len(), truth.frames);

    // The shots tile the film, and begin with a listed cut or inside a transition.
    let mut next = 0;
    for shot in &truth.shots {
        assert_eq!(shot.start, next, "{} does not begin where the shot before ends", shot.name);
        next = shot.end;
        let in_transition = truth.transitions.iter().any(|t| (t.start..t.end).contains(&shot.start));
        assert!(shot.start == 0 || truth.cuts.contains(&shot.start) != in_transition, "{}", shot.name);
    }
    assert_eq!(next, truth.frames);
    assert_eq!(truth.cuts.len() + truth.transitions.len() + 1, truth.shots.len());

    // Every cut is a bigger step than any inside a shot.
    let weakest_cut = truth.cuts.iter().map(|&n| film[n].step).fold(f64::INFINITY, f64::min);
    let (at, strongest_motion) = (0..truth.frames)
        .filter(|n| !truth.cuts.contains(n))
        .map(|n| (n, film[n].step))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    assert!(
        weakest_cut > 1.5 * strongest_motion,
        "the weakest cut is a step of {weakest_cut:.1}, motion at frame {at} one of {strongest_motion:.1}"
    );
}

#[test]
fn the_fade_goes_through_black_and_nothing_else_is_black() {
    let truth = common::truth();
    let film = film();
    let black: Vec<usize> = (0..film.len()).filter(|&n| film[n].black).collect();
    let [fade] = truth.transitions.as_slice() else { panic!("one transition: {:?}", truth.transitions) };
    assert_eq!(fade.kind, "fade");
    assert_eq!(black, fade.black);

    let mean = |n: usize| film[n].mean_luma;
    // Twelve even steps down to black and twelve up again.
    for n in fade.start..fade.black[0] {
        assert!(mean(n + 1) < mean(n), "frame {} is not darker than {n}", n + 1);
    }
    for n in fade.black[1]..fade.end - 1 {
        assert!(mean(n + 1) > mean(n), "frame {} is not brighter than {n}", n + 1);
    }
}

#[test]
fn the_still_shot_moves_in_exactly_three_frames() {
    let truth = common::truth();
    let film = film();
    let still = truth.shots.iter().find(|shot| shot.moving.is_some()).unwrap();
    let moving: Vec<usize> = (still.start + 1..still.end).filter(|&n| film[n].step > 0.0).collect();
    assert_eq!(Some(&moving), still.moving.as_ref());
    assert_eq!(moving.len(), 3);
}

#[test]
fn every_rendering_is_the_same() {
    let again = render();
    let different = film().iter().zip(&again).position(|(a, b)| a.digest != b.digest);
    assert_eq!(different, None, "this frame differs between two renderings");
}
