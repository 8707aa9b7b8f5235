//! `presets`: lists, prints and copies presets.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};

use super::files::{Files, Kind};
use crate::settings::library::{GROUPS, Library, ROOT, user_folder};
use crate::settings::{Origin, Request, guide, resolve};

#[derive(Debug, Args)]
#[command(after_long_help = super::help::PRESETS)]
pub struct PresetsArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Names and descriptions of all presets, your own included (the default)
    List,
    /// Print a preset with all it inherits; the comments explain every key
    Show {
        /// Name or path of the preset
        #[arg(default_value = ROOT)]
        name: String,
    },
    /// Write what `show` prints to a file, to change it
    Export {
        /// Name or path of the preset
        name: String,
        /// File to write [default: NAME.toml here]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace the file if it exists
        #[arg(long)]
        force: bool,
    },
}

impl PresetsArgs {
    pub(super) fn files(&self) -> Files {
        let mut files = Files::default();
        if let Some(Action::Export { name, output, .. }) = &self.action {
            files.reads("the preset", [&PathBuf::from(name)]);
            files.writes("-o", &target(name, output.as_ref()), Kind::Guarded);
        }
        files
    }
}

/// Where a preset is exported to.
fn target(name: &str, output: Option<&PathBuf>) -> Option<PathBuf> {
    output.cloned().or_else(|| Some(PathBuf::from(PathBuf::from(name).file_stem()?).with_extension("toml")))
}

/// Runs the command; what it prints goes to `out`.
pub fn run(args: &PresetsArgs, out: &mut dyn Write) -> Result<()> {
    match args.action.as_ref().unwrap_or(&Action::List) {
        Action::List => list(out),
        Action::Show { name } => Ok(out.write_all(guide::show(name, None)?.as_bytes())?),
        Action::Export { name, output, force } => export(name, output.as_ref(), *force, out),
    }
}

fn list(out: &mut dyn Write) -> Result<()> {
    let presets = Library::new(user_folder()).list();
    let width = presets.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut groups = GROUPS.iter();
    let mut left = 0;
    for (name, origin) in presets {
        if left == 0 {
            // Behind the last group are the user's own.
            let (title, count) =
                groups.next().map_or(("Your own", usize::MAX), |&(title, count)| (title, count));
            writeln!(out, "{title}:")?;
            left = count;
        }
        left -= 1;
        let request = Request { preset: Some(name.clone()), ..Request::default() };
        // One broken preset of the user's must not hide the others.
        let about = match resolve(&request) {
            Ok(resolved) => resolved.description,
            Err(e) => format!("not valid: {e:#}"),
        };
        writeln!(out, "  {name:width$}  {about}")?;
        if let Origin::File(path) = origin {
            writeln!(out, "  {:width$}  {}", "", path.display())?;
        }
    }
    Ok(())
}

fn export(name: &str, output: Option<&PathBuf>, force: bool, out: &mut dyn Write) -> Result<()> {
    let text = guide::show(name, None)?;
    let Some(path) = target(name, output) else {
        return Err(anyhow!("{name:?} has no file name: give one with --output FILE"));
    };
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(&path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} exists: --force replaces it", path.display()),
        _ => anyhow!("cannot write {}: {e}", path.display()),
    })?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(out, "{}", path.display())?;
    Ok(())
}
