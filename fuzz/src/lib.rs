//! What is fuzzed: every reader of text or bytes that others write. Each function
//! takes any bytes; it must not panic, hang or take much memory, and what the
//! reader accepts must keep the reader's own promises.
//!
//! `tests/fuzz_corpus.rs` runs the same functions over `fuzz/corpus`.

use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use progression_boost::character::onnx::Network;
use progression_boost::dispatch::client::describe;
use progression_boost::dispatch::framing::{Door, Inbox, Received};
use progression_boost::dispatch::metrics::Metrics;
use progression_boost::dispatch::protocol::{self, CpuStatus, Status, VramStatus};
use progression_boost::encode::grain::Grain;
use progression_boost::encode::work::Finished;
use progression_boost::encoder::aomenc::Aomenc;
use progression_boost::encoder::identify;
use progression_boost::formats::blocks::Blocks;
use progression_boost::formats::hdr::{self, Metadata};
use progression_boost::formats::roi_map::RoiMap;
use progression_boost::formats::sequence::{self, Sequence};
use progression_boost::formats::{ivf, matroska, qpfile, scene_changes, scenes_json};
use progression_boost::options::{Coder, Options, Origin, Use, reserved, without_grain};
use progression_boost::pipeline::store::Record;
use progression_boost::settings::zones::{self, ZoneList};
use progression_boost::settings::{Problems, Request, resolve};
use progression_boost::support::journal;
use progression_boost::support::lines::LineSplitter;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A name, which a folder in `fuzz/corpus` has as well, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 14] = [
    ("dispatch", dispatch),
    ("encoder_texts", encoder_texts),
    ("grain_table", grain_table),
    ("ivf", ivf_with_obus),
    ("journal", journal_lines),
    ("matroska", matroska_file),
    ("onnx", onnx),
    ("option_list", option_list),
    ("preset", preset),
    ("qpfile", qp_file),
    ("roi_map", roi_map),
    ("scene_changes", scene_list),
    ("scenes_json", scenes_file),
    ("zones", zone_list),
];

/// Frames of the clip that lists are read for.
const FRAMES: usize = 100;

/// Scenes must cover the clip, in order.
fn assert_cover(scenes: &[Range<usize>]) {
    scenes_json::check_cover(scenes, FRAMES).expect("the reader accepted these scenes");
}

/// av1an's scenes file, and the parameters in it.
pub fn scenes_file(data: &[u8]) {
    if let Ok(scenes) = scenes_json::parse(data, FRAMES) {
        let ranges: Vec<_> = scenes.iter().map(scenes_json::SceneEntry::frames).collect();
        assert_cover(&ranges);
        assert_eq!(scenes_json::parse_ranges(data, FRAMES).expect("it is one"), ranges);
        for overrides in scenes.iter().filter_map(|scene| scene.zone_overrides.as_ref()) {
            check_list(&overrides.video_params);
        }
    }
    let _ = scenes_json::parse_ranges(data, FRAMES);
    let _ = scenes_json::parse_of_any_clip(data);
}

/// The JSON of `av-scenechange`.
pub fn scene_list(data: &[u8]) {
    if let Ok(Some(scenes)) = scene_changes::parse(data, FRAMES) {
        assert_cover(&scenes);
    }
}

pub fn qp_file(data: &[u8]) {
    if let Ok(scenes) = qpfile::parse(&String::from_utf8_lossy(data), FRAMES) {
        assert_cover(&scenes);
    }
}

