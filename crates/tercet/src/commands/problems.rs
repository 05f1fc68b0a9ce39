//! `tercet problems`

use std::io::Write as _;
use std::path::PathBuf;

use problems::audit::Audit;
use problems::{Cell, Generator, Problem};
use rayon::prelude::*;

use super::verify::record_on;
use super::world::WorldArgs;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::threads::Threads;

/// Problems that are made between two writes: enough for all threads, little memory.
const AT_ONCE: u64 = 1024;

/// Generate problems as JSONL
///
/// Problem i of a cell (op × context × mode) is a function of the world, the seed, the split and i: neither
/// the number of threads nor which other problems are made changes it. A line holds the reference generator's
/// fields, the graph and the hashes that splits are decided by.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet problems --op 2-10 --context zoo,school -n 1000 > train.jsonl
  tercet problems --op 11-14 --split test -n 200 --seed 7 --out edge.jsonl
  tercet problems --op 2-6 --context terse --set max_value=20 --set distractors=0 --format text -n 3
  tercet problems --audit train.jsonl.gz edge.jsonl")]
pub(crate) struct Args {
    #[command(flatten)]
    world: WorldArgs,
    /// Problems of each op × context × mode
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 10)]
    number: u64,
    /// Number of the first problem of each cell
    #[arg(long, value_name = "I", default_value_t = 0)]
    start: u64,
    /// How a problem is written
    #[arg(long, default_value = "jsonl")]
    format: Format,
    /// Instead of making problems, audit files of them: what each repeats and shows, and what any two share
    #[arg(long, value_name = "FILE", num_args = 1..)]
    audit: Vec<PathBuf>,
    /// File to write to, compressed if its name ends in .gz; stdout by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// How a problem is written.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// One record a line
    Jsonl,
    /// The training text: question, solution and answer in their tags, one problem a line
    Text,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    args.threads.apply()?;
    if !args.audit.is_empty() {
        return audit(args);
    }
    let (generator, cells) = args.world.open()?;
    let mut output = Output::open(args.out.as_deref())?;
    let mut progress = Progress::new("problems", cells.len() as u64 * args.number, "problems");
    let end = args.start.saturating_add(args.number);
    for cell in &cells {
        let mut start = args.start;
        while start < end {
            let stop = end.min(start + AT_ONCE);
            for line in lines(&generator, cell, start..stop, args.format)? {
                writeln!(output, "{line}")?;
            }
            progress.add(stop - start);
            start = stop;
        }
    }
    progress.finish();
    output.finish()
}

fn audit(args: &Args) -> anyhow::Result<()> {
    let mut audit = Audit::default();
    for path in &args.audit {
        let name = path.display().to_string();
        for (n, line) in (1..).zip(output::lines(path)?) {
            audit.add(&name, &record_on(&line?, path, n)?);
        }
    }
    let mut output = Output::open(args.out.as_deref())?;
    write!(output, "{}", audit.report())?;
    output.finish()
}

fn lines(
    generator: &Generator,
    cell: &Cell,
    range: std::ops::Range<u64>,
    format: Format,
) -> anyhow::Result<Vec<String>> {
    range.into_par_iter().map(|i| line(&generator.problem(cell, i), format)).collect()
}

fn line(problem: &Problem, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Jsonl => serde_json::to_string(&problem.record())?,
        Format::Text => problem.prompt() + &problem.response(),
    })
}
