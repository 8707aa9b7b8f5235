//! From what was typed to settings that are complete and valid.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use toml::Value;

use super::conflicts;
use super::draft::Draft;
use super::layer::{Entry, Layer, named, owned, read_entry, zoneable};
use super::library::{Library, ROOT, user_folder};
use super::problem::{Origin, Place, Problems, did_you_mean};
use super::schema::{self, Scope};
use super::zones::{self, ZoneEntry, ZoneList};
use super::{Settings, SourceSettings, Zone};

/// What was typed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Name or path; `None` is `butteraugli-mean`.
    pub preset: Option<String>,
    /// Flags that set keys, in the order typed.
    pub typed: Vec<Typed>,
    pub zones: Option<ZoneList>,
    /// Folder of the user's presets instead of the usual one.
    pub preset_folder: Option<PathBuf>,
    /// Presets that are in no file, by name.
    pub preset_texts: Vec<(String, String)>,
}

/// A flag that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The flag as messages name it.
    pub flag: String,
    /// `section.key`, also `zones.NAME.section.key`.
    pub key: String,
    /// `None` when nothing like a value was typed.
    pub value: Option<String>,
}

impl Typed {
    /// `--set section.key=value`; what has no `=` is refused by [`resolve`].
    pub fn set(argument: &str) -> Self {
        let (key, value) = match argument.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim().to_owned())),
            None => (argument, None),
        };
        Self { flag: format!("--set {key}"), key: key.to_owned(), value }
    }

    /// A flag of its own, such as `--target` for `metric.target`.
    pub fn flag(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Self { flag: flag.to_owned(), key: key.to_owned(), value: Some(value.into()) }
    }

    /// `--probing-params "…"`, whatever family the encoder is of.
    pub fn probing_params(value: impl Into<String>) -> Self {
        Self::flag("--probing-params", schema::EVERY_FAMILY[0], value)
    }

    /// `--final-params "…"`, whatever family the encoder is of.
    pub fn final_params(value: impl Into<String>) -> Self {
        Self::flag("--final-params", schema::EVERY_FAMILY[1], value)
    }
}

/// Valid settings for a clip whose length is not known yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// The preset's name or path as asked for.
    pub preset: String,
    pub description: String,
    pub source: SourceSettings,
    /// Holds outside all zones.
    pub base: Settings,
    /// Allowed, but hardly meant.
    pub warnings: Vec<String>,
    pub(super) zones: Vec<ZoneEntry>,
}

impl Resolved {
    /// The zones of a clip of `total_frames`: in order, without gaps, the base
    /// settings between those that were asked for. An end beyond the clip is
    /// moved to its end, a zone beyond the clip left out, both with a warning.
    pub fn zones(&self, total_frames: usize, warnings: &mut Vec<String>) -> Result<Vec<Zone>> {
        if total_frames == 0 {
            bail!("the clip has 0 frames: nothing to encode");
        }
        let mut zones = Vec::new();
        let mut next = 0;
        let base = |frames| Zone { name: None, frames, settings: self.base.clone() };
        for zone in &self.zones {
            let (start, end) = (zone.start, zone.end.unwrap_or(total_frames));
            if start >= total_frames {
                warnings.push(format!(
                    "zone {} starts at frame {start}, the clip has {total_frames}: left out",
                    zone.name
                ));
                continue;
            }
            if end > total_frames {
                warnings.push(format!(
                    "zone {} ends at frame {end}, the clip has {total_frames}: it ends with the clip",
                    zone.name
                ));
            }
            if next < start {
                zones.push(base(next..start));
            }
            next = end.min(total_frames);
            let settings = zone.settings.clone();
            zones.push(Zone { name: Some(zone.name.clone()), frames: start..next, settings });
        }
        if next < total_frames {
            zones.push(base(next..total_frames));
        }
        Ok(zones)
    }

    /// Names of the zones that were asked for, in order, without repeats.
    pub fn zone_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.zones.iter().map(|zone| zone.name.as_str()).collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }
}

