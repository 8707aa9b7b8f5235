//! What a clip's frames depend on, as a key for stored results.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Clip, OpenOptions, is_script};
use crate::support::fingerprint::Fingerprint;

/// Key of an opened input: a script's text, its variables and the files it
/// names; a video's identity; and what came out of opening it. What a script
/// imports or computes from elsewhere cannot be seen, save through the clip.
pub fn fingerprint(path: &Path, options: &OpenOptions, clip: &Clip) -> Result<Fingerprint> {
    let facts = clip.facts()?;
    if !is_script(path) {
        let media = Fingerprint::of_media(path)?;
        return Ok(Fingerprint::of(&(media, format!("{:?}", options.provider), facts)));
    }
    let text = read(path)?;
    let mut files = Vec::new();
    for name in named_files(&text, path, options) {
        files.push((Fingerprint::of_media(&name)?, name));
    }
    Ok(Fingerprint::of(&(text, &options.variables, options.output_index, &options.plugins, files, facts)))
}

/// The files that an input is made of, sorted: itself, and for a script those
/// that it or its variables name.
pub fn files(path: &Path, options: &OpenOptions) -> Result<Vec<PathBuf>> {
    let mut files = vec![path.to_owned()];
    if is_script(path) {
        files.extend(named_files(&read(path)?, path, options));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    crate::support::text::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The strings of a script and the values of its variables that are existing
/// files, seen from the script's folder or from here.
fn named_files(text: &str, script: &Path, options: &OpenOptions) -> Vec<PathBuf> {
    let folder = script.parent().unwrap_or(Path::new(""));
    let values = options.variables.iter().map(|(_, value)| value.clone());
    let mut found: Vec<PathBuf> = strings(&options.here(text))
        .into_iter()
        .chain(values)
        .filter(|name| !name.is_empty())
        .flat_map(|name| [folder.join(&name), PathBuf::from(name)])
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// What may be meant by the string literals of a Python text: each as it is
/// written and with its quotes and backslashes unescaped.
fn strings(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'#' => at += bytes[at..].iter().take_while(|&&b| b != b'\n').count(),
            b'"' | b'\'' => {
                let tripled = bytes[at..].starts_with(&[byte; 3]);
                let mark = if tripled { 3 } else { 1 };
                let start = at + mark;
                let end = end_of_string(bytes, start, &[byte; 3][..mark]);
                let written = &text[start..end];
                found.push(written.to_owned());
                if written.contains('\\') {
                    found.push(unescaped(written));
                }
                at = end + mark;
            }
            _ => at += 1,
        }
    }
    found
}

/// Where the string that begins at `start` ends: before its closing `mark`, or
/// with its line or the text when there is none.
fn end_of_string(bytes: &[u8], start: usize, mark: &[u8]) -> usize {
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(mark) || (mark.len() == 1 && bytes[at] == b'\n') {
            return at;
        }
        // In raw strings, too, an escaped quote is none. Of a longer character
        // only the first byte is passed; its others are no marks.
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    bytes.len()
}

fn unescaped(written: &str) -> String {
    let mut plain = String::with_capacity(written.len());
    let mut characters = written.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some('\\' | '\'' | '"') if character == '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_script_or_its_variables_name_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("ep01.vpy");
        let text = "# Don't mind the apostrophe, nor \"comment.mkv\".\n\
            a = core.bs.VideoSource(r\"ep 01.mkv\")\n\
            b = core.bs.VideoSource(\"Director's Cut.mkv\") # isn't it?\n\
            c = core.bs.VideoSource('It\\'s \"late\".mkv')\n\
            d = \"\"\"several\nlines with ' and \" in them\"\"\"\n\
            e = f('no.mkv', \"also not\", '\u{e4}\u{f6}.mkv')\n";
        std::fs::write(&script, text).unwrap();
        let media =
            ["Director's Cut.mkv", "It's \"late\".mkv", "by-variable.mkv", "ep 01.mkv", "\u{e4}\u{f6}.mkv"];
        for name in media.iter().chain(&["comment.mkv", "several", "unnamed.mkv"]) {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let options = OpenOptions {
            variables: vec![("media".to_owned(), "by-variable.mkv".to_owned())],
            ..OpenOptions::default()
        };
        let found = files(&script, &options).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names[0], "ep01.vpy");
        assert_eq!(names[1..], media);
    }

    #[test]
    fn unfinished_strings_end_with_their_line_or_the_text() {
        for text in ["'a\n'b'", "'b' \"c", "\"\"\"b", "'b'\\", "'\\", "'b'#'", "\u{e4}'b'\u{e4}\\\u{e4}"] {
            let _ = strings(text);
        }
        assert_eq!(strings("'a\n'b' \"\"\"c\nd"), ["a", "b", "c\nd"]);
    }
}
