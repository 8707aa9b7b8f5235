//! Encoder parameter lists: command-line words, without the options that the
//! program sets itself.

use toml::Value;

/// Options that cannot be in a list, and what to do instead.
const TAKEN: [(&[&str], &str); 9] = [
    (
        &["--crf", "--qp", "-q", "--cqp"],
        "the CRF is chosen per scene (metric.base_crf when metric.enable is false)",
    ),
    (&["--preset"], "set encoder.probing_preset or encoder.final_preset"),
    (&["--lp"], "set encoder.lp"),
    (&["--rc", "--tbr", "--mbr"], "scenes are encoded at constant quality"),
    (&["--pass", "--passes", "--stats"], "scenes are encoded in one pass"),
    (&["-i", "--input", "-b", "--output"], "input and output are connected for every scene"),
    (&["--frames", "-n", "--skip", "--width", "-w", "--height", "-h"], "the clip decides it"),
    (&["--progress", "--no-progress"], "progress is shown by this program"),
    (&["--roi-map-file"], "Character Boost writes the map of every scene"),
];

/// Grain options: a probe's score would count synthetic grain as distortion.
const GRAIN: [&str; 4] = ["--film-grain", "--film-grain-denoise", "--fgs-table", "--adaptive-film-grain"];

/// The words of a probing list.
pub fn probing_list(value: &Value) -> Result<Vec<String>, String> {
    let words = words(value)?;
    check_probing(&words)?;
    Ok(words)
}

/// The words of a final list.
pub fn final_list(value: &Value) -> Result<Vec<String>, String> {
    let words = words(value)?;
    check(&words)?;
    Ok(words)
}

/// Refuses what no list may hold.
pub fn check(words: &[String]) -> Result<(), String> {
    for word in words {
        // "--crf=30" names the option too.
        let option = word.split('=').next().unwrap_or(word);
        if let Some((_, instead)) = TAKEN.iter().find(|(options, _)| options.contains(&option)) {
            return Err(format!("{option} cannot be given here: {instead}"));
        }
    }
    Ok(())
}

/// Refuses what no probing list may hold.
pub fn check_probing(words: &[String]) -> Result<(), String> {
    check(words)?;
    match words.iter().find(|word| is_grain(word)) {
        Some(word) => Err(format!("{word} cannot be used in probes: put it into the final list")),
        None => Ok(()),
    }
}

fn is_grain(word: &str) -> bool {
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

fn words(value: &Value) -> Result<Vec<String>, String> {
    let text = value.as_str().ok_or("must be the encoder's parameters in quotes")?;
    split(text)
}

/// Splits at white space as a shell does, quotes kept together.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    shell_words::split(text).map_err(|_| "has a quote that is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grain_goes_with_its_value_and_nothing_else_does() {
        let list = |text: &str| split(text).unwrap();
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
