//! The lines that server and clients exchange; `examples/dispatch-transcript.md`
//! shows them. One request a connection, and for `wait` the connection is the
//! ticket: closing it gives up the place.

use serde::{Deserialize, Serialize};

/// Longest line a server accepts, in bytes, its end included.
pub const LONGEST_LINE: usize = 128;

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A place in the queue.
    Wait,
    Status,
    Shutdown,
}

/// The words of the requests.
const REQUESTS: [(&str, Request); 3] =
    [("wait", Request::Wait), ("status", Request::Status), ("shutdown", Request::Shutdown)];

impl Request {
    /// Reads a line without its end. `None`: not one of ours.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        REQUESTS.iter().find(|(word, _)| word.as_bytes() == line).map(|(_, request)| *request)
    }

    pub fn line(self) -> String {
        let (word, _) = REQUESTS.iter().find(|(_, request)| *request == self).unwrap_or(&REQUESTS[0]);
        format!("{word}\n")
    }
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// In the queue, with so many before it.
    Queued(usize),
    Go,
    Status(Box<Status>),
    /// The server is going away because of this request.
    Bye,
    /// No place for another connection now.
    Busy,
    /// The request was not understood; why.
    Error(&'static str),
}

impl Reply {
    pub fn line(&self) -> String {
        match self {
            Self::Queued(before) => format!("queued {before}\n"),
            Self::Go => "go\n".to_owned(),
            Self::Status(status) => {
                // Plain numbers and strings always serialise.
                serde_json::to_string(status).map(|json| json + "\n").unwrap_or_default()
            }
            Self::Bye => "bye\n".to_owned(),
            Self::Busy => "busy\n".to_owned(),
            Self::Error(why) => format!("error {why}\n"),
        }
    }
}

/// The state of a server, as `status` answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub uptime_seconds: f64,
    /// Clients in the queue.
    pub waiting: usize,
    /// Clients that were released and still hold their connection.
    pub running: usize,
    /// Clients released since the start.
    pub released: u64,
    /// Clients that left the queue before their turn.
    pub gave_up: u64,
    /// Connections closed for their number, their silence or their language.
    pub refused: u64,
    /// How long the first in the queue has waited; `null` when it is empty.
    pub longest_wait_seconds: Option<f64>,
    /// Why the next one cannot go now; `null` when it could.
    pub held_by: Option<String>,
    pub cpu: CpuStatus,
    /// `null` when only the CPU counts.
    pub vram: Option<VramStatus>,
}

/// Percentages of the whole machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuStatus {
    /// `null` until there is a first reading.
    pub used: Option<f64>,
    pub reserved: f64,
    pub worker: f64,
    pub max: f64,
}

/// Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VramStatus {
    pub gpu: String,
    pub total: u64,
    pub free: u64,
    pub reserved: u64,
    pub worker: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        for (text, request) in
            [("wait", Request::Wait), ("status\r", Request::Status), ("shutdown", Request::Shutdown)]
        {
            assert_eq!(Request::parse(text.as_bytes()), Some(request));
        }
        assert_eq!(Request::Wait.line(), "wait\n");
        assert_eq!(Request::Status.line(), "status\n");
        assert_eq!(Request::Shutdown.line(), "shutdown\n");
    }

    #[test]
    fn everything_else_is_not_a_request() {
        for line in ["", "WAIT", "wait ", " wait", "wait\r\r", "go", "POST / HTTP/1.1", "\u{0}\u{ff}"] {
            assert_eq!(Request::parse(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(Request::parse(&[0xff, 0xfe, 0x00]), None);
    }

    #[test]
    fn replies_are_single_lines() {
        for (reply, line) in [
            (Reply::Queued(7), "queued 7\n"),
            (Reply::Go, "go\n"),
            (Reply::Bye, "bye\n"),
            (Reply::Busy, "busy\n"),
            (Reply::Error("what"), "error what\n"),
        ] {
            assert_eq!(reply.line(), line);
        }
    }
}
