//! What each scene is encoded with, complete and checked against the encoders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::grain::Grain;
use super::plan::Chunk;
use super::tools::{Tools, Wanted};
use super::{Request, presets};
use crate::encoder::Program;
use crate::formats::scenes_json::{SceneEntry, ZoneOverrides};
use crate::options::{Coder, Options, Origin, PROGRAM_MARK, Use, reserved};
use crate::settings;
use crate::source::{ClipInfo, ColorInfo, UNSPECIFIED};
use crate::support::cancel::Cancel;
use crate::support::events::Events;
use crate::support::fingerprint::Fingerprint;

/// Threads of one encoder unless said otherwise: two keep aomenc's lookahead
/// beside its coding.
pub const DEFAULT_THREADS: usize = 2;

/// Options that name a file whose frames or times count from the scene's start.
const SCENE_FILES: [&str; 3] = ["--roi-map-file", "--film-grain-table", "--fgs-table"];

/// Options that differ between scenes without another being refused: one trial
/// stands for all of them.
const NOT_TRIED: [&str; 4] = ["--crf", "--cq-level", "--roi-map-file", "--fgs-table"];

/// One way to encode; scenes that share it may be joined.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    pub coder: Coder,
    /// The program that the scene names, where that is not the usual one.
    pub program: Option<PathBuf>,
    pub options: Options,
    /// Added as a table made for each chunk.
    pub grain: Option<Grain>,
}

impl Recipe {
    /// Of what the encoded bytes depend on: all but the number of threads, and
    /// with the content of the files that options name.
    pub fn key(&self) -> Result<Fingerprint> {
        let mut options = self.options.clone();
        options.remove(self.coder.thread_option());
        let mut files = Vec::new();
        for name in SCENE_FILES {
            if let Some(path) = options.get(name).and_then(|option| option.value.clone()) {
                files.push(Fingerprint::of_file(Path::new(&path)).with_context(|| name.to_owned())?);
                options.remove(name);
            }
        }
        Ok(Fingerprint::of(&(self.coder, options.words(self.coder), &self.grain, files)))
    }

    /// The encoder that it is for.
    pub fn wanted(&self) -> Wanted {
        (self.coder, self.program.clone())
    }

    fn joinable(&self) -> bool {
        SCENE_FILES.iter().all(|name| self.options.get(name).is_none())
    }
}

/// The encoders that `scenes` need, with the kind of those of scenes without overrides.
pub fn encoders(request: &Request, scenes: &[SceneEntry]) -> Result<(Coder, BTreeSet<Wanted>)> {
    let named = scenes.iter().filter_map(|scene| scene.zone_overrides.as_ref());
    let named: Vec<Wanted> = named.map(wanted).collect::<Result<_>>()?;
    let base = request.coder.or(named.first().map(|(coder, _)| *coder)).unwrap_or(Coder::Aom);
    let mut all: BTreeSet<Wanted> = named.into_iter().collect();
    let has_base = all.iter().any(|(coder, _)| *coder == base);
    if !all.is_empty() && !has_base && scenes.iter().all(|scene| scene.zone_overrides.is_some()) {
        let named: BTreeSet<_> = all.iter().map(|(coder, _)| coder.name()).collect();
        let named: Vec<_> = named.into_iter().collect();
        bail!(
            "--encoder {}: all scenes of the file are for {}; leave the option out, or name scenes without \
             parameters of their own",
            base.name(),
            named.join(" and ")
        );
    }
    if all.is_empty() || scenes.iter().any(|scene| scene.zone_overrides.is_none()) {
        all.insert((base, None));
    }
    Ok((base, all))
}

/// The encoder that a scene with overrides is for.
fn wanted(overrides: &ZoneOverrides) -> Result<Wanted> {
    let coder = Coder::from_av1an(&overrides.encoder)?;
    let options = Options::parse(&overrides.video_params, Origin::User)?;
    let program = options.value(PROGRAM_MARK).map(PathBuf::from);
    ensure!(
        program.is_none() || coder == Coder::SvtAv1,
        "{PROGRAM_MARK} in video_params: is for scenes of svt_av1, this one is for {}",
        overrides.encoder
    );
    Ok((coder, program))
}

