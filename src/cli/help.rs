//! Examples and exit codes at the end of each command's help.

/// Appends what holds for all commands.
macro_rules! with_exit_codes {
    ($examples:literal) => {
        concat!("Examples:\n", $examples, "\nExit codes: 0 done, 1 failure, 2 wrong usage, 130 interrupted.")
    };
}

/// At the end of the short help.
pub const SHORT: &str = "\
`--help` tells all options; `COMMAND -h` those of a command; `doctor` what this machine lacks.
Exit codes: 0 done, 1 failure, 2 wrong usage, 130 interrupted.";

pub const BOOST: &str = with_exit_codes!(
    "  progression-boost --preset butteraugli-mean ep01.vpy
  progression-boost --preset ssimu2-mean --target 78 --final-preset 4 ep01.vpy -o ep01.scenes.json
  progression-boost --preset ssimu2-mean --resume --report ep01.html ep01.vpy
  av1an -i ep01.vpy -o ep01.mkv --scenes ep01.scenes.json --encoder svt-av1
"
);

pub const PLAN: &str =
    with_exit_codes!("  progression-boost plan ep01.vpy --preset ssimu2-mean -o ep01.plan --shards 8\n");

pub const RUN: &str = with_exit_codes!("  progression-boost run ep01.plan --shard 1/8\n");

pub const MERGE: &str = with_exit_codes!("  progression-boost merge ep01.plan\n");

pub const SCENES: &str = with_exit_codes!(
    "  progression-boost scenes ep01.vpy -o ep01.scenes.json
  progression-boost scenes ep01.vpy -o ep01.scenes.json --method av1an --plot ep01.svg
"
);

pub const ENCODE: &str = with_exit_codes!(
    "  progression-boost encode ep01.vpy -o ep01.mkv --boost butteraugli-mean --copy-from source.mkv
  progression-boost encode ep01.vpy -o ep01.mkv --scenes ep01.scenes.json
  progression-boost encode ep01.vpy -o ep01.mkv --boost ssimu2-mean --resume --report ep01.html
"
);

pub const VERIFY: &str = with_exit_codes!(
    "  progression-boost verify ep01.vpy ep01.mkv --scenes ep01.scenes.json --report ep01.html
  progression-boost verify ep01.vpy ep01.mkv --scenes ep01.scenes.json --every 4 --max-error 2
"
);

pub const RETARGET: &str = with_exit_codes!(
    "  progression-boost retarget ep01.scenes.json --target 78
  progression-boost retarget ep01.scenes.json --size 350MiB --allocation slope
"
);

pub const PRESETS: &str = with_exit_codes!(
    "  progression-boost presets list
  progression-boost presets show butteraugli-mean
  progression-boost presets export ssimu2-mean -o mine.toml
"
);

pub const DISPATCH: &str = with_exit_codes!(
    "  progression-boost dispatch serve --worker-cpu 20 --worker-vram 3GiB
  progression-boost dispatch snippet
  progression-boost dispatch status
  progression-boost dispatch shutdown
"
);

pub const MODELS: &str = with_exit_codes!("  progression-boost models\n");

pub const ROI: &str = with_exit_codes!(
    "  progression-boost roi check --size 1920x1080 ep01.roi/roi-map-00000.txt
  progression-boost roi show --input ep01.vpy ep01.roi/roi-map-00000.txt -o map.png
"
);

pub const DOCTOR: &str = "\
Examples:
  progression-boost doctor
  progression-boost doctor --preset character-boost-butteraugli-mean
  progression-boost doctor --json

Exit codes: 0 all that is needed works, 1 something does not, 2 wrong usage, 130 interrupted.";

pub const REPORT: &str = with_exit_codes!(
    "  progression-boost verify ep01.vpy a.mkv --scenes a.scenes.json --json a.json
  progression-boost verify ep01.vpy b.mkv --scenes b.scenes.json --json b.json
  progression-boost report compare a.json b.json -o compared.html
"
);

pub const STATUS: &str = with_exit_codes!(
    "  progression-boost status --temp ep01.boost
  progression-boost status --temp ep01.chunks --json
"
);

pub const SVT_SHIM: &str = with_exit_codes!(
    "  progression-boost svt-shim shim
  PATH=\"$PWD/shim:$PATH\" av1an -i ep01.vpy -o ep01.mkv --scenes ep01.scenes.json --encoder svt-av1
"
);

pub const COMPLETIONS: &str = with_exit_codes!(
    "  progression-boost completions bash > ~/.local/share/bash-completion/completions/progression-boost
  progression-boost completions zsh > ~/.zfunc/_progression-boost
  progression-boost completions fish > ~/.config/fish/completions/progression-boost.fish
  progression-boost completions powershell >> $PROFILE
"
);

pub const MAN: &str = with_exit_codes!("  progression-boost man ~/.local/share/man/man1\n");
