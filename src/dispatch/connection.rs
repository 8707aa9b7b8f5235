//! One client's socket, with bounds on all that it may make us keep.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::Token;
use mio::net::TcpStream;

use super::framing::{Door, Inbox, Received};

/// The listening sockets' tokens; clients count from [`FIRST_CLIENT`].
pub const DOORS: [(Token, Door); 2] = [(Token(0), Door::Queue), (Token(1), Door::Metrics)];
pub const FIRST_CLIENT: usize = DOORS.len();

/// What the client is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its message is awaited.
    Asking,
    /// Waits for its turn.
    Queued,
    /// Was released; its open connection shows that it works.
    Running,
    /// Has its answer; what it still sends is thrown away until it closes.
    /// Closing first would reset the connection and could cost it the answer.
    Leaving,
}

/// Bytes of a leaving client that are read at most.
const PATIENCE: usize = 64 * 1024;

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    output: Vec<u8>,
    pub phase: Phase,
    /// When the client must have moved on; `None` while it may take its time.
    pub deadline: Option<Duration>,
    thrown_away: usize,
}

impl Connection {
    pub fn new(stream: TcpStream, door: Door, deadline: Duration) -> Self {
        Self {
            stream,
            inbox: Inbox::new(door),
            output: Vec::new(),
            phase: Phase::Asking,
            deadline: Some(deadline),
            thrown_away: 0,
        }
    }

    pub fn door(&self) -> Door {
        self.inbox.door
    }

    /// Reads until something is known or there is nothing to read. Call it until
    /// it returns [`Received::Nothing`] or [`Received::Closed`]: readiness is
    /// reported once.
    pub fn receive(&mut self) -> Received {
        let mut chunk = [0; 512];
        loop {
            let count = match self.stream.read(&mut chunk) {
                Ok(0) => return Received::Closed,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Received::Closed,
            };
            match self.phase {
                Phase::Asking => {
                    if let Some(received) = self.inbox.take(&chunk[..count]) {
                        return received;
                    }
                }
                Phase::Queued | Phase::Running => return Received::Unexpected,
                Phase::Leaving => {
                    self.thrown_away += count;
                    if self.thrown_away > PATIENCE {
                        return Received::Closed;
                    }
                }
            }
        }
    }

    /// Queues an answer and sends what the socket takes now. An error means
    /// that the client is gone.
    pub fn send(&mut self, answer: &[u8]) -> std::io::Result<()> {
        self.output.extend_from_slice(answer);
        self.flush()
    }

    /// The last answer: after it the client only has to close, until `deadline`.
    pub fn send_last(&mut self, answer: &[u8], deadline: Duration) -> std::io::Result<()> {
        self.phase = Phase::Leaving;
        self.deadline = Some(deadline);
        self.inbox.clear();
        self.send(answer)
    }

    /// Sends what is still to be sent, as far as the socket takes it.
    pub fn flush(&mut self) -> std::io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.phase == Phase::Leaving {
            // The client may have closed already, which is as good.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}
