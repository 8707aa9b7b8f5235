//! `report`: one page of two encodes, and the pages of the other commands.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::files::{Files, Kind};
use super::{Usage, say};
use crate::output::page::Page;
use crate::settings::SourceProvider;
use crate::source::OpenOptions;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::verify::{Look, Verification, comparison, differing, incomparable, pictures, worst};

use super::input::InputArgs;

#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Two encodes of one source in one page, from what `verify --json FILE` wrote of each
    #[command(after_long_help = super::help::REPORT)]
    Compare(CompareArgs),
}

#[derive(Debug, clap::Args)]
struct CompareArgs {
    /// The report of the first encode, as `verify --json` writes it
    a: PathBuf,

    /// The report of the second one
    b: PathBuf,

    /// The page to write
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,

    /// Replace an output that exists, even if this program did not write it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    script: InputArgs,
}

impl ReportArgs {
    pub fn files(&self) -> Files {
        let Action::Compare(args) = &self.action;
        let mut files = Files::new(args.force);
        files.reads("A", [&args.a]);
        files.reads("B", [&args.b]);
        files.writes("-o", [&args.output], Kind::Page);
        files
    }
}

pub fn run(args: &ReportArgs, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
    let Action::Compare(args) = &args.action;
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    if let Some(why) = incomparable(&a, &b) {
        bail!(Usage(format!("{} and {} cannot be compared: {why}", args.a.display(), args.b.display())));
    }
    let mut page = comparison(&a, &b);
    let names = [page.runs[0].name.clone(), page.runs[1].name.clone()];
    let sides = [(Look::Encode(&a.encoded), &*names[0]), (Look::Encode(&b.encoded), &*names[1])];
    let open = args.script.options(SourceProvider::Auto)?;
    look(&mut page, &differing(&a, &b), sides, &open, events, cancel)?;
    page.write(&args.output)?;
    events.emit(&Event::Result { path: args.output.display().to_string() });
    say(out, &format!("{}\nwrote {}", page.headline, args.output.display()))
}

fn read(path: &Path) -> Result<Verification> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of `verify --json FILE` of this version", path.display()))
}

/// Adds pictures to a page; a page without them is better than none.
fn look(
    page: &mut Page,
    wanted: &[crate::verify::Wanted],
    sides: [(Look<'_>, &str); 2],
    open: &OpenOptions,
    events: &Events,
    cancel: &Cancel,
) -> Result<()> {
    match pictures(sides, open, wanted, events, cancel) {
        Ok(made) => page.pictures = made,
        Err(error) if error.is::<Interrupted>() || cancel.is_cancelled() => return Err(error),
        Err(error) => events.warn(format!("the report has no pictures: {error:#}")),
    }
    Ok(())
}

/// Writes the page of an encode that is there, with its worst frames.
pub fn write(
    mut page: Page,
    path: &Path,
    [source, encoded]: [&Path; 2],
    open: &OpenOptions,
    events: &Events,
    cancel: &Cancel,
) -> Result<()> {
    let sides = [(Look::Source(source), "source"), (Look::Encode(encoded), "encode")];
    let wanted = worst(&page);
    look(&mut page, &wanted, sides, open, events, cancel)?;
    written(&page, path, events)
}

/// Writes a page as it is and tells of it.
pub fn written(page: &Page, path: &Path, events: &Events) -> Result<()> {
    page.write(path)?;
    events.emit(&Event::Result { path: path.display().to_string() });
    events.note(format!("wrote {}", path.display()));
    Ok(())
}
