//! Encoder parameter lists as presets and rules give them: one text of
//! command-line words, without the options that the program sets itself, or what
//! is to be changed in an inherited list.

use toml::Value;

use super::problem::did_you_mean;
use crate::options::reserved::check_words;
use crate::options::{EncoderOption, Options, Origin, Use};

/// The keys of a change.
const CHANGES: [&str; 2] = ["append", "set"];

/// The list that a preset, a flag or a zone gives for `used`: a text replaces the
/// `inherited` one, a table changes it. Its `append` is a text of options, its
/// `set` a table of names and values; what the list has already gets the new value
/// in its place.
pub fn list(inherited: &[String], value: &Value, used: Use) -> Result<Vec<String>, String> {
    let Some(changes) = value.as_table() else {
        let text = value.as_str().ok_or(
            "must be the encoder's parameters in quotes, or { append = \"…\", set = { option = value } }",
        )?;
        return parse(text, used);
    };
    let mut options = read(inherited)?;
    for (name, change) in changes {
        let words = match (name.as_str(), change) {
            ("append", Value::String(text)) => parse(text, used)?,
            ("append", _) => return Err("append must be options in quotes".to_owned()),
            ("set", Value::Table(set)) => {
                let words = set.iter().map(|(name, value)| option(name, value));
                let words: Vec<String> = words.collect::<Result<Vec<_>, _>>()?.concat();
                check_words(used, &words)?;
                words
            }
            ("set", _) => return Err("set must be a table: { option = value }".to_owned()),
            _ => {
                let near = did_you_mean(name, CHANGES.into_iter());
                return Err(format!(
                    "{name} is no way to change a list; there are {}{near}",
                    CHANGES.join(", ")
                ));
            }
        };
        options.overlay(&read(&words)?);
    }
    Ok(options.iter().flat_map(EncoderOption::words).collect())
}

fn read(words: &[String]) -> Result<Options, String> {
    Options::parse(words, Origin::Ours).map_err(|error| error.to_string())
}

/// `psy-rd = 1.0` as two words, an empty text as one without a value.
fn option(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let name = format!("--{}", name.trim_start_matches('-'));
    match value {
        Value::String(text) if text.is_empty() => Ok(vec![name]),
        Value::String(text) => Ok(vec![name, text.clone()]),
        Value::Integer(_) | Value::Float(_) => Ok(vec![name, value.to_string()]),
        _ => Err(format!("{name} {value}: must be a number or a text")),
    }
}

/// A key that changes a list, as it is typed, for the key of the list:
/// `encoder.params.final.set.psy-rd` is `encoder.params.final` with a table.
pub fn change(path: &str, value: &Value) -> Option<(String, Value)> {
    let table = |key: &str, value: Value| Value::Table([(key.to_owned(), value)].into_iter().collect());
    if let Some((list, option)) = path.split_once(".set.") {
        return Some((list.to_owned(), table("set", table(option, value.clone()))));
    }
    let (list, key) = path.rsplit_once('.')?;
    CHANGES.contains(&key).then(|| (list.to_owned(), table(key, value.clone())))
}

/// Splits at white space as a shell does, quotes kept together, and refuses
/// what no list for `used` may hold.
pub fn parse(text: &str, used: Use) -> Result<Vec<String>, String> {
    let words = shell_words::split(text).map_err(|_| "has a quote that is not closed".to_owned())?;
    check_words(used, &words)?;
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(inherited: &str, change: &str, used: Use) -> Result<String, String> {
        let inherited: Vec<String> = inherited.split_whitespace().map(str::to_owned).collect();
        let value: Value = toml::from_str::<toml::Table>(&format!("it = {change}")).unwrap()["it"].clone();
        list(&inherited, &value, used).map(|words| words.join(" "))
    }

    #[test]
    fn a_table_changes_the_inherited_list_and_a_text_replaces_it() {
        let inherited = "--tune 3 --psy-rd 2.0";
        for (change, wanted) in [
            (r#""--scm 0""#, "--scm 0"),
            (r#"{ append = "--film-grain 8" }"#, "--tune 3 --psy-rd 2.0 --film-grain 8"),
            (r#"{ append = "--psy-rd 0.5 --scm 0" }"#, "--tune 3 --psy-rd 0.5 --scm 0"),
            ("{ set = { psy-rd = 1.0, --tune = 2 } }", "--tune 2 --psy-rd 1.0"),
            (r#"{ set = { sharpness = "-1", flag = "" } }"#, "--tune 3 --psy-rd 2.0 --flag --sharpness -1"),
            (r#"{ append = "--scm 0", set = { tune = 1 } }"#, "--tune 1 --psy-rd 2.0 --scm 0"),
        ] {
            assert_eq!(changed(inherited, change, Use::Final).unwrap(), wanted, "{change}");
        }
    }

    #[test]
    fn changes_are_held_to_what_lists_may_hold() {
        for (change, wanted) in [
            (r#"{ append = "--crf 20" }"#, "--crf cannot be given here"),
            ("{ set = { film-grain = 8 } }", "--film-grain cannot be used in probes"),
            ("{ set = { tune = true } }", "--tune true: must be a number or a text"),
            (r#"{ apend = "--scm 0" }"#, "did you mean append?"),
            ("{ append = 8 }", "append must be options in quotes"),
            ("8", "{ append = "),
        ] {
            let error = changed("", change, Use::Probing).unwrap_err();
            assert!(error.contains(wanted), "{change}: {error}");
        }
    }

    #[test]
    fn a_typed_change_is_one_of_its_list() {
        let (path, value) = change("encoder.params.psyex.final.set.psy-rd", &Value::Float(1.0)).unwrap();
        assert_eq!(path, "encoder.params.psyex.final");
        assert_eq!(value["set"]["psy-rd"], Value::Float(1.0));
        let (path, _) = change("encoder.params.final.append", &Value::Integer(1)).unwrap();
        assert_eq!(path, "encoder.params.final");
        assert_eq!(change("encoder.params.final", &Value::Integer(1)), None);
    }
}
