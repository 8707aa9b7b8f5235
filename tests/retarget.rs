//! `retarget`, run as users run it, on a drawn clip that is boosted first.

mod common;

use std::path::PathBuf;

use common::{Ended, Svt};
use serde_json::Value;

/// A folder with a script and what was made of it.
struct Title {
    folder: tempfile::TempDir,
}

/// Target of the boost.
const TARGET: &str = "78";

impl Title {
    /// Boosted with its target; scenes are short, so that there are several.
    fn boosted(words: &[&str]) -> (Self, Ended) {
        let encoder = common::svt(Svt::V1_4);
        let title = Self { folder: tempfile::tempdir().unwrap() };
        let text = format!("{}clip.set_output()\n", common::three_shots([40, 30, 36]));
        std::fs::write(title.path("clip.vpy"), text).unwrap();
        let boost = ["clip.vpy", "--preset", "ssimu2-mean", "--probing-preset", "12", "--final-preset", "10"];
        let short = ["--lp", "1", "--target", TARGET, "--set", "scenes.target_split=20"];
        // What scenes can reach depends on the encoder's version.
        let program = ["--encoder-path", encoder.to_str().unwrap()];
        let ended = title.run(&[&boost[..], &short, &program, words].concat()).ok();
        (title, ended)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&common::program(self.folder.path()).args(words).output().unwrap())
    }

    /// To `new.json`, and without VapourSynth and any program.
    fn retarget(&self, words: &[&str]) -> Ended {
        let mut command = common::program(self.folder.path());
        command.args(["retarget", "clip.scenes.json", "-o", "new.json"]).args(words);
        command.env("VSSCRIPT_PATH", "/no/such/libvsscript.so").env("PATH", "");
        Ended::of(&command.output().unwrap())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    fn crfs(&self, name: &str) -> Vec<f64> {
        let crf = |scene: &Value| {
            let words = scene["zone_overrides"]["video_params"].as_array().unwrap();
            let at = words.iter().position(|word| word == "--crf").unwrap();
            words[at + 1].as_str().unwrap().parse().unwrap()
        };
        self.json(name)["scenes"].as_array().unwrap().iter().map(crf).collect()
    }

    /// Bytes of the video that `encode` makes of the scenes.
    fn encoded(&self, scenes: &str) -> f64 {
        common::require("mkvmerge");
        let encoder = common::svt(Svt::V1_4);
        let words = ["encode", "clip.vpy", "-o", "film.mkv", "--scenes", scenes, "--min-chunk-length", "1"];
        self.run(&[&words[..], &["--encoder-path", encoder.to_str().unwrap()]].concat()).ok();
        let answer = common::ffprobe(&self.path("film.mkv"), "packet=size");
        let packets = answer["packets"].as_array().unwrap().iter();
        packets.map(|packet| packet["size"].as_str().unwrap().parse::<f64>().unwrap()).sum()
    }
}

/// The predicted size in a line, and its band, in bytes.
fn sizes(line: &str) -> [f64; 3] {
    let words: Vec<&str> = line.split([' ', '(', ')', ',']).filter(|word| !word.is_empty()).collect();
    let unit = |word: &str| match word {
        "B" => Some(1.0),
        "KiB" => Some(1024.0),
        "MiB" => Some(1_048_576.0),
        _ => None,
    };
    let found: Vec<f64> =
        words.windows(2).filter_map(|pair| Some(pair[0].parse::<f64>().ok()? * unit(pair[1])?)).collect();
    found[..3].try_into().unwrap_or_else(|_| panic!("{line}"))
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.trim_start().starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in\n{text}"))
}

