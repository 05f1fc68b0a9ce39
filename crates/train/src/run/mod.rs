//! A run: every arm of a recipe at every seed, stage by stage, in one folder.
//!
//! A stage's folder is named by the hash of all that determines it. So arms share stages that are the same, a finished
//! stage is never run again, and a run that was stopped goes on where it was.

mod check;
mod checkpoint;
mod done;
mod journals;
mod key;
mod lengths;
pub mod plan;
mod reuse;
mod stage;
mod traps;
mod validation;

use std::{
    fs,
    path::{Component, Path, PathBuf},
    sync::atomic::AtomicBool,
};

use learner::LearnerFactory;
use runs::{
    Lock, files, lines,
    records::{ArmRun, EngineInfo, FORMAT, Manifest},
};
use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

pub use crate::outcome::Outcome;
pub use check::{Checked, Finding, check};
pub use checkpoint::{LoopState, check_weights};
pub use key::{PlannedStage, stages, stages_on};

use self::{
    key::{stages_with, tokenizer_key},
    lengths::Lengths,
    stage::StageRun,
};
use crate::{
    data,
    error::RunError,
    eval::Suite,
    observer::{Event, Observer},
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
}

/// A run in its folder. No other process can work there while this lives.
pub struct Run<'a> {
    recipe: Recipe,
    folder: PathBuf,
    factory: &'a dyn LearnerFactory,
    options: Options,
    lock: Lock,
}

/// `data/tokenizer/source.json`: what the tokenizer was trained on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TokenizerSource {
    key: String,
}

