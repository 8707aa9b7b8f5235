//! Files by ffmpeg, and one written down element by element from RFC 9559.

use std::io::Cursor;
use std::process::Command;

use super::*;

/// 50 frames of video at 25 fps and two seconds of sound, by ffmpeg.
fn film(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("film.mkv");
    let made = Command::new(which::which("ffmpeg").expect("ffmpeg is needed: apt install ffmpeg"))
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=2"])
        .args(["-f", "lavfi", "-i", "sine=duration=2", "-c:v", "mpeg4", "-c:a", "flac"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

#[test]
fn tracks_frames_and_times_are_those_that_ffmpeg_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path());
    let contents = read(&path).unwrap();
    assert_eq!((contents.count(Kind::Video), contents.count(Kind::Audio)), (1, 1));
    let video = contents.tracks.iter().find(|track| track.kind == Kind::Video).unwrap();
    assert_eq!((video.blocks, video.codec.as_str()), (50, "V_MPEG4/ISO/ASP"));
    assert!(video.first.abs() < 1e-9 && (video.last - 1.96).abs() < 1e-9, "{video:?}");
    assert!(video.head.len() > 100);
    let packets: Vec<Vec<u8>> = Packets::open(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(packets[0], video.head);
    let sizes: Vec<u64> = packets.iter().map(|packet| packet.len() as u64).collect();
    assert_eq!(frame_sizes(&path).unwrap(), sizes);
}

#[test]
fn damaged_files_are_errors_or_shorter_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for cut in (1..bytes.len() - 1).step_by(997) {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let frames = read(&path).map_or(0, |c| c.tracks.iter().map(|t| t.blocks).max().unwrap_or(0));
        assert!(frames < 50, "cut at {cut}");
    }
    std::fs::write(&path, b"RIFFxxxxAVI ").unwrap();
    assert!(format!("{:#}", read(&path).unwrap_err()).contains("EBML header"));
}

/// An element with its size in four bytes.
fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let size = (0x1000_0000 | body.len() as u32).to_be_bytes();
    [&id[..], &size, body].concat()
}

fn block(id: u32, track: &[u8], time: i16, flags: u8, data: &[u8]) -> Vec<u8> {
    element(id, &[track, &time.to_be_bytes(), &[flags], data].concat())
}

