//! Holds the table of keys, the shipped presets and the settings together.

use toml::Value;
use toml_edit::DocumentMut;

use super::super::draft::Draft;
use super::super::layer::Layer;
use super::super::library::{BUILT_IN, ROOT};
use super::super::problem::{Origin, Place, Problems};
use super::{EncoderFamily, KEYS, Key, Kind};
use crate::settings;

/// Keys explained together with the one above them.
const EXPLAINED_ABOVE: [&str; 7] = [
    "metric.max_crf",
    "metric.mix.mean_n3",
    "metric.mix.max_n3",
    "metric.frames.last_frame",
    "final.photon_noise_height",
    "dynamic.probing_params",
    "dynamic.probing_encoder",
];

fn root_text() -> &'static str {
    BUILT_IN.iter().find(|(name, _)| *name == ROOT).unwrap().1
}

fn root_draft() -> Draft {
    let mut problems = Problems::default();
    let layer = Layer::parse(root_text(), &Origin::BuiltIn(ROOT), &mut problems);
    problems.check().unwrap();
    let mut draft = Draft::blank();
    draft.apply(&layer.entries);
    draft
}

/// The comment above a key of the root preset, and the one above its section.
fn comments(key: &Key) -> (String, String) {
    let document: DocumentMut = root_text().parse().unwrap();
    let (section, name) = key.path.rsplit_once('.').unwrap();
    let mut table = document.as_table();
    for part in section.split('.') {
        table = table.get(part).and_then(|item| item.as_table()).unwrap_or_else(|| panic!("no [{section}]"));
    }
    let own = |name: &str| {
        let key = table.key(name).unwrap_or_else(|| panic!("{} is not in {ROOT}.toml", key.path));
        key.leaf_decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned()
    };
    let text = if EXPLAINED_ABOVE.contains(&key.path) {
        assert!(own(name).trim().is_empty(), "{} has a comment of its own", key.path);
        let names: Vec<_> = table.iter().map(|(name, _)| name).collect();
        let at = names.iter().position(|n| *n == name).unwrap();
        own(names[at - 1])
    } else {
        own(name)
    };
    let above = table.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned();
    (text, above)
}

/// What a comment must mention: both ends of the range, every word.
fn to_mention(kind: &Kind) -> Vec<String> {
    let quoted = |word: &&str| format!("\"{word}\"");
    match kind {
        Kind::Preset(_) => vec!["-3 to 13".to_owned()],
        Kind::Curve(_) => vec!["0".to_owned(), "1".to_owned()],
        Kind::Count(min, max, _) => vec![format!("{min} to {max}")],
        Kind::Number(min, max, _) => vec![format!("{min} to"), format!("to {max}")],
        Kind::OptionalCount(word, min, max, _) => vec![quoted(word), format!("{min} to {max}")],
        Kind::OptionalStrength(word, min, max, _) => vec![quoted(word), format!("{min} to {max}")],
        Kind::OptionalNumber(word, min, max, _) => vec![quoted(word), format!("{min} to {max}")],
        Kind::Choice(words, _) => words.iter().map(quoted).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_key_is_explained_in_the_root_preset_with_its_range() {
    for key in KEYS {
        let (own, section) = comments(key);
        let is_params = matches!(key.kind, Kind::ProbingParams(_) | Kind::FinalParams(_));
        let by_section = is_params || key.path == "character.enable";
        let explained = if by_section { &section } else { &own };
        assert!(explained.contains('#'), "{} is not explained", key.path);
        let text = format!("{section}{own}").replace("\n#", "").replace('\n', " ");
        for wanted in to_mention(&key.kind) {
            assert!(text.contains(&wanted), "{}: the comment does not say {wanted}: {text}", key.path);
        }
    }
}

#[test]
fn the_root_preset_states_every_key() {
    let draft = root_draft();
    for key in KEYS {
        assert!(draft.places.contains_key(key.path), "{}", key.path);
    }
}

/// Everything that a draft becomes.
fn outcome(draft: &Draft) -> String {
    serde_json::to_string(&(&draft.source, draft.finish())).unwrap()
}

#[test]
fn every_key_reaches_the_settings() {
    let place = Place::whole(Origin::Flag("test".to_owned()));
    let values: Vec<Value> = vec![
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Integer(1),
        Value::Integer(2),
        Value::String("full".to_owned()),
        Value::String("--sharpness 1".to_owned()),
        Value::Array(vec![Value::Integer(2); 4]),
    ];
    let mut before = root_draft();
    let pooling = KEYS.iter().find(|key| key.path == "metric.pooling").unwrap();
    pooling.assign(&mut before, &Value::String("percentile".to_owned()), &place).unwrap();
    // A choice of one word has nothing to change to.
    let has_choice = |key: &&Key| !matches!(key.kind, Kind::Choice(words, _) if words.len() == 1);
    for key in KEYS.iter().filter(has_choice) {
        let mut values = values.clone();
        match key.kind {
            Kind::Choice(words, _) => values.extend(words.iter().map(|w| Value::String((*w).to_owned()))),
            Kind::Rule(_) => values = vec![Value::String("1".to_owned())],
            _ => {}
        }
        let reaches = values.iter().any(|value| {
            let mut after = before.clone();
            let read = key.assign(&mut after, value, &place);
            // The place alone changes `strict` and `by_user`; the value must do more.
            after.places = before.places.clone();
            read.is_ok() && outcome(&after) != outcome(&before)
        });
        assert!(reaches, "{}", key.path);
    }
}

fn resolved(text: &str, zones: &str) -> Result<settings::Resolved, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, text).unwrap();
    let preset = Some(path.to_str().unwrap().to_owned());
    let zones = Some(settings::ZoneList::Text(zones.to_owned()));
    let request = settings::Request { preset, zones, ..Default::default() };
    settings::resolve(&request).map_err(|error| error.to_string())
}