#[test]
fn the_target_of_the_boost_gives_the_scenes_of_the_boost_and_its_size_is_within_the_band() {
    let (title, boost) = Title::boosted(&[]);
    let ended = title.retarget(&[]).ok();
    assert_eq!(title.bytes("new.json"), title.bytes("clip.scenes.json"));
    assert!(
        ended.stdout.contains("<- written") && ended.stdout.contains("wrote new.json"),
        "{}",
        ended.stdout
    );
    // The same prediction as that of the boost.
    let [size, low, high] = sizes(line(&boost.stdout, "predicted size:"));
    for (told, wanted) in sizes(line(&ended.stdout, "even")).into_iter().zip([size, low, high]) {
        assert!((told - wanted).abs() < 1e-9, "{told} {wanted}");
    }
    let encoded = title.encoded("new.json");
    assert!((low..=high).contains(&encoded), "{encoded} is not in {low} to {high}");

    // By its work folder, it writes the scenes file of the boost.
    std::fs::remove_file(title.path("clip.scenes.json")).unwrap();
    title.run(&["retarget", "--temp", "clip.boost"]).ok();
    assert_eq!(title.bytes("new.json"), title.bytes("clip.scenes.json"));
}

#[test]
fn a_lower_target_or_size_never_gives_a_finer_scene() {
    let (title, _) = Title::boosted(&[]);
    let own = title.crfs("clip.scenes.json");
    title.retarget(&["--target", "70"]).ok();
    let lower = title.crfs("new.json");
    assert!(own.iter().zip(&lower).all(|(own, lower)| lower >= own) && lower != own, "{own:?} {lower:?}");
    // Verifying knows the target that was asked for.
    let record = title.json("new.settings.json");
    assert_eq!(record["settings"]["base"]["metric"]["target"], 70.0);
    // Worse frames count more: no scene may be coarser than before.
    title.retarget(&["--set", "metric.tail_weight=0.9"]).ok();
    assert!(own.iter().zip(&title.crfs("new.json")).all(|(own, new)| new <= own));

    let ended = title.retarget(&["--target", "70"]).ok();
    let size = sizes(line(&ended.stdout, "even"))[0];
    let wanted = format!("{}B", size.round());
    for allocation in ["even", "slope"] {
        let ended = title.retarget(&["--size", &wanted, "--allocation", allocation]).ok();
        let [found, ..] = sizes(line(&ended.stdout, allocation));
        // Sizes are shown to a tenth of their unit.
        assert!(found <= size * 1.01, "{found} {size}\n{}", ended.stdout);
        assert!(line(&ended.stdout, allocation).ends_with("<- written"), "{}", ended.stdout);
    }
    let targets = title.json("new.settings.json")["targets"].as_array().unwrap().clone();
    assert_eq!(targets.len(), own.len());
    let slow = title.retarget(&["--size", "12B"]);
    slow.failed(1, &["--size 12 B: must be", "metric.max_crf"]);
    title.retarget(&["--size", "2GiB"]).failed(1, &["must be", "metric.min_crf"]);
}

#[test]
fn what_cannot_be_reached_is_told_with_what_can() {
    let (title, _) = Title::boosted(&["--set", "metric.min_crf=30"]);
    let ended = title.retarget(&["--target", "99"]).ok();
    assert!(title.crfs("new.json").iter().all(|crf| (crf - 30.0).abs() < 1e-9));
    for says in ["the target is out of reach for", "metric.min_crf", "(scenes 0, "] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    let ended = title.retarget(&["--allocation", "slope", "--floor", "99"]).ok();
    assert!(ended.stderr.contains("the floor is out of reach for"), "{}", ended.stderr);
    title.retarget(&["--floor", "60"]).failed(2, &["--allocation slope"]);
    title
        .retarget(&["--set", "encoder.final_preset=3"])
        .failed(1, &["--set encoder.final_preset", "--resume"]);
    title.retarget(&["--set", "metric.taget=3"]).failed(1, &["--set metric.taget"]);
    title.retarget(&["--pooling", "worst"]).failed(1, &["need picked frames", "--resume"]);
    title.retarget(&["--target", "1"]).failed(2, &["metric.target 1"]);
    title.run(&["retarget"]).failed(2, &["SCENES"]);
    title.run(&["retarget", "--temp", "nowhere"]).failed(1, &["nowhere holds no finished boost"]);
    std::fs::write(title.path("clip.scenes.json"), "{}").unwrap();
    title.retarget(&[]).failed(1, &["another scenes file", "--temp DIR"]);
}
