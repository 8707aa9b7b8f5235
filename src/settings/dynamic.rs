//! Dynamic rules: short expressions of the preset, evaluated per scene.
//!
//! The language is rhai's, in a box: no files, no modules, no `eval`, no
//! output, and limits on steps, depth and sizes, so that no rule can hang a run
//! or fill the memory.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use rhai::module_resolvers::DummyModuleResolver;
use rhai::{AST, Dynamic, Engine, Scope};

use super::schema::{MAX_CRF, PRESETS};
use super::{DynamicRules, Settings, params};
use crate::options::Use;
use crate::support::statistics;

/// Steps after which a rule is stopped: far more than any formula needs. A step
/// may go over all of an array or text, so that the sizes bound the time too.
const MAX_OPERATIONS: u64 = 100_000;
/// Nesting of expressions and of calls.
const MAX_DEPTH: usize = 64;
/// Bytes of a text.
const MAX_TEXT: usize = 16_384;
/// Items of an array or map.
const MAX_ITEMS: usize = 1_000;

/// The one that boosting drives, as av1an's scene list spells it.
pub const OURS: &str = "svt_av1";
/// Names of av1an encoders: as av1an's command line and as its scene list spells them.
const ENCODERS: [(&str, &str); 6] = [
    ("aom", "aom"),
    ("rav1e", "rav1e"),
    ("vpx", "vpx"),
    ("svt-av1", OURS),
    ("x264", "x264"),
    ("x265", "x265"),
];

/// Another encoder than the zone's, as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// An SvtAv1EncApp: an entry of `[encoders]`, or a path.
    Svt(String),
    /// An encoder of av1an's, as its scene list spells it.
    Av1an(&'static str),
}

/// Whether an entry of `[encoders]` can have this name: anything else stands for it.
pub fn is_free(name: &str) -> bool {
    !is_path(name) && !ENCODERS.iter().any(|(typed, listed)| name == *typed || name == *listed)
}

fn is_path(name: &str) -> bool {
    Path::new(name).components().count() > 1
}

/// What a rule may know of a scene.
#[derive(Debug, Clone)]
pub struct SceneFacts {
    scene: usize,
    frames: Range<usize>,
    average: Values,
    min: Values,
    max: Values,
    diff: Values,
}

impl SceneFacts {
    /// Scene number `scene`, which is `frames` of the clip, and its luma
    /// statistics: the values of exactly these frames, in the units of spec 01.
    pub fn new<A, B>(
        scene: usize,
        frames: Range<usize>,
        average: &[A],
        min: &[B],
        max: &[B],
        diff: &[A],
    ) -> Self
    where
        A: Into<f64> + Copy,
        B: Into<f64> + Copy,
    {
        Self {
            scene,
            frames,
            average: Values::new(average),
            min: Values::new(min),
            max: Values::new(max),
            diff: Values::new(diff),
        }
    }
}

/// A statistic of a scene's frames, sorted.
#[derive(Debug, Clone)]
struct Values(Arc<[f64]>);

impl Values {
    fn new<T: Into<f64> + Copy>(values: &[T]) -> Self {
        let mut sorted: Vec<f64> = values.iter().map(|v| (*v).into()).collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted.into())
    }

    /// 0 for no frames.
    fn mean(&self) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.iter().sum::<f64>() / self.0.len() as f64 }
    }

    /// The value that `percent` of the frames are not above, interpolated
    /// linearly between neighbours; 0 for no frames.
    fn percentile(&self, percent: f64) -> f64 {
        if self.0.is_empty() { 0.0 } else { statistics::percentile(&self.0, percent.clamp(0.0, 100.0)) }
    }
}

/// Whether `text` is an expression that can run.
pub fn check(text: &str) -> Result<()> {
    compile(&engine(), text).map(|_| ())
}

fn compile(engine: &Engine, text: &str) -> Result<AST> {
    // Names that are no variable are found here and not at the first scene.
    engine.compile_with_scope(&any_scene(), text).map_err(|e| anyhow!("{e}"))
}

fn any_scene() -> Scope<'static> {
    scope(&SceneFacts::new::<f64, f64>(0, 0..0, &[], &[], &[], &[]), 0.0, &[])
}

