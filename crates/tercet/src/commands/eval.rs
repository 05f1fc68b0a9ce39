//! `tercet eval`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use report::stats::{ks, pass_at_k};
use train::eval::{Evaluated, Suite, evaluate, evaluate_into};
use train::recipe::Recipe;
use train::records::EvalRow;

use super::model;
use super::recipe::Changes;
use super::run::watch::Terminal;
use crate::failure::Usage;
use crate::interrupt;
use crate::output::Output;
use crate::threads::Threads;

/// Measure a model on a suite of held-out problems
///
/// The suite is one of a recipe's; the problems are from the test split and the same for every model. Each
/// problem is sampled, each sample verified. A row of JSON for every problem goes to stdout, or with --out
/// into a folder, beside all responses; a table of pass@k by op goes to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet eval runs/quickstart/stages/rl-1a2b/checkpoints/step-000100 --recipe recipes/quickstart.toml > rows.jsonl
  tercet eval some-model --recipe recipes/quickstart.toml --set evaluation.suite.main.samples=16 --out evals")]
pub(crate) struct Args {
    /// A Hugging Face directory, such as a checkpoint of a run
    model: PathBuf,
    /// The recipe that has the suite; a run's recipe.toml will do
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// The suite; the recipe's first by default
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    #[command(flatten)]
    changes: Changes,
    /// Folder for rows and responses; a stopped evaluation goes on there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let threads = args.threads.apply()?;
    let recipe = Recipe::open(&args.recipe, &args.changes.overrides())?;
    let suite = suite(&recipe, args.suite.as_deref())?;
    let stop = interrupt::listen(interrupt::SAVING)?;
    let (mut learner, tokenizer) = model::open(&args.model, threads)?;
    let mut watch = Terminal::default();
    let rows = if let Some(folder) = &args.out {
        let mut again = Some(learner);
        let mut open = || match again.take() {
            Some(learner) => Ok(learner),
            None => Err(train::error::RunError::Data("the model is opened once".to_owned())),
        };
        std::fs::create_dir_all(folder)
            .map_err(|e| anyhow::anyhow!("cannot make the folder {}: {e}", folder.display()))?;
        if !evaluate_into(folder, &mut open, &tokenizer, &suite, &mut watch, &stop)? {
            anyhow::bail!("stopped before the end: the same command goes on");
        }
        read_rows(&folder.join(format!("{}.jsonl.gz", suite.config.name)))?
    } else {
        let done = evaluate(&mut *learner, &tokenizer, &suite, None, &mut watch, &stop)?;
        let Some(Evaluated { rows, .. }) = done else { anyhow::bail!("stopped before the end") };
        let mut output = Output::open(None)?;
        for row in &rows {
            serde_json::to_writer(&mut output, row)?;
            writeln!(output)?;
        }
        output.finish()?;
        rows
    };
    crate::progress::say(table(&rows).trim_end());
    Ok(())
}

fn suite(recipe: &Recipe, name: Option<&str>) -> anyhow::Result<Suite> {
    let document = &recipe.document;
    let suites = &document.evaluation.suites;
    let found = suites.iter().find(|suite| name.is_none_or(|name| name == suite.name));
    let Some(config) = found else {
        let known: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        let wanted = name.map_or_else(|| "no suite".to_owned(), |name| format!("no suite `{name}`"));
        return Err(Usage::error(format!("the recipe has {wanted}; it has: {}", known.join(", "))));
    };
    let (world, contexts) = (&document.world, &recipe.contexts);
    Ok(Suite::make(config, world, contexts, document.split, document.evaluation.seed)?)
}

fn read_rows(path: &std::path::Path) -> anyhow::Result<Vec<EvalRow>> {
    crate::output::lines(path)?.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

/// pass@k by op.
fn table(rows: &[EvalRow]) -> String {
    use std::fmt::Write as _;
    let mut by_op: BTreeMap<u32, Vec<&EvalRow>> = BTreeMap::new();
    for row in rows {
        by_op.entry(row.op).or_default().push(row);
    }
    let ks = ks(rows.iter().map(|row| row.n).min().unwrap_or(0));
    let mut text = format!("{:>4} {:>8} {:>9} {:>9}", "op", "problems", "right", "process");
    for k in &ks {
        let _ = write!(text, " {:>9}", format!("pass@{k}"));
    }
    text.push('\n');
    for (op, rows) in by_op {
        let n = rows.len() as f64;
        let mean = |value: &dyn Fn(&EvalRow) -> f64| rows.iter().map(|row| value(row)).sum::<f64>() / n;
        let right = mean(&|row| f64::from(row.right) / f64::from(row.n.max(1)));
        let process = mean(&|row| row.process_acc);
        let _ = write!(text, "{op:>4} {:>8} {:>8.1}% {process:>9.3}", rows.len(), 100.0 * right);
        for &k in &ks {
            let passed = mean(&|row| pass_at_k(row.n, row.verified, k).unwrap_or(f64::NAN));
            let _ = write!(text, " {:>8.1}%", 100.0 * passed);
        }
        text.push('\n');
    }
    text
}
