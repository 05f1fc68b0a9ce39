//! `tercet check`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use crate::failure::Usage;
use crate::output::Output;

/// Check that the files of run folders are what their records say
///
/// Every checkpoint is held against its hashes, the last model of a finished stage against the stage's, metrics against the
/// steps taken, and the rows of evaluations against their responses. Nothing is written. The exit code is 1 if something
/// is not as recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet check runs/quickstart
  tercet check runs/*")]
pub(crate) struct Args {
    /// Run folders
    #[arg(required = true)]
    runs: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut text = String::new();
    let mut findings = 0;
    for run in &args.runs {
        if !run.join("manifest.json").is_file() {
            return Err(Usage::error(format!("{} is no run folder: it has no manifest.json", run.display())));
        }
        let checked = train::run::check(run)?;
        for finding in &checked.findings {
            writeln!(text, "{}: {}", finding.path.display(), finding.what)?;
        }
        findings += checked.findings.len();
        writeln!(
            text,
            "{}: {} stages, {} checkpoints, {} evaluations; {}",
            run.display(),
            checked.stages,
            checked.checkpoints,
            checked.evaluations,
            match checked.findings.len() {
                0 => "everything is as recorded".to_owned(),
                count => format!("not as recorded: {count}"),
            }
        )?;
    }
    let mut output = Output::stdout();
    let written = output.write_all(text.as_bytes()).map_err(Into::into).and_then(|()| output.finish());
    // The verdict is the exit code, whoever reads the rest.
    anyhow::ensure!(findings == 0, "not as recorded: {findings}");
    written
}
