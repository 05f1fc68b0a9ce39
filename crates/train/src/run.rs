//! A run: every arm of a recipe at every seed, stage by stage, in one folder.
//!
//! A stage's folder is named by the hash of all that determines it. Arms share the stages they share, a
//! finished stage is never run again, and a run that was stopped goes on where it was.

use runs::lines;
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::atomic::AtomicBool,
};

use problems::{Generator, SpecError, spec::Cell, split::Split, stream::Stream};
use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

use learner::{LearnerFactory, ModelConfig};
use runs::records::{ArmRun, FORMAT, Manifest, stage_folder};
use runs::{Lock, files};

use crate::{
    error::RunError,
    eval::Suite,
    recipe::{Arm, ArmStage, Recipe, Stage},
    stage::{Job, validation_cells},
    watch::{Event, Watch},
};

/// Changes whenever the same stage would give other bytes: old stages are then not taken for new ones.
const BEHAVIOUR: u32 = 2;

/// What a run is told besides its recipe.
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
    /// Run folders that finished stages are taken from where they are the same.
    pub reuse: Vec<PathBuf>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is done.
    Finished,
    /// It was asked to stop, and saved where it was.
    Stopped,
}

/// A run in its folder, which no other process can take while it lives.
pub struct Run<'a> {
    recipe: Recipe,
    folder: PathBuf,
    factory: &'a dyn LearnerFactory,
    options: Options,
    _lock: Lock,
}

/// One stage of one arm at one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// Hash of all that determines it.
    pub key: String,
    /// Its folder's name.
    pub folder: String,
    /// The stage.
    pub stage: ArmStage,
}

/// `data/tokenizer/source.json`: what the tokenizer was trained on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TokenizerSource {
    key: String,
}

