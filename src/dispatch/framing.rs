//! Where a message of a client ends, and how long it may get.

use super::protocol::LONGEST_LINE;

/// Longest head of an HTTP request, in bytes.
const LONGEST_HEAD: usize = 8 * 1024;

/// How a message ends and how long it may be, its end included, in bytes.
struct Framing {
    end: &'static [u8],
    longest: usize,
}

/// Where a client came in, which decides its language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The line protocol.
    Queue,
    /// HTTP, for Prometheus.
    Metrics,
}

impl Door {
    fn framing(self) -> Framing {
        match self {
            Self::Queue => Framing { end: b"\n", longest: LONGEST_LINE },
            Self::Metrics => Framing { end: b"\r\n\r\n", longest: LONGEST_HEAD },
        }
    }
}

/// What a client's bytes amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// No more for now.
    Nothing,
    /// A message without its end.
    Message(Vec<u8>),
    /// Longer than allowed without an end.
    TooLong,
    /// Bytes where none are expected: after the only message, or while waiting.
    Unexpected,
    /// The client closed its side, or the connection broke.
    Closed,
}

/// What a client has sent of its one message.
#[derive(Debug)]
pub struct Inbox {
    pub(super) door: Door,
    bytes: Vec<u8>,
}

impl Inbox {
    pub fn new(door: Door) -> Self {
        Self { door, bytes: Vec::new() }
    }

    /// Adds what arrived; `None` while the message is incomplete.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Received> {
        let Framing { end, longest } = self.door.framing();
        self.bytes.extend_from_slice(bytes);
        let found = self.bytes.windows(end.len()).position(|window| window == end);
        match found {
            Some(at) if at + end.len() > longest => Some(Received::TooLong),
            Some(at) if at + end.len() < self.bytes.len() => Some(Received::Unexpected),
            Some(at) => {
                let mut message = std::mem::take(&mut self.bytes);
                message.truncate(at);
                Some(Received::Message(message))
            }
            None => (self.bytes.len() >= longest).then_some(Received::TooLong),
        }
    }

    /// Forgets it, and the memory it took.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
    }
}
