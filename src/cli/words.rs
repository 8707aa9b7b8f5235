//! Enums of the other rooms as values of options: their words, and what each means.

use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use strum::{EnumMessage, VariantArray};

/// Takes the words of `T`; what is said of its variants is the help.
pub fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: Copy
        + EnumMessage
        + FromStr<Err = strum::ParseError>
        + Into<&'static str>
        + Send
        + Sync
        + VariantArray,
{
    let value = |variant: &T| {
        let help = variant.get_documentation().map(|text| text.trim_end_matches('.'));
        PossibleValue::new((*variant).into()).help(help)
    };
    PossibleValuesParser::new(T::VARIANTS.iter().map(value)).try_map(|word| word.parse::<T>())
}
