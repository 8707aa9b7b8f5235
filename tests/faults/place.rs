//! A folder with a small clip, an encoder that can be made to fail, and the
//! three commands run in it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use progression_boost::formats::matroska::Packets;

use super::common::{self, Ended};
use super::table::Trouble;
use super::{Command, undisturbed};

/// Shots of the clip.
const SHOTS: [usize; 3] = [14, 14, 12];

/// The frame whose rendering fails.
const BROKEN_FRAME: usize = 20;

/// The clip. Its filter gives up when the file `filter` is there, after it has
/// rendered the frame as often as that says; its source is missing frames when
/// the file `frames.raw` is cut off. Both are looked for in `HERE`, so that no
/// file is named: those would be inputs.
fn script() -> String {
    format!(
        "{}\
import os
here = os.environ['HERE']
patience = os.path.join(here, 'filter')
rendered = []
def touched(n):
    if n == {BROKEN_FRAME} and os.path.exists(patience):
        rendered.append(n)
        if len(rendered) > int(open(patience).read()):
            raise vs.Error('the filter gave up')
    return clip
def read(n, f):
    with open(os.path.join(here, 'frames' + '.raw'), 'rb') as source:
        source.seek(n)
        if len(source.read(1)) != 1:
            raise EOFError('the source ends before frame %d' % n)
    return f
filtered = clip.std.FrameEval(touched)
whole = filtered.std.ModifyFrame(filtered, read)
# Without their caches every request comes through.
filtered.std.SetVideoCache(mode=0)
whole.std.SetVideoCache(mode=0)
whole.set_output()
",
        common::three_shots(SHOTS)
    )
}

/// Each scene with what it is encoded with.
fn scenes() -> String {
    let mut start = 0;
    let scene = |(length, crf): (usize, u32)| {
        let end = start + length;
        let text = format!(
            r#"{{"start_frame": {start}, "end_frame": {end}, "zone_overrides": {{"encoder": "svt_av1", "passes": 1,
            "video_params": ["--crf", "{crf}", "--preset", "10", "--lp", "1"], "photon_noise": null,
            "chroma_noise": false, "min_scene_len": 12}}}}"#
        );
        start = end;
        text
    };
    let all: Vec<String> = SHOTS.into_iter().zip([20, 30, 40]).map(scene).collect();
    format!(r#"{{"frames": {}, "scenes": [{}]}}"#, SHOTS.iter().sum::<usize>(), all.join(","))
}

/// The encoder of all places, so that what it can do is found out once. In a
/// place with a file `trick` it does that when it encodes the middle scene.
fn encoder() -> &'static Path {
    static ENCODER: OnceLock<PathBuf> = OnceLock::new();
    ENCODER.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encoder-of-the-faults");
        let real = common::require("SvtAv1EncApp");
        let script = format!(
            "#!/bin/sh\nreal='{}'\nout=\nlast=\n\
             for word in \"$@\"; do [ \"$last\" = -b ] && out=$word; last=$word; done\n\
             case \"$out\" in\n*/probes/.00001-*|*/encoded-chunks/.{:07}-*)\n\
             [ -e \"$HERE/trick\" ] && . \"$HERE/trick\";;\nesac\nexec \"$real\" \"$@\"\n",
            real.display(),
            SHOTS[0]
        );
        executable(&path, &script);
        path
    })
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// How a disturbed run ended, and the line that tells why.
pub struct Happened {
    pub ended: Ended,
    pub message: String,
}

pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new(command: Command) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(place.path("clip.vpy"), script()).unwrap();
        std::fs::write(place.path("final.json"), scenes()).unwrap();
        place.heal();
        if command == Command::Verify {
            place.put_encode();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The undisturbed encode, for `verify`.
    fn put_encode(&self) {
        static FILM: OnceLock<Vec<u8>> = OnceLock::new();
        let film = FILM.get_or_init(|| {
            let place = Self::new(Command::Encode);
            assert_eq!(place.run(Command::Encode, false, &[]).code, Some(0));
            std::fs::read(place.path("out.mkv")).unwrap()
        });
        std::fs::write(self.path("out.mkv"), film).unwrap();
    }

    /// Takes away what [`Place::disturb`] put there.
    pub fn heal(&self) {
        for name in ["trick", "filter", "programs/mkvmerge", "events"] {
            let _ = std::fs::remove_file(self.path(name));
        }
        let frames: usize = SHOTS.iter().sum();
        std::fs::write(self.path("frames.raw"), vec![0; frames]).unwrap();
        if self.path("out.whole").exists() {
            std::fs::rename(self.path("out.whole"), self.path("out.mkv")).unwrap();
        }
    }

    fn command(&self, command: Command, resume: bool, more: &[&str]) -> Process {
        let mut process = common::program(self.folder.path());
        let encoder = encoder().to_str().unwrap();
        let metric = ["--preset", "ssimu2-mean", "--set", "metric.backend=native"];
        match command {
            Command::Boost => process
                .args(["clip.vpy", "--input-scenes", "final.json", "--encoder-path", encoder])
                .args(["--probing-preset", "12", "--final-preset", "10", "--lp", "1", "--workers", "1"])
                .args(metric),
            Command::Encode => process
                .args(["encode", "clip.vpy", "--scenes", "final.json"])
                .args(if more.contains(&"-o") { &[][..] } else { &["-o", "out.mkv"] })
                .args(["--min-chunk-length", "1", "--max-parallel-encodes", "1", "--encoder-path", encoder]),
            Command::Verify => process
                .args(["verify", "clip.vpy", "out.mkv", "--scenes", "final.json", "--json", "report.json"])
                .args(metric),
        };
        process.args((resume && command != Command::Verify).then_some("--resume")).args(more);
        process.env("HERE", self.folder.path()).env("PATH", self.programs());
        process
    }

    /// The PATH, with a folder of this place first.
    fn programs(&self) -> OsString {
        let mut all = vec![self.path("programs")];
        all.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        std::env::join_paths(all).unwrap()
    }

    pub fn run(&self, command: Command, resume: bool, more: &[&str]) -> Ended {
        Ended::of(&self.command(command, resume, more).output().unwrap())
    }

    /// Runs `command` with `trouble`.
    pub fn disturb(&self, command: Command, trouble: &Trouble) -> Happened {
        let ended = match *trouble {
            Trouble::Encoder(trick) => {
                std::fs::write(self.path("trick"), trick).unwrap();
                self.run(command, false, &[])
            }
            Trouble::EncoderHangs => {
                std::fs::write(self.path("trick"), "exec sleep 600\n").unwrap();
                self.run(command, false, &["--encoder-timeout", "3"])
            }
            Trouble::Filter(patience) => {
                std::fs::write(self.path("filter"), patience.to_string()).unwrap();
                self.run(command, false, &[])
            }
            Trouble::Source => {
                std::fs::write(self.path("frames.raw"), vec![0; BROKEN_FRAME]).unwrap();
                self.run(command, false, &[])
            }
            Trouble::Metric => {
                let inner = self.command(command, false, &[]);
                let mut faulty = Process::new(common::example_program("faulty_metric"));
                like(&mut faulty, &inner);
                Ended::of(&faulty.output().unwrap())
            }
            Trouble::LargestFile(half_kibibytes) => self.limited(command, half_kibibytes),
            Trouble::Damage(damage) => {
                let film = std::fs::read(self.path("out.mkv")).unwrap();
                std::fs::rename(self.path("out.mkv"), self.path("out.whole")).unwrap();
                std::fs::write(self.path("out.mkv"), damage(film)).unwrap();
                self.run(command, false, &[])
            }
            Trouble::KilledAfter(event) => self.killed(command, event),
            Trouble::KilledWhileMuxing => self.killed_while_muxing(command),
            Trouble::ReadOnly(option, name) => {
                let place = read_only(self.folder.path()).join(name);
                self.run(command, false, &[option, place.to_str().unwrap()])
            }
            Trouble::ClockJumpsAfter(trick) => {
                std::fs::write(self.path("trick"), trick).unwrap();
                let ended = self.run(command, false, &[]);
                let century = Duration::from_hours(100 * 365 * 24);
                dated(self.folder.path(), SystemTime::now() + century);
                ended
            }
            Trouble::FilesOfTheFuture => {
                dated(self.folder.path(), SystemTime::now() + Duration::from_secs(1 << 31));
                self.run(command, false, &[])
            }
        };
        let line = |mark: &&str| ended.stderr.lines().rev().find(|line| line.contains(mark));
        let message = trouble.marks().iter().find_map(line).unwrap_or("it says nothing").trim();
        Happened { message: message.replace(&self.folder.path().display().to_string(), "…"), ended }
    }

    /// A limit on the size of files behaves like a full disk: writes fail part way.
    fn limited(&self, command: Command, half_kibibytes: usize) -> Ended {
        let inner = self.command(command, false, &[]);
        let mut limited = common::tool("sh");
        let limit = format!("trap '' XFSZ; ulimit -f {half_kibibytes}; exec \"$@\"");
        limited.args(["-c", &limit, "sh"]).arg(inner.get_program());
        like(&mut limited, &inner);
        Ended::of(&limited.output().unwrap())
    }

    /// SIGKILL as soon as the events tell of `event`.
    fn killed(&self, command: Command, event: &str) -> Ended {
        let events = self.path("events");
        let seen = || std::fs::read_to_string(&events).is_ok_and(|text| text.contains(event));
        killed_when(&mut self.command(command, false, &["--events", "events"]), seen)
    }

    /// The muxer stops in the middle of its file.
    fn killed_while_muxing(&self, command: Command) -> Ended {
        std::fs::create_dir_all(self.path("programs")).unwrap();
        let stuck = "#!/bin/sh\nwhile [ \"$1\" != --output ]; do shift; done\necho half > \"$2\"\n\
                     : > \"$HERE/events\"\nexec sleep 10\n";
        executable(&self.path("programs/mkvmerge"), stuck);
        let events = self.path("events");
        killed_when(&mut self.command(command, false, &[]), || events.exists())
    }

    pub fn has_result(&self, command: Command) -> bool {
        self.path(result_of(command)).exists()
    }

    /// The scenes file, the frames of the film, or the report.
    pub fn result(&self, command: Command) -> Vec<u8> {
        let path = self.path(result_of(command));
        if command == Command::Encode {
            return Packets::open(&path).unwrap().flat_map(Result::unwrap).collect();
        }
        std::fs::read(path).unwrap()
    }

    /// What the work folder remembers as finished.
    pub fn journal(&self, command: Command) -> Vec<u8> {
        let name = match command {
            Command::Boost => "clip.boost/journal.ndjson",
            Command::Encode => "clip.chunks/encode.journal",
            Command::Verify => return Vec::new(),
        };
        std::fs::read(self.path(name)).unwrap_or_default()
    }

    /// Unfinished files after a run that went well.
    pub fn left_over(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.file_name().unwrap().to_string_lossy().starts_with('.') {
                    found.push(path.clone());
                }
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }
}

