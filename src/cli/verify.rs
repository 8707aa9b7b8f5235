//! `verify`: how close a finished encode comes to its target.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::files::{Files, Kind};
use super::input::{InputArgs, ZoneArgs};
use super::machine::DeviceArgs;
use super::{STDOUT, Usage, report, say};
use crate::encode::{self, SceneSource};
use crate::output::sidecar::Sidecar;
use crate::score;
use crate::settings::{self, Resolved, Typed};
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::verify::{self, Verification};

/// Measures a finished encode with the preset's metric, scene by scene.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::VERIFY)]
pub struct VerifyArgs {
    /// The VapourSynth script (.vpy) or video file that was boosted
    source: PathBuf,

    /// The finished encode
    encoded: PathBuf,

    /// The av1an scenes.json that it was encoded with; scenes found anew would be other scenes
    #[arg(long, value_name = "FILE")]
    scenes: PathBuf,

    /// Judge by this preset [default: as the scenes file was made]
    #[arg(short, long, value_name = "NAME|FILE")]
    preset: Option<String>,

    /// Override one key, such as metric.target=82; repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,

    /// Score that was wanted for every scene (metric.target)
    #[arg(long, value_name = "SCORE")]
    target: Option<String>,

    #[command(flatten)]
    zones: ZoneArgs,

    #[command(flatten)]
    devices: DeviceArgs,

    /// Measure every K-th frame of a scene only, from its first one
    #[arg(long, value_name = "K", default_value_t = 1)]
    every: usize,

    /// Write the report with every frame's score as JSON, `-` for standard output instead of the text
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the report with plots and pictures as one HTML page
    #[arg(long, visible_alias = "html", value_name = "FILE.html")]
    report: Option<PathBuf>,

    /// Exit with 1 when the mean absolute error is above this
    #[arg(long, value_name = "SCORE")]
    max_error: Option<f64>,

    /// Measure an encode that declares another colour than its source as if it did not
    #[arg(long)]
    ignore_color: bool,

    /// Replace an output that exists, even if this program did not write it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    script: InputArgs,
}

/// Measures and reports; an error when the encode misses `--max-error`.
pub fn run(
    args: VerifyArgs,
    metric: score::Opener,
    out: &mut dyn Write,
    events: &Events,
    cancel: &Cancel,
) -> Result<()> {
    args.check()?;
    let Judging { mut settings, judged_by, targets } = args.judging(&args.scenes)?;
    args.devices.put(&mut settings);
    for warning in &settings.warnings {
        events.warn(warning);
    }
    let request = verify::Request {
        open: args.script.options(settings.source.provider)?,
        scenes: args.scenes,
        settings,
        metric,
        judged_by,
        targets,
        every: args.every,
        ignore_color: args.ignore_color,
        source: args.source,
        encoded: args.encoded,
    };
    for path in args.json.iter().chain(&args.report).filter(|path| path.as_os_str() != "-") {
        atomic::check_writable(path)?;
    }
    let verification = measure(&request, events, cancel)?;
    if let Some(path) = &args.report {
        let sides = [&*request.source, &*request.encoded];
        report::write(verify::page(&verification), path, sides, &request.open, events, cancel)?;
    }
    tell(&verification, args.json.as_deref(), out, events)?;
    judge(&verification, args.max_error)
}

/// What an encode is judged by.
struct Judging {
    settings: Resolved,
    judged_by: String,
    targets: Option<Vec<f64>>,
}

/// Nothing is kept of a verification that is stopped, so none can be resumed.
fn measure(request: &verify::Request, events: &Events, cancel: &Cancel) -> Result<Verification> {
    verify::run(request, events, cancel).map_err(|error| {
        if error.is::<Interrupted>() {
            return anyhow!("interrupted; a verification starts from the beginning");
        }
        error
    })
}

/// The verification of an encode that was just made, with nothing but a preset.
#[derive(Debug)]
pub struct AtTheEnd(verify::Request);

impl AtTheEnd {
    /// What `encode --verify` takes; a preset that cannot be is an error at once.
    pub fn new(preset: &str, encode: &encode::Request, metric: score::Opener) -> Result<Option<Self>> {
        let SceneSource::ScenesFile(scenes) = &encode.scenes else { return Ok(None) };
        let request = settings::Request { preset: Some(preset.to_owned()), ..settings::Request::default() };
        let settings = settings::resolve(&request)?;
        Ok(Some(Self(verify::Request {
            source: encode.input.clone(),
            open: encode.open.clone(),
            encoded: encode.output.clone(),
            scenes: scenes.clone(),
            judged_by: by_preset(&settings),
            settings,
            metric,
            targets: None,
            every: 1,
            ignore_color: false,
        })))
    }

