//! Reads one value for one key: its type, its range, and into the draft.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use toml::Value;

use super::draft::Draft;
use super::problem::{Place, did_you_mean};
use super::schema::{Key, Kind, MAX_SIZE, PRESETS, family_params};
use super::{Crop, dynamic, params};
use crate::options::Use;

impl Key {
    /// Writes `value` into the draft; the error says what is allowed.
    pub fn assign(&self, draft: &mut Draft, value: &Value, place: &Place) -> Result<(), String> {
        self.kind.assign(draft, value, place).map_err(|allowed| {
            let name = self.path.rsplit('.').next().unwrap_or(self.path);
            format!("{name} {}: {allowed}", shown(value))
        })?;
        draft.wrote(self.path, place.clone());
        Ok(())
    }
}

/// A value as it would be written, shortened to fit a message.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}

impl Kind {
    fn assign(&self, draft: &mut Draft, value: &Value, place: &Place) -> Result<(), String> {
        match self {
            Self::Switch(slot) => *slot(draft) = value.as_bool().ok_or("must be true or false")?,
            Self::Preset(slot) => *slot(draft) = integer(value, PRESETS.0, PRESETS.1, None)?,
            Self::Count(min, max, slot) => *slot(draft) = integer(value, *min, *max, None)?,
            Self::Curve(slot) => *slot(draft) = integer(value, 0, 1, None)?,
            Self::Number(min, max, slot) => *slot(draft) = number(value, *min, *max, None)?,
            Self::OptionalCount(word, min, max, slot) => {
                *slot(draft) = unless(word, value, || integer(value, *min, *max, Some(word)))?;
            }
            Self::OptionalStrength(word, min, max, slot) => {
                *slot(draft) = unless(word, value, || integer(value, *min, *max, Some(word)))?;
            }
            Self::OptionalNumber(word, min, max, slot) => {
                *slot(draft) = unless(word, value, || number(value, *min, *max, Some(word)))?;
            }
            Self::Choice(words, set) => choose(draft, value, words, *set)?,
            Self::Program(slot) => {
                *slot(draft) = program(value, place)?.ok_or("must be a program's name or path")?;
            }
            Self::File(slot) => *slot(draft) = path(value, place)?,
            Self::Crop(slot) => *slot(draft) = crop(value)?,
            Self::ProbingParams(family) => {
                let list = &mut family_params(draft, *family).probing;
                *list = params::list(list, value, Use::Probing)?;
            }
            Self::FinalParams(family) => {
                let list = &mut family_params(draft, *family).final_;
                *list = params::list(list, value, Use::Final)?;
            }
            Self::Rule(slot) => *slot(draft) = rule(value)?,
            Self::Names(slot) => {
                let text = value.as_str().ok_or("must be names in quotes, with spaces between them")?;
                *slot(draft) = text.split_whitespace().map(str::to_owned).collect();
            }
        }
        Ok(())
    }

    /// Whether any text is a value, so that what is typed needs no quotes.
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            Self::Choice(..)
                | Self::Program(_)
                | Self::File(_)
                | Self::ProbingParams(_)
                | Self::FinalParams(_)
                | Self::Rule(_)
                | Self::Names(_)
                | Self::Crop(_)
        )
    }
}

fn unless<T>(
    word: &str,
    value: &Value,
    otherwise: impl FnOnce() -> Result<T, String>,
) -> Result<Option<T>, String> {
    if value.as_str() == Some(word) { Ok(None) } else { otherwise().map(Some) }
}

fn allowed(kind: &str, min: impl Display, max: impl Display, word: Option<&str>) -> String {
    let word = word.map_or_else(String::new, |w| format!(", or \"{w}\""));
    format!("must be {kind}{min} to {max}{word}")
}

fn integer<T>(value: &Value, min: T, max: T, word: Option<&str>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Display + Copy,
{
    let read = value.as_integer().and_then(|n| T::try_from(n).ok()).filter(|n| *n >= min && *n <= max);
    read.ok_or_else(|| allowed(if value.is_integer() { "" } else { "an integer, " }, min, max, word))
}

fn number(value: &Value, min: f64, max: f64, word: Option<&str>) -> Result<f64, String> {
    let read = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    // NaN is in no range.
    read.filter(|n| (min..=max).contains(n))
        .ok_or_else(|| allowed(if read.is_some() { "" } else { "a number, " }, min, max, word))
}

fn choose(
    draft: &mut Draft,
    value: &Value,
    words: &[&'static str],
    set: fn(&mut Draft, &str) -> bool,
) -> Result<(), String> {
    let word = value.as_str().unwrap_or_default();
    if set(draft, word) {
        return Ok(());
    }
    let near = did_you_mean(word, words.iter().copied());
    Err(format!("must be one of {}{near}", words.join(", ")))
}

/// A program: a bare name is left to be found on the PATH.
fn program(value: &Value, place: &Place) -> Result<Option<PathBuf>, String> {
    match value.as_str() {
        Some(name) if Path::new(name).components().count() == 1 => Ok(Some(PathBuf::from(name))),
        _ => path(value, place),
    }
}

/// A path; a relative one in a file starts at the file's folder.
fn path(value: &Value, place: &Place) -> Result<Option<PathBuf>, String> {
    let text = value.as_str().ok_or("must be a path in quotes")?;
    if text.is_empty() {
        return Ok(None);
    }
    let path = Path::new(text);
    Ok(Some(place.origin.folder().map_or_else(|| path.to_path_buf(), |folder| folder.join(path))))
}

fn crop(value: &Value) -> Result<Crop, String> {
    if value.as_str() == Some("auto") {
        return Ok(Crop::Auto);
    }
    let read = || {
        let sides: Vec<usize> = value
            .as_array()?
            .iter()
            .map(|side| integer(side, 0, MAX_SIZE, None).ok().filter(|side| side % 2 == 0))
            .collect::<Option<_>>()?;
        <[usize; 4]>::try_from(sides).ok().map(Crop::Sides)
    };
    read().ok_or_else(|| {
        format!("must be [left, right, top, bottom], four even numbers of pixels from 0 to {MAX_SIZE}, or \"auto\"")
    })
}

fn rule(value: &Value) -> Result<Option<String>, String> {
    let text = value.as_str().ok_or("must be an expression in quotes, or \"\" for none")?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    dynamic::check(text).map_err(|e| format!("the expression does not parse: {e}"))?;
    Ok(Some(text.to_owned()))
}
