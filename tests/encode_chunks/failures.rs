//! What goes wrong on the way: kills, crashes, a full disk, a second run.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::tools::Clip;
use super::{QUICK, common};

/// Waits until `done`, at most a minute.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// First frames of the chunks that were begun, from the file of `--events`.
fn started(events: &PathBuf) -> Vec<usize> {
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let chunks = lines.filter(|event| event["event"] == "chunk_started");
    chunks.map(|event| event["start"].as_u64().unwrap() as usize).collect()
}

#[test]
fn twenty_kills_cost_no_frame_and_no_finished_chunk() {
    const KILLS: usize = 20;
    // So many that a fast machine does not finish them all between the kills.
    const CHUNKS: usize = 240;
    let clip = Clip::new(10 * CHUNKS);
    clip.scenes_every(10);
    let events = clip.path("events.json");
    let args = format!(
        "{QUICK} --min-chunk-length 1 --max-parallel-encodes 2 --resume --events '{}'",
        events.display()
    );
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let mut random = seed | 1;
    let mut pause = || {
        // Marsaglia's xorshift, 32 bits.
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        Duration::from_millis(u64::from(random % 150))
    };
    for kill in 0..KILLS {
        let finished = clip.journal();
        let _ = std::fs::remove_file(&events);
        let mut run: Child = clip.command(&args).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the first chunk", || !started(&events).is_empty());
        // However slow the machine is, some of the runs have finished something.
        if kill % 2 == 1 {
            wait_for("a finished chunk", || clip.journal().len() > finished.len());
        }
        sleep(pause());
        assert!(run.try_wait().unwrap().is_none(), "seed {seed}: kill {kill} came too late to be one");
        run.kill().unwrap();
        run.wait().unwrap();
        let again: Vec<usize> = started(&events).into_iter().filter(|s| finished.contains(s)).collect();
        assert!(
            again.is_empty(),
            "seed {seed}: finished chunks {again:?} were encoded again after kill {kill}"
        );
        assert!(!clip.output().exists(), "seed {seed}");
    }
    let before = clip.journal().len();
    assert!(before > 0, "seed {seed}: no killed run finished a chunk, so nothing was tested");
    clip.encode_well(&args);
    let mut journal = clip.journal();
    assert_eq!(started(&events).len(), CHUNKS - before, "seed {seed}");
    journal.sort_unstable();
    assert_eq!(
        journal,
        (0..10 * CHUNKS).step_by(10).collect::<Vec<_>>(),
        "seed {seed}: every chunk is finished once"
    );
    clip.assert_every_frame();
}

#[test]
fn a_damaged_chunk_is_encoded_again_and_a_fresh_run_starts_over() {
    let clip = Clip::new(60);
    clip.scenes_every(20);
    let args = format!("{QUICK} --min-chunk-length 1");
    clip.encode_well(&args);
    let folder = clip.path("clip.chunks/encoded-chunks");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let bytes = std::fs::read(&files[1]).unwrap();
    std::fs::write(&files[1], &bytes[..bytes.len() - 1]).unwrap();
    clip.encode_well(&format!("{args} --resume"));
    assert_eq!(clip.journal()[3..], [20]);
    clip.assert_every_frame();
    let text = clip.encode_well(&args);
    assert!(text.contains("3 chunks of an earlier run were cleared"), "{text}");
    assert_eq!(clip.journal().len(), 3);
    clip.encode_well(&format!("{args} --resume --clean"));
    assert!(!clip.path("clip.chunks").exists());
}

