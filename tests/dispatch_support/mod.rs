//! A dispatch server in this process with a scripted CPU, one in a child
//! process, and a client that speaks the protocol line by line.

#![allow(dead_code)] // each test file uses its part

#[path = "../common/mod.rs"]
pub mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use progression_boost::dispatch::client;
use progression_boost::dispatch::protocol::Status;
use progression_boost::dispatch::sensors::{CpuMeter, Machine};
use progression_boost::dispatch::server::Server;
use progression_boost::dispatch::settings::Settings;
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::{Event, Events};

/// Longest time any single step of a test may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A CPU whose load the test sets, in percent.
#[derive(Clone)]
pub struct ScriptedCpu(pub Arc<Mutex<f64>>);

impl ScriptedCpu {
    pub fn at(percent: f64) -> Self {
        Self(Arc::new(Mutex::new(percent)))
    }

    pub fn set(&self, percent: f64) {
        *self.0.lock().unwrap() = percent;
    }
}

impl CpuMeter for ScriptedCpu {
    fn sample(&mut self) -> anyhow::Result<Option<f64>> {
        Ok(Some(*self.0.lock().unwrap()))
    }
}

/// CPU only, any free port, one worker a percent, reservations of a second.
pub fn settings() -> Settings {
    Settings {
        port: 0,
        worker_cpu: 1.0,
        max_cpu: 99.0,
        worker_vram: 0,
        reserve: Duration::from_secs(1),
        ..Settings::default()
    }
}

/// A server on a thread of this process, stopped on drop.
pub struct Local {
    pub port: u16,
    pub metrics: Option<u16>,
    pub messages: Arc<Mutex<Vec<String>>>,
    cancel: Cancel,
    thread: Option<JoinHandle<()>>,
}

impl Local {
    pub fn start(settings: &Settings, cpu: impl CpuMeter + 'static) -> Self {
        Self::start_watched(settings, cpu, |_| {})
    }

    /// `watch` sees every message when it is emitted, on the server's thread.
    pub fn start_watched(
        settings: &Settings,
        cpu: impl CpuMeter + 'static,
        watch: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let events = Events::new({
            let messages = Arc::clone(&messages);
            move |event| match event {
                Event::Note { text } | Event::Warning { text } => {
                    watch(text);
                    messages.lock().unwrap().push(text.clone());
                }
                other => panic!("the server emitted {other:?}"),
            }
        });
        let server = Server::bind(settings, Machine::new(Box::new(cpu), None), &events).unwrap();
        let port = server.address().unwrap().port();
        let metrics = server.metrics_address().map(|address| address.unwrap().port());
        let cancel = Cancel::new();
        let thread = std::thread::spawn({
            let cancel = cancel.clone();
            move || server.run(&cancel).unwrap()
        });
        Self { port, metrics, messages, cancel, thread: Some(thread) }
    }

    /// Waits for the server to end by itself.
    pub fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// Our program, without settings from this machine.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_progression-boost"));
    command.arg("dispatch").args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PROGRESSION_BOOST_DISPATCH_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", std::env::temp_dir().join("no-such-configuration"));
    command.stdin(Stdio::null());
    command
}

/// `dispatch serve` as a child process, killed on drop.
pub struct Served {
    pub port: u16,
    pub child: Child,
}

impl Served {
    pub fn start(port: u16, args: &[&str]) -> Self {
        let port_text = port.to_string();
        let mut all = vec!["serve", "--port", &port_text, "--worker-vram", "0"];
        all.extend_from_slice(args);
        Self::started(port, &mut program(&all))
    }

    /// With a limit on open descriptors that it cannot raise.
    #[cfg(unix)]
    pub fn start_limited(port: u16, descriptors: usize) -> Self {
        let command = program(&[]);
        let ours = command.get_program().to_owned();
        let mut shell = common::tool("sh");
        shell.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(ours);
        shell.args(["dispatch", "serve", "--worker-vram", "0", "--port", &port.to_string()]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Self::started(port, &mut shell)
    }

    fn started(port: u16, command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        eventually("the server listens", || {
            assert_eq!(child.try_wait().unwrap(), None, "the server ended");
            client::status(port).is_ok()
        });
        Self { port, child }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub fn status(port: u16) -> Status {
    client::status(port).unwrap()
}

/// Polls until `done`, which must come within [`PATIENCE`].
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A raw connection.
pub struct Raw(pub BufReader<TcpStream>);

impl Raw {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Connects and sends `bytes`.
    pub fn say(port: u16, bytes: &[u8]) -> Self {
        let mut raw = Self::connect(port);
        raw.send(bytes);
        raw
    }

    /// Connects and joins the queue; returns how many are before it.
    pub fn wait(port: u16) -> (Self, usize) {
        let mut raw = Self::say(port, b"wait\n");
        let line = raw.line();
        let before = line.strip_prefix("queued ").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        (raw, before)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// All that comes until the connection ends, however it ends.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether a line has come, without waiting for one.
    pub fn has_line(&mut self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let there = matches!(stream.peek(&mut [0]), Ok(1));
        stream.set_nonblocking(false).unwrap();
        there
    }

    pub fn close_half(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }
}

/// One busy thread, so that the machine is never idle.
pub struct BusyMachine(Arc<AtomicBool>);

impl BusyMachine {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        std::thread::spawn(move || while !seen.load(Ordering::Relaxed) {});
        Self(stop)
    }
}

/// Until some load shows in a server's readings.
pub fn until_busy(port: u16) {
    eventually("the CPU is busy", || status(port).cpu.used.is_some_and(|used| used > 0.1));
}

impl Drop for BusyMachine {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
