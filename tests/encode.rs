//! Encoding with the distribution's SvtAv1EncApp and decoding the result again.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use progression_boost::encoder::{EncodeError, EncodeJob, Encoded, encode, y4m};
use progression_boost::formats::ivf;
use progression_boost::probe::ProbeFrames;
use progression_boost::source::Picture;
use progression_boost::support::cancel::Cancel;

/// A moving gradient with texture: every frame is another.
fn scene(format: y4m::Format, frames: usize) -> Vec<Arc<Picture>> {
    let top = (1usize << format.bits) - 1;
    let picture = |n: usize| {
        let mut picture = Picture::filled(format.width, format.height, format.bits, 0, 0);
        for p in 0..3 {
            let (w, _) = picture.plane_size(p);
            for (i, sample) in picture.planes[p].iter_mut().enumerate() {
                let (x, y) = (i % w, i / w);
                *sample = (((x + 3 * n) * 5 + y * 3 + ((x * 7) ^ (y * 13 + n)) % 31 + 90 * p) % top) as u16;
            }
        }
        Arc::new(picture)
    };
    (0..frames).map(picture).collect()
}

fn format(bits: u8) -> y4m::Format {
    y4m::Format { width: 106, height: 70, bits, fps: (24000, 1001) }
}

/// The distribution's, whichever version that is.
fn encoder() -> PathBuf {
    common::require("SvtAv1EncApp")
}

fn job(program: &Path, output: &Path, format: y4m::Format, params: &str) -> EncodeJob {
    EncodeJob {
        program: program.to_path_buf(),
        params: params.split_whitespace().map(str::to_owned).collect(),
        output: output.to_path_buf(),
        format,
        stall: Some(std::time::Duration::from_mins(1)),
        nice: 0,
    }
}

fn run(job: &EncodeJob, pictures: &[Arc<Picture>]) -> anyhow::Result<Encoded> {
    encode(job, pictures.iter().cloned().map(Ok), &Cancel::new(), |_| {})
}

/// All frames of `file` as libdav1d in ffmpeg decodes them.
fn ffmpeg_frames(file: &Path, format: y4m::Format, grain: &str) -> Vec<Picture> {
    let pixel = if format.bits == 8 { "yuv420p" } else { "yuv420p10le" };
    let output = common::tool("ffmpeg")
        .args(["-v", "error", "-c:v", "libdav1d", "-filmgrain", grain, "-i"])
        .arg(file)
        .args(["-f", "rawvideo", "-fps_mode", "passthrough", "-pix_fmt", pixel, "-"])
        .output()
        .expect("ffmpeg starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let empty = Picture::filled(format.width, format.height, format.bits, 0, 0);
    let sample = if format.bits == 8 { 1 } else { 2 };
    let frame_bytes = empty.bytes() / 2 * sample;
    assert_eq!(output.stdout.len() % frame_bytes, 0);
    let picture = |bytes: &[u8]| {
        let mut samples =
            bytes.chunks_exact(sample).map(|s| u16::from(s[0]) | s.get(1).map_or(0, |&h| u16::from(h) << 8));
        let mut picture = empty.clone();
        picture.planes.iter_mut().flatten().for_each(|out| *out = samples.next().unwrap());
        picture
    };
    output.stdout.chunks_exact(frame_bytes).map(picture).collect()
}

#[test]
fn decoded_probes_are_bit_exact_with_dav1d_in_both_depths() {
    for bits in [8, 10] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probe.ivf");
        let format = format(bits);
        let pictures = scene(format, 40);
        let params = format!("--crf 30 --preset 10 --lp 1 --keyint -1 --input-depth {bits} --film-grain 20");
        let encoded = run(&job(&encoder(), &path, format, &params), &pictures).unwrap();
        assert_eq!((encoded.frames, encoded.bytes), (40, std::fs::metadata(&path).unwrap().len()));
        let header = ivf::Reader::open(&path).unwrap().header();
        assert_eq!((header.frames, header.time_base), (40, (1001, 24000)));

        let reference = ffmpeg_frames(&path, format, "0");
        assert_eq!(reference.len(), 40);
        assert_ne!(reference, ffmpeg_frames(&path, format, "1"), "the stream has film grain to leave out");
        for threads in [1, 3] {
            let all: Vec<_> =
                ProbeFrames::open(&path, (0..40).collect(), threads).unwrap().map(Result::unwrap).collect();
            assert_eq!(all.len(), 40);
            for (offset, picture) in &all {
                assert!(picture == &reference[*offset], "{bits} bits, {threads} threads, frame {offset}");
            }
            // The source survives the trip through pipe and encoder.
            assert!(
                all[39].1.luma_difference(&pictures[39]).unwrap()
                    < all[39].1.luma_difference(&pictures[37]).unwrap()
            );
        }
        let some: Vec<_> =
            ProbeFrames::open(&path, vec![31, 4, 4, 0], 2).unwrap().map(Result::unwrap).collect();
        assert_eq!(some.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 4, 31]);
        assert!(some.iter().all(|(n, picture)| picture == &reference[*n]));
    }
}