fn scope(facts: &SceneFacts, crf: f64, params: &[String]) -> Scope<'static> {
    // Not constants: those of `any_scene` would be folded into the parsed rule.
    let mut scope = Scope::new();
    scope.push("crf", crf);
    scope.push("params", shell_words::join(params));
    scope.push("start_frame", facts.frames.start as i64);
    scope.push("end_frame", facts.frames.end as i64);
    for (mean, all, values) in [
        ("luma_average", "luma_averages", &facts.average),
        ("luma_min", "luma_mins", &facts.min),
        ("luma_max", "luma_maxs", &facts.max),
        ("luma_diff", "luma_diffs", &facts.diff),
    ] {
        scope.push(mean, values.mean());
        scope.push(all, values.clone());
    }
    scope
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_expr_depths(MAX_DEPTH, MAX_DEPTH)
        .set_max_call_levels(MAX_DEPTH)
        .set_max_string_size(MAX_TEXT)
        .set_max_array_size(MAX_ITEMS)
        .set_max_map_size(MAX_ITEMS)
        .set_max_modules(0)
        .set_module_resolver(DummyModuleResolver::new())
        .set_strict_variables(true)
        .disable_symbol("eval")
        .disable_symbol("import")
        .on_print(|_| {})
        .on_debug(|_, _, _| {});
    engine
        .register_type_with_name::<Values>("luma statistics")
        .register_fn("percentile", |values: &mut Values, percent: f64| values.percentile(percent))
        .register_fn("percentile", |values: &mut Values, percent: i64| values.percentile(percent as f64))
        .register_fn("min", |a: f64, b: i64| a.min(b as f64))
        .register_fn("min", |a: i64, b: f64| b.min(a as f64))
        .register_fn("max", |a: f64, b: i64| a.max(b as f64))
        .register_fn("max", |a: i64, b: f64| b.max(a as f64));
    engine
}

/// A rule that parses.
#[derive(Debug)]
struct Rule {
    key: &'static str,
    text: String,
    ast: AST,
}

/// The rules of a zone, ready to run on any thread.
#[derive(Debug)]
pub struct Rules {
    engine: Engine,
    crf: Option<Rule>,
    final_preset: Option<Rule>,
    final_params: Option<Rule>,
    probing_params: Option<Rule>,
    photon_noise: Option<Rule>,
    encoder: Option<Rule>,
    probing_encoder: Option<Rule>,
    /// The entries of `[encoders]`.
    entries: Vec<String>,
}

