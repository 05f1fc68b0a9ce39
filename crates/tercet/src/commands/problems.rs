//! `tercet problems`

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use problems::audit::Audit;
use problems::compare::compare_reference;
use problems::{Cell, Contexts, Problem, Sequence};
use rayon::prelude::*;
use runs::lines::Packing;
use runs::{error::failed, files};
use train::data::Reading;

use super::responses::problem_on;
use super::world::{Asked, Retelling, WorldArgs};
use crate::failure::Usage;
use crate::formats::parquet::ParquetFile;
use crate::formats::{Container, Format, Part, Row};
use crate::output::{self, Output};
use crate::pieces::Pieces;
use crate::progress::{Progress, say};
use crate::threads::Threads;

/// Problems of a piece: a piece is made, and compressed, by one thread.
const PIECE: u64 = 256;
/// Pieces between two writes: enough for all threads, little memory.
const AT_ONCE: u64 = 16;
/// Writes between two looks at the disk: a stopped command does little work again.
const KEEP: u64 = 4;

/// Generate problems
///
/// Problem i of a cell (op × context × mode) depends on the world, the seed, the split and i, and on nothing else: not
/// on the number of threads, and not on which other problems are generated. A record holds the fields of the reference
/// generator, the graph with its counts, and the hashes that decide the splits. The other formats are what trainers read:
/// rows of plain columns, with prompt and response exactly as models are trained on them. The name of the file says what
/// holds the rows: `.parquet`, or lines, compressed if it ends in .gz or .zst. The same command resumes where it stopped
/// (a Parquet file begins again) and writes the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet problems --op 2-10 --context zoo,school -n 1000 > train.jsonl
  tercet problems --op 11-14 --split test -n 200 --seed 7 --out edge.jsonl.zst
  tercet problems --op 11-14 --split test -n 200 --seed 7 --in school --out edge-school.jsonl.zst
  tercet problems --op 2-6 --context terse --set max_value=20 --set distractors=0 --format text -n 3
  tercet problems --op 11-14 --split rl --total 50000 --format prompts --out prompts.parquet
  tercet problems --recipe recipes/extrapolation.toml --mix pre --total 100000 --format text --out pre.jsonl.zst
  tercet problems --op 3-5 --context zoo -n 4 --format worksheet --out worksheet.html      to print for a class
  tercet problems --audit train.jsonl.gz edge.jsonl.zst
  tercet problems --compare-reference reference.jsonl.gz -n 20")]
pub(crate) struct Args {
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    retelling: Retelling,
    /// Number of problems per op × context × mode
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 10)]
    number: u64,
    /// Number of problems altogether, divided equally over op × context × mode
    #[arg(long, value_name = "N", conflicts_with = "number", value_parser = clap::value_parser!(u64).range(1..))]
    total: Option<u64>,
    /// The problems of this mix of the recipe, in the order in which its first stage reads them at model seed --seed
    #[arg(
        long,
        value_name = "NAME",
        requires_all = ["recipe", "total"],
        conflicts_with_all = ["op", "context", "mode", "split", "by_text", "set", "context_file", "start"]
    )]
    mix: Option<String>,
    /// Index of the first problem of each cell
    #[arg(long, value_name = "I", default_value_t = 0)]
    start: u64,
    /// Format of the output
    #[arg(long, default_value = "records")]
    format: Format,
    /// Audit these files of problems instead: what each repeats and shows, and what any two share
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "compare_reference")]
    audit: Vec<PathBuf>,
    /// Compare the `reference` preset with the reference generator's problems in this file instead, N of ours for each
    /// of theirs
    #[arg(long, value_name = "FILE")]
    compare_reference: Option<PathBuf>,
    /// File to write: .parquet, or lines, compressed if its name ends in .gz or .zst; stdout by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    args.threads.apply()?;
    if !args.audit.is_empty() {
        return report(args, audit(&args.audit)?);
    }
    if let Some(path) = &args.compare_reference {
        return report(args, compared(path, args.number)?);
    }
    let mut order = Order::new(args)?;
    match order.out() {
        None => to_stdout(&mut order),
        Some(path) if order.container == Container::Parquet => to_parquet(&mut order, path),
        Some(path) => to_file(&mut order, path),
    }
}

/// A report in place of problems.
fn report(args: &Args, text: String) -> anyhow::Result<()> {
    let Some(path) = args.out.as_deref().filter(|path| *path != Path::new("-")) else {
        let mut output = Output::stdout();
        output.write_all(text.as_bytes())?;
        return output.finish();
    };
    let packed = Packing::of(path).pack(text.into_bytes()).map_err(failed(path, "compress"))?;
    Ok(files::write(path, &packed)?)
}

fn audit(paths: &[PathBuf]) -> anyhow::Result<String> {
    let mut audit = Audit::default();
    for path in paths {
        let name = path.display().to_string();
        for line in output::lines(path)? {
            audit.add(&name, &problem_on(&line?, path)?);
        }
    }
    Ok(audit.report().to_string())
}

