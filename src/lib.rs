//! Progression Boost: per-scene quality boosting for AV1 encodes.
//!
//! # The architecture in one page
//!
//! Data flows one way: a **source** is opened in-process by VapourSynth;
//! **analysis** reads every frame once; **scenes** are cut from what it found;
//! every scene is **probed** (encoded quickly), the probes are **scored**
//! against the source, the **model** turns scores into a CRF, **formats** writes
//! them for av1an and **output** sums them up for people. A stage knows the plain
//! data of the stages before it, [`formats`] and [`support`]; only [`pipeline`]
//! knows the order.
//!
//! | module | takes | gives |
//! |---|---|---|
//! | [`formats`] | files, and the numbers they must fit | scenes.json, zones, QP files, ROI maps, IVF, AV1 headers, Matroska as plain data, and back |
//! | [`settings`] | preset TOML, flags, zone list | validated [`settings::Settings`] by [`settings::Zone`], once |
//! | [`source`] | a path | a [`source::Clip`], its frames in order, [`source::Picture`]s |
//! | [`analysis`] | a clip | luma statistics and detector verdicts of every frame, in one pass |
//! | [`scenes`] | verdicts, zones | [`scenes::Scene`]s: half-open, continuous, covering the clip |
//! | [`options`] | command-line words | an encoder's option list, and what no list may hold |
//! | [`encoder`] | a program | what it is and can; the words of an encode; one verified IVF a scene |
//! | [`probe`] | an IVF | its wanted frames, decoded in-process, in order, once |
//! | [`score`] | reference and distorted pictures | Butteraugli or SSIMULACRA2, which frames, one score a scene |
//! | [`model`] | scores by CRF | the CRF that hits the target |
//! | [`character`] | a clip, a network | masks, ROI maps, lower CRFs for drawn characters |
//! | [`output`] | scenes with what was found | the closing summary and the page of the report, for people; a record of the settings beside the scenes file |
//! | [`pipeline`] | a request | runs the stages: preflight, schedule, journal, resume |
//!
//! `encode --boost` runs both in one loop: a scene's chain goes on with the chunk that
//! goes into the file, and what chunks show is learned from (`pipeline/chunks.rs`).
//!
//! Within [`pipeline`], every scene is a chain probe → score → probe → score,
//! and all chains run at once over a pool of encoder processes
//! ([`pipeline::scheduler`]); where the model learns from pilot scenes, the others
//! wait for these before their second probe ([`pipeline::learning`]). The frames that will be measured are kept as they
//! pass by on their way to the first probe, within a memory budget; those that
//! do not fit are rendered again. Everything finished goes to the work folder
//! ([`pipeline::store`]) under a key made of all it depends on, so that a
//! resumed run finds exactly what is still valid.
//!
//! Several machines do the same in steps ([`pipeline::shards`]): a plan does what scenes
//! have in common, each machine probes a share into a journal of its own, and a merge
//! solves what all of them left, with the code that solves one machine's.
//!
//! Beside the pipeline stand [`encode`] (the final encode in parallel chunks),
//! [`verify`] (measures a finished encode against its targets), [`dispatch`]
//! (lets av1an's workers, and encoders of our own, start when CPU and memory have room) and [`doctor`] (tries
//! what a run needs, VapourSynth in a child process, and says what to do).
//! [`cli`] turns arguments into requests and [`support::events::Event`]s into
//! bars and lines; no stage prints.
//!
//! # Where to change what
//!
//! | to | look at |
//! |---|---|
//! | change how a CRF is chosen | [`model`]: a kind of [`model::Model`] says what to probe next and solves; [`pipeline::modelling`] makes it from settings; [`pipeline::candidate`] feeds it scores |
//! | add an encoder | [`encoder`]: a fork of SVT-AV1 is a family in `encoder/identify.rs` with lists in `presets/`; another encoder for the final encode is a kind of `encode/tool.rs` |
//! | add a metric | [`score`]: a [`score::Backend`] (as `score/native.rs`), its [`score::Measurement`], a value in `settings/types.rs` |
//! | add a scenes format | [`formats`]: a file that reads or writes it (as `formats/scene_changes.rs`); `scenes/detect.rs` and `encode/scenes.rs` take lists, `cli/scenes.rs` writes them |
//! | add a preset key | a row in `settings/schema.rs`, its field in `settings/types.rs`, its value and comment in `presets/butteraugli-mean.toml` |
//!
//! VapourSynth's types stay in [`source`], [`score`] and [`character`]; clap's
//! and the terminal stay in [`cli`]. `unsafe` is denied but for small functions
//! that say why they are sound.

// They panic when nobody listens any more; `cli` has what does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

// In the order in which data flows.
pub mod support;

pub mod formats;
pub mod options;
pub mod settings;

pub mod source;

pub mod analysis;
pub mod scenes;

pub mod character;
pub mod encoder;
pub mod model;
pub mod probe;
pub mod score;

pub mod dispatch;
pub mod output;
pub mod pipeline;

pub mod doctor;
pub mod encode;
pub mod verify;

pub mod cli;
