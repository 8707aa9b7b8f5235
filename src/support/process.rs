//! Child processes that cannot be lost: drained while they run, watched for
//! stalls and Ctrl-C, killed and waited for when their handle drops.

use std::fmt;
use std::io::Read;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::cancel::Cancel;
use super::lines::{LineSplitter, Tail};
use super::priority;

/// How often a watched child is looked at.
const POLL: Duration = Duration::from_millis(25);
/// How long the pipes of a child that has ended are read on: a grandchild may
/// hold them open for ever.
const DRAIN_GRACE: Duration = Duration::from_secs(2);
/// Standard output is kept up to this size, the rest is read and dropped.
const MAX_STDOUT: usize = 4 << 20;

/// Where pipes cannot be made closed-on-exec in one step (macOS), a child started
/// at the same moment would inherit another one's standard input and keep it open.
static SPAWNING: Mutex<()> = Mutex::new(());

/// Why we ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The user asked to stop.
    Interrupted,
    /// No progress for this long.
    Stalled(Duration),
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// Set when it was us who ended it.
    pub stopped: Option<Stop>,
    /// What it wrote to standard output, when that was piped; at most 4 MiB.
    pub stdout: Vec<u8>,
}

/// A failed child in words: name, how it ended, command line, last lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    pub name: String,
    pub ended: String,
    pub command_line: String,
    /// The last lines of its standard error, oldest first.
    pub lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}\n  command: {}", self.name, self.ended, self.command_line)?;
        if self.lines.is_empty() {
            return f.write_str("\n  it wrote nothing to standard error");
        }
        self.lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// A running child in a process group of its own, so that Ctrl-C on us does not
/// reach it and it cannot end early with a valid but short result.
#[derive(Debug)]
pub struct Process {
    shared: Arc<Shared>,
    name: String,
    command_line: String,
    stdin: Option<ChildStdin>,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Receiver<()>,
    tail: Arc<Mutex<Tail>>,
    /// Dropping it ends the watching thread.
    watch: Option<Sender<()>>,
}

#[derive(Debug)]
struct Shared {
    child: Mutex<Child>,
    stopped: Mutex<Option<Stop>>,
}

impl Process {
    /// Starts `command`; its standard error is always piped and each of its
    /// lines goes to `on_line`, which is called from a thread of its own.
    pub fn spawn(command: &mut Command, on_line: impl FnMut(&str) + Send + 'static) -> Result<Self> {
        Self::spawn_nice(command, 0, on_line)
    }

    /// [`Process::spawn`] for one that gives way to other programs as far as `nice` says, 0 to 19.
    pub fn spawn_nice(
        command: &mut Command,
        nice: u8,
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        let command_line = quoted(command);
        let name = name_of(command);
        own_group(command, nice);
        let mut child = {
            let _one_at_a_time = guard(&SPAWNING);
            command.stderr(Stdio::piped()).spawn()
        }
        .with_context(|| format!("cannot start {name}\n  command: {command_line}"))?;
        priority::lower(&child, nice);
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        // From here on dropping `process` ends the child, whatever fails below.
        let (ended, stderr_ended) = channel();
        let mut process = Self {
            shared: Arc::new(Shared { child: Mutex::new(child), stopped: Mutex::new(None) }),
            name,
            command_line,
            stdin,
            stdout: None,
            stderr: stderr_ended,
            tail: Arc::default(),
            watch: None,
        };
        if let Some(pipe) = stderr {
            let tail = Arc::clone(&process.tail);
            start("stderr", move || {
                drain(pipe, &tail, on_line);
                let _ = ended.send(());
            })?;
        }
        if let Some(pipe) = stdout {
            let (sender, receiver) = channel();
            process.stdout = Some(receiver);
            start("stdout", move || {
                let _ = sender.send(read_bounded(pipe));
            })?;
        }
        Ok(process)
    }

    /// The writing end of its standard input, when that was piped. Dropping it
    /// tells the child that there is no more.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Ends the child soon after `cancel`, or once `progress` has returned the
    /// same value for `limit`. `None` from `progress` means that it is not the
    /// child we wait for; the time does not count. A writer blocked on the
    /// child's standard input gets a broken pipe then.
    pub fn watch(
        &mut self,
        cancel: &Cancel,
        limit: Option<Duration>,
        progress: impl Fn() -> Option<u64> + Send + 'static,
    ) -> Result<()> {
        let (quit, quitting) = channel();
        let shared = Arc::clone(&self.shared);
        let cancel = cancel.clone();
        start("watch", move || shared.watch(&quitting, &cancel, limit, progress))?;
        self.watch = Some(quit);
        Ok(())
    }

