//! Evaluation: n samples of every problem of a fixed suite, each verified.
//!
//! A suite's problems are from the test split and the same for every model, and sample `s` of problem `i`
//! draws from the same random stream whatever the model: differences between models are paired.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use problems::{
    Generator, Problem, Record,
    context::Contexts,
    spec::World,
    split::{Split, SplitRule},
    stream::Stream,
    verify::{normalise_answer, verify},
};
use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

use crate::{
    batches::Document,
    corpus::micro_batches,
    error::RunError,
    files,
    learner::{Batch, Learner, Prompt, Sample, StopReason},
    recipe::{SuiteConfig, mix::mode_name},
    records::{EvalRow, Response},
    watch::{Event, Watch},
};

/// Held-out problems and how a model is asked.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The configuration.
    pub config: SuiteConfig,
    /// The problems, in the order of the suite's file.
    pub problems: Vec<Problem>,
    /// Names the samples.
    pub seed: u64,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// One row a problem.
    pub rows: Vec<EvalRow>,
    /// Every response.
    pub responses: Vec<Response>,
}

/// Says which suite an evaluation is of: `evals/SUITE.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalInfo {
    /// Hash of the suite's problems and sampling.
    pub suite: String,
}

impl Suite {
    /// Draws a suite's problems from the test split.
    ///
    /// # Errors
    /// If the world is impossible or a cell has no problems.
    pub fn make(
        config: &SuiteConfig,
        world: &World,
        contexts: &Contexts,
        rule: SplitRule,
        seed: u64,
    ) -> Result<Self, RunError> {
        let data = |e: &dyn std::fmt::Display| RunError::Data(format!("suite `{}`: {e}", config.name));
        let generator =
            Generator::new(world, contexts, seed, Some((Split::Test, rule))).map_err(|e| data(&e))?;
        let mut problems = Vec::new();
        for cell in crate::recipe::suite_cells(config).map_err(|e| data(&e))? {
            generator.check(&cell).map_err(|e| data(&e))?;
            problems.extend((0..config.problems).map(|i| generator.problem(&cell, i)));
        }
        Ok(Self { config: config.clone(), problems, seed })
    }

    /// The problems as lines of `data/suites/NAME.jsonl`.
    pub fn records(&self) -> Vec<Record> {
        self.problems.iter().map(Problem::record).collect()
    }

    /// Hash of all that determines the responses, apart from the model.
    ///
    /// # Errors
    /// If a problem has no JSON form.
    pub fn hash(&self) -> Result<String, RunError> {
        let text = serde_json::to_string(&(&self.config.clone(), self.seed, self.records()))
            .map_err(|e| RunError::Data(e.to_string()))?;
        Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
    }

    fn prompt(&self, i: usize, tokenizer: &Tokenizer) -> Prompt {
        let stream = Stream::root(self.seed).fork("evaluation").fork(&self.config.name);
        Prompt {
            tokens: tokenizer.encode(&self.problems[i].prompt()),
            key: stream.index(i as u64).key(),
            first: 0,
            n: self.config.samples,
        }
    }
}