#[test]
fn a_second_run_on_the_same_folder_is_refused() {
    let clip = Clip::new(1200);
    clip.scenes_every(10);
    let events = clip.path("events.json");
    let args = format!("{QUICK} --min-chunk-length 1 --events '{}'", events.display());
    let mut first = clip.command(&args).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first chunk", || !started(&events).is_empty());
    let error = clip.encode_badly(QUICK, 1);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(error.contains("another run is working in"), "{error}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// An aomenc that does `on_chunk` instead when it encodes the chunk of frames 20 to 40.
    fn encoder(clip: &Clip, on_chunk: &str) -> PathBuf {
        let path = clip.path("aomenc.sh");
        let real = common::require("aomenc");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *0000020-0000040*) {on_chunk};; esac\nexec {} \"$@\"\n",
            real.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_crash_is_retried_and_unnoticed_in_the_result() {
        let clip = Clip::new(60);
        clip.scenes_every(20);
        let once = "if mkdir \"$(dirname \"$0\")/crashed\"; then head -c 9999 >/dev/null; kill -9 $$; fi";
        let program = encoder(&clip, once);
        let args = format!("{QUICK} --min-chunk-length 1 --encoder-path '{}'", program.display());
        let text = clip.encode_well(&args);
        assert!(text.contains("chunk 1 failed and is tried once more"), "{text}");
        assert!(text.contains("was killed by signal 9"), "{text}");
        clip.assert_every_frame();
    }

    #[test]
    fn a_chunk_that_keeps_failing_is_reported_and_the_others_are_kept() {
        let clip = Clip::new(60);
        clip.scenes_every(20);
        let program =
            encoder(&clip, "cat >/dev/null; echo 'first words' >&2; echo 'out of luck' >&2; exit 3");
        let args = format!("{QUICK} --min-chunk-length 1 --encoder-path '{}'", program.display());
        let error = clip.encode_badly(&args, 1);
        for wanted in
            ["chunk 1, frames 20 to 40", "ended with exit code 3", "first words", "out of luck", "--resume"]
        {
            assert!(error.contains(wanted), "{error}");
        }
        assert!(!clip.output().exists());
        let mut kept = clip.journal();
        kept.sort_unstable();
        assert_eq!(kept, [0, 40]);
        clip.encode_well(&format!("{QUICK} --min-chunk-length 1 --resume"));
        assert_eq!(clip.journal()[2..], [20]);
        clip.assert_every_frame();
    }

    /// An encoder that ends with exit code 0 and too few frames, as on SIGINT.
    #[test]
    fn a_short_chunk_is_no_finished_chunk() {
        let clip = Clip::new(60);
        clip.scenes_every(20);
        let program = encoder(&clip, "set -- --limit=7 \"$@\"");
        let args = format!("{QUICK} --min-chunk-length 1 --encoder-path '{}'", program.display());
        let error = clip.encode_badly(&args, 1);
        assert!(error.contains("the file has 7 of"), "{error}");
    }

    #[test]
    fn a_full_disk_ends_the_run_with_what_to_do() {
        let clip = Clip::new(60);
        clip.scenes_every(20);
        let program = encoder(&clip, "exit 1");
        // Every write through this name fails with "no space left on device".
        std::fs::create_dir_all(clip.path("clip.chunks")).unwrap();
        symlink("/dev/full", clip.path("clip.chunks/space-probe")).unwrap();
        let args = format!("{QUICK} --min-chunk-length 1 --encoder-path '{}'", program.display());
        let error = clip.encode_badly(&args, 1);
        assert!(error.contains("nothing more can be written") && error.contains("os error 28"), "{error}");
        clip.encode_well(&format!("{QUICK} --min-chunk-length 1 --resume"));
        clip.assert_every_frame();
    }

    #[test]
    fn ctrl_c_leaves_a_folder_to_resume_from() {
        let clip = Clip::new(1200);
        clip.scenes_every(10);
        let args = format!("{QUICK} --min-chunk-length 1");
        let mut run = clip.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("three chunks", || clip.journal().len() >= 3);
        common::interrupt(&run);
        let status = run.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(130), None));
        let finished = clip.journal().len();
        assert!(finished >= 3 && !clip.output().exists());
        clip.encode_well(&format!("{args} --resume"));
        assert_eq!(clip.journal().len(), 120);
        clip.assert_every_frame();
    }
}
