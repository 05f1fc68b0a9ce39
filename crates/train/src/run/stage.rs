//! One stage from beginning to end: resume, loop, checkpoints, evaluation, the mark that it is done.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use learner::{Learner, LearnerFactory};
use problems::stream::Stream;
use runs::{
    Lock, checkpoints, files,
    records::{FORMAT, StageDone, StageInfo, StageKind},
};
use tokens::Tokenizer;

use super::{
    checkpoint::{self, LoopState},
    done,
    journals::Journals,
    reuse::Wanted,
    validation::Validation,
};
use crate::{
    Outcome,
    data::{Corpus, Mixture, Supply},
    error::RunError,
    eval::{Evaluator, Suite},
    ledger::Ledger,
    observer::{Event, Observer},
    recipe::{ArmStage, Model, Recipe, RolloutConfig, ShareOf, Stage},
    rl::{Reinforcement, RolloutSampler},
    training::Training,
    work::BatchSource,
};

/// All that a stage needs.
pub(super) struct StageRun<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) stage: &'a ArmStage,
    pub(super) model: &'a Model,
    pub(super) seed: u64,
    pub(super) key: &'a str,
    /// The stage's folder.
    pub(super) folder: &'a Path,
    /// The folder of the stage it starts from.
    pub(super) parent: Option<&'a Path>,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) suites: &'a [Suite],
    pub(super) factory: &'a dyn LearnerFactory,
    /// Run folders that the stage is taken from if it is finished there.
    pub(super) reuse: &'a [PathBuf],
    /// The run folder's lock.
    pub(super) lock: &'a Lock,
    /// Asks to stop.
    pub(super) stop: &'a AtomicBool,
}

