use std::io::Write;

use sysinfo::{Pid, ProcessesToUpdate, System};

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_failure_tells_name_code_command_and_last_lines() {
    let mut process =
        Process::spawn(&mut shell("echo one >&2; echo 'Error: two' >&2; exit 3"), |_| {}).unwrap();
    let ended = process.wait().unwrap();
    let text = process.failure(&ended).to_string();
    assert_eq!(
        text,
        "sh ended with exit code 3\n  command: sh -c 'echo one >&2; echo '\\''Error: two'\\'' >&2; exit 3'\
         \n  one\n  Error: two"
    );
}

#[test]
fn a_signal_is_told_apart_from_an_exit_code() {
    let mut process = Process::spawn(&mut shell("kill -9 $$"), |_| {}).unwrap();
    let ended = process.wait().unwrap();
    assert!(process.failure(&ended).to_string().starts_with("sh was killed by signal 9\n"));
}

#[test]
fn a_blocked_writer_is_freed_when_the_child_stalls() {
    // The grandchild, which never reads, holds the pipe as well.
    let mut process = Process::spawn(shell("sleep 60; exit 0").stdin(Stdio::piped()), |_| {}).unwrap();
    let mut stdin = process.take_stdin().unwrap();
    let limit = Duration::from_millis(200);
    process.watch(&Cancel::new(), Some(limit), || Some(7)).unwrap();
    let begun = Instant::now();
    assert!(stdin.write_all(&vec![0; 1 << 20]).is_err());
    let ended = process.wait().unwrap();
    assert_eq!(ended.stopped, Some(Stop::Stalled(limit)));
    assert!(begun.elapsed() >= limit && begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn time_in_which_the_child_is_not_waited_for_does_not_count() {
    let mut process = Process::spawn(&mut shell("sleep 0.5"), |_| {}).unwrap();
    process.watch(&Cancel::new(), Some(Duration::from_millis(100)), || None).unwrap();
    assert_eq!(process.wait().unwrap().stopped, None);
}

#[test]
fn cancelling_ends_the_child_and_its_children() {
    let cancel = Cancel::new();
    let mut process = Process::spawn(&mut shell("sleep 60 & wait"), |_| {}).unwrap();
    process.watch(&cancel, None, || Some(0)).unwrap();
    let begun = Instant::now();
    cancel.cancel();
    assert_eq!(process.wait().unwrap().stopped, Some(Stop::Interrupted));
    // Had the grandchild lived on, its hold on stderr would cost the grace time.
    assert!(begun.elapsed() < DRAIN_GRACE, "{:?}", begun.elapsed());
}

#[test]
fn the_child_leads_its_own_process_group() {
    // Signal 0 only asks whether there is a group of this number.
    let mut command = shell("kill -0 -$$ && echo leads");
    let stdout = capture(&mut command, Duration::from_secs(20), &Cancel::new()).unwrap();
    assert_eq!(stdout, b"leads\n");
}

#[test]
fn a_capture_that_takes_too_long_is_an_error() {
    let error = capture(&mut shell("sleep 60"), Duration::from_millis(100), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("did not end within 0.1 s"), "{error}");
    let error = capture(&mut shell("exit 2"), Duration::from_secs(20), &Cancel::new()).unwrap_err();
    assert!(error.to_string().starts_with("sh ended with exit code 2\n"), "{error}");
}

#[test]
fn a_missing_program_is_named() {
    let error = Process::spawn(&mut Command::new("/no/such/SvtAv1EncApp"), |_| {}).unwrap_err();
    assert!(format!("{error:#}").contains("cannot start SvtAv1EncApp"), "{error:#}");
}

#[test]
fn a_dropped_child_is_gone() {
    let process = Process::spawn(&mut shell("exec sleep 60"), |_| {}).unwrap();
    let id = Pid::from_u32(process.shared.child().id());
    let alive = || {
        let mut system = System::new().unwrap();
        system.refresh_processes(ProcessesToUpdate::Some(&[id]), true);
        system.process(id).is_some()
    };
    assert!(alive());
    drop(process);
    assert!(!alive());
}
