//! The dispatch server's protocol, its bounds and its command.

mod dispatch_support;

use std::collections::{BTreeSet, HashMap};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dispatch_support::{
    Local, PATIENCE, Raw, ScriptedCpu, Served, eventually, free_port, program, settings, status,
};
use progression_boost::dispatch::client;
use progression_boost::dispatch::protocol::Status;
use progression_boost::dispatch::sensors::Machine;
use progression_boost::dispatch::server::Server;
use progression_boost::dispatch::settings::Settings;
use progression_boost::support::events::Events;

#[test]
fn workers_go_in_order_of_arrival_as_room_appears() {
    let cpu = ScriptedCpu::at(100.0);
    // 0 and 40 are below 60, 80 is not: two a reservation.
    let limits = Settings { worker_cpu: 40.0, max_cpu: 60.0, ..settings() };
    let server = Local::start(&limits, cpu.clone());
    let mut queue: Vec<_> = (0..6)
        .map(|n| {
            let (client, before) = Raw::wait(server.port);
            assert_eq!(before, n);
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(600));
    assert!(!queue.iter_mut().any(Raw::has_line), "released on a busy machine");

    cpu.set(0.0);
    let mut released = Vec::new();
    for pair in queue.chunks_mut(2) {
        for client in &mut *pair {
            assert_eq!(client.line(), "go");
        }
        released.push(Instant::now());
    }
    for pair in released.windows(2) {
        let apart = pair[1] - pair[0];
        assert!(apart > Duration::from_millis(800), "reserved for a second, released after {apart:?}");
    }
    eventually("six are running", || status(server.port).running == 6);
    drop(queue);
    eventually("nobody is running", || status(server.port).running == 0);
    assert_eq!(status(server.port).released, 6);
}

#[test]
fn closed_and_half_closed_connections_leave_the_queue_at_once() {
    let cpu = ScriptedCpu::at(100.0);
    let server = Local::start(&settings(), cpu.clone());
    let mut queue: Vec<_> = (0..5).map(|_| Raw::wait(server.port).0).collect();
    drop(queue.remove(3));
    queue[1].close_half();
    eventually("two have left", || status(server.port).waiting == 3);
    assert_eq!(status(server.port).gave_up, 2);
    assert_eq!(Raw::wait(server.port).1, 3);
    cpu.set(0.0);
    for n in [0, 2, 3] {
        assert_eq!(queue[n].line(), "go");
    }
    assert_eq!(queue[1].line(), "");
}

#[test]
fn a_client_killed_after_release_holds_nobody_up() {
    let limits = Settings { worker_cpu: 60.0, max_cpu: 60.0, ..settings() };
    let server = Local::start(&limits, ScriptedCpu::at(0.0));
    let (mut first, _) = Raw::wait(server.port);
    assert_eq!(first.line(), "go");
    let (mut second, _) = Raw::wait(server.port);
    drop(first);
    assert_eq!(second.line(), "go");
    assert_eq!(status(server.port).running, 1);
}

#[test]
fn whatever_is_not_a_request_is_refused_and_harms_nobody() {
    let cpu = ScriptedCpu::at(100.0);
    let server = Local::start(&settings(), cpu.clone());
    let (mut waiting, _) = Raw::wait(server.port);
    let mebibyte = vec![b'x'; 1 << 20];
    let binary: Vec<u8> = (0..=255).collect();
    for (bytes, answer) in [
        (&b"hello\n"[..], "error unknown request; known are wait, status, shutdown"),
        (b"\n", "error unknown request; known are wait, status, shutdown"),
        (b"POST /shutdown HTTP/1.1\n", "error unknown request; known are wait, status, shutdown"),
        (b"POST / HTTP/1.1\r\n\r\nshutdown\n", "error one request per connection"),
        (b"wait\nwait\n", "error one request per connection"),
        (&binary[..20], "error one request per connection"),
        (&[b'y'; 128], "error line too long"),
    ] {
        let mut client = Raw::say(server.port, bytes);
        assert_eq!(client.line(), answer, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(client.rest(), "");
    }
    // The flood is cut off while it is sent.
    let mut flood = Raw::connect(server.port);
    let _ = std::io::Write::write_all(flood.0.get_mut(), &mebibyte);
    let answer = flood.rest();
    assert!(answer.is_empty() || answer == "error line too long\n", "{answer}");

    let (mut chatty, _) = Raw::wait(server.port);
    chatty.send(b"are we there yet\n");
    assert_eq!(chatty.line(), "error one request per connection");
    let state = status(server.port);
    assert_eq!((state.waiting, state.refused, state.gave_up), (1, 9, 1));
    cpu.set(0.0);
    assert_eq!(waiting.line(), "go");
}

#[test]
fn silent_clients_are_sent_away_and_slow_ones_served() {
    let server = Local::start(&settings(), ScriptedCpu::at(0.0));
    let start = Instant::now();
    let mut silent = Raw::connect(server.port);
    let mut half_said = Raw::say(server.port, b"wai");
    let mut slow = Raw::connect(server.port);
    for byte in b"wait\n" {
        slow.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(slow.line(), "queued 0");
    assert_eq!(slow.line(), "go");
    for client in [&mut silent, &mut half_said] {
        assert_eq!(client.line(), "error no request within 5 s");
    }
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn too_many_connections_are_told_to_come_again() {
    let limits = Settings { max_clients: 3, metrics: Some(free_port()), ..settings() };
    let server = Local::start(&limits, ScriptedCpu::at(100.0));
    let mut queue: Vec<_> = (0..3).map(|_| Raw::wait(server.port).0).collect();
    let mut refused = Raw::say(server.port, b"wait\n");
    assert_eq!(refused.line(), "busy");
    let error = client::status(server.port).unwrap_err().to_string();
    assert!(error.contains("no place for another connection"), "{error}");
    let mut prometheus = Raw::say(server.metrics.unwrap(), b"GET /metrics HTTP/1.1\r\n\r\n");
    assert_eq!(prometheus.line(), "HTTP/1.1 503 Service Unavailable");
    // Far beyond the limit there is not even an answer, and no descriptor is held.
    let crowd: Vec<_> = (0..200).map(|_| Raw::connect(server.port)).collect();
    drop((crowd, refused, prometheus));
    queue.pop();
    eventually("there is room again", || client::status(server.port).is_ok_and(|state| state.waiting == 2));
    assert_eq!(Raw::wait(server.port).1, 2);
}

#[test]
fn only_loopback_listens() {
    let limits = Settings { metrics: Some(free_port()), ..settings() };
    let server = Local::start(&limits, ScriptedCpu::at(0.0));
    let mut elsewhere = Vec::new();
    // Every address of 127/8 is this machine's on Linux: a socket bound to all
    // addresses would answer here, one bound to 127.0.0.1 does not.
    #[cfg(target_os = "linux")]
    elsewhere.push(std::net::IpAddr::from([127, 0, 0, 2]));
    // The address of the interface that would reach a documentation address; nothing is sent.
    let route = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if route.connect("192.0.2.1:9").is_ok() {
        elsewhere.push(route.local_addr().unwrap().ip());
    }
    for port in [server.port, server.metrics.unwrap()] {
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        for address in &elsewhere {
            let connected = TcpStream::connect_timeout(&(*address, port).into(), Duration::from_secs(5));
            assert!(connected.is_err(), "{address}:{port} listens");
        }
    }
}

#[test]
fn prometheus_gets_its_figures() {
    let limits = Settings { metrics: Some(free_port()), ..settings() };
    let server = Local::start(&limits, ScriptedCpu::at(12.5));
    let (mut worker, _) = Raw::wait(server.port);
    assert_eq!(worker.line(), "go");
    let port = server.metrics.unwrap();
    let get = |request: &str| Raw::say(port, request.as_bytes()).rest();
    let answer = get("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    for line in [
        "progression_boost_dispatch_released_total 1",
        "progression_boost_dispatch_running 1",
        "progression_boost_dispatch_waiting 0",
        "progression_boost_dispatch_cpu_used_percent 12.5",
        "progression_boost_dispatch_cpu_reserved_percent 1.0",
        "progression_boost_dispatch_wait_seconds_count 1",
        "# EOF",
    ] {
        assert!(body.lines().any(|it| it == line), "no {line} in\n{body}");
    }
    for (request, code) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
        ("GET /metrics HTTP/1.1\r\n\r\nand more", "400"),
        (&"x".repeat(9000), "400"),
    ] {
        let answer = get(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request:.30}: {answer}");
    }
}

#[test]
fn shutdown_frees_the_port_and_lets_everybody_go() {
    let server = Local::start(&settings(), ScriptedCpu::at(100.0));
    let port = server.port;
    let (mut waiting, _) = Raw::wait(port);
    client::shutdown(port).unwrap();
    let again = Settings { port, ..settings() };
    let machine = Machine::new(Box::new(ScriptedCpu::at(0.0)), None);
    Server::bind(&again, machine, &Events::silent()).expect("the port is free again");
    assert_eq!(waiting.rest(), "");
    let messages = server.messages.lock().unwrap().clone();
    server.join();
    assert!(messages[0].starts_with(&format!("listening on 127.0.0.1:{port};")), "{messages:?}");
    let error = format!("{:#}", client::shutdown(port).unwrap_err());
    assert!(error.contains("start one with `dispatch serve`"), "{error}");
}

#[test]
fn a_port_in_use_is_an_error_that_says_so() {
    let server = Local::start(&settings(), ScriptedCpu::at(0.0));
    let same = Settings { port: server.port, ..settings() };
    let machine = Machine::new(Box::new(ScriptedCpu::at(0.0)), None);
    let error = Server::bind(&same, machine, &Events::silent()).unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{}", server.port)), "{error}");
    assert!(error.contains("is another server running"), "{error}");
}

/// What the documentation shows happens, line by line.
#[test]
fn the_documented_transcript_is_what_happens() {
    let page = include_str!("../examples/dispatch-transcript.md");
    let (_, transcript) = page.split_once("```text\n").unwrap();
    let (transcript, _) = transcript.split_once("```").unwrap();
    let cpu = ScriptedCpu::at(85.0);
    let limits = Settings { worker_cpu: 20.0, max_cpu: 80.0, ..settings() };
    let server = Local::start(&limits, cpu.clone());
    eventually("the CPU is read", || status(server.port).cpu.used.is_some());
    let mut clients = HashMap::new();
    let mut gave_up = 0;
    for line in transcript.lines() {
        if let Some(percent) = line.strip_prefix("the CPU is at ") {
            cpu.set(percent.trim_end_matches(" %").parse().unwrap());
            continue;
        }
        let (name, what) = line.split_once(' ').unwrap();
        if let Some(request) = what.strip_prefix("> ") {
            clients.insert(name, Raw::say(server.port, format!("{request}\n").as_bytes()));
        } else if let Some(answer) = what.strip_prefix("< ") {
            assert_eq!(
                without_times(&clients.get_mut(name).unwrap().line()),
                without_times(answer),
                "{line}"
            );
        } else if what == "is closed" {
            assert_eq!(clients.remove(name).unwrap().rest(), "", "{line}");
        } else {
            assert_eq!(what, "closes", "{line}");
            clients.remove(name);
            gave_up += u64::from(name == "B");
            eventually("the server has noticed", || status(server.port).gave_up == gave_up);
        }
    }
    assert_eq!(clients.into_keys().collect::<BTreeSet<_>>(), BTreeSet::from(["C", "E"]));
}

/// A status with its times set to zero, any other answer as it is.
fn without_times(answer: &str) -> String {
    match serde_json::from_str::<Status>(answer) {
        Ok(status) => {
            let wait = status.longest_wait_seconds.map(|_| 0.0);
            let fixed = Status { uptime_seconds: 0.0, longest_wait_seconds: wait, ..status };
            serde_json::to_string(&fixed).unwrap()
        }
        Err(_) => answer.to_owned(),
    }
}

/// Standard output, standard error and success of our program.
fn outcome(args: &[&str], variables: &[(&str, &str)]) -> (String, String, bool) {
    let output = program(args).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

#[test]
fn the_command_serves_tells_its_state_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dispatch.toml");
    std::fs::write(&file, "worker-cpu = 7.5\nmax-cpu = 90\n").unwrap();
    let port = free_port().to_string();
    let mut server =
        Served::start(port.parse().unwrap(), &["--config", file.to_str().unwrap(), "--max-cpu", "91"]);

    let (json, _, ok) = outcome(&["status", "--json"], &[("PROGRESSION_BOOST_DISPATCH_PORT", &port)]);
    let state: Status = serde_json::from_str(&json).unwrap();
    assert!(ok && (state.cpu.worker - 7.5).abs() < 1e-9 && (state.cpu.max - 91.0).abs() < 1e-9, "{json}");
    eventually("the CPU is read", || status(server.port).cpu.used.is_some());
    let used = status(server.port).cpu.used.unwrap();
    assert!((0.0..=100.0).contains(&used), "{used}");
    let (words, _, ok) = outcome(&["status", "--port", &port], &[]);
    assert!(ok && words.starts_with("0 waiting, 0 running\n"), "{words}");

    let (_, complaint, ok) = outcome(&["serve", "--port", &port, "--worker-vram", "0"], &[]);
    assert!(!ok && complaint.contains("is another server running"), "{complaint}");

    assert!(outcome(&["shutdown", "--port", &port], &[]).2);
    let end = Instant::now() + PATIENCE;
    let exit = loop {
        match server.child.try_wait().unwrap() {
            Some(exit) => break exit,
            None => assert!(Instant::now() < end, "the server still runs"),
        }
    };
    assert!(exit.success());
    let (_, complaint, ok) = outcome(&["status", "--port", &port], &[]);
    assert!(!ok && complaint.contains("no server on 127.0.0.1:"), "{complaint}");
}

#[test]
fn wrong_settings_are_explained() {
    for (args, variables, message) in [
        (
            &["serve", "--worker-cpu", "120"][..],
            &[][..],
            "worker-cpu 120 (from --worker-cpu): must be 0.1 to 99",
        ),
        (
            &["serve"],
            &[("PROGRESSION_BOOST_DISPATCH_RESERVE", "1")],
            "reserve 1 (from PROGRESSION_BOOST_DISPATCH_RESERVE): must be a duration such as 10s",
        ),
        (&["status", "--config", "/no/such.toml"], &[], "cannot read /no/such.toml"),
        (&["snippet", "--limit", "ages"], &[], "limit ages (from --limit): must be a duration"),
        (&["shutdown", "--port", "0"], &[], "port 0 (from --port): must be a port from 1 to 65535"),
    ] {
        let (_, complaint, ok) = outcome(args, variables);
        assert!(!ok && complaint.contains(message), "{args:?}: {complaint}");
    }
}
