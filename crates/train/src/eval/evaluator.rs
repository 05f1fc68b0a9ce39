//! Asks a model the problems of a suite.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use learner::{Learner, Prompt, Sample, StopReason};
use runs::{
    files,
    records::{EvalInfo, Response},
};
use tokens::Tokenizer;

use super::{
    likelihood::gold_nll,
    row::judge,
    stored::{Evaluated, Stored, judge_again},
    suite::{Suite, sampling},
};
use crate::{
    Outcome,
    error::RunError,
    observer::{Event, Observer},
};

/// Evaluates models on one suite.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// The suite.
    pub suite: &'a Suite,
    /// The tokenizer of the models.
    pub tokenizer: &'a Tokenizer,
    /// Asks to stop between two chunks.
    pub stop: &'a AtomicBool,
}

impl Evaluator<'_> {
    /// Whether a folder holds the evaluation, so that no model is needed. Where only the rules of judging changed, the
    /// stored responses are judged again.
    ///
    /// # Errors
    /// As [`judge_again`].
    pub fn is_done(&self, folder: &Path, observer: &mut dyn Observer) -> Result<bool, RunError> {
        let info = self.suite.info()?;
        let stored = self.stored(folder);
        let Some(known) = stored.info()?.filter(|_| stored.is_whole()) else { return Ok(false) };
        if known == info {
            // There only if the process was killed after it had written the evaluation.
            files::remove_folder(&self.chunks(folder, &info))?;
        } else if known.samples == info.samples {
            judge_again(folder, self.suite)?;
        } else {
            observer.on(Event::EvaluationReplaced { suite: &self.suite.config.name });
            return Ok(false);
        }
        Ok(true)
    }

    /// Asks a model everything in the suite and stores nothing.
    ///
    /// # Errors
    /// If the model cannot serve a prompt.
    pub fn evaluate(
        &self,
        learner: &mut dyn Learner,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Evaluated>, RunError> {
        self.ask(learner, None, observer)
    }

    /// Asks a model everything in the suite and leaves `SUITE.jsonl.gz`, `SUITE.responses.jsonl.gz` and `SUITE.json` in
    /// a folder. Finished chunks are kept there on the way, and a later call goes on after them.
    ///
    /// # Errors
    /// If the model cannot serve a prompt, or a file cannot be written or read.
    pub fn evaluate_into(
        &self,
        folder: &Path,
        learner: &mut dyn Learner,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let info = self.suite.info()?;
        let chunks = self.chunks(folder, &info);
        files::make_folder(&chunks)?;
        let Outcome::Finished(all) = self.ask(learner, Some(&chunks), observer)? else {
            return Ok(Outcome::Stopped);
        };
        let stored = self.stored(folder);
        stored.forget_info()?;
        stored.write_all(&info, &all)?;
        files::remove_folder(&chunks)?;
        Ok(Outcome::Finished(()))
    }

    fn stored(&self, folder: &Path) -> Stored {
        Stored::of_suite(folder, &self.suite.config.name)
    }

    /// Where the chunks of an unfinished evaluation lie.
    fn chunks(&self, folder: &Path, info: &EvalInfo) -> PathBuf {
        folder.join(format!(".{}-{}", self.suite.config.name, &info.suite[..10]))
    }

    fn ask(
        &self,
        learner: &mut dyn Learner,
        folder: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Evaluated>, RunError> {
        let (name, problems) = (&self.suite.config.name, self.suite.problems.len());
        let samples = self.suite.config.samples as usize;
        let (total, chunk_size) = (problems * samples, self.suite.config.chunk.max(1));
        let mut all = Evaluated::default();
        let (mut tokens, mut started) = (0, false);
        for (i, start) in (0..problems).step_by(chunk_size).enumerate() {
            let range = start..(start + chunk_size).min(problems);
            let stored = folder.map(|folder| Stored::of_chunk(folder, i));
            if let Some(stored) = stored.as_ref().filter(|stored| stored.is_whole()) {
                all.extend(stored.read(range)?);
                continue;
            }
            let mut done = start * samples;
            if !started {
                observer.on(Event::EvaluationStarted { suite: name, done, total });
                started = true;
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Outcome::Stopped);
            }
            let chunk = self.ask_chunk(learner, range, &mut |length| {
                done += 1;
                tokens += length as u64;
                observer.on(Event::Evaluating { suite: name, done, total, tokens });
            })?;
            if let Some(stored) = &stored {
                stored.write(&chunk)?;
            }
            all.extend(chunk);
        }
        observer.on(Event::EvaluationDone { suite: name, rows: &all.rows });
        Ok(Outcome::Finished(all))
    }

    fn ask_chunk(
        &self,
        learner: &mut dyn Learner,
        problems: Range<usize>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Evaluated, RunError> {
        let prompts: Vec<Prompt> = problems.clone().map(|i| self.suite.prompt(i, self.tokenizer)).collect();
        let samples_PG = learner.sample(&prompts, &sampling(&self.suite.config), progress)?;
        let nll_P = gold_nll(learner, self.tokenizer, &self.suite.problems[problems.clone()])?;
        let mut evaluated = Evaluated::default();
        for (i, (samples, nll)) in problems.zip(samples_PG.into_iter().zip(nll_P)) {
            let samples = samples.iter().enumerate();
            let mut responses: Vec<Response> =
                samples.map(|(s, sample)| self.response(i, s, sample)).collect();
            evaluated.rows.push(judge(self.suite, i, &mut responses, nll));
            evaluated.responses.extend(responses);
        }
        Ok(evaluated)
    }

    /// A response that is not judged yet.
    fn response(&self, problem: usize, number: usize, sample: &Sample) -> Response {
        Response {
            problem: problem as u64,
            sample: number as u32,
            text: self.tokenizer.decode(&sample.tokens),
            verified: false,
            tokens: sample.tokens.len() as u32,
            cut: sample.stop == StopReason::Length,
            reward: None,
            policy: None,
            record: None,
        }
    }
}
