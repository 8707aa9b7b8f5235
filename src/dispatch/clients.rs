//! All connections of a server and what becomes of them.

use std::collections::HashMap;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::connection::{Connection, FIRST_CLIENT, Phase};
use super::framing::{Door, Received};
use super::gate::Gate;
use super::metrics::{self, Metrics};
use super::protocol::{CpuStatus, Reply, Request, Status, VramStatus};
use super::sensors::Reading;
use super::settings::Settings;
use crate::support::events::Events;

/// Time in which a client must have sent its request.
const TIME_TO_ASK: Duration = Duration::from_secs(5);
/// Time in which a client that has its answer must close.
const TIME_TO_LEAVE: Duration = Duration::from_secs(1);
/// Connections beyond the limit that are still told `busy`; more are just closed.
const TOLD_BUSY: usize = 64;
/// Shortest time between two warnings about misbehaving clients.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);
/// The queue stands still so long, and nobody works, before the user hears of it.
const STANDSTILL: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct Clients {
    connections: HashMap<Token, Connection>,
    next_token: usize,
    /// Connections held at once.
    most: usize,
    gate: Gate,
    metrics: Metrics,
    settings: Settings,
    gpu: Option<String>,
    events: Events,
    running: usize,
    last_release: Duration,
    standstill_told: bool,
    next_complaint: Duration,
    out_of_sockets: bool,
    stop: bool,
}

impl Clients {
    pub fn new(settings: &Settings, most: usize, gpu: Option<&str>, events: &Events) -> Self {
        Self {
            connections: HashMap::new(),
            next_token: FIRST_CLIENT,
            most,
            gate: Gate::new(settings),
            metrics: Metrics::new(gpu.is_some()),
            settings: settings.clone(),
            gpu: gpu.map(str::to_owned),
            events: events.clone(),
            running: 0,
            last_release: Duration::ZERO,
            standstill_told: false,
            next_complaint: Duration::ZERO,
            out_of_sockets: false,
            stop: false,
        }
    }

    /// A client asked the server to stop.
    pub fn asked_to_stop(&self) -> bool {
        self.stop
    }

    /// The system refused another socket; trying again at once is no use.
    pub fn out_of_sockets(&self) -> bool {
        self.out_of_sockets
    }

    /// When the next reservation ends and somebody is waiting for it.
    pub fn next_end(&self) -> Option<Duration> {
        self.gate.next_end().filter(|_| self.gate.waiting() > 0)
    }

    /// Takes a new connection in, or tells it `busy` when there are too many.
    pub fn admit(&mut self, registry: &Registry, mut stream: TcpStream, door: Door, now: Duration) {
        self.out_of_sockets = false;
        let full = self.connections.len() >= self.most;
        if self.connections.len() >= self.most + TOLD_BUSY {
            self.complain("more connections than allowed", now);
            return;
        }
        // Tokens are not reused while anybody could still mean the old one.
        let token = Token(self.next_token);
        self.next_token = self.next_token.checked_add(1).unwrap_or(FIRST_CLIENT);
        if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_err() {
            self.complain("a connection that cannot be polled", now);
            return;
        }
        self.connections.insert(token, Connection::new(stream, door, now + TIME_TO_ASK));
        if full {
            self.complain("more connections than allowed", now);
            let answer = match door {
                Door::Queue => Reply::Busy.line().into_bytes(),
                Door::Metrics => metrics::unavailable(),
            };
            self.answer_last(token, &answer, now);
        }
    }

    /// The system has no more sockets for us; those waiting in its backlog are
    /// accepted when somebody leaves.
    pub fn cannot_accept(&mut self, error: &std::io::Error, now: Duration) {
        self.out_of_sockets = true;
        self.complain(&format!("cannot accept a connection: {error}"), now);
    }

