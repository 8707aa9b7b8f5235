//! What a share of a plan is expected to be: the work of its scenes.

use crate::pipeline::forks::Fork;
use crate::pipeline::plan::PlannedScene;

/// Looking for characters in a frame, in probes of a frame at preset 7.
const CHARACTERS: f64 = 1.0;
/// What a scene costs besides its frames, in frames: starting an encoder and a decoder.
const START: f64 = 12.0;

/// Expected work of a scene, in frames at preset 7; `probed`: its probes are made.
pub fn work(scene: &PlannedScene<'_>, probed: bool, fork: &Fork) -> f64 {
    let settings = scene.settings;
    let frames = scene.scene.frames() as f64;
    let mut work = 0.0;
    if settings.metric.enable && !probed {
        work += (frames + START) * fork.encoder.identity.work(fork.settings.probing_preset);
    }
    if settings.character.enable {
        work += frames * CHARACTERS;
    }
    work
}
