//! What keeps a large machine busy, on any: filters wait instead of computing, so
//! VapourSynth can have more threads than there are cores.

mod common;

use std::path::{Path, PathBuf};

use progression_boost::source::{self, Arg, Clip, OpenOptions};
use progression_boost::support::cancel::Cancel;

const SIZE: (usize, usize) = (960, 540);
const FRAMES: usize = 96;
const THREADS: i64 = 8;

/// A script of frames that take 20 ms in a filter called `name`; `before` may set up the
/// core, `format` is what the filter works in.
fn script(folder: &Path, name: &str, before: &str, format: &str) -> PathBuf {
    let path = folder.join("slow.vpy");
    let plugin = common::example_library("stand_in_filter");
    let plugin = plugin.to_str().unwrap();
    let (width, height) = SIZE;
    let text = format!(
        "import vapoursynth as vs\ncore = vs.core\ncore.num_threads = {THREADS}\n{before}\n\
         core.std.LoadPlugin({plugin:?})\n\
         clip = core.std.BlankClip(format=vs.YUV420P8, width={width}, height={height}, length={FRAMES})\n\
         clip = clip.resize.Bicubic(format=vs.{format}, matrix_in=1).slow.Wait(20, name={name:?}, radius=1)\n\
         clip = clip.resize.Bicubic(format=vs.YUV420P8, matrix=1)\nclip.set_output()\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Reads the whole clip; how many frames were in the filter at once, at the highest.
fn most_at_once(clip: &Clip, name: &str) -> i64 {
    for frame in clip.frames_of(0..FRAMES, &Cancel::new()) {
        frame.unwrap();
    }
    let seen = clip.session().call("slow", "Seen", &[("name", Arg::Text(name))]).unwrap();
    assert!(seen.get_int("renders").unwrap() >= FRAMES as i64);
    seen.get_int("most").unwrap()
}

fn limit(clip: &Clip) -> u64 {
    clip.session().core().unwrap().info().max_framebuffer_size
}

#[test]
fn as_many_frames_are_in_work_as_vapoursynth_has_threads_and_the_cache_grows_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "grows", "", "RGBS");
    let clip = source::open_within(&path, &OpenOptions::default(), 1 << 30).unwrap();
    let first = limit(&clip);
    // On a busy machine not all threads wait at the same moment. Requests that follow this
    // machine's cores, or a limit that stays, let through two or three.
    let most = most_at_once(&clip, "grows");
    assert!((THREADS - 2..=THREADS).contains(&most), "{most} at once");
    // Eight frames in work, what they are made of and what waits take 6 MB each in RGB of 32 bits.
    assert!(first < 80 << 20, "{first} is no test");
    assert!(limit(&clip) > first, "{first} was enough");
}

#[test]
fn a_limit_that_the_script_sets_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "own", "core.max_cache_size = 77", "YUV444P8");
    let clip = source::open_within(&path, &OpenOptions::default(), 1 << 30).unwrap();
    most_at_once(&clip, "own");
    assert_eq!(limit(&clip), 77 << 20);
}

#[test]
fn little_memory_bounds_requests_and_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "little", "", "YUV444P8");
    // Five pictures of 10 bits.
    let memory = 5 * 960 * 540 * 3;
    let clip = source::open_within(&path, &OpenOptions::default(), memory).unwrap();
    // Half of them are requested ahead, besides two that every reader has.
    assert!(most_at_once(&clip, "little") <= 4);
    assert!(limit(&clip) <= memory);
}
