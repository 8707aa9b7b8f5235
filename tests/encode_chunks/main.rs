//! `progression-boost encode` with the real encoders and muxers; ffmpeg and
//! ffprobe judge the results.

mod bad_input;
#[path = "../common/mod.rs"]
mod common;
mod failures;
mod kept;
mod newer;
mod tools;

use common::tool;
use tools::{Clip, decode, probe};

/// Small pictures need no slow settings.
const QUICK: &str = "--params=--cpu-used=6";

#[test]
fn a_qp_file_beside_the_script_becomes_a_whole_film_in_order() {
    let clip = Clip::new(250);
    clip.scenes_every(30);
    let text = clip.encode_well(&format!("{QUICK} --max-parallel-encodes 2 -v"));
    assert!(text.contains("clip.qp.txt"), "{text}");
    // Three scenes of 30 frames reach 64; the last two of 30 and 10 do not.
    assert_eq!(clip.chunks(), [(0, 90), (90, 180), (180, 250)]);
    clip.assert_every_frame();
    let (video, kinds, _) = probe(&clip.output());
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [("video".to_owned(), 1)]);
    for (key, value) in [
        ("codec_name", "av1"),
        ("nb_read_packets", "250"),
        ("pix_fmt", "yuv420p10le"),
        ("color_space", "bt709"),
        ("color_primaries", "bt709"),
        ("color_transfer", "bt709"),
        ("color_range", "tv"),
        ("r_frame_rate", "24000/1001"),
    ] {
        assert_eq!(video[key], value, "{key}");
    }
    // stock aomenc 3.6 has no such content type
    assert!(text.contains("--tune-content psy; left out"), "{text}");
}