    /// Measures and prints the report.
    pub fn run(&self, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
        say(out, &measure(&self.0, events, cancel)?.text())
    }
}

fn tell(
    verification: &Verification,
    json: Option<&Path>,
    out: &mut dyn Write,
    events: &Events,
) -> Result<()> {
    let mut written = Vec::new();
    match json {
        Some(path) if path == Path::new(STDOUT) => say(out, verification.json()?.trim_end())?,
        json => {
            if let Some(path) = json {
                verification.write_json(path)?;
                written.push(path);
            }
            say(out, &verification.text())?;
        }
    }
    for path in written {
        events.emit(&Event::Result { path: path.display().to_string() });
        events.note(format!("wrote {}", path.display()));
    }
    Ok(())
}

fn judge(verification: &Verification, limit: Option<f64>) -> Result<()> {
    match (verification.worst_mean_absolute_error(), limit) {
        (Some(error), Some(limit)) if error > limit => {
            bail!("the mean absolute error is {error:.3}, above --max-error {limit}")
        }
        _ => Ok(()),
    }
}

impl VerifyArgs {
    pub fn files(&self) -> Files {
        let mut files = Files::new(self.force);
        self.script.reads("the source", &self.source, &mut files);
        files.reads("the encode", [&self.encoded]);
        files.reads("--scenes", [&self.scenes]);
        files.reads("--preset", &self.preset.as_ref().map(PathBuf::from));
        self.zones.reads(&mut files);
        files.writes("--json", &self.json, Kind::Report);
        files.writes("--report", &self.report, Kind::Page);
        files
    }

    pub fn prints_json(&self) -> bool {
        self.json.as_deref() == Some(Path::new(STDOUT))
    }

    fn check(&self) -> Result<()> {
        if self.every == 0 {
            bail!(Usage("--every 0: must be at least 1".to_owned()));
        }
        match self.max_error {
            Some(limit) if limit.is_nan() || limit < 0.0 => {
                bail!(Usage(format!("--max-error {limit}: must be 0 or more")))
            }
            _ => Ok(()),
        }
    }

    /// By a preset that was asked for, else by how the scenes were made.
    fn judging(&self, scenes: &Path) -> Result<Judging> {
        let mut typed: Vec<Typed> = self.sets.iter().map(|set| Typed::set(set)).collect();
        typed.extend(self.target.as_ref().map(|target| Typed::flag("--target", "metric.target", target)));
        let zones = self.zones.list();
        if self.preset.is_none() {
            if zones.is_some() {
                bail!(Usage(
                    "zones are those that the scenes were made with; others need --preset NAME".into()
                ));
            }
            return as_made(scenes, &typed);
        }
        let request =
            settings::Request { preset: self.preset.clone(), typed, zones, ..settings::Request::default() };
        let settings = settings::resolve(&request).map_err(|error| Usage::from_error(&error))?;
        Ok(Judging { judged_by: by_preset(&settings), settings, targets: None })
    }
}

fn by_preset(settings: &Resolved) -> String {
    format!("judged by the preset {}, as asked for", settings.preset)
}

/// As the record beside the scenes file says, with what is typed on top.
fn as_made(scenes: &Path, typed: &[Typed]) -> Result<Judging> {
    let record = Sidecar::path(scenes);
    let advice = "say by what to judge: --preset NAME";
    let sidecar = Sidecar::of(scenes).context(advice)?;
    let Some(Sidecar { mut settings, targets, .. }) = sidecar else {
        bail!(Usage(format!(
            "{} is missing, which boosting leaves beside its scenes; {advice}",
            record.display()
        )));
    };
    settings.revise(typed).map_err(|error| Usage::from_error(&error))?;
    let mut judged_by = format!("judged as boosted (preset {}), by {}", settings.preset, record.display());
    let aims_elsewhere = typed.iter().any(|typed| typed.key.ends_with("metric.target"));
    if !typed.is_empty() {
        let flags: Vec<&str> = typed.iter().map(|typed| typed.flag.as_str()).collect();
        judged_by = format!("{judged_by}, but for {}", flags.join(", "));
    }
    Ok(Judging { settings, judged_by, targets: targets.filter(|_| !aims_elsewhere) })
}
