//! What a run that ended well, badly or not at all leaves behind: nothing that
//! is finished is lost, nothing else stays.

use std::path::PathBuf;

use super::QUICK;
use super::common::{self, Ended};
use super::tools::Clip;

/// The bytes of the finished chunks, by name, and the journal's.
fn finished(clip: &Clip) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = clip.path("clip.chunks/encoded-chunks");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.push(clip.path("clip.chunks/encode.journal"));
    files.sort();
    let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
    files.into_iter().map(read).collect()
}

/// Without `--force` and `--resume`.
fn bare(clip: &Clip, output: &str) -> Ended {
    let mut command = common::program(clip.folder.path());
    command.args(["encode", "clip.vpy", "-o", output, QUICK]);
    Ended::of(&command.output().unwrap())
}

#[test]
fn finished_chunks_survive_whatever_is_mistyped() {
    let clip = Clip::new(40);
    clip.scenes_every(20);
    let args = format!("{QUICK} --min-chunk-length 1");
    clip.encode_well(&args);
    let before = finished(&clip);
    assert_eq!(before.len(), 3);
    for wrong in [
        "--scenes no-such.json",
        "--qpfile no-such.txt",
        "--encoder-path /nowhere/aomenc",
        "--params=--cpu-use=3",
        "--params=--sharpness=99",
        "--graintable no-such.tbl",
        "--encoder-presets no-such.toml",
    ] {
        // --force allows to start over, but only a run that can.
        clip.encode_badly(wrong, 1);
        assert!(finished(&clip) == before, "{wrong}");
    }
    // Nobody allowed to start over.
    let refused = bare(&clip, "other.mkv");
    refused.failed(1, &["finished 2 chunks", "--resume", "--force", "--temp"]);
    assert!(finished(&clip) == before && !clip.path("other.mkv").exists());
    let text = clip.encode_well(&format!("{args} --resume -v"));
    assert!(text.contains("2 of 2 chunks"), "{text}");
    let text = clip.encode_well(&args);
    assert!(text.contains("2 chunks of an earlier run were cleared"), "{text}");
}

#[test]
fn chunks_of_other_settings_go_when_a_run_has_succeeded() {
    let clip = Clip::new(40);
    clip.scenes_every(20);
    let args = format!("{QUICK} --min-chunk-length 1 --resume -v");
    clip.encode_well(&args);
    let first = finished(&clip);
    // One that fails removes nothing.
    let failing = format!("{args} --q 30 --muxer ffmpeg --copy-from clip.vpy");
    clip.encode_badly(&failing, 1);
    assert_eq!(finished(&clip).len(), 5);
    let text = clip.encode_well(&format!("{args} --q 30"));
    assert!(text.contains("2 chunks of other settings, "), "{text}");
    let second = finished(&clip);
    assert_eq!(second.len(), 3);
    assert!(
        second
            .iter()
            .all(|(path, _)| path.ends_with("encode.journal") || first.iter().all(|(p, _)| p != path))
    );
    clip.assert_every_frame_within(6.0);
}

#[test]
fn clean_leaves_nothing_of_either_encoder() {
    let clip = Clip::new(20);
    for args in ["--params=--cpu-used=6", "--encoder svt-av1 --params '--preset 10' --scene-method builtin"] {
        clip.encode_well(&format!("{args} --clean"));
        let left = std::fs::read_dir(clip.folder.path()).unwrap().map(|e| e.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["clip.vpy", "out.mkv"], "{args}");
    }
}

#[cfg(unix)]
mod unix {
    use std::fmt::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Stdio;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use super::*;

    fn script(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn hidden(clip: &Clip) -> Vec<PathBuf> {
        let folders = [clip.folder.path().to_owned(), clip.path("clip.chunks")];
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with('.')).collect()
    }

    /// The muxer stops in the middle of its file, and the run is killed there.
    #[test]
    fn a_run_killed_while_muxing_leaves_no_film_sized_files_for_ever() {
        let clip = Clip::new(40);
        clip.scenes_every(20);
        let programs = clip.path("programs");
        std::fs::create_dir(&programs).unwrap();
        let stuck = "#!/bin/sh\nwhile [ \"$1\" != --output ]; do shift; done\necho half > \"$2\"\n\
                     : > \"$(dirname \"$0\")/stuck\"\nexec sleep 20\n";
        script(&programs.join("mkvmerge"), stuck);
        let mut path = programs.clone().into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let args = format!("{QUICK} --min-chunk-length 1 --resume");
        let mut run = clip.command(&args).env("PATH", path).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !programs.join("stuck").exists() {
            assert!(begun.elapsed() < Duration::from_mins(2), "the muxer was never started");
            sleep(Duration::from_millis(5));
        }
        run.kill().unwrap();
        run.wait().unwrap();
        assert_eq!(hidden(&clip).len(), 1, "{:?}", hidden(&clip));
        assert!(clip.path("clip.chunks/joined.ivf").exists());
        // Even one that comes to nothing tidies up.
        clip.encode_badly("--encoder-path /nowhere/aomenc", 1);
        assert!(hidden(&clip).is_empty(), "{:?}", hidden(&clip));
        assert!(!clip.path("clip.chunks/joined.ivf").exists());
        clip.encode_well(&args);
        assert_eq!(clip.journal().len(), 2);
        clip.assert_every_frame();
    }

    /// Chunks 3 to 5 never come through, chunk 6 not the first time.
    #[test]
    fn failures_at_the_start_of_a_resumed_run_do_not_end_it() {
        let clip = Clip::new(70);
        clip.scenes_every(10);
        let mut cases = String::new();
        for start in [30, 40, 50] {
            writeln!(cases, "case \"$*\" in *{start:07}-*) exit 3;; esac").unwrap();
        }
        let once = "case \"$*\" in *0000060-*) [ -e \"$0.again\" ] || exit 3;; esac";
        let real = common::require("aomenc");
        let program = clip.path("aomenc.sh");
        script(&program, &format!("#!/bin/sh\n{cases}{once}\nexec '{}' \"$@\"\n", real.display()));
        let args = format!(
            "{QUICK} --min-chunk-length 1 --max-parallel-encodes 1 --resume --encoder-path '{}'",
            program.display()
        );
        let error = clip.encode_badly(&args, 1);
        assert!(error.contains("4 of 7 chunks failed twice"), "{error}");
        std::fs::write(clip.path("aomenc.sh.again"), "").unwrap();
        let error = clip.encode_badly(&args, 1);
        assert!(error.contains("3 of 4 chunks failed twice"), "{error}");
        assert_eq!(clip.journal(), [0, 10, 20, 60]);
    }
}