/// Reads the preset, what it extends, the flags and the zones. The error is a
/// [`Problems`] with everything that is wrong.
pub fn resolve(request: &Request) -> Result<Resolved> {
    let folder = request.preset_folder.clone().or_else(user_folder);
    let library = Library::new(folder).with_texts(&request.preset_texts);
    let mut problems = Problems::default();
    let preset = request.preset.clone().unwrap_or_else(|| ROOT.to_owned());
    let asked = Place::whole(Origin::Flag("--preset".to_owned()));
    let mut stack = Stack::load(&library, &preset, &asked, &mut problems);
    for typed in &request.typed {
        stack.type_in(typed, &mut problems);
    }
    let draft = stack.draft();
    let base = stack.finish(&draft);
    conflicts::find(&draft, &base, &mut problems);
    let list = zones::read(request.zones.as_ref(), &mut problems);
    let resolver = ZoneResolver { library: &library, stack: &stack };
    let zones = resolver.resolve(list, &mut problems);
    problems.check()?;
    let mut warnings = conflicts::doubts(&base);
    for zone in &zones {
        let doubts = conflicts::doubts(&zone.settings).into_iter().filter(|doubt| !warnings.contains(doubt));
        warnings.extend(doubts.collect::<Vec<_>>());
    }
    Ok(Resolved { preset, description: stack.description, source: draft.source, base, warnings, zones })
}

/// A preset with all it inherits and the flags on top.
#[derive(Default)]
struct Stack {
    description: String,
    /// In the order in which they are written.
    entries: Vec<Entry>,
    typed: Vec<Entry>,
    /// The `[zones.NAME]` tables, those of derived presets merged over those of their bases.
    zones: BTreeMap<String, Vec<Entry>>,
    /// The `[encoders.NAME]` tables, likewise.
    encoders: BTreeMap<String, Vec<Entry>>,
}

impl Stack {
    fn load(library: &Library, name: &str, asked: &Place, problems: &mut Problems) -> Self {
        let mut stack = Self::default();
        for (_, layer) in library.chain(name, asked, problems) {
            stack.add(layer);
        }
        stack
    }

    fn add(&mut self, layer: Layer) {
        self.description = layer.description.unwrap_or_default();
        self.entries.extend(layer.entries);
        for (name, entries) in layer.zones {
            self.zones.entry(name).or_default().extend(entries);
        }
        for (name, entries) in layer.encoders {
            self.encoders.entry(name).or_default().extend(entries);
        }
    }

    fn type_in(&mut self, typed: &Typed, problems: &mut Problems) {
        if let Err(text) = self.try_type_in(typed) {
            problems.refuse(&typed.key, Place::whole(Origin::Flag(typed.flag.clone())), text);
        }
    }

    fn try_type_in(&mut self, typed: &Typed) -> Result<(), String> {
        let text = typed.value.as_deref().ok_or("write section.key=value")?;
        if let Some((name, key)) = typed.key.strip_prefix("encoders.").and_then(|rest| rest.split_once('.')) {
            return self.type_encoder(name, &format!("encoder.{key}"), text, typed);
        }
        let (zone, path) = match typed.key.strip_prefix("zones.").and_then(|rest| rest.split_once('.')) {
            Some((zone, path)) => (Some(zone), path),
            None => (None, typed.key.as_str()),
        };
        if path == "scenes.method" && text == "auto" {
            // The preset's own method with its fall-back (spec 01): nothing to override.
            return Ok(());
        }
        let place = Place::whole(Origin::Flag(typed.flag.clone()));
        let value = typed_value(path, text);
        let Some(zone) = zone else { return read_entry(path, &value, &place, &mut self.typed) };
        let Some(entries) = self.zones.get_mut(zone) else {
            let near = did_you_mean(zone, self.zones.keys().map(String::as_str));
            return Err(format!("the preset has no [zones.{zone}]{near}"));
        };
        let mut new = Vec::new();
        read_entry(path, &value, &place, &mut new)?;
        new.iter().try_for_each(|entry| zoneable(entry.key))?;
        entries.extend(new);
        Ok(())
    }

