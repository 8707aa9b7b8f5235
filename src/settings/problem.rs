//! What is wrong with the settings, and where it was written. Problems are
//! collected, so that all of them are reported at once.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::nearest::nearest;

/// Who wrote a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A preset that is part of the program.
    BuiltIn(&'static str),
    /// A preset or zones file of the user.
    File(Arc<PathBuf>),
    /// The command line: the flag as typed.
    Flag(String),
}

impl Origin {
    /// The folder that relative paths in this file start from.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(path) => path.parent(),
            Self::BuiltIn(_) | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(name) => write!(f, "preset {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub origin: Origin,
    /// Line and column, both from 1, columns in characters.
    pub at: Option<(usize, usize)>,
}

impl Place {
    pub fn whole(origin: Origin) -> Self {
        Self { origin, at: None }
    }

    /// The place of byte `offset` of `text`.
    pub fn in_text(origin: Origin, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        let line = before.matches('\n').count() + 1;
        Self { origin, at: Some((line, before[line_start..].chars().count() + 1)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)?;
        match self.at {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub text: String,
}

/// Nobody reads more; what has as many is no preset.
const MOST_PROBLEMS: usize = 1000;

/// Everything that is wrong with the settings, in the order it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    pub list: Vec<Problem>,
    /// Keys whose value was refused, so that nothing is concluded from what they inherit.
    refused: BTreeSet<String>,
}

impl Problems {
    /// Notes a problem; the same one is reported once, and of very many only the first.
    pub fn push(&mut self, place: Place, text: impl Into<String>) {
        if self.list.len() == MOST_PROBLEMS {
            return;
        }
        let problem = Problem { place, text: text.into() };
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Notes that the value of `key` was refused.
    pub fn refuse(&mut self, key: &str, place: Place, text: impl Into<String>) {
        self.refused.insert(key.to_owned());
        self.push(place, text);
    }

    pub fn is_refused(&self, key: &str) -> bool {
        self.refused.contains(key)
    }

    /// `Err` with all of them when there is one.
    pub fn check(self) -> Result<(), Self> {
        if self.list.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.list[..] {
            return write!(f, "{}: {}", only.place, only.text);
        }
        write!(f, "{} problems in the settings:", self.list.len())?;
        self.list.iter().try_for_each(|p| write!(f, "\n  {}: {}", p.place, p.text))
    }
}

impl std::error::Error for Problems {}

/// "`; did you mean X?`", or nothing when no candidate is near.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, candidates).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