/// Audio, subtitles, chapters and an attachment, made by ffmpeg.
fn source_with_everything(clip: &Clip) -> std::path::PathBuf {
    let (path, subtitles, chapters) = (clip.path("source.mkv"), clip.path("s.srt"), clip.path("c.txt"));
    std::fs::write(&subtitles, "1\n00:00:00,000 --> 00:00:01,000\nHello\n").unwrap();
    let chapter = |from: u32, to: u32| format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\n");
    std::fs::write(&chapters, format!(";FFMETADATA1\n{}{}", chapter(0, 1000), chapter(1000, 2000))).unwrap();
    std::fs::write(clip.path("font.ttf"), "not really").unwrap();
    let made = tool("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=24:duration=2"])
        .args(["-f", "lavfi", "-i", "sine=duration=2", "-i"])
        .arg(&subtitles)
        .arg("-i")
        .arg(&chapters)
        .args(["-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "2:s", "-map_chapters", "3"])
        .args(["-c:v", "mpeg4", "-c:a", "flac", "-c:s", "srt", "-attach"])
        .arg(clip.path("font.ttf"))
        .args(["-metadata:s:t", "mimetype=application/x-truetype-font"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

#[test]
fn both_muxers_copy_everything_but_the_source_s_video() {
    let clip = Clip::new(70);
    clip.scenes_every(35);
    let source = source_with_everything(&clip);
    for muxer in ["mkvmerge", "ffmpeg"] {
        let args = format!("{QUICK} --resume --muxer {muxer} --copy-from '{}'", source.display());
        let text = clip.encode_well(&args);
        assert!(text.contains("2 audio, 1 subtitle tracks, 2 chapters, 1 attachments"), "{muxer}: {text}");
        let (video, kinds, chapters) = probe(&clip.output());
        let wanted = [("attachment", 1), ("audio", 2), ("subtitle", 1), ("video", 1)];
        assert_eq!(kinds, wanted.map(|(kind, n)| (kind.to_owned(), n)).into(), "{muxer}");
        assert_eq!(chapters, 2, "{muxer}");
        assert_eq!(
            (video["codec_name"].as_str(), video["nb_read_packets"].as_str()),
            ("av1", "70"),
            "{muxer}"
        );
        assert_eq!(
            (video["color_space"].as_str(), video["color_range"].as_str()),
            ("bt709", "tv"),
            "{muxer}"
        );
        clip.assert_every_frame();
    }
    // The second muxer took the chunk of the first.
    assert_eq!(clip.journal(), [0]);
}

/// Names that mean something else to a muxer: a list of options, a file to
/// append, a protocol.
#[cfg(unix)]
#[test]
fn the_source_to_copy_from_may_have_any_name() {
    let clip = Clip::new(20);
    let source = source_with_everything(&clip);
    for name in ["@source.mkv", "+source.mkv", "a:b.mkv", "=source.mkv"] {
        std::fs::copy(&source, clip.path(name)).unwrap();
        for muxer in ["mkvmerge", "ffmpeg"] {
            let args = format!("{QUICK} --resume --muxer {muxer} --copy-from '{name}'");
            let text = clip.encode_well(&args);
            assert!(text.contains("2 audio, 1 subtitle tracks, 2 chapters, 1 attachments"), "{name}: {text}");
        }
    }
}

#[test]
fn a_scenes_file_gives_every_scene_its_own_parameters() {
    let clip = Clip::new(200);
    let scene = |start: usize, end: usize, crf: &str| {
        format!(
            r#"{{"start_frame": {start}, "end_frame": {end}, "zone_overrides": {{"encoder": "svt_av1",
            "passes": 1, "video_params": ["--crf", "{crf}", "--preset", "10", "--lp", "1"],
            "photon_noise": null, "chroma_noise": false, "min_scene_len": 12}}}}"#
        )
    };
    let scenes = [scene(0, 30, "20"), scene(30, 60, "20"), scene(60, 90, "40"), scene(90, 200, "20")];
    let path = clip.path("ep.json");
    std::fs::write(&path, format!(r#"{{"frames": 200, "scenes": [{}]}}"#, scenes.join(","))).unwrap();
    clip.encode_well(&format!("--scenes '{}' --min-chunk-length 64", path.display()));
    // Only the first two have the same parameters, the third stays short.
    assert_eq!(clip.chunks(), [(0, 60), (60, 90), (90, 200)]);
    clip.assert_every_frame_within(6.0);
    let text = clip.encode_well(&format!("--scenes '{}' --resume -v", path.display()));
    assert!(text.contains("3 of 3 chunks, 200 of 200 frames, are finished already"), "{text}");
    // Another CRF for one scene makes its chunk, and no other, anew.
    let changed = std::fs::read_to_string(&path).unwrap().replace("\"40\"", "\"41\"");
    std::fs::write(&path, changed).unwrap();
    let text = clip.encode_well(&format!("--scenes '{}' --resume -v", path.display()));
    assert!(text.contains("2 of 3 chunks, 170 of 200 frames"), "{text}");
    assert_eq!(clip.journal()[3..], [60]);
}

#[test]
fn photon_noise_and_grain_tables_become_visible_grain() {
    let clip = Clip::new(40);
    let path = clip.path("ep.json");
    let scenes = |noise: &str| {
        format!(
            r#"{{"scenes": [{{"start_frame": 0, "end_frame": 40, "zone_overrides": {{"encoder": "aom",
            "video_params": ["--end-usage=q", "--cq-level=20", "--cpu-used=6"], "photon_noise": {noise},
            "photon_noise_width": 1920, "photon_noise_height": 1080}}}}]}}"#
        )
    };
    // Flat frames stay flat unless the decoder lays grain over them.
    let roughness = || {
        let frame = decode(&clip.output()).swap_remove(20);
        let mean = tools::mean(&frame);
        (frame.iter().map(|&s| (f64::from(s) - mean).powi(2)).sum::<f64>() / frame.len() as f64).sqrt()
    };
    for (noise, rough) in [("null", false), ("64", true)] {
        std::fs::write(&path, scenes(noise)).unwrap();
        clip.encode_well(&format!("--scenes '{}'", path.display()));
        assert_eq!(roughness() > 0.5, rough, "photon noise {noise}: {}", roughness());
    }
    let table = clip.path("grain.tbl");
    let segment = "\tp 0 6 0 8 0 1 128 192 256 128 192 256\n\tsY 2  0 90 255 90\n\tsCb 0\n\tsCr 0\n\tcY\n\tcCb 0\n\tcCr 0\n";
    std::fs::write(&table, format!("filmgrn1\nE 0 9223372036854775807 1 7391 1\n{segment}")).unwrap();
    clip.encode_well(&format!("{QUICK} --graintable '{}' --noiselevel 10", table.display()));
    assert!(roughness() > 0.5, "{}", roughness());
}