/// A preset that extends the root, up to the zones of a clip.
pub fn preset(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let request = Request {
        preset: Some("fuzzed".to_owned()),
        preset_texts: vec![("fuzzed".to_owned(), text)],
        // The user's own must not matter.
        preset_folder: Some(PathBuf::from("no such folder")),
        ..Request::default()
    };
    match resolve(&request) {
        Ok(resolved) => {
            let zones = resolved.zones(FRAMES, &mut Vec::new()).expect("the clip has frames");
            assert_cover(&zones.into_iter().map(|zone| zone.frames).collect::<Vec<_>>());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// `start end name` entries.
pub fn zone_list(data: &[u8]) {
    let list = ZoneList::Text(String::from_utf8_lossy(data).into_owned());
    let mut problems = Problems::default();
    let zones = zones::read(Some(&list), &mut problems);
    let _ = problems.to_string();
    if problems.list.is_empty() {
        for pair in zones.windows(2) {
            assert!(pair[0].end.is_some_and(|end| end > pair[0].start && end <= pair[1].start));
        }
    }
}

/// What stands behind `--params` or in `video_params`.
pub fn option_list(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    if let Ok(options) = Options::parse_line(&line, Origin::User) {
        check_list(&options.words(Coder::SvtAv1));
    }
}

/// What no list may hold is not let through, however it is spelt.
fn check_list(words: &[String]) {
    let _ = Options::parse_strictly(words, Origin::User);
    let _ = without_grain(words);
    let Ok(options) = Options::parse(words, Origin::User) else { return };
    let _ = reserved::check_words(Use::Final, words);
    for coder in [Coder::SvtAv1, Coder::Aom] {
        let checked = reserved::check(coder, Use::Scenes, &options);
        let written = options.words(coder);
        // Where the encoder would write to.
        let writes =
            |word: &String| ["-b", "--output", "-o"].contains(&word.split('=').next().unwrap_or(word));
        let names = options.iter().any(|option| writes(&option.name));
        assert!(checked.is_err() || !names, "{written:?}");
    }
}

/// The first byte chooses the grid.
pub fn roi_map(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else { return };
    let blocks = Blocks { columns: usize::from(first & 3) + 1, rows: usize::from(first >> 2 & 3) + 1 };
    if let Ok(map) = RoiMap::parse(&String::from_utf8_lossy(text), blocks) {
        assert_eq!(map.at(0).expect("a map begins with frame 0").len(), blocks.count());
        assert_eq!(RoiMap::parse(&map.to_text(), blocks).expect("it was one"), map);
    }
}

pub fn ivf_with_obus(data: &[u8]) {
    let path = Path::new("fuzzed.ivf");
    let open = || ivf::Reader::of(Cursor::new(data), path);
    let Ok(mut reader) = open() else {
        // Streams in Matroska are units without a file around them.
        unit(data);
        return;
    };
    let whole = open().and_then(ivf::Reader::verify);
    let _ = open().and_then(sequence::verify_units);
    let mut frames = 0;
    while let Ok(Some(packet)) = reader.next_packet() {
        frames += 1;
        unit(&packet.data);
    }
    assert!(whole.map_or(true, |(counted, bytes)| counted == frames && bytes == data.len() as u64));
}

/// A temporal unit; metadata that is put in leaves the rest as it was.
fn unit(data: &[u8]) {
    let light = Metadata::content_light(1000, 400);
    let sequence = Sequence::of_unit(data);
    if let (Ok(before), Ok(with)) = (sequence, hdr::insert(data, &[light])) {
        assert_eq!(Sequence::of_unit(&with).expect("the sequence header is still there"), before);
    }
}

pub fn matroska_file(data: &[u8]) {
    let contents = matroska::contents(Cursor::new(data));
    let Ok(packets) = matroska::Packets::of(Cursor::new(data), Path::new("fuzzed.mkv")) else { return };
    let whole: Result<Vec<_>, _> = packets.collect();
    if let (Ok(contents), Ok(packets)) = (contents, whole) {
        let bytes: usize = packets.iter().map(Vec::len).sum();
        assert!(bytes <= data.len());
        assert!(contents.tracks.iter().map(|track| track.blocks).sum::<usize>() >= packets.len());
    }
}

pub fn onnx(data: &[u8]) {
    if let Ok(network) = Network::parse(data) {
        let _ = network.to_string();
        if network.check().is_ok() {
            let _ = network.picture().is_fixed_size();
        }
    }
}

/// Both doors of the server, then the client. The first byte chooses, the second
/// says in what pieces the rest arrives.
pub fn dispatch(data: &[u8]) {
    let [choice, size, rest @ ..] = data else { return };
    let door = if choice % 2 == 0 { Door::Queue } else { Door::Metrics };
    let mut inbox = Inbox::new(door);
    for piece in rest.chunks(usize::from(*size).max(1)) {
        match inbox.take(piece) {
            Some(Received::Message(message)) if door == Door::Queue => {
                if let Some(request) = protocol::Request::parse(&message) {
                    assert_eq!(protocol::Request::parse(request.line().trim_end().as_bytes()), Some(request));
                }
            }
            Some(Received::Message(head)) => {
                assert!(metrics().respond(&head, &status()).starts_with(b"HTTP/1.1 "));
            }
            Some(_) => break,
            None => {}
        }
    }
    if let Ok(status) = serde_json::from_slice::<Status>(rest) {
        let _ = describe(&status);
    }
}

fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::new(true))
}

fn status() -> Status {
    Status {
        uptime_seconds: 1.0,
        waiting: 2,
        running: 3,
        released: 4,
        gave_up: 5,
        refused: 6,
        longest_wait_seconds: None,
        held_by: None,
        cpu: CpuStatus { used: None, reserved: 0.0, worker: 20.0, max: 80.0 },
        vram: Some(VramStatus { gpu: "card0".to_owned(), total: 8, free: 4, reserved: 2, worker: 1 }),
    }
}

/// `--version` and `--help`, divided by a zero byte, and a line of progress.
pub fn encoder_texts(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0).map(String::from_utf8_lossy);
    let (version, help) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(identity) = identify::parse(&version, &help) {
        assert!(identity.has("--crf") && identity.version.starts_with("SVT-AV1"));
        let _ = identity.check_size(64, 64);
    }
    if let Ok(aomenc) = Aomenc::parse(&help) {
        assert!(aomenc.has("--ivf"));
        for line in ["--tune=ssim --end-usage=q", "--sb-size=64"] {
            let options = Options::parse_line(line, Origin::User).expect("a list of options");
            options.iter().for_each(|option| drop(aomenc.misfit(option)));
        }
    }
    let mut splitter = LineSplitter::default();
    let mut take = |line: &str| assert!(!line.contains(['\n', '\r', '\u{1b}']));
    data.chunks(7).for_each(|piece| splitter.feed(piece, &mut take));
    splitter.finish(&mut take);
}

/// The journals of `boost` and of `encode`.
pub fn journal_lines(data: &[u8]) {
    lines_of::<Record>(data);
    lines_of::<Finished>(data);
}

fn lines_of<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let (records, whole) = journal::read::<T>(data).expect("memory can be read");
    assert!(whole <= data.len() as u64);
    let mut again = Vec::new();
    for record in &records {
        serde_json::to_writer(&mut again, record).expect("it was JSON");
        again.push(b'\n');
    }
    assert_eq!(journal::read::<T>(&again[..]).expect("memory can be read").0.len(), records.len());
}

/// A grain table, cut to a chunk.
pub fn grain_table(data: &[u8]) {
    if let Ok(grain) = Grain::table(String::from_utf8_lossy(data).into_owned()) {
        let _ = grain.segments(&(24..72), (24, 1));
    }
}
