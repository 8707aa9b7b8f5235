//! The server's figures for Prometheus, and just enough HTTP to hand them out.
//!
//! HTTP is spoken by the server's own loop, so that connections for metrics are
//! bounded in number, time and bytes like all others.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::protocol::Status;

type Float = Gauge<f64, AtomicU64>;

/// Upper bounds of the waiting times counted, in seconds.
const WAITS: [f64; 9] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub released: Counter,
    pub gave_up: Counter,
    pub refused: Counter,
    /// Seconds in the queue of those released.
    pub waits: Histogram,
    waiting: Gauge,
    running: Gauge,
    cpu_used: Float,
    cpu_reserved: Float,
    vram_total: Float,
    vram_free: Float,
    vram_reserved: Float,
}

impl Metrics {
    /// Registers all figures; those of VRAM only when a GPU is watched.
    pub fn new(with_vram: bool) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("progression_boost_dispatch"),
            released: Counter::default(),
            gave_up: Counter::default(),
            refused: Counter::default(),
            waits: Histogram::new(WAITS),
            waiting: Gauge::default(),
            running: Gauge::default(),
            cpu_used: Float::default(),
            cpu_reserved: Float::default(),
            vram_total: Float::default(),
            vram_free: Float::default(),
            vram_reserved: Float::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("released", "Workers released", metrics.released.clone());
        registry.register(
            "gave_up",
            "Workers that left the queue before their turn",
            metrics.gave_up.clone(),
        );
        registry.register("refused", "Connections closed for what they did", metrics.refused.clone());
        let help = "Time in the queue of released workers";
        registry.register_with_unit("wait", help, Unit::Seconds, metrics.waits.clone());
        registry.register("waiting", "Workers in the queue", metrics.waiting.clone());
        registry.register("running", "Released workers still connected", metrics.running.clone());
        for (name, help, gauge) in [
            ("cpu_used_percent", "CPU in use of the whole machine", &metrics.cpu_used),
            ("cpu_reserved_percent", "CPU held for released workers", &metrics.cpu_reserved),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, gauge) in [
            ("vram_total", "Memory of the GPU", &metrics.vram_total),
            ("vram_free", "Free memory of the GPU", &metrics.vram_free),
            ("vram_reserved", "GPU memory held for released workers", &metrics.vram_reserved),
        ] {
            if with_vram {
                registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
            }
        }
        metrics
    }

    /// The figures in OpenMetrics' text format.
    fn text(&self, status: &Status) -> String {
        self.waiting.set(status.waiting as i64);
        self.running.set(status.running as i64);
        self.cpu_used.set(status.cpu.used.unwrap_or(f64::NAN));
        self.cpu_reserved.set(status.cpu.reserved);
        if let Some(vram) = &status.vram {
            self.vram_total.set(vram.total as f64);
            self.vram_free.set(vram.free as f64);
            self.vram_reserved.set(vram.reserved as f64);
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The HTTP response to a request's head.
    pub fn respond(&self, head: &[u8], status: &Status) -> Vec<u8> {
        let request = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let mut words = request.split(|byte| *byte == b' ');
        let (code, body) = match (words.next(), words.next(), words.next()) {
            (Some(b"GET"), Some(b"/metrics"), Some(_)) => ("200 OK", self.text(status)),
            (Some(b"GET"), Some(_), Some(_)) => ("404 Not Found", "see /metrics\n".to_owned()),
            (Some(_), Some(_), Some(_)) => ("405 Method Not Allowed", "GET only\n".to_owned()),
            _ => return bad_request(),
        };
        response(code, &body)
    }
}

pub fn bad_request() -> Vec<u8> {
    response("400 Bad Request", "not an HTTP request of at most 8 KiB\n")
}

pub fn unavailable() -> Vec<u8> {
    response("503 Service Unavailable", "too many connections\n")
}

fn response(code: &str, body: &str) -> Vec<u8> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let length = body.len();
    format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
