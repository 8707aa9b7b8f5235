//! What the documentation tells people to type is understood by the program, its
//! links lead somewhere, and messages that it quotes are ones that the program has.

use std::path::{Path, PathBuf};

use progression_boost::cli;

/// All Markdown files of this clone, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> =
        vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("CHANGELOG.md")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// Lines of fenced blocks that a shell would read, continued lines joined.
fn shell_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fence: Option<String> = None;
    let mut joined = String::new();
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(kind.trim().to_owned()) };
            continue;
        }
        let Some(kind) = &fence else { continue };
        let typed = match kind.as_str() {
            "sh" | "bash" | "powershell" => Some(line),
            // What is typed stands after a prompt, the rest is an answer.
            "console" => line.strip_prefix("$ "),
            _ => None,
        };
        let Some(typed) = typed else { continue };
        joined.push_str(typed.trim_end_matches('\\'));
        if !typed.ends_with('\\') {
            lines.push(std::mem::take(&mut joined));
        }
    }
    lines
}

/// Code between single backquotes outside of fenced blocks.
fn inline_code(text: &str) -> Vec<String> {
    let mut inside = false;
    let prose: Vec<&str> = text
        .lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !fence && !inside
        })
        .collect();
    prose.join("\n").split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect()
}

/// The program's own commands in a line: what stands between separators of the shell.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" # ").next().unwrap();
    let words = shell_words::split(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    // A semicolon stands at the end of a word.
    let words: Vec<String> = words
        .iter()
        .flat_map(|word| match word.strip_suffix(';') {
            Some(word) => vec![word.to_owned(), ";".to_owned()],
            None => vec![word.clone()],
        })
        .collect();
    let mut found = Vec::new();
    for part in words.split(|word| matches!(word.as_str(), "&" | "&&" | "|" | ";")) {
        // What follows is a file, whatever it is called.
        let redirected = part.iter().position(|word| matches!(word.as_str(), ">" | ">>" | "2>"));
        let part = &part[..redirected.unwrap_or(part.len())];
        let start = part.iter().position(|word| word.ends_with("progression-boost"));
        // An assignment of the environment may stand before it, nothing else.
        let Some(start) = start.filter(|start| part[..*start].iter().all(|word| word.contains('='))) else {
            continue;
        };
        found.push(part[start..].to_vec());
    }
    found
}

#[test]
fn every_command_of_the_documentation_is_understood() {
    let mut checked = 0;
    for (path, text) in documents() {
        for line in shell_lines(&text) {
            for words in commands(&line) {
                if let Err(error) = cli::check(&words) {
                    panic!("{}: {line}\n{error}", path.display());
                }
                checked += 1;
            }
        }
        // In prose a command is often named without what it needs; what stands there must be right.
        let inline = inline_code(&text);
        for line in inline.iter().filter(|code| code.starts_with("progression-boost ") && !code.contains('|'))
        {
            for words in commands(line) {
                let error = cli::check(&words).err().unwrap_or_default();
                let incomplete = error.contains("required arguments were not provided");
                assert!(error.is_empty() || incomplete, "{}: {line}\n{error}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "only {checked} commands found");
}

/// Lines of usage have brackets.
fn is_example(line: &str) -> bool {
    line.starts_with("progression-boost ") && !line.contains(['[', '<'])
}

#[test]
fn every_example_of_the_help_is_understood_and_stands_in_every_commands_help() {
    for (name, help) in cli::helps() {
        let examples: Vec<&str> = help.lines().map(str::trim).filter(|line| is_example(line)).collect();
        assert!(!examples.is_empty(), "{name} has no example");
        assert!(help.contains("Exit codes: 0 "), "{name} does not tell its exit codes");
        for words in examples.iter().flat_map(|line| commands(line)) {
            if let Err(error) = cli::check(&words) {
                panic!("{name}: {words:?}\n{error}");
            }
        }
    }
}

/// GitHub's name of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    heading.to_lowercase().chars().filter(|&c| kept(c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> Vec<String> {
    let mut inside = false;
    let headings = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !fence && !inside && line.starts_with('#')
    });
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    assert_eq!(anchor("Scenes without boosting"), "scenes-without-boosting");
    assert_eq!(anchor("`encode --boost`: one run"), "encode---boost-one-run");
    let mut checked = 0;
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if let Some(heading) = heading {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(
                    there.iter().any(|anchor| anchor == heading),
                    "{}: {link}: no heading of {there:?}",
                    path.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} links found");
}

/// All of the program's source as one text, string literals joined over their line breaks.
fn source() -> String {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let mut lines = text.lines();
                while let Some(line) = lines.next() {
                    let mut line = line.to_owned();
                    while line.ends_with('\\') {
                        line.pop();
                        line.push_str(lines.next().unwrap_or_default().trim_start());
                    }
                    all.push_str(&line);
                    all.push('\n');
                }
            }
        }
    }
    all
}

#[test]
fn messages_that_are_explained_are_those_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let source = source();
    let messages: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`')).collect();
    assert!(messages.len() >= 15, "{messages:?}");
    for message in messages {
        // What differs from run to run is written as …
        for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            assert!(source.contains(part), "no message has {part:?}");
        }
    }
}
