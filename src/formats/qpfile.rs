//! Scene starts from a QP file as x264 and x265 take them with `--qpfile` (spec 06).
//!
//! One frame a line, `frame [TYPE [QP]]`. `K` and `I`, and lines without a type,
//! start a scene; `i`, `P`, `B` and `b` do not: there, pictures from before the
//! frame may still be referred to. A byte-order mark, blank lines and comments
//! behind `#` are allowed.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail, ensure};

/// Folders looked into before the search below the script gives up.
const MAX_FOLDERS: usize = 2_000;

/// The scenes of a QP file for a clip of `frames` frames; the first starts at 0
/// in any case. Errors name the file and the line.
pub fn read(path: &Path, frames: usize) -> Result<Vec<Range<usize>>> {
    let text = crate::support::text::read(path)
        .with_context(|| format!("cannot read the QP file {}", path.display()))?;
    parse(&text, frames).with_context(|| format!("QP file {}", path.display()))
}

/// [`read`] for the text of a file; errors name the line.
pub fn parse(text: &str, frames: usize) -> Result<Vec<Range<usize>>> {
    let mut starts: Vec<usize> = Vec::new();
    let mut before = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let told = |fault: Error| fault.context(format!("line {}", index + 1));
        let Some((frame, starts_scene)) = fields(line).map_err(told)? else { continue };
        follows(frame, before, frames).map_err(told)?;
        before = Some(frame);
        if starts_scene {
            starts.push(frame);
        }
    }
    ensure!(
        !starts.is_empty(),
        "it has no line `frame TYPE` whose type is K or I or left out, so it starts no scene; leave it out to \
         have scenes detected"
    );
    if starts[0] != 0 {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([frames]);
    Ok(starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect())
}

/// The frame of a line, and whether it starts a scene; `None`: the line says nothing.
fn fields(line: &str) -> Result<Option<(usize, bool)>> {
    let said = line.split('#').next().unwrap_or_default();
    let mut fields = said.split_whitespace();
    let Some(frame) = fields.next() else { return Ok(None) };
    let frame: usize = frame
        .parse()
        .ok()
        .with_context(|| format!("`{frame}` is not a frame number; lines are `frame TYPE`"))?;
    let starts_scene = match fields.next() {
        None | Some("K" | "I") => true,
        Some("i" | "P" | "B" | "b") => false,
        Some(kind) => bail!(
            "`{kind}` is not a frame type; lines are `frame TYPE`, as in `240 I`, and types are K, I, i, P, B \
             and b"
        ),
    };
    if let Some(qp) = fields.next() {
        ensure!(
            qp.parse::<i32>().is_ok_and(|qp| qp >= -1),
            "`{qp}` is not a QP; it is a whole number, and -1 leaves it to the encoder"
        );
    }
    if let Some(more) = fields.next() {
        bail!("`{more}` is one field too many; lines are `frame TYPE QP`");
    }
    Ok(Some((frame, starts_scene)))
}

/// Whether `frame` may come after `before` in a clip of `frames` frames.
fn follows(frame: usize, before: Option<usize>, frames: usize) -> Result<()> {
    ensure!(
        frame < frames,
        "frame {frame} is beyond the clip, whose last frame is {}; the file belongs to another clip",
        frames.saturating_sub(1)
    );
    match before {
        Some(before) if before == frame => bail!("frame {frame} is there twice"),
        Some(before) if before > frame => {
            bail!("frame {frame} comes after {before}; frame numbers must rise")
        }
        _ => Ok(()),
    }
}

/// `<stem>.qp.txt` beside `script` or in a folder below; the nearest one, and
/// the first by name among equals.
pub fn find(script: &Path) -> Option<PathBuf> {
    let mut name = script.file_stem()?.to_owned();
    name.push(".qp.txt");
    let mut folders = VecDeque::from([crate::support::atomic::folder_of(script)]);
    for _ in 0..MAX_FOLDERS {
        let folder = folders.pop_front()?;
        let candidate = folder.join(&name);
        if candidate.is_file() {
            return Some(candidate);
        }
        // What cannot be read cannot hold a file for us either.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        // `file_type` does not follow links, so the search cannot run in circles.
        let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let mut below: Vec<PathBuf> = entries.flatten().filter(is_folder).map(|entry| entry.path()).collect();
        below.sort();
        folders.extend(below);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_as_the_world_writes_them() {
        for (text, wanted) in [
            ("0 I\n50 K\n120 I\n", vec![0..50, 50..120, 120..200]),
            // With QPs.
            ("0 I -1\n50 I -1\n120 K 18\n", vec![0..50, 50..120, 120..200]),
            // Without types.
            ("0\n50\n120\n", vec![0..50, 50..120, 120..200]),
            // Types that are no cuts.
            ("0 I\n10 i\n20 P\n30 B\n40 b -1\n50 K", vec![0..50, 50..200]),
            // A byte-order mark, Windows' line ends, blank lines, tabs, spaces.
            ("\u{feff}0 I\r\n50 I -1\r\n\r\n", vec![0..50, 50..200]),
            ("  0\tI\n \t \n50   K  -1  \n", vec![0..50, 50..200]),
            // Comments.
            ("# made by hand\n50 I # the opening\n#60 I\n", vec![0..50, 50..200]),
            // The clip begins with a scene, said or not.
            ("0 P\n50 I\n", vec![0..50, 50..200]),
        ] {
            assert_eq!(parse(text, 200).unwrap(), wanted, "{text:?}");
        }
    }

    #[test]
    fn bad_lines_are_named_with_what_is_wrong() {
        for (text, wanted) in [
            ("0 I\n90 I\n50 I", "line 3: frame 50 comes after 90"),
            ("0 I\n90 P\n50 I", "line 3: frame 50 comes after 90"),
            ("0 I\n50 I\n50 I", "line 3: frame 50 is there twice"),
            ("0 I\n200 I", "line 2: frame 200 is beyond the clip, whose last frame is 199"),
            ("0 I\n200 b", "line 2: frame 200 is beyond the clip"),
            ("-3 I", "line 1: `-3` is not a frame number"),
            ("0 I\nfive I", "line 2: `five` is not a frame number"),
            ("0 I\n50 27", "line 2: `27` is not a frame type"),
            ("0 I\n50 k", "line 2: `k` is not a frame type"),
            ("0 I\n50 I auto", "line 2: `auto` is not a QP"),
            ("0 I\n50 I -2", "line 2: `-2` is not a QP"),
            ("0 I\n50 I -1 7", "line 2: `7` is one field too many"),
            ("0 I\n\u{feff}50 I", "line 2: `\u{feff}50` is not a frame number"),
            ("", "no line `frame TYPE`"),
            ("# nothing\n", "no line `frame TYPE`"),
            ("0 P\n50 i -1", "no line `frame TYPE`"),
        ] {
            let error = format!("{:#}", parse(text, 200).unwrap_err());
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_nearest_file_of_the_script_s_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("ep01.vpy");
        assert_eq!(find(&script), None);
        let deep = folder.path().join("lists/old");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("ep01.qp.txt"), "0 I\n").unwrap();
        std::fs::write(folder.path().join("ep02.qp.txt"), "0 I\n").unwrap();
        assert_eq!(find(&script), Some(deep.join("ep01.qp.txt")));
        std::fs::write(folder.path().join("ep01.qp.txt"), "0 I\n").unwrap();
        assert_eq!(find(&script), Some(folder.path().join("ep01.qp.txt")));
    }
}