impl<'a> Run<'a> {
    /// Opens a run folder or starts one, and locks it.
    ///
    /// # Errors
    /// If another process works there, the folder holds something else, or it cannot be written.
    pub fn open(
        recipe: Recipe,
        folder: &Path,
        factory: &'a dyn LearnerFactory,
        options: Options,
    ) -> Result<Self, RunError> {
        check_choice(&recipe, &options)?;
        check_models(&recipe, factory)?;
        files::make_folder(folder)?;
        let lock = Lock::take(folder)?;
        let manifest_path = folder.join("manifest.json");
        let mut engines = Vec::new();
        if manifest_path.exists() {
            let old: Manifest = files::read_json(&manifest_path)?;
            if old.name != recipe.document.name {
                let what = format!("a run of the recipe `{}`", old.name);
                return Err(RunError::Foreign { folder: folder.to_owned(), what });
            }
            engines = old.engines;
        }
        let run = Self { recipe, folder: folder.to_owned(), factory, options, lock };
        // What a killed process was making or removing.
        files::sweep_dead(folder)?;
        for inside in ["data", "stages"] {
            files::sweep(&folder.join(inside))?;
        }
        files::write(&folder.join("recipe.toml"), run.recipe.resolved().as_bytes())?;
        run.copy_contexts()?;
        files::write_json(&manifest_path, &run.manifest(engines)?)?;
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

    /// Does what is left to do. If `stop` is set, it ends the step, saves, and returns [`Outcome::Stopped`].
    ///
    /// # Errors
    /// If a stage fails; what was finished before stays finished.
    pub fn execute(&self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, RunError> {
        let tokenizer = self.tokenizer(observer)?;
        let suites = self.suites(observer)?;
        self.check_lengths(&suites, &tokenizer)?;
        let key = tokenizer_key(&self.recipe)?;
        for seed in self.seeds() {
            for arm in self.arms() {
                observer.on(Event::Arm { name: &arm.name, seed });
                let mut parent: Option<PathBuf> = None;
                for planned in self.stages(&key, arm, seed)? {
                    let folder = self.folder.join("stages").join(&planned.folder);
                    let stage = StageRun {
                        recipe: &self.recipe,
                        stage: &planned.stage,
                        model: &model_of(arm, &tokenizer),
                        seed,
                        key: &planned.key,
                        folder: &folder,
                        parent: parent.as_deref(),
                        tokenizer: &tokenizer,
                        suites: &suites,
                        factory: self.factory,
                        reuse: &self.options.reuse,
                        lock: &self.lock,
                        stop,
                    };
                    if stage.execute(observer)? == Outcome::Stopped {
                        return Ok(Outcome::Stopped);
                    }
                    parent = Some(folder);
                }
            }
        }
        Ok(Outcome::Finished(()))
    }

    fn arms(&self) -> impl Iterator<Item = &Arm> {
        let wanted = self.options.arm.as_ref();
        self.recipe.arms.iter().filter(move |arm| wanted.is_none_or(|wanted| *wanted == arm.name))
    }

    fn seeds(&self) -> Vec<u64> {
        self.options.seed.map_or_else(|| self.recipe.document.seeds.clone(), |seed| vec![seed])
    }

    fn stages(&self, tokenizer: &str, arm: &Arm, seed: u64) -> Result<Vec<PlannedStage>, RunError> {
        stages_with(&self.recipe, tokenizer, (arm, seed), self.options.engine.as_ref())
    }

    /// The manifest. `engines` are those that the run was on so far.
    fn manifest(&self, mut engines: Vec<EngineInfo>) -> Result<Manifest, RunError> {
        engines.extend(self.options.engine.clone().filter(|engine| engines.last() != Some(engine)));
        let document = &self.recipe.document;
        let key = tokenizer_key(&self.recipe)?;
        let mut runs = Vec::new();
        for &seed in &document.seeds {
            for arm in &self.recipe.arms {
                let stages = self.stages(&key, arm, seed)?;
                let stages = stages.into_iter().map(|stage| stage.folder).collect();
                runs.push(ArmRun { arm: arm.name.clone(), seed, stages });
            }
        }
        Ok(Manifest {
            format: FORMAT,
            name: document.name.clone(),
            question: document.question.clone(),
            command: self.options.command.clone(),
            recipe_hash: self.recipe.hash(),
            revision: self.options.revision.clone(),
            bands: document.evaluation.bands.clone(),
            runs,
            engines,
        })
    }

    /// The run's tokenizer: trained once or given, the same for all arms and seeds.
    fn tokenizer(&self, observer: &mut dyn Observer) -> Result<Tokenizer, RunError> {
        let path = self.folder.join("data").join("tokenizer");
        let source = TokenizerSource { key: tokenizer_key(&self.recipe)? };
        let source_path = path.join("source.json");
        if source_path.exists() {
            if files::read_json::<TokenizerSource>(&source_path)? != source {
                let what = "a tokenizer that was trained on other problems".to_owned();
                return Err(RunError::Foreign { folder: self.folder.clone(), what });
            }
            return Ok(Tokenizer::open_any(&path)?);
        }
        observer.on(Event::Preparing("tokenizer"));
        let tokenizer = data::tokenizer(&self.recipe, u64::MAX)?;
        let partial = files::begin_folder(&path)?;
        tokenizer.save(&partial)?;
        files::write_json(&partial.join("source.json"), &source)?;
        files::publish(&partial, &path)?;
        // As it will be read by every later run.
        Ok(Tokenizer::open_any(&path)?)
    }

    fn suites(&self, observer: &mut dyn Observer) -> Result<Vec<Suite>, RunError> {
        let document = &self.recipe.document;
        let folder = self.folder.join("data").join("suites");
        files::make_folder(&folder)?;
        let mut suites = Vec::new();
        for config in &document.evaluation.suites {
            observer.on(Event::Preparing(&format!("suite {}", config.name)));
            let contexts = &self.recipe.contexts;
            let seed = document.evaluation.seed;
            let suite = Suite::make(config, &document.world, contexts, document.split, seed)?;
            let path = folder.join(format!("{}.jsonl", config.name));
            let text = lines::to_bytes(&path, &suite.records())?;
            if fs::read(&path).ok().as_deref() != Some(&text[..]) {
                files::write(&path, &text)?;
            }
            suites.push(suite);
        }
        Ok(suites)
    }

    /// Refuses stages and suites that do not fit the model's context before the first stage begins. (Stories that the
    /// tokenizer was not trained on take many tokens.)
    fn check_lengths(&self, suites: &[Suite], tokenizer: &Tokenizer) -> Result<(), RunError> {
        for arm in self.arms() {
            traps::check_vocabulary(arm, tokenizer)?;
        }
        for suite in suites {
            let longest = suite.longest(tokenizer);
            if let Some(arm) = self.arms().find(|arm| arm.model.context() < longest) {
                return Err(RunError::Data(format!(
                    "suite `{}`: a problem with its solution has {longest} tokens, and the model's context is {}",
                    suite.config.name,
                    arm.model.context()
                )));
            }
        }
        let lengths = Lengths::new(&self.recipe, tokenizer)?;
        for arm in self.arms() {
            traps::check_context(arm, &lengths)?;
        }
        Ok(())
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
