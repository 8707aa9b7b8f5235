//! Segmentation beside the probes.

use anyhow::{Result, anyhow};

use super::chains::{Chains, Probings};
use super::input::Input;
use super::plan::PlannedScene;
use super::segmentation::{self, Segmentation};
use crate::analysis::LumaStats;
use crate::character::SceneMasks;
use crate::source::Clip;
use crate::support::cancel::{Cancel, Interrupted};
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// What is done beside the probing.
pub struct Beside<'a> {
    pub segmentation: &'a Segmentation,
    pub source: segmentation::Source<'a>,
}

/// Where characters are looked for, and what it depends on: in the analysis
/// input, unless its pictures are not of the size that is encoded. A map of
/// another picture, cropped or scaled, would mark the wrong blocks.
pub fn looked_at<'a>(
    input: &'a Input,
    working: &'a Clip,
    events: &Events,
) -> Result<(&'a Clip, Fingerprint)> {
    let (cheap, encoded) = (input.analysed.info(), working.info());
    if (cheap.width, cheap.height) == (encoded.width, encoded.height) {
        return Ok((&input.analysed, input.analysed_key.clone()));
    }
    events.note(format!(
        "characters are looked for in the pictures as they are encoded, {}x{}, and not in those of the \
         analysis, {}x{}",
        encoded.width, encoded.height, cheap.width, cheap.height
    ));
    Ok((working, Fingerprint::of(&(&input.probed_key, working.facts()?))))
}

/// Segmentation runs on a thread of its own while probes encode; when one of
/// the two fails, the other stops as well.
pub fn probe_and_segment(
    chains: &Chains<'_>,
    beside: Option<Beside<'_>>,
    planned: &[PlannedScene<'_>],
    luma: &LumaStats,
    cancel: &Cancel,
) -> Result<(Probings, Vec<Option<SceneMasks>>)> {
    let Some(Beside { segmentation, source }) = beside else {
        return Ok((chains.run(planned, luma, cancel)?, planned.iter().map(|_| None).collect()));
    };
    let either = cancel.child();
    std::thread::scope(|scope| {
        let masks = scope.spawn(|| {
            let masks =
                segmentation.run(planned, chains.task.part, &source, chains.store, chains.events, &either);
            either.cancel_on_error(masks)
        });
        let probings = either.cancel_on_error(chains.run(planned, luma, &either));
        let masks = masks.join().map_err(|_| anyhow!("the segmentation thread panicked"))?;
        match (probings, masks) {
            (Ok(probings), Ok(masks)) => Ok((probings, masks)),
            // The one that was merely told to stop is not the reason.
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(a), Err(b)) => Err(if a.is::<Interrupted>() { b } else { a }),
        }
    })
}