impl<'a> Run<'a> {
    /// Opens a run folder, or starts one, and keeps others out of it.
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
        files::make_folder(folder)?;
        let lock = Lock::take(folder)?;
        let manifest_path = folder.join("manifest.json");
        if manifest_path.exists() {
            let old: Manifest = files::read_json(&manifest_path)?;
            if old.name != recipe.document.name {
                let what = format!("a run of the recipe `{}`", old.name);
                return Err(RunError::Foreign { folder: folder.to_owned(), what });
            }
        }
        let run = Self { recipe, folder: folder.to_owned(), factory, options, _lock: lock };
        // What a killed process was making or removing.
        files::sweep_dead(folder)?;
        for inside in ["data", "stages"] {
            files::sweep(&folder.join(inside))?;
        }
        files::write(&folder.join("recipe.toml"), run.recipe.resolved().as_bytes())?;
        run.keep_contexts()?;
        files::write_json(&manifest_path, &run.manifest()?)?;
        Ok(run)
    }

    /// Puts the contexts of the recipe's own beside `recipe.toml`, where it looks for them. (A path that is absolute or
    /// climbs leads elsewhere from the run folder, too: what lies there stays as it is.)
    fn keep_contexts(&self) -> Result<(), RunError> {
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

    /// Does what is left to do. Asked to stop, it ends the step, saves, and says so.
    ///
    /// # Errors
    /// If a stage fails; what was finished before stays finished.
    pub fn execute(&self, watch: &mut dyn Watch, stop: &AtomicBool) -> Result<Outcome, RunError> {
        let tokenizer = self.tokenizer(watch)?;
        let suites = self.suites(watch)?;
        self.check_lengths(&suites, &tokenizer)?;
        for seed in self.seeds() {
            for arm in self.arms() {
                watch.on(Event::Arm { name: &arm.name, seed });
                let mut parent: Option<PathBuf> = None;
                for planned in stages(&self.recipe, arm, seed)? {
                    let folder = self.folder.join("stages").join(&planned.folder);
                    let job = Job {
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
                    };
                    if job.execute(watch, stop)?.is_none() {
                        return Ok(Outcome::Stopped);
                    }
                    parent = Some(folder);
                }
            }
        }
        Ok(Outcome::Finished)
    }

    fn arms(&self) -> impl Iterator<Item = &Arm> {
        let wanted = self.options.arm.as_ref();
        self.recipe.arms.iter().filter(move |arm| wanted.is_none_or(|wanted| *wanted == arm.name))
    }

    fn seeds(&self) -> Vec<u64> {
        self.options.seed.map_or_else(|| self.recipe.document.seeds.clone(), |seed| vec![seed])
    }

    fn manifest(&self) -> Result<Manifest, RunError> {
        let document = &self.recipe.document;
        let mut runs = Vec::new();
        for &seed in &document.seeds {
            for arm in &self.recipe.arms {
                let stages = stages(&self.recipe, arm, seed)?;
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
        })
    }

    /// The run's tokenizer: trained once, the same for all arms and seeds.
    fn tokenizer(&self, watch: &mut dyn Watch) -> Result<Tokenizer, RunError> {
        let path = self.folder.join("data").join("tokenizer");
        let source = TokenizerSource { key: tokenizer_key(&self.recipe)? };
        let source_path = path.join("source.json");
        if source_path.exists() {
            if files::read_json::<TokenizerSource>(&source_path)? != source {
                let what = "a tokenizer that was trained on other problems".to_owned();
                return Err(RunError::Foreign { folder: self.folder.clone(), what });
            }
            return Tokenizer::open(&path).map_err(|e| RunError::Data(e.to_string()));
        }
        watch.on(Event::Preparing("tokenizer"));
        let tokenizer = train_tokenizer(&self.recipe, self.recipe.document.tokenizer.problems)?;
        let partial = files::begin_folder(&path)?;
        tokenizer.save(&partial).map_err(|e| RunError::Data(e.to_string()))?;
        files::write_json(&partial.join("source.json"), &source)?;
        files::publish(&partial, &path)?;
        // As it will be read by every later run.
        Tokenizer::open(&path).map_err(|e| RunError::Data(e.to_string()))
    }

    fn suites(&self, watch: &mut dyn Watch) -> Result<Vec<Suite>, RunError> {
        let document = &self.recipe.document;
        let folder = self.folder.join("data").join("suites");
        files::make_folder(&folder)?;
        let mut suites = Vec::new();
        for config in &document.evaluation.suites {
            watch.on(Event::Preparing(&format!("suite {}", config.name)));
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

    /// A suite that a model cannot be asked must not come to light after its first stage. (Contexts that the tokenizer
    /// was not trained on take many tokens.)
    fn check_lengths(&self, suites: &[Suite], tokenizer: &Tokenizer) -> Result<(), RunError> {
        for suite in suites {
            let longest = suite.longest(tokenizer);
            if let Some(arm) = self.arms().find(|arm| arm.model.context < longest) {
                return Err(RunError::Data(format!(
                    "suite `{}`: a problem with its solution has {longest} tokens, and the model's context is {}",
                    suite.config.name, arm.model.context
                )));
            }
        }
        Ok(())
    }
}

fn check_choice(recipe: &Recipe, options: &Options) -> Result<(), RunError> {
    if let Some(arm) = &options.arm
        && !recipe.arms.iter().any(|a| a.name == *arm)
    {
        let known: Vec<&str> = recipe.arms.iter().map(|arm| arm.name.as_str()).collect();
        return Err(RunError::Unknown { what: "arm", name: arm.clone(), known: known.join(", ") });
    }
    if let Some(seed) = options.seed
        && !recipe.document.seeds.contains(&seed)
    {
        let known: Vec<String> = recipe.document.seeds.iter().map(u64::to_string).collect();
        return Err(RunError::Unknown { what: "seed", name: seed.to_string(), known: known.join(", ") });
    }
    Ok(())
}

/// The stages of an arm at a seed, with their keys.
///
/// # Errors
/// If a part of the recipe has no JSON form.
pub fn stages(recipe: &Recipe, arm: &Arm, seed: u64) -> Result<Vec<PlannedStage>, RunError> {
    let document = &recipe.document;
    let tokenizer = tokenizer_key(recipe)?;
    let mut parent = String::new();
    let mut planned = Vec::new();
    for stage in &arm.stages {
        let cells: Vec<(&Cell, &f64)> = stage.cells.iter().collect();
        let files: Vec<&String> = stage.files.iter().map(|file| &file.hash).collect();
        let validation = if stage.stage.validate_every == 0 {
            None
        } else {
            let evaluation = &document.evaluation;
            let cells = validation_cells(document, &stage.cells);
            Some((evaluation.seed, evaluation.validation_problems, cells))
        };
        // What is measured on the way does not change what is trained.
        let training = Stage { evaluate_milestones: false, ..stage.stage.clone() };
        let key = key(&(
            (BEHAVIOUR, &tokenizer, &parent, seed, &arm.model),
            (&document.world, document.split, &recipe.context_texts),
            (training, cells, validation, files),
        ))?;
        parent.clone_from(&key);
        let folder = stage_folder(&stage.stage.name, &key);
        planned.push(PlannedStage { key, folder, stage: stage.clone() });
    }
    Ok(planned)
}

fn key(parts: &impl Serialize) -> Result<String, RunError> {
    let text = serde_json::to_string(parts).map_err(|e| RunError::Data(e.to_string()))?;
    Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
}

/// Hash of all that determines the tokenizer.
fn tokenizer_key(recipe: &Recipe) -> Result<String, RunError> {
    let document = &recipe.document;
    let cells: Vec<(Cell, f64)> = tokenizer_cells(recipe).into_iter().collect();
    key(&(BEHAVIOUR, &document.tokenizer, &document.world, document.split, &recipe.context_texts, cells))
}

/// The cells the tokenizer is trained on: those of its mix, or of every stage of every arm.
fn tokenizer_cells(recipe: &Recipe) -> BTreeMap<Cell, f64> {
    let document = &recipe.document;
    if let Some(parts) = document.mix.get(&document.tokenizer.mix) {
        return crate::recipe::mix::cells(parts).unwrap_or_default();
    }
    let mut cells = BTreeMap::new();
    let mut counted: Vec<&BTreeMap<Cell, f64>> = Vec::new();
    for stage in recipe.arms.iter().flat_map(|arm| &arm.stages) {
        if !counted.contains(&&stage.cells) {
            counted.push(&stage.cells);
            for (cell, weight) in &stage.cells {
                *cells.entry(cell.clone()).or_insert(0.0) += weight;
            }
        }
    }
    let sum: f64 = cells.values().sum();
    for weight in cells.values_mut() {
        *weight /= sum;
    }
    cells
}

/// Trains a recipe's tokenizer on about so many problems, every cell at least once.
///
/// # Errors
/// If the world is impossible or the vocabulary too small.
pub fn train_tokenizer(recipe: &Recipe, problems: u64) -> Result<Tokenizer, RunError> {
    let document = &recipe.document;
    let key = Stream::root(document.tokenizer.seed).fork("tokenizer").key();
    let seed = u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]]);
    let split = Some((Split::Train, document.split));
    let generator = Generator::new(&document.world, &recipe.contexts, seed, split)
        .map_err(|e| RunError::Data(e.to_string()))?;
    let sequence = |(cell, weight): (Cell, f64)| Ok((generator.sequence(&cell)?, weight));
    let sequences: Result<Vec<_>, SpecError> = tokenizer_cells(recipe).into_iter().map(sequence).collect();
    let sequences = sequences.map_err(|e| RunError::Data(format!("the tokenizer: {e}")))?;
    let texts = sequences.iter().flat_map(|(sequence, weight)| {
        let count = ((weight * problems as f64).round() as u64).max(1);
        (0..count).map(move |i| {
            let problem = sequence.problem(i);
            problem.prompt() + &problem.response()
        })
    });
    Tokenizer::train(texts, document.tokenizer.vocab).map_err(|e| RunError::Data(e.to_string()))
}

/// The arm's model with what the tokenizer decides filled in.
fn model_of(arm: &Arm, tokenizer: &Tokenizer) -> ModelConfig {
    let vocab = if arm.model.vocab == 0 { tokenizer.vocab_size() } else { arm.model.vocab };
    let eos = arm.model.eos.or(Some(tokenizer.eos()));
    let pad = arm.model.pad.or(Some(tokenizer.pad()));
    ModelConfig { vocab, eos, pad, ..arm.model.clone() }
}
