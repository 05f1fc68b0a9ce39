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
/// Folders without a run are skipped if there are others.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet report runs/quickstart
  tercet report runs/*")]
pub(crate) struct Args {
    /// Run folders
    #[arg(required = true)]
    runs: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let is_run = |run: &Path| run.join("manifest.json").is_file();
    let no_run = |run: &Path| format!("{} is no run folder: it has no manifest.json", run.display());
    if !args.runs.iter().any(|run| is_run(run)) {
        let all: Vec<String> = args.runs.iter().map(|run| no_run(run)).collect();
        return Err(Usage::error(all.join("; ")));
    }
    let mut output = Output::stdout();
    for run in &args.runs {
        if !is_run(run) {
            say(&format!("{}; skipped", no_run(run)));
            continue;
        }
        let report = report::html::write(run)?;
        write!(output, "{}", report::table(run)?.render())?;
        output.flush()?;
        say(&format!("report: {}", report.display()));
    }
    output.finish()
}
