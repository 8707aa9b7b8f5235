//! Encoder options as an ordered list that later lists overlay.

use std::fmt::Write as _;

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

impl EncoderOption {
    /// As two words of a command line, or one.
    pub fn words(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.name.clone()).chain(self.value.clone())
    }
}

impl std::fmt::Display for EncoderOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.value.iter().try_for_each(|value| write!(f, " {value}"))
    }
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

    /// [`Options::parse`] for lists in which a second value or spelling is a
    /// mistake: each name once, values after a space.
    pub fn parse_strictly(words: &[String], origin: Origin) -> Result<Self> {
        for (n, word) in words.iter().enumerate().filter(|(_, word)| is_name(word)) {
            if let Some((name, value)) = word.split_once('=') {
                bail!("{word}: write `{name} {value}`, with a space");
            }
            ensure!(!words[..n].contains(word), "{word} is given twice");
        }
        Self::parse(words, origin)
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

    /// Adds an option behind those that are there, whose names are others.
    pub fn push(&mut self, option: EncoderOption) {
        debug_assert!(self.get(&option.name).is_none(), "{option} is there twice");
        self.0.push(option);
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

    /// The value of the option, where it is there and has one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name)?.value.as_deref()
    }

    /// Whether an option of that name stands here with that value.
    pub fn has_equal(&self, option: &EncoderOption) -> bool {
        self.get(&option.name).is_some_and(|ours| ours.value == option.value)
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

/// A word that starts an option: a dash and no digit; `-1`, `-.5` and `-` are values.
fn is_name(word: &str) -> bool {
    let first = word.strip_prefix('-').and_then(|rest| rest.chars().next());
    first.is_some_and(|first| first == '-' || first.is_alphabetic())
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
    fn an_option_is_shown_and_spoken_as_it_was_given() {
        let options = parsed("--crf 27.5 --flag");
        let shown: Vec<String> = options.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["--crf 27.5", "--flag"]);
        let words: Vec<String> = options.iter().flat_map(EncoderOption::words).collect();
        assert_eq!(words, ["--crf", "27.5", "--flag"]);
    }

    #[test]
    fn options_are_added_replaced_and_taken_away_by_name() {
        let mut options = parsed("--tune 2 --scm 0");
        options.set_ours("--lp", "4");
        options.set_ours("--tune", "1");
        let last = EncoderOption { name: "--flag".into(), value: None, origin: Origin::Ours };
        options.push(last.clone());
        options.remove("--scm");
        assert_eq!(options.words(Coder::SvtAv1), ["--tune", "1", "--lp", "4", "--flag"]);
        assert_eq!(options.get("--lp").unwrap().origin, Origin::Ours);
        assert!(options.has_equal(&last) && !parsed("--flag 1").has_equal(&last));
        options.retain(|option| option.value.is_none());
        assert_eq!(options, {
            let mut only = Options::default();
            only.push(last);
            only
        });
        // Only long options have their value behind `=`.
        assert_eq!(parsed("-t=4").words(Coder::SvtAv1), ["-t=4"]);
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
    fn strict_lists_name_each_option_once_and_put_a_space_before_the_value() {
        let strictly = |line: &str| {
            let words = shell_words::split(line).unwrap();
            Options::parse_strictly(&words, Origin::User).map_err(|error| error.to_string())
        };
        assert_eq!(strictly("--tune 2 --bias -.5").unwrap().value("--bias"), Some("-.5"));
        for (line, wanted) in [
            ("--tune=2", "--tune=2: write `--tune 2`, with a space"),
            ("--tune 2 --scm 0 --tune 1", "--tune is given twice"),
            ("--tune 2 1", "`1` belongs to no option"),
        ] {
            assert!(strictly(line).unwrap_err().starts_with(wanted), "{line}");
        }
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
