//! Encoder parameter lists as presets and rules give them: one text of
//! command-line words, without the options that the program sets itself.

use toml::Value;

use crate::options::Use;
use crate::options::reserved::check_words;

/// The words of the list that a preset, a flag or a zone gives for `used`.
pub fn list(value: &Value, used: Use) -> Result<Vec<String>, String> {
    parse(value.as_str().ok_or("must be the encoder's parameters in quotes")?, used)
}

/// Splits at white space as a shell does, quotes kept together, and refuses
/// what no list for `used` may hold.
pub fn parse(text: &str, used: Use) -> Result<Vec<String>, String> {
    let words = shell_words::split(text).map_err(|_| "has a quote that is not closed".to_owned())?;
    check_words(used, &words)?;
    Ok(words)
}
