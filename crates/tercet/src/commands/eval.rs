//! `tercet eval`

mod responses;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use problems::verify::Policy;
use report::measure::value;
use report::stats::Bootstrap;
use report::words;
use runs::records::EvalRow;
use runs::{Metric, files, lines};
use train::Outcome;
use train::eval::{Evaluator, Suite, judge_again, keep_to_model};
use train::recipe::{Recipe, unknown};

use super::recipe::Changes;
use super::responses::FieldArgs;
use super::run::watch::Terminal;
use super::{choice, model};
use crate::engine::EngineArgs;
use crate::failure::Usage;
use crate::interrupt;
use crate::output::Output;
use crate::threads::Threads;

/// Evaluate a model, or anybody's responses, on a suite of held-out problems
///
/// The suite is defined in a recipe. Its problems come from the test split and are the same for every model. Every
/// sample is verified. One row of JSON per problem goes to stdout, or to the folder of --out together with all responses.
/// A table of pass@k by op goes to stderr. Stored responses can be judged again without sampling.
///
/// With --responses, the responses of any model are judged, in any of the layouts that `tercet verify` reads. The
/// problems are those of the recipe's suite or of the file of --problems. --out makes a run folder, which `tercet report`
/// and `tercet compare` read. A problem without a response counts as wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet eval runs/quickstart:rl --recipe recipes/quickstart.toml > rows.jsonl
  tercet eval some-model --recipe recipes/quickstart.toml --set evaluation.suite.main.samples=16 --out evals
  tercet eval --again evals --recipe recipes/quickstart.toml --set evaluation.suite.main.policy=strict
  tercet eval --responses vllm.jsonl --problems test.jsonl --policy strict --out runs/vllm
  tercet eval --responses batch_output.jsonl --recipe recipes/quickstart.toml --out runs/gpt")]
pub(crate) struct Args {
    /// Hugging Face directory of a Qwen2 model: a checkpoint of a run, or a published model. RUN:STAGE names the last
    /// checkpoint of a stage (RUN:ARM/SEED/STAGE where there are several)
    #[arg(required_unless_present_any = ["again", "responses"])]
    model: Option<PathBuf>,
    /// Recipe that defines the suite; the recipe.toml of a run works, too
    #[arg(long, value_name = "FILE", required_unless_present = "problems")]
    recipe: Option<PathBuf>,
    /// Name of the suite; the first of the recipe by default
    #[arg(long, value_name = "NAME", requires = "recipe")]
    suite: Option<String>,
    #[command(flatten)]
    changes: Changes,
    /// Folder for rows and responses; the same command resumes there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Judge the responses in this folder again, without a model
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "out"])]
    again: Option<PathBuf>,
    /// Judge these responses of any model: JSONL, also .gz and .zst; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "again"])]
    responses: Option<PathBuf>,
    /// Problems that they answer, as `tercet problems` writes them; without it those of the recipe's suite
    #[arg(long, value_name = "FILE", requires = "responses", conflicts_with = "suite")]
    problems: Option<PathBuf>,
    /// Rules that decide whether they are correct; by default those of the suite, or `paper`
    #[arg(long, value_parser = choice::policy(), requires = "responses")]
    policy: Option<Policy>,
    #[command(flatten)]
    fields: FieldArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    threads: Threads,
}

pub(crate) fn run(args: &Args, called: &[OsString]) -> anyhow::Result<()> {
    let threads = args.threads.apply()?;
    let recipe =
        args.recipe.as_ref().map(|path| Recipe::open(path, &args.changes.overrides())).transpose()?;
    if recipe.is_none() && !args.changes.overrides().is_empty() {
        return Err(Usage::error("--set and --scale change a recipe: name one with --recipe"));
    }
    if let Some(path) = &args.responses {
        return responses::run(path, args, recipe.as_ref(), called);
    }
    let recipe = recipe.ok_or_else(|| Usage::error("name the suite's --recipe"))?;
    let suite = suite(&recipe, args.suite.as_deref())?;
    let rows = match (&args.again, &args.model) {
        (Some(folder), _) => judge_again(folder, &suite)?,
        (None, Some(model)) => asked(model, args, &suite, threads)?,
        (None, None) => return Err(Usage::error("name a model, or a folder with --again".to_owned())),
    };
    if args.out.is_none() && args.again.is_none() {
        write_rows(&rows)?;
    }
    crate::progress::say(table(&rows).trim_end());
    Ok(())
}