    /// Closes its standard input and waits until it has ended.
    pub fn wait(&mut self) -> Result<Ended> {
        drop(self.stdin.take());
        let mut pause = Duration::from_millis(1);
        let status = loop {
            let status = self.shared.child().try_wait();
            match status.with_context(|| format!("cannot wait for {}", self.name))? {
                Some(status) => break status,
                None => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(16));
        };
        self.watch = None;
        let _ = self.stderr.recv_timeout(DRAIN_GRACE);
        let stdout = self.stdout.take().and_then(|pipe| pipe.recv_timeout(DRAIN_GRACE).ok());
        Ok(Ended { status, stopped: *guard(&self.shared.stopped), stdout: stdout.unwrap_or_default() })
    }

    /// The last lines of its standard error so far, oldest first.
    pub fn last_lines(&self) -> Vec<String> {
        guard(&self.tail).lines()
    }

    /// What to tell the user about an end that was not a success.
    pub fn failure(&self, ended: &Ended) -> Failure {
        let how = match ended.stopped {
            Some(Stop::Interrupted) => "was interrupted".to_owned(),
            Some(Stop::Stalled(limit)) => {
                format!("made no progress for {} s and was ended", limit.as_secs_f64())
            }
            None => describe(ended.status),
        };
        self.failed(how)
    }

    /// [`Process::failure`] with another account of what was wrong.
    pub fn failed(&self, ended: String) -> Failure {
        Failure {
            name: self.name.clone(),
            ended,
            command_line: self.command_line.clone(),
            lines: self.last_lines(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.kill(None);
        // After the kill this is quick; without it a zombie would stay.
        let _ = self.shared.child().wait();
    }
}

impl Shared {
    fn child(&self) -> MutexGuard<'_, Child> {
        guard(&self.child)
    }

    /// Ends the child, for the reason `stop`; one that has ended already did so
    /// by itself.
    fn kill(&self, stop: Option<Stop>) {
        let mut child = self.child();
        // Once reaped, its number may belong to somebody else.
        if matches!(child.try_wait(), Ok(None)) {
            *guard(&self.stopped) = stop;
            kill_group(&child);
            let _ = child.kill();
        }
    }

    fn watch(
        &self,
        quitting: &Receiver<()>,
        cancel: &Cancel,
        limit: Option<Duration>,
        progress: impl Fn() -> Option<u64>,
    ) {
        let mut last = progress();
        let mut since = Instant::now();
        while quitting.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
            let now = progress();
            if now.is_none() || now != last {
                (last, since) = (now, Instant::now());
            }
            let stop = match limit {
                _ if cancel.is_cancelled() => Stop::Interrupted,
                Some(limit) if since.elapsed() >= limit => Stop::Stalled(limit),
                _ => continue,
            };
            return self.kill(Some(stop));
        }
    }
}

/// Runs `command` to its end with nothing on standard input, at most `limit`
/// long, and returns what it wrote to standard output. A child that fails is an
/// error with its [`Failure`].
pub fn capture(command: &mut Command, limit: Duration, cancel: &Cancel) -> Result<Vec<u8>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Process::spawn(command, |_| {})?;
    process.watch(cancel, Some(limit), || Some(0))?;
    let ended = process.wait()?;
    match ended.stopped {
        None if ended.status.success() => Ok(ended.stdout),
        None => Err(process.failure(&ended).into()),
        Some(Stop::Interrupted) => Err(super::cancel::Interrupted.into()),
        Some(Stop::Stalled(_)) => {
            Err(process.failed(format!("did not end within {} s", limit.as_secs_f64())).into())
        }
    }
}

/// The command line as one would type it.
pub fn quoted(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell_words::join(words.map(|word| word.to_string_lossy().into_owned()))
}

fn name_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was killed by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => format!("ended: {status}"),
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("cannot start a thread")?;
    Ok(())
}

fn drain(mut pipe: impl Read, tail: &Mutex<Tail>, mut on_line: impl FnMut(&str)) {
    let mut splitter = LineSplitter::default();
    let mut take = |line: &str| {
        guard(tail).push(line);
        on_line(line);
    };
    let mut buffer = [0; 8192];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => splitter.feed(&buffer[..n], &mut take),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    splitter.finish(&mut take);
}

fn read_bounded(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // What was read before an error is still worth having.
    let _ = pipe.by_ref().take(MAX_STDOUT as u64).read_to_end(&mut kept);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    kept
}

#[cfg(unix)]
fn own_group(command: &mut Command, _: u8) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
fn own_group(command: &mut Command, nice: u8) {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    std::os::windows::process::CommandExt::creation_flags(
        command,
        CREATE_NEW_PROCESS_GROUP | priority::creation_flags(nice),
    );
}

/// Ends what the child started, too: a wrapper script may run the real encoder
/// as its child, which holds our pipes open.
#[cfg(unix)]
#[allow(unsafe_code)]
fn kill_group(child: &Child) {
    // SAFETY: kill() takes numbers only. The child leads its own group and has
    // not been reaped, so the group number cannot have been given to others.
    unsafe {
        libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: &Child) {}

#[cfg(all(test, unix))]
#[path = "process_tests.rs"]
mod tests;
