//! The encoders of a run, each opened once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use super::recipe::Recipe;
use crate::encoder::Program;
use crate::options::Coder;
use crate::support::cancel::Cancel;

/// Which encoder a scene is for: the usual one of its kind, or the program at a path.
pub type Wanted = (Coder, Option<PathBuf>);

/// Opens encoders when they are first asked for.
pub struct Tools {
    opened: Mutex<BTreeMap<Wanted, Arc<Program>>>,
    /// The program of scenes that name none.
    usual: Option<(Coder, PathBuf)>,
    /// Where is remembered what encoders can do.
    cache: PathBuf,
    cancel: Cancel,
}

impl Tools {
    pub fn new(usual: Option<(Coder, PathBuf)>, cache: &Path, cancel: &Cancel) -> Self {
        Self { opened: Mutex::default(), usual, cache: cache.to_path_buf(), cancel: cancel.clone() }
    }

    /// With an encoder that is open.
    #[must_use]
    pub fn with(self, wanted: Wanted, program: Program) -> Self {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(wanted, Arc::new(program));
        self
    }

    pub fn get(&self, wanted: &Wanted) -> Result<Arc<Program>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.get(wanted) {
            return Ok(Arc::clone(known));
        }
        let (coder, path) = wanted;
        let usual = self.usual.as_ref().filter(|(usual, _)| usual == coder).map(|(_, path)| path.as_path());
        let program = Program::open(*coder, path.as_deref().or(usual), &self.cache, &self.cancel);
        let program = program.with_context(|| match path {
            Some(path) => format!("a scene is for the encoder {}", path.display()),
            None => "cannot open the encoder".to_owned(),
        });
        let program = Arc::new(program?);
        opened.insert(wanted.clone(), Arc::clone(&program));
        Ok(program)
    }

    pub fn of(&self, recipe: &Recipe) -> Result<Arc<Program>> {
        self.get(&recipe.wanted())
    }

    /// What tells a recipe's encoder from others: by its version, where the scene names no
    /// program, else by its file as well, because forks may have the same version.
    pub fn identity(&self, recipe: &Recipe) -> Result<String> {
        let tool = self.of(recipe)?;
        Ok(match (&*tool, &recipe.program) {
            (Program::SvtAv1(encoder), Some(_)) => format!("{} {}", tool.version(), encoder.identity.hash),
            _ => tool.version().to_owned(),
        })
    }

    /// The encoders that are open.
    pub fn all(&self) -> Vec<Arc<Program>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
