//! What to do about an item, in commands for this system.

use std::path::Path;

use super::system::{Packages, System};
use super::{Check, State};

/// The package of an item with apt, dnf, pacman, brew and winget; empty where
/// there is none.
const PACKAGES: [(&str, [&str; 5]); 6] = [
    ("encoder.svt-av1", ["svt-av1", "svt-av1", "svt-av1", "svt-av1", ""]),
    ("encoder.aom", ["aom-tools", "aom", "aom", "aom", ""]),
    ("encoder.x264", ["x264", "x264", "x264", "x264", ""]),
    ("mkvmerge", ["mkvtoolnix", "mkvtoolnix", "mkvtoolnix-cli", "mkvtoolnix", "MoritzBunkus.MKVToolNix"]),
    ("ffmpeg", ["ffmpeg", "ffmpeg-free", "ffmpeg", "ffmpeg", "Gyan.FFmpeg"]),
    ("av1an", ["", "", "av1an", "", "rust-av.Av1an"]),
];

/// Wheels, into the Python that VapourSynth runs in.
const WHEELS: [(&str, &str); 9] = [
    ("source", "vapoursynth-bestsource"),
    ("plugin.bs", "vapoursynth-bestsource"),
    ("plugin.lsmas", "vapoursynth-lsmas"),
    ("plugin.ffms2", "vapoursynth-ffms2"),
    ("plugin.scxvid", "vapoursynth-scxvid"),
    ("plugin.vszip", "vapoursynth-vszip"),
    ("plugin.ort", "vapoursynth-mlrt-ort"),
    ("plugin.ov", "vapoursynth-mlrt-ov"),
    ("plugin.ncnn", "vapoursynth-mlrt-ncnn"),
];

/// What else there is to do; items that have a package or wheel only where that is missing.
const OTHERWISE: [(&str, &str); 11] = [
    (
        "encoder.svt-av1",
        "put SvtAv1EncApp (mainline, PSYEX, HDR, Essential …) on the PATH, or name it with --encoder-path",
    ),
    ("encoder.aom", "put aomenc on the PATH, or choose --encoder svt-av1"),
    ("av1an", "cargo install av1an, or encode with `progression-boost encode`"),
    (
        "plugin.wwxd",
        "nothing: WWXD is an API 3 plugin, which VapourSynth R80 and newer do not load; use `--method builtin`",
    ),
    (
        "model",
        "put isnet_is.onnx (anime-segmentation, among vs-mlrt's external models, github.com/AmusementClub/vs-mlrt/releases) into one of the folders above, or name it with --model",
    ),
    (
        "plugin.vship",
        "put Vship's library (github.com/Line-fr/Vship/releases; AUR: vapoursynth-plugin-vship) into VapourSynth's plugin folder, or name it with --load-plugin",
    ),
    (
        "write.here",
        "change into a folder that you may write to, or name results and work folder with -o and --temp",
    ),
    (
        "encoder.x264",
        "get it from your distribution or videolan.org, for 10 bits; presets that name it do without",
    ),
    ("mkvmerge", "get MKVToolNix from mkvtoolnix.download, or let `--muxer ffmpeg` make the file"),
    ("ffmpeg", "get it from ffmpeg.org/download.html; with mkvmerge nothing needs it"),
    ("gpu", "nothing needs one; for Vship and TensorRT install the GPU's own driver"),
];

/// The lines for `check`; none where there is nothing to do. `python` is that of VapourSynth.
pub fn fix(check: &Check, system: &System, python: Option<&Path>) -> Vec<String> {
    if !check.state.is_trouble() {
        return Vec::new();
    }
    let lines = with_sudo(check, system, python).into_iter();
    lines.map(|line| if system.sudo { line } else { line.replacen("$ sudo ", "$ ", 1) }).collect()
}

fn with_sudo(check: &Check, system: &System, python: Option<&Path>) -> Vec<String> {
    match check.item.as_str() {
        "vapoursynth" | "python" => vapoursynth(check.state, system.packages),
        // TensorRT and CUDA come in packages of their own where the base plugin is not enough.
        "plugin.trt" => trt(system.packages, python),
        "plugin.ort-cuda" => {
            vec![pip(python, "vapoursynth-mlrt-ort vapoursynth-mlrt-ort-cuda", system.packages)]
        }
        "plugin.vship" if system.packages == Packages::Winget => {
            vec![
                "$ vsrepo install vship_nvidia".to_owned(),
                "on an AMD GPU: vsrepo install vship_amd".to_owned(),
            ]
        }
        item => {
            let package = PACKAGES
                .iter()
                .find(|(name, _)| *name == item)
                .and_then(|(_, names)| install(system.packages, names));
            let wheel = WHEELS.iter().find(|(name, _)| *name == item);
            let command = package.or_else(|| wheel.map(|(_, wheel)| pip(python, wheel, system.packages)));
            let words =
                OTHERWISE.iter().find(|(name, _)| *name == item).map(|(_, words)| (*words).to_owned());
            match command {
                Some(command) => vec![command],
                None => words.into_iter().collect(),
            }
        }
    }
}

