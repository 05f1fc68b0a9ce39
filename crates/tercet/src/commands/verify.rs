//! `tercet verify`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use problems::topology::{Shapes, Topology};
use problems::verify::{Counts, Policy, Row, Summary, Verdict, explain};
use problems::{Problem, Record};
use runs::Judgement;
use serde::{Deserialize, Serialize};

use super::choice;
use crate::failure::Usage;
use crate::output::{self, Output};
use crate::progress::{Progress, say};

/// Judge a file of responses
///
/// Every step of every response is compared with the graph of its problem. Responses are JSONL. Each line has the
/// `text` after `<solution>` (or `response`) and names its problem by `id` or by `problem`, which is the line of the
/// problem in its file, counted from 0. The response files of a run have this form. No problem file is needed for a
/// line that is a problem's record with a `response`, for a line that holds a `record`, and for the lines that follow
/// with the same `problem`, as in the rollouts of a run. Verdicts go to stdout in the order of the responses. A table by
/// op, context and mode goes to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet verify --problems runs/q/data/suites/main.jsonl --responses runs/q/stages/rl-1a2b/evals/main.responses.jsonl.gz
  tercet verify --problems test.jsonl --policy strict --full --responses answers.jsonl > verdicts.jsonl
  tercet verify --problems test.jsonl --responses answers.jsonl --explain 1f2e3d4c5b6a7988
  tercet verify --problems school.jsonl --responses answers.jsonl --shapes-of zoo-train.jsonl > near.jsonl")]
pub(crate) struct Args {
    /// Responses as JSONL, also .gz and .zst; `-` is stdin
    #[arg(long, value_name = "FILE")]
    responses: PathBuf,
    /// Problems that they answer, as `tercet problems` writes them
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
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

/// A line of the responses.
#[derive(Debug, Deserialize)]
struct Response {
    #[serde(alias = "response")]
    text: String,
    #[serde(default)]
    problem: Option<serde_json::Value>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    sample: Option<u32>,
    /// Whether it ran into the length limit, as a run's responses say it.
    #[serde(default)]
    cut: bool,
    /// The same the other way round, as `tercet sample` says it.
    #[serde(default)]
    ended: Option<bool>,
    /// The problem itself, as in the rollouts of a run.
    #[serde(default)]
    record: Option<Record>,
}

impl Response {
    fn was_cut(&self) -> bool {
        self.cut || self.ended == Some(false)
    }

    fn judge(&self, problem: &Problem, policy: Policy) -> Verdict {
        Judgement::of(&problem.gold(), &self.text, policy, self.was_cut()).into_verdict()
    }
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
    let problems = args.problems.as_deref().map(Problems::read).transpose()?;
    let shapes = args.shapes_of.as_deref().map(shapes).transpose()?;
    let mut near = Near::default();
    let policy = args.policy;
    let mut output = Output::stdout();
    let mut summary = Summary::default();
    let mut cut = 0_u64;
    let mut explained = false;
    let mut told: Option<(serde_json::Value, Problem)> = None;
    let lines: Vec<String> = output::lines(&args.responses)?.collect::<anyhow::Result<_>>()?;
    let mut progress = Progress::new("verify", lines.len() as u64, "responses");
    for (n, line) in (1..).zip(&lines).filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("line {n} of {}", args.responses.display());
        let response: Response = serde_json::from_str(line).with_context(place)?;
        let own;
        if let Some(record) = &response.record {
            let number = response.problem.clone().unwrap_or_default();
            told = Some((number, Problem::from_record(record).with_context(place)?));
        }
        let same = told.as_ref().filter(|(number, _)| {
            response.record.is_some() || response.id.is_none() && response.problem.as_ref() == Some(number)
        });
        let problem = if let Some((_, problem)) = same {
            problem
        } else if let Some(problems) = &problems {
            problems.find(&response).with_context(place)?
        } else {
            own = record_on(line, &args.responses, n).context(
                "without --problems every response must be in its problem's record, or follow a line with \
                     the same `problem` that holds one",
            )?;
            &own
        };
        let verdict = response.judge(problem, policy);
        cut += u64::from(response.was_cut());
        summary.add(problem.cell.op, &problem.cell.context, problem.cell.mode, &verdict);
        let similarity = shapes.as_ref().and_then(|s| s.nearest(&Topology::of_response(&response.text)));
        near.add(&verdict, similarity);
        explained |= args.explain.as_ref().is_none_or(|wanted| wanted == "all" || *wanted == problem.id);
        write(&mut output, args, problem, &response, &verdict, similarity)?;
        progress.add(1);
    }
    progress.finish();
    output.finish()?;
    if let Some(id) = args.explain.as_ref().filter(|id| !explained && *id != "all") {
        return Err(Usage::error(format!("there is no response to a problem `{id}`")));
    }
    say(&table(&summary, policy, cut));
    if shapes.is_some() {
        near.say();
    }
    Ok(())
}

