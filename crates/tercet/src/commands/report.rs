//! `tercet report`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use report::rows::{self, Cell};
use runs::files;

use crate::failure::Usage;
use crate::formats::{Row, Value, parquet::ParquetFile};
use crate::output::Output;
use crate::progress::say;

/// Write reports of runs and print their result tables
///
/// The report is one HTML file that needs no network. Beside it, results.md holds the tables and verdicts as Markdown, and
/// results.json and figures/ hold the same numbers for programs. An unfinished run gets a report of what is there so far.
/// Several runs get one report together: runs of one recipe are pooled over their seeds, others stand beside each other as
/// arms. Folders without a run are skipped if there are others.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet report runs/quickstart
  tercet report runs/seed-1 runs/seed-2 runs/other --out runs/together
  tercet report runs/* --table rows.parquet")]
pub(crate) struct Args {
    /// Run folders
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Compare the arms with this one instead of the first
    #[arg(long, value_name = "ARM")]
    base: Option<String>,
    /// Folder for the report of several runs
    #[arg(long, value_name = "DIR", default_value = "comparison")]
    out: PathBuf,
    /// Write a row for each problem of each evaluation into this file (.csv or .parquet), and no report
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let is_run = |run: &Path| run.join("manifest.json").is_file();
    let no_run = |run: &Path| format!("{} is no run folder: it has no manifest.json", run.display());
    if !args.runs.iter().any(|run| is_run(run)) {
        let all: Vec<String> = args.runs.iter().map(|run| no_run(run)).collect();
        return Err(Usage::error(all.join("; ")));
    }
    for run in args.runs.iter().filter(|run| !is_run(run)) {
        say(&format!("{}; skipped", no_run(run)));
    }
    let runs: Vec<PathBuf> = args.runs.iter().filter(|run| is_run(run)).cloned().collect();
    if let Some(table) = &args.table {
        write_rows(table, &runs)?;
        say(&format!("table: {}", table.display()));
        return Ok(());
    }
    let mut output = Output::stdout();
    let base = args.base.as_deref();
    let (report, table) = match &runs[..] {
        [run] => (report::html::write_against(run, base)?, report::table(run)?),
        several => report::together::write(several, &args.out, base)?,
    };
    write!(output, "{}", table.render())?;
    output.flush()?;
    say(&format!("report: {}", report.display()));
    output.finish()
}

/// All rows of all runs as one file of the kind that its name says.
fn write_rows(path: &Path, runs: &[PathBuf]) -> anyhow::Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "csv" => Ok(files::write(path, rows::csv(&rows::read(runs)?).as_bytes())?),
        "parquet" => {
            let mut file = ParquetFile::new(path);
            let rows: anyhow::Result<Vec<Row>> = rows::read(runs)?.into_iter().map(columns).collect();
            file.group(&rows?)?;
            file.finish()
        }
        _ => Err(Usage::error(format!("{}: the name of a table ends in .csv or .parquet", path.display()))),
    }
}

fn columns(row: rows::Row) -> anyhow::Result<Row> {
    let column = |(name, cell)| -> anyhow::Result<(&'static str, Value)> {
        let value = match cell {
            Cell::Text(text) => Value::Text(text),
            Cell::Whole(number) => Value::Whole(number.try_into()?),
            Cell::Real(number) => Value::Real(number),
            Cell::Flag(flag) => Value::Flag(flag),
        };
        Ok((name, value))
    };
    Ok(Row(row.into_iter().map(column).collect::<anyhow::Result<_>>()?))
}
