//! Sizes and durations as people write them.

use std::time::Duration;

use anyhow::{Result, bail};

/// Bytes in each unit a size may carry.
const SIZES: [(&str, f64); 9] = [
    ("B", 1.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
    ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
];

/// Seconds in each unit a duration may carry.
const TIMES: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// No machine of our time has more memory than this, in bytes.
const LARGEST: f64 = 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0;

/// Reads `3GiB`, `512 MB` or `0` as bytes. A number without a unit is refused,
/// because `3` would mean three bytes.
pub fn parse_bytes(text: &str) -> Result<u64> {
    match scaled(text, &SIZES) {
        Some(bytes) if bytes <= LARGEST => Ok(bytes as u64),
        _ => bail!("must be a size such as 3GiB or 512MiB (B, KB, MB, GB, TB, KiB, MiB, GiB, TiB), or 0"),
    }
}

/// Reads `10s`, `500ms`, `1.5m` or `2h`, up to a year.
pub fn parse_duration(text: &str) -> Result<Duration> {
    match scaled(text, &TIMES) {
        Some(seconds) if seconds <= 365.0 * 24.0 * 3600.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => bail!("must be a duration such as 10s, 500ms, 2m or 1h"),
    }
}

/// `number unit`, the unit's case ignored; a bare zero needs no unit.
fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim();
    if unit.is_empty() {
        return (number == 0.0).then_some(0.0);
    }
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    Some(number * factor)
}

/// Bytes in the largest binary unit that leaves a number of at least one: `2.5 GiB`.
pub fn show_bytes(bytes: u64) -> String {
    let mut shown = (bytes as f64, "B");
    for (unit, factor) in SIZES.iter().filter(|(unit, _)| unit.ends_with("iB")) {
        if bytes as f64 >= *factor {
            shown = (bytes as f64 / factor, unit);
        }
    }
    let number = format!("{:.1}", shown.0);
    format!("{} {}", number.strip_suffix(".0").unwrap_or(&number), shown.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [
            ("3GiB", 3_221_225_472),
            ("3gib", 3_221_225_472),
            ("1.5 KiB", 1536),
            ("2GB", 2_000_000_000),
            ("700 B", 700),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, millis) in [("10s", 10_000), ("500ms", 500), ("1.5m", 90_000), ("2h", 7_200_000), ("0", 0)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for text in ["", "3", "GiB", "-3GiB", "3 apples", "1e99GiB", "99999999TiB", "1.2.3GiB", "NaN"] {
            assert!(parse_bytes(text).unwrap_err().to_string().contains("3GiB"), "{text}");
        }
        for text in ["", "10", "s", "-1s", "10 years", "99999999h", "inf"] {
            assert!(parse_duration(text).unwrap_err().to_string().contains("10s"), "{text}");
        }
    }

    #[test]
    fn bytes_are_shown_in_binary_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (3 << 30, "3 GiB"),
            (150_754_820_096, "140.4 GiB"),
        ] {
            assert_eq!(show_bytes(bytes), text);
        }
    }
}
