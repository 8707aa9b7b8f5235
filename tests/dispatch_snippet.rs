//! The worker's side under real Python interpreters.

mod dispatch_support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dispatch_support::until_busy;
use dispatch_support::{
    BusyMachine, Local, Raw, ScriptedCpu, Served, eventually, free_port, program, settings, status,
};
use progression_boost::dispatch::settings::Settings;

/// Oldest minor version of Python 3 that the snippet promises to work on.
const OLDEST: u32 = 8;

/// One interpreter for each minor version from 3.8 on: pyenv's and those on the
/// PATH. There must be at least one.
fn pythons() -> BTreeMap<u32, PathBuf> {
    let mut candidates: Vec<PathBuf> = vec!["python3".into(), "python".into()];
    candidates.extend((OLDEST..=15).map(|minor| format!("python3.{minor}").into()));
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = std::env::var_os("PYENV_ROOT").map_or(home.join(".pyenv"), PathBuf::from);
    if let Ok(versions) = std::fs::read_dir(pyenv.join("versions")) {
        candidates.extend(versions.map(|version| version.unwrap().path().join("bin/python3")));
    }
    let version = "import sys; print(sys.version_info[0] * 100 + sys.version_info[1])";
    let mut found = BTreeMap::new();
    for python in candidates {
        let Ok(output) = Command::new(&python).args(["-c", version]).stderr(Stdio::null()).output() else {
            continue;
        };
        let Ok(number) = String::from_utf8_lossy(&output.stdout).trim().parse::<u32>() else { continue };
        if number >= 300 + OLDEST {
            found.entry(number - 300).or_insert(python);
        }
    }
    assert!(!found.is_empty(), "no Python 3.{OLDEST} or later: install python3");
    found
}

fn any_python() -> PathBuf {
    pythons().into_values().next_back().unwrap()
}

/// The snippet as our program prints it, then a line that shows it was passed.
fn script(port: u16, options: &[&str]) -> String {
    let port = port.to_string();
    let mut args = vec!["snippet", "--port", &port];
    args.extend_from_slice(options);
    let output = program(&args).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
        + "print('passed', _dispatch_ticket is not None, flush=True)\nimport sys; sys.stdin.read()\n"
}

/// A worker: a Python process that runs the snippet and then holds its ticket
/// until its standard input ends.
struct Worker(Child);