/// Asks a model everything in a suite. With a `folder`, finished chunks are kept in it and a later call goes
/// on after them. `None` if `stop` was set.
///
/// # Errors
/// If the model cannot serve a prompt, or a chunk cannot be written or read.
pub fn evaluate(
    learner: &mut dyn Learner,
    tokenizer: &Tokenizer,
    suite: &Suite,
    folder: Option<&Path>,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<Option<Evaluated>, RunError> {
    let samples = suite.config.samples as usize;
    let total = suite.problems.len() * samples;
    let mut all = Evaluated { rows: Vec::new(), responses: Vec::new() };
    let chunk_size = suite.config.chunk.max(1);
    let chunks: Vec<_> = (0..suite.problems.len())
        .step_by(chunk_size)
        .map(|start| start..(start + chunk_size).min(suite.problems.len()))
        .collect();
    let mut tokens = 0;
    let mut started = false;
    for (i, range) in chunks.into_iter().enumerate() {
        let done = range.start * samples;
        let place = folder.map(|folder| chunk_files(folder, i));
        if let Some((rows, responses)) = &place
            && rows.exists()
            && responses.exists()
        {
            all.rows.extend(files::read_lines::<EvalRow>(rows)?);
            all.responses.extend(files::read_lines::<Response>(responses)?);
            continue;
        }
        if !started {
            watch.on(Event::EvaluationStarted { suite: &suite.config.name, done, total });
            started = true;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut count = done;
        let chunk = evaluate_chunk(learner, tokenizer, suite, range, &mut |length| {
            count += 1;
            tokens += length as u64;
            let suite = &suite.config.name;
            watch.on(Event::Evaluating { suite, done: count, total, tokens });
        })?;
        if let Some((rows, responses)) = &place {
            files::write_lines_gz(responses, &chunk.responses)?;
            files::write_lines_gz(rows, &chunk.rows)?;
        }
        all.rows.extend(chunk.rows);
        all.responses.extend(chunk.responses);
    }
    watch.on(Event::EvaluationDone { suite: &suite.config.name, rows: &all.rows });
    Ok(Some(all))
}

fn chunk_files(folder: &Path, i: usize) -> (PathBuf, PathBuf) {
    (folder.join(format!("{i:05}.jsonl.gz")), folder.join(format!("{i:05}.responses.jsonl.gz")))
}

fn evaluate_chunk(
    learner: &mut dyn Learner,
    tokenizer: &Tokenizer,
    suite: &Suite,
    range: std::ops::Range<usize>,
    progress: &mut dyn FnMut(usize),
) -> Result<Evaluated, RunError> {
    let prompts: Vec<Prompt> = range.clone().map(|i| suite.prompt(i, tokenizer)).collect();
    let samples_PG = learner.sample(&prompts, &suite.config.sampling(), progress)?;
    let problems = &suite.problems[range.clone()];
    let nll_P = gold_nll(learner, tokenizer, problems)?;
    let mut evaluated = Evaluated { rows: Vec::new(), responses: Vec::new() };
    for ((i, problem), (samples, nll)) in range.zip(problems).zip(samples_PG.into_iter().zip(nll_P)) {
        let (row, responses) = judge(suite, tokenizer, i, problem, &samples, nll);
        evaluated.rows.push(row);
        evaluated.responses.extend(responses);
    }
    Ok(evaluated)
}

/// Judges all samples of a problem. A sample that hit the length limit is a failure, whatever it says.
fn judge(
    suite: &Suite,
    tokenizer: &Tokenizer,
    i: usize,
    problem: &Problem,
    samples: &[Sample],
    gold_nll: f64,
) -> (EvalRow, Vec<Response>) {
    let gold = problem.gold();
    let mut row = EvalRow {
        problem: i as u64,
        op: problem.cell.op,
        context: problem.cell.context.clone(),
        mode: mode_name(problem.cell.mode).to_owned(),
        n: samples.len() as u32,
        verified: 0,
        right: 0,
        truncated: 0,
        process_acc: 0.0,
        tokens: 0.0,
        answers: BTreeMap::new(),
        answer: normalise_answer(&problem.answer.to_string()).unwrap_or_default(),
        first_faults: BTreeMap::new(),
        gold_nll,
    };
    let mut responses = Vec::with_capacity(samples.len());
    for (s, sample) in samples.iter().enumerate() {
        let text = tokenizer.decode(&sample.tokens);
        let verdict = verify(&gold, &text, suite.config.policy);
        let ended = sample.stop == StopReason::End;
        let verified = verdict.verified && ended;
        row.verified += u32::from(verified);
        row.right += u32::from(verdict.answer_right && ended);
        row.truncated += u32::from(!ended);
        row.process_acc += verdict.process_acc;
        row.tokens += sample.tokens.len() as f64;
        let answer = if ended { verdict.answer.unwrap_or_default() } else { String::new() };
        *row.answers.entry(answer).or_default() += 1;
        if let Some((kind, _)) = verdict.first_fault {
            *row.first_faults.entry(kind.name().to_owned()).or_default() += 1;
        }
        let (reward, record) = (None, None);
        responses.push(Response { problem: i as u64, sample: s as u32, text, verified, reward, record });
    }
    row.process_acc /= samples.len().max(1) as f64;
    row.tokens /= samples.len().max(1) as f64;
    (row, responses)
}

/// Tokens scored at once, at most.
const SCORED_AT_ONCE: usize = 16_384;

/// What a model whose numbers are no longer finite gets: JSON has no infinity, and the row must stay readable.
const BROKEN_MODEL_NLL: f64 = 1e9;

/// Negative log-likelihood of each gold solution (end token included) given its prompt, nats a token.
///
/// # Errors
/// If a problem is longer than the model's context.
pub fn gold_nll(
    learner: &mut dyn Learner,
    tokenizer: &Tokenizer,
    problems: &[Problem],
) -> Result<Vec<f64>, RunError> {
    let documents: Vec<Document> = problems.iter().map(|p| Document::of(p, tokenizer)).collect();
    let mut nll = Vec::with_capacity(problems.len());
    for range in micro_batches(documents.iter().map(|d| d.tokens.len()), SCORED_AT_ONCE) {
        let mut batch = Batch::default();
        for document in &documents[range.clone()] {
            batch.push(&document.tokens);
        }
        let logprobs_T = learner.logprobs(&batch)?;
        for (document, sequence) in documents[range].iter().zip(batch.sequences()) {
            let response = sequence.start + document.prompt..sequence.end;
            let sum: f64 = logprobs_T[response.clone()].iter().map(|l| f64::from(*l)).sum();
            let mean = -sum / response.len() as f64;
            nll.push(if mean.is_finite() { mean } else { BROKEN_MODEL_NLL });
        }
    }
    Ok(nll)
}

/// Runs a suite on a model and leaves `SUITE.jsonl.gz`, `SUITE.responses.jsonl.gz` and `SUITE.json` in
/// `folder`; does nothing if they are there already. `false` if `stop` was set.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_into(
    folder: &Path,
    learner: &mut dyn FnMut() -> Result<Box<dyn Learner>, RunError>,
    tokenizer: &Tokenizer,
    suite: &Suite,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<bool, RunError> {
    let name = &suite.config.name;
    let info = EvalInfo { suite: suite.hash()? };
    let info_path = folder.join(format!("{name}.json"));
    let chunks = folder.join(format!(".{name}-{}", &info.suite[..10]));
    if info_path.exists() && files::read_json::<EvalInfo>(&info_path)? == info {
        // There only if the process was killed between the last two lines of this function.
        files::remove_folder(&chunks)?;
        return Ok(true);
    }
    files::make_folder(&chunks)?;
    let mut learner = learner()?;
    let Some(all) = evaluate(&mut *learner, tokenizer, suite, Some(&chunks), watch, stop)? else {
        return Ok(false);
    };
    // An older evaluation of the same name must not be taken for this one while it is replaced.
    if info_path.exists() {
        fs::remove_file(&info_path).map_err(files::failed(&info_path, "remove"))?;
    }
    files::write_lines_gz(&folder.join(format!("{name}.responses.jsonl.gz")), &all.responses)?;
    files::write_lines_gz(&folder.join(format!("{name}.jsonl.gz")), &all.rows)?;
    files::write_json(&info_path, &info)?;
    files::remove_folder(&chunks)?;
    Ok(true)
}