/// Sound in track 7 and AV1 in track 200, with time stamps of 2 ms.
fn made(video: &[u8], flags: u8) -> Vec<u8> {
    let sound =
        [element(TRACK_NUMBER, &[7]), element(TRACK_TYPE, &[2]), element(CODEC_ID, b"A_X\0")].concat();
    let tracks = [element(TRACK_ENTRY, &sound), element(TRACK_ENTRY, video)].concat();
    let blocks = [
        element(TIMESTAMP, &1000u16.to_be_bytes()),
        block(SIMPLE_BLOCK, &[0x87], 0, 0, b"aa"),
        block(SIMPLE_BLOCK, &[0x40, 200], 5, flags, b"first"),
        element(BLOCK_GROUP, &block(BLOCK, &[0x40, 200], -3, 0, b"second!")),
    ]
    .concat();
    let atoms = [element(CHAPTER_ATOM, b"x"), element(CHAPTER_ATOM, b"")].concat();
    [
        element(EBML, b""),
        // A segment that does not tell its size.
        SEGMENT.to_be_bytes().to_vec(),
        vec![0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        element(INFO, &element(TIMESTAMP_SCALE, &2_000_000u32.to_be_bytes())),
        element(TRACKS, &tracks),
        element(CLUSTER, &blocks),
        element(CHAPTERS, &element(EDITION, &atoms)),
        element(ATTACHMENTS, &element(ATTACHED_FILE, b"file")),
    ]
    .concat()
}

fn video() -> Vec<u8> {
    let parts =
        [(TRACK_NUMBER, &[200][..]), (TRACK_TYPE, &[1]), (CODEC_ID, b"V_AV1"), (CODEC_PRIVATE, &[1, 2, 3])];
    parts.into_iter().flat_map(|(id, value)| element(id, value)).collect()
}

fn packets(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    Packets::of(Cursor::new(bytes), Path::new("made.mkv"))?.collect()
}

#[test]
fn every_element_means_what_the_standard_says() {
    let bytes = made(&video(), 0);
    let found = contents(Cursor::new(&bytes)).unwrap();
    let sound = Track {
        number: 7,
        kind: Kind::Audio,
        codec: "A_X".to_owned(),
        blocks: 1,
        first: 2.0,
        last: 2.0,
        ..Track::default()
    };
    let pictures = Track {
        number: 200,
        kind: Kind::Video,
        codec: "V_AV1".to_owned(),
        blocks: 2,
        first: 1005.0 * 0.002,
        last: 1005.0 * 0.002,
        head: b"first".to_vec(),
        private: vec![1, 2, 3],
        encoded: false,
    };
    assert!((found.tracks[1].first - pictures.first).abs() < 1e-9);
    let exact = |track: &Track| Track { first: 0.0, last: 0.0, ..track.clone() };
    assert_eq!(found.tracks.iter().map(exact).collect::<Vec<_>>(), [exact(&sound), exact(&pictures)]);
    assert!((found.tracks[0].last - 2.0).abs() < 1e-9 && (found.tracks[1].last - 2.01).abs() < 1e-9);
    assert_eq!((found.chapters, found.attachments, found.first_video()), (2, 1, Some(1)));
    assert_eq!([Kind::Video, Kind::Audio, Kind::Subtitles].map(|kind| found.count(kind)), [1, 1, 0]);
    assert_eq!(packets(&bytes).unwrap(), [&b"first"[..], b"second!"]);
    // The second is shown 8 time stamps before the first.
    assert_eq!(Walk::of(Cursor::new(&bytes)).unwrap().frame_sizes().unwrap(), [7, 5]);
}

#[test]
fn frames_that_share_a_block_or_are_encoded_are_told() {
    for lacing in [0x02, 0x04, 0x06] {
        let error = format!("{:#}", packets(&made(&video(), lacing)).unwrap_err());
        assert!(error.contains("made.mkv") && error.contains("several frames"), "{error}");
    }
    let encoded = [video(), element(CONTENT_ENCODINGS, b"")].concat();
    assert!(contents(Cursor::new(made(&encoded, 0))).unwrap().tracks[1].encoded);
}

#[test]
fn what_is_no_matroska_is_told_why() {
    let start = [element(EBML, b""), element(SEGMENT, b"")].concat();
    let after = |more: &[u8]| [&start[..], more].concat();
    let tracks = |count: usize| element(TRACK_ENTRY, &element(TRACK_NUMBER, &[1])).repeat(count);
    for (bytes, why) in [
        (element(SEGMENT, b""), "EBML header"),
        (after(&element(TRACK_NUMBER, &[1])), "in no track"),
        (after(&block(SIMPLE_BLOCK, &[0x81], 0, 0, b"x")), "belongs to no track"),
        (
            after(&[&tracks(1)[..], &element(SIMPLE_BLOCK, &[0x81, 0, 0]), &start].concat()),
            "shorter than its header",
        ),
        (after(&element(TIMESTAMP, &[0; 9])), "a number of 9 bytes"),
        (after(&[0xa3, 0xff]), "has no size"),
        (after(&[0xa3, 0x82, 0]), "cut off at byte"),
        (after(&tracks(MAX_TRACKS + 1)), "more than 1000 tracks"),
    ] {
        let error = format!("{:#}", contents(Cursor::new(bytes)).unwrap_err());
        assert!(error.contains(why), "{why}: {error}");
    }
    assert_eq!(contents(Cursor::new(after(&tracks(MAX_TRACKS)))).unwrap().tracks.len(), MAX_TRACKS);
}
