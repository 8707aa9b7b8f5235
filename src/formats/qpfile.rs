//! Scene starts from an x264/x265 style QP file (spec 06).

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Folders looked into before the search below the script gives up.
const MAX_FOLDERS: usize = 2_000;

/// The scenes of a QP file for a clip of `frames` frames. Lines of exactly two
/// fields, `frame TYPE`, start a scene; the first scene starts at 0 in any case.
pub fn read(path: &Path, frames: usize) -> Result<Vec<Range<usize>>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the QP file {}", path.display()))?;
    parse(&text, frames).with_context(|| format!("QP file {}", path.display()))
}

fn parse(text: &str, frames: usize) -> Result<Vec<Range<usize>>> {
    let mut starts: Vec<usize> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[frame, kind] = fields.as_slice() else { continue };
        let frame: usize = frame.parse().ok().with_context(|| {
            format!("line {line_number}: `{frame}` is not a frame number; lines are `frame TYPE`")
        })?;
        ensure!(
            kind.len() == 1 && kind.chars().all(|c| c.is_ascii_alphabetic()),
            "line {line_number}: `{kind}` is not a frame type; lines are `frame TYPE`, as in `240 I`"
        );
        ensure!(
            frame < frames,
            "line {line_number}: frame {frame} is beyond the clip, whose last frame is {}; \
             the file belongs to another clip",
            frames.saturating_sub(1)
        );
        match starts.last() {
            Some(&last) if last == frame => bail!("line {line_number}: frame {frame} is there twice"),
            Some(&last) if last > frame => {
                bail!("line {line_number}: frame {frame} comes after {last}; frame numbers must rise")
            }
            _ => starts.push(frame),
        }
    }
    ensure!(
        !starts.is_empty(),
        "it has no line `frame TYPE`, so it starts no scene; leave it out to have scenes detected"
    );
    if starts[0] != 0 {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([frames]);
    Ok(starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect())
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
    fn lines_of_two_fields_start_scenes() {
        assert_eq!(parse("0 I\n50 K\n120 i\n", 200).unwrap(), [0..50, 50..120, 120..200]);
        assert_eq!(parse("# made by hand\n50 I\r\n\n120 I -1\n", 200).unwrap(), [0..50, 50..200]);
    }

    #[test]
    fn bad_lines_are_named_with_what_is_wrong() {
        for (text, wanted) in [
            ("0 I\n90 I\n50 I", "line 3: frame 50 comes after 90"),
            ("0 I\n50 I\n50 I", "line 3: frame 50 is there twice"),
            ("0 I\n200 I", "line 2: frame 200 is beyond the clip, whose last frame is 199"),
            ("-3 I", "line 1: `-3` is not a frame number"),
            ("0 I\nfive I", "line 2: `five` is not a frame number"),
            ("0 I\n50 27", "line 2: `27` is not a frame type"),
            ("", "no line `frame TYPE`"),
            ("0 I -1\n50 I -1", "no line `frame TYPE`"),
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
