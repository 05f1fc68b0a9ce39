//! One stage from beginning to end: resume, loop, checkpoints, evaluation, the mark that it is done.

use runs::{checkpoints, error::failed};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use problems::{Generator, Problem, spec::Cell, split::Split, stream::Stream};
use tokens::Tokenizer;

use learner::{Learner, LearnerFactory, ModelConfig};
use runs::records::{FORMAT, MetricsRow, StageDone, StageInfo, StageKind};
use runs::{files, journal::Journal};

use crate::{
    batches::Source,
    checkpoint::{self, LoopState},
    corpus::Corpus,
    error::RunError,
    eval::{Suite, evaluate_into, gold_nll},
    ledger::Ledger,
    metrics::Metrics,
    mixture::Mixture,
    recipe::{ArmStage, Recipe, stage::ShareOf},
    reuse,
    rl::Reinforcement,
    rollout::Roller,
    supply::Supply,
    training::Training,
    watch::{Event, Watch},
};

/// The mark of a finished stage.
pub const DONE_FILE: &str = "done.json";

/// All that a stage needs.
pub(crate) struct Job<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) stage: &'a ArmStage,
    pub(crate) model: &'a ModelConfig,
    pub(crate) seed: u64,
    pub(crate) key: &'a str,
    /// The stage's folder.
    pub(crate) folder: &'a Path,
    /// The folder of the stage it starts from.
    pub(crate) parent: Option<&'a Path>,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) suites: &'a [Suite],
    pub(crate) factory: &'a dyn LearnerFactory,
    /// Run folders that the stage is taken from where it is finished.
    pub(crate) reuse: &'a [PathBuf],
}

