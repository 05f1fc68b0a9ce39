//! A run: every arm of a recipe at every seed, stage by stage, in one folder.
//!
//! A stage's folder is named by the hash of all that determines it. So arms share stages that are the same, a finished
//! stage is never run again, and a run that was stopped goes on where it was. The stages form a graph ([`graph`]), and any
//! number of processes walk it side by side: each takes what can be begun and nobody works on.

mod check;
mod checkpoint;
mod done;
pub mod graph;
mod journals;
mod key;
mod lengths;
pub mod plan;
mod report;
mod reuse;
mod stage;
mod traps;
mod validation;
mod walk;

use std::{
    path::{Component, Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use learner::LearnerFactory;
use runs::{
    Lock, Locks, files,
    locks::{self, Presence, Taken},
    records::{EngineInfo, FORMAT, Manifest},
};
use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

pub use crate::outcome::Outcome;
pub use check::{Checked, Finding, check};
pub use checkpoint::{LoopState, check_weights};
pub use graph::Graph;
pub use key::{PlannedStage, stages, stages_on};

use self::{report::Reported, walk::Walk};
use crate::{
    error::RunError,
    observer::Observer,
    recipe::{Arm, Model, Recipe, unknown},
};

/// The options of a run, besides its recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The command that makes the run, for the manifest.
    pub command: String,
    /// Version and source revision, for the manifest.
    pub revision: String,
    /// Only this arm.
    pub arm: Option<String>,
    /// Only this seed.
    pub seed: Option<u64>,
    /// Run folders that finished stages are taken from if they are the same.
    pub reuse: Vec<PathBuf>,
    /// What the factory's learners run on, if it is not this program's own engine.
    pub engine: Option<EngineInfo>,
    /// Only this part of the run: a stage, `tokenizer` or `suites`, by its name or key. What it starts from must be there.
    pub stage: Option<String>,
    /// Work with leases that are taken over when they have stood still for so long, instead of the file system's locks.
    pub lease: Option<Duration>,
}

/// A run in its folder, in which others may work as well.
pub struct Run<'a> {
    recipe: Recipe,
    folder: PathBuf,
    factory: &'a dyn LearnerFactory,
    options: Options,
    graph: Graph,
    locks: Locks,
    _presence: Presence,
    /// The report that lay there when the run was opened.
    reported: Option<Reported>,
}

/// `data/tokenizer/source.json`: what the tokenizer was trained on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TokenizerSource {
    key: String,
}

impl<'a> Run<'a> {
    /// Opens a run folder or starts one. Others may work there on the same recipe.
    ///
    /// # Errors
    /// If others work there on another recipe, the folder holds something else, or it cannot be written.
    pub fn open(
        recipe: Recipe,
        folder: &Path,
        factory: &'a dyn LearnerFactory,
        options: Options,
    ) -> Result<Self, RunError> {
        let graph = Graph::of(&recipe, options.engine.as_ref())?;
        graph.wanted(&recipe, &options)?;
        check_models(&recipe, factory)?;
        files::make_folder(folder)?;
        let locks = Locks::open(folder, options.lease)?;
        let opening = wait(&locks, locks::OPENING)?;
        let presence = locks.join()?;
        let (is_alone, folder) = (presence.is_alone, folder.to_owned());
        let reported = report::last(&folder)?;
        let run = Self { recipe, folder, factory, options, graph, locks, _presence: presence, reported };
        // What a killed process was making.
        files::sweep_dead(&run.folder)?;
        run.describe(is_alone)?;
        drop(opening);
        Ok(run)
    }

