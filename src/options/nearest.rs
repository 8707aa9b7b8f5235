//! The option somebody probably meant.

/// How alike names must be to be suggested, of 1.
const SIMILAR: f64 = 0.8;

/// ` (did you mean …?)` when one of `known` is much like `name`, else nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let bare = |name: &str| name.trim_start_matches('-').to_owned();
    let likeness = |known: &str| strsim::jaro_winkler(&bare(known), &bare(name));
    let best = known
        .into_iter()
        .filter(|known| *known != name)
        .map(|known| (likeness(known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, best)) if likeness >= SIMILAR => format!(" (did you mean {best}?)"),
        _ => String::new(),
    }
}