#[test]
fn frames_beyond_the_end_and_damaged_probes_are_errors_and_not_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.ivf");
    let format = format(10);
    let pictures = scene(format, 12);
    run(&job(&encoder(), &path, format, "--crf 40 --preset 10 --lp 1"), &pictures).unwrap();
    let mut frames = ProbeFrames::open(&path, vec![3, 12], 1).unwrap();
    assert_eq!(frames.next().unwrap().unwrap().0, 3);
    let error = frames.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("has 12 frames, frame 12 is wanted"), "{error}");
    assert!(frames.next().is_none());

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let results: Vec<_> = ProbeFrames::open(&path, (0..12).collect(), 1).unwrap().collect();
    let error = results.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("is cut off"), "{error}");

    // Damage in any place ends in an error or in wrong samples, never in a panic.
    let mut failures = 0;
    for seed in 1..=60_usize {
        let mut noisy = whole.clone();
        for n in 1..=seed {
            let at = 44 + (seed * 7919 + n * 104_729) % (noisy.len() - 44);
            noisy[at] ^= 1 << (n % 8);
        }
        std::fs::write(&path, &noisy).unwrap();
        let frames = ProbeFrames::open(&path, (0..12).collect(), 1 + seed as u32 % 2).unwrap();
        failures += usize::from(frames.into_iter().any(|frame| frame.is_err()));
    }
    assert!(failures > 10, "{failures}");
}

