//! A real encode: av1an with more workers than cores, on a script that waits.

mod dispatch_support;
#[path = "dispatch_support/load.rs"]
mod load;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dispatch_support::{Local, common, program, status};
use load::OwnLoad;
use progression_boost::dispatch::sensors::CpuMeter;
use progression_boost::dispatch::settings::Settings;

const SCENES: usize = 8;
const FRAMES_A_SCENE: usize = 30;

/// Percent; with 2 logical CPUs an encoder of one thread takes 50.
const MAX_CPU: f64 = 95.0;
const RESERVE: Duration = Duration::from_secs(1);

/// A moving pattern of its own colour in every scene, 320×180, drawn by filters.
/// `wait` comes where a user pastes the snippet.
fn script(wait: &str) -> String {
    format!(
        r"
import vapoursynth as vs
core = vs.core

def tile(n, light):
    colour = [(30 + 25 * n + 60 * light) % 220 + 16, (40 * n + 50) % 224 + 16, (90 * n + 80) % 224 + 16]
    return core.std.BlankClip(format=vs.YUV420P8, width=10, height=10, length=1, fpsnum=24, color=colour)

def scene(n):
    rows = [core.std.StackHorizontal([tile(n, (x * y + x) % 3) for x in range(44)]) for y in range(24)]
    board = core.std.StackVertical(rows).std.Convolution([1, 2, 1, 2, 4, 2, 1, 2, 1])
    return core.std.Splice([board.std.CropAbs(320, 180, 4 * i, 2 * i) for i in range({FRAMES_A_SCENE})])

clip = core.std.Splice([scene(n) for n in range({SCENES})])
{wait}
clip.set_output()
"
    )
}

/// The printed snippet, then a line in `log` for everyone who passed.
fn waiting(port: u16, log: &Path) -> String {
    let output = program(&["snippet", "--port", &port.to_string()]).output().unwrap();
    assert!(output.status.success());
    let snippet = String::from_utf8(output.stdout).unwrap();
    let log = log.display();
    format!(
        "{snippet}\nimport time\nwith open(r'{log}', 'a') as log:\n    log.write('%.3f\\n' % time.time())\n"
    )
}

/// Encodes `script` in `folder` and returns how long that took.
fn encode(folder: &Path, name: &str, script: &str, workers: usize) -> Duration {
    common::require("SvtAv1EncApp");
    common::require("mkvmerge");
    let input = folder.join(format!("{name}.vpy"));
    std::fs::write(&input, script).unwrap();
    let libraries = common::vapoursynth_folder();
    let mut path = vec![libraries.clone()];
    path.extend(
        libraries.ancestors().map(|folder| folder.join("bin")).filter(|bin| bin.join("vspipe").is_file()),
    );
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let start = Instant::now();
    let output = Command::new(common::av1an())
        .current_dir(folder)
        .arg("-i")
        .arg(&input)
        .args(["-y", "-w", &workers.to_string(), "-e", "svt-av1", "-v", "--preset 2 --crf 40 --lp 1"])
        .args(["-m", "select", "--split-method", "none", "--min-scene-len", "6", "-x"])
        .args([&FRAMES_A_SCENE.to_string(), "--temp", &format!("{name}.temp"), "-o", &format!("{name}.mkv")])
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("LD_LIBRARY_PATH", &libraries)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

fn frames(file: &Path) -> usize {
    let output = common::tool("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().trim_end_matches(',').parse().unwrap()
}

/// A meter that keeps what it measured.
struct Recording {
    meter: OwnLoad,
    samples: Arc<Mutex<Vec<f64>>>,
}

impl CpuMeter for Recording {
    fn sample(&mut self) -> anyhow::Result<Option<f64>> {
        let sample = self.meter.sample()?;
        self.samples.lock().unwrap().extend(sample);
        Ok(sample)
    }
}

/// A release as seen from outside: when, and the mean of the last second's samples.
#[derive(Clone, Copy)]
struct Seen {
    at: SystemTime,
    used: f64,
}

/// Every release must have had room: what was measured and what was reserved
/// for those released less than `RESERVE` before stay below the maximum.
fn check_releases(seen: &[Seen], worker_cpu: f64) {
    // Messages come a little after the decision they tell of.
    let margin = Duration::from_millis(100);
    for (n, release) in seen.iter().enumerate() {
        let age = |earlier: &Seen| release.at.duration_since(earlier.at).unwrap_or_default();
        let reserved = seen[..n].iter().filter(|earlier| age(earlier) + margin < RESERVE).count() as f64;
        let taken = release.used + reserved * worker_cpu;
        assert!(taken < MAX_CPU, "release {n}: {:.1} % used, {reserved} workers reserved", release.used);
    }
}

#[test]
fn av1an_with_many_workers_is_held_to_what_the_cpu_allows() {
    let folder = tempfile::tempdir().unwrap();
    let logical = std::thread::available_parallelism().unwrap().get();
    let worker_cpu = 60.0 / logical as f64;
    let settings = Settings {
        port: 0,
        worker_cpu,
        max_cpu: MAX_CPU,
        worker_vram: 0,
        reserve: RESERVE,
        ..Settings::default()
    };

    let plain = encode(folder.path(), "plain", &script(""), logical);
    assert_eq!(frames(&folder.path().join("plain.mkv")), SCENES * FRAMES_A_SCENE);

    let samples = Arc::new(Mutex::new(Vec::<f64>::new()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recording = Recording { meter: OwnLoad::new(), samples: Arc::clone(&samples) };
    let server = Local::start_watched(&settings, recording, {
        let seen = Arc::clone(&seen);
        move |message| {
            if message.starts_with("released a worker") {
                let samples = samples.lock().unwrap();
                let last: Vec<_> = samples.iter().rev().take(4).collect();
                let used = last.iter().copied().sum::<f64>() / last.len() as f64;
                seen.lock().unwrap().push(Seen { at: SystemTime::now(), used });
            }
        }
    });
    let log = folder.path().join("passed.log");
    let gated = encode(folder.path(), "gated", &script(&waiting(server.port, &log)), 3 * logical);
    assert_eq!(frames(&folder.path().join("gated.mkv")), SCENES * FRAMES_A_SCENE);

    let state = status(server.port);
    assert_eq!((state.waiting, state.running, state.gave_up, state.refused), (0, 0, 0, 0));
    assert!(program(&["shutdown", "--port", &server.port.to_string()]).status().unwrap().success());
    let messages = Arc::clone(&server.messages);
    server.join();

    let seen = seen.lock().unwrap().clone();
    check_releases(&seen, worker_cpu);
    let mut passed: Vec<f64> =
        std::fs::read_to_string(&log).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    passed.sort_by(f64::total_cmp);
    assert!(passed.len() >= SCENES, "{passed:?}");
    assert_eq!((passed.len(), state.released), (seen.len(), seen.len() as u64));
    for (passed, release) in passed.iter().zip(&seen) {
        // The log counts milliseconds, and `go` is sent just before its message.
        let released = release.at.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(*passed > released - 0.1, "somebody passed at {passed}, released at {released}");
    }
    for message in &*messages.lock().unwrap() {
        println!("{message}");
    }
    let ratio = gated.as_secs_f64() / plain.as_secs_f64();
    println!(
        "{} workers at the gate: {gated:.1?}; {logical} workers without: {plain:.1?}; ratio {ratio:.2}",
        3 * logical
    );
    assert!(ratio < 2.0, "waiting cost too much: {gated:.1?} against {plain:.1?}");
}
