//! The clip's colour as encoder options. What the clip does not say is not
//! said to the encoder either.

use std::ops::RangeInclusive;

use crate::source::{ColorInfo, MasteringDisplay, UNSPECIFIED};

/// An option with its value.
pub type Flag = (&'static str, String);

struct CodePoints {
    option: &'static str,
    value: fn(&ColorInfo) -> i64,
    /// What AV1 can carry (AV1 specification, 6.4.2), and the encoder takes for 4:2:0.
    known: &'static [RangeInclusive<i64>],
}

const CODE_POINTS: [CodePoints; 3] = [
    CodePoints { option: "--color-primaries", value: |c| c.primaries, known: &[1..=1, 4..=12, 22..=22] },
    CodePoints { option: "--transfer-characteristics", value: |c| c.transfer, known: &[1..=1, 4..=18] },
    // 0, the identity, is for RGB: AV1 allows it with 4:4:4 only.
    CodePoints { option: "--matrix-coefficients", value: |c| c.matrix, known: &[1..=1, 4..=14] },
];

/// The options that keep the clip's look, and a note for each value that AV1
/// cannot carry.
pub fn flags(color: &ColorInfo) -> (Vec<Flag>, Vec<String>) {
    let mut flags = Vec::new();
    let mut notes = Vec::new();
    for CodePoints { option, value, known } in &CODE_POINTS {
        let value = value(color);
        if known.iter().any(|range| range.contains(&value)) {
            flags.push((*option, value.to_string()));
        } else if value != UNSPECIFIED {
            notes.push(format!("the clip's {} {value} cannot be written into AV1; left out", &option[2..]));
        }
    }
    if let Some(full) = color.full_range {
        flags.push(("--color-range", u8::from(full).to_string()));
    }
    // AV1 knows two of the six positions.
    match color.chroma_location {
        Some(0) => flags.push(("--chroma-sample-position", "left".to_owned())),
        Some(2) => flags.push(("--chroma-sample-position", "topleft".to_owned())),
        _ => {}
    }
    if let Some(mastering) = &color.mastering {
        flags.push(("--mastering-display", mastering_display(mastering)));
    }
    if let Some((max, average)) = color.content_light {
        let word = |value: i64| value.clamp(0, i64::from(u16::MAX));
        flags.push(("--content-light", format!("{},{}", word(max), word(average))));
    }
    (flags, notes)
}

/// SVT-AV1's notation; five and four decimals are the steps of SMPTE ST 2086.
fn mastering_display(display: &MasteringDisplay) -> String {
    let [red, green, blue] =
        [0, 1, 2].map(|i| format!("{:.5},{:.5}", display.primaries_x[i], display.primaries_y[i]));
    format!(
        "G({green})B({blue})R({red})WP({:.5},{:.5})L({:.4},{:.4})",
        display.white_x, display.white_y, display.max_luminance, display.min_luminance
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untagged_clip_says_nothing() {
        assert_eq!(flags(&ColorInfo::default()), (vec![], vec![]));
    }

    #[test]
    fn hdr10_is_written_as_svt_av1_reads_it() {
        let color = ColorInfo {
            primaries: 9,
            transfer: 16,
            matrix: 9,
            full_range: Some(false),
            chroma_location: Some(2),
            mastering: Some(MasteringDisplay {
                primaries_x: [0.68, 0.265, 0.15],
                primaries_y: [0.32, 0.69, 0.06],
                white_x: 0.3127,
                white_y: 0.329,
                min_luminance: 0.005,
                max_luminance: 1000.0,
            }),
            content_light: Some((1000, 70_000)),
        };
        let (flags, notes) = flags(&color);
        let text: Vec<_> = flags.iter().map(|(option, value)| format!("{option} {value}")).collect();
        assert_eq!(
            text,
            [
                "--color-primaries 9",
                "--transfer-characteristics 16",
                "--matrix-coefficients 9",
                "--color-range 0",
                "--chroma-sample-position topleft",
                "--mastering-display G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)\
                 WP(0.31270,0.32900)L(1000.0000,0.0050)",
                "--content-light 1000,65535",
            ]
        );
        assert!(notes.is_empty());
    }

    #[test]
    fn what_av1_has_no_code_for_is_left_out_and_told() {
        let color = ColorInfo { matrix: 0, primaries: 3, chroma_location: Some(1), ..ColorInfo::default() };
        let (flags, notes) = flags(&color);
        assert!(flags.is_empty());
        assert_eq!(notes.len(), 2);
        assert_eq!(notes[1], "the clip's matrix-coefficients 0 cannot be written into AV1; left out");
    }
}
