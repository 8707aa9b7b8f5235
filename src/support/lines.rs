//! Lines from a child's output: split at line feeds and carriage returns, with
//! terminal codes removed, and the last few kept.

use std::collections::VecDeque;

/// Lines kept for error messages.
const KEPT_LINES: usize = 12;
/// A longer line is cut: progress output may never end its line.
const MAX_LINE: usize = 2000;

/// Puts bytes together to lines. Empty lines are left out.
#[derive(Debug, Default)]
pub struct LineSplitter {
    line: Vec<u8>,
}

impl LineSplitter {
    /// Calls `take` for every line that `bytes` completes.
    pub fn feed(&mut self, bytes: &[u8], take: &mut impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                self.finish(take);
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
        }
    }

    /// Hands out what has no line end yet.
    pub fn finish(&mut self, take: &mut impl FnMut(&str)) {
        let text = without_terminal_codes(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        let text = text.trim_end();
        if !text.trim_start().is_empty() {
            take(text);
        }
    }
}

/// The last lines that were pushed.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    pub fn push(&mut self, line: &str) {
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// Oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// `text` without ANSI control sequences (`ESC [ … letter`) and other control
/// characters; tabs become spaces.
pub fn without_terminal_codes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
                }
            }
            '\t' => plain.push(' '),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut splitter = LineSplitter::default();
        let mut take = |line: &str| found.push(line.to_owned());
        for part in parts {
            splitter.feed(part, &mut take);
        }
        splitter.finish(&mut take);
        found
    }

    #[test]
    fn progress_and_colours_become_plain_lines() {
        // As SVT-AV1 4.2.0 with `--progress 2` and PSYEX's version text write them.
        assert_eq!(
            lines(&[b"\rEncoding: 1/24\rEnco", b"ding: 2/24\n\n", b"Release: \x1b[32mB\x1b[0m\r\n", b"end"]),
            ["Encoding: 1/24", "Encoding: 2/24", "Release: B", "end"]
        );
    }

    #[test]
    fn an_endless_line_and_an_open_escape_are_bounded() {
        let long = vec![b'x'; 3 * MAX_LINE];
        assert_eq!(lines(&[&long])[0].len(), MAX_LINE);
        assert_eq!(lines(&[b"a\x1b[31"]), ["a"]);
        assert_eq!(lines(&[b"\xff\xfe"]), ["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut tail = Tail::default();
        (0..100).for_each(|n| tail.push(&n.to_string()));
        assert_eq!(tail.lines(), (88..100).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
