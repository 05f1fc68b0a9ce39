//! `tercet verify`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use problems::responses::{Given, Matcher, Pool};
use problems::topology::{Shapes, Topology};
use problems::verify::{Counts, Policy, Row, Summary, Verdict, explain};
use problems::{Cell, Problem};
use report::stats::{ks, pass_at_k};
use runs::Judgement;
use serde::Serialize;

use super::choice;
use super::responses::{FieldArgs, matched, problems_in};
use crate::failure::Usage;
use crate::output::{self, Output};
use crate::progress::{Progress, say};

/// Judge a file of responses
///
/// Every step of every response is compared with the graph of its problem. A verdict is written as soon as its line has
/// come, in the order of the responses. A table by op, context and mode follows on stderr, with pass@k where problems have
/// several responses.
///
/// Responses are JSONL. Each line has the text after `<solution>` as `text` or `response`, or several texts as a list. It
/// names its problem by `id` or by `problem`, which is the position of the problem in its file, counted from 0. The files
/// of a run have this form. The outputs of vLLM and SGLang, batches of OpenAI and Anthropic, and lm-eval's samples are
/// read as well; --text-field and --id-field read others. A response that repeats its prompt is read from its last
/// `<solution>`. One that was cut off (`finish_reason` is `length`, and the like) is wrong.
///
/// No problem file is needed for a line that is a problem's record with a `response`, for a line that holds a `record`,
/// and for the lines that follow with the same `problem`, as in the rollouts of a run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet verify --problems runs/q/data/suites/main.jsonl --responses runs/q/stages/rl-1a2b/evals/main.responses.jsonl.gz
  tercet verify --problems test.jsonl --policy strict --full --responses answers.jsonl > verdicts.jsonl
  tercet verify --problems test.jsonl --responses answers.jsonl --explain 1f2e3d4c5b6a7988
  my-sampler | tercet verify --problems test.jsonl --responses - --text-field reply --id-field uid
  tercet verify --problems school.jsonl --responses answers.jsonl --shapes-of zoo-train.jsonl > near.jsonl")]
pub(crate) struct Args {
    /// Responses as JSONL, also .gz and .zst; `-` is stdin
    #[arg(long, value_name = "FILE")]
    responses: PathBuf,
    /// Problems that they answer, as `tercet problems` writes them
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
    #[command(flatten)]
    fields: FieldArgs,
    /// Rules that decide whether a response is correct
    #[arg(long, default_value = "paper", value_parser = choice::policy())]
    policy: Policy,
    /// Measure how similar each response's graph is to the most similar graph of these problems, e.g. of another context
    #[arg(long, value_name = "FILE")]
    shapes_of: Option<PathBuf>,
    /// Print whole verdicts, with every quantity and every step
    #[arg(long, conflicts_with = "explain")]
    full: bool,
    /// Print the responses to the problem with this id instead of JSON, with marks at what is wrong; `all` prints all
    /// responses
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
}

/// A line of the output.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<u32>,
    verified: bool,
    answer_right: bool,
    process_acc: f64,
    answer: Option<&'a str>,
    first_fault: Option<&'static str>,
    /// Whether it ran into the length limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    /// To the most similar graph of `--shapes-of`; 1 for a replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let pool = args.problems.as_deref().map(|path| Ok::<_, anyhow::Error>(Pool::new(problems_in(path)?)));
    let mut matcher = Matcher::new(pool.transpose()?, args.fields.fields());
    let shapes = args.shapes_of.as_deref().map(shapes).transpose()?;
    let mut writer = Writer { output: Output::stdout(), args, shapes, shown: None };
    let mut seen = Seen::default();
    let mut progress = Progress::without_end("verify", "responses");
    for line in output::lines(&args.responses)? {
        let Some(matched) = matched(&mut matcher, &line?, &args.responses)? else { continue };
        for given in &matched.responses {
            let judgement = Judgement::of(&matched.problem.gold(), &given.text, args.policy, given.cut);
            let verdict = judgement.into_verdict();
            let similarity = writer.write(matched.problem, given, &verdict)?;
            seen.add(matched.problem, given.cut, &verdict, similarity);
            progress.add(1);
        }
        // The next line may be long in coming.
        writer.output.flush()?;
    }
    progress.finish();
    let (shown, shapes) = (writer.shown.is_some(), writer.shapes.is_some());
    writer.output.finish()?;
    if let Some(id) = args.explain.as_ref().filter(|id| !shown && *id != "all") {
        return Err(Usage::error(format!("there is no response to a problem `{id}`")));
    }
    say(&seen.table(args.policy));
    if let Some(pool) = matcher.pool() {
        seen.say_silent(pool.problems());
    }
    if shapes {
        seen.near.say();
    }
    Ok(())
}

