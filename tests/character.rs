//! From maps to ROI lines and CRF on the golden figures, and from masks to maps
//! against VapourSynth's own filters.

use std::path::Path;

use ndarray::Array2;
use progression_boost::character::{self, SceneMasks};
use progression_boost::formats::blocks::Blocks;
use progression_boost::formats::roi_map::RoiMap;
use progression_boost::settings::{CharacterBackend, CharacterSettings};
use progression_boost::source::{self, OpenOptions, Row};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    neighbourhood: Neighbourhood,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    frames: usize,
    /// Columns, rows.
    blocks: [usize; 2],
    luma_diff: Vec<f64>,
    analysed: Vec<usize>,
    /// At every fourth frame; `None` where the frame is not analysed.
    maps: Vec<Option<Vec<f32>>>,
    coverage: f64,
    roi_boost_max: f64,
    crf_boost_max: f64,
    crf_curve: u8,
    motion_boost_max: f64,
    crf_in: f64,
    /// The frame, then its values.
    roi_lines: Vec<Vec<i64>>,
    crf_out: f64,
}

#[derive(Deserialize)]
struct Neighbourhood {
    blocks: [usize; 2],
    input: Vec<f32>,
    output: Vec<f64>,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/character.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn grid([columns, rows]: [usize; 2]) -> Blocks {
    Blocks { columns, rows }
}

impl Case {
    fn masks(&self) -> SceneMasks {
        let blocks = grid(self.blocks);
        let maps = (0..)
            .step_by(4)
            .zip(&self.maps)
            .filter_map(|(offset, map)| {
                Some((offset, Array2::from_shape_vec(blocks.shape(), map.clone()?).unwrap()))
            })
            .collect();
        SceneMasks::new(blocks, self.frames, self.coverage, maps).unwrap()
    }