/// What a run encodes with.
pub struct Resolved {
    /// Each once.
    pub recipes: Vec<Recipe>,
    /// The scenes, referring to them.
    pub scenes: Vec<Chunk>,
    /// The colour that all streams will say they have: the clip's, but for what
    /// AV1 cannot carry and what parameters say otherwise.
    pub color: ColorInfo,
}

/// Resolves the recipes of a run.
pub struct Resolver<'a> {
    pub request: &'a Request,
    pub base: Coder,
    pub tools: &'a Tools,
    /// Of the clip as it is encoded.
    pub info: &'a ClipInfo,
    pub color: &'a ColorInfo,
    pub events: &'a Events,
}

impl Resolver<'_> {
    pub fn resolve(&self, scenes: &[SceneEntry]) -> Result<Resolved> {
        let grain = self.grain()?;
        let mut recipes: Vec<Recipe> = Vec::new();
        let mut chunks = Vec::with_capacity(scenes.len());
        let mut told = Told::default();
        for (number, scene) in scenes.iter().enumerate() {
            let made = match &scene.zone_overrides {
                None => self.plain(),
                Some(overrides) => self.of_scene(overrides),
            };
            let finished = made.and_then(|recipe| {
                let grain = grain.get(&recipe.coder);
                self.finish(recipe, grain, &mut told)
            });
            let recipe = finished.with_context(|| format!("scene {number}, frames {:?}", scene.frames()))?;
            let joinable = recipe.joinable();
            let recipe = recipes.iter().position(|known| *known == recipe).unwrap_or_else(|| {
                recipes.push(recipe);
                recipes.len() - 1
            });
            chunks.push(Chunk { frames: scene.frames(), recipe, joinable });
        }
        told.notes.iter().for_each(|note| self.events.note(note));
        Ok(Resolved { recipes, scenes: chunks, color: told.color(self.color) })
    }

    /// The table that all scenes of an encoder get, however it was given: an
    /// encoder counts time from its chunk's start, so that none may have it whole.
    fn grain(&self) -> Result<BTreeMap<Coder, Grain>> {
        let mut found = BTreeMap::new();
        for coder in self.tools.all().iter().map(|tool| tool.coder()) {
            let given = self.request.params.value(coder.table_option()).map(Path::new);
            if let Some(path) = self.request.grain_table.as_deref().or(given) {
                found.insert(coder, Grain::read(path)?);
            }
        }
        Ok(found)
    }

    /// The recipe of scenes that have no parameters of their own.
    fn plain(&self) -> Result<Recipe> {
        let request = self.request;
        let tool = self.tools.get(&(self.base, None))?;
        let mut options = Options::default();
        if let Program::SvtAv1(encoder) = &*tool {
            let preset = settings::resolve(&settings::Request::default())?.base;
            if let Some(params) = preset.encoder.params.get(&encoder.identity.family) {
                options.overlay(&Options::parse(&params.final_, Origin::Ours)?);
            }
        }
        let preset = request.preset.as_deref();
        let presets = presets::options(self.base, preset, request.presets_file.as_deref(), self.info.height)?;
        reserved::check(self.base, Use::PresetFile, &presets).context("encoder presets")?;
        options.overlay(&presets);
        tool.set_quality(&mut options, request.q.unwrap_or(self.base.default_q()))?;
        let table = self.base.table_option();
        let grain = options.value(table).map(|path| Grain::read(Path::new(path))).transpose()?;
        options.remove(table);
        Ok(Recipe { coder: self.base, program: None, options, grain })
    }

    fn of_scene(&self, overrides: &ZoneOverrides) -> Result<Recipe> {
        let (coder, program) = wanted(overrides)?;
        let mut options = Options::parse(&overrides.video_params, Origin::User)?;
        options.remove(PROGRAM_MARK);
        reserved::check(coder, Use::Scenes, &options).context("video_params")?;
        if let Some(path) = options.get("--roi-map-file").and_then(|option| option.value.as_deref()) {
            ensure!(Path::new(path).is_file(), "the ROI map {path} is not there");
        }
        Ok(Recipe { coder, program, options, grain: Grain::photon(overrides, self.info, self.color)? })
    }

    /// Adds what every recipe gets, drops what of ours the encoder does not know.
    fn finish(&self, mut recipe: Recipe, grain: Option<&Grain>, told: &mut Told) -> Result<Recipe> {
        let request = self.request;
        let coder = recipe.coder;
        let tool = self.tools.of(&recipe)?;
        let options = &mut recipe.options;
        if request.noise > 0 {
            options.set(coder.noise_option(), Some(request.noise.to_string()), Origin::User);
        }
        if request.params.get("--crf").is_none() {
            tool.round_quality(options, self.events);
        }
        reserved::check(coder, Use::Params, &request.params).context("--params")?;
        tool.check_quality(&request.params)?;
        options.overlay(&request.params);
        if let Some(grain) = grain {
            recipe.grain = Some(grain.clone());
            options.remove(coder.table_option());
        }
        options.set_ours(coder.depth_option(), request.bits.to_string());
        if let Some(threads) = request.threads {
            options.set_ours(coder.thread_option(), threads.to_string());
        } else if options.get(coder.thread_option()).is_none() {
            options.set_ours(coder.thread_option(), DEFAULT_THREADS.to_string());
        }
        let (color, notes) = tool.color_options(self.color, request.bits);
        told.notes.extend(notes);
        for (name, value) in &color {
            match options.get(name) {
                None => options.set_ours(name, value.clone()),
                Some(set) if set.value.as_ref() == Some(value) => {}
                Some(_) => drop(told.otherwise.insert(name)),
            }
        }
        let unsaid = COLOR_OPTIONS.iter().filter(|name| color.iter().all(|(said, _)| said != *name));
        told.otherwise.extend(unsaid);
        if recipe.grain.is_some() {
            let option = coder.table_option();
            if !tool.has(option) {
                bail!(
                    "{} has no {option}, which photon noise and grain tables need; use a newer encoder, \
                     or scenes without photon noise",
                    tool.version()
                );
            }
            // A table wins over the encoder's own estimate.
            recipe.options.remove(coder.noise_option());
        }
        let left_out = tool.fit(&mut recipe.options)?;
        if !left_out.is_empty() {
            told.notes.insert(format!("{} does not know {}; left out", tool.version(), left_out.join(", ")));
        }
        Ok(recipe)
    }
}

