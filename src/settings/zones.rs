//! Zones: parts of the clip with settings of their own.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::problem::{Origin, Place, Problems};

/// Where the zones are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneList {
    File(PathBuf),
    /// The argument of `--zones-string`.
    Text(String),
}

/// A zone as listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub start: usize,
    /// Exclusive; `None` is the end of the clip.
    pub end: Option<usize>,
    pub name: String,
    /// Where its name stands.
    pub place: Place,
}

/// A zone with its settings, before the clip's length is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneEntry {
    pub start: usize,
    pub end: Option<usize>,
    pub name: String,
    pub settings: Settings,
}

/// Reads a list of `start end name` entries, in order of their starts. What is
/// wrong with an entry by itself or with its neighbour goes to `problems`.
pub fn read(list: Option<&ZoneList>, problems: &mut Problems) -> Vec<Listed> {
    let (text, origin) = match list {
        None => return Vec::new(),
        Some(ZoneList::Text(text)) => (text.clone(), Origin::Flag("--zones-string".to_owned())),
        Some(ZoneList::File(path)) => match crate::support::text::read(path) {
            Ok(text) => (text, Origin::File(Arc::new(path.clone()))),
            Err(e) => {
                let text = format!("cannot read the zones: {e}");
                problems.push(Place::whole(Origin::File(Arc::new(PathBuf::clone(path)))), text);
                return Vec::new();
            }
        },
    };
    let mut zones = parse(&text, &origin, problems);
    zones.sort_by_key(|zone| zone.start);
    for pair in zones.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        if first.end.is_none_or(|end| end > second.start) {
            let text = format!("zone {} overlaps zone {}: zones share no frame", spelt(second), spelt(first));
            problems.push(second.place.clone(), text);
        }
    }
    zones
}

fn spelt(zone: &Listed) -> String {
    let end = zone.end.map_or_else(|| "-1".to_owned(), |end| end.to_string());
    format!("{} {end} {}", zone.start, zone.name)
}

fn parse(text: &str, origin: &Origin, problems: &mut Problems) -> Vec<Listed> {
    let words = words(text);
    let mut zones = Vec::new();
    for entry in words.chunks(3) {
        let place = |word: usize| Place { origin: origin.clone(), at: Some(entry[word].0) };
        let &[(_, start), (_, end), (_, name)] = entry else {
            let rest: Vec<_> = entry.iter().map(|(_, word)| *word).collect();
            let text = format!("{:?} is left over: every zone is `start end name`", rest.join(" "));
            problems.push(place(0), text);
            continue;
        };
        let start_frame = start.parse::<usize>();
        if start_frame.is_err() {
            problems.push(place(0), format!("start {start:?}: must be a frame number from 0"));
        }
        let end_frame = if end == "-1" { Ok(None) } else { end.parse::<usize>().map(Some) };
        if end_frame.is_err() {
            problems.push(
                place(1),
                format!("end {end:?}: must be a frame number (exclusive), or -1 for the clip's end"),
            );
        }
        let (Ok(start), Ok(end)) = (start_frame, end_frame) else { continue };
        if let Some(end) = end.filter(|end| *end <= start) {
            problems.push(place(1), format!("end {end}: must be above the zone's start {start}"));
            continue;
        }
        zones.push(Listed { start, end, name: name.to_owned(), place: place(2) });
    }
    zones
}

/// The words of `text` with line and column, both from 1; `#` begins a comment.
fn words(text: &str) -> Vec<((usize, usize), &str)> {
    let mut words = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let mut column = 1;
        for piece in line.split('#').next().unwrap_or_default().split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if !word.is_empty() {
                words.push(((number, column), word));
            }
            column += piece.chars().count();
        }
    }
    words
}