#[test]
fn zones_may_have_an_encoder_of_their_own() {
    let resolved =
        resolved("[zones.credits]\nencoder.program = \"OtherEncApp\"\n", "5 9 credits 9 12 ssimu2-mean");
    let zones = resolved.unwrap().zones(20, &mut Vec::new()).unwrap();
    let programs: Vec<&str> =
        zones.iter().map(|zone| zone.settings.encoder.program.to_str().unwrap()).collect();
    // Another preset says what is wanted of the picture, not which programs this machine has.
    assert_eq!(programs, ["SvtAv1EncApp", "OtherEncApp", "SvtAv1EncApp", "SvtAv1EncApp"]);
}

#[test]
fn entries_of_encoders_are_the_encoder_of_their_zone_but_for_what_they_say() {
    let text = "[encoder]\nprobing_preset = 9\nparams.mainline.final = \"--tune 1\"\n\
                [encoders.deep]\nprogram = \"bin/deep\"\nfinal_preset = 1\n\
                params.mainline.final.append = \"--sharpness 2\"\n\
                [zones.dark]\nencoder.probing_preset = 8\n";
    let zones = resolved(text, "5 9 dark").unwrap().zones(20, &mut Vec::new()).unwrap();
    for (zone, preset) in [(0, 9), (1, 8)] {
        let settings = &zones[zone].settings;
        let deep = settings.encoder_named("deep");
        assert!(deep.program.ends_with("bin/deep") && deep.program.is_absolute(), "{deep:?}");
        assert_eq!((deep.probing_preset, deep.final_preset), (preset, 1));
        let list =
            |encoder: &settings::EncoderSettings| encoder.params[&EncoderFamily::Mainline].final_.join(" ");
        assert_eq!(list(&deep), "--tune 1 --sharpness 2");
        assert_eq!(list(&settings.encoder), "--tune 1");
        assert_eq!(settings.encoder_named("/opt/x").program, std::path::Path::new("/opt/x"));
    }
    for (text, says) in [
        ("[encoders]\ndeep = 3\n", "2:8: encoders.deep must be a table: write [encoders.deep]"),
        ("encoders = 3\n", "1:12: encoders holds tables: write [encoders.NAME]"),
        ("[encoders.x265]\nprogram = \"x\"\n", "encoder name \"x265\": must be no path and none of av1an's"),
        ("[encoders.deep]\nworkers = 3\n", "encoder.workers cannot differ"),
        ("[encoders.deep]\nprogramm = \"x\"\n", "did you mean encoder.program"),
    ] {
        let error = resolved(text, "").unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
