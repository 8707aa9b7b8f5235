//! The stand-in for SvtAv1EncApp: takes frames at a fixed rate and writes a packet
//! that the real one made of the same picture for each of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use progression_boost::encoder::y4m;
use progression_boost::formats::ivf;
use progression_boost::source::Picture;

/// The name under which this program is the encoder.
const NAME: &str = "stand-in-encoder";
/// Beside it: milliseconds that a frame takes.
const PACE: &str = "pace";
/// CRFs of which there are packets.
const LEVELS: [u32; 9] = [8, 14, 20, 26, 32, 38, 44, 52, 63];

const HELP: &str = "  -i, --input\n  -b, --output\n      --progress\n      --crf\n      --preset\n      --lp\n\
                    \x20     --input-depth\n      --keyint\n      --tune\n      --color-primaries\n\
                    \x20     --transfer-characteristics\n      --matrix-coefficients\n      --color-range\n\
                    \x20     --chroma-sample-position\n      --film-grain\n      --width [64-16384]\n\
                    \x20     --height [64-8704]\n";

pub fn is_meant() -> bool {
    std::env::args_os().next().is_some_and(|name| Path::new(&name).file_stem().is_some_and(|n| n == NAME))
}

/// Lays the encoder and its packets into `folder`, for `pictures` of any sizes.
pub fn install(folder: &Path, ms: f64, pictures: &[Picture]) -> Result<PathBuf> {
    let program = folder.join(format!("{NAME}{}", std::env::consts::EXE_SUFFIX));
    std::fs::copy(std::env::current_exe()?, &program)?;
    std::fs::write(folder.join(PACE), ms.to_string())?;
    let blank = Picture::filled(64, 64, 10, 64, 512);
    for picture in pictures.iter().chain([&blank]) {
        for crf in LEVELS {
            let packet = packet(picture, crf).context("the real SvtAv1EncApp")?;
            std::fs::write(folder.join(name(picture.width, picture.height, crf)), packet)?;
        }
    }
    Ok(program)
}

fn name(width: usize, height: usize, crf: u32) -> String {
    format!("{width}x{height}.{crf}.packet")
}

/// A key frame of the picture.
fn packet(picture: &Picture, crf: u32) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("one.ivf");
    let mut child = Command::new("SvtAv1EncApp")
        .args([
            "-i",
            "stdin",
            "--preset",
            "10",
            "--lp",
            "1",
            "--input-depth",
            "10",
            "--crf",
            &crf.to_string(),
            "-b",
        ])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().context("a pipe was asked for")?;
    let format = y4m::Format { width: picture.width, height: picture.height, bits: 10, fps: (24, 1) };
    stdin.write_all(format.header().as_bytes())?;
    stdin.write_all(y4m::Frames::default().bytes_of(picture))?;
    drop(stdin);
    child.wait()?;
    Ok(ivf::Reader::open(&path)?.next_packet()?.context("it wrote no frame")?.data)
}

/// Behaves as SvtAv1EncApp.
pub fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--version") => {
            println!("SVT-AV1 v4.2.0 (release)");
            return Ok(());
        }
        Some("--help") => {
            print!("{HELP}");
            return Ok(());
        }
        _ => {}
    }
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let crf: f64 = value("--crf").context("no --crf")?.parse()?;
    let output = value("-b").context("no -b")?;
    let folder = std::env::current_exe()?.parent().context("no folder")?.to_owned();
    let pace =
        Duration::from_secs_f64(std::fs::read_to_string(folder.join(PACE))?.trim().parse::<f64>()? / 1e3);
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut header = String::new();
    input.read_line(&mut header)?;
    let field =
        |key: char| header.split(' ').find_map(|word| word.strip_prefix(key)?.trim().parse::<usize>().ok());
    let (width, height) = field('W').zip(field('H')).context("no y4m")?;
    let nearest =
        LEVELS.into_iter().min_by_key(|level| (f64::from(*level) - crf).abs() as u64).unwrap_or(LEVELS[0]);
    let packet = std::fs::read(folder.join(name(width, height, nearest)))?;
    // Where steps of a quarter are tried they have to differ: with what a decoder skips.
    let padding = vec![0x80; (crf * 4.0) as usize];
    let padding = [&[0x7a, u8::try_from(padding.len() % 128)?][..], &padding[..padding.len() % 128]].concat();
    let mut frame = vec![0; "FRAME\n".len() + (width * height * 3 / 2) * 2];
    let mut frames = Vec::new();
    while input.fill_buf().is_ok_and(|rest| !rest.is_empty()) {
        input.read_exact(&mut frame)?;
        ensure!(frame.starts_with(b"FRAME\n"), "no frame of y4m in 10 bits");
        // Trials are of this size; they are no matter of pace.
        if width > 64 {
            std::thread::sleep(pace);
        }
        let number = frames_so_far(&frames, &packet, &padding);
        ivf::write_packet(&mut frames, number, &[&packet[..], &padding].concat())?;
    }
    let count = frames_so_far(&frames, &packet, &padding);
    if count == 0 {
        bail!("Error: no frames");
    }
    let header =
        ivf::Header { width: width as u16, height: height as u16, time_base: (1, 24), frames: count as u32 };
    std::fs::write(output, [&header.to_bytes()[..], &frames].concat())?;
    Ok(())
}

fn frames_so_far(frames: &[u8], packet: &[u8], padding: &[u8]) -> u64 {
    (frames.len() / (12 + packet.len() + padding.len())) as u64
}
