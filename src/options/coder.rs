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