/// Rows to stdout.
fn write_rows(rows: &[EvalRow]) -> anyhow::Result<()> {
    let mut output = Output::stdout();
    for row in rows {
        serde_json::to_writer(&mut output, row)?;
        writeln!(output)?;
    }
    output.finish()
}

/// The rows of a model that is asked now, or that was asked before with the same folder.
fn asked(model: &Path, args: &Args, suite: &Suite, threads: Option<usize>) -> anyhow::Result<Vec<EvalRow>> {
    let stop = interrupt::listen(interrupt::SAVING)?;
    let model = &model::folder(model)?;
    let (mut learner, tokenizer, engine) = model::open(model, &args.engine, threads)?;
    let mut terminal = Terminal::default();
    let evaluator = Evaluator { suite, tokenizer: &tokenizer, stop: &stop };
    let Some(folder) = args.out.as_deref() else {
        return match evaluator.evaluate(&mut *learner, &mut terminal)? {
            Outcome::Finished(evaluated) => Ok(evaluated.rows),
            Outcome::Stopped => anyhow::bail!("stopped early"),
        };
    };
    keep_to_model(folder, model, engine.as_ref())?;
    files::sweep_dead(folder)?;
    if !evaluator.is_done(folder, &mut terminal)?
        && evaluator.evaluate_into(folder, &mut *learner, &mut terminal)? == Outcome::Stopped
    {
        anyhow::bail!("stopped early: the same command resumes");
    }
    Ok(lines::read(&folder.join(format!("{}.jsonl.gz", suite.config.name)))?)
}

fn suite(recipe: &Recipe, name: Option<&str>) -> anyhow::Result<Suite> {
    let document = &recipe.document;
    let suites = &document.evaluation.suites;
    let found = suites.iter().find(|suite| name.is_none_or(|name| name == suite.name));
    let Some(config) = found else {
        let known = suites.iter().map(|suite| suite.name.as_str());
        let none = || "the recipe has no suite".to_owned();
        return Err(Usage::error(name.map_or_else(none, |name| unknown("suite", name, known))));
    };
    let (world, contexts) = (&document.world, &recipe.contexts);
    Ok(Suite::make(config, world, contexts, document.split, document.evaluation.seed)?)
}

/// Measures by op, with their intervals.
fn table(rows: &[EvalRow]) -> String {
    let mut by_op: BTreeMap<u32, Vec<&EvalRow>> = BTreeMap::new();
    for row in rows {
        by_op.entry(row.op).or_default().push(row);
    }
    let most = rows.iter().map(|row| row.n).min().unwrap_or(1);
    let mut metrics = vec![Metric::PassAt(1), Metric::PassAt(most), Metric::Correct, Metric::ProcessAcc];
    metrics.dedup();
    let bootstrap = Bootstrap::default();
    let head = ["op", "problems"].map(str::to_owned).into_iter();
    let mut lines: Vec<Vec<String>> = vec![head.chain(metrics.iter().map(|metric| metric.name())).collect()];
    for (op, rows) in by_op {
        let mut line = vec![op.to_string(), rows.len().to_string()];
        for &metric in &metrics {
            let values: Vec<f64> = rows.iter().filter_map(|row| value(metric, row)).collect();
            let estimate = bootstrap.mean(&[values], Some((0.0, 1.0)));
            line.push(estimate.map_or_else(|| "–".to_owned(), |e| words::estimate(metric, &e)));
        }
        lines.push(line);
    }
    report::columns(&lines, |_| true) + "Percent, with 95% intervals (bootstrap by problem).\n"
}
