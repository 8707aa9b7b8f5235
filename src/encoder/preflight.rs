//! The complete parameter lists on a few blank frames, before any work is done.

use anyhow::{Result, bail};

use super::capabilities::Encoder;
use super::params::{Flag, ParameterList};
use super::trial::{Trial, Verdict};
use crate::support::cancel::Cancel;

/// Any CRF will do; every version takes this one.
const CRF: f64 = 30.0;

/// Tries each of `lists`; the name, such as `final parameters`, is for messages.
/// An error says which option or value the encoder refuses, and its own words.
pub fn preflight(encoder: &Encoder, lists: &[(&str, &ParameterList)], cancel: &Cancel) -> Result<()> {
    for (name, list) in lists {
        let trial = Trial::new(encoder.identity.path.clone(), list.bits(), cancel)?;
        if let Verdict::Refused(why) = trial.run(&list.words(encoder, CRF))? {
            let culprits = culprits(encoder, list, &trial)?;
            let what = match culprits.as_slice() {
                [] => (format!("`{}`", list.words(encoder, CRF).join(" ")), why),
                [(flag, why)] => (format!("`{flag}`"), why.clone()),
                several => {
                    let flags: Vec<_> = several.iter().map(|(flag, _)| format!("`{flag}`")).collect();
                    let whys: Vec<_> = several.iter().map(|(_, why)| why.as_str()).collect();
                    (flags.join(" and "), whys.join("; "))
                }
            };
            bail!("{name}: {} refuses {}: {}", encoder.identity.version, what.0, what.1);
        }
    }
    Ok(())
}

/// The flags without which the encoder takes the list, each with its reason:
/// they are added one after the other and those that do harm stay out.
fn culprits<'l>(
    encoder: &Encoder,
    list: &'l ParameterList,
    trial: &Trial<'_>,
) -> Result<Vec<(&'l Flag, String)>> {
    let mut words = list.base(encoder, CRF);
    let mut found = Vec::new();
    if !trial.accepts(&words)? {
        return Ok(found);
    }
    for flag in list.flags() {
        let without = words.len();
        words.extend(flag.words());
        if let Verdict::Refused(why) = trial.run(&words)? {
            words.truncate(without);
            found.push((flag, why));
        }
    }
    Ok(found)
}
