//! `tercet verify`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use problems::verify::{Policy, Verdict, explain, verify};
use problems::{Problem, Record};
use serde::{Deserialize, Serialize};

use crate::failure::Usage;
use crate::output::{self, Output};
use crate::progress::{Progress, say};

/// Judge a file of responses
///
/// Every step of every response is compared with the problem's graph. Responses are JSONL: each line has the
/// `text` after `<solution>` (or `response`) and says which problem it answers by `id` or by `problem`, the
/// line of the problem's file counted from 0, as the response files of a run do. A line that is a problem's
/// record with a `response`, or that holds one as `record`, needs no problem file. Verdicts go to stdout in the order of the responses, a
/// summary to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet verify --problems runs/q/data/suites/main.jsonl runs/q/stages/rl-1a2b/evals/main.responses.jsonl.gz
  tercet verify --problems test.jsonl --policy strict --full answers.jsonl > verdicts.jsonl
  tercet verify --problems test.jsonl --explain answers.jsonl | less")]
pub(crate) struct Args {
    /// Responses, JSONL, `.gz` or not; `-` is stdin
    responses: PathBuf,
    /// The problems they answer, as `tercet problems` writes them
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
    /// The rules that decide
    #[arg(long, default_value = "paper")]
    policy: PolicyName,
    /// Print whole verdicts: every quantity and every step
    #[arg(long, conflicts_with = "explain")]
    full: bool,
    /// Print responses with marks at what is wrong instead of JSON
    #[arg(long)]
    explain: bool,
}

/// The rules that decide.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum PolicyName {
    /// Every quantity present, with the right parents and value, and the right answer
    Paper,
    /// As paper; the process score counts penalties as the published code does
    Reference,
    /// As paper, and every piece of arithmetic must hold
    Strict,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Paper => Self::Paper,
            PolicyName::Reference => Self::Reference,
            PolicyName::Strict => Self::Strict,
        }
    }
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
    /// The problem itself, as in the rollouts of a run.
    #[serde(default)]
    record: Option<Record>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let problems = args.problems.as_deref().map(Problems::read).transpose()?;
    let policy = Policy::from(args.policy);
    let mut output = Output::open(None)?;
    let mut summary = Summary::default();
    let lines: Vec<String> = output::lines(&args.responses)?.collect::<anyhow::Result<_>>()?;
    let mut progress = Progress::new("verify", lines.len() as u64, "responses");
    for (n, line) in (1..).zip(&lines).filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("line {n} of {}", args.responses.display());
        let response: Response = serde_json::from_str(line).with_context(place)?;
        let own;
        let problem = if let Some(record) = &response.record {
            own = Problem::from_record(record).with_context(place)?;
            &own
        } else if let Some(problems) = &problems {
            problems.find(&response).with_context(place)?
        } else {
            own = record_on(line, &args.responses, n)
                .context("without --problems every response must be in its problem's record")?;
            &own
        };
        let verdict = verify(&problem.gold(), &response.text, policy);
        summary.add(&verdict);
        write(&mut output, args, problem, &response, &verdict)?;
        progress.add(1);
    }
    progress.finish();
    output.finish()?;
    summary.say(policy);
    Ok(())
}

fn write(
    output: &mut Output,
    args: &Args,
    problem: &Problem,
    response: &Response,
    verdict: &Verdict,
) -> anyhow::Result<()> {
    if args.explain {
        let sample = response.sample.map_or(String::new(), |s| format!(" sample {s}"));
        writeln!(output, "{}{sample}\n{}", problem.id, explain(&response.text, verdict))?;
        return Ok(());
    }
    let line = Line {
        id: &problem.id,
        sample: response.sample,
        verified: verdict.verified,
        answer_right: verdict.answer_right,
        process_acc: verdict.process_acc,
        answer: verdict.answer.as_deref(),
        first_fault: verdict.first_fault.as_ref().map(|(kind, _)| kind.name()),
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

#[derive(Default)]
struct Summary {
    responses: u64,
    verified: u64,
    right: u64,
    process_acc: f64,
    faults: BTreeMap<&'static str, u64>,
}

impl Summary {
    fn add(&mut self, verdict: &Verdict) {
        self.responses += 1;
        self.verified += u64::from(verdict.verified);
        self.right += u64::from(verdict.answer_right);
        self.process_acc += verdict.process_acc;
        if let Some((kind, _)) = &verdict.first_fault {
            *self.faults.entry(kind.name()).or_default() += 1;
        }
    }

    fn say(&self, policy: Policy) {
        let n = self.responses.max(1) as f64;
        say(&format!(
            "{} responses under `{}`: {} verified ({:.1}%), {} right answers ({:.1}%), process {:.3}",
            self.responses,
            policy.name(),
            self.verified,
            100.0 * self.verified as f64 / n,
            self.right,
            100.0 * self.right as f64 / n,
            self.process_acc / n,
        ));
        let mut faults: Vec<(&str, u64)> = self.faults.iter().map(|(name, count)| (*name, *count)).collect();
        faults.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        for (name, count) in faults {
            say(&format!("  first fault {name}: {count}"));
        }
    }
}