fn compared(path: &Path, number: u64) -> anyhow::Result<String> {
    let mut records = Vec::new();
    for line in output::lines(path)? {
        let line = line?;
        let record = output::json(&line, path);
        records.push(record.context("not a problem of the reference generator")?);
    }
    let comparison = compare_reference(records, &Contexts::builtin(), 1, number).map_err(Usage::error)?;
    Ok(comparison.to_string())
}

/// All problems that are asked for, in their order.
struct Order<'a> {
    args: &'a Args,
    asked: Asked,
    /// The problems of a mix come one after the other; those of cells do not.
    mix: Option<Mix>,
    container: Container,
}

/// The mix of a recipe.
struct Mix {
    reading: Reading,
    recipe_hash: String,
}

impl<'a> Order<'a> {
    fn new(args: &'a Args) -> anyhow::Result<Self> {
        let (asked, mix) = match (&args.mix, args.world.recipe()?) {
            (Some(name), Some(recipe)) => {
                if args.format == Format::Worksheet {
                    return Err(Usage::error("a worksheet is of --op, not of --mix"));
                }
                let reading = Reading::of_mix(&recipe, name, args.world.seed()).map_err(Usage::error)?;
                (args.world.open_world()?.0, Some(Mix { reading, recipe_hash: recipe.hash() }))
            }
            _ => (args.world.open()?, None),
        };
        args.retelling.check(asked.generator.contexts())?;
        let number = args.total.unwrap_or(args.number);
        if args.start.checked_add(number).is_none() {
            return Err(Usage::error(format!("--start {} leaves no room for {number} problems", args.start)));
        }
        let container = Container::of(args.out.as_deref(), args.format);
        if container == Container::Parquet && matches!(args.format, Format::Records | Format::Worksheet) {
            let message =
                "records and worksheets have no columns: choose --format text, sft, prompts or chat";
            return Err(Usage::error(message));
        }
        Ok(Self { args, asked, mix, container })
    }

    /// The file to write; none for stdout.
    fn out(&self) -> Option<&'a Path> {
        self.args.out.as_deref().filter(|path| *path != Path::new("-"))
    }

    fn problems(&self) -> u64 {
        let cells = self.asked.sequences.len() as u64;
        self.args.total.unwrap_or(cells.saturating_mul(self.args.number))
    }

    /// Pieces of one part of the file: one at least, for what stands around the problems.
    fn pieces_of_a_part(&self) -> u64 {
        self.problems().div_ceil(PIECE).max(1)
    }

    fn pieces(&self) -> u64 {
        self.pieces_of_a_part().saturating_mul(self.args.format.parts().len() as u64)
    }

    /// A hash of everything that decides the bytes.
    fn made_from(&self, packing: Packing) -> anyhow::Result<String> {
        let Self { args, asked, .. } = self;
        let cells: Vec<&Cell> = asked.sequences.iter().map(Sequence::cell).collect();
        let mix = self.mix.as_ref().map(|mix| (&args.mix, &mix.recipe_hash));
        let problems = (asked.generator.world(), &asked.context_texts, cells, mix, args.world.split());
        let numbers = (args.world.seed(), args.number, args.total, args.start, &args.retelling);
        let file = (args.format, self.container, format!("{packing:?}"), super::revision());
        Ok(blake3::hash(&serde_json::to_vec(&(problems, numbers, file))?).to_hex().to_string())
    }

    /// Which problems a piece holds.
    fn numbers(&self, piece: u64) -> Range<u64> {
        let first = piece % self.pieces_of_a_part() * PIECE;
        first..self.problems().min(first + PIECE)
    }

    /// Problem `k` of those of the cells.
    fn of_cells(&self, k: u64) -> anyhow::Result<Problem> {
        let cells = self.asked.sequences.len() as u64;
        // The first cells have one more, where a total cannot be divided.
        let (each, more) =
            self.args.total.map_or((self.args.number, 0), |total| (total / cells, total % cells));
        let wide = (each + 1) * more;
        let (cell, index) = if k < wide {
            (k / (each + 1), k % (each + 1))
        } else {
            (more + (k - wide) / each, (k - wide) % each)
        };
        self.retold(self.asked.sequences[cell as usize].problem(self.args.start + index))
    }

    fn retold(&self, problem: Problem) -> anyhow::Result<Problem> {
        let generator = &self.asked.generator;
        self.args.retelling.apply(problem, generator.world(), generator.contexts())
    }

    /// The problems of pieces, made on all threads; those of a mix on one, since each depends on the ones before.
    fn take(&mut self, pieces: Range<u64>) -> anyhow::Result<Vec<Vec<Problem>>> {
        let Some(mut mix) = self.mix.take() else {
            let of = |piece| self.numbers(piece).map(|k| self.of_cells(k)).collect();
            return pieces.into_par_iter().map(of).collect();
        };
        let of = |piece| {
            let problems = mix.reading.by_ref().take(self.numbers(piece).count());
            problems.map(|problem| self.retold(problem?)).collect()
        };
        let taken = pieces.map(of).collect();
        self.mix = Some(mix);
        taken
    }

    /// Leaves out the problems of pieces that are there already.
    fn skip(&mut self, pieces: u64) -> anyhow::Result<()> {
        if let Some(mix) = &mut self.mix {
            mix.reading.by_ref().take((pieces * PIECE) as usize).try_for_each(|problem| problem.map(drop))?;
        }
        Ok(())
    }

    fn piece(&self, piece: u64, problems: &[Problem]) -> anyhow::Result<Vec<u8>> {
        let format = self.args.format;
        let (number, of_a_part) = (piece % self.pieces_of_a_part(), self.pieces_of_a_part());
        let part: Part = format.parts()[(piece / of_a_part) as usize];
        let mut text = String::new();
        if number == 0 {
            text.push_str(format.head(part));
        }
        for (k, problem) in self.numbers(piece).zip(problems) {
            text.push_str(&format.lines((part, self.container), k + 1, problem)?);
        }
        if number + 1 == of_a_part {
            text.push_str(format.foot(part));
        }
        Ok(text.into_bytes())
    }

    /// Makes pieces.
    fn make(&mut self, pieces: Range<u64>, packing: Packing) -> anyhow::Result<Vec<Vec<u8>>> {
        let problems = self.take(pieces.clone())?;
        let packed =
            |(piece, problems): (u64, Vec<Problem>)| Ok(packing.pack(self.piece(piece, &problems)?)?);
        pieces.collect::<Vec<u64>>().into_par_iter().zip(problems).map(packed).collect()
    }

    /// Progress counts problems, in every part of the file.
    fn progress(&self) -> Progress {
        let parts = self.args.format.parts().len() as u64;
        Progress::new("problems", self.problems().saturating_mul(parts), "problems")
    }
}

