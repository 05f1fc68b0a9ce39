//! `tercet report`

use std::io::Write as _;
use std::path::PathBuf;

use crate::failure::Usage;
use crate::output::Output;
use crate::progress::say;

/// Write the report of runs and print their result tables
///
/// The report is one HTML file that needs no network; beside it `results.md` holds the tables and verdicts as
/// Markdown, `results.json` and `figures/` the same numbers for programs. Unfinished runs are reported as far as they are.
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
    let mut output = Output::stdout();
    for run in &args.runs {
        if !run.join("manifest.json").is_file() {
            let message = format!("{} is no run folder: it has no manifest.json", run.display());
            if args.runs.len() == 1 {
                return Err(Usage::error(message));
            }
            say(&format!("{message}; left out"));
            continue;
        }
        let report = report::html::write(run)?;
        write!(output, "{}", report::table(run)?.render())?;
        output.flush()?;
        say(&format!("report: {}", report.display()));
    }
    output.finish()
}