    /// `encoders.NAME.key`, which may be an entry that no preset has.
    fn type_encoder(&mut self, name: &str, path: &str, text: &str, typed: &Typed) -> Result<(), String> {
        named("encoders", name)?;
        let place = Place::whole(Origin::Flag(typed.flag.clone()));
        let mut new = Vec::new();
        read_entry(path, &typed_value(path, text), &place, &mut new)?;
        new.iter().try_for_each(|entry| zoneable(entry.key))?;
        self.encoders.entry(name.to_owned()).or_default().extend(new);
        Ok(())
    }

    /// The settings of a draft, with the encoders that rules may name there.
    fn finish(&self, draft: &Draft) -> Settings {
        let mut settings = draft.finish();
        for (name, entries) in &self.encoders {
            let mut own = draft.clone();
            own.apply(entries);
            settings.encoders.insert(name.clone(), own.finish().encoder);
        }
        settings
    }

    fn draft(&self) -> Draft {
        let mut draft = Draft::blank();
        draft.apply(self.entries.iter().chain(&self.typed));
        draft
    }
}

/// What was typed, as TOML when the key wants that, else as it stands: words
/// need no quotes on the command line.
pub(super) fn typed_value(path: &str, text: &str) -> Value {
    let as_toml = toml::de::DeValue::parse(text).ok().and_then(|value| owned(value.get_ref()).ok());
    let wants_text = schema::lookup(path).first().is_some_and(|key| key.kind.is_text());
    match as_toml {
        Some(value) if value.is_str() || !wants_text => value,
        _ => Value::String(text.to_owned()),
    }
}

struct ZoneResolver<'a> {
    library: &'a Library,
    stack: &'a Stack,
}

impl ZoneResolver<'_> {
    /// Checks all `[zones.NAME]` tables, used or not, and finds the settings of every zone in `list`.
    fn resolve(&self, list: Vec<zones::Listed>, problems: &mut Problems) -> Vec<ZoneEntry> {
        let check = |draft: &Draft, problems: &mut Problems| {
            let settings = self.stack.finish(draft);
            conflicts::find(draft, &settings, problems);
            settings
        };
        let mut known = BTreeMap::new();
        for (name, entries) in &self.stack.zones {
            let mut draft = self.stack.draft();
            draft.apply(entries);
            known.insert(name.clone(), Some(check(&draft, problems)));
        }
        let mut found = Vec::new();
        for zone in list {
            let settings = known
                .entry(zone.name.clone())
                .or_insert_with(|| self.preset(&zone, problems).map(|draft| check(&draft, problems)));
            if let Some(settings) = settings.clone() {
                found.push(ZoneEntry { start: zone.start, end: zone.end, name: zone.name, settings });
            }
        }
        found
    }

    /// The preset that a zone names, with what describes this computer and not
    /// the picture taken from the main preset, and with the flags about the encoder.
    fn preset(&self, zone: &zones::Listed, problems: &mut Problems) -> Option<Draft> {
        if let Err(text) = self.library.find(&zone.name, zone.place.origin.folder()) {
            let tables: Vec<_> = self.stack.zones.keys().map(String::as_str).collect();
            let near = did_you_mean(&zone.name, tables.iter().copied());
            let tables = if tables.is_empty() { "none".to_owned() } else { tables.join(", ") };
            problems.push(zone.place.clone(), format!("the preset's zones are {tables}{near}; {text}"));
            return None;
        }
        let chain = self.library.chain(&zone.name, &zone.place, problems);
        let of_picture = |entry: &&Entry| entry.key.scope == Scope::Zone;
        if let Some((_, own)) = chain.last().filter(|(_, layer)| layer.for_zones) {
            let mut draft = self.stack.draft();
            draft.apply(own.entries.iter().filter(of_picture));
            return Some(draft);
        }
        let mut other = Stack::default();
        for (_, layer) in chain {
            other.add(layer);
        }
        let mut draft = Draft::blank();
        draft.apply(other.entries.iter().filter(of_picture));
        let ours = self.stack.entries.iter().chain(&self.stack.typed);
        draft.apply(ours.filter(|entry| entry.key.scope != Scope::Zone));
        let flags = self.stack.typed.iter().filter(|entry| entry.key.path.starts_with("encoder."));
        draft.apply(flags);
        Some(draft)
    }
}
