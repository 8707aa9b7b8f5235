//! The name somebody probably meant.

/// Below this likeness a suggestion would only mislead.
const LIKE_ENOUGH: f64 = 0.6;

/// How much the last part of a name counts, and the whole of it.
const PART: f64 = 0.9;
const WHOLE: f64 = 0.1;

/// How alike two names are, 0 to 1; 0 where their lengths alone make that less
/// than `least`: what was typed may be a whole file.
fn alike(a: &str, b: &str, least: f64) -> f64 {
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    let most = a_length.min(b_length) as f64 / a_length.max(b_length).max(1) as f64;
    if most < least { 0.0 } else { strsim::normalized_damerau_levenshtein(a, b) }
}

/// The candidate most like `typed`: by its last part, so that a right key in
/// the wrong section is found too, then by the whole name.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let typed = typed.to_lowercase();
    let last_typed = last(&typed);
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let (part, whole) = (PART * alike(&last_typed, &last(&candidate), LIKE_ENOUGH - WHOLE), WHOLE);
        part + whole * alike(&typed, &candidate, (LIKE_ENOUGH - part) / whole)
    };
    candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 4] = ["metric.target", "metric.min_crf", "final.min_crf", "scenes.extra_split"];

    #[test]
    fn misspelt_and_misplaced_keys_are_found() {
        assert_eq!(nearest("metric.taget", KEYS), Some("metric.target"));
        assert_eq!(nearest("scenes.target", KEYS), Some("metric.target"));
        assert_eq!(nearest("final.mincrf", KEYS), Some("final.min_crf"));
        assert_eq!(nearest("Extra_Split", KEYS), Some("scenes.extra_split"));
    }

    #[test]
    fn nothing_is_suggested_for_something_else() {
        assert_eq!(nearest("bitrate", KEYS), None);
        assert_eq!(nearest(&"target".repeat(200_000), KEYS), None);
    }
}