/// Writes verdicts.
struct Writer<'a> {
    output: Output,
    args: &'a Args,
    shapes: Option<Shapes>,
    /// The problem that was explained last.
    shown: Option<String>,
}

impl Writer<'_> {
    /// Writes a verdict and gives the similarity that it names.
    fn write(&mut self, problem: &Problem, given: &Given, verdict: &Verdict) -> anyhow::Result<Option<f64>> {
        let similarity = self.shapes.as_ref().and_then(|s| s.nearest(&Topology::of_response(&given.text)));
        if let Some(wanted) = &self.args.explain {
            if wanted == "all" || *wanted == problem.id {
                self.explain(problem, given, verdict)?;
            }
            return Ok(similarity);
        }
        let line = Line {
            id: &problem.id,
            sample: given.sample,
            verified: verdict.verified,
            answer_right: verdict.answer_correct,
            process_acc: verdict.process_acc,
            answer: verdict.answer.as_deref(),
            first_fault: verdict.first_fault.as_ref().map(|(kind, _)| kind.name()),
            cut: given.cut,
            similarity,
            verdict: self.args.full.then_some(verdict),
        };
        serde_json::to_writer(&mut self.output, &line)?;
        writeln!(self.output)?;
        Ok(similarity)
    }

    /// The problem, once for all of its responses that follow each other, and a response with marks.
    fn explain(&mut self, problem: &Problem, given: &Given, verdict: &Verdict) -> anyhow::Result<()> {
        if self.shown.as_ref() != Some(&problem.id) {
            let text = format!("{} {}", problem.problem.trim(), problem.question.trim());
            writeln!(self.output, "{} · {}\n{text}\n", problem.id, problem.cell)?;
            self.shown = Some(problem.id.clone());
        }
        let sample = given.sample.map_or_else(|| "response".to_owned(), |s| format!("sample {s}"));
        let cut = if given.cut { ", cut at the length limit" } else { "" };
        writeln!(self.output, "{sample}{cut}\n{}", explain(&given.text, verdict))?;
        Ok(())
    }
}

/// The shapes of a file's problems.
fn shapes(path: &Path) -> anyhow::Result<Shapes> {
    Ok(problems_in(path)?.iter().map(|problem| Topology::of_gold(&problem.gold())).collect())
}

/// What was seen of the responses, for the table at the end.
#[derive(Default)]
struct Seen {
    summary: Summary,
    cut: u64,
    near: Near,
    /// Of every problem, by its cell and id: responses, and how many of them are verified.
    samples: BTreeMap<Cell, BTreeMap<String, (u32, u32)>>,
}

impl Seen {
    fn add(&mut self, problem: &Problem, cut: bool, verdict: &Verdict, similarity: Option<f64>) {
        let Cell { op, context, mode } = &problem.cell;
        self.summary.add(*op, context, *mode, verdict);
        self.cut += u64::from(cut);
        self.near.add(verdict, similarity);
        let cell = self.samples.entry(problem.cell.clone()).or_default();
        let (n, verified) = cell.entry(problem.id.clone()).or_default();
        *n += 1;
        *verified += u32::from(verdict.verified);
    }

