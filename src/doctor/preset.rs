//! Whether a preset can run: its encoder, metric, scene detection and network are
//! opened as a boost opens them, on a blank clip.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use super::Verdict;
use super::inside::blank;
use crate::character::{Options, Segmenter};
use crate::pipeline::backends::Backends;
use crate::pipeline::encoding::Encoding;
use crate::pipeline::input;
use crate::scenes;
use crate::score;
use crate::settings::{self, Zone};
use crate::source::{Clip, OpenOptions, Session};
use crate::support::cancel::Cancel;
use crate::support::events::{Event, Events};

/// All versions of all encoders take it.
const SIDE: usize = 256;

/// The parts that a boost can do without or otherwise.
const METRIC: &str = "metric";
const SCENES: &str = "scenes";
const CHARACTERS: &str = "characters";

/// Tries `preset`; what fails is in the verdict.
pub fn verdict(preset: &str, session: Session, cancel: &Cancel) -> Verdict {
    let mut verdict =
        Verdict { preset: preset.to_owned(), ready: false, uses: Vec::new(), problems: Vec::new() };
    if let Err(error) = attempt(&mut verdict, session, cancel) {
        verdict.problems.push(format!("{error:#}"));
    }
    verdict.ready = verdict.problems.is_empty();
    verdict
}

/// Each part is tried even where another one fails.
fn attempt(verdict: &mut Verdict, session: Session, cancel: &Cancel) -> Result<()> {
    let request = settings::Request { preset: Some(verdict.preset.clone()), ..settings::Request::default() };
    let settings = settings::resolve(&request)?;
    let clip = blank(session, SIDE)?;
    let zones = settings.zones(clip.info().frames, &mut Vec::new())?;
    let heard = Heard::default();
    let events = heard.events();
    let encoding = Encoding::open(&zones, &settings.base.encoder.program, &clip, &events, cancel);
    let bits = encoding.as_ref().map_or(10, |encoding| encoding.bits);
    let parts = [
        encoding.map(|encoding| encoding.describe()).context("encoder"),
        measured(&zones, &clip, bits, &events).context(METRIC),
        scenes::plan(&zones, session, &events, cancel).map(|plan| found_by(&plan)).context(SCENES),
        characters(&zones, &clip, &events, cancel).context(CHARACTERS),
    ];
    for part in parts {
        match part {
            Ok(sentences) => verdict.uses.extend(sentences),
            Err(error) => verdict.problems.push(format!("{error:#}{}", instead(&error))),
        }
    }
    verdict.uses.extend(heard.warnings());
    Ok(())
}

fn measured(zones: &[Zone], clip: &Clip, bits: u8, events: &Events) -> Result<Vec<String>> {
    let working = input::working(clip, bits, events)?;
    Ok(Backends::open(score::open, zones, (&working, bits), &OpenOptions::default(), 0, events)?.describe())
}

fn found_by(plan: &scenes::Plan) -> Vec<String> {
    let sentence = |zone: &scenes::ZoneMethod| match &zone.fallback {
        None => format!("scenes: {}", zone.method.name()),
        Some(why) => format!("scenes: {} ({why})", zone.method.name()),
    };
    let mut sentences: Vec<String> = plan.zones.iter().map(sentence).collect();
    sentences.dedup();
    sentences
}

fn characters(zones: &[Zone], clip: &Clip, events: &Events, cancel: &Cancel) -> Result<Vec<String>> {
    let wanted = zones.iter().map(|zone| &zone.settings.character).find(|character| character.enable);
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    let segmenter = Segmenter::open(wanted, clip, Options::default(), events, cancel)?;
    Ok(vec![format!("characters: {} with {}", segmenter.backend(), segmenter.model().display())])
}

/// What a boost could do without the part that failed.
fn instead(error: &anyhow::Error) -> &'static str {
    match error.to_string().as_str() {
        CHARACTERS => "\ninstead: --set character.enable=false boosts without Character Boost",
        METRIC => "\ninstead: --set metric.backend=native measures on the CPU, without plugins",
        SCENES => "\ninstead: --method builtin finds scenes without plugins",
        _ => "",
    }
}

/// Listens for what a boost would warn of.
#[derive(Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn events(&self) -> Events {
        let heard = Arc::clone(&self.0);
        Events::new(move |event| {
            if let Event::Warning { text } = event {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("warning: {text}"));
            }
        })
    }

    fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
