//! Encoder options as an ordered list that later lists overlay.

use std::fmt::Write;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use super::Coder;

/// Who asked for an option: ours may be left out when the encoder does not
/// know it, the user's never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Origin {
    Ours,
    User,
}

/// One option with its dashes, and its value where it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EncoderOption {
    pub name: String,
    pub value: Option<String>,
    pub origin: Origin,
}

/// Options in order, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Options(Vec<EncoderOption>);

impl Options {
    /// Command-line words, `--name value`, `--name=value`, `-n value` and flags
    /// without a value; the last of several with one name counts.
    pub fn parse(words: &[String], origin: Origin) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if !is_name(word) {
                bail!("`{word}` belongs to no option; options are `--name value` or `--name=value`");
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), words.next_if(|next| !is_name(next)).cloned()),
            };
            ensure!(!name.trim_start_matches('-').is_empty(), "`{word}` names no option");
            options.set(name, value, origin);
        }
        Ok(options)
    }

    /// One string as it is typed after `--params`.
    pub fn parse_line(line: &str, origin: Origin) -> Result<Self> {
        let Ok(words) = shell_words::split(line) else { bail!("`{line}`: a quotation mark is not closed") };
        Self::parse(&words, origin)
    }

    /// Adds an option or replaces the one of that name, in its place.
    pub fn set(&mut self, name: &str, value: Option<String>, origin: Origin) {
        let option = EncoderOption { name: name.to_owned(), value, origin };
        match self.0.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = option,
            None => self.0.push(option),
        }
    }

    /// [`Options::set`] for one of ours with a value.
    pub fn set_ours(&mut self, name: &str, value: impl Into<String>) {
        self.set(name, Some(value.into()), Origin::Ours);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|option| option.name != name);
    }

    /// Everything of `upper` comes on top.
    pub fn overlay(&mut self, upper: &Self) {
        for option in &upper.0 {
            self.set(&option.name, option.value.clone(), option.origin);
        }
    }

    pub fn get(&self, name: &str) -> Option<&EncoderOption> {
        self.0.iter().find(|option| option.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &EncoderOption> {
        self.0.iter()
    }

    pub fn retain(&mut self, keep: impl FnMut(&EncoderOption) -> bool) {
        self.0.retain(keep);
    }

    /// As `coder` takes them: aomenc wants long options and values in one word.
    pub fn words(&self, coder: Coder) -> Vec<String> {
        let mut words = Vec::new();
        for EncoderOption { name, value, .. } in &self.0 {
            words.push(name.clone());
            match value {
                Some(value) if coder == Coder::Aom && name.starts_with("--") => {
                    let word = words.last_mut().expect("one was pushed above");
                    let _ = write!(word, "={value}");
                }
                Some(value) => words.push(value.clone()),
                None => {}
            }
        }
        words
    }
}

/// A word that starts an option; `-1` and `-0.5` are values.
fn is_name(word: &str) -> bool {
    word.starts_with('-') && word.len() > 1 && word.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Options {
        Options::parse_line(line, Origin::User).unwrap()
    }

    #[test]
    fn each_encoder_gets_its_own_spelling() {
        let options = parsed("--crf 27.5 --keyint=-1 --delta -1 --flag -t 4 --path 'a b'");
        assert_eq!(
            options.words(Coder::SvtAv1),
            ["--crf", "27.5", "--keyint", "-1", "--delta", "-1", "--flag", "-t", "4", "--path", "a b"]
        );
        assert_eq!(
            options.words(Coder::Aom),
            ["--crf=27.5", "--keyint=-1", "--delta=-1", "--flag", "-t", "4", "--path=a b"]
        );
    }

    #[test]
    fn the_upper_list_replaces_in_place() {
        let mut options = parsed("--cpu-used=3 --tune=ssim --sharpness=2");
        options.overlay(&parsed("--tune=psnr --sb-size=dynamic"));
        assert_eq!(
            options.words(Coder::Aom),
            ["--cpu-used=3", "--tune=psnr", "--sharpness=2", "--sb-size=dynamic"]
        );
    }

    #[test]
    fn what_is_no_option_is_an_error() {
        for (line, wanted) in [
            ("27", "`27` belongs to no option"),
            ("--a 1 2", "`2` belongs"),
            ("--a 'b", "not closed"),
            ("--", "names no option"),
        ] {
            let error = Options::parse_line(line, Origin::User).unwrap_err().to_string();
            assert!(error.contains(wanted), "{line}: {error}");
        }
    }
}
