//! How much a scene's CRF is lowered for its characters, and its ROI map
//! (spec 04, "CRF boosts" and "ROI map").

use anyhow::{Result, bail, ensure};

use super::masks::SceneMasks;
use super::motion;
use super::roi;
use crate::formats::roi_map::RoiMap;
use crate::settings::CharacterSettings;

/// What Character Boost does to a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Boost {
    /// The scene's CRF before the final clamp and rounding.
    pub crf: f64,
    /// How much of the lowering is due to the share of the screen.
    pub coverage_boost: f64,
    /// How much of the lowering is due to motion.
    pub motion_boost: f64,
    /// `None` when the settings or the encoder want none.
    pub roi: Option<RoiMap>,
    /// What was decided and why, one sentence each.
    pub notes: Vec<String>,
}

/// A piecewise linear curve: rising x, and y at each; constant beyond both ends.
type Curve = &'static [(f64, f64)];

/// From the share of the screen to the share of the boost, curve 0 and 1. Less
/// is spent again where characters fill the screen: nothing can be taken from.
const COVERAGE_CURVES: [Curve; 2] = [
    &[(0.00, 0.0), (0.02, 0.0), (0.12, 1.0), (0.22, 1.0), (0.32, 0.92), (0.42, 0.82), (0.52, 0.67)],
    &[(0.00, 0.0), (0.02, 0.12), (0.12, 0.72), (0.22, 1.0), (0.32, 1.0), (0.42, 0.92), (0.52, 0.82)],
];

/// From the scene's usual luma difference to the share of the motion boost:
/// where the whole picture moves it is the camera, not the character.
const CAMERA_CURVE: Curve = &[(0.008, 1.0), (0.016, 0.4), (0.028, 0.4), (0.034, 0.8)];

/// Which luma difference of a scene is its usual one.
const CAMERA_QUANTILE: f64 = 0.25;

/// Motion of the maps that earns the whole motion boost.
const FULL_MOTION: f64 = 0.12;

/// What to tell once a run when the encoder cannot follow a ROI map.
pub fn roi_warning(settings: &CharacterSettings, encoder_has_roi: bool) -> Option<String> {
    (settings.enable && settings.roi_boost_max > 0.0 && !encoder_has_roi).then(|| {
        format!(
            "the encoder has no --roi-map-file, so characters get no region of interest; {} is added to the \
             CRF boost of whole scenes instead",
            settings.roi_boost_max
        )
    })
}

/// Lowers `crf` for the characters of a scene.
///
/// `luma_diff` are the mean luma differences (0..1) of the scene's frames.
/// Without `encoder_has_roi` the strength of the ROI map goes into the CRF.
pub fn boost(
    masks: &SceneMasks,
    luma_diff: &[f64],
    settings: &CharacterSettings,
    crf: f64,
    encoder_has_roi: bool,
) -> Result<Boost> {
    ensure!(
        luma_diff.len() == masks.frames(),
        "{} luma differences for a scene of {} frames",
        luma_diff.len(),
        masks.frames()
    );
    let Some(curve) = COVERAGE_CURVES.get(usize::from(settings.crf_curve)) else {
        bail!("character crf_curve {}: must be 0 or 1", settings.crf_curve);
    };
    let with_map = settings.roi_boost_max > 0.0 && encoder_has_roi;
    let crf_boost_max = settings.crf_boost_max + if encoder_has_roi { 0.0 } else { settings.roi_boost_max };
    let coverage_boost = crf_boost_max * interpolate(curve, masks.coverage());
    let camera = interpolate(CAMERA_CURVE, quantile(luma_diff, CAMERA_QUANTILE));
    let motion = (motion::of_scene(masks) / FULL_MOTION).min(1.0);
    let motion_boost = settings.motion_boost_max * motion * camera;

    let mut notes = vec![format!(
        "characters fill {:.1} % of the screen: CRF lowered by {coverage_boost:.2}, and by {motion_boost:.2} \
         for their motion",
        masks.coverage() * 100.0
    )];
    let mut crf = crf - coverage_boost - motion_boost;
    let roi = with_map.then(|| roi::build(masks, settings.roi_boost_max)).transpose()?;
    if let Some(raised) = roi.as_ref().map(|built| built.raised).filter(|&raised| raised > 0) {
        let lowered = f64::from(raised) / roi::STEPS_PER_CRF;
        crf -= lowered;
        notes.push(format!("characters are everywhere, so {lowered:.2} moves from the ROI map to the CRF"));
    }
    Ok(Boost { crf, coverage_boost, motion_boost, roi: roi.map(|built| built.map), notes })
}

fn interpolate(curve: Curve, x: f64) -> f64 {
    let after = curve.partition_point(|point| point.0 < x);
    let (Some(&to), Some(&from)) = (curve.get(after), curve.get(after.wrapping_sub(1))) else {
        return curve[after.min(curve.len() - 1)].1;
    };
    from.1 + (to.1 - from.1) * (x - from.0) / (to.0 - from.0)
}

