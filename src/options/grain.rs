//! Film grain in option lists of SVT-AV1: it is laid over the decoded picture,
//! so a metric would measure it as damage.

/// The options that make or shape grain.
const GRAIN: [&str; 4] = ["--film-grain", "--film-grain-denoise", "--fgs-table", "--adaptive-film-grain"];

/// Whether `word`, an option with or without `=value`, is about film grain.
pub fn is_grain(word: &str) -> bool {
    GRAIN.contains(&word.split('=').next().unwrap_or(word))
}

/// The words without grain options and their values, for encodes that are measured.
pub fn without_grain(words: &[String]) -> Vec<String> {
    let mut kept = Vec::with_capacity(words.len());
    let mut value_of_grain = false;
    for word in words {
        let option = word.starts_with("--");
        if is_grain(word) {
            value_of_grain = !word.contains('=');
        } else if option || !value_of_grain {
            kept.push(word.clone());
            value_of_grain = false;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grain_goes_with_its_value_and_nothing_else_does() {
        let list = |text: &str| shell_words::split(text).unwrap();
        for (from, to) in [
            ("--tune 0 --film-grain 8 --keyint -1", "--tune 0 --keyint -1"),
            ("--film-grain=8 -1 --fgs-table a.tbl", "-1"),
            ("--film-grain-denoise --tune 0", "--tune 0"),
            ("--film-grain 8 9 --tune 3", "--tune 3"),
            ("--enable-qm 1", "--enable-qm 1"),
        ] {
            assert_eq!(without_grain(&list(from)), list(to), "{from}");
        }
    }
}
