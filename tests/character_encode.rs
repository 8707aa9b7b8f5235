//! What an encoder does with our ROI maps: SVT-AV1 2.3.0 and 4.2.0,
//! decoded by ffmpeg.

mod common;
mod drawn;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Svt, svt};
use drawn::{Drawing, settings, write_network};
use progression_boost::character::{self, Boost, Options, Segmenter};
use progression_boost::scenes::Scene;
use progression_boost::settings::CharacterBackend;
use progression_boost::source::Picture;
use progression_boost::support::cancel::Cancel;
use progression_boost::support::events::Events;

/// The last frame is a multiple of four, so the map ends with a line for the
/// frame after the scene.
const DRAWING: Drawing =
    Drawing { width: 640, height: 360, frames: 41, figure: (128, 192), at: (128, 64), speed: 4 };

struct Film {
    folder: tempfile::TempDir,
    source: Vec<Picture>,
    boost: Boost,
}

impl Film {
    /// Draws the clip, segments it and writes `film.y4m` and `roi.txt`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clip = DRAWING.open(folder.path());
        let model = write_network(folder.path(), &drawn::red_network());
        let mut settings = settings(&model, CharacterBackend::Ort);
        settings.crf_boost_max = 0.0;
        let options = Options::default();
        let segmenter =
            Segmenter::open(&settings, &clip, options, &Events::silent(), &Cancel::new()).unwrap();
        let scene = Scene { start: 0, end: DRAWING.frames };
        let masks = segmenter.scene(scene, &DRAWING.luma_diff(), &Cancel::new()).unwrap();
        let boost = character::boost(&masks, &DRAWING.luma_diff(), &settings, 35.0, true).unwrap();
        let roi = boost.roi.as_ref().unwrap();
        roi.write(&folder.path().join("roi.txt")).unwrap();
        assert_eq!(roi.lines().last().unwrap().frame, DRAWING.frames);
        let source: Vec<Picture> = clip
            .frames(0..DRAWING.frames, 4, &Cancel::new())
            .map(|frame| frame.unwrap().to_picture())
            .collect();
        write_y4m(&folder.path().join("film.y4m"), &source);
        Self { folder, source, boost }
    }

    /// Encodes at `crf` and returns the bytes of the stream.
    fn encode(&self, program: &Path, crf: f64, with_map: bool) -> (u64, PathBuf) {
        let out = self.folder.path().join(format!("{crf}-{with_map}.ivf"));
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command.args(["-i", "film.y4m", "--preset", "8", "--lp", "1", "--keyint", "-1", "--progress", "0"]);
        command.args(["--crf", &crf.to_string(), "-b"]).arg(&out);
        if with_map {
            command.args(["--roi-map-file", "roi.txt"]);
        }
        let output = command.output().unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}\n{messages}");
        assert!(!messages.contains("rror"), "{command:?}\n{messages}");
        let bytes = std::fs::read(&out).unwrap();
        let frames = u32::from_le_bytes(bytes[24..28].try_into().unwrap());
        assert_eq!(frames as usize, DRAWING.frames, "{command:?}\n{messages}");
        (bytes.len() as u64, out)
    }

    /// Mean squared luma error inside and outside of the figure.
    fn errors(&self, stream: &Path) -> (f64, f64) {
        let output = common::tool("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(stream)
            .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
            .output()
            .expect("ffmpeg starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let luma = DRAWING.width * DRAWING.height;
        assert_eq!(output.stdout.len(), luma * 3 / 2 * DRAWING.frames);
        let (mut inside, mut outside) = ((0.0, 0.0), (0.0, 0.0));
        for (n, (decoded, source)) in output.stdout.chunks(luma * 3 / 2).zip(&self.source).enumerate() {
            let (left, top) = (DRAWING.left(n), DRAWING.at.1);
            for (i, (&a, &b)) in decoded.iter().zip(&source.planes[0]).enumerate() {
                let (x, y) = (i % DRAWING.width, i / DRAWING.width);
                let is_inside = (left..left + DRAWING.figure.0).contains(&x)
                    && (top..top + DRAWING.figure.1).contains(&y);
                let sum: &mut (f64, f64) = if is_inside { &mut inside } else { &mut outside };
                sum.0 += (f64::from(a) - f64::from(b)).powi(2);
                sum.1 += 1.0;
            }
        }
        (inside.0 / inside.1, outside.0 / outside.1)
    }
}

fn write_y4m(path: &Path, pictures: &[Picture]) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (width, height) = (DRAWING.width, DRAWING.height);
    writeln!(file, "YUV4MPEG2 W{width} H{height} F24:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL").unwrap();
    for picture in pictures {
        writeln!(file, "FRAME").unwrap();
        for plane in &picture.planes {
            let bytes: Vec<u8> = plane.iter().map(|&v| v as u8).collect();
            file.write_all(&bytes).unwrap();
        }
    }
}

/// Encodes with the map, then without it at the CRF of `candidates` whose size
/// is nearest, and compares the errors inside and outside of the figure.
fn spends_more_inside(program: &Path, step: f64) {
    let film = Film::new();
    let crf = film.boost.crf.round();
    let (size, with_map) = film.encode(program, crf, true);
    // Size falls with CRF, so the search halves the range.
    let (mut low, mut high) = (10.0, 60.0);
    let (mut near, mut plain) = (f64::MAX, PathBuf::new());
    while low <= high {
        let middle = (f64::midpoint(low, high) / step).round() * step;
        let (bytes, path) = film.encode(program, middle, false);
        let ratio = bytes as f64 / size as f64 - 1.0;
        if ratio.abs() < f64::abs(near) {
            (near, plain) = (ratio, path);
        }
        (low, high) = if ratio > 0.0 { (middle + step, high) } else { (low, middle - step) };
    }
    assert!(near.abs() <= 0.05, "no CRF without the map gives the size with it: {:.1} % off", near * 100.0);
    let (inside, outside) = film.errors(&with_map);
    let (plain_inside, plain_outside) = film.errors(&plain);
    println!(
        "{}: size {size} ({:+.1} %), MSE inside {inside:.2} with the map, {plain_inside:.2} without; \
         outside {outside:.2}, {plain_outside:.2}",
        program.display(),
        near * 100.0
    );
    assert!(inside < 0.9 * plain_inside, "inside: {inside:.2} with the map, {plain_inside:.2} without");
    assert!(outside > plain_outside, "outside: {outside:.2} with the map, {plain_outside:.2} without");
}

#[test]
fn svt_av1_2_3_spends_more_on_the_figure_at_the_same_size() {
    spends_more_inside(&svt(Svt::V2_3), 1.0);
}

#[test]
fn svt_av1_4_2_spends_more_on_the_figure_at_the_same_size() {
    spends_more_inside(&svt(Svt::V4_2), 0.25);
}