fn write(
    output: &mut Output,
    args: &Args,
    problem: &Problem,
    response: &Response,
    verdict: &Verdict,
    similarity: Option<f64>,
) -> anyhow::Result<()> {
    if let Some(wanted) = &args.explain {
        if wanted != "all" && *wanted != problem.id {
            return Ok(());
        }
        let sample = response.sample.map_or(String::new(), |s| format!(" sample {s}"));
        let cut = if response.was_cut() { ", cut at the length limit" } else { "" };
        writeln!(output, "{}{sample}{cut}\n{}", problem.id, explain(&response.text, verdict))?;
        return Ok(());
    }
    let line = Line {
        id: &problem.id,
        sample: response.sample,
        verified: verdict.verified,
        answer_right: verdict.answer_correct,
        process_acc: verdict.process_acc,
        answer: verdict.answer.as_deref(),
        first_fault: verdict.first_fault.as_ref().map(|(kind, _)| kind.name()),
        cut: response.was_cut(),
        similarity,
        verdict: args.full.then_some(verdict),
    };
    serde_json::to_writer(&mut *output, &line)?;
    writeln!(output)?;
    Ok(())
}

/// The problem whose record is on a line.
pub(super) fn record_on(line: &str, path: &Path, n: usize) -> anyhow::Result<Problem> {
    let place = || format!("line {n} of {} is no problem", path.display());
    let record: Record = serde_json::from_str(line).with_context(place)?;
    Problem::from_record(&record).with_context(place)
}

struct Problems {
    /// In the order of the file.
    problems: Vec<Problem>,
    by_id: BTreeMap<String, usize>,
}

impl Problems {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut problems = Vec::new();
        let mut by_id = BTreeMap::new();
        for (n, line) in (1..).zip(output::lines(path)?) {
            let problem = record_on(&line?, path, n)?;
            by_id.insert(problem.id.clone(), problems.len());
            problems.push(problem);
        }
        Ok(Self { problems, by_id })
    }

    fn find(&self, response: &Response) -> anyhow::Result<&Problem> {
        if let Some(id) = &response.id {
            let found = self.by_id.get(id).and_then(|&at| self.problems.get(at));
            return found.ok_or_else(|| Usage::error(format!("there is no problem `{id}`")));
        }
        let number = response.problem.as_ref().and_then(serde_json::Value::as_u64);
        let number = number.ok_or_else(|| Usage::error("a response says neither `id` nor `problem`"))?;
        let found = usize::try_from(number).ok().and_then(|at| self.problems.get(at));
        found.ok_or_else(|| {
            Usage::error(format!("there is no problem {number}: there are {}", self.problems.len()))
        })
    }
}

/// The shapes of a file's problems.
fn shapes(path: &Path) -> anyhow::Result<Shapes> {
    let problems = (1..).zip(output::lines(path)?).map(|(n, line)| record_on(&line?, path, n));
    problems.map(|problem| Ok(Topology::of_gold(&problem?.gold()))).collect()
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

/// Counts by op, context and mode, and of first faults; below them how many were cut.
fn table(summary: &Summary, policy: Policy, cut: u64) -> String {
    let total = summary.total();
    let head = ["", "responses", "verified", "correct answer", "process", "first faults"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(summary.rows().iter().chain([&total]).map(cells));
    let mut text = format!("{} responses under `{}`\n", total.counts.responses, policy.name());
    text.push_str(report::columns(&rows, |column| (1..5).contains(&column)).trim_end());
    if cut > 0 {
        text.push_str("\ncut at the length limit, and wrong whatever they say: ");
        text.push_str(&cut.to_string());
    }
    text
}

fn cells(row: &Row) -> [String; 6] {
    let name = match (row.op, row.mode) {
        (Some(op), Some(mode)) => format!("op {op} {} {}", row.context, mode.name()),
        _ => "all".to_owned(),
    };
    let Counts { responses, verified, correct_answers, faults, .. } = &row.counts;
    let percent = |n: u64| format!("{:.1}%", 100.0 * n as f64 / (*responses).max(1) as f64);
    let mut faults: Vec<(&str, u64)> = faults.iter().map(|(kind, n)| (kind.name(), *n)).collect();
    faults.sort_by_key(|&(name, n)| (std::cmp::Reverse(n), name));
    let faults: Vec<String> = faults.iter().map(|(name, n)| format!("{name} {n}")).collect();
    [
        name,
        responses.to_string(),
        percent(*verified),
        percent(*correct_answers),
        format!("{:.3}", row.counts.mean_process()),
        faults.join(", "),
    ]
}
