//! A preset printed with all it inherits: the text of the root preset, which
//! explains every key, with the values and comments of the derived ones put in.

use std::path::PathBuf;

use anyhow::Result;
use strum::VariantNames;
use toml_edit::{Decor, DocumentMut, Item, Key, Table, value};

use super::EncoderFamily;
use super::library::{Library, user_folder};
use super::params;
use super::problem::{Origin, Place, Problems};
use crate::options::Use;

/// The preset `name` as one complete, commented preset file that extends
/// nothing; `folder` holds the user's presets (`None`: the usual one). The
/// error is a [`Problems`] when the preset, or one that it extends, is not valid.
pub fn show(name: &str, folder: Option<PathBuf>) -> Result<String> {
    let library = Library::new(folder.or_else(user_folder));
    let mut problems = Problems::default();
    let asked = Place::whole(Origin::Flag("presets".to_owned()));
    let chain = library.chain(name, &asked, &mut problems);
    problems.check()?;
    let mut whole = DocumentMut::new();
    for (n, (source, _)) in chain.iter().enumerate() {
        let document: DocumentMut = source.text.parse()?;
        if n == 0 {
            whole = document;
            continue;
        }
        whole["description"] = value("");
        let header =
            header(&document, &chain[..n].iter().map(|(s, _)| s.origin.to_string()).collect::<Vec<_>>());
        let mut table = document.into_table();
        table.remove("extends");
        table.remove("for_zones");
        spread_params(&mut table);
        change_params(&whole, &mut table);
        overlay(whole.as_table_mut(), &table);
        if let Some(mut key) = whole.key_mut("description") {
            key.leaf_decor_mut().set_prefix(header);
        }
    }
    Ok(whole.to_string())
}

/// The comment at the head of a derived preset, and what it is derived from.
fn header(document: &DocumentMut, bases: &[String]) -> String {
    let first = document.iter().next().and_then(|(name, _)| document.key(name));
    let own = first.map_or("", |key| prefix(key.leaf_decor())).trim_end();
    let gap = if own.is_empty() { "" } else { "\n#\n" };
    format!("{own}{gap}# Complete, with all that it inherits from {}.\n\n", bases.join(", "))
}

fn prefix(decor: &Decor) -> &str {
    decor.prefix().and_then(|raw| raw.as_str()).unwrap_or_default()
}

/// What a preset says for every encoder family, said for each that it does not name.
fn spread_params(preset: &mut Table) {
    let Some(params) =
        preset.get_mut("encoder").and_then(|e| e.get_mut("params")).and_then(Item::as_table_like_mut)
    else {
        return;
    };
    for list in ["probing", "final"] {
        let Some(words) = params.remove(list) else { continue };
        for family in EncoderFamily::VARIANTS {
            let table = params.entry(family).or_insert(Item::Table(Table::new()));
            if let Some(table) = table.as_table_like_mut() {
                table.entry(list).or_insert(words.clone());
            }
        }
    }
}

/// What a preset changes in an inherited list, as the list that comes of it.
fn change_params(whole: &DocumentMut, preset: &mut Table) {
    let Some(params) =
        preset.get_mut("encoder").and_then(|e| e.get_mut("params")).and_then(Item::as_table_like_mut)
    else {
        return;
    };
    for (family, lists) in params.iter_mut() {
        let Some(lists) = lists.as_table_like_mut() else { continue };
        for (name, used) in [("probing", Use::Probing), ("final", Use::Final)] {
            let Some(change) = lists.get(name).filter(|item| item.is_table_like()).and_then(plain) else {
                continue;
            };
            let inherited = &whole["encoder"]["params"][family.get()][name];
            let inherited = params::parse(inherited.as_str().unwrap_or_default(), used);
            let words = inherited.and_then(|words| params::list(&words, &change, used));
            if let Ok(words) = words {
                lists.insert(name, value(shell_words::join(words)));
            }
        }
    }
}

/// The value of an item that says more than one.
fn plain(item: &Item) -> Option<toml::Value> {
    let table = item.clone().into_table().ok()?;
    toml::from_str::<toml::Table>(&DocumentMut::from(table).to_string()).ok().map(toml::Value::Table)
}

/// Puts what `from` says into `onto`; comments there stay, those that `from`
/// has above a key come after them.
fn overlay(onto: &mut Table, from: &Table) {
    for name in from.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
        let (Some(key), Some(item)) = (from.key(&name).cloned(), from.get(&name).cloned()) else { continue };
        match (onto.get_mut(&name), item) {
            (Some(Item::Table(onto)), item) => {
                if let Ok(from) = item.into_table() {
                    overlay(onto, &from);
                }
            }
            (Some(Item::Value(old)), Item::Value(mut new)) => {
                *new.decor_mut() = old.decor().clone();
                *old = new;
                append_comment(onto, &name, &key);
            }
            (Some(old), item) => *old = item,
            (None, mut item) => {
                to_the_end(&mut item);
                onto.insert_formatted(&key, item);
            }
        }
    }
}

fn append_comment(onto: &mut Table, name: &str, from: &Key) {
    let comment = prefix(from.leaf_decor()).trim();
    let Some(mut key) = onto.key_mut(name).filter(|_| !comment.is_empty()) else { return };
    let joined = format!("{}{comment}\n", prefix(key.leaf_decor()));
    key.leaf_decor_mut().set_prefix(joined);
}

/// Tables are written by their position in the file they came from; those of a
/// derived preset come after all others.
fn to_the_end(item: &mut Item) {
    const AFTER_ALL: isize = 1_000_000;
    if let Item::Table(table) = item {
        let position = table.position().unwrap_or_default();
        table.set_position(Some(position % AFTER_ALL + AFTER_ALL));
        table.iter_mut().for_each(|(_, item)| to_the_end(item));
    }
}