/// The value that `q` (0..1) of `values` lie below, linear between two of them; 0 of none.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::formats::blocks::Blocks;
    use crate::settings::CharacterBackend;

    fn settings(roi: f64, crf: f64, motion: f64) -> CharacterSettings {
        CharacterSettings {
            enable: true,
            backend: CharacterBackend::Auto,
            roi_boost_max: roi,
            crf_boost_max: crf,
            crf_curve: 0,
            motion_boost_max: motion,
            model: None,
        }
    }

    fn masks(coverage: f64, values: &[(usize, f32)]) -> SceneMasks {
        let blocks = Blocks { columns: 2, rows: 1 };
        let maps = values.iter().map(|&(offset, v)| (offset, Array2::from_elem((1, 2), v))).collect();
        SceneMasks::new(blocks, 8, coverage, maps).unwrap()
    }

    #[test]
    fn curves_are_linear_between_their_points_and_constant_beyond() {
        for (x, wanted) in [(0.0, 0.0), (0.02, 0.0), (0.07, 0.5), (0.15, 1.0), (0.37, 0.87), (0.9, 0.67)] {
            assert!((interpolate(COVERAGE_CURVES[0], x) - wanted).abs() < 1e-12, "{x}");
        }
        for (x, wanted) in [(0.0, 1.0), (0.012, 0.7), (0.02, 0.4), (0.031, 0.6), (0.5, 0.8)] {
            assert!((interpolate(CAMERA_CURVE, x) - wanted).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn quantiles_by_hand() {
        assert!((quantile(&[4.0, 1.0, 3.0, 2.0, 5.0], 0.25) - 2.0).abs() < 1e-12);
        assert!((quantile(&[4.0, 1.0], 0.25) - 1.75).abs() < 1e-12);
        assert!((quantile(&[7.0], 0.25) - 7.0).abs() < 1e-12);
        assert!(quantile(&[], 0.25).abs() < 1e-12);
    }

    #[test]
    fn an_encoder_without_maps_gets_their_strength_as_crf() {
        let masks = masks(0.07, &[(0, 0.5)]);
        let boosted = boost(&masks, &[0.0; 8], &settings(6.0, 3.0, 0.0), 30.0, false).unwrap();
        // Half of 6 + 3, because 0.07 is half-way up the curve.
        assert!((boosted.crf - 25.5).abs() < 1e-12);
        assert_eq!(boosted.roi, None);
        assert!(roi_warning(&settings(6.0, 3.0, 0.0), false).unwrap().contains("no --roi-map-file"));
        assert_eq!(roi_warning(&settings(6.0, 3.0, 0.0), true), None);
        assert_eq!(roi_warning(&settings(0.0, 3.0, 0.0), false), None);
    }

    #[test]
    fn a_map_that_is_better_everywhere_is_raised_and_the_crf_pays_for_it() {
        // round(-7 · 1) · 7 / 1.75 · 1 + 3 = -25 in the first line, all blocks alike;
        // the next frame's 5 becomes 30, and 25 / 4 goes to the CRF.
        let boosted =
            boost(&masks(0.0, &[(0, 1.0)]), &[0.0; 8], &settings(7.0, 0.0, 0.0), 30.0, true).unwrap();
        let lines = boosted.roi.unwrap().lines().to_vec();
        assert_eq!((lines[0].frame, &lines[0].values[..]), (0, &[0i16, 0][..]));
        assert_eq!((lines[1].frame, &lines[1].values[..]), (1, &[30i16, 30][..]));
        assert!((boosted.crf - (30.0 - 6.25)).abs() < 1e-12);
    }

    #[test]
    fn motion_counts_up_to_twelve_percent() {
        // From 0.5 to 0.53125: 2 · 0.03125 over the mean sum 1.03125 is 0.0606, half of 0.12 is 0.06.
        let moved = masks(0.0, &[(0, 0.5), (4, 0.531_25)]);
        let boosted = boost(&moved, &[0.0; 8], &settings(0.0, 0.0, 4.0), 30.0, true).unwrap();
        assert!((boosted.motion_boost - 4.0 * (0.0625 / 1.031_25) / 0.12).abs() < 1e-9, "{boosted:?}");
    }

    #[test]
    fn wrong_lengths_and_curves_are_errors() {
        let masks = masks(0.0, &[(0, 1.0)]);
        assert!(boost(&masks, &[0.0; 7], &settings(0.0, 0.0, 0.0), 30.0, true).is_err());
        let curve = CharacterSettings { crf_curve: 2, ..settings(0.0, 0.0, 0.0) };
        let error = boost(&masks, &[0.0; 8], &curve, 30.0, true).unwrap_err().to_string();
        assert!(error.contains("crf_curve 2: must be 0 or 1"), "{error}");
    }
}
