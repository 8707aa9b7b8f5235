//! Asking a running server: its state, its end.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::protocol::{Request, Status};
use crate::support::units::show_bytes;

/// A server on the same machine answers at once, a busy one within seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// The state of the server on `port`.
pub fn status(port: u16) -> Result<Status> {
    let answer = ask(port, Request::Status)?;
    serde_json::from_str(&answer)
        .with_context(|| format!("127.0.0.1:{port} is no dispatch server of ours: it answered {answer:?}"))
}

/// Stops the server on `port` and returns when it no longer listens.
pub fn shutdown(port: u16) -> Result<()> {
    match ask(port, Request::Shutdown)?.as_str() {
        "bye" => Ok(()),
        answer => bail!("127.0.0.1:{port} is no dispatch server of ours: it answered {answer:?}"),
    }
}

/// Sends one request and returns the one line of the answer, after the server
/// closed the connection.
fn ask(port: u16, request: Request) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| {
        format!("no server on {address}; start one with `dispatch serve`, or name its port with --port")
    })?;
    let answer = exchange(&stream, request)
        .with_context(|| format!("{address} does not answer as a dispatch server does"))?;
    match answer.trim_end() {
        "" => bail!("{address} closed the connection without an answer"),
        "busy" => bail!("the server on {address} has no place for another connection; try again"),
        line => Ok(line.to_owned()),
    }
}

fn exchange(mut stream: &TcpStream, request: Request) -> std::io::Result<String> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request.line().as_bytes())?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream.take(LONGEST_ANSWER));
    reader.read_line(&mut answer)?;
    std::io::copy(&mut reader, &mut std::io::sink())?;
    Ok(answer)
}

/// A status in words, one fact a line.
pub fn describe(status: &Status) -> String {
    let mut text = format!("{} waiting, {} running", status.waiting, status.running);
    if let Some(wait) = status.longest_wait_seconds {
        let _ = write!(text, ", the first for {wait:.0} s");
    }
    let _ = write!(
        text,
        "\n{} released, {} gave up, {} refused in {:.0} s\n",
        status.released, status.gave_up, status.refused, status.uptime_seconds
    );
    let cpu = &status.cpu;
    let used = cpu.used.map_or("not read yet".to_owned(), |used| format!("{used:.0} % used"));
    let _ = writeln!(
        text,
        "CPU: {used}, {:.0} % reserved, {} % a worker, released below {} %",
        cpu.reserved, cpu.worker, cpu.max
    );
    let _ = match &status.vram {
        Some(vram) => writeln!(
            text,
            "VRAM: {} of {} free, {} reserved, {} a worker ({})",
            show_bytes(vram.free),
            show_bytes(vram.total),
            show_bytes(vram.reserved),
            show_bytes(vram.worker),
            vram.gpu
        ),
        None => writeln!(text, "VRAM: left out of account"),
    };
    let _ = match &status.held_by {
        Some(why) => writeln!(text, "the next must wait for {why}"),
        None => writeln!(text, "the next may go"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::protocol::{CpuStatus, VramStatus};

    #[test]
    fn a_status_in_words() {
        let status = Status {
            uptime_seconds: 90.4,
            waiting: 3,
            running: 5,
            released: 17,
            gave_up: 1,
            refused: 2,
            longest_wait_seconds: Some(12.2),
            held_by: Some("CPU: 71 % used and 20 % reserved, must be below 80 %".into()),
            cpu: CpuStatus { used: Some(71.3), reserved: 20.0, worker: 20.0, max: 80.0 },
            vram: Some(VramStatus {
                gpu: "card0".into(),
                total: 8 << 30,
                free: 5 << 30,
                reserved: 3 << 30,
                worker: 3 << 30,
            }),
        };
        assert_eq!(
            describe(&status),
            "3 waiting, 5 running, the first for 12 s\n\
             17 released, 1 gave up, 2 refused in 90 s\n\
             CPU: 71 % used, 20 % reserved, 20 % a worker, released below 80 %\n\
             VRAM: 5 GiB of 8 GiB free, 3 GiB reserved, 3 GiB a worker (card0)\n\
             the next must wait for CPU: 71 % used and 20 % reserved, must be below 80 %\n"
        );
    }
}
