//! How what is missing is had on the system at hand, for messages. `doctor` tells
//! more; these are for errors that come in the middle of something else.

/// The system, as `std::env::consts::OS` names it.
const THIS: &str = std::env::consts::OS;

/// How a program is had: on Windows, on macOS, and elsewhere.
const PROGRAMS: [(&str, [&str; 3]); 3] = [
    (
        "SvtAv1EncApp",
        [
            "put SvtAv1EncApp.exe of SVT-AV1 or of a fork into a folder of the PATH",
            "install it with `brew install svt-av1`",
            "install SvtAv1EncApp (Debian, Ubuntu: `apt install svt-av1`)",
        ],
    ),
    (
        "aomenc",
        [
            "put aomenc.exe of a build of libaom into a folder of the PATH",
            "install it with `brew install aom`",
            "install aomenc (Debian, Ubuntu: `apt install aom-tools`)",
        ],
    ),
    (
        "x264",
        [
            "put x264.exe (videolan.org/developers/x264.html) into a folder of the PATH",
            "install it with `brew install x264`",
            "install it (Debian, Ubuntu: `apt install x264`)",
        ],
    ),
];

const VAPOURSYNTH: [&str; 3] = [
    "install VapourSynth R74 or later into a Python 3.12+ (`winget install Python.Python.3.13`, \
     `python -m pip install vapoursynth vapoursynth-bestsource`, `python -m vapoursynth config`, \
     `python -m vapoursynth register-install`); VSSCRIPT_PATH may name VSScript.dll directly",
    "install VapourSynth R74 or later into a Python 3.12+ environment (`brew install python`, \
     `python3 -m venv .venv`, `.venv/bin/pip install vapoursynth vapoursynth-bestsource`, \
     `.venv/bin/vapoursynth config`); VSSCRIPT_PATH may name the library file directly",
    "install VapourSynth R74 or later into a Python 3.12+ environment (`pip install vapoursynth`, then \
     `vapoursynth config`), or run scripts/setup.sh; VSSCRIPT_PATH may name the library file directly",
];

/// What to do when there is no `name`, as the beginning of a clause.
pub fn program(name: &str) -> &'static str {
    program_on(THIS, name)
}

/// What to do when VapourSynth is missing or does not start.
pub fn vapoursynth() -> &'static str {
    VAPOURSYNTH[column(THIS)]
}

fn program_on(os: &str, name: &str) -> &'static str {
    PROGRAMS.iter().find(|(program, _)| *program == name).map_or("install it", |(_, ways)| ways[column(os)])
}

fn column(os: &str) -> usize {
    match os {
        "windows" => 0,
        "macos" => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_told_its_own_commands() {
        for (os, own, foreign) in [
            ("windows", ["exe", "winget"], ["apt", "brew", "setup.sh", ".venv/bin"].as_slice()),
            ("macos", ["brew", "brew"], &["apt", "winget", "setup.sh", ".exe", ".dll"]),
            ("linux", ["apt", "setup.sh"], &["brew", "winget", ".exe", ".dll"]),
            ("freebsd", ["install", "setup.sh"], &["brew", "winget"]),
        ] {
            let programs = PROGRAMS.map(|(name, _)| program_on(os, name));
            let vapoursynth = VAPOURSYNTH[column(os)];
            assert!(programs.iter().all(|text| text.contains(own[0])), "{os}: {programs:?}");
            assert!(vapoursynth.contains(own[1]), "{os}: {vapoursynth}");
            for text in programs.iter().chain([&vapoursynth]) {
                assert!(foreign.iter().all(|word| !text.contains(word)), "{os}: {text}");
            }
        }
    }
}
