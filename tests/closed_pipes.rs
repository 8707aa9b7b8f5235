//! Nobody listens, or another program does: closed and failing streams, `nohup`,
//! and events on standard output.

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::Ended;
use serde_json::Value;

/// A folder with a script of three shots.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = "import vapoursynth as vs\ncore = vs.core\n\
            shot = lambda color: core.std.BlankClip(width=64, height=64, length=40, format=vs.YUV420P8, color=color)\n\
            (shot([40, 128, 128]) + shot([200, 90, 90]) + shot([90, 200, 90])).set_output()\n";
        std::fs::write(folder.path().join("clip.vpy"), script).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = common::program(self.0.path());
        command.args(words).stdin(Stdio::null());
        command
    }
}

/// The writing end of a pipe that nobody reads.
fn unread() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_says() {
    let folder = Folder::new();
    for verbosity in ["-vv", "-q"] {
        let output = folder.path("out.json");
        let status = folder
            .command(&["scenes", "clip.vpy", "-o", "out.json", "--events", "events", verbosity])
            .stdout(unread())
            .stderr(unread())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{verbosity}");
        let scenes: Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
        assert_eq!(scenes["frames"], 120);
        std::fs::remove_file(output).unwrap();
    }
}

#[test]
fn an_error_that_nobody_reads_still_has_its_exit_code() {
    let folder = Folder::new();
    let status = folder
        .command(&["scenes", "missing.vpy", "-o", "out.json"])
        .stdout(unread())
        .stderr(unread())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn results_may_be_cut_short_by_their_reader() {
    let folder = Folder::new();
    for words in [&["presets", "list"][..], &["presets", "show"], &["models"], &["dispatch", "snippet"]] {
        let ended = Ended::of(
            &folder
                .command(words)
                .stdout(unread())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
                .wait_with_output()
                .unwrap(),
        );
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{words:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_log_stops_nothing_and_a_lost_result_is_an_error() {
    let folder = Folder::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let words = ["scenes", "clip.vpy", "-o", "out.json", "-v"];
    let status = folder.command(&words).stdout(Stdio::null()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(folder.path("out.json").exists());
    let mut show = folder.command(&["presets", "show"]);
    let ended =
        Ended::of(&show.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
    ended.failed(1, &["No space left on device"]);
}

#[test]
fn events_on_standard_output_are_nothing_but_events() {
    let folder = Folder::new();
    let words = ["scenes", "clip.vpy", "-o", "out.json", "--events", "-"];
    let ended = Ended::of(&folder.command(&words).output().unwrap()).ok();
    let events: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(events.iter().all(|event| event["time"].is_number() && event["event"].is_string()));
    assert!(events.iter().any(|event| event["event"] == "stage_finished"));
    // What a command prints otherwise is not lost.
    assert!(
        ended.stderr.contains("120 frames") && ended.stderr.contains("wrote out.json"),
        "{}",
        ended.stderr
    );
}

#[test]
fn events_and_a_report_cannot_share_standard_output() {
    let folder = Folder::new();
    let words = ["verify", "clip.vpy", "x.mkv", "--scenes", "x", "--json", "-", "--events", "-"];
    Ended::of(&folder.command(&words).output().unwrap())
        .failed(2, &["--events -", "--json -", "give one of them"]);
}

/// `nohup` does what `trap ''` does here.
#[cfg(unix)]
#[test]
fn nohup_outlives_its_terminal_and_is_stopped_by_other_means() {
    use std::io::{BufRead as _, BufReader};
    use std::time::Duration;

    let folder = Folder::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let serve = folder.command(&["dispatch", "serve", "--worker-vram", "0", "--port", &free.to_string()]);
    let mut shell = common::tool("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    shell.current_dir(folder.0.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = shell.spawn().unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines();
    // Handlers are installed before the first thing is said.
    said.next().expect("it says where it listens").unwrap();
    let send = |signal: &str| {
        let sent =
            common::tool("sh").args(["-c", &format!("kill -{signal} {}", server.id())]).status().unwrap();
        assert!(sent.success());
    };
    send("HUP");
    std::thread::sleep(Duration::from_millis(1500));
    send("TERM");
    // Stopped for the first time now: had the first signal counted, this would
    // have been a server that is gone, or one that was told twice.
    let status = server.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}
