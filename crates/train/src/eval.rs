//! Evaluation: n samples of every problem of a fixed suite, each verified.
//!
//! A suite's problems are from the test split and the same for every model, and sample `s` of problem `i`
//! draws from the same random stream whatever the model: differences between models are paired.

use runs::{error::damaged, error::failed, lines};
use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
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

use learner::{Batch, Learner, Prompt, Sample, Sampling, StopReason};
use runs::records::{EvalInfo, EvalRow, Response};
use runs::{SuiteConfig, files};

use crate::{
    batches::Document,
    checkpoint,
    corpus::micro_batches,
    error::RunError,
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
        for cell in config.cells() {
            let sequence = generator.sequence(&cell).map_err(|e| data(&e))?;
            problems.extend((0..config.problems).map(|i| sequence.problem(i)));
        }
        Ok(Self { config: config.clone(), problems, seed })
    }

    /// The problems as lines of `data/suites/NAME.jsonl`.
    pub fn records(&self) -> Vec<Record> {
        self.problems.iter().map(Problem::record).collect()
    }

    /// Tokens of the longest problem with its gold solution.
    pub(crate) fn longest(&self, tokenizer: &Tokenizer) -> usize {
        self.problems.iter().map(|problem| Document::of(problem, tokenizer).tokens.len()).max().unwrap_or(0)
    }

    /// The hashes that an evaluation of this suite is known by.
    ///
    /// # Errors
    /// If a problem has no JSON form.
    pub fn info(&self) -> Result<EvalInfo, RunError> {
        self.config.info(self.seed, &self.records()).map_err(|e| RunError::Data(e.to_string()))
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

/// How a suite's responses are drawn.
pub(crate) fn sampling(suite: &SuiteConfig) -> Sampling {
    Sampling {
        temperature: suite.temperature,
        top_p: suite.top_p,
        top_k: suite.top_k,
        max_tokens: suite.max_tokens,
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
            all.rows.extend(read_rows(rows, range)?);
            all.responses.extend(lines::read::<Response>(responses)?);
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
            lines::write(responses, &chunk.responses)?;
            lines::write(rows, &chunk.rows)?;
        }
        all.rows.extend(chunk.rows);
        all.responses.extend(chunk.responses);
    }
    watch.on(Event::EvaluationDone { suite: &suite.config.name, rows: &all.rows });
    Ok(Some(all))
}

/// The rows of these problems. A file that holds others, or not all, is damaged: a row is taken for the problem that it
/// names.
fn read_rows(path: &Path, problems: Range<usize>) -> Result<Vec<EvalRow>, RunError> {
    let rows: Vec<EvalRow> = lines::read(path)?;
    if rows.iter().map(|row| row.problem).eq(problems.start as u64..problems.end as u64) {
        return Ok(rows);
    }
    let reason =
        format!("its rows are not those of the {} problems from {} on", problems.len(), problems.start);
    Err(damaged(path, &reason).into())
}

fn chunk_files(folder: &Path, i: usize) -> (PathBuf, PathBuf) {
    (folder.join(format!("{i:05}.jsonl.gz")), folder.join(format!("{i:05}.responses.jsonl.gz")))
}

fn evaluate_chunk(
    learner: &mut dyn Learner,
    tokenizer: &Tokenizer,
    suite: &Suite,
    range: Range<usize>,
    progress: &mut dyn FnMut(usize),
) -> Result<Evaluated, RunError> {
    let prompts: Vec<Prompt> = range.clone().map(|i| suite.prompt(i, tokenizer)).collect();
    let samples_PG = learner.sample(&prompts, &sampling(&suite.config), progress)?;
    let nll_P = gold_nll(learner, tokenizer, &suite.problems[range.clone()])?;
    let mut evaluated = Evaluated { rows: Vec::new(), responses: Vec::new() };
    for (i, (samples, nll)) in range.zip(samples_PG.into_iter().zip(nll_P)) {
        let response = |(s, sample): (usize, &Sample)| Response {
            problem: i as u64,
            sample: s as u32,
            text: tokenizer.decode(&sample.tokens),
            verified: false,
            tokens: sample.tokens.len() as u32,
            cut: sample.stop != StopReason::End,
            reward: None,
            record: None,
        };
        let mut responses: Vec<Response> = samples.iter().enumerate().map(response).collect();
        evaluated.rows.push(judge(suite, i, &mut responses, nll));
        evaluated.responses.extend(responses);
    }
    Ok(evaluated)
}