/// Grain up to frame 20 of 23.976 a second, none after it.
#[test]
fn a_grain_table_among_the_parameters_is_cut_to_every_chunk() {
    let clip = Clip::new(40);
    clip.scenes_every(20);
    let table = clip.path("grain.tbl");
    let segment = "\tp 0 6 0 8 0 1 128 192 256 128 192 256\n\tsY 2  0 90 255 90\n\tsCb 0\n\tsCr 0\n\tcY\n\tcCb 0\n\tcCr 0\n";
    std::fs::write(&table, format!("filmgrn1\nE 0 8341666 1 7391 1\n{segment}")).unwrap();
    clip.encode_well(&format!(
        "--params '--cpu-used=6 --film-grain-table={}' --min-chunk-length 1",
        table.display()
    ));
    let frames = decode(&clip.output());
    let rough = |n: usize| {
        let mean = tools::mean(&frames[n]);
        frames[n].iter().map(|&s| (f64::from(s) - mean).powi(2)).sum::<f64>() / frames[n].len() as f64
    };
    assert!(rough(5) > 0.25 && rough(25) < 0.25, "{} and {}", rough(5), rough(25));
}

#[test]
fn hdr10_and_full_range_survive_either_muxer_s_way() {
    let hdr = "_Matrix=9, _Primaries=9, _Transfer=16, _Range=0, _ChromaLocation=2, \
               MasteringDisplayPrimariesX=[0.68, 0.265, 0.15], MasteringDisplayPrimariesY=[0.32, 0.69, 0.06], \
               MasteringDisplayWhitePointX=0.3127, MasteringDisplayWhitePointY=0.329, \
               MasteringDisplayMinLuminance=0.005, MasteringDisplayMaxLuminance=1000.0, \
               ContentLightLevelMax=800, ContentLightLevelAverage=200";
    let clip = Clip::with_properties(12, hdr);
    clip.encode_well(&format!("{QUICK} --muxer mkvmerge"));
    let (video, ..) = probe(&clip.output());
    for (key, value) in [
        ("color_space", "bt2020nc"),
        ("color_primaries", "bt2020"),
        ("color_transfer", "smpte2084"),
        ("color_range", "tv"),
        ("chroma_location", "topleft"),
    ] {
        assert_eq!(video[key], value, "{key}");
    }
    let side: serde_json::Value = serde_json::from_str(&video["side_data_list"]).unwrap();
    let find = |kind: &str| side.as_array().unwrap().iter().find(|s| s["side_data_type"] == kind).unwrap();
    let light = find("Content light level metadata");
    assert_eq!((light["max_content"].as_u64(), light["max_average"].as_u64()), (Some(800), Some(200)));
    let number = |value: &serde_json::Value| -> f64 {
        let (n, d) = value.as_str().unwrap().split_once('/').unwrap();
        n.parse::<f64>().unwrap() / d.parse::<f64>().unwrap()
    };
    let display = find("Mastering display metadata");
    for (key, value) in [
        ("red_x", 0.68),
        ("green_y", 0.69),
        ("blue_x", 0.15),
        ("max_luminance", 1000.0),
        ("min_luminance", 0.005),
    ] {
        assert!((number(&display[key]) - value).abs() < 1e-3 * value.max(1.0), "{key}: {}", display[key]);
    }
    // In the stream itself, for muxers that write nothing of it: as dav1d reads it.
    for (encoder, params) in [("aom", "--cpu-used=6"), ("svt-av1", "--preset 10")] {
        clip.encode_well(&format!("--encoder {encoder} --params '{params}' --muxer ffmpeg"));
        let frame = first_frame(&clip.output());
        let find = |kind: &str| {
            let all = frame["side_data_list"].as_array().unwrap_or_else(|| panic!("{encoder}: {frame}"));
            let mut of_kind = all.iter().filter(|s| s["side_data_type"] == kind);
            let found = of_kind.next().unwrap_or_else(|| panic!("{encoder}: no {kind} in {frame}"));
            assert!(of_kind.next().is_none(), "{encoder}: {kind} twice");
            found.clone()
        };
        let light = find("Content light level metadata");
        assert_eq!((light["max_content"].as_u64(), light["max_average"].as_u64()), (Some(800), Some(200)));
        let display = find("Mastering display metadata");
        let wanted = [("red_x", 0.68), ("red_y", 0.32), ("green_x", 0.265), ("green_y", 0.69)];
        let more = [("blue_x", 0.15), ("blue_y", 0.06), ("white_point_x", 0.3127), ("white_point_y", 0.329)];
        let luminance = [("max_luminance", 1000.0), ("min_luminance", 0.005)];
        for (key, value) in [&wanted[..], &more, &luminance].concat() {
            let is = number(&display[key]);
            assert!((is - value).abs() < 1e-4 * value.max(1.0), "{encoder} {key}: {}", display[key]);
        }
    }
    let clip = Clip::with_properties(12, "_Matrix=1, _Primaries=1, _Transfer=1, _Range=1");
    for (encoder, params) in [("aom", "--cpu-used=6"), ("svt-av1", "--preset 10")] {
        clip.encode_well(&format!("--encoder {encoder} --params '{params}' --muxer ffmpeg"));
        assert_eq!(probe(&clip.output()).0["color_range"], "pc", "{encoder}");
    }
}

