//! How scenes are found (spec 01 and section 1 of spec 10).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// How scenes are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneSettings {
    pub method: SceneMethod,
    /// The user asked for `method` by name: do not fall back to another.
    pub strict: bool,
    /// Code range of the source; `None` reads it from the frame properties.
    pub full_range: Option<bool>,
    /// What makes scores of verdicts and scenes of scores; `None`: by the method.
    pub rules: Option<SplitRules>,
    /// Longest scene wanted, in frames; at least `2 * min_scene_len`.
    pub extra_split: usize,
    pub min_scene_len: usize,
    /// Scenes of at most this many frames are not divided further, by [`SplitRules::ExtraSplit`].
    pub target_split: usize,
    /// For [`SplitRules::Progressive`].
    pub progressive: ProgressiveLengths,
    /// File name or path of x264, for [`SceneMethod::Progressive`].
    pub x264: PathBuf,
    /// The scene list for [`SceneMethod::External`].
    pub input_scenes: Option<PathBuf>,
}

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
    Deserialize,
    EnumString,
    VariantNames,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SceneMethod {
    Builtin,
    Wwxd,
    Scxvid,
    WwxdScxvid,
    /// av1an's own list, standard analysis.
    Av1an,
    /// av1an's own list, fast analysis.
    Av1anFast,
    External,
    /// The frame properties that the script itself sets.
    Props,
    /// x264's first pass with WWXD or, where that does not load, ours.
    Progressive,
}

/// What makes scores of differences and verdicts, and scenes of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRules {
    /// Differences count as they are; no scene is longer than `extra_split` (spec 01).
    ExtraSplit,
    /// Differences of differences count; still scenes may be longer (spec 10).
    Progressive,
}

/// Lengths in frames for [`SplitRules::Progressive`]. The numbers are the scores
/// that cuts need, less 1, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressiveLengths {
    pub target_18: usize,
    pub target_12: usize,
    pub target_27: usize,
    /// Longest scene in which eyes and mouths move.
    pub still_0042: usize,
    /// Longest scene in which only grain moves.
    pub still_0012: usize,
}

impl SceneSettings {
    /// The rules in use: the detector `progressive` was made with those of its name.
    pub fn split_rules(&self) -> SplitRules {
        self.rules.unwrap_or(match self.method {
            SceneMethod::Progressive => SplitRules::Progressive,
            _ => SplitRules::ExtraSplit,
        })
    }

    /// Lengths that leave no room for each other by [`SplitRules::Progressive`], in words.
    pub fn progressive_problem(&self) -> Option<String> {
        let ProgressiveLengths { target_18, target_12, target_27, .. } = self.progressive;
        let longest = ("extra_split", self.extra_split);
        let twelve = ("progressive.target_12", target_12);
        let pairs = [
            (longest, 2, ("min_scene_len", self.min_scene_len)),
            (twelve, 2, ("progressive.target_18", target_18)),
            (longest, 2, ("progressive.target_18", target_18)),
            (longest, 2, twelve),
            (longest, 1, ("progressive.target_27", target_27)),
        ];
        let ((long_key, long), times, (short_key, short)) =
            pairs.into_iter().find(|((_, long), times, (_, short))| *long < times * short)?;
        let of = if times == 2 { "twice " } else { "" };
        Some(format!(
            "scenes.{long_key} {long}: must be at least {of}scenes.{short_key} {short} with scenes.rules progressive"
        ))
    }
}