const COLOR_OPTIONS: [&str; 3] = ["--color-primaries", "--transfer-characteristics", "--matrix-coefficients"];

/// What came up while recipes were made; each is told once.
#[derive(Default)]
struct Told {
    notes: BTreeSet<String>,
    /// Colour options that are not set to the clip's value everywhere.
    otherwise: BTreeSet<&'static str>,
}

impl Told {
    fn color(&self, clip: &ColorInfo) -> ColorInfo {
        let kept = |name, value| if self.otherwise.contains(name) { UNSPECIFIED } else { value };
        ColorInfo {
            primaries: kept(COLOR_OPTIONS[0], clip.primaries),
            transfer: kept(COLOR_OPTIONS[1], clip.transfer),
            matrix: kept(COLOR_OPTIONS[2], clip.matrix),
            full_range: clip.full_range.filter(|_| !self.otherwise.contains("--color-range")),
            ..clip.clone()
        }
    }
}

/// Encodes a few blank frames with every recipe that differs in more than its quality.
pub fn try_out(recipes: &[Recipe], tools: &Tools, bits: u8, cancel: &Cancel) -> Result<()> {
    let mut tried: Vec<Recipe> = Vec::new();
    for recipe in recipes {
        let mut like = recipe.clone();
        for name in NOT_TRIED {
            like.options.remove(name);
        }
        like.grain = None;
        if tried.contains(&like) {
            continue;
        }
        let mut options = recipe.options.clone();
        for name in SCENE_FILES {
            options.remove(name);
        }
        tools.of(recipe)?.try_out(&options, bits, cancel)?;
        tried.push(like);
    }
    Ok(())
}

/// The most threads that one of the encoders uses.
pub fn threads(recipes: &[Recipe]) -> usize {
    let of = |recipe: &Recipe| recipe.options.get(recipe.coder.thread_option())?.value.as_ref()?.parse().ok();
    recipes.iter().filter_map(of).max().unwrap_or(DEFAULT_THREADS).max(1)
}
