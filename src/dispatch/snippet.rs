//! The worker's side: lines of Python to paste into a VapourSynth script.

use std::time::Duration;

use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// The function that waits; needs nothing but Python's standard library, 3.8 on.
const FUNCTION: &str = include_str!("snippet.py");

/// What a worker does when there is no server, or when it went away and did not
/// come back within 20 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumMessage, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum WithoutServer {
    /// Warn and go on.
    Continue,
    /// Warn and wait for a server.
    Wait,
}

/// The lines to paste. `limit` bounds the whole wait; after it the worker goes on.
pub fn snippet(port: u16, without_server: WithoutServer, limit: Option<Duration>) -> String {
    let without_server = match without_server {
        WithoutServer::Continue => "continue",
        WithoutServer::Wait => "wait",
    };
    let limit = limit.map_or("None".to_owned(), |limit| limit.as_secs_f64().to_string());
    format!(
        "{FUNCTION}\n\n_dispatch_ticket = _wait_for_room({port}, without_server=\"{without_server}\", limit={limit})\n"
    )
}