    /// Copies the recipe's context files beside `recipe.toml`, where it looks for them. (A path that is absolute or climbs
    /// leads out of the run folder: what lies there stays as it is.)
    fn copy_contexts(&self) -> Result<(), RunError> {
        for (name, text) in self.recipe.document.context_files.iter().zip(&self.recipe.context_texts) {
            let path = Path::new(name);
            if path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
                let path = self.folder.join(path);
                files::make_folder(path.parent().unwrap_or(&self.folder))?;
                files::write(&path, text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Does what is left to do, beside other processes that work in the folder. If `stop` is set, it ends the step, saves,
    /// and returns [`Outcome::Stopped`]. A stage that cannot go on is left, with those that start from it, and its error is
    /// returned when the rest is done.
    ///
    /// # Errors
    /// If a stage fails; what was finished before stays finished.
    pub fn execute(&self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, RunError> {
        Walk::new(self)?.go(observer, stop)
    }

    /// The graph of the recipe.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    fn arms(&self) -> impl Iterator<Item = &Arm> {
        let wanted = self.options.arm.as_ref();
        self.recipe.arms.iter().filter(move |arm| wanted.is_none_or(|wanted| *wanted == arm.name))
    }

    /// Writes what describes the run, unless others work on the same one. Only for the holder of the lock
    /// [`locks::OPENING`].
    fn describe(&self, is_alone: bool) -> Result<(), RunError> {
        let path = self.folder.join("manifest.json");
        let old: Option<Manifest> = files::read_optional(&path)?;
        if let Some(old) = &old
            && old.name != self.recipe.document.name
        {
            let what = format!("a run of the recipe `{}`", old.name);
            return Err(RunError::Foreign { folder: self.folder.clone(), what });
        }
        let known = old.as_ref().map(|old| old.engines.clone()).unwrap_or_default();
        let manifest = self.manifest(known);
        match old {
            Some(old) if !is_alone || self.options.stage.is_some() => {
                let is_same = (&old.recipe_hash, &old.runs) == (&manifest.recipe_hash, &manifest.runs);
                match (is_same, is_alone) {
                    (true, _) => {}
                    (false, false) => return Err(RunError::Beside { folder: self.folder.clone() }),
                    (false, true) => return self.write_description(&manifest),
                }
                if old.engines != manifest.engines {
                    files::write_json(&path, &Manifest { engines: manifest.engines, ..old })?;
                }
            }
            _ => self.write_description(&manifest)?,
        }
        Ok(())
    }

    fn write_description(&self, manifest: &Manifest) -> Result<(), RunError> {
        files::write(&self.folder.join("recipe.toml"), self.recipe.resolved().as_bytes())?;
        self.copy_contexts()?;
        Ok(files::write_json(&self.folder.join("manifest.json"), manifest)?)
    }

    /// The manifest. `engines` are those that the run was on so far.
    fn manifest(&self, mut engines: Vec<EngineInfo>) -> Manifest {
        // One without a device was not started: nothing ran on it.
        let used = self.options.engine.clone().filter(|engine| !engine.device.is_empty());
        engines.extend(used.filter(|engine| engines.last() != Some(engine)));
        let document = &self.recipe.document;
        Manifest {
            format: FORMAT,
            name: document.name.clone(),
            question: document.question.clone(),
            command: self.options.command.clone(),
            recipe_hash: self.recipe.hash(),
            revision: self.options.revision.clone(),
            bands: document.evaluation.bands.clone(),
            runs: self.graph.runs.clone(),
            engines,
        }
    }
}

/// Takes a lock that others hold for moments only.
fn wait(locks: &Locks, name: &str) -> Result<Lock, RunError> {
    loop {
        if let Taken::Lock(lock) = locks.take(name)? {
            return Ok(lock);
        }
        thread::sleep(locks.pause() / 5);
    }
}

fn check_choice(recipe: &Recipe, options: &Options) -> Result<(), RunError> {
    if let Some(arm) = &options.arm
        && !recipe.arms.iter().any(|a| a.name == *arm)
    {
        let known = recipe.arms.iter().map(|arm| arm.name.as_str());
        return Err(RunError::Unknown(unknown("arm", arm, known)));
    }
    if let Some(seed) = options.seed
        && !recipe.document.seeds.contains(&seed)
    {
        let known: Vec<String> = recipe.document.seeds.iter().map(u64::to_string).collect();
        let known = known.iter().map(String::as_str);
        return Err(RunError::Unknown(unknown("seed", &seed.to_string(), known)));
    }
    Ok(())
}

/// Checks that every model that is given can be trained here.
///
/// # Errors
/// What the learner's side says, e.g. that it does not know the architecture.
pub fn check_models(recipe: &Recipe, factory: &dyn LearnerFactory) -> Result<(), RunError> {
    for given in recipe.arms.iter().filter_map(|arm| arm.model.given()) {
        factory.check(&given.dir)?;
    }
    Ok(())
}

/// The arm's model with what the tokenizer decides filled in.
fn model_of(arm: &Arm, tokenizer: &Tokenizer) -> Model {
    let mut model = arm.model.clone();
    if let Model::Fresh(shape) = &mut model {
        shape.vocab = if shape.vocab == 0 { tokenizer.vocab_size() } else { shape.vocab };
        shape.eos = shape.eos.or(Some(tokenizer.eos()));
        shape.pad = shape.pad.or(Some(tokenizer.pad()));
    }
    model
}
