//! Outside programs: which the tests may start, and where they are.
//!
//! `scripts/programs.txt` is the whole list; `scripts/test.sh` installs by it
//! before it builds anything. Versions that a distribution does not have lie in
//! a cache folder outside the clone, which `scripts/test.sh` fills and names in
//! the environment; without that the folder's usual place is searched.

use std::path::PathBuf;
use std::process::{Child, Command};

use progression_boost::source::runtime;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, Signal, System, UpdateKind};

/// Lines of need, program and packages.
const PROGRAMS: &str = include_str!("../../scripts/programs.txt");

/// Needs of which no test makes use: what only compiles is not started.
const NOT_FOR_TESTS: &str = "build";

/// The programs that a test may start.
pub fn listed() -> Vec<&'static str> {
    let lines = PROGRAMS.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words[0] != NOT_FOR_TESTS).map(|words| words[1]).collect()
}

/// A program of the list, from the PATH.
#[track_caller]
pub fn require(program: &str) -> PathBuf {
    assert!(
        listed().contains(&program),
        "`{program}` is not in scripts/programs.txt, so no script would install it; add it there"
    );
    which::which(program).unwrap_or_else(|_| {
        panic!("`{program}` is not on the PATH; scripts/test.sh installs it or says how to")
    })
}

/// A program of the list, to be started.
#[track_caller]
pub fn tool(program: &str) -> Command {
    Command::new(require(program))
}

/// av1an 0.5.2, to be started with the environment of [`vapoursynth_folder`];
/// where the cache has none, `scripts/test.sh` names one of the PATH.
#[track_caller]
pub fn av1an() -> PathBuf {
    let named = std::env::var_os("PROGRESSION_BOOST_TEST_AV1AN").filter(|path| !path.is_empty());
    let path = named.map_or_else(|| cache_folder().join("av1an-0.5.2/bin/av1an"), PathBuf::from);
    prepared(path)
}

/// A version of `SvtAv1EncApp`, whichever the distribution has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Svt {
    /// 1.4.1: integer CRF up to 63, no ROI maps; ends some refusals with exit code 0.
    V1_4,
    /// 2.3.0: integer CRF up to 63, ROI maps.
    V2_3,
    /// 4.2.0: quarter-step CRF up to 70, ROI maps.
    V4_2,
}

impl Svt {
    pub const ALL: [Self; 3] = [Self::V1_4, Self::V2_3, Self::V4_2];

    pub fn version(self) -> &'static str {
        match self {
            Self::V1_4 => "1.4.1",
            Self::V2_3 => "2.3.0",
            Self::V4_2 => "4.2.0",
        }
    }
}

#[track_caller]
pub fn svt(version: Svt) -> PathBuf {
    prepared(cache_folder().join(format!("svt-av1-{}/SvtAv1EncApp", version.version())))
}

/// The folder with VapourSynth's libraries and `vspipe`, which av1an wants on
/// the loader's path and on the PATH.
pub fn vapoursynth_folder() -> PathBuf {
    let library = runtime::locate(Some(&super::example("ep01.vpy"))).expect("VapourSynth is installed");
    library.parent().expect("VSScript lies in a folder").to_owned()
}

/// A path where `scripts/test.sh` leaves a program, if it could.
#[track_caller]
fn prepared(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing; run scripts/test.sh, which prepares it", path.display());
    path
}

/// Where `scripts/test.sh` keeps its tools; the same rule as there.
fn cache_folder() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("PROGRESSION_BOOST_TEST_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("progression-boost-tests")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/progression-boost-tests")))
        .unwrap_or_else(|| {
            panic!("neither PROGRESSION_BOOST_TEST_CACHE nor HOME is set; run scripts/test.sh")
        })
}

/// What Ctrl-C sends.
#[track_caller]
pub fn interrupt(child: &Child) {
    let id = Pid::from_u32(child.id());
    let mut system = System::new().unwrap();
    system.refresh_processes(ProcessesToUpdate::Some(&[id]), true);
    let process = system.process(id).expect("the child is running");
    assert_eq!(process.kill_with(Signal::Interrupt), Some(true));
}

/// Command lines of the running processes that name `text`.
pub fn running(text: &str) -> Vec<String> {
    let mut system = System::new().unwrap();
    let commands = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, commands);
    let lines = system.processes().values().map(|process| {
        let words: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    });
    lines.filter(|line| line.contains(text)).collect()
}
