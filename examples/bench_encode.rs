//! The chunk encoder side by side with the same chunks piped bare, and with av1an.
//!
//! `cargo run --release --example bench_encode -- INPUT [FRAMES] [PRESET] [ROUNDS]`
//!
//! One clip, one scene list, one parameter list for SvtAv1EncApp, as many
//! workers everywhere:
//!
//! - `bare`: for every scene `vspipe --start --end | SvtAv1EncApp`, workers side by side;
//! - `encode`: `progression-boost encode --scenes`;
//! - `av1an`: av1an with `--scenes`, when AV1AN names it or it is on the PATH.
//!
//! Prints wall and CPU seconds (children included) of each in every round, and
//! the ratios of the best rounds: other work on the host only ever adds time. For
//! Linux, whose /proc tells the CPU times. Decoding is part of all three.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

const SCENE: usize = 60;
const WORKERS: usize = 2;

#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let input = std::path::absolute(arguments.next().context("name a video file")?)?;
    let frames: usize = arguments.next().map_or(Ok(480), |n| n.parse())?;
    let preset = arguments.next().unwrap_or_else(|| "6".to_owned());
    let rounds: usize = arguments.next().map_or(Ok(3), |n| n.parse())?;
    ensure!(rounds > 0, "0 rounds measure nothing");
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path(), &input, frames, &preset)?;
    println!("{frames} frames in scenes of {SCENE}, preset {preset}, {WORKERS} workers, {} CPUs", cpus());
    // The source's index is made once, before anything is measured.
    bench.encode()?;
    let av1an = av1an_program();
    let (mut bare, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(measured("bare", || bench.bare())?);
        ours.push(measured("encode", || bench.encode())?);
        if let Some(program) = &av1an {
            theirs.push(measured("av1an", || bench.av1an(program))?);
        }
    }
    compare("bare", &ours, &bare);
    match av1an {
        Some(_) => compare("av1an", &ours, &theirs),
        None => println!("av1an was not found: AV1AN=/path/to/av1an"),
    }
    Ok(())
}

fn compare(name: &str, ours: &[Cost], theirs: &[Cost]) {
    let best = |costs: &[Cost], of: fn(&Cost) -> f64| costs.iter().map(of).fold(f64::INFINITY, f64::min);
    let ratio = |of: fn(&Cost) -> f64| best(ours, of) / best(theirs, of);
    println!("encode / {name}: CPU {:.3}, wall {:.3}", ratio(|c| c.cpu), ratio(|c| c.wall));
}

struct Bench {
    folder: PathBuf,
    script: PathBuf,
    scenes: PathBuf,
    frames: usize,
    params: Vec<String>,
}

impl Bench {
    fn new(folder: &Path, input: &Path, frames: usize, preset: &str) -> Result<Self> {
        let script = folder.join("clip.vpy");
        let text = format!(
            "import vapoursynth as vs\nclip = vs.core.bs.VideoSource({:?}, cachepath={:?})[:{frames}]\n\
             clip.resize.Bicubic(format=vs.YUV420P10).set_output()\n",
            input.display().to_string(),
            folder.join("index").display().to_string(),
        );
        std::fs::write(&script, text)?;
        let words = format!("--crf 30 --preset {preset} --lp 1 --keyint -1 --input-depth 10");
        let params: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let bench =
            Self { folder: folder.to_path_buf(), script, scenes: folder.join("scenes.json"), frames, params };
        std::fs::write(&bench.scenes, bench.scenes_json()?)?;
        Ok(bench)
    }

    fn ranges(&self) -> Vec<(usize, usize)> {
        (0..self.frames).step_by(SCENE).map(|start| (start, (start + SCENE).min(self.frames))).collect()
    }

