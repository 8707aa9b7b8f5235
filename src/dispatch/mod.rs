//! Keeps a machine at full load with av1an: start far too many workers and let
//! each worker's script wait at its top until CPU and VRAM have room.
//!
//! A worker connects over TCP, loopback only, and waits for the line `go`
//! ([`protocol`]). [`gate`] decides who may go, from readings ([`sensors`]) and
//! reservations; [`server`] serves all clients from one thread; [`client`] asks
//! a server for its state or its end; [`snippet`] prints the worker's side.
//! [`crew`] has the same policy decide how many encoders of our own work at once.

pub mod client;
mod clients;
mod connection;
pub mod crew;
pub mod framing;
pub mod gate;
pub mod metrics;
pub mod protocol;
pub mod sensors;
pub mod server;
pub mod settings;
pub mod snippet;