impl Rules {
    /// Parses all rules; the error names key, expression and position.
    pub fn compile(rules: &DynamicRules) -> Result<Self> {
        let engine = engine();
        let rule = |key: &'static str, text: &Option<String>| -> Result<Option<Rule>> {
            let Some(text) = text else { return Ok(None) };
            let ast = compile(&engine, text)
                .map_err(|e| anyhow!("dynamic.{key} = `{text}` does not parse: {e}"))?;
            Ok(Some(Rule { key, text: text.clone(), ast }))
        };
        Ok(Self {
            crf: rule("crf", &rules.crf)?,
            final_preset: rule("final_preset", &rules.final_preset)?,
            final_params: rule("final_params", &rules.final_params)?,
            probing_params: rule("probing_params", &rules.probing_params)?,
            photon_noise: rule("photon_noise", &rules.photon_noise)?,
            encoder: rule("encoder", &rules.encoder)?,
            probing_encoder: rule("probing_encoder", &rules.probing_encoder)?,
            entries: Vec::new(),
            engine,
        })
    }

    /// The rules of a zone, which may name its `[encoders]`.
    pub fn of(settings: &Settings) -> Result<Self> {
        let entries = settings.encoders.keys().cloned().collect();
        Ok(Self { entries, ..Self::compile(&settings.dynamic)? })
    }

    /// The scene's CRF after the model and before Character Boost, 0 to 70;
    /// what a rule returns beyond is moved to the nearer end.
    pub fn crf(&self, facts: &SceneFacts, crf: f64) -> Result<f64> {
        self.run(self.crf.as_ref(), facts, crf, &[], |value| {
            let number = number(&value).filter(|n| n.is_finite()).ok_or("must be a number")?;
            Ok(number.clamp(0.0, MAX_CRF))
        })
        .map(|changed| changed.unwrap_or(crf))
    }

    /// The scene's final preset; `crf` is the model's first one.
    pub fn final_preset(&self, facts: &SceneFacts, crf: f64, preset: i32) -> Result<i32> {
        self.run(self.final_preset.as_ref(), facts, crf, &[], |value| {
            whole(&value, PRESETS.0, PRESETS.1)
                .ok_or_else(|| format!("must be an integer, {} to {}", PRESETS.0, PRESETS.1))
        })
        .map(|changed| changed.unwrap_or(preset))
    }

    /// The scene's final parameters; the rule sees those of the preset, `list`, as `params`.
    pub fn final_params(&self, facts: &SceneFacts, crf: f64, list: &[String]) -> Result<Vec<String>> {
        self.run(self.final_params.as_ref(), facts, crf, list, |value| words(value, Use::Final))
            .map(|changed| changed.unwrap_or_else(|| list.to_vec()))
    }

    /// The parameters of a probe at `crf`; the rule sees those of the preset, `list`, as `params`.
    pub fn probing_params(&self, facts: &SceneFacts, crf: f64, list: &[String]) -> Result<Vec<String>> {
        self.run(self.probing_params.as_ref(), facts, crf, list, |value| words(value, Use::Probing))
            .map(|changed| changed.unwrap_or_else(|| list.to_vec()))
    }

    /// The scene's photon noise, 1 to 64; a rule that returns nothing, or 0, turns it off.
    pub fn photon_noise(&self, facts: &SceneFacts, crf: f64, strength: Option<u32>) -> Result<Option<u32>> {
        self.run(self.photon_noise.as_ref(), facts, crf, &[], |value| {
            if value.is_unit() {
                return Ok(None);
            }
            let strength: u32 = whole(&value, 0, 64).ok_or("must be an integer, 0 to 64, or nothing")?;
            Ok(Some(strength).filter(|strength| *strength > 0))
        })
        .map(|changed| changed.unwrap_or(strength))
    }

    /// The encoder of the scene's final encode; `None` for the zone's own: without a
    /// rule, or when it returns nothing or `svt-av1`.
    pub fn encoder(&self, facts: &SceneFacts, crf: f64) -> Result<Option<Named>> {
        self.run(self.encoder.as_ref(), facts, crf, &[], |value| self.named(value, &ENCODERS))
            .map(Option::flatten)
    }

    /// The encoder of the scene's probes, likewise.
    pub fn probing_encoder(&self, facts: &SceneFacts) -> Result<Option<Named>> {
        let ours = ENCODERS.iter().filter(|(_, listed)| *listed == OURS);
        let ours: Vec<_> = ours.copied().collect();
        self.run(self.probing_encoder.as_ref(), facts, 0.0, &[], |value| self.named(value, &ours))
            .map(Option::flatten)
    }

    /// `allowed` are names of av1an's.
    fn named(&self, value: Dynamic, allowed: &[(&str, &'static str)]) -> Result<Option<Named>, String> {
        if value.is_unit() {
            return Ok(None);
        }
        let name = value.into_string().unwrap_or_default();
        if is_path(&name) || self.entries.contains(&name) {
            return Ok(Some(Named::Svt(name)));
        }
        if let Some((_, listed)) = allowed.iter().find(|(typed, listed)| name == *typed || name == *listed) {
            return Ok((*listed != OURS).then_some(Named::Av1an(listed)));
        }
        let names = self.entries.iter().map(String::as_str).chain(allowed.iter().map(|(typed, _)| *typed));
        let names: Vec<&str> = names.collect();
        Err(format!("must be one of {}, the path of an SvtAv1EncApp, or nothing", names.join(", ")))
    }

    /// `None` when there is no rule; errors name scene, key and expression.
    fn run<T>(
        &self,
        rule: Option<&Rule>,
        facts: &SceneFacts,
        crf: f64,
        params: &[String],
        read: impl FnOnce(Dynamic) -> Result<T, String>,
    ) -> Result<Option<T>> {
        let Some(rule) = rule else { return Ok(None) };
        let at = || {
            let Range { start, end } = facts.frames;
            format!("scene {} (frames {start} to {end}), dynamic.{} = `{}`", facts.scene, rule.key, rule.text)
        };
        let mut scope = scope(facts, crf, params);
        let value = match self.engine.eval_ast_with_scope::<Dynamic>(&mut scope, &rule.ast) {
            Ok(value) => value,
            Err(e) => bail!("{}: {e}", at()),
        };
        let shown = format!("{value:?}");
        read(value).map(Some).map_err(|allowed| anyhow!("{}: returned {shown}: {allowed}", at()))
    }
}

fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|n| n as f64))
}

/// An integer within the range; a float without fraction is one.
fn whole<T: TryFrom<i64> + PartialOrd + Copy>(value: &Dynamic, min: T, max: T) -> Option<T> {
    let number = number(value).filter(|n| n.fract() == 0.0 && n.abs() < 1e9)?;
    T::try_from(number as i64).ok().filter(|n| *n >= min && *n <= max)
}

fn words(value: Dynamic, used: Use) -> Result<Vec<String>, String> {
    let text = value.into_string().map_err(|_| "must be the encoder's parameters as a text")?;
    params::parse(&text, used)
}
