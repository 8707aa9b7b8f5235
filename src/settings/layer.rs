//! One preset file, read and checked key by key.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeString, DeTable, DeValue};
use toml::{Spanned, Value};

use super::draft::Draft;
use super::problem::{Origin, Place, Problems, did_you_mean};
use super::schema::{self, Key, Scope};
use super::{dynamic, params};

/// A value for a key, known to be valid.
#[derive(Clone)]
pub struct Entry {
    pub key: &'static Key,
    pub value: Value,
    pub place: Place,
}

/// What a preset file says, without what it inherits.
#[derive(Clone, Default)]
pub struct Layer {
    pub description: Option<String>,
    pub extends: Option<(String, Place)>,
    /// Where a zone names it, only what it says itself is otherwise than in the main preset.
    pub for_zones: bool,
    pub entries: Vec<Entry>,
    /// The `[zones.NAME]` tables.
    pub zones: BTreeMap<String, Vec<Entry>>,
    /// The `[encoders.NAME]` tables, their keys being those of `[encoder]`.
    pub encoders: BTreeMap<String, Vec<Entry>>,
}

impl Layer {
    /// Reads a preset; whatever is wrong goes to `problems` and is left out.
    pub fn parse(text: &str, origin: &Origin, problems: &mut Problems) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { text, origin, problems };
        for error in &errors {
            reader.complain(error.span().unwrap_or_default(), error.message());
        }
        let mut layer = Self::default();
        for (name, value) in as_written(table.get_ref()) {
            match name.get_ref().as_ref() {
                "description" => layer.description = reader.text_of("description", value),
                "extends" => {
                    let place = reader.place(&value.span());
                    layer.extends = reader.text_of("extends", value).map(|base| (base, place));
                }
                "for_zones" => match value.get_ref() {
                    DeValue::Boolean(switch) => layer.for_zones = *switch,
                    _ => reader.complain(value.span(), "for_zones must be true or false"),
                },
                "zones" => reader.tables("zones", value, &mut layer.zones),
                "encoders" => reader.tables("encoders", value, &mut layer.encoders),
                _ => reader.item(&mut layer.entries, "", name, value),
            }
        }
        changes_last(&mut layer.entries);
        for entries in layer.zones.values_mut().chain(layer.encoders.values_mut()) {
            changes_last(entries);
        }
        layer
    }
}

/// In a file, lists are changed after they are written, wherever that stands.
fn changes_last(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| entry.value.is_table());
}

impl Draft {
    /// Writes `entries` on top of what is there.
    pub fn apply<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        for entry in entries {
            // It was accepted when it was read, so nothing can be wrong with it now.
            let accepted = entry.key.assign(self, &entry.value, &entry.place);
            debug_assert!(accepted.is_ok(), "{accepted:?}");
        }
    }
}

/// Checks `value` for every key that `path` sets and adds the entries; the error says what is wrong.
pub fn read_entry(path: &str, value: &Value, place: &Place, entries: &mut Vec<Entry>) -> Result<(), String> {
    let keys = schema::lookup(path);
    if let Some((list, change)) = params::change(path, value).filter(|_| keys.is_empty()) {
        return read_entry(&list, &change, place, entries);
    }
    if keys.is_empty() {
        return Err(unknown_key(path));
    }
    for key in &keys {
        key.assign(&mut Draft::blank(), value, place)?;
    }
    entries.extend(keys.iter().map(|key| Entry { key, value: value.clone(), place: place.clone() }));
    Ok(())
}

fn unknown_key(path: &str) -> String {
    let near = did_you_mean(path, schema::paths().chain(schema::sections()));
    if !near.is_empty() {
        return format!("{path} is not a key{near}");
    }
    let section = path.rsplit_once('.').map_or("", |(section, _)| section);
    let keys: Vec<_> =
        schema::paths().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.')).collect();
    if keys.is_empty() {
        let sections: Vec<_> =
            schema::sections().into_iter().filter(|section| !section.contains('.')).collect();
        return format!(
            "{path} is not a section or key; the sections are {}, encoders, zones",
            sections.join(", ")
        );
    }
    format!("{path} is not a key; [{section}] has {}", keys.join(", "))
}

/// The items of a table in the order of the file; the table itself is sorted by name.
fn as_written<'a, 't>(table: &'a DeTable<'t>) -> Vec<(&'a Spanned<DeString<'t>>, &'a Spanned<DeValue<'t>>)> {
    let mut items: Vec<_> = table.iter().collect();
    items.sort_by_key(|(name, _)| name.span().start);
    items
}

