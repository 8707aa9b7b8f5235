//! The complete parameter lists on a few blank frames, before any work is done.

use anyhow::{Result, bail};

use super::capabilities::Encoder;
use super::params::ParameterList;
use super::trial::{Trial, Verdict};
use crate::options::{Coder, EncoderOption};
use crate::support::cancel::Cancel;

/// Any CRF will do; every version takes this one.
const CRF: f64 = 30.0;

/// Tries each of `lists`; the name, such as `final parameters`, is for messages.
/// An error says which option or value the encoder refuses, and its own words.
pub fn preflight(encoder: &Encoder, lists: &[(&str, &ParameterList)], cancel: &Cancel) -> Result<()> {
    for (name, list) in lists {
        let trial = Trial::new(Coder::SvtAv1, encoder.identity.path.clone(), list.bits(), cancel)?;
        let version = &encoder.identity.version;
        let why = match trial.run(&list.words(encoder, CRF))? {
            Verdict::Accepted(_) => continue,
            Verdict::TimedOut(limit) => bail!(
                "{name}: {version} made no progress with two blank frames for {} s; try again when the \
                 machine is less busy, or with other parameters",
                limit.as_secs()
            ),
            Verdict::Refused(why) => why,
        };
        let culprits = culprits(encoder, list, &trial)?;
        let what = match culprits.as_slice() {
            [] => (format!("`{}`", list.words(encoder, CRF).join(" ")), why),
            [(option, why)] => (format!("`{option}`"), why.clone()),
            several => {
                let options: Vec<_> = several.iter().map(|(option, _)| format!("`{option}`")).collect();
                let whys: Vec<_> = several.iter().map(|(_, why)| why.as_str()).collect();
                (options.join(" and "), whys.join("; "))
            }
        };
        bail!("{name}: {version} refuses {}: {}", what.0, what.1);
    }
    Ok(())
}

/// The options without which the encoder takes the list, each with its reason:
/// they are added one after the other and those that do harm stay out.
fn culprits<'l>(
    encoder: &Encoder,
    list: &'l ParameterList,
    trial: &Trial<'_>,
) -> Result<Vec<(&'l EncoderOption, String)>> {
    let mut words = list.base(encoder, CRF);
    let mut found = Vec::new();
    if !trial.accepts(&words)? {
        return Ok(found);
    }
    for option in list.options().iter() {
        let without = words.len();
        words.extend(option.words());
        if let Verdict::Refused(why) = trial.run(&words)? {
            words.truncate(without);
            found.push((option, why));
        }
    }
    Ok(found)
}
