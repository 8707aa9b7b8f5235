//! Building TensorRT engines, with a program in the place of trtexec: there is
//! no GPU where these tests run.
#![cfg(unix)]

mod drawn;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use progression_boost::character::{Engine, Network, find_trtexec};
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

struct Bench {
    folder: tempfile::TempDir,
    model: PathBuf,
    network: Network,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("isnet_is.onnx");
        std::fs::write(&model, drawn::red_network()).unwrap();
        let network = Network::open(&model).unwrap();
        Self { folder, model, network }
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            model: &self.model,
            network: &self.network,
            width: 1920,
            height: 1088,
            device: 1,
            gpu: "NVIDIA GeForce RTX 4090".to_owned(),
            version: 101_303,
        }
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("engines")
    }

    /// A trtexec that notes its arguments and then does `then`; `$engine` is
    /// the file that it is to write.
    fn trtexec(&self, then: &str) -> PathBuf {
        let path = self.folder.path().join("trtexec");
        let log = self.folder.path().join("arguments");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\nfor word; do case $word in --saveEngine=*) \
             engine=${{word#--saveEngine=}};; esac; done\n{then}\n",
            log.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn arguments(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("arguments")).unwrap_or_default()
    }

    fn ready(&self, trtexec: &Path, cancel: &Cancel) -> anyhow::Result<PathBuf> {
        self.engine().ready(&self.folder(), trtexec, &Events::silent(), cancel)
    }
}

const WRITES_AN_ENGINE: &str = "head -c 2000 /dev/zero > \"$engine\"";

#[test]
fn an_engine_is_built_once_with_the_arguments_of_the_specification() {
    let bench = Bench::new();
    let trtexec = bench.trtexec(WRITES_AN_ENGINE);
    let built = bench.ready(&trtexec, &Cancel::new()).unwrap();
    assert_eq!(std::fs::metadata(&built).unwrap().len(), 2000);
    let arguments = bench.arguments();
    for wanted in [
        &format!("--onnx={}", bench.model.display())[..],
        "--fp16",
        "--minShapes=input:1x3x1088x1920",
        "--optShapes=input:1x3x1088x1920",
        "--maxShapes=input:1x3x1088x1920",
        "--device=1",
    ] {
        assert!(arguments.lines().any(|line| line == wanted), "{wanted}: {arguments}");
    }
    // Nothing but the engine is left in the folder, and a second call builds none.
    assert_eq!(std::fs::read_dir(bench.folder()).unwrap().count(), 1);
    let broken = bench.trtexec("exit 1");
    assert_eq!(bench.ready(&broken, &Cancel::new()).unwrap(), built);
}

#[test]
fn the_name_changes_with_all_that_an_engine_depends_on() {
    let bench = Bench::new();
    let base = bench.engine();
    let name = base.file_name().unwrap();
    assert!(name.starts_with("isnet_is-1920x1088-fp16-") && name.ends_with(".engine"), "{name}");
    assert_eq!(bench.engine().file_name().unwrap(), name);
    let mut names = vec![
        name,
        Engine { width: 1280, ..base.clone() }.file_name().unwrap(),
        Engine { height: 704, ..base.clone() }.file_name().unwrap(),
        Engine { gpu: "NVIDIA GeForce RTX 3060".to_owned(), ..base.clone() }.file_name().unwrap(),
        Engine { version: 100_805, ..base.clone() }.file_name().unwrap(),
        Engine { version: 110_000, ..base }.file_name().unwrap(),
    ];
    std::fs::write(&bench.model, drawn::colour_network()).unwrap();
    names.push(bench.engine().file_name().unwrap());
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

#[test]
fn newer_trtexec_is_not_asked_for_half_precision() {
    let bench = Bench::new();
    let engine = Engine { version: 110_000, ..bench.engine() };
    let words = engine.arguments(Path::new("out.engine"));
    assert!(!words.iter().any(|word| word == "--fp16"), "{words:?}");
    assert!(words.iter().any(|word| word == "--saveEngine=out.engine"), "{words:?}");
}

#[test]
fn a_failed_build_shows_what_trtexec_said_last_and_leaves_nothing() {
    let bench = Bench::new();
    let trtexec = bench.trtexec("echo '[E] Error[2]: out of memory' >&2; echo half > \"$engine\"; exit 1");
    let error = format!("{:#}", bench.ready(&trtexec, &Cancel::new()).unwrap_err());
    for wanted in ["no TensorRT engine", "exit code 1", "--saveEngine=", "Error[2]: out of memory"] {
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    assert_eq!(std::fs::read_dir(bench.folder()).unwrap().count(), 0);
}

#[test]
fn a_build_that_ends_well_without_an_engine_is_a_failure() {
    let bench = Bench::new();
    let trtexec = bench.trtexec("echo short > \"$engine\"");
    let error = format!("{:#}", bench.ready(&trtexec, &Cancel::new()).unwrap_err());
    assert!(error.contains("wrote no engine"), "{error}");
    assert_eq!(std::fs::read_dir(bench.folder()).unwrap().count(), 0);
}

#[test]
fn a_build_can_be_interrupted() {
    let bench = Bench::new();
    let trtexec = bench.trtexec("sleep 60");
    let cancel = Cancel::new();
    let stopper = cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stopper.cancel();
    });
    let begun = Instant::now();
    let error = bench.ready(&trtexec, &cancel).unwrap_err();
    thread.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(format!("{error:#}").contains("interrupted"), "{error:#}");
    assert_eq!(std::fs::read_dir(bench.folder()).unwrap().count(), 0);
}

#[test]
fn trtexec_is_found_by_option_and_beside_the_plugin() {
    let bench = Bench::new();
    let trtexec = bench.trtexec("");
    assert_eq!(find_trtexec(Some(&trtexec), None).unwrap(), trtexec);
    let error = find_trtexec(Some(Path::new("/no/such/trtexec")), None).unwrap_err();
    assert!(format!("{error:#}").contains("/no/such/trtexec is no program"), "{error:#}");
    if which::which("trtexec").is_ok() {
        return;
    }
    assert!(find_trtexec(None, None).unwrap_err().to_string().contains("--trtexec"));
    let beside = bench.folder.path().join("vsmlrt-cuda");
    std::fs::create_dir(&beside).unwrap();
    std::fs::rename(&trtexec, beside.join("trtexec")).unwrap();
    let plugin = bench.folder.path().join("libvstrt.so");
    assert_eq!(find_trtexec(None, Some(&plugin)).unwrap(), beside.join("trtexec"));
}
