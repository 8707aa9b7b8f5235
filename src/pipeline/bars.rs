//! Black bars and what is measured: `metric.crop = "auto"`.

use crate::analysis::Analysis;
use crate::settings::{Crop, Settings, Zone};
use crate::source::Clip;
use crate::support::events::Events;

/// Whether the bars must be known before anything is measured.
pub fn wanted(zones: &[Zone]) -> bool {
    zones.iter().any(|zone| zone.settings.metric.enable && zone.settings.metric.crop == Crop::Auto)
}

/// What of pictures of `working` is left out: the bars that `analysis` found in
/// `analysed`, or nothing where the two are of different sizes.
pub fn found(analysis: &Analysis, analysed: &Clip, working: &Clip, events: &Events) -> Crop {
    let size = |clip: &Clip| (clip.info().width & !1, clip.info().height & !1);
    let sides = analysis.bars.unwrap_or_default();
    if size(analysed) != size(working) {
        events.note(
            "metric.crop auto: the analysis input is of another size than what is encoded, so nothing is left out",
        );
        return Crop::Sides([0; 4]);
    }
    let [left, right, top, bottom] = sides;
    let (width, height) = size(working);
    // An odd column or row, which 4:2:0 has not, is gone already.
    let lost = |side: usize, odd: bool| if odd { side.saturating_sub(1) & !1 } else { side };
    let info = analysed.info();
    let sides = [left, lost(right, info.width % 2 == 1), top, lost(bottom, info.height % 2 == 1)];
    if 2 * (left + right) > width || 2 * (top + bottom) > height {
        events.note(format!(
            "metric.crop auto: {sides:?} (left, right, top, bottom) is black in all frames, which would leave less \
             than half; nothing is left out"
        ));
        return Crop::Sides([0; 4]);
    }
    if sides != [0; 4] {
        events.note(format!("black bars are not measured: {sides:?} (left, right, top, bottom)"));
    }
    Crop::Sides(sides)
}

/// Puts what was found where the settings leave it to that.
pub fn settle(settings: &mut Settings, found: Crop) {
    if settings.metric.crop == Crop::Auto {
        settings.metric.crop = found;
    }
}
