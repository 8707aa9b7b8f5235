//! Thousands of clients, hostile ones among them, on loopback. Bounded in count
//! and time; figures are printed (`--nocapture` shows them).

mod dispatch_support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dispatch_support::until_busy;
use dispatch_support::{
    BusyMachine, Local, Raw, ScriptedCpu, Served, eventually, free_port, settings, status,
};
use progression_boost::dispatch::client;
use progression_boost::dispatch::settings::Settings;
use progression_boost::support::descriptors::raise_limit;

/// A whole test binary holds both ends of its connections.
const DESCRIPTORS: u64 = 6000;

/// Memory a server may take in all these tests, in KiB.
const MOST_MEMORY: u64 = 64 * 1024;

/// Highest resident memory in KiB and open descriptors of a process, where the
/// system tells.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_wraps)] // not on other systems
fn footprint(process: u32) -> Option<(u64, usize)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let memory = line.trim().trim_end_matches(" kB").parse().unwrap();
    Some((memory, std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()))
}

#[cfg(not(target_os = "linux"))]
fn footprint(_: u32) -> Option<(u64, usize)> {
    None
}

fn make_room() {
    let limit = raise_limit(DESCRIPTORS);
    assert!(
        limit.is_none_or(|limit| limit >= DESCRIPTORS),
        "ulimit -n {DESCRIPTORS} is needed, is {limit:?}"
    );
}

#[test]
fn two_thousand_wait_at_once_and_go_in_order() {
    make_room();
    let cpu = ScriptedCpu::at(100.0);
    // 0.1 % each below 99 %: 990 a second.
    let limits = Settings { worker_cpu: 0.1, ..settings() };
    let server = Local::start(&limits, cpu.clone());
    let start = Instant::now();
    let mut clients: Vec<_> = (0..2000)
        .map(|n| {
            let (client, before) = Raw::wait(server.port);
            assert_eq!(before, n);
            client
        })
        .collect();
    println!("2000 clients joined the queue in {:.2?}", start.elapsed());
    // Every tenth gives up, which must not disturb the order of the others.
    let mut index = 0;
    clients.retain(|_| {
        index += 1;
        index % 10 != 0
    });
    eventually("200 have left", || status(server.port).waiting == 1800);
    let start = Instant::now();
    cpu.set(0.0);
    eventually("all are released", || {
        let mut released: Vec<_> = clients.iter_mut().map(Raw::has_line).collect();
        // Looked at from the first to the last, while releases go on: whoever is
        // released later shows later, so a gap is a broken order only when a look
        // from the last to the first shows it too.
        for (was, client) in released.iter_mut().zip(&mut clients).rev() {
            *was |= client.has_line();
        }
        let count = released.iter().filter(|it| **it).count();
        assert!(released[..count].iter().all(|it| *it), "somebody was released before an older one");
        count == clients.len()
    });
    println!("1800 clients were released in {:.2?}", start.elapsed());
    for client in &mut clients {
        assert_eq!(client.line(), "go");
    }
    assert_eq!((status(server.port).running, status(server.port).gave_up), (1800, 200));
}

#[test]
fn two_hundred_a_second_for_twenty_seconds_are_all_served() {
    const RATE: u32 = 200;
    const SECONDS: u32 = 20;
    const THREADS: u32 = 4;
    let limits = Settings { worker_cpu: 0.1, ..settings() };
    let server = Local::start(&limits, ScriptedCpu::at(0.0));
    let longest = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let longest = &longest;
            let port = server.port;
            scope.spawn(move || {
                for n in (thread..RATE * SECONDS).step_by(THREADS as usize) {
                    let due = start + Duration::from_secs(1) * n / RATE;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let asked = Instant::now();
                    assert_eq!(Raw::wait(port).0.line(), "go");
                    longest.fetch_max(asked.elapsed().as_micros() as usize, Ordering::Relaxed);
                }
            });
        }
    });
    let longest = Duration::from_micros(longest.into_inner() as u64);
    println!(
        "{} clients in {:.2?}, the slowest was served in {longest:.2?}",
        RATE * SECONDS,
        start.elapsed()
    );
    assert_eq!(status(server.port).released, u64::from(RATE * SECONDS));
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    eventually("nobody is left", || status(server.port).running == 0);
}

#[test]
fn hostile_clients_take_neither_memory_nor_descriptors() {
    make_room();
    // A server of its own, so that its memory can be told from ours. Nobody is
    // released: with a busy thread the CPU is never below 0.1 %.
    let _busy = BusyMachine::start();
    let server = Served::start(free_port(), &["--max-cpu", "0.1", "--worker-cpu", "99"]);
    let process = server.child.id();
    let port = server.port;
    until_busy(port);
    let before = footprint(process);

    let (honest, first) = Raw::wait(port);
    assert_eq!(first, 0);
    let crowd: Vec<_> = (0..2000).map(|_| Raw::wait(port).0).collect();
    let full = footprint(process);
    drop(crowd);

    let silent: Vec<_> = (0..300).map(|_| Raw::connect(port)).collect();
    let half_open: Vec<_> = (0..300)
        .map(|n| {
            let client = Raw::say(port, if n % 2 == 0 { b"wait\n" } else { b"wai" });
            client.close_half();
            client
        })
        .collect();
    let binary: Vec<_> = (0..300u32)
        .map(|n| {
            let mut garbage: Vec<_> = (0..90).map(|i: u32| (i * 7 + n).wrapping_mul(151) as u8).collect();
            garbage.push(b'\n');
            Raw::say(port, &garbage)
        })
        .collect();
    let mebibyte = vec![b'x'; 1 << 20];
    for _ in 0..50 {
        // The server closes before the end, so the rest cannot be sent.
        let _ = Raw::connect(port).0.get_mut().write_all(&mebibyte);
    }
    let (second, before_second) = Raw::wait(port);
    assert!(before_second <= 151, "{before_second} before: one honest client and half-open ones at most");
    eventually("hostile clients are refused", || status(port).refused >= 300 + 50);
    eventually("hostile clients are gone", || status(port).waiting == 2);
    drop((silent, half_open, binary));
    drop((honest, second));
    eventually("the queue is empty", || status(port).waiting == 0);

    let Some(((memory_before, open_before), (_, open_full))) = before.zip(full) else { return };
    eventually("descriptors are given back", || footprint(process).unwrap().1 <= open_before);
    let (memory, open) = footprint(process).unwrap();
    println!("descriptors: {open_before} before, {open_full} with 2001 clients, {open} after");
    println!("most memory: {memory_before} KiB before, {memory} KiB after 2001 clients and all attacks");
    assert!(open_full >= open_before + 2000, "{open_full}");
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    assert!(memory - memory_before < 8 * 1024, "{memory_before} KiB grew to {memory} KiB");
}

#[cfg(unix)]
#[test]
fn a_low_limit_on_descriptors_makes_the_server_refuse_not_fail() {
    // 128 are kept for other things, so 72 clients fit.
    let server = Served::start_limited(free_port(), 200);
    let mut crowd: Vec<_> = (0..300).map(|_| Raw::connect(server.port)).collect();
    for client in &mut crowd[72..] {
        let answer = client.line();
        assert!(answer == "busy" || answer.is_empty(), "{answer}");
    }
    drop(crowd);
    eventually("there is room again", || client::status(server.port).is_ok());
    let clients: Vec<_> = (0..70).map(|_| Raw::say(server.port, b"wait\n").line()).collect();
    assert!(clients.iter().all(|line| line.starts_with("queued ")), "{clients:?}");
}