impl StageRun<'_> {
    /// Takes the stage to its end.
    pub(super) fn execute(&self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        let milestones = self.stage.stage.evaluate_milestones;
        let wanted = Wanted { folder: self.folder, key: self.key, suites: self.suites, milestones };
        let taken_from = wanted.take(self.reuse)?;
        if done::is_done(self.folder) {
            done::checkpoint(self.folder)?;
            if let Some(folder) = self.folder.file_name().and_then(|name| name.to_str()) {
                observer.on(Event::StageKnown { folder, taken_from });
            }
            // Suites can be added to a stage that is done.
            return self.evaluate(observer);
        }
        files::make_folder(self.folder)?;
        let (mut training, mut journals) = self.begin()?;
        let info = self.info(training.learner.parameters()? as u64);
        files::write_json(&self.folder.join("stage.json"), &info)?;
        observer.on(Event::StageStarted { info: &info, done: training.step });
        if self.train(&mut training, &mut journals, &info, observer)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        let ledger = training.ledger.clone();
        drop(training);
        files::write_json(&self.folder.join("exposure.json"), &ledger.exposure())?;
        checkpoint::prune(self.folder, self.stage.stage.keep, &self.stage.stage.milestones)?;
        if self.evaluate(observer)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        self.check_place(&journals)?;
        let done = StageDone {
            format: FORMAT,
            steps: info.steps,
            cost: ledger.cost(info.parameters),
            weights_hash: checkpoints::weights_hash(&self.last_checkpoint()?)?,
        };
        done::write(self.folder, &done)?;
        observer.on(Event::StageDone { info: &info, done: &done });
        Ok(Outcome::Finished(()))
    }

    /// The loop with its checkpoints.
    fn train(
        &self,
        training: &mut Training<'_>,
        journals: &mut Journals,
        info: &StageInfo,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let validation = Validation::of(self.recipe, self.stage, self.tokenizer)?;
        while training.step < training.steps {
            if self.is_stopped() {
                return Ok(Outcome::Stopped);
            }
            let mut measure =
                |learner: &mut dyn Learner, step, metrics: &mut _| validation.measure(learner, step, metrics);
            let Some(report) = training.next(observer, &mut measure)? else { break };
            journals.metrics.push(&report.metrics)?;
            journals.timings.push(&report.timings)?;
            observer.on(Event::Step { info, metrics: &report.metrics, timings: &report.timings });
            let healthy = training.ledger.skipped_in_a_row == 0;
            if self.is_due(training) || healthy && self.is_stopped() {
                let path = self.save(training, journals)?;
                observer.on(Event::Checkpoint { path: &path });
            }
        }
        Ok(Outcome::Finished(()))
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the step that was just taken has a checkpoint.
    fn is_due(&self, training: &Training<'_>) -> bool {
        let stage = &self.stage.stage;
        let every = stage.checkpoint_every;
        if training.step < training.steps && training.ledger.skipped_in_a_row > 0 {
            // It would take the place of a checkpoint from before the gradients stopped being finite.
            return false;
        }
        training.step == training.steps
            || stage.milestones.contains(&training.step)
            || (every > 0 && training.step.is_multiple_of(every))
    }

    /// Checks that what is written goes where it was begun, and that nobody else works there.
    fn check_place(&self, journals: &Journals) -> Result<(), RunError> {
        self.lock.check()?;
        Ok(journals.metrics.check()?)
    }

    fn save(&self, training: &Training<'_>, journals: &mut Journals) -> Result<PathBuf, RunError> {
        self.check_place(journals)?;
        let stage = &self.stage.stage;
        let state = LoopState {
            format: FORMAT,
            key: self.key.to_owned(),
            step: training.step,
            ledger: training.ledger.clone(),
            source: training.source.state(),
            metrics_bytes: journals.metrics.sync()?,
            files: BTreeMap::new(),
        };
        let unfinished = training.step < training.steps;
        let tokenizer = (self.tokenizer, self.model.context());
        let path = checkpoint::save(self.folder, &*training.learner, tokenizer, &state, unfinished)?;
        checkpoint::prune(self.folder, stage.keep, &stage.milestones)?;
        Ok(path)
    }

    /// The stage where the last checkpoint left it, or at its beginning.
    fn begin(&self) -> Result<(Training<'_>, Journals), RunError> {
        let mut source = self.source()?;
        let (learner, step, ledger, bytes) = match checkpoints::last(self.folder)? {
            Some(path) => {
                let state = checkpoint::state(&path, self.key, self.stage.stage.total_steps())?;
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

    /// The model that the stage starts from: the last of the stage before it, or what the arm starts from.
    fn first_model(&self) -> Result<Box<dyn Learner>, RunError> {
        if let Some(parent) = self.parent {
            return self.open(&done::checkpoint(parent)?);
        }
        match self.model {
            Model::Fresh(shape) => {
                let key = Stream::root(self.seed).fork("weights").key();
                Ok(self.factory.fresh(shape, key)?)
            }
            Model::Given(given) => {
                given.is_unchanged().map_err(RunError::Data)?;
                Ok(self.factory.open(&given.dir)?)
            }
        }
    }

    fn open(&self, checkpoint: &Path) -> Result<Box<dyn Learner>, RunError> {
        self.factory.open(checkpoint).map_err(|e| checkpoint::unusable(checkpoint, &e))
    }

    fn source(&self) -> Result<Box<dyn BatchSource + '_>, RunError> {
        let stage = &self.stage.stage;
        let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) else {
            let mixture = Mixture::new(&self.stage.cells, stage.share_of);
            let supply = Supply::of_stage(self.recipe, self.stage, self.seed)?;
            let corpus = Corpus::new(supply, self.tokenizer, mixture, stage);
            return Ok(Box::new(corpus));
        };
        let nominal_length = rollout.nominal_length_or(self.model.context());
        let sampler = RolloutSampler {
            supply: Supply::of_stage(self.recipe, self.stage, self.seed)?,
            tokenizer: self.tokenizer,
            stream: Stream::root(self.seed).fork("rollouts").fork(&stage.name),
            config: RolloutConfig { nominal_length, ..rollout.clone() },
        };
        let reference = if policy.kl.active() { Some(self.first_model()?) } else { None };
        let mixture = Mixture::new(&self.stage.cells, ShareOf::Problems);
        let folder = self.folder.join("rollouts");
        let source =
            Reinforcement::new(sampler, policy.clone(), mixture, reference, stage.micro_tokens, folder);
        Ok(Box::new(source))
    }

    /// Runs the suites on the last checkpoint, and on milestones if asked.
    fn evaluate(&self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        for (checkpoint, folder) in self.checkpoints_to_evaluate()? {
            for suite in self.suites {
                let after = &suite.config.after;
                if !after.is_empty() && !after.contains(&self.stage.stage.name) {
                    continue;
                }
                files::make_folder(&folder)?;
                let evaluator = Evaluator { suite, tokenizer: self.tokenizer, stop: self.stop };
                if evaluator.is_done(&folder, observer)? {
                    continue;
                }
                let mut learner = self.open(&checkpoint)?;
                if evaluator.evaluate_into(&folder, &mut *learner, observer)? == Outcome::Stopped {
                    return Ok(Outcome::Stopped);
                }
            }
        }
        Ok(Outcome::Finished(()))
    }

    /// Checkpoints, each with the folder of its evaluations.
    fn checkpoints_to_evaluate(&self) -> Result<Vec<(PathBuf, PathBuf)>, RunError> {
        let (stage, evals) = (&self.stage.stage, self.folder.join("evals"));
        let last = self.last_checkpoint()?;
        let mut found = vec![(last.clone(), evals.clone())];
        if stage.evaluate_milestones {
            for &step in &stage.milestones {
                let path = checkpoints::of_step(self.folder, step);
                if path.is_dir() && path != last {
                    found.push((path, evals.join(format!("step-{step:06}"))));
                }
            }
        }
        Ok(found)
    }

    fn last_checkpoint(&self) -> Result<PathBuf, RunError> {
        last_checkpoint(self.folder)
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

fn last_checkpoint(stage: &Path) -> Result<PathBuf, RunError> {
    checkpoints::last(stage)?.ok_or_else(|| {
        RunError::Data(format!(
            "`{}` has no checkpoint: remove the folder to train the stage again",
            stage.display()
        ))
    })
}

/// Tokens that a stage trains on. For reinforcement learning it is an upper bound, without prompts.
fn planned_tokens(stage: &Stage) -> u64 {
    match (&stage.kind, &stage.rollout, &stage.policy) {
        (StageKind::Rl, Some(rollout), Some(policy)) => {
            let responses = u64::from(rollout.prompts) * u64::from(rollout.samples);
            let passes = u64::from(policy.epochs);
            let tokens = responses.saturating_mul(u64::from(rollout.max_tokens)).saturating_mul(passes);
            stage.total_steps().saturating_mul(tokens)
        }
        _ => stage.budget().0,
    }
}