    fn scenes_json(&self) -> Result<String> {
        let scene = |(start, end): (usize, usize)| {
            serde_json::json!({"start_frame": start, "end_frame": end, "zone_overrides": {
                "encoder": "svt_av1", "passes": 1, "video_params": self.params,
                "photon_noise": null, "photon_noise_height": null, "photon_noise_width": null,
                "chroma_noise": false, "extra_splits_len": 600, "min_scene_len": 12}})
        };
        let scenes: Vec<_> = self.ranges().into_iter().map(scene).collect();
        let file = serde_json::json!({"frames": self.frames, "scenes": scenes, "split_scenes": scenes});
        Ok(serde_json::to_string(&file)?)
    }

    /// The chunks without us: a shell, vspipe and the encoder.
    fn bare(&self) -> Result<()> {
        let quoted = |path: &Path| shell_words::quote(&path.display().to_string()).into_owned();
        let jobs: Vec<String> = self
            .ranges()
            .into_iter()
            .map(|(start, end)| {
                let output = self.folder.join(format!("bare-{start}.ivf"));
                format!(
                    "vspipe -c y4m -s {start} -e {} {} - 2>/dev/null | \
                     SvtAv1EncApp -i stdin -b {} --progress 0 {} 2>/dev/null",
                    end - 1,
                    quoted(&self.script),
                    quoted(&output),
                    self.params.join(" ")
                )
            })
            .collect();
        let list = self.folder.join("jobs");
        std::fs::write(&list, jobs.join("\n") + "\n")?;
        let script = format!("xargs -P {WORKERS} -d '\\n' -n 1 sh -c < {}", quoted(&list));
        run(Command::new("sh").args(["-c", &script]))
    }

    fn encode(&self) -> Result<()> {
        let program = std::env::current_exe()?;
        let folder =
            program.parent().and_then(Path::parent).context("the example lies in no target folder")?;
        let program = folder.join("progression-boost");
        ensure!(program.is_file(), "build the program first: cargo build --release");
        let workers = WORKERS.to_string();
        run(Command::new(program)
            .arg("encode")
            .arg(&self.script)
            .arg("-o")
            .arg(self.folder.join("ours.mkv"))
            .arg("--scenes")
            .arg(&self.scenes)
            .args(["--force", "--min-chunk-length", "1", "--max-parallel-encodes", &workers, "--quiet"]))
    }

    fn av1an(&self, program: &Path) -> Result<()> {
        let temp = self.folder.join("av1an-temp");
        let workers = WORKERS.to_string();
        run(Command::new(program)
            .current_dir(&self.folder)
            .arg("-i")
            .arg(&self.script)
            .arg("-o")
            .arg(self.folder.join("theirs.mkv"))
            .arg("--scenes")
            .arg(&self.scenes)
            .arg("--temp")
            .arg(&temp)
            .args(["-y", "--quiet", "--workers", &workers, "--encoder", "svt-av1", "--concat", "mkvmerge"])
            .args(["--pix-format", "yuv420p10le", "--video-params", &self.params.join(" ")]))
    }
}

fn av1an_program() -> Option<PathBuf> {
    std::env::var_os("AV1AN").map(PathBuf::from).or_else(|| which::which("av1an").ok())
}

fn run(command: &mut Command) -> Result<()> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Runs `work` and prints what it took.
fn measured(name: &str, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (begun, cpu) = (Instant::now(), children_cpu()?);
    work()?;
    let cost = Cost { wall: begun.elapsed().as_secs_f64(), cpu: children_cpu()? - cpu };
    println!("{name:>8}: wall {:6.2} s, CPU {:6.2} s", cost.wall, cost.cpu);
    Ok(cost)
}

/// CPU seconds of all children that were waited for, theirs included: fields 16
/// and 17 of /proc/self/stat.
fn children_cpu() -> Result<f64> {
    /// `USER_HZ`, which is 100 on every Linux that has /proc.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").context("CPU times are read from /proc (Linux)")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat is not as expected")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |n: usize| -> Result<f64> { Ok(fields.get(n).context("too few fields")?.parse()?) };
    Ok((ticks(13)? + ticks(14)?) / TICKS)
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
