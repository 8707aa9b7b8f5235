//! What is written never destroys what is read, nor what somebody else wrote.

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::Ended;

const SCRIPT: &str = "import vapoursynth as vs\n\
    media = \"media.mkv\"\n\
    vs.core.std.BlankClip(width=64, height=64, length=40, format=vs.YUV420P8).set_output()\n";

/// A folder with a script and other files that are read.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.path("clip.vpy"), SCRIPT).unwrap();
        std::fs::write(folder.path("media.mkv"), "hours of work").unwrap();
        std::fs::write(folder.path("coded.mkv"), "a night of work").unwrap();
        std::fs::write(folder.path("zones.txt"), "0 20 opening").unwrap();
        std::fs::write(folder.path("mine.toml"), "extends = \"ssimu2-mean\"").unwrap();
        std::fs::write(folder.path("cuts.json"), "{\"frames\": 40, \"scenes\": [], \"split_scenes\": []}")
            .unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = common::program(self.0.path());
        command.args(line.split(' '));
        command
    }

    fn run(&self, line: &str) -> Ended {
        Ended::of(&self.command(line).output().unwrap())
    }

    /// `line` is refused for what it `says`, and nothing in the folder changes.
    #[track_caller]
    fn refuses(&self, line: &str, says: &[&str]) {
        let before = self.contents();
        self.run(line).failed(2, says);
        assert_eq!(self.contents(), before, "{line}");
    }

    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut files: Vec<_> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

#[test]
fn no_command_writes_over_what_it_reads() {
    let folder = Folder::new();
    let script = "clip.vpy, which would be lost";
    for (line, says) in [
        ("scenes clip.vpy -o clip.vpy --force", script),
        ("scenes clip.vpy -o ../{}/clip.vpy --force", script),
        ("scenes clip.vpy --zones-out clip.vpy --force", script),
        ("scenes clip.vpy --stats-out media.mkv --force", "a file of the input"),
        ("scenes clip.vpy --plot zones.txt --zones zones.txt --force", "this is --zones"),
        ("scenes clip.vpy -o cuts.json --input-scenes cuts.json --force", "this is --input-scenes"),
        ("scenes clip.vpy -o out.json --events clip.vpy", script),
        ("clip.vpy -o clip.vpy --force", script),
        ("clip.vpy -o mine.toml --preset mine.toml --force", "this is --preset"),
        ("clip.vpy --events clip.vpy", script),
        ("clip.vpy -o by-variable.mkv --vpy-arg media=media.mkv --events media.mkv", "a file of the input"),
        ("verify clip.vpy coded.mkv --scenes cuts.json --html coded.mkv --force", "this is the encode"),
        ("verify clip.vpy media.mkv --scenes cuts.json --json cuts.json --force", "this is --scenes"),
        ("encode clip.vpy -o media.mkv --force --copy-from media.mkv", "would be lost"),
        ("encode media.mkv -o media.mkv --force", "this is the input"),
        ("roi show zones.txt --input clip.vpy -o zones.txt --force", "this is the map"),
        ("presets export ./mine.toml --force", "this is the preset"),
    ] {
        let here = folder.0.path().file_name().unwrap().to_str().unwrap();
        folder.refuses(&line.replace("{}", here), &[says, "choose another name"]);
    }
}

#[cfg(unix)]
#[test]
fn another_name_of_an_input_is_still_the_input() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("clip.vpy", folder.path("soft")).unwrap();
    std::fs::hard_link(folder.path("clip.vpy"), folder.path("hard")).unwrap();
    for name in ["soft", "hard"] {
        folder.refuses(&format!("scenes clip.vpy -o {name} --force"), &["clip.vpy, which would be lost"]);
    }
}

#[test]
fn two_outputs_cannot_be_one_file() {
    let folder = Folder::new();
    folder.refuses("scenes clip.vpy -o out --plot ./out", &["--plot ./out", "-o writes there, too"]);
    folder.refuses("scenes clip.vpy -o out --events out", &["--events out", "-o writes there, too"]);
}

#[test]
fn files_of_others_are_replaced_only_when_asked_and_own_ones_always() {
    let folder = Folder::new();
    let all = "scenes clip.vpy -o s --zones-out z --stats-out t --plot p --events e";
    folder.run(all).ok();
    // What these options wrote they may write again.
    folder.run(all).ok();
    for (option, name) in [("-o", "s"), ("--zones-out", "z"), ("--stats-out", "t"), ("--plot", "p")] {
        let line = format!("scenes clip.vpy {option} media.mkv");
        std::fs::write(folder.path("clip.vpy"), SCRIPT.replace("media.mkv", "none")).unwrap();
        folder.refuses(&line, &["exists and was not written by this option", "--force replaces it"]);
        folder.run(&format!("{line} --force")).ok();
        let expected = std::fs::read(folder.path(name)).unwrap();
        assert_eq!(std::fs::read(folder.path("media.mkv")).unwrap(), expected);
        std::fs::write(folder.path("media.mkv"), "hours of work").unwrap();
        // The output of another option is no output of this one.
        let other = if name == "p" { "s" } else { "p" };
        folder.refuses(&format!("scenes clip.vpy {option} {other}"), &["was not written by this option"]);
    }
    folder.refuses("scenes clip.vpy -o s --events media.mkv", &["--events media.mkv", "choose another name"]);
    // A list of zones looks like what --zones-out writes, but for its names.
    folder.refuses("scenes clip.vpy --zones-out zones.txt", &["was not written by this option"]);
    // An empty file loses nothing.
    std::fs::write(folder.path("empty"), "").unwrap();
    folder.run("scenes clip.vpy -o empty").ok();
}

#[cfg(unix)]
#[test]
fn the_umask_decides_who_may_read_results_and_links_are_followed() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    std::fs::create_dir(folder.path("results")).unwrap();
    std::os::unix::fs::symlink("results/real.json", folder.path("link.json")).unwrap();
    for (umask, mode) in [("077", 0o600), ("002", 0o664)] {
        let program = folder.command("scenes clip.vpy -o link.json");
        let mut shell = common::tool("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
        shell.arg(program.get_program()).args(program.get_args()).current_dir(folder.0.path());
        Ended::of(&shell.output().unwrap()).ok();
        assert!(folder.path("link.json").is_symlink());
        let real = folder.path("results/real.json");
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, mode, "umask {umask}");
        std::fs::remove_file(real).unwrap();
    }
}
