//! What only newer SVT-AV1 has.

use super::common::{Svt, svt, tool};
use super::tools::Clip;

/// 128x128, 2 seconds of ffmpeg's moving test picture, so that bits matter.
fn detailed_clip() -> Clip {
    let clip = Clip::new(48);
    let video = clip.path("video.mkv");
    let made = tool("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=128x128:rate=24:duration=2"])
        .args(["-c:v", "mpeg4", "-q:v", "2"])
        .arg(&video)
        .status()
        .unwrap();
    assert!(made.success());
    let script = format!(
        "import vapoursynth as vs\nvs.core.bs.VideoSource({:?}, cachepath={:?}).set_output()\n",
        video.display().to_string(),
        clip.path("index").display().to_string()
    );
    std::fs::write(clip.script(), script).unwrap();
    clip
}

fn scene(start: usize, end: usize, more: &[&str], noise: &str) -> String {
    let words = ["--crf", "30", "--preset", "8", "--lp", "1"].iter().chain(more);
    let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    format!(
        r#"{{"start_frame": {start}, "end_frame": {end}, "zone_overrides": {{"encoder": "svt_av1", "passes": 1,
        "video_params": [{}], "photon_noise": {noise}, "chroma_noise": false}}}}"#,
        words.join(", ")
    )
}

#[test]
fn roi_maps_and_photon_noise_of_a_scenes_file_reach_the_encoder() {
    let clip = detailed_clip();
    let (path, map) = (clip.path("ep.json"), clip.path("roi-map-01.txt"));
    // Everything 20 CRF worse from the scene's first frame on; one block stays at 0.
    std::fs::write(&map, "0 80 80 80 0\n").unwrap();
    let encode = |scenes: &[String]| {
        std::fs::write(&path, format!(r#"{{"frames": 48, "scenes": [{}]}}"#, scenes.join(","))).unwrap();
        let program = svt(Svt::V4_2);
        clip.encode_well(&format!("--scenes '{}' --encoder-path '{}'", path.display(), program.display()));
        clip.sizes()
    };
    let plain = encode(&[scene(0, 24, &[], "null"), scene(24, 48, &[], "null")]);
    // Equal parameters and both short: one chunk.
    assert_eq!(plain.len(), 1);
    let roi = ["--roi-map-file", map.to_str().unwrap()];
    let both = encode(&[scene(0, 24, &roi, "null"), scene(24, 48, &roi, "null")]);
    // A map counts frames from its scene, so such scenes stay alone.
    assert_eq!(both.keys().copied().collect::<Vec<_>>(), [0, 24]);
    let total: u64 = both.values().sum();
    assert!(total * 10 < plain[&0] * 9, "{total} bytes with the map, {} without", plain[&0]);
    // Photon noise goes through --fgs-table, which 1.4 lacks.
    encode(&[scene(0, 48, &[], "20")]);
    std::fs::write(&path, format!(r#"{{"frames": 48, "scenes": [{}]}}"#, scene(0, 48, &[], "20"))).unwrap();
    let old = svt(Svt::V1_4);
    let args = format!("--scenes '{}' --encoder-path '{}'", path.display(), old.display());
    let error = clip.encode_badly(&args, 1);
    assert!(error.contains("has no --fgs-table"), "{error}");
}