    fn settings(&self) -> CharacterSettings {
        CharacterSettings {
            enable: true,
            backend: CharacterBackend::Auto,
            roi_boost_max: self.roi_boost_max,
            crf_boost_max: self.crf_boost_max,
            crf_curve: self.crf_curve,
            motion_boost_max: self.motion_boost_max,
            model: None,
        }
    }
}

#[test]
fn the_frames_to_analyse_are_the_golden_ones() {
    let golden = golden();
    assert_eq!(golden.cases.len(), 6);
    for case in golden.cases {
        assert_eq!(character::analysed(&case.luma_diff), case.analysed, "{}", case.name);
    }
}

#[test]
fn roi_lines_and_crf_are_the_golden_ones() {
    for case in golden().cases {
        let boosted =
            character::boost(&case.masks(), &case.luma_diff, &case.settings(), case.crf_in, true).unwrap();
        let lines: Vec<Vec<i64>> = boosted.roi.as_ref().map_or(Vec::new(), |roi| {
            roi.lines()
                .iter()
                .map(|line| {
                    std::iter::once(line.frame as i64)
                        .chain(line.values.iter().map(|&v| i64::from(v)))
                        .collect()
                })
                .collect()
        });
        assert_eq!(lines, case.roi_lines, "{}", case.name);
        assert!(
            (boosted.crf - case.crf_out).abs() < 1e-6,
            "{}: {} for {}",
            case.name,
            boosted.crf,
            case.crf_out
        );
    }
}

#[test]
fn golden_maps_pass_the_validator_and_come_back_from_their_file() {
    let folder = tempfile::tempdir().unwrap();
    for (scene, case) in golden().cases.iter().enumerate() {
        let Some(roi) = character::boost(&case.masks(), &case.luma_diff, &case.settings(), case.crf_in, true)
            .unwrap()
            .roi
        else {
            continue;
        };
        let path = folder.path().join(RoiMap::file_name(scene));
        roi.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(RoiMap::parse(&text, grid(case.blocks)).unwrap(), roi);
        let first: Vec<String> = case.roi_lines[0].iter().map(ToString::to_string).collect();
        assert_eq!(text.lines().next().unwrap(), first.join(" "), "{}", case.name);
    }
    assert!(folder.path().join("roi-map-00004.txt").exists());
}

#[test]
fn the_neighbourhood_rule_is_the_golden_one() {
    let golden = golden().neighbourhood;
    let blocks = grid(golden.blocks);
    let input = Array2::from_shape_vec(blocks.shape(), golden.input).unwrap();
    let output = character::neighbourhood(&input);
    for (ours, wanted) in output.iter().zip(&golden.output) {
        assert!((f64::from(*ours) - wanted).abs() < 1e-6, "{ours} for {wanted}");
    }
}

/// `std.Maximum` and `resize.Bicubic` with b = 0, c = 0 do the same work
/// elsewhere; they must agree to the precision of their floats.
#[test]
fn the_reduction_is_that_of_vapoursynth_s_own_filters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masks.vpy");
    // 16-bit values survive the way out of VapourSynth as integers.
    let script = "import random\nimport vapoursynth as vs\ncore = vs.core\n\
         cells = core.std.BlankClip(format=vs.GRAY8, width=40, height=24, length=1, keep=True)\n\
         values = random.Random(4).randbytes(40 * 24)\n\
         def fill(n, f):\n    \
             g = f.copy()\n    \
             p = g[0]\n    \
             for y in range(24):\n        \
                 for x in range(40):\n            \
                     p[y, x] = values[y * 40 + x] if values[y * 40 + x] > 128 else 0\n    \
             return g\n\
         mask = core.std.ModifyFrame(cells, cells, fill)\n\
         mask = core.resize.Point(mask, 320, 192, format=vs.GRAY16, range_in=1, range=1)\n\
         grown = core.std.Maximum(mask)\n\
         small = core.resize.Bicubic(core.resize.Point(grown, format=vs.GRAYS, range_in=1), 5, 3, filter_param_a=0, filter_param_b=0)\n\
         small = core.resize.Point(small, format=vs.GRAY16, range=1)\n\
         mask.set_output(0)\ngrown.set_output(1)\nsmall.set_output(2)\n";
    std::fs::write(&path, script).unwrap();
    let output = |index| {
        let options = OpenOptions { output_index: index, ..OpenOptions::default() };
        let frame = source::open(&path, &options).unwrap().frame(0).unwrap();
        Array2::from_shape_fn((frame.height(0), frame.width(0)), |(y, x)| match frame.row(0, y) {
            Row::Words(row) => f32::from(row[x]) / 65535.0,
            Row::Bytes(_) => unreachable!("the script asks for 16 bits"),
        })
    };
    let grown = character::maximum_3x3(&output(0));
    assert_eq!(grown, output(1));
    assert!(grown.iter().any(|&v| v == 0.0) && grown.iter().any(|&v| v > 0.9));
    let small = character::reduce(&grown, Blocks { columns: 5, rows: 3 });
    for (ours, theirs) in small.iter().zip(&output(2)) {
        // Half a 16-bit step, and the rounding of zimg's coefficients.
        assert!((ours - theirs).abs() < 4e-5, "{ours} for {theirs}");
    }
}

proptest::proptest! {
    /// Whatever the masks and the strength, encoders can read the map, and
    /// blocks with more of a character never get less.
    #[test]
    fn every_map_keeps_the_rules(
        values in proptest::collection::vec(0.0f32..=1.0, 3 * 12),
        strength in 0.1f64..=60.0,
        frames in 9usize..50,
    ) {
        let blocks = Blocks { columns: 4, rows: 3 };
        let maps = (0..)
            .step_by(4)
            .zip(values.chunks(12))
            .map(|(offset, map)| (offset, Array2::from_shape_vec(blocks.shape(), map.to_vec()).unwrap()))
            .collect();
        let masks = SceneMasks::new(blocks, frames, 0.5, maps).unwrap();
        let settings = CharacterSettings {
            enable: true,
            backend: CharacterBackend::Auto,
            roi_boost_max: strength,
            crf_boost_max: 0.0,
            crf_curve: 0,
            motion_boost_max: 0.0,
            model: None,
        };
        let boosted = character::boost(&masks, &vec![0.02; frames], &settings, 30.0, true).unwrap();
        let roi = boosted.roi.unwrap();
        proptest::prop_assert_eq!(&RoiMap::parse(&roi.to_text(), blocks).unwrap(), &roi);
        for (offset, map) in masks.maps() {
            let mut pairs: Vec<(f32, i16)> = map.iter().copied().zip(roi.at(offset).unwrap().iter().copied()).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            proptest::prop_assert!(pairs.is_sorted_by(|a, b| a.1 >= b.1), "{:?}", pairs);
        }
    }
}