impl Worker {
    fn start(python: &PathBuf, script: &str) -> Self {
        let mut command = Command::new(python);
        // Without site packages: nothing but the standard library.
        command.args([
            "-I",
            "-S",
            "-W",
            "error::DeprecationWarning",
            "-W",
            "error::SyntaxWarning",
            "-c",
            script,
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Lets the worker end after it passed; returns what it printed and what it
    /// warned of.
    fn end(mut self) -> (String, String) {
        let mut passed = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut passed).unwrap();
        drop(self.0.stdin.take());
        let mut warnings = String::new();
        std::io::Read::read_to_string(self.0.stderr.as_mut().unwrap(), &mut warnings).unwrap();
        assert!(self.0.wait().unwrap().success(), "{warnings}");
        (passed.trim_end().to_owned(), warnings)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_python_waits_for_its_release_and_holds_its_ticket() {
    let cpu = ScriptedCpu::at(100.0);
    let server = Local::start(&settings(), cpu.clone());
    let script = script(server.port, &[]);
    let pythons = pythons();
    eprintln!("Python 3 minor versions tested: {:?}", pythons.keys().collect::<Vec<_>>());
    let workers: Vec<_> = pythons.values().map(|python| Worker::start(python, &script)).collect();
    eventually("all wait", || status(server.port).waiting == workers.len());
    cpu.set(0.0);
    eventually("all run", || status(server.port).running == workers.len());
    for worker in workers {
        assert_eq!(worker.end(), ("passed True".to_owned(), String::new()));
    }
    eventually("all have ended", || status(server.port).running == 0);
}

#[test]
fn every_python_goes_on_without_a_server_and_warns_once() {
    let port = free_port();
    let script = script(port, &[]);
    for (minor, python) in pythons() {
        let (passed, warnings) = Worker::start(&python, &script).end();
        assert_eq!(passed, "passed False", "3.{minor}");
        assert_eq!(warnings.lines().count(), 1, "3.{minor}: {warnings}");
        assert!(warnings.contains("no dispatch server") && warnings.contains("going on"), "{warnings}");
    }
}

#[test]
fn a_limit_ends_the_wait_in_the_queue_and_for_a_server() {
    let server = Local::start(&settings(), ScriptedCpu::at(100.0));
    let in_queue = script(server.port, &["--limit", "1500ms"]);
    let nowhere = script(free_port(), &["--limit", "1500ms", "--without-server", "wait"]);
    let python = any_python();
    for (script, warnings_expected) in [(in_queue, 1), (nowhere, 2)] {
        let start = Instant::now();
        let (passed, warnings) = Worker::start(&python, &script).end();
        assert_eq!(passed, "passed False");
        assert_eq!(warnings.lines().count(), warnings_expected, "{warnings}");
        assert!(warnings.contains("no room within 1.5 s, going on without"), "{warnings}");
        let took = start.elapsed();
        assert!((Duration::from_millis(1500)..Duration::from_secs(10)).contains(&took), "{took:?}");
    }
    assert_eq!(status(server.port).gave_up, 1);
}

#[test]
fn workers_wait_for_a_server_that_starts_late_or_again() {
    let python = any_python();
    let port = free_port();
    let limits = Settings { port, ..settings() };
    let patient = Worker::start(&python, &script(port, &["--without-server", "wait"]));
    std::thread::sleep(Duration::from_secs(1));
    let first = Local::start(&limits, ScriptedCpu::at(100.0));
    let ordinary: Vec<_> = (0..5).map(|_| Worker::start(&python, &script(port, &[]))).collect();
    eventually("six wait", || status(port).waiting == 6);
    drop(first);
    std::thread::sleep(Duration::from_secs(1));
    let cpu = ScriptedCpu::at(100.0);
    let second = Local::start(&limits, cpu.clone());
    eventually("six wait again", || status(port).waiting == 6);
    cpu.set(0.0);
    for worker in ordinary.into_iter().chain([patient]) {
        let (passed, warnings) = worker.end();
        assert_eq!(passed, "passed True");
        assert_eq!(warnings.lines().count(), 1, "{warnings}");
        assert!(warnings.contains("waiting for it"), "{warnings}");
    }
    assert_eq!(status(second.port).released, 6);
}

#[test]
fn a_killed_server_that_returns_finds_its_workers_waiting() {
    let port = free_port();
    // Nobody is released: with a busy thread the CPU is never below 0.1 %.
    let never = ["--max-cpu", "0.1", "--worker-cpu", "0.1"];
    let _busy = BusyMachine::start();
    let first = Served::start(port, &never);
    until_busy(port);
    let script = script(port, &[]);
    let python = any_python();
    let workers: Vec<_> = (0..4).map(|_| Worker::start(&python, &script)).collect();
    eventually("four wait", || status(port).waiting == 4);
    drop(first); // killed, not asked
    let _second = Served::start(port, &never);
    until_busy(port);
    eventually("four wait again", || status(port).waiting == 4);
    drop(workers);
    eventually("the queue is empty", || status(port).waiting == 0);
    assert_eq!(status(port).released, 0);
}

#[test]
fn busy_servers_are_asked_again_and_strangers_are_not_believed() {
    let python = any_python();
    let limits = Settings { max_clients: 1, ..settings() };
    let server = Local::start(&limits, ScriptedCpu::at(0.0));
    let (mut holder, _) = Raw::wait(server.port);
    assert_eq!(holder.line(), "go");
    let worker = Worker::start(&python, &script(server.port, &[]));
    std::thread::sleep(Duration::from_secs(2));
    drop(holder);
    assert_eq!(worker.end(), ("passed True".to_owned(), String::new()));

    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = stranger.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut client, _) = stranger.accept().unwrap();
        let _ = client.write_all(&[b'S'; 4096]);
    });
    let (passed, warnings) = Worker::start(&python, &script(port, &[])).end();
    assert_eq!(passed, "passed False");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    answering.join().unwrap();
}
