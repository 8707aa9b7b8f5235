//! What the fuzzers found worth keeping (CONTRIBUTING.md says how to run them),
//! through the functions that they call: inputs that reach new code, and those
//! that once broke something, whose names begin with `mended`.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Far more than any of them needs.
const LIMIT: Duration = Duration::from_mins(1);

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_kept_input_is_read_without_a_fault() {
    for (name, run) in targets::TARGETS {
        let inputs = files(&corpus().join(name));
        assert!(inputs.len() >= 5, "{name} has {} inputs", inputs.len());
        for path in inputs {
            let data = std::fs::read(&path).unwrap();
            let (ended, end) = channel();
            let worker = std::thread::spawn(move || {
                run(&data);
                let _ = ended.send(());
            });
            match end.recv_timeout(LIMIT) {
                Ok(()) => worker.join().unwrap(),
                Err(RecvTimeoutError::Disconnected) => panic!("{} panics, see above", path.display()),
                Err(RecvTimeoutError::Timeout) => panic!("{} takes more than {LIMIT:?}", path.display()),
            }
        }
    }
}

/// A folder whose target has another name would be read by nobody.
#[test]
fn every_folder_belongs_to_a_target_that_cargo_fuzz_knows() {
    let mut names: Vec<_> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    let folders: Vec<_> =
        files(&corpus()).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(folders, names);
    let manifest = std::fs::read_to_string(corpus().join("../Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
