//! No test starts an outside program that no script installs.

mod common;

use std::path::{Path, PathBuf};

/// All Rust files below `folder` of this clone.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// What is quoted directly after each `start` in `text`.
fn quoted_after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
}

/// The ways in which a program can be named that is to be started or looked for.
/// Written in two halves, so that this file does not contain them.
fn ways() -> [String; 3] {
    [["Command::", "new("], ["which::", "which("], ["Path::", "new("]].map(|halves| halves.concat())
}

#[test]
fn tests_name_programs_only_through_the_list() {
    let listed = common::programs::listed();
    assert!(listed.contains(&"aomenc") && !listed.contains(&"nasm"), "{listed:?}");
    for file in sources("tests").into_iter().filter(|file| !file.ends_with(file!())) {
        let text = std::fs::read_to_string(&file).unwrap();
        let [command, which, path] = ways();
        let named = quoted_after(&text, &command).chain(quoted_after(&text, &which));
        let named = named.chain(quoted_after(&text, &path).filter(|name| listed.contains(name)));
        // Asked for only to be sure that it is absent.
        let named: Vec<_> = named.filter(|&name| name != "trtexec").collect();
        assert!(named.is_empty(), "{}: {named:?} without common::tool or require", file.display());
        for program in quoted_after(&text, "tool(").chain(quoted_after(&text, "require(")) {
            assert!(listed.contains(&program), "{}: `{program}` is not in the list", file.display());
        }
    }
}

#[test]
fn unit_tests_start_nothing_else_either() {
    let listed = common::programs::listed();
    for file in sources("src") {
        let text = std::fs::read_to_string(&file).unwrap();
        let all_tests = file.to_str().is_some_and(|name| name.ends_with("tests.rs"));
        let start = if all_tests { Some(0) } else { text.find("#[cfg(test)]") };
        let text = &text[start.unwrap_or(text.len())..];
        let [command, which, _] = ways();
        for program in quoted_after(text, &command).chain(quoted_after(text, &which)) {
            let known = listed.contains(&program) || program.starts_with('/');
            assert!(known, "{}: `{program}` is not in scripts/programs.txt", file.display());
        }
    }
}

#[test]
#[should_panic(expected = "`nasm` is not in scripts/programs.txt")]
fn a_program_that_is_not_listed_is_refused_though_it_may_be_there() {
    common::require("nasm");
}