#[test]
fn encoders_side_by_side_do_not_hold_each_other_s_input_open() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = scene(format(10), 5);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (folder, pictures) = (folder.path(), &pictures);
            scope.spawn(move || {
                let params = "--crf 30 --preset 12 --lp 1";
                for round in 0..3 {
                    let output = folder.join(format!("{n}-{round}.ivf"));
                    let job = job(&encoder(), &output, format(10), params);
                    assert_eq!(run(&job, pictures).unwrap().frames, 5);
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 24);
}

#[test]
fn a_refused_option_is_no_case_for_another_try_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.ivf");
    let pictures = scene(format(10), 3);
    for (params, reason) in [
        ("--crf 30 --preset 10 --lp 1 --foo 3", "Unprocessed tokens: --foo"),
        ("--crf 30 --preset 10 --lp 1 --tune 9", "Invalid tune flag"),
        // 1.4.1 ends this one with exit code 0.
        ("--crf 30 --preset 20 --lp 1", "EncoderMode must be in the range of [0-13]"),
    ] {
        let error =
            run(&job(&common::svt(common::Svt::V1_4), &path, format(10), params), &pictures).unwrap_err();
        let error = error.downcast::<EncodeError>().unwrap();
        assert!(matches!(&error, EncodeError::Refused { reason: r, .. } if r.contains(reason)), "{error}");
        assert!(!error.is_retryable());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn pictures_that_do_not_fit_the_stream_are_our_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&encoder(), &folder.path().join("a.ivf"), format(10), "--crf 30 --preset 10");
    let error = run(&job, &scene(format(8), 1)).unwrap_err().to_string();
    assert!(error.contains("frame 0 is 106x70 of 8 bits in a stream of 106x70 of 10 bits"), "{error}");
    let failing = std::iter::once(Err(anyhow::anyhow!("frame 7 could not be rendered")));
    let error = encode(&job, failing, &Cancel::new(), |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "frame 7 could not be rendered");
    assert!(run(&job, &[]).unwrap_err().to_string().contains("no frames to encode"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Encoders that misbehave in ways the real ones did.
#[cfg(unix)]
mod fakes {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    use progression_boost::support::cancel::Interrupted;

    /// `$out` is where the encoder is to write.
    fn fake(folder: &Path, script: &str) -> std::path::PathBuf {
        let path = folder.join("fake-encoder");
        std::fs::write(&path, format!("#!/bin/sh\nout=$4\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn error_of(script: &str, stall: f64, cancel: &Cancel) -> (anyhow::Error, Duration) {
        let folder = tempfile::tempdir().unwrap();
        let program = fake(folder.path(), script);
        let mut job = job(&program, &folder.path().join("out.ivf"), format(10), "--crf 30");
        job.stall = Some(Duration::from_secs_f64(stall));
        let begun = Instant::now();
        let pictures = scene(job.format, 20);
        let error = encode(&job, pictures.into_iter().map(Ok), cancel, |_| {}).unwrap_err();
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(names, ["fake-encoder"], "nothing but the encoder is left");
        (error, begun.elapsed())
    }

    fn failed(script: &str, stall: f64) -> EncodeError {
        error_of(script, stall, &Cancel::new()).0.downcast().unwrap()
    }

    #[test]
    fn one_that_never_reads_is_ended() {
        let error = failed("sleep 100", 0.3);
        assert!(matches!(error, EncodeError::Stalled(_)) && error.is_retryable());
        assert!(error.to_string().contains("made no progress for 0.3 s"), "{error}");
    }

    #[test]
    fn one_that_reads_all_and_then_hangs_is_ended() {
        let error = failed("cat > /dev/null; echo Encoding >&2; sleep 100", 0.3);
        assert!(matches!(error, EncodeError::Stalled(_)));
        assert!(error.to_string().ends_with("\n  Encoding"), "{error}");
    }

    #[test]
    fn one_that_is_slow_but_writes_is_left_alone() {
        let script = "cat > /dev/null; for i in 1 2 3 4 5 6 7 8; do printf xxxx >> \"$out\"; sleep 0.3; done";
        assert!(matches!(failed(script, 1.5), EncodeError::Short { .. }));
    }

    #[test]
    fn one_that_crashes_mid_scene_is_told_with_its_last_lines() {
        let error = failed("head -c 100000 > /dev/null; echo 'last words' >&2; kill -SEGV $$", 10.0);
        assert!(matches!(error, EncodeError::Crashed(_)) && error.is_retryable());
        let text = error.to_string();
        assert!(text.starts_with("fake-encoder was killed by signal 11\n  command: "), "{text}");
        assert!(text.contains("--progress 0 --crf 30") && text.ends_with("\n  last words"), "{text}");
    }

    #[test]
    fn one_that_ends_well_with_too_few_frames_is_caught() {
        // A header that promises 20 frames, and one frame of three bytes.
        let script = r#"cat > /dev/null
printf 'DKIF\000\000\040\000AV01\100\000\100\000\030\000\000\000\001\000\000\000\024\000\000\000\000\000\000\000' > "$out"
printf '\003\000\000\000\000\000\000\000\000\000\000\000abc' >> "$out""#;
        let error = failed(script, 10.0);
        assert!(matches!(error, EncodeError::Short { .. }) && error.is_retryable());
        assert!(error.to_string().contains("holds 1 frames, its header says 20"), "{error}");
        let error = failed("cat > /dev/null; exit 0", 10.0);
        assert!(matches!(error, EncodeError::Short { .. }), "{error}");
    }

    #[test]
    fn a_full_disk_is_noticed_though_the_encoder_reports_success() {
        // Writes beyond 1 or 2 KiB fail as on a full disk; the header, which is
        // written over at the end, then promises all frames.
        let error = failed("trap '' XFSZ; ulimit -f 2; exec SvtAv1EncApp \"$@\" --preset 12 --lp 1", 60.0);
        assert!(matches!(error, EncodeError::Short { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("is the disk full?") && text.contains("is cut off"), "{text}");
    }

    #[test]
    fn stopping_ends_it_at_once_even_when_it_takes_no_input() {
        let cancel = Cancel::new();
        let later = cancel.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            later.cancel();
        });
        let (error, took) = error_of("sleep 100", 60.0, &cancel);
        stopper.join().unwrap();
        assert!(error.is::<Interrupted>(), "{error}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn a_slow_source_is_not_the_encoder_s_fault() {
        let folder = tempfile::tempdir().unwrap();
        let mut job =
            job(&encoder(), &folder.path().join("out.ivf"), format(10), "--crf 30 --preset 12 --lp 1");
        job.stall = Some(Duration::from_secs(1));
        let slow = scene(job.format, 2).into_iter().map(|picture| {
            std::thread::sleep(Duration::from_millis(1400));
            Ok(picture)
        });
        assert_eq!(encode(&job, slow, &Cancel::new(), |_| {}).unwrap().frames, 2);
    }
}
