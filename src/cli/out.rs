//! The two streams that people and other programs read. Neither is worth the
//! run: who reads it may have seen enough (`| head -1`), a terminal may be gone,
//! a log's disk full. So nothing here panics, as `println!` would.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Where a command's result goes: what it prints as opposed to what it tells.
pub enum Out {
    Stdout,
    /// Standard output carries events, so people read on standard error.
    Stderr,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Stdout => io::stdout().write(bytes),
            Self::Stderr => io::stderr().write(bytes),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match self {
            Self::Stdout => io::stdout().flush(),
            Self::Stderr => io::stderr().flush(),
        };
        flushed.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
    }
}

/// Prints a result as a line.
pub fn say(out: &mut dyn Write, text: &str) -> Result<()> {
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write the result to standard output")
}

/// Tells people something, if they still listen.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Progress may wait this long before it is written.
const PROGRESS_WAITS: Duration = Duration::from_millis(200);

/// Lines for another program: many, so they are gathered, but it is to know of
/// what happens when it happens.
pub struct Lines {
    out: BufWriter<Box<dyn Write + Send>>,
    written: Instant,
}

impl Lines {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, out), written: Instant::now() }
    }

    /// Writes `line`, which ends with a newline; one that is not `urgent` may wait a little.
    pub fn write(&mut self, line: &[u8], urgent: bool) -> io::Result<()> {
        self.out.write_all(line)?;
        if urgent || self.written.elapsed() >= PROGRESS_WAITS {
            self.flush()?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.written = Instant::now();
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Counts how often it is written to.
    struct Counting(Arc<Mutex<Vec<usize>>>);

    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn progress_is_gathered_and_comes_before_what_happens_next() {
        let writes = Arc::new(Mutex::new(Vec::new()));
        let mut lines = Lines::new(Box::new(Counting(Arc::clone(&writes))));
        for _ in 0..100 {
            lines.write(b"progress\n", false).unwrap();
        }
        lines.write(b"done\n", true).unwrap();
        let writes = writes.lock().unwrap();
        assert_eq!(writes.iter().sum::<usize>(), 905);
        assert!(writes.len() < 50, "{writes:?}");
    }
}
