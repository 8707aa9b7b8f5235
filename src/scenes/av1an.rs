//! A scene list as av1an 0.5 makes it from av-scenechange's verdicts.

use std::ops::Range;

use super::Scene;
use crate::analysis::Av1anFrame;

/// av1an's scenes inside `zone`, whose start is a forced key frame.
///
/// Cuts nearer than `min_scene_len` to the cut before are left out, over the
/// whole clip; scenes longer than `extra_split` are divided.
pub(super) fn scenes(
    frames: &[Av1anFrame],
    zone: Range<usize>,
    min_scene_len: usize,
    extra_split: usize,
) -> Vec<Scene> {
    let mut starts = vec![zone.start];
    let mut last = 0;
    for (n, frame) in frames.iter().enumerate().take(zone.end).skip(1) {
        if frame.cut && n - last >= min_scene_len {
            last = n;
            if n > zone.start {
                starts.push(n);
            }
        }
    }
    let ends = starts.iter().copied().skip(1).chain([zone.end]);
    let mut scenes = Vec::new();
    for (&start, end) in starts.iter().zip(ends) {
        divide(frames, Scene { start, end }, extra_split, &mut scenes);
    }
    scenes
}

/// Takes pieces from the front until what is left is short enough. The piece is
/// about as long as equal parts would be; near there, the frame that comes
/// closest to being a cut begins the next one.
fn divide(frames: &[Av1anFrame], mut scene: Scene, extra_split: usize, into: &mut Vec<Scene>) {
    while scene.frames() > extra_split {
        let equal = scene.frames() / (scene.frames() / extra_split + 1);
        let shortest = equal / 2;
        let longest = extra_split.min(equal + shortest);
        let reach = (longest - shortest).max(1) as f64;
        // In steps of 1/10000, as av1an compares them; of equals the later.
        let weight = |length: usize| {
            let cost = frames[scene.start + length].cost?;
            let nearness = 1.0 - length.abs_diff(equal) as f64 / reach;
            Some((cost * nearness * 10_000.0).round() as u64)
        };
        // The last frames of a clip have no cost, but no piece ends among only those.
        let length = (shortest..=longest)
            .filter_map(|length| Some((weight(length)?, length)))
            .max()
            .map_or(equal, |(_, length)| length)
            .max(1);
        let at = scene.start + length;
        into.push(Scene { end: at, ..scene });
        scene.start = at;
    }
    into.push(scene);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(length: usize, cuts: &[usize], costs: &[(usize, f64)]) -> Vec<Av1anFrame> {
        let mut frames = vec![Av1anFrame { cut: false, cost: Some(0.1) }; length];
        for &n in cuts {
            frames[n].cut = true;
        }
        for &(n, cost) in costs {
            frames[n].cost = Some(cost);
        }
        frames
    }

    fn starts(scenes: &[Scene]) -> Vec<usize> {
        scenes.iter().map(|s| s.start).collect()
    }

    #[test]
    fn cuts_too_near_to_the_last_one_are_left_out_and_zone_starts_are_forced() {
        let frames = clip(200, &[0, 50, 55, 62, 120], &[]);
        assert_eq!(starts(&scenes(&frames, 0..200, 12, 264)), [0, 50, 62, 120]);
        assert_eq!(starts(&scenes(&frames, 40..100, 12, 264)), [40, 50, 62]);
        assert_eq!(scenes(&frames, 40..100, 12, 264).last().unwrap().end, 100);
        // A forced key frame does not shift the cuts found: 62 counts from 50, not from 60.
        assert_eq!(starts(&scenes(&frames, 60..200, 12, 264)), [60, 62, 120]);
    }

    #[test]
    fn a_long_scene_is_divided_at_the_most_costly_frame_near_equal_parts() {
        // 250 of at most 100: three parts of 83; sizes 41 to 100 come into question, so the
        // weight falls to zero 59 frames from 83. At 70: 0.5·(1 − 13/59) = 0.39; at 45:
        // 0.9·(1 − 38/59) = 0.32. Of the 180 left, parts of 90: 160 is 0 from there.
        let frames = clip(250, &[0], &[(70, 0.5), (45, 0.9), (160, 3.0)]);
        let pieces = [0..70, 70..160, 160..250].map(Scene::from);
        assert_eq!(scenes(&frames, 0..250, 12, 100), pieces);
        // 110: two parts of 55, of 27 to 82 frames, so that 90 is out of question.
        let frames = clip(110, &[0], &[(60, 0.5), (90, 9.0)]);
        assert_eq!(starts(&scenes(&frames, 0..110, 12, 100)), [0, 60]);
        // The longest that may be is not too long.
        assert_eq!(starts(&scenes(&frames, 0..100, 12, 100)), [0]);
    }

    #[test]
    fn a_cut_at_the_start_of_a_zone_starts_one_scene() {
        let frames = clip(200, &[0, 50, 62], &[]);
        assert_eq!(scenes(&frames, 50..100, 12, 264), [50..62, 62..100].map(Scene::from));
    }
}
