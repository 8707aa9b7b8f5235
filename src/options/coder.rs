//! The kinds of encoder and what their option lists have in common.

use anyhow::{Result, bail};
use serde::Serialize;
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// A kind of encoder program: one command-line language.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Coder {
    Aom,
    SvtAv1,
}

impl Coder {
    /// By the name that av1an's files use.
    pub fn from_av1an(name: &str) -> Result<Self> {
        match name {
            "aom" => Ok(Self::Aom),
            "svt_av1" | "svt-av1" => Ok(Self::SvtAv1),
            other => bail!("encoder `{other}`: `encode` drives aom and svt_av1; use av1an for the others"),
        }
    }

    /// As `--encoder` spells it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The usual name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Aom => "aomenc",
            Self::SvtAv1 => "SvtAv1EncApp",
        }
    }

    /// Constant quality unless said otherwise.
    pub fn default_q(self) -> f64 {
        match self {
            Self::Aom => 14.0,
            Self::SvtAv1 => 27.0,
        }
    }

    /// The option for film grain made from the source's noise.
    pub fn noise_option(self) -> &'static str {
        match self {
            Self::Aom => "--denoise-noise-level",
            Self::SvtAv1 => "--film-grain",
        }
    }

    /// The option for grain tables.
    pub fn table_option(self) -> &'static str {
        match self {
            Self::Aom => "--film-grain-table",
            Self::SvtAv1 => "--fgs-table",
        }
    }

    /// The option for the number of threads, or what stands for it.
    pub fn thread_option(self) -> &'static str {
        match self {
            Self::Aom => "--threads",
            Self::SvtAv1 => "--lp",
        }
    }

    /// The option for the bits per sample of the result.
    pub fn depth_option(self) -> &'static str {
        match self {
            Self::Aom => "--bit-depth",
            Self::SvtAv1 => "--input-depth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: [(Coder, &str, &str); 2] = [
        (Coder::Aom, include_str!("../../tests/data/encoder-help/aomenc_3.6.0.help.txt"), "="),
        (Coder::SvtAv1, include_str!("../../tests/data/encoder-help/mainline_4.2.0.help.txt"), " "),
    ];

    #[test]
    fn every_option_is_in_the_encoder_s_help_and_means_that() {
        for (coder, help, end) in HELP {
            for (option, about) in [
                (coder.noise_option(), ["noise", "film grain"]),
                (coder.table_option(), ["film grain", "film grain"]),
                (coder.thread_option(), ["threads", "parallelism"]),
                (coder.depth_option(), ["Bit depth", "bit-depth"]),
            ] {
                let line = help.lines().find(|line| line.contains(&format!("{option}{end}")));
                let line = line.unwrap_or_else(|| panic!("{coder:?} has no `{option}`"));
                assert!(about.iter().any(|about| line.contains(about)), "{line}");
            }
        }
    }

    #[test]
    fn names_are_those_of_the_command_line_and_of_av1an_s_files() {
        for (name, av1an, coder) in [("aom", "aom", Coder::Aom), ("svt-av1", "svt_av1", Coder::SvtAv1)] {
            assert_eq!((coder.name(), name.parse::<Coder>().unwrap()), (name, coder));
            assert_eq!(Coder::from_av1an(av1an).unwrap(), coder);
        }
        assert_eq!((Coder::Aom.program(), Coder::SvtAv1.program()), ("aomenc", "SvtAv1EncApp"));
        // docs/encode.md
        assert_eq!((Coder::Aom.default_q(), Coder::SvtAv1.default_q()), (14.0, 27.0));
        let error = Coder::from_av1an("x264").unwrap_err().to_string();
        assert!(error.contains("`x264`") && error.contains("use av1an"), "{error}");
    }
}
