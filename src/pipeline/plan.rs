//! The plan of a run: every scene with the settings it lies under.

use crate::analysis::LumaStats;
use crate::scenes::Scene;
use crate::settings::dynamic::SceneFacts;
use crate::settings::{Settings, Zone};

/// A scene with its place in the run.
#[derive(Debug, Clone, Copy)]
pub struct PlannedScene<'a> {
    pub index: usize,
    pub scene: Scene,
    /// Index into the run's zones.
    pub zone: usize,
    pub zone_name: Option<&'a str>,
    pub settings: &'a Settings,
}

impl PlannedScene<'_> {
    /// What dynamic rules may know of it.
    pub fn facts(&self, luma: &LumaStats) -> SceneFacts {
        let frames = self.scene.start..self.scene.end;
        SceneFacts::new(
            self.index,
            frames.clone(),
            &luma.average[frames.clone()],
            &luma.min[frames.clone()],
            &luma.max[frames.clone()],
            &luma.diff[frames],
        )
    }
}

/// Puts each scene into its zone. Zones and scenes are in order and cover the
/// clip, and no scene crosses a zone boundary, so one walk over both does.
pub fn plan<'a>(scenes: &[Scene], zones: &'a [Zone]) -> Vec<PlannedScene<'a>> {
    let mut zone = 0;
    scenes
        .iter()
        .enumerate()
        .map(|(index, &scene)| {
            while zone + 1 < zones.len() && scene.start >= zones[zone].frames.end {
                zone += 1;
            }
            let Zone { name, settings, .. } = &zones[zone];
            PlannedScene { index, scene, zone, zone_name: name.as_deref(), settings }
        })
        .collect()
}
