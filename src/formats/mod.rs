//! The formats of files, each read and written in one place. Nothing here knows
//! a clip, an encoder or a setting: what a file must fit is handed in as numbers.
//!
//! | file | format | read by | written by |
//! |---|---|---|---|
//! | [`scenes_json`] | av1an's `scenes.json` | `scenes` (external lists), `encode`, `verify`, `cli` (`roi show`) | `pipeline`, `cli` (`scenes`) |
//! | [`scene_changes`] | the JSON of `av-scenechange` | `scenes` (external lists), `encode` | – |
//! | [`av1an_zones`] | av1an's zones | – | `cli` (`scenes`) |
//! | [`qpfile`] | QP files as x264 and x265 take them | `encode` | – |
//! | [`roi_map`] | ROI maps over a grid of [`blocks`] | `cli` (`roi`) | `character`, `pipeline` |
//! | [`ivf`] | IVF with AV1 | `encoder`, `probe`, `pipeline`, `encode`, `verify` | `encode` (joined chunks) |
//! | [`sequence`] | the sequence header of an AV1 stream | `encode`, `verify` | – |
//! | [`hdr`] | HDR10 metadata of an AV1 stream | – | `encode` |
//! | [`matroska`] | Matroska and WebM | `encode`, `verify` | – |
//!
//! Readers take hostile files: what is wrong is an error that names the place,
//! never a panic, and a length that a file claims allocates nothing by itself.

pub mod av1an_zones;
pub mod blocks;
mod ebml;
pub mod hdr;
pub mod ivf;
pub mod matroska;
pub mod qpfile;
pub mod roi_map;
pub mod scene_changes;
pub mod scenes_json;
pub mod sequence;
