//! Settings that an earlier run resolved, with flags on top of them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::Settings;
use super::conflicts;
use super::draft::Draft;
use super::layer::{Entry, read_entry, zoneable};
use super::problem::{Origin, Place, Problems, did_you_mean};
use super::resolve::{Resolved, Typed, typed_value};
use super::schema;

impl Resolved {
    /// Writes `typed` on top. Zones take a value as well where they have the same as
    /// the rest of the clip; one of their own they keep, unless `zones.NAME.key` is typed.
    ///
    /// # Errors
    /// [`Problems`], as for settings that are resolved the first time; nothing is
    /// changed then.
    pub fn revise(&mut self, typed: &[Typed]) -> Result<()> {
        let mut problems = Problems::default();
        let mut revised = self.clone();
        for typed in typed {
            let place = Place::whole(Origin::Flag(typed.flag.clone()));
            if let Err(text) = revised.write(typed, &place, &mut problems) {
                problems.refuse(&typed.key, place, text);
            }
        }
        problems.check()?;
        *self = revised;
        Ok(())
    }

    /// Changes the settings of the clip and of all its zones.
    pub fn each(&mut self, change: impl Fn(&mut Settings)) {
        change(&mut self.base);
        self.zones.iter_mut().for_each(|zone| change(&mut zone.settings));
    }

    fn write(&mut self, typed: &Typed, place: &Place, problems: &mut Problems) -> Result<(), String> {
        let text = typed.value.as_deref().ok_or("write section.key=value")?;
        let (zone, path) = match typed.key.strip_prefix("zones.").and_then(|rest| rest.split_once('.')) {
            Some((zone, path)) => (Some(zone), path),
            None => (None, typed.key.as_str()),
        };
        let mut entries = Vec::new();
        read_entry(path, &typed_value(path, text), place, &mut entries)?;
        let source = self.source;
        let mut revised = |settings: &Settings| {
            let draft = Draft::of(source, settings.clone(), schema::paths(), place);
            revised(&draft, &entries, problems)
        };
        if let Some(name) = zone {
            entries.iter().try_for_each(|entry| zoneable(entry.key))?;
            let near = did_you_mean(name, self.zones.iter().map(|zone| zone.name.as_str()));
            let mut named = self.zones.iter_mut().filter(|zone| zone.name == name).peekable();
            named.peek().ok_or_else(|| format!("there is no zone {name}{near}"))?;
            named.for_each(|zone| zone.settings = revised(&zone.settings).settings);
            return Ok(());
        }
        let draft = revised(&self.base);
        let (before, after) = (leaves(&self.base), leaves(&draft.settings));
        let written: Vec<&String> =
            after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, _)| key).collect();
        for zone in &mut self.zones {
            let own = leaves(&zone.settings);
            if written.iter().all(|key| own.get(*key) == before.get(*key)) {
                zone.settings = revised(&zone.settings).settings;
            }
        }
        (self.source, self.base) = (draft.source, draft.settings);
        Ok(())
    }
}

/// `draft` with the entries on top. What follows from who wrote a value stays as it was.
fn revised(draft: &Draft, entries: &[Entry], problems: &mut Problems) -> Draft {
    let mut draft = draft.clone();
    draft.apply(entries);
    draft.settings.metric.settle();
    let settings = draft.settings.clone();
    conflicts::find(&draft, &settings, problems);
    draft
}

/// Every single value, by its way through the structs.
fn leaves(settings: &Settings) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), serde_json::to_value(settings).unwrap_or_default())];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(inner) => {
                open.extend(inner.into_iter().map(|(key, value)| (format!("{path}/{key}"), value)));
            }
            value => drop(found.insert(path, value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Pooling, Request, ZoneList, resolve};

    fn resolved(zones: &str) -> Resolved {
        let request = Request {
            preset: Some("ssimu2-mean".to_owned()),
            typed: vec![Typed::set("metric.target=81.3"), Typed::set("metric.percentile=12.5")],
            zones: Some(ZoneList::Text(zones.to_owned())),
            ..Request::default()
        };
        resolve(&request).unwrap()
    }

    #[test]
    fn every_shipped_preset_is_read_back_as_it_was_written() {
        for preset in ["butteraugli-mean", "ssimu2-mean", "scene-detection"] {
            let request = Request { preset: Some(preset.to_owned()), ..Request::default() };
            let written = resolve(&request).unwrap();
            let read: Resolved = serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap();
            assert_eq!(read, written);
        }
        let written = resolved("10 20 butteraugli-mean");
        let read: Resolved = serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap();
        assert_eq!(read.zones(30, &mut Vec::new()).unwrap(), written.zones(30, &mut Vec::new()).unwrap());
    }

    #[test]
    fn zones_keep_what_is_their_own() {
        let mut settings = resolved("10 20 ssimu2-mean 20 30 scene-detection");
        let own = settings.zones[0].settings.metric.target;
        settings.revise(&[Typed::set("metric.target=70"), Typed::set("final.min_crf=9")]).unwrap();
        assert!((settings.base.metric.target - 70.0).abs() < 1e-12);
        assert!((settings.zones[0].settings.metric.target - own).abs() < 1e-12 && own > 75.0);
        assert!((settings.zones[0].settings.output.min_crf - 9.0).abs() < 1e-12);
        settings.revise(&[Typed::set("zones.ssimu2-mean.metric.target=66")]).unwrap();
        assert!((settings.zones[0].settings.metric.target - 66.0).abs() < 1e-12);
        assert!((settings.base.metric.target - 70.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_typed_is_checked_as_ever() {
        let mut settings = resolved("");
        for (typed, says) in [
            ("metric.taget=70", "metric.target"),
            ("metric.target=1", "metric.target 1"),
            ("metric.min_crf=60", "metric.max_crf"),
            ("zones.opening.metric.target=70", "no zone opening"),
            ("metric.target", "write section.key=value"),
        ] {
            let error = settings.revise(&[Typed::set(typed)]).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        settings.revise(&[Typed::flag("--pooling", "metric.pooling", "percentile")]).unwrap();
        assert_eq!(settings.base.metric.pooling, Pooling::Percentile(12.5));
    }
}
