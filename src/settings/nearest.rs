//! The name somebody probably meant.

/// Below this likeness a suggestion would only mislead.
const LIKE_ENOUGH: f64 = 0.6;

/// The candidate most like `typed`: by the whole name, or by its last part, so
/// that a right key in the wrong section is found too.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let likeness = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(&typed.to_lowercase(), &candidate.to_lowercase());
        let part = strsim::normalized_damerau_levenshtein(&last(typed), &last(candidate));
        // The whole name breaks ties between equal last parts.
        whole.max(0.9 * part + 0.09 * whole)
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
    }
}
