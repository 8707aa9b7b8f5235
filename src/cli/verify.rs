//! `verify`: how close a finished encode comes to its target.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use super::input::{InputArgs, ZoneArgs};
use super::{Usage, say};
use crate::encode::{self, SceneSource};
use crate::settings::{self, Resolved, Typed};
use crate::support::atomic;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::{Event, Events};
use crate::verify::{self, Verification};

/// Measures a finished encode with the preset's metric, scene by scene.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The VapourSynth script (.vpy) or video file that was boosted
    source: PathBuf,

    /// The finished encode
    encoded: PathBuf,

    /// The av1an scenes.json that it was encoded with
    #[arg(long, value_name = "FILE")]
    scenes: Option<PathBuf>,

    /// Preset that the encode was boosted with: metric, pooling, target
    #[arg(short, long, value_name = "NAME|FILE")]
    preset: Option<String>,

    /// Override one key of the preset, such as metric.target=82; repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,

    /// Score that was wanted for every scene (metric.target)
    #[arg(long, value_name = "SCORE")]
    target: Option<String>,

    #[command(flatten)]
    zones: ZoneArgs,

    /// Measure every K-th frame of a scene only, from its first one
    #[arg(long, value_name = "K", default_value_t = 1)]
    every: usize,

    /// Write the report with every frame's score as JSON, `-` for standard output instead of the text
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the report with its plots as a single HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Exit with 1 when the mean absolute error is above this
    #[arg(long, value_name = "SCORE")]
    max_error: Option<f64>,

    /// Measure an encode that declares another colour than its source as if it did not
    #[arg(long)]
    ignore_color: bool,

    #[command(flatten)]
    script: InputArgs,
}

/// Measures and reports; an error when the encode misses `--max-error`.
pub fn run(args: VerifyArgs, events: &Events, cancel: &Cancel) -> Result<()> {
    args.check()?;
    let settings = args.resolve()?;
    for warning in &settings.warnings {
        events.warn(warning);
    }
    let request = verify::Request {
        open: args.script.options(settings.source.provider)?,
        scenes: args.scenes()?,
        settings,
        every: args.every,
        ignore_color: args.ignore_color,
        source: args.source,
        encoded: args.encoded,
    };
    for path in args.json.iter().chain(&args.html).filter(|path| path.as_os_str() != "-") {
        atomic::check_writable(path)?;
    }
    let verification = measure(&request, events, cancel)?;
    report(&verification, args.json.as_deref(), args.html.as_deref(), events)?;
    judge(&verification, args.max_error)
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
    pub fn new(preset: &str, encode: &encode::Request) -> Result<Option<Self>> {
        let SceneSource::ScenesFile(scenes) = &encode.scenes else { return Ok(None) };
        let request = settings::Request { preset: Some(preset.to_owned()), ..settings::Request::default() };
        let settings = settings::resolve(&request)?;
        Ok(Some(Self(verify::Request {
            source: encode.input.clone(),
            open: encode.open.clone(),
            encoded: encode.output.clone(),
            scenes: scenes.clone(),
            settings,
            every: 1,
            ignore_color: false,
        })))
    }

    /// Measures and prints the report.
    pub fn run(&self, events: &Events, cancel: &Cancel) -> Result<()> {
        say(&measure(&self.0, events, cancel)?.text())
    }
}

fn report(
    verification: &Verification,
    json: Option<&Path>,
    html: Option<&Path>,
    events: &Events,
) -> Result<()> {
    let mut written = Vec::new();
    if let Some(path) = html {
        verification.write_html(path)?;
        written.push(path);
    }
    match json {
        Some(path) if path == Path::new("-") => say(verification.json()?.trim_end())?,
        json => {
            if let Some(path) = json {
                verification.write_json(path)?;
                written.push(path);
            }
            say(&verification.text())?;
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

    fn scenes(&self) -> Result<PathBuf> {
        let Some(scenes) = self.scenes.clone() else {
            bail!(Usage(
                "--scenes FILE is needed: the scenes.json that the encode was made with. Scenes found anew would \
                 be other scenes"
                    .to_owned()
            ));
        };
        Ok(scenes)
    }

    fn resolve(&self) -> Result<Resolved> {
        let mut typed: Vec<Typed> = self.sets.iter().map(|set| Typed::set(set)).collect();
        typed.extend(self.target.as_ref().map(|target| Typed::flag("--target", "metric.target", target)));
        let zones = self.zones.list();
        let request = settings::Request { preset: self.preset.clone(), typed, zones, preset_folder: None };
        settings::resolve(&request).map_err(|error| Usage::from_error(&error))
    }
}
