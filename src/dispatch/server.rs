//! The server: one thread, one poll, all clients.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use mio::net::TcpListener;
use mio::{Interest, Poll, Token};

use super::clients::Clients;
use super::connection::DOORS;
use super::framing::Door;
use super::sensors::{INTERVAL, Machine, Reading};
use super::settings::Settings;
use crate::support::cancel::Cancel;
use crate::support::descriptors;
use crate::support::events::Events;
use crate::support::units::show_bytes;

/// Descriptors kept free for all that is not a client: standard streams, the
/// poll, sensors, connections that are told `busy`.
const SPARE_DESCRIPTORS: usize = 128;

/// Connections taken from one listener before its clients are served again.
const ACCEPTED_AT_ONCE: usize = 1024;

/// Events taken from one poll.
const EVENTS_AT_ONCE: usize = 1024;

/// A server that listens and does not serve yet.
#[derive(Debug)]
pub struct Server {
    // First, so that the ports are free again before the last client hears of the end.
    listeners: Vec<Listener>,
    poll: Poll,
    clients: Clients,
    machine: Machine,
    events: Events,
    started: Instant,
    reading: Option<Reading>,
    next_sample: Duration,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    door: Door,
    token: Token,
    /// Readiness is reported once; this remembers it until all are accepted.
    pending: bool,
}

impl Server {
    /// Listens on 127.0.0.1, and nowhere else: whoever can connect is on this machine.
    pub fn bind(settings: &Settings, machine: Machine, events: &Events) -> Result<Self> {
        let poll = Poll::new().context("cannot create a poll")?;
        let ports = [Some(settings.port), settings.metrics];
        let listeners = DOORS
            .into_iter()
            .zip(ports)
            .filter_map(|((token, door), port)| port.map(|port| listen(&poll, token, door, port)))
            .collect::<Result<Vec<_>>>()?;
        let max_clients = clients_allowed(settings.max_clients, events);
        let clients = Clients::new(settings, max_clients, machine.gpu_name(), events);
        let server = Self {
            listeners,
            poll,
            clients,
            machine,
            events: events.clone(),
            started: Instant::now(),
            reading: None,
            next_sample: Duration::ZERO,
        };
        server.introduce(settings)?;
        Ok(server)
    }

    /// Where workers connect.
    pub fn address(&self) -> Result<SocketAddr> {
        self.door_address(Door::Queue).context("the server has no port")?
    }

    /// Where Prometheus connects, if it may.
    pub fn metrics_address(&self) -> Option<Result<SocketAddr>> {
        self.door_address(Door::Metrics)
    }

    fn door_address(&self, door: Door) -> Option<Result<SocketAddr>> {
        let listener = self.listeners.iter().find(|listener| listener.door == door)?;
        Some(listener.socket.local_addr().context("cannot ask for a socket's address"))
    }

    fn introduce(&self, settings: &Settings) -> Result<()> {
        let vram = match self.machine.gpu_name() {
            Some(gpu) => format!(" and {} VRAM of {gpu}", show_bytes(settings.worker_vram)),
            None => String::new(),
        };
        self.events.note(format!(
            "listening on {}; a worker takes {} % CPU{vram}, the next is released below {} % CPU",
            self.address()?,
            settings.worker_cpu,
            settings.max_cpu
        ));
        if let Some(address) = self.metrics_address() {
            self.events.note(format!("figures for Prometheus on http://{}/metrics", address?));
        }
        Ok(())
    }

    /// Serves until a client asks for the end or `cancel` is set. Waiting
    /// clients then see their connection close.
    pub fn run(mut self, cancel: &Cancel) -> Result<()> {
        let mut ready = mio::Events::with_capacity(EVENTS_AT_ONCE);
        while !self.clients.asked_to_stop() && !cancel.is_cancelled() {
            match self.poll.poll(&mut ready, Some(self.timeout())) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(error).context("cannot poll sockets");
                }
                _ => {}
            }
            let now = self.started.elapsed();
            for event in &ready {
                match self.listeners.iter_mut().find(|listener| listener.token == event.token()) {
                    Some(listener) => listener.pending = true,
                    None => self.clients.serve(event.token(), self.reading.as_ref(), now),
                }
            }
            self.accept(now);
            self.sample(now);
            self.clients.close_late(now);
            if let Some(reading) = self.reading {
                self.clients.release(&reading, now);
            }
        }
        self.events.note(self.clients.summary());
        Ok(())
    }

    /// Time until something has to be done without any client's doing.
    fn timeout(&self) -> Duration {
        if self.listeners.iter().any(|listener| listener.pending) && !self.clients.out_of_sockets() {
            return Duration::ZERO;
        }
        let now = self.started.elapsed();
        let next = self.clients.next_end().map_or(self.next_sample, |end| end.min(self.next_sample));
        // Poll counts whole milliseconds; rounding down would spin through the last one.
        next.saturating_sub(now) + Duration::from_millis(1)
    }

    fn sample(&mut self, now: Duration) {
        if now >= self.next_sample {
            self.reading = self.machine.read(&self.events);
            self.next_sample = now + INTERVAL;
        }
    }

    fn accept(&mut self, now: Duration) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.pending) {
            for _ in 0..ACCEPTED_AT_ONCE {
                match listener.socket.accept() {
                    Ok((stream, peer)) if peer.ip().is_loopback() => {
                        self.clients.admit(self.poll.registry(), stream, listener.door, now);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        listener.pending = false;
                        break;
                    }
                    // The client was gone before it was its turn.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                    Err(error) => {
                        self.clients.cannot_accept(&error, now);
                        break;
                    }
                }
            }
        }
    }
}

fn listen(poll: &Poll, token: Token, door: Door, port: u16) -> Result<Listener> {
    let mut socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port).into()).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => "; is another server running (`dispatch status`)? Choose another port",
            ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        };
        anyhow!("cannot listen on 127.0.0.1:{port}: {error}{advice}")
    })?;
    poll.registry().register(&mut socket, token, Interest::READABLE).context("cannot poll a socket")?;
    Ok(Listener { socket, door, token, pending: false })
}

/// As many clients as wanted, or as the limit on descriptors leaves room for.
fn clients_allowed(wanted: usize, events: &Events) -> usize {
    let limit = descriptors::raise_limit((wanted + SPARE_DESCRIPTORS) as u64);
    let allowed = limit.map_or(wanted, |limit| (limit as usize).saturating_sub(SPARE_DESCRIPTORS).max(1));
    if allowed < wanted {
        events.warn(format!(
            "the limit on open files leaves room for {allowed} clients at once, not {wanted}; \
             more are told to come again (raise it with `ulimit -n`)"
        ));
    }
    allowed.min(wanted)
}