fn install(packages: Packages, names: &[&str; 5]) -> Option<String> {
    let (command, name) = match packages {
        Packages::Apt => ("sudo apt install", names[0]),
        Packages::Dnf => ("sudo dnf install", names[1]),
        Packages::Pacman => ("sudo pacman -S", names[2]),
        Packages::Brew => ("brew install", names[3]),
        Packages::Winget => ("winget install", names[4]),
        Packages::Unknown => return None,
    };
    (!name.is_empty()).then(|| format!("$ {command} {name}"))
}

fn pip(python: Option<&Path>, wheels: &str, packages: Packages) -> String {
    let quoted = match python {
        Some(python) if packages == Packages::Winget => format!("\"{}\"", python.display()),
        Some(python) => shell_words::quote(&python.to_string_lossy()).into_owned(),
        None if packages == Packages::Winget => "python".to_owned(),
        None => ".venv/bin/python".to_owned(),
    };
    format!("$ {quoted} -m pip install {wheels}")
}

/// An environment of its own beside the script: it needs no rights, and no
/// distribution refuses pip there.
fn vapoursynth(state: State, packages: Packages) -> Vec<String> {
    if packages == Packages::Winget {
        let first = "$ winget install Python.Python.3.13".to_owned();
        let commands = [
            "$ python -m pip install vapoursynth vapoursynth-bestsource",
            "$ python -m vapoursynth config",
            "$ python -m vapoursynth register-install",
        ];
        let mut lines: Vec<String> = commands.iter().map(|&line| line.to_owned()).collect();
        if state == State::Missing {
            lines.insert(0, first);
        }
        return lines;
    }
    let python = match packages {
        // Of no version, what brings libpython3.13 or the like, which VSScript loads.
        Packages::Apt => Some("$ sudo apt install python3-venv libpython3-dev"),
        Packages::Dnf => Some("$ sudo dnf install python3"),
        Packages::Pacman => Some("$ sudo pacman -S python"),
        Packages::Brew => Some("$ brew install python"),
        Packages::Winget | Packages::Unknown => None,
    };
    let commands = [
        "$ python3 -m venv .venv",
        "$ .venv/bin/pip install vapoursynth vapoursynth-bestsource",
        "$ .venv/bin/vapoursynth config",
    ];
    let mut lines: Vec<String> = python.into_iter().chain(commands).map(str::to_owned).collect();
    lines.push(
        "in the folder of your script: a .venv there or above is found by itself, any other through VSSCRIPT_PATH"
            .to_owned(),
    );
    lines.push(
        "Python must be 3.12 or newer; `uv venv --python 3.13 .venv` brings one where the system's is older"
            .to_owned(),
    );
    lines
}

fn trt(packages: Packages, python: Option<&Path>) -> Vec<String> {
    vec![
        pip(python, "vapoursynth-mlrt-trt", packages),
        "trtexec comes with TensorRT; name it with --trtexec where it is not on the PATH".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::items::ITEMS;
    use super::*;

    fn on(packages: Packages) -> System {
        System { name: String::new(), packages, sudo: true, cpus: 1, memory: 0 }
    }

    const ALL: [Packages; 6] =
        [Packages::Apt, Packages::Dnf, Packages::Pacman, Packages::Brew, Packages::Winget, Packages::Unknown];

    #[test]
    fn every_missing_item_has_something_to_do_on_every_system() {
        for row in ITEMS.iter().filter(|row| !matches!(row.item, "disk" | "memory" | "write.cache")) {
            for packages in ALL {
                let check = Check::of(row.item, State::Missing, "");
                assert!(!fix(&check, &on(packages), None).is_empty(), "{} {packages:?}", row.item);
            }
        }
    }

    #[test]
    fn commands_are_those_of_the_system_and_of_vapoursynths_own_python() {
        let svt = Check::of("encoder.svt-av1", State::Missing, "");
        assert_eq!(fix(&svt, &on(Packages::Apt), None), ["$ sudo apt install svt-av1"]);
        assert_eq!(fix(&svt, &on(Packages::Pacman), None), ["$ sudo pacman -S svt-av1"]);
        let root = System { sudo: false, ..on(Packages::Apt) };
        assert_eq!(fix(&svt, &root, None), ["$ apt install svt-av1"]);
        let scxvid = Check::of("plugin.scxvid", State::Missing, "");
        assert_eq!(
            fix(&scxvid, &on(Packages::Apt), Some(Path::new("/my films/.venv/bin/python"))),
            ["$ '/my films/.venv/bin/python' -m pip install vapoursynth-scxvid"]
        );
        let vship = Check::of("plugin.vship", State::Missing, "");
        assert_eq!(fix(&vship, &on(Packages::Winget), None)[0], "$ vsrepo install vship_nvidia");
        let vapoursynth = Check::of("vapoursynth", State::Missing, "");
        let lines = fix(&vapoursynth, &on(Packages::Winget), None).join("\n");
        assert!(lines.contains("register-install") && lines.contains("winget install Python"), "{lines}");
        assert!(fix(&Check::of("vapoursynth", State::Works, ""), &on(Packages::Apt), None).is_empty());
    }
}