/// Gives `process` the arguments, folder and environment of `other`.
fn like(process: &mut Process, other: &Process) {
    process.args(other.get_args());
    process.current_dir(other.get_current_dir().unwrap());
    process.envs(other.get_envs().filter_map(|(key, value)| Some((key, value?))));
}

fn killed_when(process: &mut Process, now: impl Fn() -> bool) -> Ended {
    let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !now() {
        assert!(begun.elapsed() < Duration::from_mins(2), "the moment to kill it never came");
        assert!(child.try_wait().unwrap().is_none(), "it ended before the moment to kill it");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    let code = child.wait().unwrap().code();
    Ended { code, stdout: String::new(), stderr: String::new() }
}

fn result_of(command: Command) -> &'static str {
    match command {
        Command::Boost => "clip.scenes.json",
        Command::Encode => "out.mkv",
        Command::Verify => "report.json",
    }
}

/// A folder that nothing can be written to, by root neither.
fn read_only(within: &Path) -> PathBuf {
    let folder = within.join("read-only");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let candidates = [folder, PathBuf::from("/sys"), PathBuf::from("/proc")];
    let refuses = |folder: &&PathBuf| tempfile::tempfile_in(folder).is_err();
    candidates.iter().find(refuses).expect("some folder is read-only").clone()
}

/// Gives all files below `folder` this time.
fn dated(folder: &Path, time: SystemTime) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            dated(&path, time);
        }
        std::fs::File::open(&path).and_then(|file| file.set_modified(time)).unwrap();
    }
}

/// Made here so that two tests do not wait for each other's encode later on.
#[test]
fn undisturbed_runs_give_results() {
    for command in [Command::Boost, Command::Encode, Command::Verify] {
        assert!(!undisturbed(command).is_empty());
    }
}