/// Judges all samples of a problem. Unparsable, empty and cut-off responses are failures.
fn judge(suite: &Suite, i: usize, responses: &mut [Response], gold_nll: f64) -> EvalRow {
    let problem = &suite.problems[i];
    let gold = problem.gold();
    let mut row = EvalRow {
        problem: i as u64,
        op: problem.cell.op,
        context: problem.cell.context.clone(),
        mode: problem.cell.mode,
        n: responses.len() as u32,
        verified: 0,
        correct: 0,
        truncated: 0,
        process_acc: 0.0,
        tokens: 0.0,
        answers: BTreeMap::new(),
        answer: normalise_answer(&problem.answer.to_string()).unwrap_or_default(),
        first_faults: BTreeMap::new(),
        gold_nll,
    };
    for response in responses.iter_mut() {
        let verdict = verify(&gold, &response.text, suite.config.policy);
        response.verified = verdict.verified && !response.cut;
        row.verified += u32::from(response.verified);
        row.correct += u32::from(verdict.answer_correct && !response.cut);
        row.truncated += u32::from(response.cut);
        row.process_acc += verdict.process_acc;
        row.tokens += f64::from(response.tokens);
        let answer = if response.cut { String::new() } else { verdict.answer.unwrap_or_default() };
        *row.answers.entry(answer).or_default() += 1;
        if let Some((kind, _)) = verdict.first_fault {
            *row.first_faults.entry(kind.name().to_owned()).or_default() += 1;
        }
    }
    row.process_acc /= responses.len().max(1) as f64;
    row.tokens /= responses.len().max(1) as f64;
    row
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
        let logprobs_T = learner.logprobs(&batch, 1.0)?;
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
/// `folder`; does nothing if they are there already, and samples nothing if only the judging changed.
/// `false` if `stop` was set.
///
/// # Errors
/// As [`evaluate`] and [`judge_again`].
pub fn evaluate_into(
    folder: &Path,
    learner: &mut dyn FnMut() -> Result<Box<dyn Learner>, RunError>,
    tokenizer: &Tokenizer,
    suite: &Suite,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<bool, RunError> {
    let info = suite.info()?;
    let stored = Stored::new(folder, &suite.config.name);
    let chunks = folder.join(format!(".{}-{}", suite.config.name, &info.suite[..10]));
    if let Some(known) = stored.info()? {
        let whole = stored.rows.exists() && stored.responses.exists();
        if whole && known == info {
            // There only if the process was killed between the last two lines of this function.
            files::remove_folder(&chunks)?;
            return Ok(true);
        }
        if whole && known.samples == info.samples {
            judge_again(folder, suite)?;
            return Ok(true);
        }
        if whole {
            watch.on(Event::EvaluationReplaced { suite: &suite.config.name });
        }
    }
    files::make_folder(&chunks)?;
    let mut learner = learner()?;
    let Some(all) = evaluate(&mut *learner, tokenizer, suite, Some(&chunks), watch, stop)? else {
        return Ok(false);
    };
    // An older evaluation of the same name must not be taken for this one while it is replaced.
    if stored.info.exists() {
        fs::remove_file(&stored.info).map_err(failed(&stored.info, "remove"))?;
    }
    stored.write(&info, &all)?;
    files::remove_folder(&chunks)?;
    Ok(true)
}

/// Which model the evaluations of a folder are of. A suite's name has no dot, so that no suite has this file.
const ASKED_FILE: &str = "asked.model.json";

/// The model that was asked.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// Where it lay.
    model: String,
    /// blake3 of its weights.
    weights: String,
}

/// Keeps a folder of evaluations to one model: in a fresh folder notes its weights, in another compares them with the
/// note. (In a run folder the stage's key already says which model it is.)
///
/// # Errors
/// If the folder holds evaluations of another model or does not say of which, or a file cannot be read or written.
pub fn keep_to_model(folder: &Path, model: &Path) -> Result<(), RunError> {
    files::make_folder(folder)?;
    let foreign = |what: String| Err(RunError::Foreign { folder: folder.to_owned(), what });
    let asked = Asked { model: model.display().to_string(), weights: checkpoint::weights_hash(model)? };
    let path = folder.join(ASKED_FILE);
    if !path.exists() {
        if holds_evaluations(folder)? {
            return foreign("evaluations and does not say of which model".to_owned());
        }
        return Ok(files::write_json(&path, &asked)?);
    }
    let known: Asked = files::read_json(&path)?;
    if known.weights == asked.weights {
        return Ok(());
    }
    let named = |asked: &Asked| {
        format!("`{}` (weights {})", asked.model, asked.weights.get(..10).unwrap_or(&asked.weights))
    };
    foreign(format!("evaluations of the model {}, not of {}", named(&known), named(&asked)))
}

/// Whether evaluations lie in a folder, finished or begun.
fn holds_evaluations(folder: &Path) -> Result<bool, RunError> {
    for entry in fs::read_dir(folder).map_err(failed(folder, "read"))? {
        let path = entry.map_err(failed(folder, "read"))?.path();
        let finished = path.to_string_lossy().ends_with(".jsonl.gz");
        if finished || chunk_files(&path, 0).0.exists() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Judges the stored responses of an evaluation again, without a model: after the verifier or the suite's
/// policy has changed. What it says of likelihoods stays.
///
/// # Errors
/// If the evaluation is not there, is one of other problems or other sampling, or does not say which
/// responses were cut off (it was written by a program that did not store that).
pub fn judge_again(folder: &Path, suite: &Suite) -> Result<Vec<EvalRow>, RunError> {
    let info = suite.info()?;
    let stored = Stored::new(folder, &suite.config.name);
    let wrong = |what: &str| RunError::Data(format!("{}: {what}", stored.responses.display()));
    match stored.info()? {
        None => return Err(wrong("there is no such evaluation")),
        Some(known) if known.samples != info.samples => {
            return Err(wrong(
                "the responses are to other problems or were sampled otherwise (or an older program wrote them)",
            ));
        }
        Some(_) => {}
    }
    let old = read_rows(&stored.rows, 0..suite.problems.len())?;
    let mut all = Evaluated { rows: Vec::new(), responses: lines::read(&stored.responses)? };
    let groups = all.responses.chunk_by_mut(|a, b| a.problem == b.problem);
    for (old, responses) in old.iter().zip(groups) {
        let cut = responses.iter().filter(|response| response.cut).count();
        let same = responses.iter().all(|response| response.problem == old.problem);
        if !same || responses.len() != old.n as usize || cut != old.truncated as usize {
            return Err(wrong(&format!("problem {} has not the responses that it had", old.problem)));
        }
        all.rows.push(judge(suite, old.problem as usize, responses, old.gold_nll));
    }
    if all.rows.len() != suite.problems.len() {
        return Err(wrong("responses are missing"));
    }
    // If this is stopped half way, the next call judges again.
    files::write_json(&stored.info, &EvalInfo { suite: String::new(), ..info.clone() })?;
    stored.write(&info, &all)?;
    Ok(all.rows)
}

/// Where an evaluation lies.
struct Stored {
    info: PathBuf,
    rows: PathBuf,
    responses: PathBuf,
}

impl Stored {
    fn new(folder: &Path, suite: &str) -> Self {
        let file = |end: &str| folder.join(format!("{suite}{end}"));
        Self { info: file(".json"), rows: file(".jsonl.gz"), responses: file(".responses.jsonl.gz") }
    }

    fn info(&self) -> Result<Option<EvalInfo>, RunError> {
        Ok(if self.info.exists() { Some(files::read_json(&self.info)?) } else { None })
    }

    fn write(&self, info: &EvalInfo, all: &Evaluated) -> Result<(), RunError> {
        lines::write(&self.responses, &all.responses)?;
        lines::write(&self.rows, &all.rows)?;
        Ok(files::write_json(&self.info, info)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(policy: &str) -> Suite {
        let text = format!(
            "name = \"s\"\nops = \"4\"\ncontexts = [\"terse\"]\nproblems = 2\nsamples = 4\nmax_tokens = 50\npolicy = \"{policy}\""
        );
        let config: SuiteConfig = toml::from_str(&text).unwrap();
        Suite::make(&config, &World::default(), &Contexts::builtin(), SplitRule::Structure, 1).unwrap()
    }

    fn responses(suite: &Suite, problem: usize) -> Vec<Response> {
        let gold = suite.problems[problem].response();
        let texts =
            [(gold.as_str(), false), (gold.as_str(), true), ("", false), ("no solution at all", false)];
        let response = |(sample, (text, cut)): (usize, (&str, bool))| Response {
            problem: problem as u64,
            sample: sample as u32,
            text: text.to_owned(),
            verified: false,
            tokens: 10,
            cut,
            reward: None,
            record: None,
        };
        texts.into_iter().enumerate().map(response).collect()
    }

    #[test]
    fn cut_off_empty_and_unparsable_responses_are_failures() {
        let suite = suite("paper");
        let mut responses = responses(&suite, 0);
        let row = judge(&suite, 0, &mut responses, 0.5);
        assert_eq!((row.n, row.verified, row.correct, row.truncated), (4, 1, 1, 1));
        // Neither is left out, and neither votes.
        assert_eq!(row.answers.get(""), Some(&3));
        assert_eq!(row.first_faults.values().sum::<u32>(), 2);
        let verified: Vec<bool> = responses.iter().map(|response| response.verified).collect();
        assert_eq!(verified, [true, false, false, false]);
    }

    #[test]
    fn stored_responses_are_judged_again_and_never_taken_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let old = suite("paper");
        let mut all = Evaluated { rows: Vec::new(), responses: Vec::new() };
        for problem in 0..2 {
            let mut responses = responses(&old, problem);
            all.rows.push(judge(&old, problem, &mut responses, 0.5));
            all.responses.extend(responses);
        }
        assert!(judge_again(dir.path(), &old).is_err(), "there is nothing yet");
        Stored::new(dir.path(), "s").write(&old.info().unwrap(), &all).unwrap();
        assert_eq!(judge_again(dir.path(), &old).unwrap(), all.rows);

        // Another policy: `evaluate_into` needs no model for it.
        let strict = suite("strict");
        let tokenizer = Tokenizer::train(std::iter::once(old.problems[0].response()), 300).unwrap();
        let mut no_model = || Err(RunError::Data("no model is needed".to_owned()));
        let stop = AtomicBool::new(false);
        assert!(evaluate_into(dir.path(), &mut no_model, &tokenizer, &strict, &mut (), &stop).unwrap());

        let mut warm = suite("paper");
        warm.config.temperature = 1.3;
        let error = judge_again(dir.path(), &warm).unwrap_err().to_string();
        assert!(error.contains("sampled otherwise"), "{error}");
        all.responses.retain(|response| response.sample != 3);
        Stored::new(dir.path(), "s").write(&old.info().unwrap(), &all).unwrap();
        let error = judge_again(dir.path(), &old).unwrap_err().to_string();
        assert!(error.contains("problem 0 has not the responses"), "{error}");
    }

    #[test]
    fn a_row_of_a_problem_that_the_suite_has_not_is_damage_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let suite = suite("paper");
        let stored = Stored::new(dir.path(), "s");
        let damaged = |change: fn(&mut Vec<EvalRow>)| {
            let mut all = Evaluated { rows: Vec::new(), responses: Vec::new() };
            for problem in 0..2 {
                let mut responses = responses(&suite, problem);
                all.rows.push(judge(&suite, problem, &mut responses, 0.5));
                all.responses.extend(responses);
            }
            change(&mut all.rows);
            stored.write(&suite.info().unwrap(), &all).unwrap();
            judge_again(dir.path(), &suite).unwrap_err().to_string()
        };
        let changes: [fn(&mut Vec<EvalRow>); 3] =
            [|rows| rows[1].problem = 7, |rows| rows.swap(0, 1), |rows| rows.truncate(1)];
        for change in changes {
            let error = damaged(change);
            assert!(error.contains("s.jsonl.gz` is damaged: its rows are not those of the 2"), "{error}");
        }
    }

    #[test]
    fn a_folder_of_evaluations_is_kept_to_one_model() {
        let dir = tempfile::tempdir().unwrap();
        let model = |name: &str, weights: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("model.safetensors"), weights).unwrap();
            path
        };
        let (first, second, copy) = (model("first", "1"), model("second", "2"), model("copy", "1"));
        let folder = dir.path().join("evals");
        keep_to_model(&folder, &first).unwrap();
        keep_to_model(&folder, &copy).unwrap();
        let error = keep_to_model(&folder, &second).unwrap_err().to_string();
        assert!(error.contains("evaluations of the model") && error.contains("first"), "{error}");
        assert!(error.contains("second") && error.ends_with("choose another folder"), "{error}");
        // What an older program left, whole or begun, may be of any model.
        fs::remove_file(folder.join(ASKED_FILE)).unwrap();
        for file in ["main.jsonl.gz", ".main-0123456789/00000.jsonl.gz"] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            let error = keep_to_model(&folder, &first).unwrap_err().to_string();
            assert!(error.contains("does not say of which model"), "{error}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_model_in_several_files_is_known_by_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, weights: &str| fs::write(dir.path().join(name), weights).unwrap();
        write("model-00001-of-00002.safetensors", "1");
        write("model-00002-of-00002.safetensors", "2");
        let before = checkpoint::weights_hash(dir.path()).unwrap();
        assert_eq!(before, blake3::hash(b"12").to_hex().to_string());
        write("model-00002-of-00002.safetensors", "3");
        assert_ne!(checkpoint::weights_hash(dir.path()).unwrap(), before);
    }
}