    /// Says how many problems got no response at all.
    fn say_silent(&self, problems: &[Problem]) {
        let answered: BTreeSet<&String> = self.samples.values().flat_map(BTreeMap::keys).collect();
        let silent = problems.iter().filter(|problem| !answered.contains(&problem.id)).count();
        if silent > 0 {
            say(&format!("{silent} of {} problems got no response", problems.len()));
        }
    }

    /// The k of pass@k above 1: every problem has so many responses.
    fn ks(&self) -> Vec<u32> {
        let least = self.samples.values().flat_map(BTreeMap::values).map(|(n, _)| *n).min();
        ks(least.unwrap_or(0)).into_iter().filter(|k| *k > 1).collect()
    }

    /// Mean pass@k over the problems of a row of the summary.
    fn pass_at(&self, row: &Row, k: u32) -> String {
        let is_of = |cell: &Cell| {
            let Cell { op, context, mode } = cell;
            row.op.is_none_or(|wanted| wanted == *op && row.context == *context && row.mode == Some(*mode))
        };
        let cells = self.samples.iter().filter(|(cell, _)| is_of(cell)).flat_map(|(_, of)| of.values());
        let values: Vec<f64> = cells.filter_map(|&(n, verified)| pass_at_k(n, verified, k)).collect();
        percent(values.iter().sum(), values.len() as u64)
    }

    /// Counts by op, context and mode, and of first faults; below them how many were cut.
    fn table(&self, policy: Policy) -> String {
        let total = self.summary.total();
        let ks = self.ks();
        let passes = ks.iter().map(|k| format!("pass@{k}"));
        let mut head = ["", "responses", "verified"].map(str::to_owned).to_vec();
        head.extend(passes.chain(["correct answer", "process", "first faults"].map(str::to_owned)));
        let mut rows = vec![head];
        rows.extend(self.summary.rows().iter().chain([&total]).map(|row| self.cells(row, &ks)));
        let mut text = format!("{} responses under `{}`\n", total.counts.responses, policy.name());
        let last = rows[0].len() - 1;
        text.push_str(report::columns(&rows, |column| (1..last).contains(&column)).trim_end());
        if self.cut > 0 {
            let _ = write!(text, "\ncut at the length limit, and wrong whatever they say: {}", self.cut);
        }
        text
    }

    fn cells(&self, row: &Row, ks: &[u32]) -> Vec<String> {
        let name = match (row.op, row.mode) {
            (Some(op), Some(mode)) => format!("op {op} {} {}", row.context, mode.name()),
            _ => "all".to_owned(),
        };
        let Counts { responses, verified, correct_answers, faults, .. } = &row.counts;
        let mut faults: Vec<(&str, u64)> = faults.iter().map(|(kind, n)| (kind.name(), *n)).collect();
        faults.sort_by_key(|&(name, n)| (std::cmp::Reverse(n), name));
        let faults: Vec<String> = faults.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let mut cells = vec![name, responses.to_string(), percent(*verified as f64, *responses)];
        cells.extend(ks.iter().map(|&k| self.pass_at(row, k)));
        cells.push(percent(*correct_answers as f64, *responses));
        cells.push(format!("{:.3}", row.counts.mean_process()));
        cells.push(faults.join(", "));
        cells
    }
}

fn percent(part: f64, whole: u64) -> String {
    format!("{:.1}%", 100.0 * part / whole.max(1) as f64)
}

/// Verified responses, and how near their graphs come to others.
#[derive(Default)]
struct Near {
    verified: u64,
    replicas: u64,
    similarity: f64,
}

impl Near {
    fn add(&mut self, verdict: &Verdict, similarity: Option<f64>) {
        if let Some(similarity) = similarity.filter(|_| verdict.verified) {
            self.verified += 1;
            self.replicas += u64::from(similarity == 1.0);
            self.similarity += similarity;
        }
    }

    fn say(&self) {
        let mean = self.similarity / self.verified.max(1) as f64;
        let Self { verified, replicas, .. } = self;
        say(&format!(
            "{verified} verified responses: {replicas} replicas of those shapes, mean similarity {mean:.3}"
        ));
    }
}