/// What ffprobe tells of the first frame after it has decoded it.
fn first_frame(video: &std::path::Path) -> serde_json::Value {
    let result = tool("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_frames", "-read_intervals", "%+#1"])
        .args(["-of", "json"])
        .arg(video)
        .output()
        .unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    let json: serde_json::Value = serde_json::from_slice(&result.stdout).unwrap();
    json["frames"][0].clone()
}

/// 64x64 samples of 16:15, as those of PAL, and of 8:9, as those of NTSC.
#[test]
fn samples_that_are_not_square_stay_so() {
    for (width, height) in [(16, 15), (8, 9)] {
        let clip = Clip::with_properties(12, &format!("_SARNum={width}, _SARDen={height}"));
        for muxer in ["mkvmerge", "ffmpeg"] {
            clip.encode_well(&format!("{QUICK} --resume --muxer {muxer}"));
            let (video, ..) = probe(&clip.output());
            let (w, h) = video["display_aspect_ratio"].split_once(':').unwrap();
            let shown = w.parse::<f64>().unwrap() / h.parse::<f64>().unwrap();
            // Matroska tells the size it is shown with in whole pixels.
            let wanted = f64::from(width) / f64::from(height);
            assert!((shown - wanted).abs() < 1.0 / 64.0, "{muxer}: {shown} instead of {wanted}");
        }
    }
}

#[test]
fn ffmpeg_finds_the_cuts_of_a_script_at_full_and_half_size() {
    let clip = Clip::new(320);
    // The ramp jumps from 199 back to 40 at frame 160, the only cut there is.
    for size in ["", "--downscale-scd"] {
        clip.encode_well(&format!("{QUICK} --scene-method ffmpeg {size}"));
        assert_eq!(clip.chunks(), [(0, 160), (160, 320)], "{size}");
    }
    clip.assert_every_frame();
}

#[test]
fn the_longest_chunk_is_encoded_first_by_either_encoder() {
    let clip = Clip::new(160);
    std::fs::write(clip.path("clip.qp.txt"), "0 I\n20 I\n50 I\n130 I\n").unwrap();
    for (encoder, params, tolerance) in [("aom", "--cpu-used=6", 2.0), ("svt-av1", "--preset 10", 6.0)] {
        let args =
            format!("--encoder {encoder} --params '{params}' --min-chunk-length 1 --max-parallel-encodes 1");
        clip.encode_well(&args);
        assert_eq!(clip.journal(), [50, 20, 130, 0], "{encoder}");
        clip.assert_every_frame_within(tolerance);
    }
}
