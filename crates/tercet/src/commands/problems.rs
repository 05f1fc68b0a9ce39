//! `tercet problems`

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use problems::audit::Audit;
use problems::compare::compare_reference;
use problems::{Cell, Contexts, Generator, Sequence};
use rayon::prelude::*;

use super::verify::record_on;
use super::world::{Retelling, WorldArgs};
use crate::failure::Usage;
use runs::lines::Packing;

use crate::output::{self, Output};
use crate::pieces::{self, Pieces};
use crate::progress::{Progress, say};
use crate::threads::Threads;

/// Problems of a piece: a piece is made, and compressed, by one thread.
const PIECE: u64 = 256;
/// Pieces between two writes: enough for all threads, little memory.
const AT_ONCE: u64 = 16;
/// Writes between two looks at the disk: a stopped command does little work again.
const KEEP: u64 = 4;

/// Generate problems as JSONL
///
/// Problem i of a cell (op × context × mode) is a function of the world, the seed, the split and i: neither
/// the number of threads nor which other problems are made changes it. A line holds the reference generator's
/// fields, the graph with its counts, and the hashes that splits are decided by. A command that was stopped
/// goes on where it was when it is given again, and the file has the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet problems --op 2-10 --context zoo,school -n 1000 > train.jsonl
  tercet problems --op 11-14 --split test -n 200 --seed 7 --out edge.jsonl.zst
  tercet problems --op 11-14 --split test -n 200 --seed 7 --in school --out edge-school.jsonl.zst
  tercet problems --op 2-6 --context terse --set max_value=20 --set distractors=0 --format text -n 3
  tercet problems --audit train.jsonl.gz edge.jsonl.zst
  tercet problems --compare-reference reference.jsonl.gz -n 20")]
pub(crate) struct Args {
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    retelling: Retelling,
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
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "compare_reference")]
    audit: Vec<PathBuf>,
    /// Instead of making problems, compare the `reference` preset with the reference generator's problems in
    /// this file, N of ours for each of them
    #[arg(long, value_name = "FILE")]
    compare_reference: Option<PathBuf>,
    /// File to write to, compressed if its name ends in .gz or .zst; stdout by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// How a problem is written.
#[derive(Debug, Clone, Copy, Hash, clap::ValueEnum)]
enum Format {
    /// One record a line
    Jsonl,
    /// The training text: question, solution and answer in their tags, one problem a line
    Text,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    args.threads.apply()?;
    if !args.audit.is_empty() {
        return report(args, audit(&args.audit)?);
    }
    if let Some(path) = &args.compare_reference {
        return report(args, compared(path, args.number)?);
    }
    let order = Order::new(args)?;
    match args.out.as_deref().filter(|path| *path != Path::new("-")) {
        None => to_stdout(&order),
        Some(path) => to_file(&order, path),
    }
}

/// A report in place of problems.
fn report(args: &Args, text: String) -> anyhow::Result<()> {
    let Some(path) = args.out.as_deref().filter(|path| *path != Path::new("-")) else {
        let mut output = Output::stdout();
        output.write_all(text.as_bytes())?;
        return output.finish();
    };
    pieces::write(path, text.into_bytes())
}

fn audit(paths: &[PathBuf]) -> anyhow::Result<String> {
    let mut audit = Audit::default();
    for path in paths {
        let name = path.display().to_string();
        for (n, line) in (1..).zip(output::lines(path)?) {
            audit.add(&name, &record_on(&line?, path, n)?);
        }
    }
    Ok(audit.report().to_string())
}

fn compared(path: &Path, number: u64) -> anyhow::Result<String> {
    let mut records = Vec::new();
    for (n, line) in (1..).zip(output::lines(path)?) {
        let place = || format!("line {n} of {} is no problem of the reference generator", path.display());
        records.push(serde_json::from_str(&line?).with_context(place)?);
    }
    let comparison = compare_reference(records, &Contexts::builtin(), 1, number).map_err(Usage::error)?;
    Ok(comparison.to_string())
}

/// All problems that are asked for, in their order.
struct Order<'a> {
    args: &'a Args,
    generator: Generator,
    sequences: Vec<Sequence>,
}

impl<'a> Order<'a> {
    fn new(args: &'a Args) -> anyhow::Result<Self> {
        let (generator, sequences) = args.world.open()?;
        args.retelling.check(generator.contexts())?;
        Ok(Self { args, generator, sequences })
    }

    fn problems(&self) -> u64 {
        (self.sequences.len() as u64).saturating_mul(self.args.number)
    }

    fn pieces(&self) -> u64 {
        self.problems().div_ceil(PIECE)
    }

    /// Everything that decides the bytes.
    fn made_from(&self, packing: Packing) -> String {
        let Self { args, generator, sequences } = self;
        let cells: Vec<&Cell> = sequences.iter().map(Sequence::cell).collect();
        let mut hasher = DefaultHasher::new();
        let world = (generator.world(), generator.contexts(), &args.world, &args.retelling);
        format!("{world:?} {cells:?} {packing:?} {}", super::revision()).hash(&mut hasher);
        (args.number, args.start, args.format).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    fn piece(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        for k in number * PIECE..self.problems().min((number + 1) * PIECE) {
            let sequence = &self.sequences[(k / self.args.number) as usize];
            let problem = sequence.problem(self.args.start.saturating_add(k % self.args.number));
            let problem =
                self.args.retelling.apply(problem, self.generator.world(), self.generator.contexts())?;
            match self.args.format {
                Format::Jsonl => serde_json::to_writer(&mut text, &problem.record())?,
                Format::Text => text.extend((problem.prompt() + &problem.response()).into_bytes()),
            }
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Makes pieces on all threads.
    fn make(&self, pieces: Range<u64>, packing: Packing) -> anyhow::Result<Vec<Vec<u8>>> {
        pieces.into_par_iter().map(|number| Ok(packing.pack(self.piece(number)?)?)).collect()
    }
}

fn to_stdout(order: &Order) -> anyhow::Result<()> {
    let mut output = Output::stdout();
    let mut progress = Progress::new("problems", order.problems(), "problems");
    for start in (0..order.pieces()).step_by(AT_ONCE as usize) {
        for piece in order.make(start..order.pieces().min(start + AT_ONCE), Packing::Plain)? {
            output.write_all(&piece)?;
        }
        progress.add(AT_ONCE * PIECE);
    }
    progress.finish();
    output.finish()
}

fn to_file(order: &Order, path: &Path) -> anyhow::Result<()> {
    let packing = Packing::of(path);
    let mut file = Pieces::open(path, &order.made_from(packing))?;
    let mut progress = Progress::new("problems", order.problems(), "problems");
    if file.count() > 0 {
        say(&format!("{} of {} problems are there already", file.count() * PIECE, order.problems()));
        progress.start_at(file.count() * PIECE);
    }
    for start in (file.count()..order.pieces()).step_by(AT_ONCE as usize) {
        for piece in order.make(start..order.pieces().min(start + AT_ONCE), packing)? {
            file.push(&piece)?;
        }
        progress.add(AT_ONCE * PIECE);
        if (start / AT_ONCE) % KEEP == KEEP - 1 {
            file.keep()?;
        }
    }
    progress.finish();
    file.finish()
}
