//! Which encoder options are the program's own: those that a preset of its has,
//! wherever they were written. A copy of a preset holds what it was copied from,
//! and nobody asked for that on this encoder.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::library::BUILT_IN;
use super::{EncoderFamily, Request, resolve};
use crate::options::{EncoderOption, Options, Origin, Use};

/// The options of one built-in preset for one family.
struct Lists {
    probing: Options,
    final_: Options,
}

static SHIPPED: LazyLock<BTreeMap<EncoderFamily, Vec<Lists>>> = LazyLock::new(|| {
    let mut shipped: BTreeMap<_, Vec<Lists>> = BTreeMap::new();
    for (name, _) in BUILT_IN {
        let request = Request { preset: Some(name.to_owned()), ..Request::default() };
        let Ok(resolved) = resolve(&request) else { continue };
        for (family, params) in resolved.base.encoder.params {
            let options = |words: &[String]| Options::parse(words, Origin::Ours).unwrap_or_default();
            let lists = Lists { probing: options(&params.probing), final_: options(&params.final_) };
            shipped.entry(family).or_default().push(lists);
        }
    }
    shipped
});

/// Whether a built-in preset has just this option, value and all, in its
/// probing list ([`Use::Probing`]) or else its final list for `family`.
pub fn is_shipped(family: EncoderFamily, used: Use, option: &EncoderOption) -> bool {
    let of =
        |lists: &Lists| if used == Use::Probing { &lists.probing } else { &lists.final_ }.has_equal(option);
    SHIPPED.get(&family).is_some_and(|presets| presets.iter().any(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lists of presets/butteraugli-mean.toml and butteraugli-max.toml.
    #[test]
    fn an_option_is_shipped_with_its_value_its_list_and_its_family() {
        let is = |family, used, name: &str, value: &str| {
            let option = EncoderOption { name: name.into(), value: Some(value.into()), origin: Origin::User };
            is_shipped(family, used, &option)
        };
        for (value, shipped) in [("1.0", true), ("2.0", true), ("3.0", false)] {
            assert_eq!(is(EncoderFamily::Mainline, Use::Final, "--ac-bias", value), shipped, "{value}");
        }
        assert!(!is(EncoderFamily::Psyex, Use::Final, "--ac-bias", "1.0"));
        assert!(is(EncoderFamily::Psyex, Use::Final, "--complex-hvs", "1"));
        assert!(!is(EncoderFamily::Psyex, Use::Probing, "--complex-hvs", "1"));
    }
}
