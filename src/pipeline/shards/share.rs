//! What a share of a plan is expected to be: the work of its scenes.

use crate::pipeline::plan::PlannedScene;

/// A preset slower by one takes this many times the work, as in calibration.
const WORK_BY_PRESET: f64 = 1.5;
/// Looking for characters in a frame, in probes of a frame at preset 8.
const CHARACTERS: f64 = 1.0;
/// What a scene costs besides its frames, in frames: starting an encoder and a decoder.
const START: f64 = 12.0;
const USUAL_PRESET: i32 = 8;

/// Expected work of a scene, in frames at an usual preset; `probed`: its probes are made.
pub fn work(scene: &PlannedScene<'_>, probed: bool) -> f64 {
    let settings = scene.settings;
    let frames = scene.scene.frames() as f64;
    let mut work = 0.0;
    if settings.metric.enable && !probed {
        work += (frames + START) * WORK_BY_PRESET.powi(USUAL_PRESET - settings.encoder.probing_preset);
    }
    if settings.character.enable {
        work += frames * CHARACTERS;
    }
    work
}