    /// Serves a client that can be read or written.
    pub fn serve(&mut self, token: Token, reading: Option<&Reading>, now: Duration) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if connection.flush().is_err() {
            self.close(token);
            return;
        }
        while let Some(connection) = self.connections.get_mut(&token) {
            let door = connection.door();
            match connection.receive() {
                Received::Nothing => return,
                Received::Closed => self.close(token),
                Received::Message(line) if door == Door::Queue => self.obey(token, &line, reading, now),
                Received::Message(head) => {
                    let status = self.status(reading, now);
                    let response = self.metrics.respond(&head, &status);
                    self.answer_last(token, &response, now);
                }
                Received::TooLong => self.refuse(token, "line too long", now),
                Received::Unexpected => self.refuse(token, "one request per connection", now),
            }
        }
    }

    fn obey(&mut self, token: Token, line: &[u8], reading: Option<&Reading>, now: Duration) {
        match Request::parse(line) {
            Some(Request::Wait) => self.enqueue(token, now),
            Some(Request::Status) => {
                let status = Reply::Status(Box::new(self.status(reading, now)));
                self.answer_last(token, status.line().as_bytes(), now);
            }
            Some(Request::Shutdown) => {
                self.stop = true;
                self.answer(token, &Reply::Bye);
            }
            None => self.refuse(token, "unknown request; known are wait, status, shutdown", now),
        }
    }

    fn enqueue(&mut self, token: Token, now: Duration) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        connection.phase = Phase::Queued;
        connection.deadline = None;
        let before = self.gate.enter(token.0, now);
        self.answer(token, &Reply::Queued(before));
    }

    /// Releases all that may go now.
    pub fn release(&mut self, reading: &Reading, now: Duration) {
        while let Some(release) = self.gate.release(reading, now) {
            let token = Token(release.client);
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            connection.phase = Phase::Running;
            self.running += 1;
            self.last_release = now;
            self.standstill_told = false;
            self.metrics.released.inc();
            self.metrics.waits.observe(release.waited.as_secs_f64());
            self.answer(token, &Reply::Go);
            self.events.note(format!(
                "released a worker after {:.1} s; {} running, {} waiting; CPU {}, {:.0} % reserved",
                release.waited.as_secs_f64(),
                self.running,
                self.gate.waiting(),
                reading.cpu.map_or_else(|| "use unknown".to_owned(), |used| format!("{used:.0} % used")),
                self.gate.reserved_cpu(now)
            ));
        }
        self.warn_of_standstill(reading, now);
    }

    fn warn_of_standstill(&mut self, reading: &Reading, now: Duration) {
        let since =
            self.gate.longest_wait(now).unwrap_or_default().min(now.saturating_sub(self.last_release));
        if self.running > 0 || self.standstill_told || since < STANDSTILL {
            return;
        }
        if let Some(obstacle) = self.gate.obstacle(reading, now) {
            self.standstill_told = true;
            self.events.warn(format!(
                "no worker runs and none can be released for {} s: {obstacle}; other programs hold it",
                since.as_secs()
            ));
        }
    }

    /// Closes clients that took too long to ask or to leave.
    pub fn close_late(&mut self, now: Duration) {
        let late: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(token, connection)| (*token, connection.phase))
            .collect();
        for (token, phase) in late {
            match phase {
                Phase::Asking => self.refuse(token, "no request within 5 s", now),
                _ => self.close(token),
            }
        }
    }

    fn answer(&mut self, token: Token, reply: &Reply) {
        let sent = self.connections.get_mut(&token).map(|client| client.send(reply.line().as_bytes()));
        if matches!(sent, Some(Err(_))) {
            self.close(token);
        }
    }

    /// Answers and lets go: whatever the client was, it is leaving.
    fn answer_last(&mut self, token: Token, answer: &[u8], now: Duration) {
        self.forget(token);
        let sent =
            self.connections.get_mut(&token).map(|client| client.send_last(answer, now + TIME_TO_LEAVE));
        if matches!(sent, Some(Err(_))) {
            self.close(token);
        }
    }

    fn refuse(&mut self, token: Token, why: &'static str, now: Duration) {
        self.complain(why, now);
        let answer = match self.connections.get(&token).map(Connection::door) {
            Some(Door::Metrics) => metrics::bad_request(),
            _ => Reply::Error(why).line().into_bytes(),
        };
        self.answer_last(token, &answer, now);
    }

    fn close(&mut self, token: Token) {
        self.forget(token);
        // Closing the socket takes it out of the poll.
        self.connections.remove(&token);
    }

    /// The client gives up its place, or no longer works.
    fn forget(&mut self, token: Token) {
        match self.connections.get(&token).map(|connection| connection.phase) {
            Some(Phase::Queued) => {
                self.gate.leave(token.0);
                self.metrics.gave_up.inc();
            }
            Some(Phase::Running) => self.running -= 1,
            _ => {}
        }
    }

    fn complain(&mut self, what: &str, now: Duration) {
        let count = self.metrics.refused.inc() + 1;
        if now >= self.next_complaint {
            self.next_complaint = now + BETWEEN_COMPLAINTS;
            self.events.warn(format!("refused a connection: {what} ({count} refused so far)"));
        }
    }

    fn status(&mut self, reading: Option<&Reading>, now: Duration) -> Status {
        let vram = reading.and_then(|reading| reading.vram);
        Status {
            uptime_seconds: now.as_secs_f64(),
            waiting: self.gate.waiting(),
            running: self.running,
            released: self.metrics.released.get(),
            gave_up: self.metrics.gave_up.get(),
            refused: self.metrics.refused.get(),
            longest_wait_seconds: self.gate.longest_wait(now).map(|wait| wait.as_secs_f64()),
            held_by: reading.and_then(|it| self.gate.obstacle(it, now)).map(|obstacle| obstacle.to_string()),
            cpu: CpuStatus {
                used: reading.and_then(|reading| reading.cpu),
                reserved: self.gate.reserved_cpu(now),
                worker: self.settings.worker_cpu,
                max: self.settings.max_cpu,
            },
            vram: vram.zip(self.gpu.clone()).map(|(vram, gpu)| VramStatus {
                gpu,
                total: vram.total,
                free: vram.free,
                reserved: self.gate.reserved_vram(now),
                worker: self.settings.worker_vram,
            }),
        }
    }

    /// What was done, in one line.
    pub fn summary(&self) -> String {
        format!(
            "stopped; {} workers released, {} gave up waiting, {} still waited",
            self.metrics.released.get(),
            self.metrics.gave_up.get(),
            self.gate.waiting()
        )
    }
}
