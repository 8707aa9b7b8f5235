//! ROI maps, the text that encoders read, and the rules that it must keep (spec
//! 06 and 09). Encoders check few of them and misread the rest in silence.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::Path;

use anyhow::{Result, bail};

use super::blocks::Blocks;
use crate::support::atomic;

/// Largest value and, negated, smallest.
pub const MAX_VALUE: i16 = 255;

/// AV1 has eight segments a frame, so that many quantisers.
const MAX_DISTINCT: usize = 8;

/// A change of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoiLine {
    /// Offset from the scene's first frame; the values hold from here on.
    pub frame: usize,
    /// One value a block in raster order, −255 (better) to 255 (worse).
    pub values: Vec<i16>,
}

/// What `--roi-map-file` takes: which blocks are quantised finer, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoiMap {
    blocks: Blocks,
    lines: Vec<RoiLine>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.text),
            line => write!(f, "line {line}: {}", self.text),
        }
    }
}

/// One problem a line.
fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads a ROI map over `blocks` and finds everything that is wrong with it;
/// lines that cannot be read are left out.
pub fn read(text: &str, blocks: Blocks) -> (Vec<RoiLine>, Vec<Problem>) {
    let mut lines: Vec<RoiLine> = Vec::new();
    let mut problems = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let mut wrong = |text: String| problems.push(Problem { line: number, text });
        let line = match parse(text) {
            Ok(line) => line,
            Err(error) => {
                wrong(error);
                continue;
            }
        };
        if let Some(before) = lines.last().filter(|before| before.frame >= line.frame) {
            wrong(format!("frame {} after frame {}: frames must rise", line.frame, before.frame));
        }
        faults(&line, blocks).into_iter().for_each(&mut wrong);
        lines.push(line);
    }
    if lines.first().is_none_or(|line| line.frame != 0) && problems.is_empty() {
        problems.push(Problem {
            line: 0,
            text: "the first line must be for frame 0: nothing says what holds before it".to_owned(),
        });
    }
    (lines, problems)
}

fn parse(text: &str) -> std::result::Result<RoiLine, String> {
    let mut words = text.split_ascii_whitespace();
    let Some(frame) = words.next() else {
        return Err("is empty; a line is a frame number and one value a block".to_owned());
    };
    let frame = frame.parse().map_err(|_| {
        format!("`{frame}` is no frame number, which is 0 or more from the scene's first frame")
    })?;
    let value = |word: &str| {
        word.parse()
            .map_err(|_| format!("`{word}` is no value, which is an integer of -{MAX_VALUE} to {MAX_VALUE}"))
    };
    Ok(RoiLine { frame, values: words.map(value).collect::<Result<_, _>>()? })
}

fn faults(line: &RoiLine, blocks: Blocks) -> Vec<String> {
    let mut found = Vec::new();
    let (wanted, values) = (blocks.count(), &line.values);
    if values.len() != wanted {
        found.push(format!(
            "{} values: must be {wanted}, for {} x {} blocks of 64 x 64",
            values.len(),
            blocks.columns,
            blocks.rows
        ));
    }
    if let Some(value) = values.iter().find(|v| v.unsigned_abs() > MAX_VALUE as u16) {
        found.push(format!("value {value}: must be -{MAX_VALUE} to {MAX_VALUE}"));
    }
    let distinct = values.iter().collect::<BTreeSet<_>>().len();
    if distinct > MAX_DISTINCT {
        found.push(format!("{distinct} distinct values: at most {MAX_DISTINCT}, AV1 has that many segments"));
    }
    if let Some(highest) = values.iter().max().filter(|&&highest| highest < 0) {
        found.push(format!(
            "the highest value is {highest}: at least one must be 0 or more, or the stream may be undecodable; \
             lower the CRF instead"
        ));
    }
    found
}

impl RoiMap {
    /// A map of these changes; [`RoiMap::write`] sees to the rules.
    pub fn new(blocks: Blocks, lines: Vec<RoiLine>) -> Self {
        Self { blocks, lines }
    }

    pub fn blocks(&self) -> Blocks {
        self.blocks
    }

    pub fn lines(&self) -> &[RoiLine] {
        &self.lines
    }

    /// The values in force at `frame` of the scene; `None` before the first line.
    pub fn at(&self, frame: usize) -> Option<&[i16]> {
        let after = self.lines.partition_point(|line| line.frame <= frame);
        after.checked_sub(1).map(|line| &self.lines[line].values[..])
    }

    /// Reads a ROI map over `blocks`; an error lists everything that is wrong with it.
    pub fn parse(text: &str, blocks: Blocks) -> Result<Self> {
        let (lines, problems) = read(text, blocks);
        if !problems.is_empty() {
            bail!("{}", list(&problems));
        }
        Ok(Self { blocks, lines })
    }

    /// One line a change: the frame, then the values.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = write!(text, "{}", line.frame);
            for value in &line.values {
                let _ = write!(text, " {value}");
            }
            text.push('\n');
        }
        text
    }

    /// Writes the map to `path`, complete or not at all; a map that an encoder
    /// would misread is an error and is not written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.to_text();
        let problems = read(&text, self.blocks).1;
        if !problems.is_empty() {
            bail!("the ROI map for {} breaks the rules:\n{}", path.display(), list(&problems));
        }
        atomic::write(path, text.as_bytes())
    }

    /// The usual name of a scene's ROI map in its folder.
    pub fn file_name(scene: usize) -> String {
        format!("roi-map-{scene:05}.txt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Blocks = Blocks { columns: 3, rows: 1 };

    fn problems(text: &str) -> String {
        list(&read(text, GRID).1)
    }

    #[test]
    fn a_right_file_has_no_problem() {
        let (lines, problems) = read("0 -17 2 2\n1 4 4 4\n8 -255 255 0\n", GRID);
        assert_eq!(problems, []);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], RoiLine { frame: 8, values: vec![-255, 255, 0] });
    }

    #[test]
    fn every_rule_is_told_with_its_line() {
        for (text, wanted) in [
            ("", "first line must be for frame 0"),
            ("4 0 0 0\n", "first line must be for frame 0"),
            ("0 0 0\n", "line 1: 2 values: must be 3, for 3 x 1 blocks"),
            ("0 0 0 0 0\n", "line 1: 4 values: must be 3"),
            ("0 0 0 0\n\n", "line 2: is empty"),
            ("0 0 0 0\n4 0 0 0\n4 0 0 1\n", "line 3: frame 4 after frame 4: frames must rise"),
            ("0 -3 -1 -2\n", "line 1: the highest value is -1"),
            ("0 256 0 0\n", "line 1: value 256: must be -255 to 255"),
            ("0 -32768 0 0\n", "line 1: value -32768"),
            ("0 1.5 0 0\n", "line 1: `1.5` is no value"),
            ("0 99999 0 0\n", "line 1: `99999` is no value"),
            ("-1 0 0 0\n", "line 1: `-1` is no frame number"),
        ] {
            assert!(problems(text).contains(wanted), "{text:?}: {}", problems(text));
        }
    }

    #[test]
    fn nine_values_are_one_too_many() {
        let grid = Blocks { columns: 9, rows: 1 };
        assert_eq!(read("0 0 1 2 3 4 5 6 7 7", grid).1, []);
        let found = list(&read("0 0 1 2 3 4 5 6 7 8", grid).1);
        assert!(found.contains("9 distinct values: at most 8"), "{found}");
    }
}
