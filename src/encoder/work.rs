//! How much work SVT-AV1 has at each preset.

use super::identify::Identity;

/// CPU time by preset, where preset 7 takes 1. Between and beyond these the
/// logarithm is a line.
type Table = &'static [(i32, f64)];

/// SVT-AV1 4.2.0, 640x272 live action and a drawn clip of 480x270, CRF 30, lp 1:
/// means of the two (4: 1.44 and 1.63, 2: 5.9 and 5.5).
const FROM_4: Table = &[(2, 5.7), (3, 2.9), (4, 1.53), (5, 1.35), (6, 1.19), (7, 1.0), (8, 0.8), (10, 0.42)];
/// Before 4.0 versions differ: from preset 7 to 5 it is 1.5 with 2.3.0, 2.2 with
/// 1.4.1 and 2.4 with PSYEX 3.0.2-B; to 4 it is 3.7 with 2.3.0 and 4.5 with 1.4.1; to
/// 2 it is 13 with PSYEX and 20 with 1.4.1. In the middle of them.
const BEFORE: Table =
    &[(2, 15.0), (3, 8.0), (4, 4.0), (5, 2.0), (6, 1.3), (7, 1.0), (8, 0.76), (10, 0.35), (12, 0.11)];

impl Identity {
    /// CPU time of an encode at `preset` as a multiple of that at preset 7: an
    /// expectation that depends on the version alone, not on this machine.
    pub fn work(&self, preset: i32) -> f64 {
        let table = if self.major().is_some_and(|major| major < 4) { BEFORE } else { FROM_4 };
        let after = table.partition_point(|(known, _)| *known < preset).clamp(1, table.len() - 1);
        let [(low, a), (high, b)] = [table[after - 1], table[after]];
        let part = f64::from(preset - low) / f64::from(high - low);
        a * (b / a).powf(part)
    }

    /// The first number of its version; forks count as what they are made from.
    fn major(&self) -> Option<u32> {
        let mut numbers = self.version.split_whitespace().filter_map(|word| word.strip_prefix('v'));
        numbers.find_map(|word| word.split('.').next()?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::settings::EncoderFamily;

    fn work(version: &str, preset: i32) -> f64 {
        let identity = Identity {
            path: "SvtAv1EncApp".into(),
            family: EncoderFamily::Mainline,
            version: version.to_owned(),
            options: BTreeSet::new(),
            min_size: (64, 64),
            hash: String::new(),
        };
        identity.work(preset)
    }

    #[test]
    fn work_is_as_measured_and_follows_the_logarithm_between() {
        let new = |preset| work("SVT-AV1 v4.2.0 (release)", preset);
        assert!((new(7) - 1.0).abs() < 1e-12 && (new(2) - 5.7).abs() < 1e-12);
        // √(0.8 · 0.42), and once more the step from 3 to 2.
        assert!((new(9) - 0.5797).abs() < 1e-4, "{}", new(9));
        assert!((new(1) - 5.7 * 5.7 / 2.9).abs() < 1e-9, "{}", new(1));
        let old = |preset| work("SVT-AV1-PSYEX v3.0.2-B (release)", preset);
        assert!((old(5) - 2.0).abs() < 1e-12 && old(13) < old(12));
        // What says no version is taken for a new one.
        assert!((work("a fork", 5) - 1.35).abs() < 1e-12);
    }
}