struct Reader<'a> {
    text: &'a str,
    origin: &'a Origin,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        Place::in_text(self.origin.clone(), self.text, span.start)
    }

    fn complain(&mut self, span: Range<usize>, text: impl Into<String>) {
        let place = self.place(&span);
        self.problems.push(place, text);
    }

    fn text_of(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.complain(value.span(), format!("{name} must be a text in quotes"));
        }
        text
    }

    /// A key, or a table of keys, below the section `above`.
    fn item(
        &mut self,
        entries: &mut Vec<Entry>,
        above: &str,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let path =
            if above.is_empty() { name.get_ref().to_string() } else { format!("{above}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) if schema::is_section(&path) => {
                for (name, value) in as_written(table) {
                    self.item(entries, &path, name, value);
                }
            }
            _ if schema::is_section(&path) => {
                self.complain(
                    name.span(),
                    format!("{path} is a section: write [{path}] and its keys below it"),
                );
            }
            _ if schema::lookup(&path).is_empty() => self.complain(name.span(), unknown_key(&path)),
            _ => {
                let place = self.place(&value.span());
                let mut new = Vec::new();
                let read =
                    owned(value.get_ref()).and_then(|value| read_entry(&path, &value, &place, &mut new));
                if let Err(text) = read {
                    self.problems.refuse(&path, place, text);
                }
                // In a file, what is said for every encoder family gives way to what is said for one.
                let at = if new.len() > 1 { 0 } else { entries.len() };
                entries.splice(at..at, new);
            }
        }
    }

    /// The tables in `kind`, `zones` or `encoders`, by name.
    fn tables(&mut self, kind: &str, value: &Spanned<DeValue<'_>>, found: &mut BTreeMap<String, Vec<Entry>>) {
        let (above, example) = if kind == "zones" { ("", ".metric") } else { ("encoder", "") };
        let Some(tables) = value.get_ref().as_table() else {
            let or = if example.is_empty() { String::new() } else { format!(" or [{kind}.NAME{example}]") };
            let text = format!("{kind} holds tables: write [{kind}.NAME]{or}");
            self.complain(value.span(), text);
            return;
        };
        for (name, value) in as_written(tables) {
            let table_name = name.get_ref().to_string();
            if let Err(text) = named(kind, &table_name) {
                self.complain(name.span(), text);
            }
            let Some(table) = value.get_ref().as_table() else {
                let text = format!(
                    "{kind}.{table_name} must be a table: write [{kind}.{table_name}{example}] and its keys \
                     below it"
                );
                self.complain(value.span(), text);
                continue;
            };
            let mut entries = Vec::new();
            for (name, value) in as_written(table) {
                self.item(&mut entries, above, name, value);
            }
            for entry in &entries {
                if let Err(text) = zoneable(entry.key) {
                    self.problems.push(entry.place.clone(), text);
                }
            }
            found.insert(table_name, entries);
        }
    }
}

/// Refuses a name that a table of `kind` cannot have.
pub fn named(kind: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        let kind = kind.trim_end_matches('s');
        return Err(format!("{kind} name {name:?}: must be one word"));
    }
    if kind == "encoders" && !dynamic::is_free(name) {
        return Err(format!("encoder name {name:?}: must be no path and none of av1an's names"));
    }
    Ok(())
}

/// Refuses keys that hold for the whole clip.
pub fn zoneable(key: &Key) -> Result<(), String> {
    if key.scope == Scope::Clip {
        return Err(format!("{} cannot differ between zones: set it outside [zones]", key.path));
    }
    Ok(())
}

/// The value without borrows; the error tells of numbers that do not fit.
pub fn owned(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::Integer)
            .map_err(|_| format!("{number} does not fit into 64 bits"))?,
        DeValue::Float(number) => {
            Value::Float(number.as_str().parse().map_err(|_| format!("{} is not a number", number.as_str()))?)
        }
        DeValue::Boolean(switch) => Value::Boolean(*switch),
        // Of `4:9` the parser, which goes on after errors, makes a date without any part; to
        // print that would panic.
        DeValue::Datetime(date) => Value::Datetime(
            date.to_string().parse().map_err(|_| "this is no date and no time of day".to_owned())?,
        ),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| owned(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| Ok((name.get_ref().to_string(), owned(value.get_ref())?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}
