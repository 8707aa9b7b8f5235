//! Whether source and encode say the same about their colour.

use anyhow::{Result, bail};

use crate::score;
use crate::source::{ColorInfo, ResolvedColor, UNSPECIFIED};
use crate::support::events::Events;

/// A colour property in H.273 code points, [`UNSPECIFIED`] where it is left open.
struct Property {
    name: &'static str,
    declared: fn(&ColorInfo) -> i64,
    /// How the metrics read the source.
    read: fn(&ResolvedColor) -> i64,
    /// Code points of one meaning (H.273, tables 2 to 4).
    alike: &'static [i64],
}

const PROPERTIES: [Property; 4] = [
    Property { name: "primaries", declared: |c| c.primaries, read: |c| c.primaries, alike: &[6, 7] },
    Property { name: "transfer", declared: |c| c.transfer, read: |c| c.transfer, alike: &[1, 6, 14, 15] },
    Property { name: "matrix", declared: |c| c.matrix, read: |c| c.matrix, alike: &[5, 6] },
    Property {
        name: "range (1 = full)",
        declared: |c| c.full_range.map_or(UNSPECIFIED, i64::from),
        read: |c| i64::from(c.full_range),
        alike: &[],
    },
];

/// Refuses an encode that declares another colour than its source does, and
/// warns of one that declares what its source leaves open, but not as the
/// source is read. With `ignore` both are warnings.
pub fn check(
    source: &ColorInfo,
    height: usize,
    encoded: &ColorInfo,
    ignore: bool,
    events: &Events,
) -> Result<()> {
    let reading = score::reading(source, height);
    let mut contradictions = Vec::new();
    for Property { name, declared, read, alike } in &PROPERTIES {
        let (ours, theirs, read) = (declared(source), declared(encoded), read(&reading));
        let same = theirs == read || (alike.contains(&theirs) && alike.contains(&read));
        if theirs == UNSPECIFIED || same {
            continue;
        }
        if ours == UNSPECIFIED {
            events.warn(format!(
                "the encode declares {name} {theirs}, the source leaves it open; both are read as {read}, as \
                 boosting does"
            ));
        } else {
            contradictions.push(format!("{name} {theirs} instead of {ours}"));
        }
    }
    if contradictions.is_empty() {
        return Ok(());
    }
    let text = format!("the encode declares another colour than its source: {}", contradictions.join(", "));
    if !ignore {
        bail!(
            "{text}. Players will show it in other colours. If only the declaration is wrong, \
             --ignore-color measures the samples as the source's"
        );
    }
    events.warn(format!("{text}; it is measured as the source's"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::events::hearing_warnings;

    fn checked(source: &ColorInfo, encoded: &ColorInfo, ignore: bool) -> (Option<String>, Vec<String>) {
        let (events, heard) = hearing_warnings();
        let error = check(source, 480, encoded, ignore, &events).err().map(|e| e.to_string());
        let heard = heard.lock().unwrap().clone();
        (error, heard)
    }

    #[test]
    fn only_contradictions_are_errors() {
        let open = ColorInfo::default();
        let bt709 = ColorInfo {
            primaries: 1,
            transfer: 1,
            matrix: 1,
            full_range: Some(false),
            ..ColorInfo::default()
        };
        let smpte = ColorInfo { matrix: 6, ..bt709.clone() };
        let full = ColorInfo { full_range: Some(true), ..bt709.clone() };
        let nothing = (None, Vec::new());
        // What the encode leaves open, or says as the source is read.
        assert_eq!(checked(&bt709, &open, false), nothing);
        assert_eq!(checked(&open, &bt709, false), nothing);
        assert_eq!(checked(&full, &full, false), nothing);
        // BT.709, SMPTE 170M and both of BT.2020 have one transfer curve.
        assert_eq!(checked(&bt709, &ColorInfo { transfer: 6, ..bt709.clone() }, false), nothing);

        let (error, _) = checked(&bt709, &smpte, false);
        assert!(error.unwrap().contains("matrix 6 instead of 1"));
        let (error, _) = checked(&full, &bt709, false);
        assert!(error.unwrap().contains("range (1 = full) 0 instead of 1"));
        let (error, warnings) = checked(&bt709, &smpte, true);
        assert!(error.is_none() && warnings[0].contains("matrix 6 instead of 1"), "{warnings:?}");
        let (error, warnings) = checked(&open, &smpte, false);
        assert!(error.is_none() && warnings[0].contains("declares matrix 6"), "{warnings:?}");
        assert!(warnings[0].contains("read as 1"), "{warnings:?}");
    }
}
