//! `--notify`: a command that is run when the work is over.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::out::tell;

/// Runs `command` in the system's shell; it is told what happened in its environment:
/// `PB_STATE` (`done`, `failed` or `interrupted`), `PB_SECONDS`, `PB_MESSAGE` (the
/// error, or empty). What goes wrong with it is told and changes nothing.
pub fn notify(command: &str, state: &str, message: &str, lasted: Duration) {
    let mut shell = shell(command);
    shell
        .env("PB_STATE", state)
        .env("PB_MESSAGE", message)
        .env("PB_SECONDS", format!("{:.0}", lasted.as_secs_f64()))
        .stdin(Stdio::null());
    match shell.status() {
        Ok(status) if status.success() => {}
        Ok(status) => tell(&format!("warning: --notify `{command}` ended with {status}")),
        Err(error) => tell(&format!("warning: --notify `{command}` cannot be run: {error}")),
    }
}

#[cfg(not(windows))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]);
    shell
}

/// Its own quoting is not Rust's, so the words go as they are.
#[cfg(windows)]
fn shell(command: &str) -> Command {
    use std::os::windows::process::CommandExt;
    let mut shell = Command::new("cmd");
    shell.arg("/C").raw_arg(command);
    shell
}