fn to_stdout(order: &mut Order) -> anyhow::Result<()> {
    let mut output = Output::stdout();
    let mut progress = order.progress();
    for start in (0..order.pieces()).step_by(AT_ONCE as usize) {
        for piece in order.make(start..order.pieces().min(start + AT_ONCE), Packing::Plain)? {
            output.write_all(&piece)?;
        }
        progress.add(AT_ONCE * PIECE);
    }
    progress.finish();
    output.finish()
}

fn to_file(order: &mut Order, path: &Path) -> anyhow::Result<()> {
    let packing = Packing::of(path);
    let mut file = Pieces::open(path, &order.made_from(packing)?)?;
    let mut progress = order.progress();
    if file.count() > 0 {
        say(&format!("{} of {} problems are there already", file.count() * PIECE, order.problems()));
        progress.start_at(file.count() * PIECE);
        order.skip(file.count())?;
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
    Ok(file.finish()?)
}

fn to_parquet(order: &mut Order, path: &Path) -> anyhow::Result<()> {
    let mut file = ParquetFile::new(path);
    let mut progress = order.progress();
    for start in (0..order.pieces()).step_by(AT_ONCE as usize) {
        let problems = order.take(start..order.pieces().min(start + AT_ONCE))?;
        let row = |problem: &Problem| order.args.format.row(problem).transpose();
        let rows: Vec<Row> = problems.par_iter().flatten().filter_map(row).collect::<anyhow::Result<_>>()?;
        file.group(&rows)?;
        progress.add(AT_ONCE * PIECE);
    }
    progress.finish();
    file.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn key(args: &[&str]) -> String {
        let line = Line::parse_from([&["problems"], args].concat());
        let order = Order::new(&line.args).expect("a possible order");
        order.made_from(Packing::of(Path::new("p.jsonl"))).expect("JSON")
    }

    /// A stopped command resumes what it has made, however it is spelled, and nothing else.
    #[test]
    fn what_a_file_is_made_from_is_known_by_content() {
        assert_eq!(key(&["--op", "2-3"]), key(&["--op", "3,2", "--seed", "1", "--threads", "1"]));
        let dir = tempfile::tempdir().expect("a temporary folder");
        let terse = include_str!("../../../problems/contexts/terse.toml");
        let context = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text.replacen("name = \"terse\"", "name = \"own\"", 1)).expect("writable");
            key(&["--context", "own", "--context-file", &path.to_string_lossy()])
        };
        let one = context("a.toml", terse);
        assert_eq!(one, context("b.toml", terse));
        assert_ne!(one, context("b.toml", &terse.replace("bear", "boar")));
        let mut keys = vec![key(&[])];
        for other in [
            &["--op", "3"][..],
            &["--context", "terse"],
            &["--mode", "reverse"],
            &["--seed", "2"],
            &["--split", "test"],
            &["--split", "test", "--by-text"],
            &["--set", "max_value=20"],
            &["-n", "11"],
            &["--start", "1"],
            &["--in", "school"],
            &["--renumber", "1"],
            &["--format", "text"],
            &["--format", "chat"],
            &["--total", "10"],
        ] {
            keys.push(key(other));
        }
        let different: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }
}
