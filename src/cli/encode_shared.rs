//! `encode --plan` and `encode merge`: the final encode by several machines.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::encode::{ChunkArgs, EncodeArgs, EncoderArgs, ResultArgs};
use super::encode_boost::BoostArgs;
use super::input::InputArgs;
use super::machine::NiceArgs;
use super::shards::{PathArgs, ShardArgs};
use super::words::words;
use super::{Usage, say};
use crate::encode::{self, MuxerChoice, Part, Request, Share, ShareOutcome};
use crate::pipeline::shards;
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::lock::Earlier;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Step {
    /// Put together what the machines made that encoded a plan
    Merge(Box<MergeArgs>),
}

/// One machine's part.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Several machines")]
pub(super) struct SharedArgs {
    /// Encode a share of a plan whose scenes file `merge` wrote
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["input", "output", "scenes", "boost", "verify"])]
    pub(super) plan: Option<PathBuf>,

    #[command(flatten)]
    pub(super) shard: ShardArgs,

    #[command(flatten)]
    pub(super) paths: PathArgs,
}

/// `encode merge`. Encoder options as the machines had them.
#[derive(Debug, clap::Args)]
pub(super) struct MergeArgs {
    /// The folder that `plan` made
    plan: PathBuf,

    /// The Matroska file to make
    #[arg(short, long, value_name = "FILE.mkv")]
    output: PathBuf,

    #[command(flatten)]
    paths: PathArgs,

    /// As the machines had it: join scenes shorter than so many frames [default: 64]
    #[arg(long, value_name = "FRAMES")]
    min_chunk_length: Option<usize>,

    #[command(flatten)]
    encoder: EncoderArgs,

    #[command(flatten)]
    result: MergedArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct MergedArgs {
    /// Copy audio, subtitles, chapters and attachments from this file
    #[arg(long, value_name = "SOURCE")]
    copy_from: Option<PathBuf>,

    /// What makes the Matroska file; auto takes mkvmerge if it is there, else ffmpeg
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = words::<MuxerChoice>())]
    muxer: MuxerChoice,

    /// Replace the output if it exists
    #[arg(long)]
    force: bool,

    /// Remove all chunks once the result is checked
    #[arg(long)]
    clean: bool,
}

/// `encode --plan`: one machine's chunks.
pub(super) fn share(args: EncodeArgs, out: &mut dyn Write, events: &Events, cancel: &Cancel) -> Result<()> {
    let shard = args.shared.shard.find(|name| std::env::var(name).ok())?;
    let mut request = args.request_of_plan(Part::Shard(shard))?;
    request.earlier = Earlier::Resume;
    let ShareOutcome { chunks, known } = encode::run_share(&request, events, cancel)?;
    let before = if known > 0 { format!(", {known} of them before") } else { String::new() };
    say(out, &format!("shard {shard}: {chunks} chunks are done{before}"))
}

/// `encode merge`.
pub(super) fn merge(args: MergeArgs, events: &Events, cancel: &Cancel) -> Result<()> {
    let MergeArgs { plan, output, paths, min_chunk_length, encoder, result } = args;
    let merged = EncodeArgs {
        step: None,
        input: None,
        output: Some(output),
        shared: SharedArgs { plan: Some(plan), paths, ..SharedArgs::default() },
        script: InputArgs::default(),
        chunks: ChunkArgs::joined(min_chunk_length),
        encoder,
        boost: BoostArgs::default(),
        nice: NiceArgs::default(),
        result: ResultArgs {
            copy_from: result.copy_from,
            muxer: result.muxer,
            resume: false,
            force: result.force,
            temp: None,
            clean: result.clean,
            verify: None,
            report: None,
        },
    };
    let request = merged.request_of_plan(Part::Merge)?;
    encode::run(&request, events, cancel).map(drop)
}

impl EncodeArgs {
    /// A part of the encode of a plan. What is wrong with the options is an error of usage.
    fn request_of_plan(mut self, part: Part) -> Result<Request> {
        let folder = self.shared.plan.clone().context("a plan is required")?;
        let expected = shards::expect(&folder, self.shared.paths.list())?;
        self.chunks.scenes = Some(expected.request.output.clone());
        // Shards make no output of their own.
        self.output = self.output.or_else(|| Some(folder.join("none.mkv")));
        self.input = Some(expected.request.input);
        self.result.temp.get_or_insert_with(|| folder.join("encode"));
        let request = self.request().map_err(|error| Usage::from_error(&error))?;
        let command = format!("progression-boost encode --plan {}", folder.display());
        let share = Share { clip: expected.clip, part, command };
        Ok(Request { open: expected.request.open, share: Some(share), ..request })
    }
}
