//! `tercet report`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::failure::Usage;
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
  tercet report runs/* --table rows.csv")]
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
    /// Write a row for each problem of each evaluation into this CSV file, and no report
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
        report::rows::write(table, &runs)?;
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