impl Job<'_> {
    /// Takes the stage to its end; `None` if `stop` was set before.
    pub(crate) fn execute(
        &self,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Option<StageDone>, RunError> {
        let taken_from = reuse::take(self)?;
        let done_path = self.folder.join(DONE_FILE);
        if done_path.exists() {
            let done: StageDone = files::read_json(&done_path)?;
            if let Some(folder) = self.folder.file_name().and_then(|name| name.to_str()) {
                watch.on(Event::StageKnown { folder, taken_from });
            }
            // Suites can be added to a stage that is done.
            return Ok(self.evaluate(watch, stop)?.then_some(done));
        }
        files::make_folder(self.folder)?;
        let (mut training, mut resumed) = self.begin()?;
        let info = self.info(training.learner.parameters()? as u64);
        files::write_json(&self.folder.join("stage.json"), &info)?;
        watch.on(Event::StageStarted { info: &info, done: training.step });
        if !self.train(&mut training, &mut resumed, &info, watch, stop)? {
            return Ok(None);
        }
        let ledger = training.ledger.clone();
        drop(training);
        files::write_json(&self.folder.join("exposure.json"), &ledger.exposure())?;
        checkpoint::prune(self.folder, self.stage.stage.keep, &self.stage.stage.milestones)?;
        if !self.evaluate(watch, stop)? {
            return Ok(None);
        }
        let done = StageDone {
            format: FORMAT,
            steps: info.steps,
            cost: ledger.cost(info.parameters),
            weights_hash: checkpoint::weights_hash(&self.last_checkpoint()?)?,
        };
        files::write_json(&done_path, &done)?;
        watch.on(Event::StageDone { info: &info, done: &done });
        Ok(Some(done))
    }

    /// The loop with its checkpoints. `false` if `stop` was set.
    fn train(
        &self,
        training: &mut Training<'_>,
        journals: &mut Journals,
        info: &StageInfo,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<bool, RunError> {
        let validation = self.validation()?;
        let every = self.stage.stage.validate_every;
        let mut measure = |learner: &mut dyn Learner, step: u64, metrics: &mut Metrics| {
            if every > 0 && step.is_multiple_of(every) {
                validate(learner, self.tokenizer, &validation, metrics)?;
            }
            Ok(())
        };
        while training.step < training.steps {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let Some(report) = training.next(watch, &mut measure)? else { break };
            journals.metrics.push(&report.metrics)?;
            journals.timings.push(&report.timings)?;
            watch.on(Event::Step { info, metrics: &report.metrics, timings: &report.timings });
            if self.is_due(training) || stop.load(Ordering::Relaxed) {
                let path = self.save(training, journals)?;
                watch.on(Event::Checkpoint { path: &path });
            }
        }
        Ok(true)
    }

    fn is_due(&self, training: &Training<'_>) -> bool {
        let stage = &self.stage.stage;
        let every = stage.checkpoint_every;
        training.step == training.steps
            || stage.milestones.contains(&training.step)
            || (every > 0 && training.step.is_multiple_of(every))
    }

    fn save(&self, training: &Training<'_>, journals: &mut Journals) -> Result<PathBuf, RunError> {
        let stage = &self.stage.stage;
        let state = LoopState {
            format: FORMAT,
            key: self.key.to_owned(),
            step: training.step,
            ledger: training.ledger.clone(),
            source: training.source.state(),
            metrics_bytes: journals.metrics.sync()?,
        };
        let unfinished = training.step < training.steps;
        let path = checkpoint::save(self.folder, &*training.learner, self.tokenizer, &state, unfinished)?;
        checkpoint::prune(self.folder, stage.keep, &stage.milestones)?;
        Ok(path)
    }

    /// The stage where the last checkpoint left it, or at its beginning.
    fn begin(&self) -> Result<(Training<'_>, Journals), RunError> {
        let mut source = self.source()?;
        let (learner, step, ledger, bytes) = match checkpoints::last(self.folder)? {
            Some(path) => {
                let state = checkpoint::state(&path, self.key)?;
                if !source.restore(&state.source) {
                    return Err(checkpoint::unusable(&path, &"its counters are of another mix"));
                }
                let learner = checkpoint::model(&path, self.factory)?;
                (learner, state.step, state.ledger, state.metrics_bytes)
            }
            None => (self.first_model()?, 0, Ledger::default(), 0),
        };
        let stage = &self.stage.stage;
        let training = Training { learner, source, ledger, stage, steps: stage.total_steps(), step };
        Ok((training, Journals::open(self.folder, step, bytes)?))
    }

    /// The model that the stage starts from: the parent's last, or fresh weights.
    fn first_model(&self) -> Result<Box<dyn Learner>, RunError> {
        let Some(parent) = self.parent else {
            let key = Stream::root(self.seed).fork("weights").key();
            return Ok(self.factory.fresh(self.model, key)?);
        };
        match checkpoints::last(parent)? {
            Some(path) => self.factory.open(&path).map_err(|e| checkpoint::unusable(&path, &e)),
            None => Err(no_checkpoint(parent)),
        }
    }

    fn source(&self) -> Result<Box<dyn Source + '_>, RunError> {
        let stage = &self.stage.stage;
        let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) else {
            let mixture = Mixture::new(&self.stage.cells, stage.share_of);
            let corpus = Corpus::new(self.supply(Split::Train)?, self.tokenizer, mixture, stage);
            return Ok(Box::new(corpus));
        };
        let roller = Roller {
            supply: self.supply(Split::Rl)?,
            tokenizer: self.tokenizer,
            stream: Stream::root(self.seed).fork("rollouts").fork(&stage.name),
            config: rollout.clone(),
        };
        let reference = if policy.kl.active() { Some(self.first_model()?) } else { None };
        let nominal =
            if rollout.nominal_length == 0 { self.model.context as u64 } else { rollout.nominal_length };
        Ok(Box::new(Reinforcement::new(
            roller,
            policy.clone(),
            Mixture::new(&self.stage.cells, ShareOf::Problems),
            self.stage.cells.values().copied().collect(),
            reference,
            stage.micro_tokens,
            nominal,
            self.folder.join("rollouts"),
        )))
    }

    /// The stage's problems: its files', or a stream of its own. No two stages share a stream, so none trains
    /// on another's problems in the same order.
    fn supply(&self, split: Split) -> Result<Supply, RunError> {
        if !self.stage.files.is_empty() {
            return Supply::of_files(&self.stage.files);
        }
        let document = &self.recipe.document;
        let key = Stream::root(self.seed).fork("problems").fork(&self.stage.stage.name).key();
        let seed = u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]]);
        Generator::new(&document.world, &self.recipe.contexts, seed, Some((split, document.split)))
            .and_then(|generator| Supply::of_generator(&generator, self.stage.cells.keys()))
            .map_err(|e| RunError::Data(e.to_string()))
    }

    /// Held-out problems of every cell whose loss is measured, with the cell's name.
    fn validation(&self) -> Result<Vec<(String, Vec<Problem>)>, RunError> {
        if self.stage.stage.validate_every == 0 {
            return Ok(Vec::new());
        }
        let document = &self.recipe.document;
        let split = Some((Split::Validation, document.split));
        let generator =
            Generator::new(&document.world, &self.recipe.contexts, document.evaluation.seed, split)
                .map_err(|e| RunError::Data(e.to_string()))?;
        let problems = |cell: Cell| {
            let sequence = generator.sequence(&cell).map_err(|e| RunError::Data(e.to_string()))?;
            let count = document.evaluation.validation_problems;
            let name = format!("eval/loss/op{}/{}/{}", cell.op, cell.context, cell.mode.name());
            Ok((name, (0..count).map(|i| sequence.problem(i)).collect()))
        };
        validation_cells(document, &self.stage.cells).into_iter().map(problems).collect()
    }

    /// Runs the suites on the last checkpoint, and on milestones if asked. `false` if `stop` was set.
    fn evaluate(&self, watch: &mut dyn Watch, stop: &AtomicBool) -> Result<bool, RunError> {
        let stage = &self.stage.stage;
        let evals = self.folder.join("evals");
        let mut models = vec![(self.last_checkpoint()?, evals.clone())];
        if stage.evaluate_milestones {
            for &step in &stage.milestones {
                let path = checkpoints::of_step(self.folder, step);
                if path.is_dir() && path != models[0].0 {
                    models.push((path, evals.join(format!("step-{step:06}"))));
                }
            }
        }
        for (model, folder) in models {
            for suite in self.suites {
                let after = &suite.config.after;
                if !after.is_empty() && !after.contains(&stage.name) {
                    continue;
                }
                files::make_folder(&folder)?;
                let mut open = || self.factory.open(&model).map_err(|e| checkpoint::unusable(&model, &e));
                if !evaluate_into(&folder, &mut open, self.tokenizer, suite, watch, stop)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn last_checkpoint(&self) -> Result<PathBuf, RunError> {
        checkpoints::last(self.folder)?.ok_or_else(|| no_checkpoint(self.folder))
    }

    fn info(&self, parameters: u64) -> StageInfo {
        let stage = &self.stage.stage;
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        StageInfo {
            format: FORMAT,
            name: stage.name.clone(),
            kind: stage.kind,
            key: self.key.to_owned(),
            parent: self.parent.and_then(name),
            seed: self.seed,
            steps: stage.total_steps(),
            tokens: planned_tokens(stage),
            parameters,
        }
    }
}

fn no_checkpoint(stage: &Path) -> RunError {
    RunError::Data(format!(
        "`{}` has no checkpoint: remove the folder to train the stage again",
        stage.display()
    ))
}

/// The cells whose held-out loss a stage measures: those that it trains on and those that a suite asks for.
pub(crate) fn validation_cells(
    document: &crate::recipe::Document,
    trained: &BTreeMap<Cell, f64>,
) -> BTreeSet<Cell> {
    let mut cells: BTreeSet<Cell> = trained.keys().cloned().collect();
    for suite in &document.evaluation.suites {
        cells.extend(suite.cells());
    }
    cells
}

/// Tokens that a stage trains on; for reinforcement learning the most it can be, prompts not included.
fn planned_tokens(stage: &crate::recipe::Stage) -> u64 {
    match (&stage.kind, &stage.rollout, &stage.policy) {
        (StageKind::Rl, Some(rollout), Some(policy)) => {
            let responses = u64::from(rollout.prompts) * u64::from(rollout.samples);
            let passes = u64::from(policy.epochs);
            stage.total_steps() * responses * u64::from(rollout.max_tokens) * passes
        }
        _ => stage.budget().0,
    }
}

fn validate(
    learner: &mut dyn Learner,
    tokenizer: &Tokenizer,
    validation: &[(String, Vec<Problem>)],
    metrics: &mut Metrics,
) -> Result<(), RunError> {
    for (name, problems) in validation {
        for nll in gold_nll(learner, tokenizer, problems)? {
            metrics.mean(name, nll, 1.0);
            metrics.mean("eval/loss", nll, 1.0);
        }
    }
    Ok(())
}

/// The two files that grow with every step.
pub(crate) struct Journals {
    metrics: Journal,
    timings: Journal,
}

impl Journals {
    /// Cuts both files off after `step`; the metrics at a known length in bytes.
    fn open(folder: &Path, step: u64, metrics_bytes: u64) -> Result<Self, RunError> {
        let metrics = Journal::open(&folder.join("metrics.jsonl"), metrics_bytes)?;
        let path = folder.join("timings.jsonl");
        let mut kept = String::new();
        if path.exists() {
            let text = std::fs::read(&path).map_err(failed(&path, "read"))?;
            for line in String::from_utf8_lossy(&text).lines() {
                // The last line may be torn: timings are not worth more than leaving it out.
                if serde_json::from_str::<MetricsRow>(line).is_ok_and(|row| row.step <= step) {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
            files::write(&path, kept.as_bytes())?;
        }
        Ok(Self { metrics, timings: Journal::open(&path, kept.len() as u64)? })
    }
}
